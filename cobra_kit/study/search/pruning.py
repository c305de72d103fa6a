"""Checks that a pruner can ever stop a trial: asked of Optuna itself, with trials that get worse one by one."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.sections import StageSection, ValidationSection
from cobra_kit.recipe.sweep import COSTS, NamedSection
from cobra_kit.study.search.algorithms import PRUNERS, make_pruner
from cobra_kit.study.search.conditions import beside
from cobra_kit.study.search.space import ends, point_recipe
from cobra_kit.trials.optuna_internals import suppress_experimental_warnings

PER_QUESTION = "wilcoxon"
"""The pruner that is told every question by itself."""
_QUESTIONS_PER_LOOK = 1_000_000
_FOR_EVER = 10**9
_STARTUP = "n_startup_trials"
_WAITING_OPTIONS = (
    _STARTUP,
    "n_warmup_steps",
    "interval_steps",
    "n_min_trials",
    "n_startup_steps",
    "min_resource",
    "min_early_stopping_rate",
    "max_resource",
)


@dataclass(frozen=True, slots=True)
class Looks:
    """The validations of a trial's last stage that a pruner is told while something can still be saved.

    Args:
        steps: The steps after which it looks, before the last one.
        end: The stage's steps; None where its length is given in epochs, so that rows must be counted first.
        questions: Asked at each.
    """

    steps: tuple[int, ...]
    end: int | None
    questions: int


def question_number(step: int, question: int) -> int:
    """Returns the number under which a pruner is told one question of the look after a step."""
    return step * _QUESTIONS_PER_LOOK + question


def check_pruner(recipe: Recipe, trials: int) -> None:
    """Raises a `RecipeError` if the recipe has a pruner that can never stop a trial.

    Args:
        recipe: It has a section `sweep`, whose space was checked.
        trials: How many there will be. Where they are too few for a pruner that waits for some by default,
            `pruner_remark` says so: more may be asked for later.
    """
    assert recipe.sweep is not None
    chosen = recipe.sweep.pruner
    if chosen is None:
        return
    metric = recipe.sweep.objectives[0].metric
    if metric in COSTS:
        raise _never(
            recipe,
            f"it sees accuracy on validation questions, and {metric} is a cost",
            "Leave the pruner out, or seek a benchmark or `mean`.",
        )
    variants = _variants(recipe)
    looks = _longest(variants)
    if looks is None:
        raise _never(
            recipe,
            "there is no validation, so it never gets a value",
            f"Add evaluate.validation, such as {{every_steps: {_often(variants)}}}, or leave the pruner out.",
        )
    if not looks.steps:
        raise _never(
            recipe,
            f"the first look would come at the last of {looks.end} steps, or behind it",
            f"Lower evaluate.validation.every_steps, to {_often(variants)} say, or leave the pruner out.",
        )
    waits = _waits_for(chosen)
    enough = trials if _STARTUP in chosen.options() else trials + int(waits.get(_STARTUP) or 0) + 1
    if not _can_prune(recipe, looks, enough):
        listed = ", ".join(f"{name} {value}" for name, value in waits.items())
        raise _never(
            recipe,
            _what_it_sees(looks, trials),
            f"It waits for {listed}: lower that, validate more often, run more trials, or leave the pruner out.",
        )


def pruner_remark(recipe: Recipe, trials: int) -> str | None:
    """Returns that a pruner waits for more trials than there are, or None where it does not."""
    assert recipe.sweep is not None
    chosen, looks = recipe.sweep.pruner, _longest(_variants(recipe))
    if chosen is None or looks is None or _can_prune(recipe, looks, trials):
        return None
    waits = _waits_for(chosen).get(_STARTUP)
    behind = "" if waits is None else f": sweep.pruner.{_STARTUP} is {waits}"
    return f"the pruner never stops one of {_trials(trials)}{behind}"


def _variants(recipe: Recipe) -> list[Recipe]:
    """Returns recipes of some trials: of every length that is sought, and every way of validating."""
    assert recipe.sweep is not None
    space = recipe.sweep.space
    variants = [point_recipe(recipe, {})]
    for path, choice in space.items():
        if path.startswith(("train", "evaluate")):
            for value in ends(choice):
                with contextlib.suppress(RecipeError):
                    variants.append(point_recipe(recipe, {**beside(space, path), path: value}))
    return variants


def looks_of(recipe: Recipe) -> Looks | None:
    """Returns when a trial's last stage is validated before its end, or None where it is not."""
    validation, stages = _validation(recipe), _stages(recipe)
    if validation is None or not stages:
        return None
    last, every = stages[-1], validation.every_steps
    if last.steps is None:
        # Some looks, and one behind every warm-up: only what the number of trials forbids can be known.
        return Looks((*range(every, 11 * every, every), _FOR_EVER), None, validation.questions)
    return Looks(tuple(range(every, last.steps, every)), last.steps, validation.questions)


def _longest(variants: Sequence[Recipe]) -> Looks | None:
    looks = [variant_looks for variant in variants if (variant_looks := looks_of(variant)) is not None]
    return max(looks, key=lambda seen: (seen.end is None, len(seen.steps)), default=None)


def _can_prune(recipe: Recipe, looks: Looks, trials: int) -> bool:
    import optuna

    assert recipe.sweep is not None
    assert recipe.sweep.pruner is not None
    pruner, better = make_pruner(recipe), recipe.sweep.objectives[0].better
    questions = looks.questions if recipe.sweep.pruner.use == PER_QUESTION else None
    with suppress_experimental_warnings():
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(study_name="cobra-kit", direction=better, pruner=pruner, sampler=sampler)
        for number in range(trials):
            trial = study.ask()
            worth = 1 / (1 + number) if better == "maximize" else 1 - 1 / (1 + number)
            for step in looks.steps:
                if questions is None:
                    trial.report(worth, step)
                else:
                    for question in range(questions):
                        trial.report(worth, question_number(step, question))
                if trial.should_prune():
                    return True
            study.tell(trial, worth)
    return False


def _what_it_sees(looks: Looks, trials: int) -> str:
    count = _trials(trials)
    if looks.end is None:
        return f"{count} are too few for it"
    steps = [str(step) for step in looks.steps]
    listed = ", ".join(steps if len(steps) < 6 else [*steps[:2], "...", steps[-1]])
    return f"in {count}, with looks at {'step' if len(steps) == 1 else 'steps'} {listed} of {looks.end}"


def _waits_for(chosen: NamedSection) -> dict[str, Any]:
    """Returns the pruner's options that hold it back, Optuna's defaults included."""
    import optuna

    signature = inspect.signature(getattr(optuna.pruners, PRUNERS[chosen.use]).__init__).parameters
    return {name: chosen.options().get(name, signature[name].default) for name in _WAITING_OPTIONS if name in signature}


def _trials(count: int) -> str:
    return f"{count} {'trial' if count == 1 else 'trials'}"


def _never(recipe: Recipe, why: str, hint: str) -> RecipeError:
    return problem(recipe.tree, ("sweep", "pruner"), f"the pruner can never stop a trial: {why}", hint)


def _often(variants: Sequence[Recipe]) -> int:
    """Returns steps between two looks that give a pruner some."""
    steps = [stages[-1].steps or 0 for variant in variants if (stages := _stages(variant))]
    return max(1, max(steps, default=0) // 5)


def _stages(recipe: Recipe) -> list[StageSection]:
    return list(recipe.train.stages().values()) if recipe.train is not None else []


def _validation(recipe: Recipe) -> ValidationSection | None:
    return recipe.evaluate.validation if recipe.evaluate is not None else None
