"""The whole check: every row once, every image once, in parallel, in memory that does not grow with their number."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL.Image import Image

from cobra_kit.data.check.findings import DataReport
from cobra_kit.data.check.index import RowIndex
from cobra_kit.data.check.overlap import HeldOutImages, pixel_digest
from cobra_kit.data.check.texts import TextCheck
from cobra_kit.data.quarantine import QuarantinedRow
from cobra_kit.data.rejects import Rejects
from cobra_kit.errors import ImageError
from cobra_kit.events import Message, Progress, Reporter, silent
from cobra_kit.images import memory_as_image_error
from cobra_kit.interfaces import DataSource, PlacedRow, RowStream

_REPORT_EVERY = 100_000
_MARKED = 3


def check_stream(
    stream: RowStream,
    texts: TextCheck | None,
    held_out: HeldOutImages,
    finish: Callable[[Iterator[QuarantinedRow]], object],
    report: Reporter = silent,
) -> DataReport:
    """Looks at all rows and images.

    Args:
        stream: Gives the rows to look at.
        texts: Looks at their texts; None: nobody does, since there is no tokenizer here.
        held_out: The images of benchmarks.
        finish: Given the rows that cannot be trained on, where there are any, at the end.
        report: Told about progress.

    Raises:
        DataError: A file is missing, is of another form, or was changed while it was read.
    """
    started, result = time.monotonic(), DataReport()
    with tempfile.TemporaryDirectory(prefix="cobra-kit-check-") as folder:
        index = RowIndex(Path(folder))
        try:
            _check_rows(stream, index, texts, result, report)
            _check_images(stream, index, held_out, result, report)
            result.bad_rows = index.bad_count
            if result.bad_rows:
                finish(index.bad_rows())
        finally:
            index.close()
    if texts is not None and texts.cuts.rows:
        result.kinds["cut"].count, result.kinds["cut"].examples = texts.cuts.rows, [f"row {texts.cuts.first}"]
        result.cut = (
            f"{texts.cuts.tokens:,} tokens are cut at {texts.cuts.limit:,}, "
            f"{texts.cuts.supervised_tokens:,} of them with loss"
        )
    result.seconds = time.monotonic() - started
    return result


def _check_rows(
    stream: RowStream, index: RowIndex, texts: TextCheck | None, result: DataReport, report: Reporter
) -> None:
    for item in stream.rows():
        result.rows += 1
        if result.rows % _REPORT_EVERY == 0:
            # How many there will be is not known, and a count without an end is no progress that could be drawn.
            report(Message(text=f"checking rows: {result.rows:,} so far"))
        if item.quarantined:
            result.quarantined += 1
            continue
        if not index.add(item) and item.row_id:
            result.kinds["duplicate"].add(f"{item.place}: {item.row_id}")
        if problem := _row_problem(item, texts):
            kind, reason = problem
            result.kinds[kind].add(f"{item.place}: {reason}")
            index.add_bad(item, reason)
        elif texts is not None and item.row is not None and len(result.marked) < _MARKED:
            result.marked.append(texts.marked(item.row))
    report(Progress(task="checking rows", done=result.rows, total=result.rows, unit="rows"))


def _row_problem(item: PlacedRow, texts: TextCheck | None) -> tuple[str, str] | None:
    if item.row is None:
        return "form", item.reason
    if not item.row.turns:
        return "empty", "the row has no turns"
    for number, (_, answer) in enumerate(item.row.turns, start=1):
        if not answer.strip():
            return "empty", f"answer {number} is empty"
    reason = texts.problem(item.row) if texts is not None else None
    return ("nothing", reason) if reason else None


def _check_images(
    stream: RowStream, index: RowIndex, held_out: HeldOutImages, result: DataReport, report: Reporter
) -> None:
    result.images = index.image_count
    done, wanted = 0, bool(held_out.by_pixels)

    def look(name: str) -> tuple[str, str | None, bytes | None]:
        try:
            with memory_as_image_error(name):
                image = stream.image(name)
                return name, None, pixel_digest(image) if wanted else None
        except ImageError as error:
            return name, error.message, None

    pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2))
    try:
        for names in index.images():
            bad = []
            for name, reason, digest in pool.map(look, names):
                if reason is not None:
                    result.kinds["image"].add(f"{name}: {reason}")
                    bad.append((name, f"its picture {name}: {reason}"))
                elif held_out and (where := held_out.match(name, digest)):
                    result.kinds["benchmark"].add(f"{name} is {where}")
            index.add_bad_images(bad)
            done += len(names)
            report(Progress(task="decoding pictures", done=done, total=result.images, unit="pictures"))
    finally:
        pool.shutdown(cancel_futures=True)


class OpenedRows:
    """A source that only opens as a whole, as a stream.

    Args:
        source: The opened source.
    """

    def __init__(self, source: DataSource) -> None:
        self._source = source

    def rows(self) -> Iterator[PlacedRow]:
        """Yields its rows, those of the align stage, and those that it left out itself."""
        rejects = getattr(self._source, "rejects", None)
        if isinstance(rejects, Rejects):
            for number, (name, reason) in enumerate(rejects.reasons.items(), start=1):
                yield PlacedRow("left out by the source", number, name, None, reason)
        parts = {"": self._source.rows}
        if self._source.caption_rows is not self._source.rows:
            parts["captions"] = self._source.caption_rows
        for part, rows in parts.items():
            for number, row in enumerate(rows, start=1):
                # Both stages may well have a row of one name: only within a part is that odd.
                yield PlacedRow(part, number, f"{part}:{row.row_id}" if part else row.row_id, row)

    def has_image(self, image_id: str) -> bool:
        """Returns True: only opening it tells."""
        return True

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB."""
        return self._source.image(image_id)
