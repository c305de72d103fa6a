"""Settings of the fusion schemes. No torch here."""

from __future__ import annotations

from cobra_kit.config import ComponentConfig


class FusionConfig(ComponentConfig):
    """These schemes have no settings."""
