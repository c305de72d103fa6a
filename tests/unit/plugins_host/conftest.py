from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


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
