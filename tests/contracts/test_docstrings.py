"""Docstrings are sentences: what a tool can see of that is held here, for the whole package and its plugins.

A function's first line begins with a verb in the third person and ends with a full stop, that of a class or a module is
a noun phrase, and an argument is described in words. Whether the words are true, only a reader can see.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILES = sorted(path for base in ("cobra_kit", "plugins") for path in (ROOT / base).rglob("*.py"))

FEWEST_WORDS = 3
"""Of an argument's description: `How.` and `Its name.` say nothing that the argument's name does not."""

DANGLING = ("Of", "From", "In", "By", "Between", "Before", "After", "At", "On", "Until", "Likewise", "See")
"""A description that begins so leans on something that is not there."""

CLAUSE = ("What", "How", "Whether", "Which", "Where", "Who", "Whoever", "Why", "When", "It")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


def violations(text: str) -> list[str]:
    """Returns `line: name: what is wrong` of a module's text."""
    tree = ast.parse(text)
    problems = [] if ast.get_docstring(tree) else ["1: the module: no docstring"]
    problems += [f"1: the module: {problem}" for problem in _first_line(tree)]
    for node, name in _documented(tree, ""):
        wrong = [*_missing(node, name), *_first_line(node), *_arguments(node)]
        problems += [f"{node.lineno}: {name}: {problem}" for problem in wrong]
    return problems


def _documented(node: Documented, prefix: str) -> Iterator[tuple[ast.ClassDef | Function, str]]:
    """Yields classes and functions with their dotted names, but not what stands within functions."""
    for child in node.body:
        if isinstance(child, ast.ClassDef | Function):
            yield child, prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from _documented(child, f"{prefix}{child.name}.")


def _missing(node: ast.ClassDef | Function, name: str) -> Iterator[str]:
    private = any(part.startswith("_") for part in name.split("."))
    if not private and ast.get_docstring(node) is None and not {"override", "overload"} & _decorators(node):
        yield "no docstring"


def _decorators(node: ast.ClassDef | Function) -> set[str]:
    """Returns the last names of decorators: `command` of `@app.command()`."""
    return {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}


def _is_command(node: Function) -> bool:
    """Returns whether a function is a command: its docstring is the help, where the imperative is the custom."""
    return "typer." in ast.unparse(node.args) or bool(_decorators(node) & {"command", "callback"})


def _first_line(node: Documented) -> Iterator[str]:
    docstring = ast.get_docstring(node)
    if docstring is None:
        return
    first = " ".join(docstring.split("\n\n")[0].split())
    word = re.split(r"\W", first)[0]
    if not first.endswith("."):
        yield f"no full stop after {first!r}"
    if isinstance(node, Function) and not _is_command(node) and not _decorators(node) & {"property", "cached_property"}:
        if not re.fullmatch(r"[A-Z][a-z]+s", word):
            yield f"begins with {word!r}, not with a verb such as Returns"
    elif not isinstance(node, Function) and word in CLAUSE:
        yield f"begins with {word!r}, and a class or a module is a thing"


def _arguments(node: ast.ClassDef | Function) -> Iterator[str]:
    known = _parameters(node)
    for section, names, description in _entries(ast.get_docstring(node) or ""):
        title = ", ".join(names)
        if len(description.split()) < FEWEST_WORDS and not description.startswith("`["):
            yield f"{title}: {description!r} has fewer than {FEWEST_WORDS} words"
        if not description.endswith("."):
            yield f"{title}: no full stop after {description!r}"
        if description.split(" ")[0].rstrip(".") in DANGLING:
            yield f"{title}: {description!r} begins in the middle of a phrase"
        unknown = sorted(set(names) - known)
        if section == "Args" and unknown:
            yield f"describes {', '.join(unknown)}, which it does not have"


def _parameters(node: ast.ClassDef | Function) -> set[str]:
    """Returns what a function, or the constructor of a class, can be given."""
    if isinstance(node, ast.ClassDef):
        functions = [
            child for child in node.body if isinstance(child, Function) and child.name in ("__init__", "__new__")
        ]
        if not functions:
            return {ast.unparse(child.target) for child in node.body if isinstance(child, ast.AnnAssign)}
        node = functions[0]
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {argument.arg for argument in every if argument is not None}


def _entries(docstring: str) -> Iterator[tuple[str, list[str], str]]:
    """Yields section, names and description of what stands below `Args:` and `Attributes:`."""
    pattern = r"^(Args|Attributes):\n((?:[ ]+.*\n?|\n(?=[ ]))+)"
    for section, block in re.findall(pattern, docstring, re.MULTILINE):
        joined = re.sub(r"\n {5,}", " ", block)
        for line in filter(None, (line.strip() for line in joined.splitlines())):
            names, _, description = line.partition(": ")
            yield section, re.findall(r"\w+", names), description


@pytest.mark.parametrize("room", sorted({path.relative_to(ROOT).parts[:2] for path in FILES}))
def test_docstrings_are_sentences(room: tuple[str, ...]) -> None:
    files = [path for path in FILES if path.relative_to(ROOT).parts[:2] == room]
    remaining = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in violations(path.read_text("utf-8"))]
    if remaining:
        pytest.fail("\n".join(remaining), pytrace=False)


def _counting(argument: str) -> str:
    return f'def count(rows):\n    """Counts the rows.\n\n    Args:\n        {argument}\n    """'


OLD_STYLE = {
    "def count(rows): ...": "no docstring",
    'def count(rows):\n    """Returns the count"""': "no full stop after 'Returns the count'",
    'def count(rows):\n    """The count of rows."""': "begins with 'The', not with a verb such as Returns",
    'class Speed:\n    """How fast it is."""': "begins with 'How', and a class or a module is a thing",
    _counting("rows: How."): "'How.' has fewer than 3 words",
    _counting("rows: See `length`."): "fewer than 3 words",
    _counting("rows: Of the training set."): "middle of a phrase",
    _counting("rows: The rows to count"): "no full stop after 'The",
    _counting("lines: The rows to count."): "describes lines, which",
    'class A:\n    """A box.\n\n    Args:\n        b: The other side.\n    """\n    a: int': "describes b, which",
}


@pytest.mark.parametrize("source", OLD_STYLE)
def test_the_old_style_is_seen(source: str) -> None:
    (problem,) = violations(f'"""A module."""\n{source}\n')[:1]
    assert OLD_STYLE[source] in problem


def test_a_module_has_a_docstring() -> None:
    assert violations("x = 1\n") == ["1: the module: no docstring"]
    (problem,) = violations('"""What is measured."""\n')
    assert problem == "1: the module: begins with 'What', and a class or a module is a thing"


def test_the_new_style_passes() -> None:
    source = '''"""A module."""
class Box:
    """A box of rows.

    Args:
        rows: The rows that it holds, which may be many
            and then go on in the next line.
        x: `[b s d]`.

    Attributes:
        size: How many there are.
    """

    def __init__(self, rows, *x):
        """Keeps the rows."""

    @property
    def width(self):
        """The width of the box."""

    @app.command()
    def run():
        """Run everything."""
'''
    assert violations(source) == []
