"""The benchmark for borrowed GPUs runs from end to end; its numbers are not looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_gpu_benchmark_runs_dry(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--dry", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, cwd=tmp_path, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads(out.read_text())
    assert any("DRY RUN" in note for note in record["notes"])
    claims = " ".join(claim["what"] for claim in record["claims"])
    for words in (
        "worst error of output and gradients",
        "share of the memory bandwidth",
        "generate",
        "tokens/s (image",
    ):
        assert words in claims
    assert not [note for note in record["notes"] if "failed" in note]


def test_without_a_gpu_it_says_how_to_try_it() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py")],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 2
    assert "there is no GPU here. --dry runs everything at tiny sizes" in done.stderr
