"""Zip archives of public data sets into the folder that rows name, again from where a killed process stopped."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from cobra_kit.errors import DataError
from cobra_kit.events import Progress, Reporter, silent

_REPORT_EVERY = 500
_JUNK = ("__MACOSX/",)


def unpack(archive: Path, folder: Path, report: Reporter = silent) -> tuple[int, tuple[str, ...]]:
    """Unpacks an archive into a folder; returns how many files it holds, and what stands at its top.

    A folder around everything in the archive is left out. Files that are there in their full size are left as they
    are, and every file is written whole or not at all; its checksum is compared on the way.

    Args:
        archive: A zip archive.
        folder: Where its content goes.
        report: Told about progress.

    Raises:
        DataError: It is no zip archive, is damaged, names a place outside the folder, or the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [m for m in file.infolist() if not m.is_dir() and not m.filename.startswith(_JUNK)]
            around = _folder_around(members)
            tops = {_place(member, around, archive).parts[0] for member in members}
            for number, member in enumerate(members, start=1):
                _unpack(file, member, folder / _place(member, around, archive))
                if number % _REPORT_EVERY == 0 or number == len(members):
                    task = f"unpacking {archive.name}"
                    report(Progress(task=task, done=number, total=len(members), unit="files"))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        hint = "Delete it and fetch it again; `data prepare` does both with --again."
        raise DataError(f"the archive cannot be unpacked: {error}", where=str(archive), hint=hint) from error
    except OSError as error:
        hint = f"Make room on the disk of {folder}, or name another --root."
        raise DataError(f"cannot unpack: {error.strerror or error}", where=str(archive), hint=hint) from error
    return len(members), tuple(sorted(tops))


def _folder_around(members: list[zipfile.ZipInfo]) -> str:
    """Returns the folder that everything in an archive is in, with its slash; empty where there is none."""
    tops = {member.filename.partition("/")[:2] for member in members}
    return "".join(tops.pop()) if len(tops) == 1 and all("/" in member.filename for member in members) else ""


def _place(member: zipfile.ZipInfo, around: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(member.filename.removeprefix(around))
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or not path.parts:
        raise DataError(
            f"the archive names a place outside its folder: {member.filename!r}",
            where=str(archive),
            hint="That is no archive of the makers: delete it and fetch it from its page.",
        )
    return path


def _unpack(file: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    try:
        if path.stat().st_size == member.file_size:
            return
    except OSError:
        pass  # not there yet
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.part")
    with file.open(member) as source, open(half, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    os.replace(half, path)
