from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
from study_fixtures import cache, context, own_cache

__all__ = ["cache", "context", "own_cache"]


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A running PostgreSQL server."""
    if reason := postgres.missing():
        pytest.skip(reason)
    # Not in pytest's own folder: that is for its user alone, and the server is another's.
    folder = Path(tempfile.mkdtemp(prefix="cobra-kit-postgres-"))
    folder.chmod(0o755)
    running = postgres.Server(folder)
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database(server: postgres.Server) -> str:
    """The URL of a database; each test has a study of its own there."""
    return server.database("trials")


@pytest.fixture(params=["journal", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The URL of a storage, of either kind; None: the journal in the study's folder."""
    if request.param == "journal":
        return None
    database: str = request.getfixturevalue("database")
    return database
