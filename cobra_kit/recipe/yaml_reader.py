"""YAML text to located values and back: YAML 1.2 scalars, plain data only, nothing is ever executed.

PyYAML reads YAML 1.1, where `no` is a boolean, `1e-3` a text and `2024-01-01` a date. The resolvers below are those
of the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/, section 10.3).
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import yaml

from cobra_kit.errors import RecipeError, first_line
from cobra_kit.files import nested_deeper
from cobra_kit.recipe.tree import Node, Origin, Plain, Scalar

MAX_NODES = 50_000  # far above any recipe; stops texts whose aliases expand without end
MAX_DEPTH = 300  # likewise

_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_SCALARS = (("null", _NULL), ("bool", _BOOL), ("int", _INT), ("float", _FLOAT))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    """Quotes a text that either YAML 1.1 or 1.2 would take for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: list(resolvers) for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # PyYAML writes line separators such as U+0085 in plain and single-quoted texts, and reads them back as blanks.
        return self.represent_scalar(f"{_TAG}str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)

for _name, _pattern in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, None)
    _Dumper.add_implicit_resolver(_TAG + _name, _pattern, None)


def parse_yaml(text: str, source: str) -> Node:
    """Returns the value of a YAML text.

    Args:
        text: One YAML document.
        source: What errors call it: a path, or `--set a.b=c`.

    Raises:
        RecipeError: It is not valid YAML, holds more than plain data, or a key twice.
    """
    if nested_deeper(text, MAX_DEPTH):  # PyYAML takes its time before it gives up
        raise RecipeError("nested too deeply", where=source)
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return Node(None, Origin(source, 1, 1))
        return _Locator(source).node(root, Origin(source, 1, 1))
    except yaml.MarkedYAMLError as error:
        _refuse_syntax(error, text, source)
    except yaml.YAMLError as error:
        raise RecipeError(f"not valid YAML: {first_line(error)}", where=source) from error
    except RecursionError as error:
        raise RecipeError("nested too deeply", where=source) from error
    finally:
        if loader is not None:
            loader.dispose()


def dump_yaml(value: Plain) -> str:
    """Returns the YAML text of plain data; `parse_yaml` reads the same data back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Locator:
    """Turns PyYAML's node graph into a tree of located values."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.open: set[int] = set()
        self.count = 0

    def node(self, node: yaml.Node, origin: Origin) -> Node:
        self.count += 1
        if self.count > MAX_NODES:
            raise RecipeError(f"more than {MAX_NODES:,} values, aliases counted", where=str(origin))
        if id(node) in self.open:
            raise RecipeError("an alias points at a value that contains it", where=str(origin))
        self._check_tag(node)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return Node(self._mapping(node), origin)
            if isinstance(node, yaml.SequenceNode):
                return Node([self.node(child, self._place(child)) for child in node.value], origin)
            return Node(self._scalar(node), origin)
        finally:
            self.open.discard(id(node))

    def _place(self, node: yaml.Node) -> Origin:
        return Origin(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            key = key_node.value  # as it is written: an arm may be called `no` or `2`
            self._check_tag(key_node)
            if not isinstance(key, str) or not key:
                raise RecipeError("a key must be a name", where=str(place))
            _check_text(key, place)
            if key == "<<":
                raise RecipeError(
                    "merge keys ('<<') are not part of a recipe",
                    where=str(place),
                    hint="Use extends, a profile, or write the values out.",
                )
            if key in entries:
                first = entries[key].origin
                raise RecipeError(
                    f"the key {key!r} stands twice", where=str(place), hint=f"It stands in line {first.line} too."
                )
            entries[key] = self.node(value_node, place)
        return entries

    def _check_tag(self, node: yaml.Node) -> None:
        allowed = {
            yaml.MappingNode: ("map",),
            yaml.SequenceNode: ("seq",),
            yaml.ScalarNode: ("str", "null", "bool", "int", "float"),
        }[type(node)]
        if node.tag.removeprefix(_TAG) not in allowed or not node.tag.startswith(_TAG):
            tag = node.tag.replace(_TAG, "!!")
            raise RecipeError(
                f"the tag {tag!r} is not allowed",
                where=str(self._place(node)),
                hint="A recipe is plain data (texts, numbers, true, false, null) and never runs code.",
            )

    def _scalar(self, node: yaml.Node) -> Scalar:
        place, text = self._place(node), str(node.value)
        kind = node.tag.removeprefix(_TAG)
        pattern = dict(_SCALARS).get(kind)
        if pattern is not None and not pattern.match(text):  # an explicit tag, such as `!!int abc`
            raise RecipeError(f"{text!r} does not fit its tag '!!{kind}'", where=str(place))
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return _integer(text, place)
            case "float":
                return _finite(text, place)
            case _:
                _check_text(text, place)
                return text


def _integer(text: str, place: Origin) -> int:
    if len(text) > 1000:  # Python refuses more than 4,300 digits with an error of its own
        raise RecipeError(f"the number {text[:20]}... is too long", where=str(place))
    return int(text, base=8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)


def _finite(text: str, place: Origin) -> float:
    named = text.lower().endswith((".inf", ".nan"))  # Python spells them without the dot
    if named or not math.isfinite(float(text)):
        raise RecipeError(f"{text!r} is not a finite number", where=str(place))
    return float(text)


def _check_text(text: str, place: Origin) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecipeError("the text holds half of a surrogate pair", where=str(place)) from error


def _refuse_syntax(error: yaml.MarkedYAMLError, text: str, source: str) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "unreadable"
    if mark is None:
        raise RecipeError(f"not valid YAML: {problem}", where=source) from error
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = f"{line.expandtabs(4).rstrip()}" if line.strip() else ""
    if "\\t" in problem:
        problem, hint = "a tab cannot indent or separate here", f"{hint}\nIndent with spaces, not tabs."
    elif "expected a single document" in str(error):
        problem, hint = "more than one document", "Remove the lines that hold only '---'."
    place = Origin(source, mark.line + 1, mark.column + 1)
    raise RecipeError(f"not valid YAML: {problem}", where=str(place), hint=hint or None) from error
