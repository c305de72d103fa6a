"""The sections of a recipe that pretrains a vision encoder on the world. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

TERMS = {
    "contrastive": ("caption", "phrase", "region", "count"),
    "dense": ("mask", "box", "silhouette", "color", "pixels"),
}
"""The terms of each objective's loss; `contrastive.py` and `dense.py` say what they are."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class TowersSection(_Section):
    """Images of the embedded world's `towers` split, and those that probes are scored on."""

    images: int = Field(ge=1, le=1_000_000)
    """Images to learn from."""
    seed: int = Field(ge=0)
    """Seed of the images."""
    probe_fit: int = Field(default=4_000, ge=1)
    """How many of them linear probes are fitted on."""
    probe_test: int = Field(default=2_000, ge=1)
    """Images of the `val` split that probes are scored on; no layout of theirs is in `towers`."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.probe_fit > self.images:
            raise ValueError(f"probe_fit {self.probe_fit} is more than there are pictures, {self.images}")
        return self


class ObjectiveSection(_Section):
    """The objective of an encoder, its loss terms and their weights."""

    kind: Literal["contrastive", "dense"]
    """`contrastive`: what images say. `dense`: how they look."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """Weight of each term of the loss; a term that is left out is 0."""

    @model_validator(mode="after")
    def _known_terms(self) -> Self:
        known = TERMS[self.kind]
        unknown = [term for term in self.weights if term not in known]
        if unknown:
            raise ValueError(f"a {self.kind} objective has no term {', '.join(unknown)}; it has {', '.join(known)}")
        if not any(self.weights.values()):
            raise ValueError("at least one term needs a weight above 0")
        return self


class EncoderSections(_Section):
    """The sections of the recipe beside the encoder and `train`."""

    data: TowersSection
    """The images that it learns from and is probed on."""
    objective: ObjectiveSection
    """What the encoder is to learn."""
