"""First-party plugins are found exactly as a stranger's are: the core knows none of their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_packages import run_python

import cobra_kit
from cobra_kit._plugins import Registry

CORE = Path(cobra_kit.__file__).parent
MOVED = CORE / "_moved.py"
"""Says where the names of former versions went, and some went to plugins: it acts for scripts that still use them."""
SOURCES = sorted(path for path in CORE.rglob("*.py") if "_template" not in path.parts and path != MOVED)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


def strings(path: Path) -> Iterator[str]:
    """Yields the strings of a module that it can act on: all but docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_with_entry_points_masked_the_registry_is_empty(tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as metadata\n"
        "metadata.distributions = lambda **_: ()\n"
        "from cobra_kit._plugins import Registry, default_registry\n"
        "assert Registry.discover().records == default_registry().records == []\n"
        "from cobra_kit.cli import main\n"
        "assert main(['plugins', 'list']) == 0\n"
    )
    process = run_python("-c", code, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "no component is installed\n", "")


def test_every_first_party_plugin_is_ok_and_quiet(registry: Registry) -> None:
    ours = [record for record in registry.records if record.distribution == f"cobra-kit {cobra_kit.__version__}"]
    assert ours
    assert {record.label: record.error for record in ours if record.status != "ok"} == {}


def test_no_first_party_component_is_named_in_the_core(registry: Registry) -> None:
    names = sorted(component.qualified for component in registry.components())
    assert names
    pattern = re.compile(rf"(?<![\w/-])(?:{'|'.join(map(re.escape, names))})(?![\w/-])")
    named = {
        f"{path.relative_to(CORE)}: {text[:60]!r}" for path in SOURCES for text in strings(path) if pattern.search(text)
    }
    assert named == set()


def test_no_plugin_package_is_named_in_the_core() -> None:
    packages = [path.name for path in (CORE.parent / "plugins").glob("cobra_kit_*")]
    assert packages
    pattern = re.compile("|".join(packages))
    named = [str(path.relative_to(CORE)) for path in SOURCES if any(map(pattern.search, strings(path)))]
    assert named == []
    imports = [
        str(path.relative_to(CORE))
        for path in SOURCES
        if re.search(rf"^\s*(?:from|import)\s+(?:{pattern.pattern})\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert imports == []


def test_no_first_party_extension_is_named_in_the_core(registry: Registry) -> None:
    """No data source, benchmark, tracker or pretraining task, and no plugin that has only those.

    Short names such as `count`, and the plugin names `benchmarks` and `trackers`, are words of the core's own. Forms of
    conversations and of checkpoints have names that data have, too: `text` and `exchange` are about those.
    """
    declared = [item for item in registry.extensions() if item.kind != "scoring_rule"]
    names = {name for item in declared for name in (item.qualified, *getattr(item.spec, "aliases", ()))}
    names |= {record.plugin for record in registry.records if record.extensions and not record.components}
    names -= {"benchmarks", "trackers"}
    assert {"scenes", "scenes/world", "scenes/count", "llava", "llava/rows"} <= names
    pattern = re.compile(rf"(?<![\w/-])(?:{'|'.join(map(re.escape, sorted(names)))})(?![\w/-])")
    named = {
        f"{path.relative_to(CORE)}: {text[:60]!r}"
        for path in SOURCES
        if path.relative_to(CORE).parts[0] not in ("text", "exchange")
        for text in strings(path)
        if pattern.search(text)
    }
    assert named == set()
