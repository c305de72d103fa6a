"""Writes installed packages that exist only for a test: a dist-info folder and modules."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

GOOD_PROJECTOR = """
from cobra_kit.plugin import ProjectorSpec, hookimpl

@hookimpl
def cobra_projectors():
    yield ProjectorSpec(
        name="{name}", summary="a projector for tests", target="{module}:Mean", config="{module}:MeanConfig"
    )
"""


def write_package(
    site: Path,
    name: str,
    *,
    plugins: Mapping[str, str],
    modules: Mapping[str, str],
    version: str = "1.0",
    group: str = "cobra_kit.v1",
    requires: Sequence[str] = (),
) -> None:
    """Writes the package `name` into the folder `site`.

    Args:
        site: A folder on the import path.
        name: The distribution's name.
        plugins: Entry points: plugin id to module.
        modules: Module name to source.
        version: The distribution's version.
        group: The entry points' group.
        requires: PEP 508 requirements.
    """
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    points = "\n".join(f"{plugin} = {module}" for plugin, module in plugins.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
    for module, source in modules.items():
        (site / f"{module}.py").write_text(textwrap.dedent(source))


def projector_module(module: str, name: str = "mean") -> str:
    """Returns the source of a plugin with one projector whose target is in the same module."""
    return GOOD_PROJECTOR.format(module=module, name=name)


def run_python(
    *arguments: str, path: Path | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process of its own, with `path` first on its import path; variables of ours are not inherited.

    Args:
        arguments: What follows `python`.
        path: Folder with fake packages.
        cwd: Where to run.
        environment: Variables to set.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("COBRA_KIT_", "COLUMNS"))}
    if path is not None:
        inherited["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=cwd,
        env={**inherited, "COLUMNS": "100", **environment},
        check=False,
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path that is all the host sees of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(
        "cobra_kit._plugins.discover.distributions", lambda: importlib.metadata.distributions(path=[str(folder)])
    )
    for variable in ("COBRA_KIT_PLUGINS", "COBRA_KIT_PLUGIN_ERRORS", "RANK"):
        monkeypatch.delenv(variable, raising=False)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith(("fake_", "_cobra_kit_file_")):
            del sys.modules[name]
