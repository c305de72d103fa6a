"""Hashes of a folder's files between runs: one file per folder, whole or absent, and never trusted when damaged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from cobra_kit.errors import CobraError, first_line
from cobra_kit.events import Message, Reporter
from cobra_kit.files import user_cache, write_bytes
from cobra_kit.files.caches import forget_oldest

MOST_RECORDS = 2_000_000
"""Files of one folder that are remembered: some 300 MB."""

MOST_FOLDERS = 32
"""Folders that are remembered; those that were used longest ago go first."""

_DIGEST = 64  # characters of a sha256 in hexadecimal


class HashCache:
    """The remembered hashes of a folder's files. See `HashCache.of`.

    Args:
        file: Where it is kept; a file that is missing, damaged or of another form counts as empty.

    Attributes:
        records: Texts `inode-size-mtime-ctime state` by file name.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.records = _load(file)

    @classmethod
    def of(cls, folder: Path) -> HashCache:
        """Returns what is known of the files of a folder, kept in the user's cache."""
        name = hashlib.sha256(str(folder.absolute()).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return cls(user_cache() / "image-hashes" / f"{name}.json")

    def keep(self, records: Mapping[str, str], report: Reporter) -> None:
        """Adds records and writes the file, if anything is new; a cache that cannot be written is told about.

        Args:
            records: Records of the files that were looked at.
            report: Told where nothing can be kept.
        """
        if all(self.records.get(name) == record for name, record in records.items()):
            with contextlib.suppress(OSError):
                os.utime(self._file)  # in use: not among the oldest
            return
        others = {name: record for name, record in self.records.items() if name not in records}
        room = max(0, MOST_RECORDS - len(records))
        self.records = {**dict(list(others.items())[:room]), **dict(list(records.items())[:MOST_RECORDS])}
        try:
            self._write()
        except (OSError, CobraError) as error:
            reason = first_line(error)
            report(Message(text=f"image hashes are not kept, so the next run reads every image again: {reason}"))

    def forget(self, name: str) -> None:
        """Drops the record of a file that turned out to be other than its times say; it is read again next time."""
        if self.records.pop(name, None) is not None:
            with contextlib.suppress(OSError, CobraError):
                self._write()

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        body = json.dumps(self.records, separators=(",", ":")).encode()  # ASCII: any name can be written
        write_bytes(self._file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        forget_oldest(self._file.parent, MOST_FOLDERS)


def _load(file: Path) -> dict[str, str]:
    try:
        content = file.read_bytes()
        digest, body = content[:_DIGEST], content[_DIGEST + 1 :]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return {}
        records = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(records, dict) or not all(isinstance(record, str) for record in records.values()):
        return {}
    return records
