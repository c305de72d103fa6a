"""Settings of the trackers."""

from __future__ import annotations

from pathlib import Path

from cobra_kit.config import ComponentConfig


class JsonLinesConfig(ComponentConfig):
    """Settings of the tracker that writes lines of JSON."""

    folder: Path | None = None
    """Where to; null: `trackers` in the study's folder."""


class TensorBoardConfig(ComponentConfig):
    """Settings of the tracker that writes for TensorBoard."""

    folder: Path | None = None
    """Where to, as `tensorboard --logdir` takes it; null: `trackers` in the study's folder."""
