"""The base of every component's config. It imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict


class ComponentConfig(BaseModel):
    """A component's settings: unknown keys are errors, every field is described, values never change.

    A plugin may use any pydantic model with the same properties; this one only saves typing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    @classmethod
    def tiny(cls) -> Self:
        """Returns a config that builds in milliseconds on a CPU, without weights, for checks."""
        return cls()
