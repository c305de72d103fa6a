"""The embedded world: drawn images and questions that nobody can answer without looking. No torch.

    params = SceneParams.checked(seed=0, train=12_000)
    world = scenes_dataset(params)              # made on first use, then read from the user's cache
    world.rows[0]                               # a training row in LLaVA's form
    world.array(world.rows[0]["image"])         # [64 64 3] uint8
    world.benchmark("test", "vqav2")            # paths of official-form files
    reach(world)["vqav2"].floor                 # what a text-only oracle scores

Which file is which:
`vocabulary` what there is; `layout`, `sampling`, `splits` scenes and the splits that own them;
`drawing`, `glyphs`, `dense`, `captions` what a scene looks like and says;
`questions/` one file per ability; `benchmark_prompts` the wording of each benchmark; `balance`, `rows`, `held_out`,
`held_out_levels`, `annotators`, `file_formats` questions into files; `generation`, `images`, `worker`, `drawing_pool`,
`write`, `cache`, `dataset` files on disk;
`oracle` floors and ceilings.
"""

from __future__ import annotations

from cobra_kit.data.scenes.benchmark_prompts import Benchmark, prompt, reply
from cobra_kit.data.scenes.cache import cache_key
from cobra_kit.data.scenes.captions import caption
from cobra_kit.data.scenes.dataset import SceneDataset, scenes_dataset
from cobra_kit.data.scenes.dense import DenseTargets, dense_targets
from cobra_kit.data.scenes.drawing import draw
from cobra_kit.data.scenes.generation import Progress, generate
from cobra_kit.data.scenes.held_out import BENCHMARKS
from cobra_kit.data.scenes.layout import Scene
from cobra_kit.data.scenes.oracle import ScoreBounds, reach
from cobra_kit.data.scenes.params import SceneParams
from cobra_kit.data.scenes.vocabulary import SPLITS, Split
from cobra_kit.files import user_cache

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "DenseTargets",
    "Progress",
    "ScoreBounds",
    "SPLITS",
    "Scene",
    "SceneDataset",
    "SceneParams",
    "Split",
    "cache_key",
    "caption",
    "dense_targets",
    "draw",
    "generate",
    "prompt",
    "reach",
    "reply",
    "scenes_dataset",
    "user_cache",
]
