"""The commands and examples of docs/checkpoints.md are run as they are printed, in their order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import cobra_kit
from cobra_kit.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cobra_kit.compose("cobra_tiny").save_pretrained("saved")
    Image.new("RGB", (64, 64), "red").save("picture.png")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert [language for language, _ in blocks] == ["sh", "python", "sh", "python"]
    scripts = []
    for language, text in blocks:
        if language == "python":
            scripts.append(text)
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line)
            assert program == "cobra-kit"
            assert main(words) == 0, line
    done = subprocess.run([sys.executable, "-c", "\n".join(scripts)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "projector: mlp/fused, taken from the checkpoint" in done.stdout
