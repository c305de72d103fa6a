"""The source `llava/rows`: files of rows in LLaVA's form and a folder of images. It has no held-out questions.

Rows that break the form are rejected and counted; see `cobra_kit.text.llava` for what breaks it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from PIL.Image import Image

from cobra_kit.data.image_folder import ImageFolder, leads_out
from cobra_kit.data.json_rows import decode_rows
from cobra_kit.data.json_stream import stream_rows
from cobra_kit.data.quarantine import Quarantine, read_quarantine
from cobra_kit.data.rejects import Rejects
from cobra_kit.errors import DamagedFile, DataError, UnreadableFile
from cobra_kit.events import Reporter, silent
from cobra_kit.files import expanded, read_small
from cobra_kit.formatting import gibibytes
from cobra_kit.interfaces import DataSourceFactory, PlacedRow, PublicSet, TrainingRow
from cobra_kit.machine import available_memory
from cobra_kit_llava.config import Params
from cobra_kit_llava.conversations import ConversationSource
from cobra_kit_llava.downloads import BY_SETTING, PREPARED
from cobra_kit_llava.parsing import collected, placed
from cobra_kit_llava.public import SETS

_PARSED = 4
"""Bytes of memory that a byte of a file of rows takes at least while it is read."""


class LlavaSource(ConversationSource):
    """Rows of files and the images they name.

    Args:
        params: Settings that say where files and folder are.
        report: Told how many rows were rejected, and why.

    Attributes:
        rows: The rows that keep to the form.
        caption_rows: The same of the align stage.
        rejects: The rows that do not, and why.
        caption_rejects: The rows of the align stage that do not, and why.

    Raises:
        DataError: A file or the folder is missing, is not what it should be, or holds no good row.
    """

    def __init__(self, params: Params, report: Reporter = silent) -> None:
        self._images = ImageFolder(expanded(params.images), report)
        self._digest = hashlib.sha256()
        quarantine = read_quarantine(params.quarantine and expanded(params.quarantine))
        rows, rejects = self._collected(params.files, quarantine, report)
        captions = None
        if params.captions is not None:
            captions = self._collected((params.captions,), quarantine, report)
        if params.quarantine is not None and len(quarantine):
            self._digest.update(expanded(params.quarantine).read_bytes())
        super().__init__(", ".join(map(str, map(expanded, params.files))), rows, rejects, captions)

    @cached_property
    def fingerprint(self) -> str:
        """Returns a hash of the rows and of the contents of all images that they name."""
        digest = self._digest.copy()
        digest.update(self._images.fingerprint(self.image_ids("train")).encode())
        return digest.hexdigest()

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing, outside the folder, or cannot be decoded.
            DataError: It is no longer what the fingerprint was made of.
        """
        return self._images.image(image_id)

    def _collected(
        self, files: Sequence[Path], quarantine: Quarantine, report: Reporter
    ) -> tuple[tuple[TrainingRow, ...], Rejects]:
        def rows() -> Iterator[PlacedRow]:
            for named in files:
                file = expanded(named)
                content = _read(file)
                self._digest.update(content)
                listed = decode_rows(content, file)
                del content  # the rows alone take several times as much
                yield from placed(listed, str(named), quarantine)

        place = ", ".join(str(expanded(file)) for file in files)
        return collected(rows(), place, report, several=len(files) > 1)


class Rows(DataSourceFactory):
    """The class that opens files of rows."""

    @classmethod
    def open(cls, config: Params, report: Reporter = silent) -> LlavaSource:
        """Returns the source with these settings."""
        return LlavaSource(config, report)

    @classmethod
    def stream(cls, config: Params, report: Reporter = silent) -> RowFiles:
        """Returns the source with these settings, to be read row by row."""
        return RowFiles(config)

    @classmethod
    def public_sets(cls) -> tuple[PublicSet, ...]:
        """Returns the paper's training data."""
        return SETS

    @classmethod
    def remedies(cls, setting: str) -> tuple[str, ...]:
        """Returns the commands that bring the paper's data, and where those are."""
        commands = tuple(f"cobra-kit data prepare {name} --root DIR" for name in PREPARED.get(setting, ()))
        return (*commands, *(f"{download.what}: {download.link}" for download in BY_SETTING.get(setting, ())))


class RowFiles:
    """Files of rows, read row by row.

    Args:
        params: Settings that say where files and folder are.

    Raises:
        DataError: The folder of images is missing, or the quarantine list cannot be read.
    """

    def __init__(self, params: Params) -> None:
        self._root = expanded(params.images)
        self._images = ImageFolder(self._root)
        self._files = (*params.files, *((params.captions,) if params.captions is not None else ()))
        self._quarantine = read_quarantine(params.quarantine and expanded(params.quarantine))

    def rows(self) -> Iterator[PlacedRow]:
        """Yields the rows of all files with their places."""
        for file in dict.fromkeys(self._files):
            yield from placed(stream_rows(expanded(file)), str(file), self._quarantine)

    def has_image(self, image_id: str) -> bool:
        """Returns whether the folder has an image, by its name alone."""
        return not leads_out(image_id) and os.path.isfile(os.path.join(self._root, image_id))

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB; raises as an `ImageFolder` does."""
        return self._images.image(image_id)


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
