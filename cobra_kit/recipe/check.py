"""A merged recipe against the schema: every error located, with the nearest known key."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.formatting import suggest
from cobra_kit.paper import paper_table
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.schema import ARM_KEYS, ARM_SECTIONS, Recipe, RecipeFile
from cobra_kit.recipe.tree import Node, PathKeys, dotted

Model = TypeVar("Model", bound=BaseModel)


def check_structure(tree: Node) -> tuple[Recipe | None, list[RecipeError]]:
    """Returns the recipe, or None and what is wrong with it.

    Args:
        tree: A merged recipe without `extends` and `profiles`.
    """
    recipe, problems = validate(Recipe, tree, (), extra_known=RecipeFile.model_fields)
    if recipe is None:
        return None, problems
    if recipe.paper is not None:
        problems += _check_published(tree, ("paper",), recipe.paper.table, {"row": recipe.paper.row})
    if recipe.ablation is not None:
        problems += _check_ablation(tree, recipe)
    return (None if problems else recipe), problems


def validate(
    model: type[Model],
    tree: Node,
    path: PathKeys,
    *,
    without: Sequence[str] = (),
    extra_known: Mapping[str, Any] | None = None,
) -> tuple[Model | None, list[RecipeError]]:
    """Returns the value at a path as a pydantic model, or None and what is wrong with it.

    Types are strict, as YAML has its own: the text `"2"` is no number. The check goes through JSON, whose strict mode
    still takes a list for a tuple and a text for a path.

    Args:
        model: What the value must fit.
        tree: The merged recipe, as a tree of nodes.
        path: Where in the recipe the value stands.
        without: Keys of the value that are not the model's.
        extra_known: Further names of the top level, for `did you mean`.
    """
    node = tree.get(*path)
    value = Node({}, tree.origin) if node is None else node
    if without:
        value = value.without(*without)
    try:
        return model.model_validate_json(json.dumps(value.plain()), strict=True), []
    except ValidationError as error:
        return None, _problems(error, model, tree, tuple(path), extra_known or {})


def _problems(
    error: ValidationError, model: type[BaseModel], tree: Node, path: PathKeys, extra_known: Mapping[str, Any]
) -> list[RecipeError]:
    problems: dict[tuple[str | int, ...], RecipeError] = {}
    expected: dict[tuple[str | int, ...], list[str]] = {}
    for item in error.errors(include_url=False):
        loc, kind = item["loc"], item["type"]
        if loc and loc[-1] == "[key]":
            loc = loc[:-1]
        loc = _without_members(loc, tree, path)
        keys = (*path, *loc)
        if kind == "extra_forbidden":
            problems[keys] = _unknown_key(model, tree, path, loc, extra_known)
        elif kind == "missing":
            problems[keys] = problem(tree, keys, "is missing")
        else:
            real = _existing(tree, keys)  # a union adds the names of its members to the path
            text = _expectation(item["msg"], kind)
            if any(isinstance(key, int) for key in keys[len(real) :]):
                text = text.replace("expected ", "expected, in a list, ", 1)
            expected.setdefault(real, []).append(text)
            problems[real] = problem(tree, real, _wrong_value(expected[real], tree, real))
    # Of a value that may be a text or a mapping and is a mapping, what is wrong inside says enough.
    return [error for keys, error in problems.items() if not _is_told_inside(keys, problems, tree)]


def _without_members(loc: PathKeys, tree: Node, path: PathKeys) -> tuple[str | int, ...]:
    """Returns a location without the names that a union's members have in it; the last key may be missing."""
    *inside, last = loc or ("",)
    if isinstance(last, int):  # of a value that may also be a list, the value itself is wrong
        return tuple(loc)
    real: tuple[str | int, ...] = ()
    for key in inside:
        if tree.get(*path, *real, key) is not None:
            real = (*real, key)
    return (*real, last) if loc else ()


def _is_told_inside(keys: PathKeys, problems: Collection[PathKeys], tree: Node) -> bool:
    node, depth = tree.get(*keys), len(keys)
    inside = any(len(other) > depth and tuple(other[:depth]) == tuple(keys) for other in problems)
    return inside and node is not None and isinstance(node.value, (dict, list))


def _existing(tree: Node, keys: PathKeys) -> tuple[str | int, ...]:
    *_, (depth, _) = tree.walk(keys)
    return tuple(keys[:depth])


# What YAML calls the things that JSON and Python have other names for.
_EXPECTED = {
    "string_type": "expected a text",
    "int_type": "expected an integer",
    "int_from_float": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "none_required": "expected null",
}


def _expectation(message: str, kind: str) -> str:
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    for start in ("Input should be ", "String should ", "List should ", "Dictionary should "):
        if message.startswith(start):
            return f"expected {'' if start.startswith('Input') else 'it to '}{message.removeprefix(start)}"
    return message[:1].lower() + message[1:]


def _wrong_value(expectations: Sequence[str], tree: Node, keys: PathKeys) -> str:
    first, *others = dict.fromkeys(expectations)
    text = first + "".join(f" or {other.removeprefix('expected').lstrip(', ')}" for other in others)
    node = tree.get(*keys)
    return text if node is None or "found" in text else f"{text}, found {format_node(node)}"


def format_node(node: Node, limit: int = 60) -> str:
    """Returns a value as an error shows it: JSON, cut short, with the kind of what is no scalar."""
    text = json.dumps(node.plain(), ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _unknown_key(
    model: type[BaseModel], tree: Node, path: PathKeys, loc: PathKeys, extra_known: Mapping[str, Any]
) -> RecipeError:
    keys, name = (*path, *loc), str(loc[-1])
    known = [*_fields_at(model, loc[:-1])]
    if len(keys) == 1:
        known = list(dict.fromkeys([*extra_known, *known]))
    prefix = f"{dotted(keys[:-1])}." if len(keys) > 1 else ""
    return problem(tree, keys, "unknown key", suggest(name, known, what="known keys", prefix=prefix))


def _fields_at(model: type[BaseModel], loc: PathKeys) -> list[str]:
    """Returns the field names of the model that stands at a path within `model`."""
    annotation: Any = model
    for key in loc:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(key))
            annotation = None if field is None else field.annotation
        elif get_origin(annotation) in {dict, list}:
            annotation = get_args(annotation)[-1]
        if get_origin(annotation) in {Union, UnionType}:
            annotation = next((a for a in get_args(annotation) if a is not type(None)), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return []


def _check_ablation(tree: Node, recipe: Recipe) -> list[RecipeError]:
    ablation = recipe.ablation
    assert ablation is not None
    problems: list[RecipeError] = []

    def refuse(keys: PathKeys, name: str, message: str, known: Sequence[str], what: str) -> None:
        problems.append(problem(tree, ("ablation", *keys), message, suggest(name, known, what=what)))

    names = list(ablation.arms)
    if ablation.reference not in names:
        refuse(("reference",), ablation.reference, f"no arm named {ablation.reference!r}", names, "arms")
    for name in ablation.paper.rows if ablation.paper else ():
        if name not in names:
            refuse(("paper", "rows", name), name, f"no arm named {name!r}", names, "arms")
    if ablation.paper is not None:
        paper = ablation.paper
        problems += _check_published(tree, ("ablation", "paper"), paper.table, paper.rows, below=("rows",))
    for name in ablation.not_meaningful:
        if name not in names:
            refuse(("not_meaningful", name), name, f"no arm named {name!r}", names, "arms")
    if ablation.reference in ablation.not_meaningful:
        message = "the reference must be run, or there is nothing to compare with"
        problems.append(problem(tree, ("ablation", "not_meaningful", ablation.reference), message))
    for arm, changes in ablation.arms.items():
        for key in changes or ():
            if key not in ARM_SECTIONS:
                refuse(("arms", arm, key), key, "an arm cannot change this", ARM_SECTIONS, "it can change")
        for section, keys in ARM_KEYS.items():
            inside = (changes or {}).get(section)
            for key in inside if isinstance(inside, dict) else ():
                if key not in keys:
                    refuse(("arms", arm, section, key), key, "an arm cannot change this", keys, "it can change")
    return problems


def _check_published(
    tree: Node, path: PathKeys, table: str, rows: Mapping[str, str], below: PathKeys = ()
) -> list[RecipeError]:
    """Returns what is wrong with the names of a published table and its rows: known now, not after the training."""
    try:
        known = paper_table(table).rows
    except CobraError as error:
        return [problem(tree, (*path, "table"), error.message, error.hint)]
    return [
        problem(tree, (*path, *below, key), f"{table} has no row {row!r}", suggest(row, known, what="its rows"))
        for key, row in rows.items()
        if row not in known
    ]
