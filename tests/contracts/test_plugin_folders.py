"""`plugins/` and pyproject.toml name the same packages: one that is forgotten there would be missing in the wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").is_file()}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_is_in_the_wheel(project: dict[str, Any]) -> None:
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in packages if package.startswith("plugins/")} == FOLDERS
    assert "cobra_kit" in packages


def test_every_folder_has_an_entry_point(project: dict[str, Any]) -> None:
    groups = project["project"]["entry-points"]
    modules = [module for points in groups.values() for module in points.values()]
    assert {module.partition(".")[0] for module in modules} == FOLDERS
    assert groups["cobra_kit.v1"]


def test_every_folder_is_checked(project: dict[str, Any]) -> None:
    tools = project["tool"]
    assert set(tools["mypy"]["packages"]) >= FOLDERS
    assert set(tools["importlinter"]["root_packages"]) >= FOLDERS
    for contract in tools["importlinter"]["contracts"]:
        named = [set(contract.get(key, ())) for key in ("source_modules", "forbidden_modules", "modules")]
        assert contract["type"] == "layers" or any(names >= FOLDERS for names in named), contract["name"]


def test_a_plugin_folder_holds_a_package_and_nothing_else() -> None:
    caches = ("__pycache__", ".mypy_cache", ".ruff_cache")
    folders = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir() and path.name not in caches}
    assert folders == FOLDERS
