"""Processes that this one starts: commands to their end, Python with the same modules, workers in the background."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from cobra_kit.processes import (
    last_line,
    output_of,
    run_command,
    run_python,
    send_signal,
    signal_name,
    start_in_background,
)


def test_a_command_that_cannot_be_run_or_hangs_has_a_reason() -> None:
    ended = run_command([sys.executable, "-c", "print(input())"], 60)
    assert ended.returncode == 1
    assert last_line(ended.stderr, "") == "EOFError: EOF when reading a line"
    missing = run_command(["/no/such/program"], 1)
    assert (missing.returncode, missing.stderr) == (-1, "No such file or directory")
    slow = run_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.5)
    assert (slow.returncode, slow.stderr) == (-1, "it took longer than 0 seconds")


def test_output_is_that_of_a_command_that_succeeded() -> None:
    assert output_of(sys.executable, "-c", "print(' a ')") == "a"
    assert output_of(sys.executable, "-c", "pass") is None
    assert output_of(sys.executable, "-c", "print('a'); exit(1)") is None
    assert output_of("/no/such/program") is None


def test_another_python_imports_what_this_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("print('imported', input())")
    monkeypatch.syspath_prepend(tmp_path)
    assert run_python("-c", "import only_here", text="and read").stdout == "imported and read\n"


def test_a_process_in_the_background_prints_to_its_log_and_ends_by_a_signal(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = start_in_background(["sh", "-c", "echo $WORD; exec sleep 60"], {**os.environ, "WORD": "a"}, log)
    while not (tmp_path / "log").read_text():
        pass
    send_signal(process, signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    send_signal(process, signal.SIGINT)
    assert (tmp_path / "log").read_text() == "a\n"


def test_words_for_what_happened() -> None:
    assert last_line("a\nb\n\n", "nothing") == "b"
    assert last_line(" \n", "nothing") == "nothing"
    assert (signal_name(9), signal_name(99)) == ("SIGKILL", "signal 99")
