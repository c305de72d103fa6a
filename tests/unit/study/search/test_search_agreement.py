"""What a search cannot do: pruners that never stop a trial, samplers and objectives that come to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe
from cobra_kit.study.search.agree import remarks
from cobra_kit.study.search.search_plan import SearchPlan, make_search_plan

RECIPE = """
model:
  vision_encoder: {use: dinosiglip/tiny, weights: none}
  projector: {use: mlp/fused}
  fusion: {use: fusion/image-first}
  backbone: {use: mamba/tiny}
data: {source: scenes, train: 100, val: 20, test: 20}
train:
  finetune: {steps: 20, learning_rate: 1.0e-3}
sweep:
  trials: 8
  space:
"""
STEPS = RECIPE + "    model.backbone.n_layer: {low: 1, high: 4}\n"
RANGES = "".join(f"    train.finetune.{name}: {{low: 0.1, high: 0.2}}\n" for name in ("learning_rate", "warmup_ratio"))

LOOKS = "evaluate: {validation: {every_steps: 4, questions: 40}}\n"


def searched(tmp_path: Path, before: str, after: str, text: str = STEPS) -> SearchPlan:
    path = tmp_path / "r.yaml"
    path.write_text(before + text + f"  {after}\n")
    return make_search_plan(load_recipe(path))


@pytest.mark.parametrize(
    ("evaluate", "pruner", "message"),
    [
        ("", "{use: median, n_startup_trials: 0}", "there is no validation.*Add evaluate.validation, such as"),
        (
            "evaluate: {validation: {questions: 4}}\n",
            "{use: median}",
            "first look .* the last of 20 steps.*4",
        ),
        ("evaluate: {validation: {every_steps: 20}}\n", "{use: halving}", "at the last of 20 steps"),
        (LOOKS, "{use: median, n_warmup_steps: 17}", "8 trials, with looks at steps 4, 8, 12, 16 of 20.*steps 17"),
        (LOOKS, "{use: median, n_startup_trials: 8}", "in 8 trials.*It waits for n_startup_trials 8"),
        (LOOKS, "{use: halving, min_resource: 17}", "waits for min_resource"),
        (LOOKS, "{use: hyperband, min_resource: 500, max_resource: 600}", "waits for min_resource"),
        (LOOKS, "{use: wilcoxon, n_startup_steps: 1000}", "n_startup_steps 1000"),
    ],
)
def test_a_pruner_that_can_never_stop_a_trial_is_refused(
    tmp_path: Path, evaluate: str, pruner: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=f"(?s)sweep.pruner: the pruner can never stop a trial.*{message}"):
        searched(tmp_path, evaluate, f"pruner: {pruner}")


@pytest.mark.parametrize(
    "pruner",
    [
        "{use: median}",
        "{use: median, n_warmup_steps: 15}",
        "{use: halving}",
        "{use: halving, min_resource: 4}",
        "{use: hyperband}",
        "{use: wilcoxon}",
    ],
)
def test_a_pruner_that_may_stop_a_trial_is_taken(tmp_path: Path, pruner: str) -> None:
    assert searched(tmp_path, LOOKS, f"pruner: {pruner}").sweep.pruner is not None


def test_a_pruner_sees_the_longest_training_that_is_sought(tmp_path: Path) -> None:
    text = STEPS + "    train.finetune.steps: {choices: [4, 40]}\n"
    pruner = "pruner: {use: median, n_warmup_steps: 30}"
    assert searched(tmp_path, LOOKS, pruner, text)
    with pytest.raises(RecipeError, match="can never stop"):
        searched(tmp_path, LOOKS, pruner, text.replace("[4, 40]", "[4, 30]"))


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("objectives: [{metric: parameters}]\n  pruner: {use: median}", "parameters is a cost"),
        ("objectives: [{metric: presense}]", "no benchmark named 'presense' to seek.*did you mean presence"),
        ("sampler: {use: cmaes}", "two ranges or more .* the space has 1.*Use tpe or gp"),
        ("sampler: {use: cmaes}\n  objectives: [{metric: mean}, {metric: parameters}]", "cmaes seeks one objective"),
        ("limits: [{metric: parameters, at_least: 3, at_most: 2}]", "expected at_least up to at_most, found 3 and 2"),
        ("sampler: {use: grid}\n  objectives: [{metric: mean}]\n", None),
    ],
)
def test_parts_of_a_search_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, after: str, message: str | None
) -> None:
    if message is None:
        searched(tmp_path, LOOKS, after)
        return
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        searched(tmp_path, LOOKS, after)


def test_an_objective_that_is_not_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"presence is not among evaluate.benchmarks"):
        searched(tmp_path, "evaluate: {benchmarks: [count]}\n", "objectives: [{metric: presence}]")


def test_a_grid_runs_all_of_its_points_or_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"(?s)a grid runs all its 4 points, and sweep.trials says 3.*random"):
        searched(tmp_path, "", "sampler: {use: grid}", STEPS.replace("trials: 8", "trials: 3"))
    plan = searched(tmp_path, "", "sampler: {use: grid}\n  seed: 3")
    assert remarks(plan.recipe) == [
        "sweep.trials is 8, but the grid has 4 points: each runs once",
        "sweep.seed is not read: a grid samples nothing",
    ]


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (
            "sampler: {use: tpe}",
            "tpe draws its first 10 trials at random, so all 8 are",
        ),
        ("sampler: {use: random}", "8 trials, but the space has 4 points at most"),
    ],
)
def test_what_a_search_will_not_do_is_told(tmp_path: Path, after: str, message: str) -> None:
    assert message in "\n".join(remarks(searched(tmp_path, "", after).recipe))


def test_a_pruner_that_waits_for_more_trials_than_there_are_is_told(tmp_path: Path) -> None:
    plan = searched(tmp_path, LOOKS, "pruner: {use: median}", STEPS.replace("trials: 8", "trials: 4"))
    assert "the pruner never stops one of 4 trials: sweep.pruner.n_startup_trials is 5" in remarks(plan.recipe)
    assert not any("pruner" in text for text in remarks(plan.recipe, 8))


def test_a_sampler_tells_what_it_draws_at_random(tmp_path: Path) -> None:
    text = RECIPE + "    model.projector.use: {choices: [mlp/fused, mlp/gelu]}\n" + RANGES
    plan = searched(tmp_path, "", "sampler: {use: cmaes}", text)
    assert remarks(plan.recipe)[-1].startswith("cmaes draws model.projector.use at random: it learns from ranges")


def test_a_recipe_with_an_ablation_and_a_search_is_refused_as_a_search(tmp_path: Path) -> None:
    ablation = (
        "ablation: {factor: model.projector, reference: a, arms: {a: {}, b: {model: {projector: {hidden: 8}}}}}\n"
    )
    with pytest.raises(RecipeError, match=r"(?s)an ablation and a search.*--set ablation=null"):
        searched(tmp_path, ablation, "seed: 3")
