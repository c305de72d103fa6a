"""A machine that only measures needs torch, transformers and timm, and none of what the command line brings."""

from __future__ import annotations

from pathlib import Path

from fake_packages import run_python

CODE = """
import sys
from importlib.machinery import PathFinder

ABSENT = {"typer", "rich", "optuna", "click", "open_clip", "scipy", "cmaes", "mambapy", "sqlalchemy"}
find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in ABSENT else find_spec(name, *more)

import cobra_kit
from cobra_kit import bench

assert "torch" not in sys.modules
from cobra_kit.bench import bandwidth

cobra_kit.compose("cobra_tiny")
bandwidth._buffer_bytes = lambda device: 1 << 20
_, subjects = bench.subjects_of("ablation_backbone")
quick = bench.Settings(prompt_tokens=(4,), new_tokens=2, repeats=1, warmup=0, memory=False, device="cpu")
result = bench.bench(subjects, quick, recipe="ablation_backbone")
bench.to_plain(result)
print(len(result.measurements))
"""


def test_nothing_of_it_is_imported(tmp_path: Path) -> None:
    done = run_python("-c", CODE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2"]
