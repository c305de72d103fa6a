from __future__ import annotations

from pathlib import Path

import miniature
import pytest
from study_fixtures import cache, context, own_cache, study, whole

from cobra_kit.report import AblationTable

__all__ = ["cache", "context", "own_cache", "study", "whole"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return miniature.write(tmp_path)


@pytest.fixture(scope="session")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, AblationTable]:
    """A whole study, control included: (recipe, folder, table). Tests may read it and nothing else."""
    import cobra_kit

    folder = tmp_path_factory.mktemp("finished")
    path = miniature.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        table = cobra_kit.run(path, out=folder / "study", control="shuffled-images")
    return path, folder / "study", table
