"""Files that are whole or absent: written beside their place, flushed, then renamed; and where the cache is."""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError

logger = logging.getLogger("cobra_kit")

_LIBRARIES = {"HF_HOME": "huggingface", "TORCH_HOME": "torch", "TRITON_CACHE_DIR": "triton"}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


class _Fallback:
    """Where caches go while the user's own cannot be written."""

    folder: Path | None = None
    told = False


def user_cache() -> Path:
    """Returns `$COBRA_KIT_CACHE`, else `$XDG_CACHE_HOME/cobra-kit`, else `~/.cache/cobra-kit`.

    Where nothing can be written there, or there is no home, it is the fallback of the study at hand
    (`caches_beneath`), else a folder of this user's own among the system's temporary files.
    """
    if chosen := _chosen_cache():
        return chosen
    folder = _own_cache()
    if folder is not None and can_be_written(folder):
        return folder
    if _Fallback.folder is not None:
        return _Fallback.folder
    fallback = _temporary_cache()
    if not _Fallback.told:
        _Fallback.told = True
        logger.warning("%s: caches are in %s", _why_elsewhere(folder), fallback)
    return fallback


@contextmanager
def caches_beneath(folder: Path) -> Iterator[str | None]:
    """Keeps caches in a folder for the length of a block, if the user's own cannot be written.

    Libraries that would make a folder in a home of their own, or one named `~` in the working directory where there
    is none, are told the same folder, unless the environment names theirs.

    Args:
        folder: Made when something is first kept there.

    Yields:
        What a user should know, or None where nothing is special or it was told before.
    """
    own = _own_cache()
    if _chosen_cache() is not None or (own is not None and can_be_written(own)):
        yield None
        return
    before, absolute = _Fallback.folder, folder.absolute()
    named = {name: str(absolute / inside) for name, inside in _LIBRARIES.items() if name not in os.environ}
    _Fallback.folder = absolute
    os.environ.update(named)
    remark = f"{_why_elsewhere(own)}: caches are in {folder}; COBRA_KIT_CACHE names another folder"
    told, _Fallback.told = _Fallback.told, True
    try:
        yield None if told else remark
    finally:
        _Fallback.folder = before
        for name in named:
            os.environ.pop(name, None)


def expanded(path: str | Path) -> Path:
    """Returns a path with a leading `~` replaced by the home it means, or as it is where there is no such home."""
    return Path(os.path.expanduser(path))


def can_be_written(folder: Path) -> bool:
    """Returns whether files can be made in a folder that may not exist yet; leaves nothing behind."""
    nearest = folder
    try:
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        os.rmdir(tempfile.mkdtemp(prefix=".cobra-kit-", dir=nearest))
    except OSError:  # whatever the system says: a file in its place, no permission, a read-only or odd file system
        return False
    return True


def _chosen_cache() -> Path | None:
    """Returns `$COBRA_KIT_CACHE`; None where it is not set, or means a home that is not there."""
    chosen = expanded(os.environ.get("COBRA_KIT_CACHE", ""))
    return None if chosen == Path() or chosen.parts[0].startswith("~") else chosen


def _own_cache() -> Path | None:
    # A relative path would be another folder in every working directory; the XDG specification has it ignored.
    if Path(base := os.environ.get("XDG_CACHE_HOME", "")).is_absolute():
        return Path(base) / "cobra-kit"
    home = expanded("~")  # from the password database where HOME is not set
    return home / ".cache" / "cobra-kit" if home.is_absolute() else None


def _temporary_cache() -> Path:
    """Returns a folder that is this user's alone: what is compiled there is run."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    try:
        folder = Path(tempfile.gettempdir()) / f"cobra-kit-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise CobraError(
            f"there is no place for caches: {error}", hint="Set COBRA_KIT_CACHE to a folder that can be written."
        ) from error
    foreign = hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022)
    if foreign or not stat.S_ISDIR(status.st_mode):
        raise CobraError(
            "somebody else may write in the folder for caches",
            where=str(folder),
            hint="Set COBRA_KIT_CACHE to a folder of your own.",
        )
    return folder


def _why_elsewhere(own: Path | None) -> str:
    return "there is no home folder" if own is None else f"{own} cannot be written"


_CLUTTER = frozenset(
    {
        ".directory",
        ".ds_store",
        ".fseventsd",
        ".localized",
        ".spotlight-v100",
        ".trashes",
        "$recycle.bin",
        "@eadir",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)


def contents(folder: Path) -> list[str]:
    """Returns the names in a folder, sorted, without what file managers and file systems put into any folder.

    A folder that holds nothing else is empty, as far as anybody who looks into it can see.
    """
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name.lower() not in _CLUTTER and not entry.name.startswith("._")
    )


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields an empty file in the same folder to write to; on leaving, it takes the place of `path`.

    A reader sees the old file or the new one, never half of one, and so does whoever comes after a power cut.
    Whatever goes wrong, the old file stays as it was and the temporary one is removed.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        CobraError: The file cannot be written: no such folder, no permission, a full disk.
    """
    path = Path(path)
    # Not tempfile: its files are readable by their owner only, and a study folder is often shared.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
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


def _hint(error: OSError, path: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"Make room on the disk of {path.parent}; what was at {path.name} before is untouched."
    if error.errno == errno.ENOENT:
        return f"Create the folder {path.parent} first."
    return f"Check that {path.parent} is a folder you may write to."
