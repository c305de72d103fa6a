"""A data source that a toy model can learn: plain images, and questions about their colour."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import ImageError

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ToySource:
    """`rows` images of one colour each, 16 x 16; every third row has a second turn, so lengths differ."""

    def __init__(self, rows: int = 30, *, broken: tuple[int, ...] = (), name: str = "toy") -> None:
        names = list(COLOURS)
        self._colours = {f"p{i}.png": names[i % 3] for i in range(rows)}
        self._broken = {f"p{i}.png" for i in broken}
        self.fingerprint = f"{name}-{rows}"
        self.decoded: list[str] = []
        self.rows = [self._row(i) for i in range(rows)]
        self.caption_rows = self.rows

    def _row(self, i: int) -> TrainingRow:
        colour = self._colours[f"p{i}.png"]
        turns = [("<image>\nWhat colour is it?", colour)]
        if i % 3 == 0 and i % 2:
            turns.append(("Is it a picture?", "yes"))
        return TrainingRow(f"r{i}", (f"p{i}.png",), tuple(turns), ("colour", "medium")[: len(turns)])

    def image(self, image_id: str) -> Image.Image:
        self.decoded.append(image_id)
        if image_id in self._broken:
            raise ImageError("the file is truncated", where=image_id)
        noise = np.random.default_rng(int(image_id[1:-4])).integers(-20, 20, (16, 16, 3))
        pixels = np.clip(np.array(COLOURS[self._colours[image_id]]) + noise, 0, 255)
        return Image.fromarray(pixels.astype(np.uint8))

    def image_ids(self, split):
        return tuple(self._colours) if split == "train" else ()

    def benchmarks(self, split):
        return {}
