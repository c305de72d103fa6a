"""Digests of a world's files, in its manifest; a world that was drawn before there were any is taken as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cobra_kit.data.sections import SectionCheck, SectionWriter
from cobra_kit.errors import DamagedFile, DataError
from cobra_kit.files import FileDigest, bytes_digest, file_digest, parse_json, read_small
from cobra_kit_scenes.damage import damaged_world
from cobra_kit_scenes.images import IMAGES_FILE, open_images

FILES = "files"
"""The key of the digests in a manifest."""


def world_digests(folder: Path) -> dict[str, Any]:
    """Returns the digests of all files of a world but its manifest, by their paths in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _digest(path: Path) -> dict[str, Any]:
    if path.name != IMAGES_FILE:
        return asdict(file_digest(path))
    writer = SectionWriter()
    for image in open_images(path.parent):
        writer.add(image.tobytes())
    return {"bytes": path.stat().st_size, "sections": writer.finish()}


class WorldFiles:
    """The files of a world, held to what was written.

    Args:
        folder: The folder that the world stands in.
        manifest: The manifest of the world, checked.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self._folder = folder
        self._digests: Mapping[str, Any] | None = manifest.get(FILES)
        if not isinstance(self._digests, Mapping | None):
            raise TypeError("its manifest names no files")

    def text(self, path: Path) -> str:
        """Returns the text of a file.

        Raises:
            DataError: It is not what was written.
        """
        try:
            content = read_small(path, path.stat().st_size)
            digest = self._of(path)
            if digest is not None and bytes_digest(content) != FileDigest.from_plain(digest, path):
                raise self._damaged(path, "its content is not what was written: the digest differs")
            return content.decode()
        except (OSError, ValueError) as error:
            raise self._damaged(path, getattr(error, "strerror", None) or str(error)) from error
        except DamagedFile as error:
            raise self._damaged(path, error.message) from error

    def json(self, path: Path) -> Any:
        """Returns the value of a JSON file.

        Raises:
            DataError: It is not what was written.
        """
        text = self.text(path)
        if self._digests is not None:  # what was written by us is not nested without end
            return json.loads(text)
        try:
            return parse_json(text, path)
        except DamagedFile as error:
            raise self._damaged(path, error.message) from error

    def images(self, folder: Path, count: int) -> tuple[NDArray[np.uint8], SectionCheck]:
        """Returns the images of a split, a memory map, and the check of its sections.

        Raises:
            DataError: They are not what was drawn.
        """
        path = folder / IMAGES_FILE
        try:
            images = open_images(folder)
            digest = self._of(path)
            if images.dtype != np.uint8 or images.shape[:1] != (count,) or images.ndim != 4:
                raise ValueError(f"it holds {images.shape[:1]} images, expected {count}")
            if digest is not None and path.stat().st_size != digest["bytes"]:
                raise ValueError(f"it holds {path.stat().st_size:,} bytes, {digest['bytes']:,} were written")
            sections = None if digest is None else digest["sections"]
            return images, SectionCheck(sections, count, lambda start, stop: np.ascontiguousarray(images[start:stop]))
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            raise self._damaged(path, getattr(error, "strerror", None) or str(error)) from error

    def damaged_images(self, folder: Path) -> DataError:
        """Returns the error of images that are not what was drawn."""
        return self._damaged(folder / IMAGES_FILE, "its content is not what was drawn: the digest differs")

    def _of(self, path: Path) -> Any:
        if self._digests is None:
            return None
        digest = self._digests.get(path.relative_to(self._folder).as_posix())
        if digest is None:
            raise ValueError("the manifest does not name it")
        return digest

    def _damaged(self, path: Path, reason: str) -> DataError:
        return damaged_world(path, self._folder, reason)
