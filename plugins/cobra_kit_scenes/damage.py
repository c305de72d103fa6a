"""The errors of reading a drawn world whose files are whole and not of its form, as in worlds without digests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError, DataError, TextError

_NO_FORM = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError)


@contextmanager
def damage_named(path: Path, folder: Path) -> Iterator[None]:
    """Raises what a file of another form raises where it is used as an error that names it and says what to do.

    Args:
        path: The file that was read.
        folder: The world's folder.

    Raises:
        DataError: The file is not of its form.
    """
    try:
        yield
    except TextError as error:  # a row that breaks its form
        raise damaged_world(path, folder, error.message) from error
    except CobraError:
        raise
    except _NO_FORM as error:
        raise damaged_world(path, folder, f"{type(error).__name__}: {error}") from error


def damaged_world(path: Path, folder: Path, reason: str) -> DataError:
    """Returns the error about a file of a world that is not what was written."""
    return DataError(
        f"the drawn world is damaged: {reason}",
        where=str(path),
        hint=f"Delete the folder {folder}; it is drawn again when the same command is given.",
    )


def as_slices(value: Any) -> dict[Any, list[str]]:
    """Returns the slices of questions that a file names; TypeError for anything else."""
    if not isinstance(value, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()
    ):
        raise TypeError("it holds no lists of slices")
    return value
