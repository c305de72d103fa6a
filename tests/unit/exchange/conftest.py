from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from exchange_models import trained, write_recipe

from cobra_kit.model import VisionLanguageModel


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


@pytest.fixture
def model(recipe: Path) -> VisionLanguageModel:
    return trained(recipe)


@pytest.fixture
def recipe_with(tmp_path: Path) -> Callable[[str], Path]:
    return lambda projector: write_recipe(tmp_path, projector)
