"""Files that are whole or absent: written beside their place, flushed, then renamed."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_KEPT_OF_A_NAME = 48  # of 255 bytes: a temporary file is called as its place, and something more
_DEVICES = ("/dev", "/proc")
_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields an empty file in the same folder to write to; on leaving, it takes the place of `path`.

    A reader sees the old file or the new one, never half of one, and so does whoever comes after a power cut.
    Whatever goes wrong, the old file stays as it was and the temporary one is removed. Only a file, or a link to one
    or to nothing, is replaced; into a device below `/dev` that is named itself, such as `/dev/null`, and into a stream
    of this process, such as `/dev/stdout`, the content is written at the end, from a file among the temporary ones.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        CobraError: The file cannot be written: no such folder, no permission, a full disk, something else in its place.
    """
    path = Path(path)
    if _is_written_into(path):
        with _written_into(path) as temporary:
            yield temporary
        return
    # Not tempfile: its files are readable by their owner only, and a study folder is often shared.
    temporary = path.with_name(f".{path.name[:_KEPT_OF_A_NAME]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors puts a file of its own there, which only its owner may read
        _sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise CobraError(f"cannot write: {error}", where=str(path), hint=_hint(error, path)) from error
    finally:
        with suppress(OSError):  # such as a name that was too long to be made
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all; see `atomic_write`."""
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def write_text(path: str | Path, content: str) -> None:
    """Writes `content` to `path` as UTF-8 with its line ends as they are; see `atomic_write`."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` to `path` as indented JSON, keys in their order; see `atomic_write`.

    Raises:
        ValueError: The value holds NaN or infinity, which JSON does not have.
        TypeError: The value holds something that JSON does not have.
    """
    write_bytes(path, json_bytes(value, indent=2) + b"\n")


def json_bytes(value: Any, *, indent: int | None = None) -> bytes:
    """Returns a value as JSON in UTF-8, characters as they are.

    Half of a surrogate pair, which stands for a byte of a file name that is not UTF-8, is written as JSON's escape of
    it and read back as it was.

    Raises:
        ValueError: The value holds NaN or infinity, which JSON does not have.
        TypeError: The value holds something that JSON does not have.
    """
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; some file systems (and Windows) cannot sync a folder."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _is_written_into(path: Path) -> bool:
    """Returns whether a place is a device or stream to write into; a file, or nothing, is replaced.

    Raises:
        CobraError: The place is a folder, or of another kind that nothing can be written to.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # nothing there, or a link to nothing; another reason shows when it is written
        return False
    named = os.path.normpath(os.path.abspath(path))
    if named.startswith(_STREAMS) and not stat.S_ISDIR(mode):
        return True
    if stat.S_ISREG(mode):
        return False
    # A link elsewhere may be a stranger's: what somebody else's folder names is no device that the user asked for.
    if stat.S_ISCHR(mode) and named.startswith(_DEVICES):
        return True
    raise CobraError(
        f"is {kind_of_place(mode)}, not a file that can be replaced",
        where=str(path),
        hint="Choose another name.",
    )


@contextmanager
def _written_into(path: Path) -> Iterator[Path]:
    """Yields a temporary file whose content then goes to a device or a stream."""
    with tempfile.TemporaryDirectory(prefix="cobra-kit-") as folder:
        temporary = Path(folder) / "content"
        temporary.touch()
        yield temporary
        try:
            # At the end and not from the start: a stream may be a file in which other output stands already.
            target = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0))
            with open(target, "wb") as file, open(temporary, "rb") as content:
                shutil.copyfileobj(content, file)
        except BrokenPipeError:  # whoever read the stream has stopped
            raise
        except OSError as error:
            raise CobraError(f"cannot write: {error}", where=str(path), hint=_hint(error, path)) from error


def kind_of_place(mode: int) -> str:
    """Returns what stands at a place that is no regular file, by its mode: `a folder`, `a named pipe`, `a device`."""
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((words for is_kind, words in kinds if is_kind(mode)), "a device")


def _hint(error: OSError, path: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"Make room on the disk of {path.parent}; what was at {path.name} before is untouched."
    if error.errno == errno.ENOENT:
        return f"Create the folder {path.parent} first."
    if error.errno == errno.ENAMETOOLONG:
        return "Choose a shorter name."
    return f"Check that {path.parent} is a folder you may write to."
