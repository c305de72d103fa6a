"""Fixtures of tests that run studies: a cache of their own, and processes that start quickly."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from fake_study import write_study


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(cache))


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


@pytest.fixture(scope="module")
def whole(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        return write_study(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    """A copy of a finished study, to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "study"))
