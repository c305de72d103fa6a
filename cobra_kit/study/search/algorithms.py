"""Optuna's samplers and pruners by name, their options checked against Optuna's own signatures."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cobra_kit.formatting import suggest
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.sweep import MAX_TRIALS, NamedSection
from cobra_kit.trials.optuna_internals import suppress_experimental_warnings

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

GRID = "grid"
SAMPLERS: Mapping[str, str] = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "random": "RandomSampler",
    GRID: "RandomSampler",  # every point is laid down beforehand, so nothing is sampled
}
PRUNERS: Mapping[str, str] = {
    "median": "MedianPruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "wilcoxon": "WilcoxonPruner",
}
_OURS = ("seed", "constraints_func")


def make_sampler(recipe: Recipe, trial: int = 0) -> BaseSampler:
    """Returns the sampler that the recipe names.

    Args:
        recipe: It has a section `sweep`.
        trial: Number of the trial it is for. Each has its own seed: a search that was interrupted, or that several
            processes share, suggests nothing twice.

    Raises:
        RecipeError: The name or an option is unknown, or a value is refused.
    """
    import optuna

    from cobra_kit.model.seeding import derive_seed  # brings torch, which reading a study does not need

    assert recipe.sweep is not None
    chosen = recipe.sweep.sampler
    cls = _class(recipe, "sampler", chosen, SAMPLERS, optuna.samplers)
    ours: dict[str, Any] = (
        {} if chosen.use == GRID else {"seed": derive_seed(recipe.sweep.seed, "trial", trial) % 2**32}
    )
    if chosen.use == "tpe" and "constant_liar" not in chosen.options():
        ours["constant_liar"] = True  # what others are trying at this moment is not tried again
    from cobra_kit.study.search.steps import DecimalSteps

    return DecimalSteps(_made(recipe, "sampler", cls, chosen, ours), recipe.sweep.space)


def make_pruner(recipe: Recipe) -> BasePruner:
    """Returns the pruner that the recipe names; without one, one that prunes nothing.

    Raises:
        RecipeError: The name or an option is unknown, or a value is refused.
    """
    import optuna

    assert recipe.sweep is not None
    chosen = recipe.sweep.pruner
    if chosen is None:
        return optuna.pruners.NopPruner()
    cls = _class(recipe, "pruner", chosen, PRUNERS, optuna.pruners)
    pruner: BasePruner = _made(recipe, "pruner", cls, chosen, {})
    return pruner


def _class(recipe: Recipe, key: str, chosen: NamedSection, known: Mapping[str, str], module: Any) -> Any:
    if chosen.use not in known:
        raise problem(
            recipe.tree, ("sweep", key, "use"), f"no {key} named {chosen.use!r}", suggest(chosen.use, known, what=key)
        )
    return getattr(module, known[chosen.use])


def _made(recipe: Recipe, key: str, cls: Any, chosen: NamedSection, ours: Mapping[str, Any]) -> Any:
    known = [name for name in inspect.signature(cls.__init__).parameters if name not in ("self", *_OURS)]
    options = chosen.options()
    if chosen.use == GRID:
        known = []
    for name in options:
        if name not in known:
            hint = suggest(name, known, what="options") if known else "it has none"
            raise problem(recipe.tree, ("sweep", key, name), f"{chosen.use} has no option {name!r}", hint)
    for name, value in options.items():
        if isinstance(value, int) and abs(value) > MAX_TRIALS and name != "seed":
            message = f"expected at most {MAX_TRIALS:,}, found {value:,}"
            raise problem(recipe.tree, ("sweep", key, name), message)
    try:
        with suppress_experimental_warnings():
            return cls(**options, **ours)
    except (TypeError, ValueError, ImportError) as error:
        raise problem(recipe.tree, ("sweep", key), f"Optuna refuses {chosen.use}: {error}") from error
