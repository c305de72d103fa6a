"""The places of caches: the user's own folder, and what stands in for it where that cannot be written."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cobra_kit.errors import CobraError

logger = logging.getLogger("cobra_kit")

# Not TRITON_CACHE_DIR: what Triton keeps is code, and a study may come from anywhere; see `code_cache`.
_LIBRARIES = {"HF_HOME": "huggingface", "TORCH_HOME": "torch"}
_VARIABLE = "COBRA_KIT_CACHE"


class _Fallback:
    """The place of caches while the user's own cannot be written."""

    folder: Path | None = None
    announced = False
    code_announced = False
    ignored: str | None = None
    """The value of the environment variable that was last said to be ignored."""


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
    if not _Fallback.announced:
        _Fallback.announced = True
        logger.warning("%s: caches are in %s", _why_elsewhere(folder), fallback)
    return fallback


def code_cache() -> Path:
    """Returns the folder for what is compiled here and loaded later; it need not exist, nor be safe: see `distrust`.

    It is `user_cache()` as long as that is the user's own. Never a folder beneath a study: a study may come from
    anywhere, unpacked by this user, and what lies in it would run.
    """
    if chosen := _chosen_cache():
        return chosen
    own = _own_cache()
    if own is not None and can_be_written(own):
        return own
    place = _temporary_place()
    if not _Fallback.code_announced:
        _Fallback.code_announced = True
        logger.warning("%s: what is compiled is kept in %s", _why_elsewhere(own), place)
    return place


def named_cache() -> Path | None:
    """Returns the cache that the environment or the user's home names, whether or not it can be written.

    Nothing stands in for it: what is believed because it stands there must not come from a study's folder. None where
    there is no such folder, or only one that would be another in every working directory.
    """
    folder = _chosen_cache() or _own_cache()
    return folder if folder is not None and folder.is_absolute() else None


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
    announced, _Fallback.announced = _Fallback.announced, True
    try:
        yield None if announced else remark
    finally:
        _Fallback.folder = before
        for name in named:
            os.environ.pop(name, None)


def forget_oldest(folder: Path, most: int) -> None:
    """Removes those JSON files of a cache's folder that were used longest ago, down to `most`."""
    used = []
    for file in folder.glob("*.json"):
        with suppress(FileNotFoundError):  # another process does the same
            used.append((file.stat().st_mtime, file))
    for _, file in sorted(used)[: max(0, len(used) - most)]:
        file.unlink(missing_ok=True)


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
    """Returns `$COBRA_KIT_CACHE`; None where it is not set, or is no absolute path: said once.

    A relative path would be another folder in every working directory, and code would be loaded from wherever one is.
    """
    given = os.environ.get(_VARIABLE, "")
    chosen = expanded(given)
    if not given or chosen.is_absolute():
        return chosen if given else None
    if _Fallback.ignored != given:
        _Fallback.ignored = given
        logger.warning("%s is %r and no absolute path: it is ignored", _VARIABLE, given)
    return None


def _own_cache() -> Path | None:
    # A relative path would be another folder in every working directory; the XDG specification has it ignored.
    if Path(base := os.environ.get("XDG_CACHE_HOME", "")).is_absolute():
        return Path(base) / "cobra-kit"
    if os.environ.get("HOME") == "":  # Python takes it for the root of the file system
        return None
    home = expanded("~")  # from the password database where HOME is not set
    return home / ".cache" / "cobra-kit" if home.is_absolute() else None


def _temporary_place() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"cobra-kit-{user}"


def _temporary_cache() -> Path:
    """Returns a folder that is this user's alone: what is compiled there is run."""
    try:
        folder = _temporary_place()
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
