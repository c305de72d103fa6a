"""Linear probes: what can be read from an encoder's tokens with one matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit.interfaces import Probe
from cobra_kit_scenes.encoders.scene_instances import CELL, COLOR, LETTER, SHAPE, SIZE, WORD, SceneInstances
from cobra_kit_scenes.vocabulary import COLOR_NAMES, SHAPES

_STEPS, _LEARNING_RATE, _DECAY = 300, 0.03, 1e-4


def probe_tokens(fit: tuple[Tensor, SceneInstances], test: tuple[Tensor, SceneInstances]) -> list[Probe]:
    """Returns what linear probes read at the centre token of each thing, and from the mean and max of all tokens.

    Args:
        fit: Tokens `[n g d]` of the images that probes are fitted on, and what stands in these.
        test: The same of the images that they are scored on.
    """
    statistics = fit[0].flatten(0, 1)
    # By the statistics of the fitted images alone, for the tested ones too: encoders differ in scale, and one learning
    # rate must do for all of them.
    mean, std = statistics.mean(0), statistics.std(0) + 1e-6
    (x, things), (y, others) = ((((tokens - mean) / std), t) for tokens, t in (fit, test))
    probes = []
    for name, attribute, kind in (
        ("color", COLOR, "object"),
        ("shape", SHAPE, "object"),
        ("size", SIZE, "object"),
        ("cell", CELL, "object"),
        ("letter, alone", LETTER, "letter"),
        ("letter, large", LETTER, "large letter"),
        ("letter of a word", LETTER, "word"),
    ):
        a, b = _at_things(x, things, attribute, kind), _at_things(y, others, attribute, kind)
        probes.append(_classes(name, a, b))
    p, q = _pooled(x), _pooled(y)
    probes.append(_presence((p, _pairs(things)), (q, _pairs(others))))
    probes.append(_classes("count", (p, _counts(things)), (q, _counts(others))))
    # One colour is as good as another: the first.
    probes.append(_classes("count of a color", (p, _counts(things, 1)), (q, _counts(others, 1))))
    return probes


def _at_things(tokens: Tensor, things: SceneInstances, attribute: int, kind: str) -> tuple[Tensor, Tensor]:
    known = things.attributes
    chosen = (
        things.present()
        & {
            "object": known[..., COLOR] >= 0,
            "letter": (known[..., LETTER] >= 0) & (known[..., WORD] < 0),
            "large letter": (known[..., LETTER] >= 0)
            & (known[..., WORD] < 0)
            & (things.boxes[..., 3] - things.boxes[..., 1] > 0.4),
            "word": known[..., WORD] >= 0,
        }[kind]
    )
    image, which = np.nonzero(chosen)
    place = things.centers[image, which].astype(np.int64)
    values = known[image, which, attribute].astype(np.int64)
    return tokens[torch.from_numpy(image), torch.from_numpy(place)], torch.from_numpy(values)


def _pooled(tokens: Tensor) -> Tensor:
    return torch.cat([tokens.mean(1), tokens.amax(1)], dim=-1)


def _counts(things: SceneInstances, counted: int = 0) -> Tensor:
    return torch.from_numpy(things.counts[:, counted].astype(np.int64))


def _pairs(things: SceneInstances) -> Tensor:
    """Returns `[n 36]` float: whether each pair of colour and shape is in the image."""
    image, which = np.nonzero(things.attributes[..., COLOR] >= 0)
    color, shape = (things.attributes[image, which, i].astype(np.int64) for i in (COLOR, SHAPE))
    there = np.zeros((len(things), len(COLOR_NAMES) * len(SHAPES)), np.float32)
    there[image, color * len(SHAPES) + shape] = 1
    return torch.from_numpy(there)


def _fit(x: Tensor, loss_of: Callable[[Tensor], Tensor], outputs: int) -> Tensor:
    weight = torch.zeros(x.shape[1] + 1, outputs, requires_grad=True)
    optimiser = torch.optim.AdamW([weight], lr=_LEARNING_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward(loss_of(_apply(x, weight)))
        optimiser.step()
        schedule.step()
    return weight.detach()


def _apply(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight[:-1] + weight[-1]


def _classes(name: str, fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Probe:
    weight = _fit(fit[0], lambda logits: F.cross_entropy(logits, fit[1]), int(max(fit[1].max(), test[1].max())) + 1)
    right = (_apply(test[0], weight).argmax(-1) == test[1]).float().mean().item()
    return Probe(name, right, test[1].bincount().max().item() / len(test[1]), len(test[1]))


def _presence(fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Probe:
    ratio = (1 - fit[1]).sum() / fit[1].sum()
    weight = _fit(
        fit[0], lambda logits: F.binary_cross_entropy_with_logits(logits, fit[1], pos_weight=ratio), fit[1].shape[1]
    )
    yes, predicted = test[1] > 0, _apply(test[0], weight) > 0
    balanced = ((predicted & yes).sum() / yes.sum() + (~predicted & ~yes).sum() / (~yes).sum()).item() / 2
    return Probe("pair present", balanced, 0.5, int(yes.numel()))
