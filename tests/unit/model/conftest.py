"""A model made of a stranger's parts (tests/toy_plugin.py), loaded as `--plugin` loads a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cobra_kit import _plugins
from cobra_kit.model import VisionLanguageModel, compose

TOY = Path(__file__).parents[2] / "toy_plugin.py"
RECIPE = """
title: toy
seed: 3
model:
  vision_encoder: {use: toy-plugin/patches}
  projector: {use: toy-plugin/linear}
  fusion: {use: toy-plugin/separator}
  backbone: {use: toy-plugin/decay}
"""


@pytest.fixture
def toy_registry() -> Iterator[None]:
    _plugins.configure(files=[TOY])
    yield
    _plugins.configure()


@pytest.fixture
def recipe(tmp_path: Path, toy_registry: None) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def model(recipe: Path) -> VisionLanguageModel:
    return compose(recipe)


@pytest.fixture
def image() -> Callable[..., Image.Image]:
    def make(seed: int, height: int = 16, width: int = 16) -> Image.Image:
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    return make
