"""Runs the command line on what a stranger made, and says whether it was harmless. Plugins, studies and journals.

A case is harmless if it runs no code that it should not, writes nothing outside the folders it was given, shows no
secret, says something within five seconds, obeys no terminal sequence, and never ends as an error of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

SECRET = "hunter2-do-not-show"
"""Stands in the environment of every case, under a name that plugins and addresses could ask for."""

SILENCE_SECONDS = 5.0
_STARTING = 20.0
"""What Python, torch and a busy machine may take on top before anything of ours runs."""
_SLOWEST_START = 300.0
"""Seconds within which a command must have said something, on any machine."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command did.

    Args:
        status: Its exit status; None if it had to be killed.
        out: Its standard output.
        err: Its standard error.
        first_word: Seconds until it said something on standard error, or ended.
    """

    status: int | None
    out: str
    err: str
    first_word: float


def run_hostile(
    folder: Path,
    *arguments: str,
    may_write: Collection[str] = (),
    kill_after: float = 300.0,
    environment: Mapping[str, str] | None = None,
    context: ForkServerContext | None = None,
) -> Ended:
    """Runs `cobra-kit` in a folder and checks what holds for every case, whatever the command says.

    Args:
        folder: Where it runs; it and its neighbours are compared before and after.
        arguments: What follows `cobra-kit`.
        may_write: Names in the folder that the command may make or change.
        kill_after: Seconds after which it is killed, if it has not ended; they count from its first word on where
            Python is started for the command.
        environment: Variables to set.
        context: Where to make a process that has imported most already; None: Python is started for the command.
    """
    before = _contents(folder)
    if context is None:
        ended = _run(folder, arguments, kill_after, environment or {})
    else:
        ended = _run_forked(context, folder, arguments, kill_after, environment or {})
    text = ended.out + ended.err
    assert "internal error" not in text, ended.err
    assert "Traceback" not in text, ended.err
    assert SECRET not in text, "a secret of the environment is shown"
    assert not set(text) & {"\x1b", "\x07", "\u202e", "\x00"}, "a terminal would obey this"
    if ended.first_word >= SILENCE_SECONDS + _STARTING:  # a slow machine, or a command that hung without a word
        assert ended.first_word < SILENCE_SECONDS + 5 * _start_seconds(), "it hung without a word"
    after = _contents(folder)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    strange = {name for name in changed if not name.startswith(tuple(may_write))}
    assert not strange, f"it wrote {sorted(strange)}"
    return ended


def _run(folder: Path, arguments: tuple[str, ...], kill_after: float, environment: Mapping[str, str]) -> Ended:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("COBRA_KIT_")}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "cobra_kit", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={
            **inherited,
            "COLUMNS": "100",
            "PGPASSWORD": SECRET,
            "PYTHONDONTWRITEBYTECODE": "1",
            "COBRA_KIT_CACHE": str(folder / ".cache"),
            **environment,
        },
    )
    assert process.stdout is not None
    assert process.stderr is not None
    gathered: dict[str, bytes] = {"out": b"", "err": b""}
    words: list[float] = []
    spoken = threading.Event()

    def gather(name: str, stream: object) -> None:
        while piece := os.read(stream.fileno(), 65536):  # type: ignore[attr-defined]
            words.append(time.monotonic() - began)
            gathered[name] += piece
            spoken.set()
        spoken.set()  # it ended

    threads = [
        threading.Thread(target=gather, args=pair, daemon=True)
        for pair in (("out", process.stdout), ("err", process.stderr))
    ]
    for thread in threads:
        thread.start()
    spoken.wait(_SLOWEST_START)
    try:
        status: int | None = process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        status = None
    words.append(time.monotonic() - began)
    for thread in threads:
        thread.join(5)  # a child that a plugin left behind may hold the pipe open for ever
    for stream in (process.stdout, process.stderr):
        stream.close()
    return Ended(status, gathered["out"].decode(), gathered["err"].decode(), words[0])


def _start_seconds() -> float:
    """Returns the seconds that a command takes on this machine now that has nothing to wait for."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "cobra_kit", "plugins", "list"], check=True, capture_output=True)
    return time.monotonic() - began


def _run_forked(
    context: ForkServerContext,
    folder: Path,
    arguments: tuple[str, ...],
    kill_after: float,
    environment: Mapping[str, str],
) -> Ended:
    """Runs a command in a process that a server forks; it says its first word when it ends, as far as is known here."""
    with tempfile.TemporaryDirectory() as place:
        process = context.Process(target=_command, args=(folder, arguments, dict(environment), Path(place)))
        began = time.monotonic()
        process.start()
        process.join(kill_after)
        took, status = time.monotonic() - began, process.exitcode
        if status is None:
            process.kill()
            process.join()
        out, err = ((Path(place) / name).read_bytes().decode() for name in ("out", "err"))
    return Ended(status, out, err, took if status is None and not err else 0.0)


def _command(folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str], place: Path) -> None:
    """Runs `cobra-kit` in this process, with a standard output and error of its own, and ends the process."""
    for number, name in ((0, os.devnull), (1, str(place / "out")), (2, str(place / "err"))):
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))
    os.chdir(folder)
    os.environ.update(
        {"COLUMNS": "100", "PGPASSWORD": SECRET, "COBRA_KIT_CACHE": str(folder / ".cache"), **environment}
    )
    from cobra_kit.cli import main

    status = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)


def _contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Returns size and time of every file of the folder and beside it, but for the cache."""
    place = folder.parent
    return {
        os.path.relpath(path, folder): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in place.rglob("*")
        if ".cache" not in path.parts and not path.is_dir()
    }
