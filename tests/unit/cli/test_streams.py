"""Output that outlives its readers: pipes that close, terminals that go away, disks that are full."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

NEWS = """
import sys
from cobra_kit.cli.streams import output_is_gone, prepare_streams
prepare_streams()
input()
for number in range(3):
    print("news" * 20_000, file=sys.stderr)
    print("result", flush=True)
gone = output_is_gone()
open(sys.argv[1], "w").write(f"worked {gone}")
"""
RUN = """
import sys
import cobra_kit.cli as cli
from cobra_kit.events import Message
from cobra_kit.cli import run_action
from cobra_kit.cli.progress import progress
def run(recipe, **settings):
    with progress(None) as report:
        for number in range(2000):
            report(Message(text="a line of progress that nobody reads"))
    open("done", "w").close()
run_action.run = run
sys.exit(cli.main(["run", "cobra_tiny"]))
"""


def written(tmp_path: Path, **streams: int) -> tuple[str, int]:
    out = tmp_path / "out"
    command = [sys.executable, "-c", NEWS, str(out)]
    process = subprocess.run(command, input="\n", text=True, timeout=600, check=False, **streams)
    return out.read_text() if out.exists() else "", process.returncode


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def closed_terminal() -> int:
    main, terminal = pty.openpty()
    os.close(main)
    return terminal


@pytest.mark.parametrize("end", [closed_pipe, closed_terminal])
def test_work_goes_on_when_nobody_reads(tmp_path: Path, end) -> None:
    stream = end()
    assert written(tmp_path, stderr=stream, stdout=subprocess.DEVNULL) == ("worked False", 0)
    assert written(tmp_path, stderr=stream, stdout=stream) == ("worked True", 0)
    os.close(stream)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_loses_news_but_no_result(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        assert written(tmp_path, stderr=full.fileno(), stdout=subprocess.DEVNULL) == ("worked False", 0)
        (tmp_path / "out").unlink()
        text, code = written(tmp_path, stderr=subprocess.DEVNULL, stdout=full.fileno())
    assert (text, code) == ("", 1)


def test_a_run_whose_reader_has_gone_ends_as_it_would(tmp_path: Path) -> None:
    stream = closed_pipe()
    process = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, stdout=stream, stderr=stream, timeout=600, check=False
    )
    os.close(stream)
    assert (tmp_path / "done").exists()
    assert process.returncode == 0  # nothing of the result was lost: there was none


HOSTILE = """
import sys
from cobra_kit.cli.streams import prepare_streams
prepare_streams()
for stream in (sys.stdout, sys.stderr):
    print("a\\x1b]52;c;ZXZpbA==\\x07b\\x9b2Jc\\u202ed\\x1b[2J ", end="", file=stream)
    print("\\x1b[31mred\\x1b[0m 10 %\\r\\x1b[1A\\x1b[2K\\x08", file=stream)
    stream.write("é\\n\\tplain\\n")
"""


def test_a_terminal_obeys_only_what_draws() -> None:
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", HOSTILE], capture_output=True, timeout=600, check=True)
    shown = "abcd \x1b[31mred\x1b[0m 10 %\r\x1b[1A\x1b[2K\né\n\tplain\n"
    assert done.stdout.decode() == shown
    assert done.stderr.decode() == shown
