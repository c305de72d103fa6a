"""The source `llava/dataset`: a Hugging Face data set with a column of images and one of conversations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property

from PIL.Image import Image

from cobra_kit.data.quarantine import read_quarantine
from cobra_kit.errors import ImageError
from cobra_kit.events import Reporter, silent
from cobra_kit.files import expanded
from cobra_kit.interfaces import DataSourceFactory, PlacedRow
from cobra_kit_llava.config import DatasetSettings
from cobra_kit_llava.conversations import ConversationSource
from cobra_kit_llava.dataset import HubTable
from cobra_kit_llava.parsing import collected, placed


class TableRows:
    """A data set, read row by row.

    Args:
        settings: Where it is, and what its columns are called.

    Raises:
        PluginError: The package `datasets` is not installed.
        DataError: There is no such data set, split or column, or the quarantine list cannot be read.
    """

    def __init__(self, settings: DatasetSettings) -> None:
        self._settings, self.table = settings, HubTable(settings)
        self._quarantine = read_quarantine(settings.quarantine and expanded(settings.quarantine))

    def rows(self) -> Iterator[PlacedRow]:
        """Yields the rows with their places."""
        yield from placed(self.table.rows(), f"{self._settings.path}:{self._settings.split}", self._quarantine)

    def has_image(self, image_id: str) -> bool:
        """Returns whether the table has the image's row."""
        return self.table.has(image_id)

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB; raises as `HubTable` does."""
        return self.table.image(image_id)


class DatasetSource(ConversationSource):
    """The rows of a data set and their images.

    Args:
        settings: Where it is, and what its columns are called.
        report: Told how many rows were rejected, and why.

    Raises:
        PluginError: The package `datasets` is not installed.
        DataError: There is no such data set, split or column, or no good row is left.
    """

    def __init__(self, settings: DatasetSettings, report: Reporter = silent) -> None:
        self._read = TableRows(settings)
        super().__init__(settings.path, *collected(self._read.rows(), settings.path, report))

    @cached_property
    def fingerprint(self) -> str:
        """Returns a hash of the rows and of the stored bytes of all images that they name."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(json.dumps([row.row_id, row.images, row.turns]).encode())
        for name in self.image_ids("train"):
            try:
                digest.update(hashlib.sha256(self._read.table.content(name)).digest())
            except ImageError:
                digest.update(b"unreadable")  # one that appears changes the hash, too
        return digest.hexdigest()

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        return self._read.image(image_id)


class Dataset(DataSourceFactory):
    """The class that opens a data set."""

    @classmethod
    def open(cls, config: DatasetSettings, report: Reporter = silent) -> DatasetSource:
        """Returns the source with these settings."""
        return DatasetSource(config, report)

    @classmethod
    def stream(cls, config: DatasetSettings, report: Reporter = silent) -> TableRows:
        """Returns the source with these settings, to be read row by row."""
        return TableRows(config)
