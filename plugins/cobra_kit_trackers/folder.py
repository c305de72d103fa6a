"""The folder that trackers write into."""

from __future__ import annotations

from pathlib import Path


def tracker_folder(folder: Path | None, study: Path) -> Path:
    """Returns the folder that the settings name, or `trackers` in the study's."""
    return study / "trackers" if folder is None else folder.expanduser()
