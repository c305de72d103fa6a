from __future__ import annotations

from pathlib import Path

import miniature
import pytest
from study_fixtures import cache, context, own_cache

__all__ = ["cache", "context", "own_cache"]


@pytest.fixture(scope="session")
def trained(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and its whole study, which hostile cases are made of copies of."""
    import cobra_kit

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        cobra_kit.run(miniature.write(folder), out=folder / "study")
    return folder
