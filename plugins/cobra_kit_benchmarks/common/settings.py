"""The settings of a benchmark in a recipe."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cobra_kit_benchmarks.common.protocol import PAPER
from cobra_kit_benchmarks.common.subset import Subset


class BenchmarkSettings(BaseModel):
    """Where a benchmark's files are, and how it is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    root: Path
    """The folder with the official files; relative paths start at the working directory."""
    protocol: str = PAPER
    """How it is asked and scored; `paper`: as the Cobra paper does."""
    subset: Subset = "full"
    """`full`: all questions; `slim`: 1,024, the first ones after one shuffle with seed 21 (for POPE of each split)."""
    check_counts: bool = True
    """Whether the files must hold as many questions and images as the official split."""
    annotations: Path | None = None
    """The file of answers, or POPE's folder; null: by its official names below `root`."""
    questions: Path | None = None
    """The file of questions, where that is another one; null: by its official names below `root`."""
    ocr: Path | None = None
    """TextVQA: the file of OCR tokens; null: by its official names below `root`."""
    images: Path | None = None
    """The folder of images; null: by its official names below `root`."""
