"""The source `llava/shards`: WebDataset tar shards of samples in LLaVA's form, or of images with captions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from PIL.Image import Image

from cobra_kit.data.quarantine import read_quarantine
from cobra_kit.errors import DataError
from cobra_kit.events import Progress, Reporter, silent
from cobra_kit.files import expanded
from cobra_kit.interfaces import DataSourceFactory, PlacedRow
from cobra_kit_llava.config import ShardSettings
from cobra_kit_llava.conversations import ConversationSource
from cobra_kit_llava.parsing import collected, placed
from cobra_kit_llava.shards import ShardImages, shard_files, shard_rows


class Shards:
    """Shards, read row by row.

    Args:
        settings: Where they are.

    Raises:
        DataError: One is missing, or the quarantine list cannot be read.
    """

    def __init__(self, settings: ShardSettings) -> None:
        self.files = shard_files(settings.places)
        self._images = ShardImages(self.files)
        self._quarantine = read_quarantine(settings.quarantine and expanded(settings.quarantine))

    def rows(self) -> Iterator[PlacedRow]:
        """Yields the rows of all shards with their places."""
        for shard in self.files:
            before = _state(shard)
            yield from placed(shard_rows(shard), shard.name, self._quarantine)
            if _state(shard) != before:
                raise DataError(
                    "the shard was changed while it was read",
                    where=str(shard),
                    hint="Wait until whatever writes it is done, then start again.",
                )

    def has_image(self, image_id: str) -> bool:
        """Returns whether an image's bytes are within its shard."""
        return self._images.has(image_id)

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB; raises as `ShardImages` does."""
        return self._images.image(image_id)


class ShardSource(ConversationSource):
    """The rows of shards and their images.

    Args:
        settings: Where they are.
        report: Told how many rows were rejected, and why.

    Raises:
        DataError: A shard is missing or broken, or no good row is left.
    """

    def __init__(self, settings: ShardSettings, report: Reporter = silent) -> None:
        self._shards, self._report = Shards(settings), report
        self._list = settings.quarantine and expanded(settings.quarantine)
        place = ", ".join(map(str, settings.places))
        super().__init__(place, *collected(self._shards.rows(), place, report, several=len(self._shards.files) > 1))

    @cached_property
    def fingerprint(self) -> str:
        """Returns a hash of the shards' contents and of the quarantine list."""
        digest = hashlib.sha256()
        files = self._shards.files
        for number, shard in enumerate(files, start=1):
            with open(shard, "rb") as file:
                digest.update(f"{shard.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
            self._report(Progress(task="hashing shards", done=number, total=len(files), unit="shards"))
        if self._list:
            digest.update(self._list.read_bytes())
        return digest.hexdigest()

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        return self._shards.image(image_id)


class ShardRows(DataSourceFactory):
    """The class that opens shards."""

    @classmethod
    def open(cls, config: ShardSettings, report: Reporter = silent) -> ShardSource:
        """Returns the source with these settings."""
        return ShardSource(config, report)

    @classmethod
    def stream(cls, config: ShardSettings, report: Reporter = silent) -> Shards:
        """Returns the source with these settings, to be read row by row."""
        return Shards(config)


def _state(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns
