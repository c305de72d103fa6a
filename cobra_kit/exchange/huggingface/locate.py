"""From what transformers was given, a path or a hub repository, to a local folder."""

from __future__ import annotations

import os
from pathlib import Path

from cobra_kit.weights import hub_folder


def local_folder(name_or_path: str | os.PathLike[str], revision: str | None = None) -> Path:
    """Returns the folder itself, or a local copy of the hub repository of that name.

    Raises:
        WeightsError: It is no folder, and the repository cannot be had.
    """
    if os.path.isdir(name_or_path):
        return Path(name_or_path)
    return hub_folder(str(name_or_path), patterns=["*"], revision=revision, where="from_pretrained")
