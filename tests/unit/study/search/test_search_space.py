"""Spaces: what trials suggest, grids, conditions, and mistakes found before the first trial."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe, load_recipe
from cobra_kit.recipe.sweep import Choice
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


def space_of(searched: Recipe):
    assert searched.sweep is not None
    return searched.sweep.space


def test_every_suggestion_is_a_recipe(tmp_path: Path) -> None:
    searched = recipe(tmp_path, SPACE)
    check_space(searched)
    study = optuna.create_study(sampler=make_sampler(searched))
    seen = set()
    for _ in range(10):
        trial = study.ask()
        values = suggest(trial, space_of(searched))
        point = point_recipe(searched, values)
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
    searched = recipe(tmp_path, WHEN)
    points = grid(searched, space_of(searched))
    assert len(points) == 2 * (3 + 1)
    assert {"model.vision_encoder": "one", "model.projector.use": "mlp/gelu"} in points
    assert point_recipe(searched, points[-1]).part("vision_encoder").use == "siglip/tiny"


def test_a_grid_of_a_range_without_steps_is_refused(tmp_path: Path) -> None:
    searched = recipe(tmp_path, SPACE)
    with pytest.raises(RecipeError, match="a grid needs steps") as caught:
        grid(searched, space_of(searched))
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
    searched = recipe(tmp_path, SPACE + f"  sampler: {{use: {name}}}\n")
    assert isinstance(make_sampler(searched), optuna.samplers.BaseSampler)


@pytest.mark.parametrize(
    ("name", "options"), [("median", "n_warmup_steps: 3"), ("halving", ""), ("hyperband", ""), ("wilcoxon", "")]
)
def test_every_pruner_is_there(tmp_path: Path, name: str, options: str) -> None:
    searched = recipe(tmp_path, SPACE + f"  pruner: {{use: {name}{', ' if options else ''}{options}}}\n")
    assert isinstance(make_pruner(searched), optuna.pruners.BasePruner)
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
    searched = recipe(tmp_path, SPACE + f"  {text}\n")
    make = make_pruner if text.startswith("pruner") else make_sampler
    with pytest.raises(RecipeError, match=message) as caught:
        make(searched)
    assert "r.yaml" in str(caught.value)


def test_two_workers_do_not_suggest_the_same(tmp_path: Path) -> None:
    searched = recipe(tmp_path, SPACE + "  sampler: {use: random}\n")
    points = [
        suggest(optuna.create_study(sampler=make_sampler(searched, worker)).ask(), space_of(searched))
        for worker in (0, 1)
    ]
    assert points[0] != points[1]
    again = suggest(optuna.create_study(sampler=make_sampler(searched, 0)).ask(), space_of(searched))
    assert again == points[0]


DECIMAL = """
  space:
    train.finetune.weight_decay: {low: 0.1, high: 0.3, step: 0.1}
    train.finetune.warmup_ratio: {low: 0.0, high: 0.7, step: 0.1, when: {train.finetune.weight_decay: 0.3}}
