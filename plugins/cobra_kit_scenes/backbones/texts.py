"""The texts of a recipe as a source of data: rows for the two stages of text, and no images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from PIL.Image import Image

from cobra_kit.errors import ImageError
from cobra_kit.interfaces import Benchmark, HeldOutSplit, Split, TextForm, TrainingRow
from cobra_kit_scenes import cache_key
from cobra_kit_scenes.backbones.recipe import TextsSection
from cobra_kit_scenes.source import described_rows


class TextSource:
    """Passages and conversations about described scenes, as a `DataSource`.

    Args:
        section: How many, and what they ask.
    """

    rows: Sequence[TrainingRow] = ()
    caption_rows: Sequence[TrainingRow] = ()

    def __init__(self, section: TextsSection) -> None:
        self._section = section

    @property
    def fingerprint(self) -> str:
        """Returns a hash that changes whenever a row does."""
        section = self._section
        parts = [section.passages, section.conversations, cache_key(section.scenes(section.probe))]
        return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns the rows of a stage of text."""
        section = self._section
        count = section.passages if form == "passages" else section.conversations
        return described_rows(section.scenes(count), form)

    def image(self, image_id: str) -> Image:
        """Raises an error: there is no image."""
        raise ImageError("described scenes have no pictures", where=image_id)

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns no names."""
        return ()

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns none: probes ask about scenes of another split."""
        return {}
