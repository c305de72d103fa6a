from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import miniature
import pytest

from cobra_kit.report import AblationTable


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(cache))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return miniature.write(tmp_path)


@pytest.fixture(scope="session")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, AblationTable]:
    """A whole study, control included: (recipe, folder, table). Tests may read it and nothing else."""
    import cobra_kit

    folder = tmp_path_factory.mktemp("finished")
    path = miniature.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        table = cobra_kit.run(path, out=folder / "study", control="shuffled-images")
    return path, folder / "study", table


@pytest.fixture(scope="session")
def context() -> ForkServerContext:
    """Processes that need not import torch each for itself: a server that has done so makes them."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(
        ["killed_run", "miniature", "cobra_kit.study.execution.run_trial", "cobra_kit.text.tokenizer"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return server
