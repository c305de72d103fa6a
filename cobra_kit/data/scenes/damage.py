"""Reads the files of a drawn world, and says of a damaged one what helps: it is drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError, DamagedFile, TextError, UnreadableFile
from cobra_kit.files import parse_json, read_json, read_utf8

_BYTES = 1 << 30
"""The most that a file of a world holds, its images aside."""

_DAMAGE = (FileNotFoundError, DamagedFile, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError)


@contextmanager
def damage_named(path: Path, folder: Path) -> Iterator[None]:
    """Raises what reading a damaged file of a world raises as an error that names it and says what to do.

    Args:
        path: What is read.
        folder: The world's folder.

    Raises:
        CobraError: The file is missing, damaged or cannot be read.
    """
    try:
        yield
    except UnreadableFile as error:
        if not isinstance(error, DamagedFile):
            raise
        raise _damaged(error.where or path, folder, error.message) from error
    except TextError as error:  # a row that breaks its form
        raise _damaged(path, folder, error.message) from error
    except CobraError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, folder, f"{type(error).__name__}: {error}") from error


def read_world_json(path: Path) -> Any:
    """Returns the value of a JSON file of a world."""
    return read_json(path, _BYTES)


def read_world_text(path: Path) -> str:
    """Returns the text of a file of a world."""
    return read_utf8(path, _BYTES)


def read_world_lines(path: Path) -> list[Any]:
    """Returns the values of a file of JSON lines of a world."""
    return [
        parse_json(line, f"{path}:{number}") for number, line in enumerate(read_world_text(path).splitlines(), start=1)
    ]


def as_slices(value: Any) -> dict[Any, list[str]]:
    """Returns the slices of questions that a file names; TypeError for anything else."""
    if not isinstance(value, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()
    ):
        raise TypeError("it holds no lists of slices")
    return value


def _damaged(path: Path | str, folder: Path, reason: str) -> CobraError:
    return CobraError(
        f"the drawn scenes are damaged ({reason})",
        where=str(path),
        hint=f"Delete the folder {folder}; the scenes are drawn again.",
    )
