"""The embedded world: drawn images and questions that nobody can answer without looking. No torch; imported when used.

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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cobra_kit.files import user_cache

if TYPE_CHECKING:
    from cobra_kit_scenes.benchmark_prompts import Benchmark, prompt, reply
    from cobra_kit_scenes.cache import cache_key
    from cobra_kit_scenes.captions import caption
    from cobra_kit_scenes.dataset import SceneDataset, scenes_dataset
    from cobra_kit_scenes.dense import DenseTargets, dense_targets
    from cobra_kit_scenes.drawing import draw
    from cobra_kit_scenes.generation import Progress, generate
    from cobra_kit_scenes.held_out import BENCHMARKS
    from cobra_kit_scenes.layout import Scene
    from cobra_kit_scenes.oracle import ScoreBounds, reach
    from cobra_kit_scenes.params import SceneParams
    from cobra_kit_scenes.vocabulary import SPLITS, Split

_HOMES = {
    "BENCHMARKS": "cobra_kit_scenes.held_out",
    "Benchmark": "cobra_kit_scenes.benchmark_prompts",
    "DenseTargets": "cobra_kit_scenes.dense",
    "Progress": "cobra_kit_scenes.generation",
    "SPLITS": "cobra_kit_scenes.vocabulary",
    "Scene": "cobra_kit_scenes.layout",
    "SceneDataset": "cobra_kit_scenes.dataset",
    "SceneParams": "cobra_kit_scenes.params",
    "ScoreBounds": "cobra_kit_scenes.oracle",
    "Split": "cobra_kit_scenes.vocabulary",
    "cache_key": "cobra_kit_scenes.cache",
    "caption": "cobra_kit_scenes.captions",
    "dense_targets": "cobra_kit_scenes.dense",
    "draw": "cobra_kit_scenes.drawing",
    "generate": "cobra_kit_scenes.generation",
    "prompt": "cobra_kit_scenes.benchmark_prompts",
    "reach": "cobra_kit_scenes.oracle",
    "reply": "cobra_kit_scenes.benchmark_prompts",
    "scenes_dataset": "cobra_kit_scenes.dataset",
}

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


def __getattr__(name: str) -> Any:
    """Returns a name, importing its module on first use (PEP 562): who lists plugins needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
