"""A file of rows read one by one: a JSON list or JSON lines, in memory that does not grow with the file."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from cobra_kit.data.json_rows import FORMS, PACKED
from cobra_kit.errors import DataError

_BLANKS = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 20
_LONGEST_ROW = 64 << 20
"""Characters of a row above which the file is taken to be broken: an unclosed text would swallow all the rest."""


def stream_rows(file: Path) -> Iterator[Any]:
    """Yields the values of a file of rows, unchecked; of an empty file, none.

    Raises:
        DataError: It is missing or of neither form, with line and column; or it was changed while it was read.
    """
    try:
        with open(file, "rb") as binary:
            before = _state(binary)
            window = _Window(binary, file)  # it closes the file when it goes
            yield from _values(window)
            if _state(binary) != before or _state_of(file) != before:
                raise DataError(
                    "the file was changed while it was read",
                    where=str(file),
                    hint="Wait until whatever writes it is done, then start again.",
                )
    except OSError as error:
        raise DataError(
            f"the rows cannot be read: {error.strerror or error}",
            where=str(file),
            hint="It must be a file of rows that you may read.",
        ) from error


def _values(window: _Window) -> Iterator[Any]:
    first = window.peek()
    if first == "[":
        yield from _list(window)
    elif first == "{":
        while window.peek():
            yield window.value()
            if window.peek() == ",":
                window.fail("a comma behind the object", "JSON lines have no commas between them; a list has brackets.")
    elif first:
        window.fail(f"neither a JSON list nor JSON lines: it begins with {window.start()!r}", FORMS)


def _list(window: _Window) -> Iterator[Any]:
    window.take()
    if window.peek() == "]":
        window.take()
    else:
        while True:
            yield window.value()
            mark = window.peek()
            if mark not in ("]", ","):
                window.fail("not JSON (expecting ',' or ']')" if mark else "the list has no end")
            window.take()
            if mark == "]":
                break
    if window.peek():
        window.fail("not JSON (something stands behind the list)")


class _Window:
    """The part of a file's text that is being looked at."""

    def __init__(self, binary: BinaryIO, file: Path) -> None:
        self._file = file
        self._text, self._at, self._ended = "", 0, False
        self._lines, self._columns = 0, 0  # of what was dropped: its line ends, and the characters behind the last
        self._decoder = json.JSONDecoder()
        head = binary.read(8)
        for start, kind in PACKED.items():
            if head.startswith(start):
                hint = f"Unpack or convert it first. {FORMS}"
                raise DataError(f"a {kind} file, not JSON", where=str(file), hint=hint)
        binary.seek(0)
        # With or without a byte order mark, UTF-16 and UTF-32 among them: what the json module recognises.
        self._encoding = json.detect_encoding(head)
        self._reader = io.TextIOWrapper(binary, encoding=self._encoding, newline="")

    def peek(self) -> str:
        """Returns the next character that is no blank; an empty text at the end."""
        while True:
            match = _BLANKS.match(self._text, self._at)
            assert match is not None  # it also matches nothing
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read_more(_CHUNK)

    def take(self) -> None:
        """Steps over a character."""
        self._at += 1

    def start(self) -> str:
        """Returns the next characters, for an error."""
        return self._text[self._at : self._at + 40].splitlines()[0]

    def value(self) -> Any:
        """Returns the next value and steps over it."""
        if not self.peek():
            self.fail("not JSON (expecting a value, the file ends)")
        size = _CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:  # else a number may go on
                    self._at = end
                    return value
            except RecursionError:
                self.fail("nested too deeply to be a row", FORMS)
            except ValueError as error:
                if self._ended or len(self._text) - self._at > _LONGEST_ROW:
                    place = getattr(error, "pos", self._at)
                    reason = getattr(error, "msg", str(error))
                    self.fail(f"not JSON ({reason[:1].lower() + reason[1:]})", place=place)
            self._read_more(size)
            size *= 2

    def fail(self, message: str, hint: str | None = None, *, place: int | None = None) -> NoReturn:
        """Raises an error that names line and column."""
        at = self._at if place is None else place
        line = self._lines + self._text.count("\n", 0, at) + 1
        last = self._text.rfind("\n", 0, at)
        column = at - last if last >= 0 else self._columns + at + 1
        raise DataError(
            f"line {line}, column {column}: {message}",
            where=str(self._file),
            hint=hint or f"Mend that place, or fetch the file again. {FORMS}",
        )

    def _read_more(self, size: int) -> None:
        dropped = self._text[: self._at]
        if "\n" in dropped:
            self._lines += dropped.count("\n")
            self._columns = len(dropped) - dropped.rfind("\n") - 1
        else:
            self._columns += len(dropped)
        self._text, self._at = self._text[self._at :], 0
        try:
            more = self._reader.read(size)
        except UnicodeDecodeError as error:
            hint = f"Save the file as UTF-8. {FORMS}"
            self.fail(f"somewhere behind, byte {error.object[error.start]:#04x} is not {self._encoding.upper()}", hint)
        if "\0" in more:
            hint = "The file is damaged, or was not written to its end. Fetch or write it again."
            place = len(self._text) + more.index("\0")
            self._text += more
            self.fail("a NUL byte, which no JSON file holds", hint, place=place)
        self._ended = not more
        self._text += more


def _state(binary: BinaryIO) -> tuple[int, int, int]:
    return _numbers(os.fstat(binary.fileno()))


def _state_of(file: Path) -> tuple[int, int, int]:
    return _numbers(os.stat(file))


def _numbers(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns
