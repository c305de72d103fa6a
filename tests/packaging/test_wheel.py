"""The wheel, installed outside the checkout, is complete: plugins, recipes, data, the command.

Another environment is made by laying a fresh virtual environment over the packages that are installed here, so nothing
is downloaded. A `.pth` file adds their folder; `.pth` files *in* that folder are not read, so this checkout's editable
installation cannot stand in for something that the wheel lacks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = [Path(package) for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache")


def call(command: Sequence[str | Path], cwd: Path) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COBRA_KIT_"))}
    words = [str(word) for word in command]
    process = subprocess.run(words, cwd=cwd, env=inherited, capture_output=True, text=True, timeout=900, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert not [line for line in process.stderr.splitlines() if "warning: plugin" in line]
    return process.stdout


def build(source: Path, target: str, folder: Path) -> Path:
    call([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder], cwd=source)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@dataclass(frozen=True)
class Overlay:
    folder: Path
    outside: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *words: str | Path) -> str:
        return call([self.python, *words], cwd=self.outside)


@pytest.fixture(scope="module")
def overlay(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    if os.name == "nt":
        pytest.skip("the folders of a virtual environment have other names on Windows")
    made = Overlay(tmp_path_factory.mktemp("overlay"), tmp_path_factory.mktemp("outside"))
    venv.create(made.folder, with_pip=False, symlinks=True)
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    call([sys.executable, "-m", "pip", "--python", made.python, *install], cwd=made.outside)
    site = Path(made.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    installed_here = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "installed_here.pth").write_text("\n".join(installed_here) + "\n")
    return made


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_every_package_is_in_the_wheel(wheel: Path) -> None:
    expected = {
        path.relative_to((ROOT / package).parent).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not set(path.parts) & set(CACHES)
    }
    assert expected - names_in(wheel) == set()


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names_in(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {package.name for package in PACKAGES}
    assert "cobra_kit/py.typed" in names_in(wheel)


def test_a_wheel_from_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    archive = build(ROOT, "sdist", tmp_path / "sdist")
    call([sys.executable, "-m", "tarfile", "-e", archive, tmp_path / "source"], cwd=tmp_path)
    (source,) = (tmp_path / "source").iterdir()
    assert names_in(build(source, "wheel", tmp_path / "wheel")) == names_in(wheel)


def test_the_installed_packages_are_the_ones_imported(overlay: Overlay) -> None:
    modules = ["cobra_kit", *(module for module in PROJECT["project"]["entry-points"]["cobra_kit.v1"].values())]
    code = (
        "import importlib, json, sys\n"
        f"print(json.dumps([importlib.import_module(name).__file__ for name in {modules!r}]))\n"
        "print(json.dumps(sys.path))\n"
    )
    files, path = map(json.loads, overlay.run("-c", code).splitlines())
    assert [file for file in files if overlay.folder not in Path(file).parents] == []
    assert [entry for entry in path if entry and ROOT in (Path(entry), *Path(entry).parents)] == []


def test_the_installed_command_finds_every_plugin(overlay: Overlay) -> None:
    shown = json.loads(call([overlay.folder / "bin" / "cobra-kit", "plugins", "list", "--json"], cwd=overlay.outside))
    expected = dict.fromkeys(PROJECT["project"]["entry-points"]["cobra_kit.v1"], "ok")
    assert {plugin["id"]: plugin["status"] for plugin in shown["plugins"]} == expected
    assert {component["plugin"] for component in shown["components"]} == set(expected)
    assert json.loads(overlay.run("-m", "cobra_kit", "plugins", "list", "--json"))["components"] == shown["components"]


def test_the_recipes_are_packaged(overlay: Overlay) -> None:
    packaged = Path(overlay.run("-c", "import cobra_kit; print(cobra_kit.__path__[0])").strip()) / "_recipes"
    recipes = {path.relative_to(ROOT / "recipes"): path for path in (ROOT / "recipes").rglob("*.yaml")}
    assert recipes
    for relative, path in recipes.items():
        assert (packaged / relative).read_bytes() == path.read_bytes()


def test_the_installed_command_lists_the_recipes(overlay: Overlay) -> None:
    shown = call([overlay.folder / "bin" / "cobra-kit", "recipes", "list"], cwd=overlay.outside)
    assert [path.stem for path in (ROOT / "recipes").glob("*.yaml") if path.stem not in shown] == []


def test_an_installed_recipe_becomes_a_model(overlay: Overlay) -> None:
    code = "import cobra_kit; print(sum(p.numel() for p in cobra_kit.compose('cobra_tiny').parameters()) > 0)"
    assert overlay.run("-c", code).splitlines()[-1] == "True"
