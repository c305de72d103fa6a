"""The settings of a benchmark in a recipe. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field

from cobra_kit.config import ComponentConfig
from cobra_kit_benchmarks.common.protocol import PAPER
from cobra_kit_benchmarks.common.subset import Subset


class BenchmarkSettings(ComponentConfig):
    """The place of a benchmark's files, and the way it is asked."""

    folder: Path = Field(default=Path(), validate_default=False)  # strict JSON has texts for paths
    """The folder with the official files, from the entry's `root` on."""
    protocol: str = PAPER
    """How it is asked and scored; `paper`: as the Cobra paper does."""
    subset: Subset = "full"
    """`full`: all questions; `slim`: 1,024, the first ones after one shuffle with seed 21 (for POPE of each split)."""
    slim: bool = False
    """The same as `subset: slim`."""
    check_counts: bool = True
    """Whether the files must hold as many questions and images as the official split."""
    annotations: Path | None = None
    """The file of answers, or POPE's folder, from `folder` on; null: by its official names."""
    questions: Path | None = None
    """The file of questions, where that is another one, from `folder` on; null: by its official names."""
    ocr: Path | None = None
    """TextVQA: the file of OCR tokens, from `folder` on; null: by its official names."""
    images: Path | None = None
    """The folder of images, from `folder` on; null: by its official names."""

    @property
    def part(self) -> Subset:
        """Returns which of the questions are asked."""
        return "slim" if self.slim else self.subset

    @classmethod
    def tiny(cls) -> Self:
        """Returns settings that name the working directory."""
        return cls(folder=Path())
