"""The choice of the next token from logits: the most probable one, or drawn with noise that is a formula.

A draw depends on the seed, the row's number and the token's position, and on nothing else: so a row draws the same
tokens alone, in a batch, and inside a captured graph. With `mix` the finaliser of SplitMix64 (Steele, Lea and Flood,
OOPSLA 2014), `g` = 0x9E3779B97F4A7C15 and all arithmetic modulo 2**64:

    u = (mix(mix(seed + g * (row + 1)) + g * (position + 1)) >> 40) / 2**24
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cobra_kit.arguments import real_number, whole_number
from cobra_kit.errors import ArgumentError

_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Sampling:
    """The rule by which tokens are chosen.

    Args:
        temperature: What logits are divided by before drawing; 0: the most probable token, nothing is drawn.
        top_p: Draw among the most probable tokens whose probabilities together first reach this much, in (0, 1].
        seed: Seed of the draws.

    Raises:
        CobraError: A value is outside its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        # Python's own numbers, whatever library they came from: numpy's overflow where these do not.
        object.__setattr__(self, "temperature", real_number(self.temperature, "temperature"))
        object.__setattr__(self, "top_p", real_number(self.top_p, "top_p"))
        object.__setattr__(self, "seed", whole_number(self.seed, "seed"))
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ArgumentError(
                f"temperature must be a number of at least 0, not {self.temperature}",
                hint="0 takes the most probable token every time; 1 draws from the model's own probabilities.",
            )
        if not 0 < self.top_p <= 1:
            raise ArgumentError(
                f"top_p must be above 0 and at most 1, not {self.top_p}",
                hint="1 draws among all tokens; 0.9 among the most probable ones that make up 90 %.",
            )

    @property
    def greedy(self) -> bool:
        """Returns whether the most probable token is taken."""
        return self.temperature == 0


GREEDY = Sampling()
"""The most probable token, every time."""


def choose(logits: Tensor, sampling: Sampling, uniform: Tensor | None) -> Tensor:
    """Returns the chosen ids `[b]` of float32 logits `[b v]`, without a sync.

    Args:
        logits: Logits of the ids that may be chosen.
        sampling: Greedy, or temperature and nucleus of the draw.
        uniform: `[b]` in [0, 1), one draw per row; None where nothing is drawn.
    """
    if sampling.greedy or uniform is None:
        return logits.argmax(-1)
    if sampling.top_p >= 1:
        return _draw(_probabilities(logits, sampling), uniform)
    ordered, ids = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = _probabilities(ordered, sampling)
    before = probabilities.cumsum(-1) - probabilities
    kept = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    kept[:, 0] = probabilities[:, 0]  # rounding must not leave a row with nothing
    return ids.gather(1, _draw(kept, uniform)[:, None])[:, 0]


def _probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """Returns what tokens are drawn by; the largest logit is taken off first, or a tiny temperature would overflow."""
    return ((logits - logits.amax(-1, keepdim=True)) / sampling.temperature).softmax(-1)


def _draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """Returns per row the first place where the running sum of `weights` `[b v]` passes that share of the total."""
    running = weights.cumsum(-1)
    wanted = uniform[:, None] * running[:, -1:]
    # Rounded up, a share can equal the total: the last place with a weight, never one behind it.
    last = running.shape[-1] - 1 - (weights.flip(-1) > 0).to(torch.uint8).argmax(-1)
    return torch.minimum((running <= wanted).sum(-1), last)


def row_streams(seed: int, rows: Sequence[int], device: torch.device) -> Tensor:
    """Returns `[b]` int64: what the draws of each row begin from, `mix(seed + g * (row + 1))`."""
    numbers = [_signed(seed + _GOLDEN * (row + 1)) for row in rows]
    return mix(torch.tensor(numbers, dtype=torch.int64, device=device))


def uniform_draws(streams: Tensor, position: Tensor) -> Tensor:
    """Returns float32 `[b]` in [0, 1): the draw of each row for its token number `position` (int64, `[1]`)."""
    mixed = mix(streams + (position + 1) * _signed(_GOLDEN))
    return ((mixed >> 40) & 0xFFFFFF).float() * 2.0**-24


def mix(values: Tensor) -> Tensor:
    """Returns SplitMix64's finaliser of int64 values of any shape, bit for bit as of unsigned ones."""
    first, second = (_signed(multiplier) for multiplier in _MULTIPLIERS)
    values = (values ^ _shifted(values, 30)) * first
    values = (values ^ _shifted(values, 27)) * second
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Returns values shifted right with zeros coming in; torch's own shift brings in the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """Returns the int64 with the bits of an integer modulo 2**64."""
    return (value + 2**63) % 2**64 - 2**63
