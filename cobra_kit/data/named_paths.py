"""The files and folders that a data source's settings name; imports nothing heavy, since `plan` looks at them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


def named_paths(settings: BaseModel) -> list[tuple[str, Path]]:
    """Returns the files and folders that settings name, each with its setting."""
    named = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        named += [(name, path) for path in values if isinstance(path, Path)]
    return named
