"""The faults of a search space, found before the first trial."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.plugin import KINDS
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.sweep import Scalar
from cobra_kit.study.search.conditions import beside, impossible_conditions, show_value
from cobra_kit.study.search.effect import SECTIONS, Inputs, inputs_of, why_not_read
from cobra_kit.study.search.space import Space, Values, applies, ends


def check_space(recipe: Recipe, registry: Registry | None = None) -> None:
    """Tries every choice and both ends of every range once, each beside what the recipe has without the search.

    A point that only fails in combination is a finding of the search, not a mistake of the space.

    Args:
        recipe: It has a section `sweep`.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: A condition can never hold, a path or a value is not the recipe's, or no trial reads it.
    """
    assert recipe.sweep is not None
    space = recipe.sweep.space
    name = f"the recipe {recipe.name!r}"
    raise_problems(name, [_unread(recipe, path) for path in space if path.partition(".")[0] not in SECTIONS])
    raise_problems(name, impossible_conditions(recipe, space))
    tried = {path: _Tried(recipe, space, path, registry) for path in space}
    raise_problems(name, [error for attempt in tried.values() for error in attempt.mistakes()])
    raise_problems(name, [error for attempt in tried.values() for error in attempt.without_effect()])
    raise_problems(name, _covered(recipe, space, registry))


class _Tried:
    """A path of the space with each of its values tried beside what must hold for it to be sought."""

    def __init__(self, recipe: Recipe, space: Space, path: str, registry: Registry | None) -> None:
        self._recipe, self._path, self._choice = recipe, path, space[path]
        self._registry = registry or default_registry()
        self._values = ends(self._choice)
        self._failed: list[RecipeError] = []
        self._inputs: list[tuple[Scalar, Inputs]] = []
        held = beside(space, path)
        for value in self._values:
            try:
                self._inputs.append((value, inputs_of(recipe, {**held, path: value}, registry)))
            except RecipeError as error:
                self._failed.append(error)

    def mistakes(self) -> list[RecipeError]:
        """Returns an error if no value fits; one that does not fit the recipe's own may fit others of the space.

        A component that is not there fits nowhere.
        """
        if len(self._failed) < len(self._values):
            return self._unknown_components()
        path = self._path
        hint = f"{self._failed[0].message}"
        if path.startswith("model.") and not path.endswith(".use") and not self._choice.when:
            hint += (
                f"\nIf only some components have it, say which: when: {{{path.rpartition('.')[0]}.use: PLUGIN/NAME}}"
            )
        return [problem(self._recipe.tree, self._keys, "the recipe takes none of these values", hint)]

    def _unknown_components(self) -> list[RecipeError]:
        section, _, rest = self._path.partition(".")
        kind = next((kind for kind in KINDS if rest == f"{kind}.use"), None)
        problems: list[RecipeError] = []
        if section != "model" or kind is None or not self._failed:
            return problems
        for value in self._values:
            try:
                self._registry.get(kind, str(value))
            except PluginError as error:
                problems.append(problem(self._recipe.tree, self._keys, error.message, error.hint))
        return problems

    def without_effect(self) -> list[RecipeError]:
        """Returns an error if no trial reads the path, or if two of its values are one."""
        if len(self._inputs) < 2:
            return []
        _, first = self._inputs[0]
        if all(inputs == first for _, inputs in self._inputs):
            return [_unread(self._recipe, self._path)]
        for (left, ours), (right, theirs) in itertools.combinations(self._inputs, 2):
            if ours == theirs:
                message = f"{show_value(left)} and {show_value(right)} are the same setting"
                return [problem(self._recipe.tree, self._keys, message, "Remove one of them.")]
        return []

    @property
    def _keys(self) -> tuple[str, ...]:
        return ("sweep", "space", self._path)


def _unread(recipe: Recipe, path: str) -> RecipeError:
    message, hint = why_not_read(path)
    return problem(recipe.tree, ("sweep", "space", path), message, hint)


def _covered(recipe: Recipe, space: Space, registry: Registry | None) -> list[RecipeError]:
    """Returns an error per path that is sought in vain beside a value of another: what stands below in the space is
    laid over it, and another component brings its own settings."""
    problems: list[RecipeError] = []
    for (path, choice), (other, covering) in itertools.permutations(space.items(), 2):
        if not _may_cover(other, path):
            continue
        for value in ends(covering):
            held = {**beside(space, path), **beside(space, other), other: value}
            if not applies(choice, held) or not applies(covering, held):
                continue
            inputs = list(_distinct(recipe, space, path, held, registry))
            if not inputs and _fits(recipe, {**beside(space, other), other: value}, registry):
                message = f"no trial can have it where {other} is {show_value(value)}"
                hint = f"Say beside which values of {other} it is sought: when: {{{other}: VALUE}}"
                problems.append(problem(recipe.tree, ("sweep", "space", path), message, hint))
                break
            if len(inputs) > 1 and all(other_inputs == inputs[0] for other_inputs in inputs):
                message = f"no trial reads it where {other} is {show_value(value)}"
                hint = f"Write it below {other}, and beside which of its values it is sought: when: {{{other}: VALUE}}"
                problems.append(problem(recipe.tree, ("sweep", "space", path), message, hint))
                break
    return problems


def _fits(recipe: Recipe, values: Values, registry: Registry | None) -> bool:
    """Returns whether the recipe takes some values by themselves."""
    try:
        inputs_of(recipe, values, registry)
    except RecipeError:
        return False
    return True


def _may_cover(other: str, path: str) -> bool:
    """Returns whether a path may replace what stands at another: it names a component or a source, or is a mapping."""
    place, _, key = other.rpartition(".")
    if key in ("use", "source"):
        return path.startswith(f"{place}.") or path == place
    return path.startswith(f"{other}.") or path == other


def _distinct(recipe: Recipe, space: Space, path: str, held: Values, registry: Registry | None) -> Iterator[Inputs]:
    """Yields what trials run on for every value of a path, where the recipe takes it, laid on in the space's order."""
    for value in ends(space[path]):
        values = {**held, path: value}
        with contextlib.suppress(RecipeError):
            yield inputs_of(recipe, {key: values[key] for key in space if key in values}, registry)
