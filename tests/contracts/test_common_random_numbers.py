"""Arms of one seed share what chance they can: initial values of equal parts, rows in one order, the same questions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import miniature
import pytest
import torch

import cobra_kit
from cobra_kit.data.prepared import TrainingSet
from cobra_kit.events import RunStarted
from cobra_kit.model import Batch, VisionLanguageModel
from cobra_kit.plugin import KINDS
from cobra_kit.recipe import builtin_recipes, load_recipe, resolve_arms

SEEDS = (1, 2)
BATCH, STEPS = 4, 12
RECIPE = f"""
title: Arms that differ in every part
model:
  vision_encoder: {{use: {miniature.ENCODER}}}
  projector: {{use: mlp/gelu}}
  fusion: {{use: fusion/image-first}}
  backbone: {{use: mamba/tiny, d_model: 32, n_layer: 1, d_state: 4}}
data: {{source: scenes, train: 60, val: 20, test: 24}}
train:
  finetune: {{steps: {STEPS}, batch_size: {BATCH}, curriculum: {{kinds: [attribute, presence], share: 0.25}}}}
evaluate: {{max_new_tokens: 4, batch_size: 16}}
ablation:
  factor: [model, train]
  reference: plain
  seeds: [{", ".join(map(str, SEEDS))}]
  arms:
    plain: {{}}
    fewer-tokens: {{model: {{projector: {{use: ldpv2/plain}}}}}}
    in-place: {{model: {{fusion: {{use: fusion/in-place}}}}}}
    image-last: {{model: {{fusion: {{use: fusion/image-last}}}}}}
    transformer: {{model: {{backbone: {{use: transformer/tiny, hidden_size: 32, num_layers: 1, num_heads: 2}}}}}}
    other-encoder: {{model: {{vision_encoder: {{use: dinov2/tiny, weights: none, width: 24, depth: 2, heads: 2}}}}}}
    aligned: {{train: {{align: {{steps: 2, batch_size: {BATCH}}}}}}}
"""
ABLATIONS = [name for name in sorted(builtin_recipes()) if name.startswith("ablation_")]


class Rows:
    """Notes the images of every batch that a run trains on."""

    def __init__(self) -> None:
        self.batches: dict[str, list[tuple[tuple[str, ...], ...]]] = defaultdict(list)
        self._run = ""

    def report(self, event: object, /) -> None:
        if isinstance(event, RunStarted):
            self._run = Path(event.folder).name

    def note(self, rows: TrainingSet, indices: Sequence[int]) -> None:
        self.batches[self._run].append(tuple(rows._image_ids[index] for index in indices))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows]:
    """A study of arms that differ in every part, and the rows that each of its runs was trained on."""
    folder, rows, batch = tmp_path_factory.mktemp("common"), Rows(), TrainingSet.batch

    def noted(self: TrainingSet, indices: Sequence[int]) -> Batch:
        rows.note(self, indices)
        return batch(self, indices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(folder / "cache"))
        patch.setattr(TrainingSet, "batch", noted)
        cobra_kit.run(miniature.write(folder, RECIPE, "common"), out=folder / "study", report=rows.report)
    return folder / "study", rows


def arms() -> list[str]:
    return [line.split(":")[0].strip() for line in RECIPE.partition("  arms:\n")[2].splitlines()]


@pytest.mark.parametrize("seed", SEEDS)
def test_arms_of_a_seed_see_the_same_rows_in_the_same_order(studied: tuple[Path, Rows], seed: int) -> None:
    batches = {arm: studied[1].batches[f"{arm}-s{seed}"] for arm in arms()}
    assert len(batches["plain"]) == STEPS
    assert all(len(step) == BATCH for step in batches["plain"])
    batches["aligned"] = batches["aligned"][-STEPS:]  # behind the stage that only this arm has
    for arm, steps in batches.items():
        assert steps == batches["plain"], arm


def test_another_seed_sees_them_in_another_order(studied: tuple[Path, Rows]) -> None:
    first, second = (studied[1].batches[f"plain-s{seed}"] for seed in SEEDS)
    assert first != second


def test_every_run_is_asked_the_same_questions_in_the_same_order(studied: tuple[Path, Rows]) -> None:
    asked = []
    for arm in arms():
        for seed in SEEDS:
            files = sorted((studied[0] / "runs" / f"{arm}-s{seed}" / "predictions" / "test").glob("*.jsonl"))
            lines = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
            asked.append(
                {
                    file.stem: [(line["question_id"], line["picture"]) for line in own]
                    for file, own in zip(files, lines, strict=True)
                }
            )
    assert {"presence", "boxes"} <= set(asked[0])
    assert all(first == second for first, second in pairwise(asked))


@pytest.mark.parametrize("name", ABLATIONS)
def test_equal_parts_of_a_packaged_ablation_begin_bit_equal(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.ablation is not None
    resolved = resolve_arms(recipe)
    models = {arm: cobra_kit.compose(parts, seed=1) for arm, parts in resolved.items()}
    reference = recipe.ablation.reference
    other_seed = cobra_kit.compose(resolved[reference], seed=2)
    compared = 0
    for arm, model in models.items():
        for kind in KINDS:
            part, own = (resolved[which].parts[kind].plain() for which in (reference, arm))
            if part == own:
                assert bit_equal(models[reference], model, kind), f"{kind} of {arm}"
                compared += arm != reference
    assert compared
    assert not bit_equal(models[reference], other_seed, "projector")


def test_another_projector_leaves_the_other_parts_as_they_were() -> None:
    recipe = load_recipe("ablation_projector")
    mlp, ldpv2 = (cobra_kit.compose(recipe_of_arm, seed=1) for recipe_of_arm in resolve_arms(recipe).values())
    assert bit_equal(mlp, ldpv2, "backbone")
    assert bit_equal(mlp, ldpv2, "vision_encoder")
    assert not bit_equal(mlp, ldpv2, "projector")


def bit_equal(first: VisionLanguageModel, second: VisionLanguageModel, kind: str) -> bool:
    """Returns whether a part of two models has the same values under the same names."""
    left, right = (getattr(model, kind).state_dict() for model in (first, second))
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
