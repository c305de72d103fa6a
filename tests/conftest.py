"""What every test starts from, whatever ran before it and whoever started pytest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from cobra_kit import _plugins

# A shell that starts pytest in the background makes it ignore Ctrl-C, and its children too; the tests send some.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How wide what is printed may be is each test's own: a shell that exports it, or whoever runs tests in parallel, has
# no say.
os.environ.pop("COLUMNS", None)


# Speed is measured in benchmarks/: an example that takes longer on a busy machine is no failure.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(autouse=True)
def installed_plugins() -> Iterator[None]:
    """Undoes what a test told the process about plugins (`--plugin`, `--no-plugins`)."""
    yield
    _plugins.configure()


def pytest_configure() -> None:
    """Lets a hangup end what the tests start, also where they run under `nohup`, whose children ignore it."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
