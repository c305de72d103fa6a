"""Numbers without bounds are refused with the count, before anything of their size is made."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest
from torch import nn

from cobra_kit import run
from cobra_kit.errors import CobraError, RecipeError, ShapeError
from cobra_kit.model.shapes import MAX_MODULES, shapes_only
from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import open_session, trials_of
from cobra_kit.study.plan.study_plan import make_plan

GIANT = 10**30


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (f"model.backbone.n_layer={10**9}", "expected less than or equal to 1000, found 1000000000"),
        (f"model.vision_encoder.depth={10**9}", "expected less than or equal to 1000, found 1000000000"),
        (f"model.backbone.d_model={GIANT}", f"expected at most 10,000,000, found {GIANT:,}"),
        (f"train.finetune.steps={GIANT}", f"expected less than or equal to 1000000000, found {GIANT}"),
        (f"train.finetune.batch_size={10**9}", "expected less than or equal to 1000000, found 1000000000"),
        (f"evaluate.max_new_tokens={10**12}", "expected less than or equal to 1000000, found 1000000000000"),
        (f"ablation.seeds={list(range(1001))}", "expected it to have at most 1000 items after validation, not 1001"),
        (f"sweep={{trials: {10**12}, space: {{seed: {{choices: [1]}}}}}}", "100000, found 1000000000000"),
    ],
)
def test_a_setting_beyond_its_bound_is_refused_with_the_count(tmp_path: Path, setting: str, message: str) -> None:
    recipe = miniature.write(tmp_path)
    with pytest.raises(RecipeError) as refused:
        make_plan(load_recipe(recipe, overrides=[setting]))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 600  # the setting itself is not repeated whole


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("train.finetune.steps: {low: 1, high: 1000000000}", "a grid of 1,000,000,000 points, and at most 100,000"),
        (
            f"train.finetune.steps: {{low: 1, high: {GIANT}}}",
            f"expected whole numbers of at most .*, found 1 to {GIANT:,}",
        ),
        (
            "train.finetune.learning_rate: {low: 0.0, high: 1.0, step: 1.0e-30}",
            f"expected at most .* steps between low and high, found {GIANT + 1:,}",
        ),
        (f"train.finetune.steps: {{choices: {list(range(1, 2001))}}}", "expected at most 1,000 choices, found 2,000"),
        (
            "\n".join(f"train.finetune.{name}: {{low: 1, high: 1000000}}" for name in ("steps", "batch_size")),
            "a grid of 1,000,000,000,000 points",
        ),
    ],
)
def test_a_grid_is_counted_before_any_point_is_laid_down(tmp_path: Path, space: str, message: str) -> None:
    recipe = miniature.write(tmp_path, miniature.search(space, sampler={"use": "grid"}), "search")
    with pytest.raises(RecipeError, match=message):
        trials_of(load_recipe(recipe))


def test_trials_and_options_of_samplers_have_bounds(tmp_path: Path) -> None:
    space = "train.finetune.learning_rate: {low: 0.001, high: 0.01}"
    recipe = load_recipe(miniature.write(tmp_path, miniature.search(space), "search"))
    with pytest.raises(RecipeError, match="expected at most 100,000 trials, found 1,000,000,000,000"):
        trials_of(recipe, 10**12)
    giant = miniature.search(space, sampler={"use": "tpe", "n_ei_candidates": 10**11})
    with pytest.raises(RecipeError, match=r"n_ei_candidates: expected at most 100,000, found 100,000,000,000"):
        trials_of(load_recipe(miniature.write(tmp_path, giant, "giant")))


def test_steps_of_a_range_are_exact() -> None:
    space = load_recipe("sweep_projector").model_copy().sweep
    assert space is not None
    choice = next(iter(space.space.values())).model_validate({"low": 0.1, "high": 0.5, "step": 0.1})
    assert choice.values() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert choice.nearest(0.30000000000000004) == 0.3


def test_modules_without_end_are_not_built() -> None:
    with pytest.raises(ShapeError, match=f"more than {MAX_MODULES:,} modules"), shapes_only():
        nn.ModuleList(nn.Identity() for _ in range(10**9))


def test_what_no_machine_holds_is_refused_before_it_is_built(tmp_path: Path) -> None:
    recipe = miniature.write(tmp_path, miniature.RECIPE)
    with pytest.raises(CobraError, match=r"parameters, whose training needs [\d,.]+ GiB of memory"):
        run(recipe, overrides=["model.backbone.d_model=1000000"], out=tmp_path / "study")
    assert not list((tmp_path / "study").rglob("metrics.jsonl"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("weights: /nowhere/at.safetensors", "no such file or folder: /nowhere/at.safetensors"),
        ("tokenizer: /nowhere/at.json", "no such tokenizer"),
    ],
)
def test_what_fails_for_every_trial_fails_before_the_first(tmp_path: Path, setting: str, message: str) -> None:
    search = miniature.search("train.finetune.learning_rate: {low: 0.001, high: 0.01}", trials=3)
    recipe = miniature.write(tmp_path, search.replace("n_layer: 1,", f"n_layer: 1, {setting},"), "search")
    trials = trials_of(load_recipe(recipe))
    with open_session(trials, tmp_path / "study", WorkerOptions()) as session:
        with pytest.raises(CobraError, match=message):
            session.work()
        assert [trial.state for trial in session.status().trials] == ["waiting"] * 3
