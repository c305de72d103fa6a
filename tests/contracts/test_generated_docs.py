"""What the README and the docs show of the code is made from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_generated_blocks_are_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_outdated_block_is_noticed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    page = "<!-- generated: components -->\nnothing\n<!-- end generated -->"
    assert "mamba/tiny" in generate.rewritten(page)
