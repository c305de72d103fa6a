"""How many cores a process may use: the ones it is bound to, the time its control group has."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from cobra_kit import machine
from cobra_kit.study.execution import devices
from cobra_kit_scenes import drawing_pool


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("own", "files", "share"),
    [
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3.0),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/not/seen/here\n", {"cpu.max": "400000 100000\n"}, 4.0),
        ("0::/../outside\n", {"cpu.max": "400000 100000\n"}, 4.0),
        (
            "12:cpu,cpuacct:/docker/x\n1:name=systemd:/\n0::/\n",
            {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n"},
            2.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("4:cpuset:/\n0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("", {}, None),
    ],
)
def test_the_share_of_a_control_group(tmp_path: Path, own: str, files: dict[str, str], share: float | None) -> None:
    groups = put(tmp_path / "groups", files)
    assert machine._group_share(groups, put(tmp_path, {"own": own}) / "own") == share


@pytest.mark.parametrize(("share", "count"), [(None, 8), (0.5, 1), (2.5, 2), (99.0, 8)])
def test_workers_share_the_cores_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, share: float | None, count: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_group_share", lambda: share)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert machine.cores() == drawing_pool.default_workers() == count
    assert devices.worker_environment(0, 2, "cpu")["OMP_NUM_THREADS"] == str(max(1, count // 2))


@pytest.mark.parametrize(
    ("asked", "threads"), [("1", "1"), ("3", "3"), ("9", "4"), ("2,1", "2"), ("many", "4"), ("0", "4")]
)
def test_workers_take_no_more_threads_than_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str, threads: str
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert devices.worker_environment(0, 2, "cpu") == {"OMP_NUM_THREADS": threads}


def test_the_peak_of_this_process_can_be_forgotten() -> None:
    if not machine.keeps_peak():
        pytest.skip("the system keeps none")
    # A mapping, because the allocator may be told to keep what is freed (cli/allocator.py).
    with mmap.mmap(-1, 64 << 20) as block:
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
        before = machine.resident_memory(peak=True)
    assert machine.forget_peak()
    now, peak = machine.resident_memory(), machine.resident_memory(peak=True)
    assert before is not None
    assert now is not None
    assert peak is not None
    assert peak < before
    assert abs(peak - now) < 16 << 20


def test_a_system_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_OWN_STATUS", tmp_path / "status")
    monkeypatch.setattr(machine, "_OWN_PEAK", tmp_path / "none" / "clear_refs")
    assert machine.resident_memory() is None
    assert not machine.keeps_peak()
    assert not machine.forget_peak()


def test_a_session_names_what_chose_kernels_and_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.ROUNDING_SWITCHES:
        monkeypatch.delenv(name, raising=False)
    assert machine.session()["environment"] == {}
    monkeypatch.setenv("COBRA_KIT_MAMBA_ISA", "avx2")
    monkeypatch.setenv("COBRA_KIT_STORAGE", "postgresql://name:secret@host/db")
    assert machine.session()["environment"] == {"COBRA_KIT_MAMBA_ISA": "avx2"}
