"""The order of training rows: each once per epoch, rows of like length in one batch, the same order every time.

Rows are shuffled, cut into stretches of many batches, sorted by length within a stretch, and the batches shuffled
again. Little of a batch is padding then, while which rows meet still changes from epoch to epoch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobra_kit.errors import ArgumentError
from cobra_kit.model.seeding import derive_seed

STRETCH = 50
"""Batches that are sorted together: enough for like lengths, few enough to keep epochs different."""


@dataclass(frozen=True, slots=True)
class SamplerState:
    """The place where a sampler stands: batches of this epoch already given. JSON-able by `asdict`."""

    epoch: int = 0
    position: int = 0


class LengthGroupedSampler:
    """Batches of row numbers without end, epoch after epoch.

    Args:
        lengths: Tokens per row.
        batch_size: Rows per batch; the last batch of an epoch may have fewer.
        seed: Seed of the order. With the same lengths and seed the order is the same on every machine.
        state: The state of an earlier sampler, to go on from there; None: the beginning.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, state: SamplerState | None = None) -> None:
        if not lengths or batch_size < 1:
            raise ArgumentError(f"cannot draw batches of {batch_size} from {len(lengths)} rows")
        self._lengths = np.asarray(lengths, np.int64)
        self._batch_size = batch_size
        self._seed = seed
        self.state = state or SamplerState()
        self._order = self._epoch(self.state.epoch)

    @property
    def batches_per_epoch(self) -> int:
        """Returns the number of batches in which every row comes once."""
        return math.ceil(len(self._lengths) / self._batch_size)

    def next_batch(self) -> list[int]:
        """Returns the rows of the next batch, longest first."""
        if self.state.position >= self.batches_per_epoch:
            self.state = SamplerState(self.state.epoch + 1, 0)
            self._order = self._epoch(self.state.epoch)
        batch = self._order[self.state.position]
        self.state = SamplerState(self.state.epoch, self.state.position + 1)
        return [int(row) for row in batch]

    def _epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        # RandomState and not default_rng: numpy promises that its streams never change.
        random = np.random.RandomState(np.random.MT19937(derive_seed(self._seed, "epoch", epoch)))
        shuffled = random.permutation(len(self._lengths))
        batches: list[NDArray[np.int64]] = []
        stretch = STRETCH * self._batch_size
        for start in range(0, len(shuffled), stretch):
            rows = shuffled[start : start + stretch]
            by_length = rows[np.argsort(-self._lengths[rows], kind="stable")]
            batches += [by_length[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]
        return [batches[i] for i in random.permutation(len(batches))]


def padding_share(lengths: Sequence[Sequence[int]]) -> float:
    """Returns which share of all positions is padding, for the rows' lengths per micro-batch."""
    real = sum(sum(batch) for batch in lengths)
    padded = sum(max(batch, default=0) * len(batch) for batch in lengths)
    return 1 - real / padded if padded else 0.0
