"""What is available, read from files laid out as the kernel does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cobra_kit import machine as facts
from cobra_kit.errors import WeightsError
from cobra_kit.weights import available_memory, check_memory

GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meminfo").write_text(
        f"MemTotal:  {16 * 2**20} kB\nMemAvailable:  {8 * 2**20} kB\nHugePages_Total:  0\n"
    )
    monkeypatch.setattr(facts, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(facts, "_GROUPS", tmp_path)
    return tmp_path


def test_the_machine(machine: Path) -> None:
    assert available_memory() == 8 * GIB


@pytest.mark.parametrize(
    ("limit", "used", "cached", "expected"),
    [("max\n", GIB, 0, 8), (4 * GIB, GIB, 0, 3), (4 * GIB, 3 * GIB, 2 * GIB, 3), (GIB, 2 * GIB, 0, 0)],
)
def test_a_container(machine: Path, limit: object, used: int, cached: int, expected: int) -> None:
    (machine / "memory.max").write_text(str(limit))
    (machine / "memory.current").write_text(f"{used}\n")
    (machine / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    assert available_memory() == expected * GIB


def test_an_older_container(machine: Path) -> None:
    (machine / "memory").mkdir()
    (machine / "memory" / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    (machine / "memory" / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    assert available_memory() == GIB


def test_not_enough_is_said_with_both_figures_and_what_to_do(machine: Path) -> None:
    check_memory(8 * GIB, where="mamba/2.8b")
    with pytest.raises(WeightsError) as caught:
        check_memory(11 * GIB, where="mamba/2.8b")
    assert str(caught.value).splitlines()[0] == (
        "mamba/2.8b: loading needs 11.0 GiB of memory, and 8.0 GiB are available"
    )
    assert "smaller dtype (bfloat16 takes half of float32)" in str(caught.value)


def test_a_system_that_does_not_say(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert available_memory() is None
    check_memory(2**60, where="x")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")
def test_this_machine() -> None:
    available = available_memory()
    assert available is not None
    assert 2**20 < available < 2**50
