"""The source `llava/rows`: a file of rows in LLaVA's form and a folder of images. It has no held-out questions.

Rows that break the form are rejected and counted; see `cobra_kit.text.llava` for what breaks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from PIL.Image import Image

from cobra_kit.data.image_folder import ImageFolder
from cobra_kit.data.json_rows import decode_rows
from cobra_kit.data.rejects import Rejects
from cobra_kit.data.rows import FormerNames
from cobra_kit.errors import DamagedFile, DataError, TextError, UnreadableFile, first_line
from cobra_kit.events import Reporter, silent
from cobra_kit.files import expanded, read_small
from cobra_kit.formatting import gibibytes
from cobra_kit.interfaces import (
    Benchmark,
    DataSourceFactory,
    HeldOutSplit,
    Split,
    TextForm,
    TrainingRow,
    used_images,
)
from cobra_kit.machine import available_memory
from cobra_kit.text.llava import parse_llava_row
from cobra_kit_llava.config import Params
from cobra_kit_llava.downloads import BY_SETTING

_PARSED = 4
"""Bytes of memory that a byte of a file of rows takes at least while it is read."""


class LlavaSource(FormerNames):
    """Rows of a file and the images they name.

    Args:
        params: Settings that say where file and folder are.
        report: Told how many rows were rejected, and why.

    Attributes:
        rows: The rows that keep to the form.
        caption_rows: The same of the align stage.
        rejects: The rows that do not, and why.
        caption_rejects: The rows of the align stage that do not, and why.

    Raises:
        DataError: The file or the folder is missing, is not what it should be, or holds no good row.
    """

    def __init__(self, params: Params, report: Reporter = silent) -> None:
        self._file = expanded(params.rows)
        self._images = ImageFolder(expanded(params.images), report)
        content = _read(self._file)
        self._digest = hashlib.sha256(content)
        self.rows, self.rejects = _good_rows(content, self._file, report)
        self.caption_rows, self.caption_rejects = self.rows, self.rejects
        if params.captions is not None:
            captions = expanded(params.captions)
            content = _read(captions)
            self._digest.update(content)
            self.caption_rows, self.caption_rejects = _good_rows(content, captions, report)

    @cached_property
    def fingerprint(self) -> str:
        """Returns a hash of the rows and of the contents of all images that they name."""
        digest = self._digest.copy()
        digest.update(self._images.fingerprint(self.image_ids("train")).encode())
        return digest.hexdigest()

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns the rows without images; LLaVA's form has no plain text.

        Raises:
            DataError: No row is without an image, or plain text is asked for.
        """
        text_rows = tuple(row for row in self.rows if not row.images)
        if form == "conversations" and text_rows:
            return text_rows
        raise DataError(
            "rows in LLaVA's form are conversations, no plain text" if text_rows else "every row has a picture",
            where=str(self._file),
            hint="Leave the text stages out (train.pretrain_text, train.instruct_text) and begin with a language model "
            "that has read enough.",
        )

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing, outside the folder, or cannot be decoded.
            DataError: It is no longer what the fingerprint was made of.
        """
        return self._images.image(image_id)

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the images of the training rows; none for the other splits."""
        return used_images((*self.rows, *self.caption_rows)) if split == "train" else ()

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns no benchmark: the rows are for training."""
        return {}


class Rows(DataSourceFactory):
    """The class that opens a file of rows."""

    @classmethod
    def open(cls, config: Params, report: Reporter = silent) -> LlavaSource:
        """Returns the source with these settings."""
        return LlavaSource(config, report)

    @classmethod
    def remedies(cls, setting: str) -> tuple[str, ...]:
        """Returns where the paper's data are."""
        return tuple(f"{download.what}: {download.link}" for download in BY_SETTING.get(setting, ()))


def _good_rows(content: bytes, file: Path, report: Reporter) -> tuple[tuple[TrainingRow, ...], Rejects]:
    rows, rejects = _parse(content, file)
    if not rows:
        raise DataError(
            "no training row is left",
            where=str(file),
            hint=rejects.summary("rows break LLaVA's form") if rejects.total else "The file is empty.",
        )
    rejects.announce(report, f"{file}", "rows break LLaVA's form and are left out")
    return rows, rejects


def _parse(content: bytes, file: Path) -> tuple[tuple[TrainingRow, ...], Rejects]:
    listed = decode_rows(content, file)
    rows: dict[str, TrainingRow] = {}
    rejects = Rejects(len(listed))
    for number, row in enumerate(listed, start=1):
        try:
            conversation = parse_llava_row(row)
        except TextError as error:
            rejects.add(f"row {number}", first_line(error))
            continue
        name = conversation.id
        while name in rows:  # a loop, since a row may be called `a#3` by itself
            name += f"#{number}"
        rows[name] = TrainingRow(name, conversation.images, conversation.turns)
    return tuple(rows.values()), rejects


def _read(file: Path) -> bytes:
    hint = "data.rows must name a file of rows."
    try:
        size = file.stat().st_size
        available = available_memory()
        if file.is_file() and available is not None and size * _PARSED > available:
            raise DataError(
                f"holds {gibibytes(size)}, and reading it takes more memory than the {gibibytes(available)} available",
                where=str(file),
                hint="Split the rows into smaller files, or use a machine with more memory.",
            )
        return read_small(file, size)
    except DamagedFile as error:
        raise DataError(f"the rows cannot be read: {error.message}", where=str(file), hint=hint) from error
    except UnreadableFile as error:
        reason = error.message.removeprefix("cannot be read: ")
        raise DataError(f"the rows cannot be read: {reason}", where=str(file), hint=hint) from error
    except (OSError, ValueError) as error:  # not there; or a NUL, which no file has in its name
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"the rows cannot be read: {reason}", where=str(file), hint=hint) from error
