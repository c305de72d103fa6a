"""Optuna's experimental parts, used on purpose."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def suppress_experimental_warnings() -> Iterator[None]:
    """Keeps Optuna from warning that something is experimental, for the length of a block."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
