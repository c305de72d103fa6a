"""Probes of a pretrained backbone: questions about described scenes whose layouts it never read, and new passages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

from cobra_kit.data.images import NoImages
from cobra_kit.data.prepared import RowForm, TrainingSet
from cobra_kit.interfaces import AbilityProbe, TextProbes
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.questions import ABILITIES
from cobra_kit_scenes.texts import conversations, passages

_BATCH = 64
_LONGEST_ANSWER = 40
"""Tokens; a box takes twenty and some."""


def probe_texts(model: Any, params: SceneParams) -> TextProbes:
    """Asks about, and reads, as many described scenes of the split `val` as `params.train` says.

    Every question is asked by itself, the description in front of it as it stands in training rows.

    Args:
        model: The model with the backbone; no image is shown to it.
        params: Seed, number and abilities.
    """
    asked = list(_questions(params))
    texts = [text for _, text, _ in asked]
    answers = model.generate(None, texts, max_new_tokens=_LONGEST_ANSWER, batch_size=_BATCH)
    right: dict[str, list[bool]] = {}
    true: dict[str, Counter[str]] = {}
    for (ability, _, answer), given in zip(asked, answers, strict=True):
        right.setdefault(ability, []).append(given == answer)
        true.setdefault(ability, Counter())[answer] += 1
    probes = tuple(
        AbilityProbe(
            name, sum(right[name]) / len(right[name]), max(true[name].values()) / len(right[name]), len(right[name])
        )
        for name in ABILITIES
        if name in right
    )
    return TextProbes(probes, *_perplexity(model, params))


def _questions(params: SceneParams) -> Iterator[tuple[str, str, str]]:
    """Yields ability, question with the description in front, and answer."""
    for row in conversations(params, "val"):
        description, _, first = row.turns[0][0].partition("\n")
        prompts = [first, *(prompt for prompt, _ in row.turns[1:])]
        for ability, prompt, (_, answer) in zip(row.kinds, prompts, row.turns, strict=True):
            yield ability, f"{description}\n{prompt}", answer


@torch.no_grad()
def _perplexity(model: Any, params: SceneParams) -> tuple[float, int]:
    rows = TrainingSet(tuple(passages(params, "val")), model.processor, NoImages(), RowForm(captions=True, text=True))
    model.eval()
    loss, tokens = 0.0, 0
    for start in range(0, len(rows), _BATCH):
        batch = rows.batch(range(start, min(start + _BATCH, len(rows)))).to(model.device)
        loss += model(batch).item() * batch.num_supervised
        tokens += batch.num_supervised
    # A model that was led astray has losses beyond what exp can take.
    return math.exp(min(loss / tokens, 700.0)), tokens
