"""A PostgreSQL server for the tests: Debian's, in a folder of its own, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
_USERS = ("postgres", "nobody")


def missing() -> str:
    """Returns why there can be no server here; empty if there can."""
    if not BINARIES and shutil.which("initdb") is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg is not installed: {error}"
    if os.geteuid() == 0 and (shutil.which("setpriv") is None or _user() is None):
        return "initdb refuses root, and there is no setpriv or no user to be instead"
    return ""


class Server:
    """A server that listens on a free port of this machine.

    Args:
        folder: Where it keeps its data; every user must be able to reach it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        if (user := _user()) is not None and os.geteuid() == 0:
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories={self._folder} -c fsync=off"
        )
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stops it at once, as an administrator would in a hurry: connections are cut."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "fast", "-w", "stop")

    def database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "tester", name)
        return f"postgresql+psycopg://tester@127.0.0.1:{self._port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        path = str(BINARIES[0] / program) if BINARIES else program
        user = _user()
        before: list[str] = []
        if os.geteuid() == 0 and user is not None:
            before = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        # Not into a pipe: the server that pg_ctl leaves behind would hold it open.
        with (self._folder / "commands.log").open("a") as log:
            done = subprocess.run([*before, path, *arguments], cwd=self._folder, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise RuntimeError((self._folder / "commands.log").read_text())


def _user() -> pwd.struct_passwd | None:
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
