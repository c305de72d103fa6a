"""The names of keys in files and in the code: `picture` stays in files, so that studies of earlier versions open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_IN_CODE = {"picture": "image", "picture_size": "image_size"}
_IN_FILES = {code: file for file, code in _IN_CODE.items()}


def in_code(line: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a line or an annotation of a file under the names of today."""
    return {_IN_CODE.get(key, key): value for key, value in line.items()}


def in_files(line: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `in_code` takes."""
    return {_IN_FILES.get(key, key): value for key, value in line.items()}


def is_number(value: object) -> bool:
    """Returns whether a value of a file is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
