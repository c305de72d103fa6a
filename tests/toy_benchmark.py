"""A one-file plugin: a benchmark whose images and questions are made on the spot, with the faults a test asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cobra_kit.config import ComponentConfig
from cobra_kit.errors import DataError, ImageError
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces import Benchmark, BenchmarkFactory, BenchmarkProtocol, OpenBenchmark, Question
from cobra_kit.plugin import BenchmarkSpec, hookimpl

SPLITS = ("easy", "hard")


class Settings(ComponentConfig):
    """Settings of the benchmark."""

    questions: int = 40
    """How many questions there are."""
    broken: int = 0
    """How many images cannot be opened."""
    named: bool = True
    """Whether the questions name their images."""
    rule: str = "pope/exact"
    """The rule that the protocol says."""
    prompt: str = "Is it grey {question}?"
    """The wording."""


class Images:
    """Grey noise; the first ones may be broken."""

    def __init__(self, broken: int) -> None:
        self._broken = broken

    def image(self, image_id: str) -> Image.Image:
        number = int(image_id[1:-4])
        if number < self._broken:
            raise ImageError("the file is truncated", where=image_id)
        pixels = np.random.default_rng(number).integers(0, 255, (12, 12, 3))
        return Image.fromarray(pixels.astype(np.uint8))


class Grey(BenchmarkFactory):
    """Is it grey?"""

    @classmethod
    def open(
        cls, config: Any, split: str | None = None, root: Path | None = None, report: Reporter = silent
    ) -> OpenBenchmark:
        protocol = cls.protocol(config, split)
        numbers = range(config.questions)
        questions = tuple(
            Question(f"q{n}", f"g{n}.png" if config.named else "", config.prompt.format(question=n)) for n in numbers
        )
        answers = tuple({"answers": ("yes" if n % 2 else "no",)} for n in numbers)
        benchmark = Benchmark("grey", "grey", "pope/exact", questions, answers)
        return OpenBenchmark(benchmark, Images(config.broken), protocol, f"{config.model_dump()} {protocol.split}")

    @classmethod
    def protocol(cls, config: Any, split: str | None = None) -> BenchmarkProtocol:
        if split not in (None, *SPLITS):
            raise DataError(f"no split {split!r}", where="grey", hint=f"There are {' and '.join(SPLITS)}.")
        return BenchmarkProtocol(split=split or "easy", prompt=config.prompt, rule=config.rule)


@hookimpl
def cobra_benchmarks() -> list[BenchmarkSpec]:
    return [
        BenchmarkSpec(name="grey", summary="grey", target=f"{__name__}:Grey", config=f"{__name__}:Settings"),
    ]
