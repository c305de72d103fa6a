"""The memory one device needs while training, under each way of sharing the weights out.

On accelerators weights, gradients and AdamW's two moments are float32 and the computing is bfloat16, as in the
paper's run (PAPER.md 2.2); on the CPU everything is float32. A frozen encoder stands on every device in the type that
is computed in. What the allocator wastes and the driver takes is not counted; `FITS` leaves room for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobra_kit.estimate.counting import PassCount

SHARDINGS = ("none", "shard-grad-op", "full-shard")
"""`none` copies everything (DDP where there are several devices); `shard-grad-op` shares gradients and moments out and
gathers the weights once per step; `full-shard` gathers one block at a time."""

FITS = 0.9
"""Share of a device's memory that may be planned with."""

_FULL, _HALF = 4, 2
_MOMENTS = 2


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes on one device.

    Args:
        sharding: One of `SHARDINGS`.
        checkpointed: Whether blocks keep their inputs only and are computed again in the backward pass.
        weights: The weights, with the copies that computing needs.
        gradients: The gradients of what is trained.
        optimiser: The two moments that AdamW keeps.
        activations: Kept for the backward pass; None where they could not be counted.
    """

    sharding: str
    checkpointed: bool
    weights: int
    gradients: int
    optimiser: int
    activations: int | None

    @property
    def total(self) -> int:
        """Returns the sum; without the activations where they are unknown."""
        return self.weights + self.gradients + self.optimiser + (self.activations or 0)

    @property
    def can_be_trained(self) -> bool:
        """Returns whether the trainer can set a stage up like this: in one process, and keeping all it computed."""
        return self.sharding == SHARDINGS[0] and not self.checkpointed

    def fits(self, memory: int) -> bool:
        """Returns whether a device of this many bytes has room."""
        return self.total <= FITS * memory


def footprints(count: PassCount, devices: int, *, mixed: bool) -> tuple[Footprint, ...]:
    """Returns every way of setting up a stage, from the plainest to the smallest.

    Args:
        count: A micro-batch of one device.
        devices: How many share the weights; with one there is nothing to share.
        mixed: Whether float32 weights are computed with in bfloat16 (accelerators) or as they are (the CPU).
    """
    shardings: Sequence[str] = SHARDINGS if devices > 1 else SHARDINGS[:1]
    return tuple(
        _footprint(count, sharding, checkpointed, devices, mixed)
        for checkpointed in (False, True)
        for sharding in shardings
    )


def smallest_that_fits(count: PassCount, memory: int, *, most: int = 1024) -> int | None:
    """Returns on how many devices (a power of two) full sharding with checkpointing fits; None where on none."""
    devices = 1
    while devices <= most:
        if any(footprint.fits(memory) for footprint in footprints(count, devices, mixed=True)):
            return devices
        devices *= 2
    return None


def _footprint(count: PassCount, sharding: str, checkpointed: bool, devices: int, mixed: bool) -> Footprint:
    trained, shards = count.trainable, 1 if sharding == "none" else devices
    own = _FULL * trained // shards
    computing = 0
    if mixed:
        # Full sharding gathers the next block while one computes; what belongs to no block stays gathered.
        gathered = count.outside_blocks + 2 * count.largest_block if sharding == "full-shard" else trained
        computing = _HALF * min(gathered, trained)
    frozen = count.frozen * (_HALF if mixed else _FULL)
    return Footprint(
        sharding=sharding,
        checkpointed=checkpointed,
        weights=own + computing + frozen,
        gradients=_FULL * trained // shards,
        optimiser=_MOMENTS * _FULL * trained // shards,
        activations=count.activations_checkpointed if checkpointed else count.activations,
    )
