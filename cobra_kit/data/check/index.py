"""The ids and images of all rows in a temporary file, so that memory does not grow with their number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from cobra_kit.data.quarantine import QuarantinedRow
from cobra_kit.interfaces import PlacedRow

_BATCH = 512
_CACHE_KIB = 16_384
_TABLES = """
create table ids (id blob primary key) without rowid;
create table images (number integer primary key, name blob unique);
create table uses (image integer, file text, row integer, id blob);
create table bad (file text, row integer, id blob, reason blob, primary key (file, row)) without rowid;
"""


class RowIndex:
    """Ids, images and bad rows.

    Args:
        folder: A temporary folder.
    """

    def __init__(self, folder: Path) -> None:
        self._base = sqlite3.connect(folder / "rows.db", isolation_level=None)
        # The file is thrown away at the end, so nothing has to survive a power cut.
        for setting in ("journal_mode = off", "synchronous = off", f"cache_size = -{_CACHE_KIB}"):
            self._base.execute(f"pragma {setting}")
        self._base.executescript(_TABLES)
        self._base.execute("begin")

    def close(self) -> None:
        """Lets go of the file."""
        self._base.close()

    def add(self, item: PlacedRow) -> bool:
        """Notes a row's id and images; returns whether no other row has its id."""
        new = self._base.execute("insert or ignore into ids values (?)", (_blob(item.row_id),)).rowcount > 0
        for name in dict.fromkeys(item.row.images) if item.row is not None else ():
            self._base.execute("insert or ignore into images (name) values (?)", (_blob(name),))
            (number,) = self._base.execute("select number from images where name = ?", (_blob(name),)).fetchone()
            values = (number, item.file, item.number, _blob(item.row_id))
            self._base.execute("insert into uses values (?, ?, ?, ?)", values)
        return new

    def add_bad(self, item: PlacedRow, reason: str) -> None:
        """Notes that a row cannot be trained on; of several reasons, the first counts."""
        values = (item.file, item.number, _blob(item.row_id), _blob(reason))
        self._base.execute("insert or ignore into bad values (?, ?, ?, ?)", values)

    def add_bad_images(self, reasons: Sequence[tuple[str, str]]) -> None:
        """Notes that the rows with some images cannot be trained on."""
        self._base.execute("create index if not exists uses_of on uses (image)")
        for name, reason in reasons:
            self._base.execute(
                "insert or ignore into bad select file, row, id, ? from uses join images on image = number "
                "where name = ?",
                (_blob(reason), _blob(name)),
            )

    @property
    def image_count(self) -> int:
        """Returns how many different images there are."""
        return int(self._base.execute("select count(*) from images").fetchone()[0])

    @property
    def bad_count(self) -> int:
        """Returns how many rows cannot be trained on."""
        return int(self._base.execute("select count(*) from bad").fetchone()[0])

    def images(self) -> Iterator[list[str]]:
        """Yields the images' names, each once, in order of first use, some at a time."""
        last = 0
        while True:
            query = "select number, name from images where number > ? order by number limit ?"
            batch = self._base.execute(query, (last, _BATCH)).fetchall()
            if not batch:
                return
            last = batch[-1][0]
            yield [_text(name) for _, name in batch]

    def bad_rows(self) -> Iterator[QuarantinedRow]:
        """Yields the rows that cannot be trained on, in the order of their files and numbers."""
        for file, row, row_id, reason in self._base.execute("select * from bad order by file, row"):
            yield QuarantinedRow(file, row, _text(row_id), _text(reason))


def _blob(text: str) -> bytes:
    """Returns a text as bytes: sqlite's own texts cannot hold half of a surrogate pair, which names of files may."""
    return text.encode("utf-8", "surrogatepass")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
