"""Toy models and rows, trained in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy_recipe import RECIPE
from toy_source import ToySource

from cobra_kit import _plugins
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.recipe.sections import TrainSection

TOY = Path(__file__).parents[2] / "toy_plugin.py"


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    _plugins.configure(files=[TOY])
    yield path
    _plugins.configure()


@pytest.fixture
def make_model(recipe: Path) -> Callable[..., VisionLanguageModel]:
    return lambda seed=3: compose(recipe, seed=seed)


@pytest.fixture
def model(make_model: Callable[..., VisionLanguageModel]) -> VisionLanguageModel:
    return make_model()


@pytest.fixture
def source() -> ToySource:
    return ToySource()


@pytest.fixture
def section() -> Callable[..., TrainSection]:
    """Makes a section with one stage (finetune) of a few steps, or with the stages given."""

    def make(stages: dict[str, dict[str, object]] | None = None, **settings: object) -> TrainSection:
        default = {"steps": 12, "batch_size": 4, "learning_rate": 0.02, **settings}
        return TrainSection.model_validate({"finetune": default} if stages is None else stages, strict=False)

    return make
