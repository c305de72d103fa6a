"""What the README and the docs show of the code is made from the code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_generated_blocks_are_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_outdated_block_is_noticed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    page = "<!-- generated: components -->\nnothing\n<!-- end generated -->"
    assert "mamba/tiny" in generate.rewritten(page)


def test_results_come_from_their_file(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    claim = {"what": "theirs takes longer", "value": 1.25, "unit": "x", "goal": 1.5, "at_least": True}
    growth = {"what": "growth", "value": 4.0, "unit": "%", "goal": 5, "at_least": False}
    error = {"what": "error", "value": 3.14e-7, "unit": "", "goal": None, "at_least": False}
    row = {"comparison": "a step", "contestant": "ours", "median_ms": 1.5, "best_ms": 1.25, "calls": 7, "threads": 2}
    record = {
        "command": "python benchmarks/one.py",
        "date": "2026-11-30",
        "machine": {"processor": "a processor", "cores": 2, "load": 0.1, "torch": "2.14"},
        "notes": ["A note."],
        "claims": [claim, growth, error],
        "timings": [row],
    }
    monkeypatch.setattr(generate, "RESULTS", tmp_path)
    (tmp_path / "one.json").write_text(json.dumps(record))
    text = generate.results("one")
    assert "`python benchmarks/one.py` on 2026-11-30: a processor, 2 cores, torch 2.14; the machine's load" in text
    assert "| theirs takes longer | 1.25 x | at least 1.5 x | no |" in text
    assert "| growth | 4 % | at most 5 % | yes |" in text
    assert "| error | 3.14e-07 |  |  |" in text
    assert "| what was timed | by | threads | median ms | best ms | calls |" in text
    assert "| a step | ours | 2 | 1.5 | 1.25 | 7 |" in text


def test_what_was_not_measured_says_so(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    text = generate.results("nothing")
    assert text == "Not measured yet: `python benchmarks/nothing.py --out benchmarks/results/nothing.json`."


def test_the_map_of_rooms_notices_a_room_without_a_layer(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    assert "| `trials` | Trials that are never lost nor doubled" in generate.room_table()
    (tmp_path / "cobra_kit" / "attic").mkdir(parents=True)
    (tmp_path / "cobra_kit" / "attic" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"in no layer of pyproject\.toml: attic"):
        generate.room_table()
    with pytest.raises(SystemExit, match=r"JOURNEY names what is not there: cli/run\.py"):
        generate.journey_table()
