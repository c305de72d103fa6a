"""The way one recipe is laid over another (docs/recipes.md says the same in words)."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.errors import RecipeError
from cobra_kit.recipe.tree import Node

_CHOOSES = "use"
_SOURCE = "source"
"""What `use` is to a component, in the section `data`."""


def merge(base: Node, overlay: Node) -> Node:
    """Returns `overlay` laid over `base`; both are whole recipes.

    Mappings merge key by key; a text, a number or a list replaces what was there. Where both mappings name a
    component with `use` and the names differ, the overlay's mapping replaces the whole one below: its other keys
    were settings of the other component. So it is with another `data.source`. Every value keeps its origin.
    """
    return _merge(base, overlay, ())


def join(changes: Iterable[Node]) -> Node | None:
    """Returns changes of equal standing as one overlay, to be laid over a recipe at once; None where there are none.

    Each may be one key of a component: its settings must not be dropped because `use` comes behind them.

    Raises:
        RecipeError: A change is a value, and another one stands below the same key.
    """
    joined: Node | None = None
    for change in changes:
        joined = change if joined is None else _join(joined, change)
    return joined


def _join(first: Node, second: Node) -> Node:
    if not isinstance(first.value, dict) and not isinstance(second.value, dict):
        return second
    if not isinstance(first.value, dict) or not isinstance(second.value, dict):
        hint = "Write one of the two: a value, or keys below it."
        raise RecipeError(f"contradicts {first.origin}", where=str(second.origin), hint=hint)
    both = dict(first.value)
    for key, node in second.value.items():
        both[key] = _join(both[key], node) if key in both else node
    return Node(both, second.origin)


def _merge(base: Node, overlay: Node, path: tuple[str, ...]) -> Node:
    if not isinstance(base.value, dict) or not isinstance(overlay.value, dict):
        return overlay
    if not _same_component(base.value.get(_CHOOSES), overlay.value.get(_CHOOSES)):
        return overlay
    if _is_data(path) and not _same_source(base.value.get(_SOURCE), overlay.value.get(_SOURCE)):
        return overlay
    merged = dict(base.value)
    for key, node in overlay.value.items():
        merged[key] = _merge(merged[key], node, (*path, key)) if key in merged else node
    return Node(merged, base.origin)


def _is_data(path: tuple[str, ...]) -> bool:
    """Returns whether a path is a section `data`: the recipe's, a profile's, or an arm's."""
    if path[:1] == ("profiles",):
        path = path[2:]
    if path[:2] == ("ablation", "arms"):
        path = path[3:]
    return path == ("data",)


def _same_source(below: Node | None, above: Node | None) -> bool:
    return below is None or above is None or below.value == above.value


def _same_component(below: Node | None, above: Node | None) -> bool:
    """Returns whether two names are one component's; a short name is that of the qualified one it ends."""
    if below is None or above is None:
        return True
    a, b = below.value, above.value
    if not isinstance(a, str) or not isinstance(b, str):
        return a == b
    if "/" in a and "/" in b:
        return a == b
    return a.rpartition("/")[2] == b.rpartition("/")[2]
