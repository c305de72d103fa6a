"""Rows and images of a Hugging Face data set, read with the package `datasets`, which is imported here alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cobra_kit.errors import DataError, ImageError, PluginError, first_line
from cobra_kit.files import expanded
from cobra_kit.images import open_image
from cobra_kit_llava.config import DatasetSettings

_SPEAKERS = {"user": "human", "assistant": "gpt", "human": "human", "gpt": "gpt"}


class HubTable:
    """A split of a data set, row by row.

    Args:
        settings: Where it is, and what its columns are called.

    Raises:
        PluginError: The package `datasets` is not installed.
        DataError: There is no such data set, split or column.
    """

    def __init__(self, settings: DatasetSettings) -> None:
        self._settings = settings
        self._table = _loaded(settings)
        columns = tuple(self._table.column_names)
        for setting in ("conversations", "image"):
            name = getattr(settings, setting)
            if name is not None and name not in columns:
                raise DataError(
                    f"no column {name!r}; there are {', '.join(columns)}",
                    where=settings.path,
                    hint=f"Name it: data.{setting}=COLUMN" + (" (or null)" if setting == "image" else ""),
                )
        self._id = settings.id if settings.id in columns else None

    def __len__(self) -> int:
        return len(self._table)

    def rows(self) -> Iterator[Any]:
        """Yields the rows in LLaVA's form, unchecked; images are named by their row and place."""
        image = self._settings.image
        for number in range(len(self._table)):
            row = self._table[number]
            count = len(_cells(row[image])) if image else 0
            yield {
                "id": row[self._id] if self._id else number + 1,
                "image": [f"{number}/{place}" for place in range(count)] or None,
                "conversations": _turns(row[self._settings.conversations]),
            }

    def has(self, name: str) -> bool:
        """Returns whether a name is that of an image of the table."""
        return _place(name) is not None and int(name.partition("/")[0]) < len(self._table)

    def content(self, name: str) -> bytes:
        """Returns an image's bytes as they are stored.

        Raises:
            ImageError: There is no such image, or the file that the table names cannot be read.
        """
        place = _place(name)
        if place is None or not self.has(name) or self._settings.image is None:
            raise ImageError("no image of the data set", where=name, hint="Rows name images as the source gave them.")
        cells = _cells(self._table[place[0]][self._settings.image])
        if place[1] >= len(cells):
            raise ImageError(
                "the row has fewer images now", where=name, hint="Leave the data set alone while it is read."
            )
        cell = cells[place[1]]
        stored, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, Mapping) else (None, None)
        if isinstance(stored, bytes):
            return stored
        try:
            return Path(str(path)).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ImageError(
                f"{path} cannot be read: {reason}", where=name, hint="Store images in the table."
            ) from error

    def image(self, name: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        return open_image(self.content(name), name=f"{self._settings.path}: {name}")


def _loaded(settings: DatasetSettings) -> Any:
    try:
        datasets: Any = import_module("datasets")
    except ImportError as error:
        raise PluginError(
            "data sets of Hugging Face are read with the package `datasets`, which is not installed",
            hint="pip install 'cobra-kit[datasets]'",
        ) from error
    place = expanded(settings.path)
    try:
        if place.is_dir() and any(
            (place / name).is_file() for name in ("dataset_info.json", "dataset_dict.json", "state.json")
        ):
            table = datasets.load_from_disk(str(place))
        else:
            table = datasets.load_dataset(str(place) if place.exists() else settings.path, split=settings.split)
        if isinstance(table, Mapping):
            if settings.split not in table:
                raise DataError(
                    f"no split {settings.split!r}; there are {', '.join(map(str, table))}",
                    where=settings.path,
                    hint="Name it: data.split=NAME",
                )
            table = table[settings.split]
        if settings.image is not None and settings.image in table.column_names:
            table = _undecoded(table, settings.image, datasets)
    except (OSError, ValueError, KeyError) as error:  # the package's own errors are of these kinds
        raise DataError(
            f"the data set cannot be opened: {first_line(error)}",
            where=settings.path,
            hint="data.path names a folder that `save_to_disk` wrote or `load_dataset` reads, or one on the hub.",
        ) from error
    return table


def _undecoded(table: Any, column: str, datasets: Any) -> Any:
    """Returns the table with images as they are stored: decoding is ours, with errors that name the row."""
    plain = datasets.Image(decode=False)
    feature = table.features[column]
    return table.cast_column(column, plain if isinstance(feature, datasets.Image) else datasets.Sequence(plain))


def _cells(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _place(name: str) -> tuple[int, int] | None:
    row, slash, place = name.partition("/")
    return (int(row), int(place)) if slash and row.isascii() and row.isdigit() and place.isdigit() else None


def _turns(value: Any) -> Any:
    """Returns turns in LLaVA's form; what is none stays as it is, so that the row is refused with a reason."""
    if isinstance(value, Mapping):  # how `datasets` gives back a sequence of objects
        keys = list(value)
        value = [dict(zip(keys, parts, strict=False)) for parts in zip(*value.values(), strict=False)]
    if not isinstance(value, list | tuple):
        return value
    return [_turn(turn) for turn in value]


def _turn(turn: Any) -> Any:
    if isinstance(turn, Mapping) and "from" not in turn and "role" in turn:
        role = turn["role"]
        return {"from": _SPEAKERS.get(role, role), "value": turn.get("content")}
    return turn
