"""One file from the web: in parts that survive a broken line or a killed process, put in place only when whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile, DataError
from cobra_kit.events import Progress, Reporter, silent
from cobra_kit.files import read_json, write_json
from cobra_kit.formatting import gibibytes
from cobra_kit.locks import locked

_CHUNK = 1 << 20
_TRIES = 5
_SECONDS = 30.0
_SPARE = 64 << 20
_DEAD = (404, 410, 401, 403)


class NoNetworkError(DataError):
    """The server cannot be reached at all, so that asking for the next file of it is no use either."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched.

    Args:
        size: Its length in bytes.
        sha256: Its checksum, in hexadecimal.
        resumed: Bytes that an earlier process had fetched.
    """

    size: int
    sha256: str
    resumed: int


def fetch(
    link: str, path: Path, *, size: int | None = None, sha256: str | None = None, report: Reporter = silent
) -> Fetched:
    """Fetches a file to a path; what an earlier process fetched of it is used, if the server's file is still the same.

    Args:
        link: Its address, http or https.
        path: Where it is put once it is whole.
        size: The bytes that it must have, where they are known; else those that the server states count.
        sha256: Its checksum, where it is known.
        report: Told about progress.

    Raises:
        NoNetworkError: The server cannot be reached.
        DataError: The server refuses, the line breaks again and again, the disk is too small, or the file is another.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with locked(part.with_name(f"{part.name}.lock"), _taken):
        resumed = part.stat().st_size if part.exists() else 0
        for attempt in range(_TRIES):
            try:
                _get(link, part, size, report)
                break
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                _check_hopeless(error, link, attempt)
                time.sleep(min(2.0**attempt, 10.0) * _PACE)
        return _finished(part, path, link, resumed, size, sha256)


_PACE = 1.0
"""Seconds that the first wait before another try takes."""


def _finished(part: Path, path: Path, link: str, resumed: int, size: int | None, sha256: str | None) -> Fetched:
    got = part.stat().st_size
    expected = size if size is not None else _known(part).get("size")
    with open(part, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    problem = None
    if expected is not None and got != expected:
        problem = f"{got:,} bytes came, not the {expected:,} that it has"
    elif sha256 is not None and checksum != sha256:
        problem = f"its checksum is {checksum}, not {sha256}"
    if problem:
        part.unlink()
        _notes(part).unlink(missing_ok=True)
        raise DataError(problem, where=link, hint="What came was deleted. Try again, or fetch it by hand.")
    os.replace(part, path)
    _notes(part).unlink(missing_ok=True)
    part.with_name(f"{part.name}.lock").unlink(missing_ok=True)
    return Fetched(got, checksum, min(resumed, got))


def _get(link: str, part: Path, size: int | None, report: Reporter) -> None:
    start, known = (part.stat().st_size if part.exists() else 0), _known(part)
    if start and (start == known.get("size") or start == size) and known.get("link") == link:
        return  # the process was killed between the last byte and the move
    request = urllib.request.Request(link, headers={"User-Agent": "cobra-kit", "Accept-Encoding": "identity"})
    if start and known.get("link") == link and known.get("tag"):
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", known["tag"])  # of a file that has changed, all of it comes
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        if answer.status != 206 or _range_start(answer) != start:
            start = 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else size
        _check_room(part, total, start)
        tag = answer.headers.get("ETag") or ""
        # A weak tag promises no equal bytes, so it cannot be resumed on; a date can.
        tag = answer.headers.get("Last-Modified") or "" if not tag or tag.startswith("W/") else tag
        write_json(_notes(part), {"link": link, "tag": tag, "size": total})
        _receive(answer, part, start, total, report)


def _receive(answer: Any, part: Path, start: int, total: int | None, report: Reporter) -> None:
    done, told = start, 0.0
    with open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - told > 0.2 or done == total:
                told = time.monotonic()
                megabytes = [(number or done) >> 20 for number in (done, total)]
                report(Progress(task=f"fetching {part.name[1:-5]}", done=megabytes[0], total=megabytes[1], unit="MiB"))
    if total is not None and done < total:
        raise http.client.IncompleteRead(b"", total - done)


def _range_start(answer: Any) -> int | None:
    value = (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
    return int(value) if value.isdigit() else None


def _check_hopeless(error: Exception, link: str, attempt: int) -> None:
    """Raises where another try cannot help."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code in _DEAD or attempt == _TRIES - 1:
            hint = "The file may have moved, or ask for an account: get it from its page and put it in place by hand."
            raise DataError(f"the server answers {error.code} {error.reason}", where=link, hint=hint) from error
        return
    if isinstance(error, urllib.error.URLError):
        reason = getattr(error.reason, "strerror", None) or error.reason
        if attempt >= 1:
            hint = "Without a network, put the file in place by hand; `cobra-kit data prepare` says where."
            raise NoNetworkError(f"the server cannot be reached: {reason}", where=link, hint=hint) from error
        return
    if isinstance(error, OSError) and error.filename is not None:  # our own disk
        raise DataError(
            f"cannot be written: {error.strerror}", where=str(error.filename), hint="It must be a folder to write to."
        ) from error
    if attempt == _TRIES - 1:
        hint = "What came is kept: the same command goes on there."
        raise DataError(f"the line breaks again and again: {error}", where=link, hint=hint) from error


def _check_room(part: Path, total: int | None, start: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start + _SPARE > free:
        raise DataError(
            f"{gibibytes(total - start)} are to come, and the disk has {gibibytes(free)} free",
            where=str(part.parent),
            hint="Make room, or name another --root.",
        )


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _known(part: Path) -> dict[str, Any]:
    """Returns what is known of a part from an earlier process; nothing where that cannot be read."""
    try:
        value = read_json(_notes(part))
    except (OSError, DamagedFile, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _taken() -> None:
    raise DataError("another process is fetching it", hint="Wait for it, or end it, and start again.")
