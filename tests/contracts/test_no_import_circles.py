"""No module needs another that needs it, imports inside functions counted: each can be read, and moved, by itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules() -> dict[str, Path]:
    """Returns all modules of the package and of the first-party plugins, by name."""
    found: dict[str, Path] = {}
    for base, pattern in ((ROOT, "cobra_kit"), (ROOT / "plugins", "cobra_kit_*")):
        for top in base.glob(pattern):
            for path in top.rglob("*.py"):
                parts = path.relative_to(base).with_suffix("").parts
                if "_template" not in parts:  # what `plugins new` writes, no modules of ours
                    found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name | ast.Attribute) and ast.unparse(part).endswith("TYPE_CHECKING")
        for part in ast.walk(node.test)
    )


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yields all that is below a node, but for what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for alternative in child.orelse:  # type: ignore[attr-defined]
                yield alternative
                yield from statements(alternative)
        else:
            yield child
            yield from statements(child)


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Returns the modules that one imports by name.

    `from package import name` is an import of `package.name` where that is a module. It is one of the package too only
    where a name comes from the package itself: that a package runs before what is in it is no circle.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner in known else origin)
    return (found & known.keys()) - {name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Returns the strongly connected components of more than one module (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], order[other])
        if lowest[name] == order[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1:
                components.append(sorted(component))

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return components


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = modules()
    assert len(known) > 300
    assert not circles({name: imports(name, path, known) for name, path in known.items()})


def test_a_circle_is_seen_inside_functions_and_not_in_what_only_type_checkers_read(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("def call():\n    from second import value\n")
    (tmp_path / "second.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import first\nelse:\n    import third\n"
    )
    (tmp_path / "third.py").write_text("import first\n")
    known = {path.stem: path for path in tmp_path.glob("*.py")}
    graph = {name: imports(name, path, known) for name, path in known.items()}
    assert graph == {"first": {"second"}, "second": {"third"}, "third": {"first"}}
    assert circles(graph) == [["first", "second", "third"]]
    assert circles({**graph, "second": set()}) == []
