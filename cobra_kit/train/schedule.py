"""The learning rate of each optimiser step."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, *, steps: int, warmup_ratio: float, final_ratio: float) -> float:
    """Returns which share of the highest learning rate a step takes.

    It rises linearly over the first `ceil(warmup_ratio * steps)` steps, the first of which is not wasted on a rate of
    zero, and falls along half a cosine to `final_ratio` at the very last step.

    Args:
        step: Number of the step, from 0.
        steps: Steps of the whole stage.
        warmup_ratio: Share of the steps that warm up.
        final_ratio: Share of the highest rate at the end.
    """
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step + 1 - warmup) / (steps - warmup)) if steps > warmup else 1.0
    return final_ratio + (1 - final_ratio) * (1 + math.cos(math.pi * done)) / 2
