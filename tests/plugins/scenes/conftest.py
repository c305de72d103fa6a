from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit_scenes import SceneDataset, SceneParams, scenes_dataset


@pytest.fixture(scope="session")
def scenes_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes-cache")


@pytest.fixture(scope="session")
def world(scenes_cache: Path) -> SceneDataset:
    """Large enough for floors, made once."""
    params = SceneParams.checked(seed=11, train=3000, val=150, test=900, towers=60)
    return scenes_dataset(params, scenes_cache)
