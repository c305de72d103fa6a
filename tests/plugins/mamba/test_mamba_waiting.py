"""How threads wait for each other: shortly, unless the user has said how. What it brings: benchmarks/contention.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cobra_kit_mamba.native import load_native

pytestmark = pytest.mark.skipif(
    load_native().library is None or "one thread" in load_native().reason or not Path("/proc/self/task").is_dir(),
    reason="no C kernels with OpenMP here, or no /proc",
)

LOADED = """
import os, time, torch
from cobra_kit_mamba.operators import library
torch.set_num_threads(2)
torch.ones(1000, 1000) @ torch.ones(1000, 1000)
before = len(os.listdir("/proc/self/task"))
library()
time.sleep(0.2)
print(len(os.listdir("/proc/self/task")) - before)
"""
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def sleeping_threads(program: str, **chosen: str) -> int:
    variables = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run([sys.executable, "-c", program], env=variables | chosen, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_the_kernels_bring_a_team_that_makes_the_others_spin_less() -> None:
    assert sleeping_threads(LOADED) >= 2


def test_who_has_said_how_to_wait_is_obeyed() -> None:
    assert sleeping_threads(LOADED, OMP_WAIT_POLICY="active") == 0


def test_one_thread_waits_for_nobody_until_there_are_two() -> None:
    script = LOADED.replace("set_num_threads(2)", "set_num_threads(1)")
    assert sleeping_threads(script) == 0
    assert sleeping_threads(script.replace("time.sleep", "torch.set_num_threads(2); library(); time.sleep")) >= 2
