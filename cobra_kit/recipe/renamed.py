"""Keys that recipes had under another name: read as what they are now, with a hint at the line that has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.tree import Node, dotted

logger = logging.getLogger("cobra_kit")

RENAMED_KEYS: Mapping[str, str] = {"data.pictures": "images"}
"""The last key's new name by the dotted path of the old: `data.pictures` -> `images`. The path starts at the recipe;
profiles and arms, which hold parts of one, are read alike."""


def with_new_keys(tree: Node) -> Node:
    """Returns a recipe with its renamed keys as they are called now; tells each of them, with its line.

    Raises:
        RecipeError: A mapping has a key under both names.
    """
    return _renamed(tree, tree, ()) if RENAMED_KEYS else tree


def _renamed(node: Node, tree: Node, keys: tuple[str, ...]) -> Node:
    if not isinstance(node.value, dict):
        return node
    entries: dict[str, Node] = {}
    for name, key, child in _named(node.value, keys):
        where = (*keys, key)
        if name != key and name in node.value:
            raise problem(tree, where, f"this is {name} now, which stands beside it", f"keep {name} alone")
        if name != key:
            logger.warning("%s: %s is called %s now", child.origin, dotted(where), name)
        entries[name] = _renamed(child, tree, where)
    return Node(entries, node.origin)


def _named(value: Mapping[str, Node], keys: tuple[str, ...]) -> Iterator[tuple[str, str, Node]]:
    """Yields (name now, key, node) of a mapping's entries."""
    inner = _within_recipe(keys)
    for key, child in value.items():
        yield RENAMED_KEYS.get(dotted((*inner, key)), key), key, child


def _within_recipe(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Returns a path without the profile and the arm that it stands in."""
    if keys[:1] == ("profiles",):
        keys = keys[2:]
    return keys[3:] if keys[:2] == ("ablation", "arms") else keys
