"""Reads a pickle of lists, mappings, texts and numbers; anything else in it is refused, and nothing is run."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile, first_line
from cobra_kit.files import read_small

_MOST_BYTES = 256 << 20
"""RefCOCO's largest file of references has 30 MB."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, which plain data do not")


def read_plain_pickle(path: Path) -> Any:
    """Returns the value of a file that a program pickled, Python 2 included.

    Raises:
        DamagedFile: It is no pickle, or not one of plain data.
        UnreadableFile: It cannot be read.
    """
    content = read_small(path, _MOST_BYTES)
    try:
        # Texts that Python 2 wrote are bytes; the published files hold UTF-8.
        return _PlainUnpickler(io.BytesIO(content), encoding="utf-8", errors="replace").load()
    except Exception as error:  # a pickle that is none raises nearly anything
        raise DamagedFile(
            path, f"no pickle of plain data: {first_line(error)[:200]}", "Fetch the official file again."
        ) from error
