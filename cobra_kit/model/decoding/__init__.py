"""Decoding in one place: prompts are read once, then every step runs in place, captured as a graph where it can be."""

from __future__ import annotations

from cobra_kit.model.decoding.generation import generate_ids
from cobra_kit.model.decoding.modes import evaluating
from cobra_kit.model.decoding.precision import AS_KEPT, Precision
from cobra_kit.model.decoding.probabilities import first_token_probabilities
from cobra_kit.model.decoding.sampling import GREEDY, Sampling
from cobra_kit.model.decoding.session import MOST_NEW_TOKENS, DecodeSession, DecodeSettings, GraphUse
from cobra_kit.model.decoding.workspace import release

__all__ = [
    "AS_KEPT",
    "GREEDY",
    "MOST_NEW_TOKENS",
    "DecodeSession",
    "DecodeSettings",
    "GraphUse",
    "Precision",
    "Sampling",
    "evaluating",
    "first_token_probabilities",
    "generate_ids",
    "release",
]
