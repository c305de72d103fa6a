"""A machine that only measures needs torch, transformers and timm, and none of what the command line brings."""

from __future__ import annotations

from pathlib import Path

from fake_packages import run_python

CODE = """
import sys

class Blocked:
    names = {"typer", "rich", "optuna", "click", "open_clip", "scipy", "cmaes", "mambapy", "sqlalchemy"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Blocked())
import cobra_kit
from cobra_kit import bench

assert "torch" not in sys.modules
from cobra_kit.bench import bandwidth

cobra_kit.compose("cobra_3b", profile="paper", device="meta")
bandwidth._buffer_bytes = lambda device: 1 << 20
_, subjects = bench.subjects_of("ablation_backbone")
quick = bench.Settings(prompt_tokens=(4,), new_tokens=2, repeats=1, warmup=0, device="cpu")
found = bench.bench(subjects, quick, recipe="ablation_backbone")
bench.to_plain(found)
print(len(found.measurements))
"""


def test_nothing_of_it_is_imported(tmp_path: Path) -> None:
    done = run_python("-c", CODE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2"]
