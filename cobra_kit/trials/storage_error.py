"""The error of a storage that is away."""

from __future__ import annotations

from cobra_kit.errors import CobraError


class StorageError(CobraError):
    """Trials can be neither read nor recorded; no trial is to blame."""
