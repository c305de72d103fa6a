"""WebDataset shards: plain tar files, in which members of one key make a sample, such as `000.jpg` and `000.json`.

An image is named by its shard, its member and where its bytes stand, so that opening one needs no index in memory.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from PIL.Image import Image

from cobra_kit.errors import DataError, ImageError
from cobra_kit.files import expanded
from cobra_kit.images import open_image
from cobra_kit.text.markers import IMAGE_MARKER

IMAGE_ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
_NAME = re.compile(r"(?P<shard>.*\.tar)/(?P<member>.*)@(?P<start>\d+)\+(?P<size>\d+)", re.DOTALL)
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_MOST_TEXT = 64 << 20
_MOST_IMAGE = 512 << 20


@dataclass(slots=True)
class _Sample:
    key: str
    texts: dict[str, bytes] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)


def shard_files(places: Sequence[Path]) -> tuple[Path, ...]:
    """Returns the tar files at some places, those of a folder in the order of their names.

    Raises:
        DataError: A place is missing, or a folder holds no tar file.
    """
    files: list[Path] = []
    for place in map(expanded, places):
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.name.endswith(".tar"))
            if not inside:
                raise DataError(
                    "no .tar file in the folder", where=str(place), hint="data.shards must name the shards."
                )
            files += inside
        elif place.is_file():
            files.append(place)
        else:
            raise DataError("no such shard", where=str(place), hint="data.shards must name tar files or their folder.")
    names = [path.name for path in files]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"two shards are called {twice}", where=twice, hint="Rename one: images are named by shards.")
    return tuple(files)


def shard_rows(shard: Path) -> Iterator[Any]:
    """Yields the rows of a shard in LLaVA's form, unchecked.

    A sample has a `.json` with `conversations`, or a `.txt` with a caption, and any number of images.

    Raises:
        DataError: It is no tar file, is compressed, or is cut short.
    """
    with open(shard, "rb") as file:
        head = file.read(6)
    if kind := next((kind for start, kind in _PACKED.items() if head.startswith(start)), None):
        raise DataError(f"a {kind} file", where=str(shard), hint="Unpack it to a plain .tar: images are read in place.")
    try:
        with tarfile.open(shard, "r:") as archive:
            sample: _Sample | None = None
            for member in archive:
                cast(Any, archive).members = []  # tarfile would keep every header
                if not member.isfile():
                    continue
                key, ending = _split(member.name)
                if sample is None or sample.key != key:
                    if sample is not None:
                        yield _row(sample)
                    sample = _Sample(key)
                _add(sample, archive, member, ending, shard)
            if sample is not None:
                yield _row(sample)
    except tarfile.TarError as error:
        hint = "Fetch or write it again; a shard is a tar file with whole members."
        raise DataError(f"the shard cannot be read: {error}", where=str(shard), hint=hint) from error
    except OSError as error:
        raise DataError(
            f"the shard cannot be read: {error.strerror or error}", where=str(shard), hint="It must be readable."
        ) from error


class ShardImages:
    """The images of some shards.

    Args:
        shards: The tar files.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = {path.name: path for path in shards}

    def has(self, name: str) -> bool:
        """Returns whether an image's bytes are within its shard."""
        match = _NAME.fullmatch(name)
        if match is None or match["shard"] not in self._shards:
            return False
        end = int(match["start"]) + int(match["size"])
        return self._shards[match["shard"]].stat().st_size >= end

    def image(self, name: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is no name of an image, or the bytes there are none.
        """
        match = _NAME.fullmatch(name)
        shard = self._shards.get(match["shard"]) if match else None
        if match is None or shard is None:
            raise ImageError("no image of the shards", where=name, hint="Rows name images as the source gave them.")
        size = int(match["size"])
        if size > _MOST_IMAGE:
            raise ImageError(f"{size:,} bytes are too many for an image", where=name, hint="Remove the sample.")
        try:
            with open(shard, "rb") as file:
                file.seek(int(match["start"]))
                content = file.read(size)
        except OSError as error:
            raise ImageError(
                f"cannot be read: {error.strerror}", where=name, hint="The shard must be there."
            ) from error
        if len(content) < size:
            raise ImageError("the shard ends within it", where=name, hint="Fetch the shard again.")
        return open_image(content, name=name)


def _split(name: str) -> tuple[str, str]:
    """Returns a member's key and the rest, as WebDataset cuts names: at the first dot of the last part."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return folder + slash + stem, ending.lower()


def _add(sample: _Sample, archive: tarfile.TarFile, member: tarfile.TarInfo, ending: str, shard: Path) -> None:
    last = ending.rpartition(".")[2]
    if last in IMAGE_ENDINGS:
        sample.images.append(f"{shard.name}/{member.name}@{member.offset_data}+{member.size}")
    elif last in ("json", "txt"):
        content = archive.extractfile(member)
        if member.size > _MOST_TEXT or content is None:
            raise DataError(f"{member.name} has {member.size:,} bytes, too many for a row", where=str(shard))
        sample.texts[last] = content.read()


def _row(sample: _Sample) -> Any:
    """Returns a sample as a row; what is wrong with it shows when it is parsed."""
    images: Any = sample.images or None
    try:
        if "json" in sample.texts:
            row = json.loads(sample.texts["json"])
            if not isinstance(row, Mapping):
                return row
            return {"id": sample.key, **row, "image": images}
        caption = sample.texts["txt"].decode()
    except (ValueError, RecursionError) as error:
        return {"id": sample.key, "image": images, "conversations": _Unread(str(error))}
    except KeyError:
        return {"id": sample.key, "image": images}
    turns = [{"from": "human", "value": IMAGE_MARKER * len(sample.images)}, {"from": "gpt", "value": caption.strip()}]
    return {"id": sample.key, "image": images, "conversations": turns}


class _Unread:
    """Conversations of a sample whose text could not be read; never a list, so that the row is refused."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
