"""How one recipe is laid over another (docs/recipes.md says the same in words)."""

from __future__ import annotations

from cobra_kit.recipe.tree import Node


def merge(base: Node, overlay: Node) -> Node:
    """Returns `overlay` laid over `base`.

    Mappings merge key by key; a text, a number or a list replaces what was there. Where both mappings name a
    component with `use` and the names differ, the overlay's mapping replaces the whole one below: its other keys
    were settings of the other component. Every value keeps its origin.
    """
    if not isinstance(base.value, dict) or not isinstance(overlay.value, dict):
        return overlay
    if not _same_component(base.value.get("use"), overlay.value.get("use")):
        return overlay
    merged = dict(base.value)
    for key, node in overlay.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return Node(merged, base.origin)


def _same_component(below: Node | None, above: Node | None) -> bool:
    """A short name counts as the qualified one it ends: it is valid only while it is unique."""
    if below is None or above is None:
        return True
    a, b = below.value, above.value
    if not isinstance(a, str) or not isinstance(b, str):
        return a == b
    if "/" in a and "/" in b:
        return a == b
    return a.rpartition("/")[2] == b.rpartition("/")[2]
