"""`--set a.b=c`: values from the command line, laid over the recipe."""

from __future__ import annotations

from collections.abc import Sequence

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

    At once, so that a component's settings may stand before the `use` that they belong to.

    Raises:
        RecipeError: A text has no `=`, an empty key, or a value that is not YAML.
    """
    changes = join(with_new_keys(_change(tree, text)) for text in texts)
    return tree if changes is None else merge(tree, changes)


def _change(tree: Node, text: str) -> Node:
    source = f"--set {text}" if len(text) <= _LONGEST_SHOWN else f"--set {text[:_LONGEST_SHOWN]}..."
    keys, value = _parse(text, source)
    if keys[0] in _TOO_LATE:
        raise RecipeError(f"{keys[0]} cannot be set here", where=source, hint=_TOO_LATE[keys[0]])
    for depth, node in tree.walk(keys[:-1]):
        if isinstance(node.value, list):
            path = ".".join(keys[:depth])
            raise RecipeError(f"{path} is a list", where=source, hint=f"Give the whole list: --set '{path}=[...]'")
    overlay = value
    for key in reversed(keys):
        overlay = Node({key: overlay}, Origin(source))
    return overlay


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
