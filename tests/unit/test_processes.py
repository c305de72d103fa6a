"""Processes that this one starts: commands to their end, Python with the same modules, workers in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cobra_kit.processes import (
    ENDED_BY,
    Terminated,
    ended_by_signal,
    last_line,
    output_of,
    parent_variable,
    run_command,
    run_python,
    send_signal,
    signal_name,
    start_in_background,
    terminations_raised,
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


_CHILD = """
import signal, sys, time
from cobra_kit.processes import end_with_parent
end_with_parent()
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))  # and goes on all the same
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
_PARENT = """
import os, sys, time
from pathlib import Path
from cobra_kit.processes import start_in_background
with open(sys.argv[1], "wb") as log:
    print(start_in_background([sys.executable, "-c", sys.argv[2]], os.environ, log).pid, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_ends_with_its_parent_even_if_it_does_not_want_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = [sys.executable, "-c", _PARENT, str(log), _CHILD]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    while "ready" not in log.read_text():
        time.sleep(0.02)
    assert is_alive(child)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 60
    while is_alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "asked" in log.read_text()  # what saves at SIGTERM had the time to


def test_a_process_whose_parent_died_before_it_looked_does_nothing(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    environment = {**os.environ, **{name: str(gone.pid) for name in parent_variable()}}
    code = "from cobra_kit.processes import end_with_parent; end_with_parent(); import time; time.sleep(600)"
    assert ended_by_signal(subprocess.run([sys.executable, "-c", code], env=environment).returncode) == signal.SIGTERM


def test_what_ended_a_process_is_read_from_its_status() -> None:
    assert [ended_by_signal(code) for code in (-9, 128 + signal.SIGTERM, 130, 1, 0, 141)] == [
        9,
        15,
        2,
        None,
        None,
        None,
    ]


def test_a_termination_is_raised_once_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in ENDED_BY]
    with terminations_raised() as received:
        with pytest.raises(Terminated, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)  # at once: an echo, while something is saved
        assert list(received) == [signal.SIGTERM, signal.SIGHUP]
    assert [signal.getsignal(number) for number in ENDED_BY] == before
