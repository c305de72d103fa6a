"""The settings that reach a trial: a path of a space whose values all give the same run is accepted nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cobra_kit._plugins import Registry
from cobra_kit.recipe import Recipe, resolve
from cobra_kit.recipe.schema import ARM_SECTIONS
from cobra_kit.recipe.sections import EvaluateSection, PrecisionSection
from cobra_kit.recipe.sweep import Scalar
from cobra_kit.study.plan.study_plan import with_data
from cobra_kit.study.search.space import point_recipe

SECTIONS = ARM_SECTIONS
"""The sections of a recipe that a trial reads. Titles are words, and its seed is the recipe's."""

Inputs = Mapping[str, Any]
"""All that a trial's weights, answers and costs depend on, as plain data."""


def inputs_of(recipe: Recipe, values: Mapping[str, Scalar], registry: Registry | None = None) -> Inputs:
    """Returns what a trial with these values runs on: two that have it in common are one trial.

    Args:
        recipe: It has a section `sweep`.
        values: What was chosen, by path.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: The recipe cannot have these values.
    """
    resolved = with_data(resolve(point_recipe(recipe, values), registry))
    plain = resolved.plain()
    evaluate = resolved.recipe.evaluate or EvaluateSection()
    return {
        **{section: plain[section] for section in SECTIONS if section in plain},
        "evaluate": _effect(evaluate).model_dump(mode="json"),
    }


def _effect(section: EvaluateSection) -> EvaluateSection:
    """Returns the section without what changes nothing in a trial."""
    validation, precision = section.validation, section.precision
    return section.model_copy(
        update={
            "batch_size": 1,  # of the questions: it changes how fast they are answered, which no objective is
            "validation": validation if validation is not None and validation.keep == "best" else None,
            "precision": None if precision == PrecisionSection() else precision,
        }
    )


def why_not_read(path: str) -> tuple[str, str]:
    """Returns why no trial reads a path, and what works instead."""
    section, _, below = path.partition(".")
    if path == "seed":
        return (
            "all trials have the recipe's seed: a search over seeds would choose the luckiest one",
            "Set it for all trials with `seed` (--set seed=2), or compare over several with ablation.seeds.",
        )
    if section not in SECTIONS:
        return f"no trial reads {section}", f"A space has paths below {', '.join(SECTIONS)}."
    if section == "evaluate" and below.startswith("validation"):
        return (
            "validation changes no weights while evaluate.validation.keep is `last`",
            "With keep: best it selects them; without, set it once, outside the space.",
        )
    if path == "evaluate.batch_size":
        return (
            "it changes how fast questions are answered, and nothing that is sought",
            "Set it once, outside the space.",
        )
    return "all its values give the same trial", "Leave it out, or choose values that differ."
