from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_recipe import RECIPE

from cobra_kit import _plugins
from cobra_kit.model import VisionLanguageModel, compose


@pytest.fixture
def toy_recipe(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    _plugins.configure(files=[Path(__file__).parents[2] / "toy_plugin.py"])
    yield path
    _plugins.configure()


@pytest.fixture
def model(toy_recipe: Path) -> VisionLanguageModel:
    return compose(toy_recipe)
