"""`--set a.b=c`: values from the command line, laid over the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobra_kit.errors import RecipeError
from cobra_kit.recipe.merge import join, merge
from cobra_kit.recipe.renamed import with_new_keys
from cobra_kit.recipe.tree import Node, Origin, from_plain
from cobra_kit.recipe.yaml_reader import parse_yaml

_TOO_LATE = {
    "extends": "extends is followed before --set: write a recipe of your own that extends another.",
    "profiles": "A profile is chosen before --set: choose it with --profile and set the value itself.",
}

_LONGEST_SHOWN = 200
_MOST_KEYS = 32
"""Of one path. No recipe comes near, and the tree is walked recursively."""


def apply_overrides(tree: Node, texts: Sequence[str]) -> Node:
    """Returns the tree with all `a.b=c` laid over it at once; each `c` is read as YAML.

    `a.0.b` is a setting of the first entry of the list `a`.

    At once, so that a component's settings may stand before the `use` that they belong to.

    Raises:
        RecipeError: A text has no `=`, an empty key, or a value that is not YAML.
    """
    whole: list[Node] = []
    within: list[_Change] = []
    for text in texts:
        change = _change(text)
        if _is_within_list(tree, change):
            within.append(change)
        else:
            whole.append(with_new_keys(_nested(change.keys, change.value)))
    changes = join(whole)
    changed = tree if changes is None else merge(tree, changes)
    for change in within:
        changed = _laid_into_list(changed, change)
    return changed


@dataclass(frozen=True, slots=True)
class _Change:
    keys: list[str]
    value: Node
    source: str


def _change(text: str) -> _Change:
    source = f"--set {text}" if len(text) <= _LONGEST_SHOWN else f"--set {text[:_LONGEST_SHOWN]}..."
    keys, value = _parse(text, source)
    if keys[0] in _TOO_LATE:
        raise RecipeError(f"{keys[0]} cannot be set here", where=source, hint=_TOO_LATE[keys[0]])
    return _Change(keys, value, source)


def _nested(keys: Sequence[str], value: Node) -> Node:
    overlay = value
    for key in reversed(keys):
        overlay = Node({key: overlay}, value.origin)
    return overlay


def _is_within_list(tree: Node, change: _Change) -> bool:
    """Returns whether a change is of a setting of an entry of a list, such as `data.0.quarantine`.

    Raises:
        RecipeError: It is of a list's entry as a whole, or of one that there is not.
    """
    keys = change.keys
    for depth, node in tree.walk(keys[:-1]):
        if not isinstance(node.value, list):
            continue
        entry = _entry(node.value, keys[depth])
        if entry is not None and isinstance(entry.value, dict) and depth + 1 < len(keys):
            return True
        path = ".".join(keys[:depth])
        raise RecipeError(f"{path} is a list", where=change.source, hint=f"Give the whole list: --set '{path}=[...]'")
    return False


def _entry(entries: Sequence[Node], key: str) -> Node | None:
    plain = key.isascii() and key.isdecimal() and len(key) < _MOST_KEYS
    return entries[int(key)] if plain and int(key) < len(entries) else None


def _laid_into_list(tree: Node, change: _Change) -> Node:
    keys = change.keys
    for depth, node in tree.walk(keys[:-1]):
        if not isinstance(node.value, list) or (entry := _entry(node.value, keys[depth])) is None:
            continue
        # Lists replace each other whole when recipes are merged, so the new one is made here.
        changed = merge(entry, _nested(keys[depth + 1 :], change.value))
        entries = [changed if each is entry else each for each in node.value]
        return merge(tree, _nested(keys[:depth], Node(entries, node.origin)))
    # Another --set replaced the list by something that has no such entry.
    path = ".".join(keys[:-1])
    raise RecipeError(f"{path} is not there", where=change.source, hint="Another --set replaced the list.")


def _parse(text: str, source: str) -> tuple[list[str], Node]:
    path, equals, value = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        hint = "For example: --set model.projector.use=PLUGIN/COMPONENT"
        raise RecipeError("expected key=value", where=source, hint=hint)
    if len(keys) > _MOST_KEYS:
        raise RecipeError(f"{len(keys)} keys in a row: no setting lies that deep", where=f"{source[:60]}...")
    try:
        # A line number within an option says nothing, so the option itself is every value's origin.
        return keys, from_plain(parse_yaml(value, source).plain(), Origin(source))
    except RecipeError as error:
        raise RecipeError(error.message, where=source, hint=error.hint) from error
