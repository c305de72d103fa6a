"""How many runs go on side by side, and with how many threads: what machine, memory and surroundings allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cobra_kit.locks import locked
from cobra_kit.study.execution import devices, preflight, side_by_side
from cobra_kit.study.execution.side_by_side import suggested_workers
from cobra_kit.study.folder import HOLDER

GIB = 2**30


def session(path: Path, runs: int, device: str = "cpu") -> Any:
    left: Sequence[Any] = [SimpleNamespace(arm=f"arm{number % 2}", name=f"run{number}") for number in range(runs)]
    return SimpleNamespace(runs_left=lambda: left, device=device, folder=SimpleNamespace(path=path))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv(side_by_side.WORKER_VARIABLE, raising=False)
    monkeypatch.setattr(side_by_side, "cores", lambda: 8)
    monkeypatch.setattr(side_by_side, "available_memory", lambda: 100 * GIB)
    monkeypatch.setattr(side_by_side, "resident_memory", lambda: GIB)
    monkeypatch.setattr(preflight, "needed_memory", lambda run, device: 4 * GIB if run.arm == "arm1" else GIB)


def test_as_many_as_cores_and_runs_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path / HOLDER, lambda: None):
        assert [suggested_workers(session(tmp_path, runs)) for runs in (0, 1, 2, 5, 40)] == [1, 1, 2, 5, 8]
        assert suggested_workers(session(tmp_path, 40, "cuda")) == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert suggested_workers(session(tmp_path, 40)) == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "9")
        assert suggested_workers(session(tmp_path, 40)) == 1
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.setenv(side_by_side.WORKER_VARIABLE, "/events")
        assert suggested_workers(session(tmp_path, 40)) == 1, "a worker starts no workers"


def test_no_more_than_memory_has_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path / HOLDER, lambda: None):
        for gib, workers in ((3, 1), (17, 3), (None, 8)):  # a worker takes 1 GiB and the largest arm's 4
            monkeypatch.setattr(side_by_side, "available_memory", lambda gib=gib: gib and gib * GIB)
            assert suggested_workers(session(tmp_path, 40)) == workers, gib


def test_without_locks_nobody_could_wait_for_what_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert suggested_workers(session(tmp_path, 40)) == 1  # nobody holds the folder
    monkeypatch.setattr(side_by_side, "is_locked", lambda path: None)  # as on Windows
    assert suggested_workers(session(tmp_path, 40)) == 1


def test_a_run_has_one_thread_unless_more_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with devices.run_threads("cpu"):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with devices.run_threads("cuda"):
            assert torch.get_num_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        with devices.run_threads("cpu"):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_every_worker_has_the_threads_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 64)
    assert devices.side_by_side_environment(1, 4, "cpu") == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert devices.side_by_side_environment(1, 4, "cpu") == {"OMP_NUM_THREADS": "2"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    assert devices.side_by_side_environment(1, 2, "cuda")["CUDA_VISIBLE_DEVICES"] == "4"