"""
WARMUPS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_steps_of_a_grid_are_decimal_and_the_end_is_one_of_them(tmp_path: Path) -> None:
    searched = recipe(tmp_path, DECIMAL)
    points = grid(searched, space_of(searched))
    assert [point["train.finetune.weight_decay"] for point in points[:3]] == [0.1, 0.2, 0.3]
    assert [point["train.finetune.warmup_ratio"] for point in points[2:]] == WARMUPS
    assert "0.30000000000000004" not in str(points)


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii"])
def test_samplers_suggest_and_record_decimal_steps(tmp_path: Path, name: str) -> None:
    searched = recipe(tmp_path, DECIMAL + f"  sampler: {{use: {name}}}\n")
    study = optuna.create_study()
    seen = set()
    for number in range(60):
        study.sampler = make_sampler(searched, number)
        trial = study.ask()
        values = suggest(trial, space_of(searched))
        assert values == trial.params == study.trials[-1].params
        seen |= set(values.items())
        study.tell(trial, 1.0)
    assert {value for path, value in seen if path == "train.finetune.weight_decay"} == {0.1, 0.2, 0.3}
    assert {value for path, value in seen if path == "train.finetune.warmup_ratio"} <= set(WARMUPS)


@given(
    low=st.integers(-500, 500),
    step=st.integers(1, 300),
    count=st.integers(2, 40),
    scale=st.sampled_from([10, 100, 1000]),
)
def test_every_value_of_a_range_with_steps_is_the_nearest_float_of_its_decimal(
    low: int, step: int, count: int, scale: int
) -> None:
    high = (low + step * (count - 1)) / scale
    choice = Choice(low=low / scale, high=high, step=step / scale)
    assert choice.values() == [(low + step * number) / scale for number in range(count)]
    assert choice.values()[-1] == high
    assert [choice.nearest(low / scale + number * (step / scale)) for number in range(count)] == choice.values()


def test_a_step_that_leaves_one_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"expected a step that fits between low and high, found 0\.5"):
        recipe(tmp_path, "  space: {train.finetune.weight_decay: {low: 0.1, high: 0.3, step: 0.5}}\n")


def test_a_grid_is_counted_before_it_is_laid_down(tmp_path: Path) -> None:
    searched = recipe(tmp_path, "  space: {model.backbone.n_layer: {low: 1, high: 1000000000000}}\n")
    with pytest.raises(RecipeError, match="a grid of 1,000,000,000,000 points"):
        grid(searched, space_of(searched))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: {choices: [1, 2]}", "(?s)all trials have the recipe's seed.*--set seed=2.*ablation.seeds"),
        ("title: {choices: [a, b]}", "(?s)no trial reads title.*below model, data, train, evaluate"),
        ("extends: {choices: [cobra_3b, cobra_8b]}", "no trial reads extends"),
        ("profiles.laptop.seed: {low: 1, high: 2}", "no trial reads profiles"),
        ("sweep.trials: {low: 1, high: 2}", "no trial reads sweep"),
        ("ablation.seeds: {choices: {a: [1], b: [2]}}", "no trial reads ablation"),
        ("requires: {choices: {a: [], b: [torch]}}", "no trial reads requires"),
        ("evaluate.validation.every_steps: {choices: [2, 4]}", "(?s)validation changes no weights.*keep: best"),
        ("evaluate.validation.questions: {choices: [2, 4]}", "validation changes no weights"),
        ("evaluate.batch_size: {choices: [2, 4]}", "how fast questions are answered"),
        ("evaluate.precision.weights: {choices: [trained, trained]}", "all its values give the same trial"),
        ("model.backbone.use: {choices: [mamba/tiny, mamba/tinny]}", "(?s)no backbone named.*mamba/tiny"),
        ("model.backbone.use: {choices: [mamba/tiny, mamba2-tiny, mamba/mamba2-tiny]}", "are the same setting"),
        ("train.finetune.weight_decay: {choices: [0.1, 0.2, 0.1]}", "0.1 and 0.1 are the same setting"),
        ("train.finetune.learning_rate: {choices: [1, 1.0]}", "all its values give the same trial"),
        ("train.finetune: {choices: {a: {weight_decay: 0.1}, b: {weight_decay: 0.1}}}", "give the same trial"),
        ("data.beauty: {choices: [1, 2]}", "(?s)takes none of these values.*unknown key"),
        ("train.align.learning_rate: {choices: [0.1, 0.2]}", "(?s)takes none of these values.*epochs or steps"),
        (
            "{model.projector.expansion: {choices: [2, 3]}, model.projector.use: {choices: [mlp/fused, mlp/gelu]}}",
            "(?s)no trial can have it where model.projector.use is mlp/gelu.*when: .model.projector.use: VALUE",
        ),
        (
            "{train.finetune.weight_decay: {low: 0.1, high: 0.2}, "
            "train.finetune: {choices: {a: {weight_decay: 0.1}, b: {warmup_ratio: 0.2}}}}",
            "no trial reads it where train.finetune is a",
        ),
    ],
)
def test_a_path_that_no_trial_reads_is_refused(tmp_path: Path, text: str, message: str) -> None:
    searched = recipe(tmp_path, f"  space: {text if text.startswith('{') else '{' + text + '}'}\n")
    with pytest.raises(RecipeError, match=message) as caught:
        check_space(searched)
    assert "r.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "evaluate.validation.keep: {choices: [last, best]}",
        "evaluate.validation: {choices: {often: {every_steps: 2, keep: best}, never: null}}",
        "{evaluate.validation.keep: {choices: [last, best]}, "
        "evaluate.validation.every_steps: {choices: [2, 4], when: {evaluate.validation.keep: best}}}",
        "evaluate.precision.weights: {choices: [trained, int8]}",
        "data.train: {choices: [50, 100]}",
        "train.align.steps: {choices: [2, 4]}",
        "{model.projector.use: {choices: [mlp/fused, mlp/gelu]}, "
        "model.projector.expansion: {choices: [2, 3], when: {model.projector.use: mlp/fused}}}",
    ],
)
def test_a_path_that_trials_read_is_taken(tmp_path: Path, text: str) -> None:
    check_space(recipe(tmp_path, f"  space: {text if text.startswith('{') else '{' + text + '}'}\n"))


LAYERS = "model.backbone.n_layer: {low: 2, high: 6, step: 2}"
CHOSEN = "model.projector.use: {choices: [mlp/fused, mlp/gelu]}"


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{model.backbone.n_layer: 3}", "is never 3\n.*it goes from 2 to 6 in steps of 2"),
        ("{model.backbone.n_layer: [2, 8]}", "never sought for 8: model.backbone.n_layer is never 8"),
        ("{model.projector.use: [mlp/fused, mlp/fuse]}", "is never mlp/fuse"),
        ("{train.finetune.weight_decay: 0.1}", "a range without steps"),
        ("{model.projector.use: mlp/gelu, model.projector.expansion: 2}", "its conditions exclude each other"),
    ],
)
def test_a_condition_that_never_holds_is_refused(tmp_path: Path, when: str, message: str) -> None:
    text = f"""  space:
    {CHOSEN}
    {LAYERS}
    train.finetune.weight_decay: {{low: 0.1, high: 0.2}}
    model.projector.expansion: {{choices: [2, 4], when: {{model.projector.use: mlp/fused}}}}
    train.finetune.warmup_ratio: {{choices: [0.1, 0.2], when: {when}}}
"""
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        check_space(recipe(tmp_path, text))
