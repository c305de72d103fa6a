"""Standard output and error that outlive whoever reads them: `| head`, a closed terminal, a full disk below a log.

What is printed while a study runs is news, and no news is no reason to lose a trial. What could not be written to
standard output is told by the exit code.

Whatever is printed, by us, a library or a plugin, a terminal obeys no more of it than what draws: names that strangers
wrote are cleaned where they are printed, and this is the net below.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from typing import Any

from cobra_kit.formatting import printable_lines

_GONE = {errno.EPIPE, errno.EIO, errno.ENXIO}
"""What writing says once nobody reads: a closed pipe, a terminal that is gone."""


_DRAWING = re.compile("(\x1b\\[(?:[0-9;]*[mAK]|\\?25[hl]))|\r(?!\n)")
"""What our displays and other programs draw with: colours, one line up, an erased line, the cursor, and its return."""


class _Text(io.TextIOWrapper):
    """Text without control characters and escape sequences, but for those that draw."""

    def write(self, text: str, /) -> int:
        """Writes what may be printed, and returns how long the text was."""
        if text.isprintable():
            super().write(text)
            return len(text)
        end = 0
        for match in _DRAWING.finditer(text):
            super().write(printable_lines(text[end : match.start()]) + match.group())
            end = match.end()
        super().write(printable_lines(text[end:]))
        return len(text)


class _Output(io.FileIO):
    """The bytes of a stream; what nobody can read is dropped.

    Args:
        descriptor: 1 or 2.
        news: Whether nothing of it is worth an error, whatever the reason that it cannot be written.
    """

    def __init__(self, descriptor: int, *, news: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._news = news
        self.gone = False

    def write(self, data: Any, /) -> int:
        """Writes the bytes, or drops them."""
        if not self.gone:
            try:
                return super().write(data) or 0
            except BlockingIOError:
                raise
            except OSError as error:
                self.gone = True  # whatever it is, it is told once
                if not self._news and error.errno not in _GONE:
                    raise
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Makes standard output and error encode anything, and survive the end of their readers."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (for the process's life)
        elif isinstance(stream, io.TextIOWrapper):
            if stream is getattr(sys, f"__{name}__") and stream.fileno() == number:
                setattr(sys, name, _lasting(stream, news=name == "stderr"))
            else:
                stream.reconfigure(errors="replace")


def output_is_gone() -> bool:
    """Writes out what stands in standard output, and returns whether nobody reads it any more."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Output) and raw.gone


def _lasting(stream: io.TextIOWrapper, *, news: bool) -> io.TextIOWrapper:
    stream.flush()
    return _Text(
        io.BufferedWriter(_Output(stream.fileno(), news=news)),
        encoding=stream.encoding,
        errors="replace",  # a terminal without UTF-8 gets a `?`, not an error
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
