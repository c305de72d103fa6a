"""Spaces: what trials suggest, grids, conditions, and mistakes found before the first trial."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe, load_recipe
from cobra_kit.study.search import check_space, grid, make_pruner, make_sampler, point_recipe, suggest

RECIPE = """
model:
  vision_encoder: {use: dinosiglip/tiny, weights: none}
  projector: {use: mlp/fused}
  fusion: {use: fusion/image-first}
  backbone: {use: mamba/tiny}
data: {source: scenes, train: 100, val: 20, test: 20}
train:
  finetune: {epochs: 1, learning_rate: 1.0e-3}
sweep:
  trials: 8
"""

SPACE = """
  space:
    model.projector.use: {choices: [mlp/fused, ldpv2/fused]}
    model.backbone.n_layer: {low: 1, high: 4}
    train.finetune.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
"""


def recipe(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + text)
    return load_recipe(path)


def space_of(one: Recipe):
    assert one.sweep is not None
    return one.sweep.space


def test_every_suggestion_is_a_recipe(tmp_path: Path) -> None:
    one = recipe(tmp_path, SPACE)
    check_space(one)
    study = optuna.create_study(sampler=make_sampler(one))
    seen = set()
    for _ in range(10):
        trial = study.ask()
        values = suggest(trial, space_of(one))
        point = point_recipe(one, values)
        assert point.sweep is None
        assert point.part("projector").use == values["model.projector.use"]
        assert point.part("backbone").settings()["n_layer"] == values["model.backbone.n_layer"]
        assert point.train is not None
        assert point.train.finetune is not None
        assert point.train.finetune.learning_rate == values["train.finetune.learning_rate"]
        seen.add(values["model.projector.use"])
        study.tell(trial, 1.0)
    assert seen == {"mlp/fused", "ldpv2/fused"}


WHEN = """
  space:
    model.vision_encoder:
      choices:
        both: {use: dinosiglip/tiny, weights: none}
        one: {use: siglip/tiny, weights: none}
    model.projector.use: {choices: [mlp/fused, mlp/gelu]}
    model.projector.expansion: {low: 1, high: 3, when: {model.projector.use: mlp/fused}}
"""


def test_a_grid_keeps_conditions_and_has_no_point_twice(tmp_path: Path) -> None:
    one = recipe(tmp_path, WHEN)
    points = grid(one, space_of(one))
    assert len(points) == 2 * (3 + 1)
    assert {"model.vision_encoder": "one", "model.projector.use": "mlp/gelu"} in points
    assert point_recipe(one, points[-1]).part("vision_encoder").use == "siglip/tiny"


def test_a_grid_of_a_range_without_steps_is_refused(tmp_path: Path) -> None:
    one = recipe(tmp_path, SPACE)
    with pytest.raises(RecipeError, match="a grid needs steps") as caught:
        grid(one, space_of(one))
    assert "r.yaml:16" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  space: {}\n", "sweep.space: expected it to have at least 1 item"),
        ("  space: {seed: {low: 3, high: 1}}\n", "expected low below high, found 3 and 1"),
        ("  space: {seed: {low: 3}}\n", "expected both low and high"),
        ("  space: {seed: {choices: [1], log: true}}\n", "expected low and high beside log or step"),
        ("  space: {seed: {low: 0, high: 1, log: true}}\n", "expected low above 0 on a logarithmic scale, found 0"),
        ("  space: {seed: {low: 0, high: 4, when: {title: a}}}\n", "does not stand above it"),
        ("  space: {seed: {low: 0, high: 4}}\n  limits: [{metric: beauty, at_most: 3}]\n", "the costs are tokens_per_"),
        (
            "  space: {seed: {low: 0, high: 4}}\n  pruner: {use: median}\n"
            "  objectives: [{metric: mean}, {metric: parameters}]\n",
            "Optuna prunes by one value",
        ),
    ],
)
def test_what_is_no_space_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        recipe(tmp_path, text)
    assert "r.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "  space: {model.projector.beauty: {low: 0, high: 1}}\n",
            "takes none of these values\n.*unknown.*\n.*when: {model.projector.use: PLUGIN/NAME}",
        ),
        ("  space: {model.projector.use: {choices: [mlp/none, mlp/nothing]}}\n", "takes none of these values"),
        (
            "  space:\n    model.projector.use: {choices: [mlp/fused]}\n"
            "    model.projector.hidden: {low: 0, high: 1, when: {model.projector.use: ldpv2/fused}}\n",
            "model.projector.hidden is never sought: model.projector.use is never ldpv2/fused",
        ),
    ],
)
def test_mistakes_are_found_before_the_first_trial(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"(?s){message}") as caught:
        check_space(recipe(tmp_path, text))
    assert "r.yaml" in str(caught.value)


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "nsgaii", "random", "grid"])
def test_every_sampler_is_there(tmp_path: Path, name: str) -> None:
    one = recipe(tmp_path, SPACE + f"  sampler: {{use: {name}}}\n")
    assert isinstance(make_sampler(one), optuna.samplers.BaseSampler)


@pytest.mark.parametrize(
    ("name", "options"), [("median", "n_warmup_steps: 3"), ("halving", ""), ("hyperband", ""), ("wilcoxon", "")]
)
def test_every_pruner_is_there(tmp_path: Path, name: str, options: str) -> None:
    one = recipe(tmp_path, SPACE + f"  pruner: {{use: {name}{', ' if options else ''}{options}}}\n")
    assert isinstance(make_pruner(one), optuna.pruners.BasePruner)
    assert isinstance(make_pruner(recipe(tmp_path, SPACE)), optuna.pruners.NopPruner)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampler: {use: tpx}", r"no sampler named 'tpx'(?s:.*)tpe"),
        ("sampler: {use: tpe, n_startup_trial: 3}", r"tpe has no option 'n_startup_trial'(?s:.*)n_startup_trials"),
        ("sampler: {use: grid, search_space: 3}", r"grid has no option 'search_space'(?s:.*)it has none"),
        ("pruner: {use: medium}", r"no pruner named 'medium'(?s:.*)median"),
        ("pruner: {use: median, n_startup_trials: -1}", "Optuna refuses median: "),
    ],
)
def test_unknown_algorithms_and_options_name_the_nearest(tmp_path: Path, text: str, message: str) -> None:
    one = recipe(tmp_path, SPACE + f"  {text}\n")
    make = make_pruner if text.startswith("pruner") else make_sampler
    with pytest.raises(RecipeError, match=message) as caught:
        make(one)
    assert "r.yaml" in str(caught.value)


def test_two_workers_do_not_suggest_the_same(tmp_path: Path) -> None:
    one = recipe(tmp_path, SPACE + "  sampler: {use: random}\n")
    found = [suggest(optuna.create_study(sampler=make_sampler(one, worker)).ask(), space_of(one)) for worker in (0, 1)]
    assert found[0] != found[1]
    again = suggest(optuna.create_study(sampler=make_sampler(one, 0)).ask(), space_of(one))
    assert again == found[0]
