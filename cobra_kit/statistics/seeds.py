"""Training seeds: their spread, and how they widen an interval.

Pictures and seeds are crossed: every seed's model answers the same questions. The interval therefore
resamples both, independently of each other: a resample of pictures (the same for all seeds) gives each seed's
statistic, and a resample of seeds gives their mean. A resample of S seeds spreads too little by `sqrt((S - 1)
/ S)`, and S of them say little about the spread itself, so the part that stems from seeds is scaled by
`sqrt(S / (S - 1))` and by Student's t quantile with S - 1 degrees of freedom over the normal one. One seed
adds nothing: an interval from one seed speaks of pictures only, and reports say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobra_kit.errors import CobraError

_NORMAL_975 = 1.959964
# Student's t, 97.5 % quantile, for 1 to 30 degrees of freedom; rounded to four places.
_STUDENT_975 = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """Mean and spread of one number over training seeds.

    Args:
        values: The number of each seed.
        mean: Their mean.
        deviation: Sample standard deviation (divisor S - 1); None with one seed.
    """

    values: tuple[float, ...]
    mean: float
    deviation: float | None


def seed_spread(values: Sequence[float]) -> SeedSpread:
    """Returns the mean and the spread of `values`, one per seed.

    Raises:
        CobraError: If there are none.
    """
    if not len(values):
        raise CobraError("no seeds: nothing to average")
    array = np.asarray(values, dtype=np.float64)
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return SeedSpread(tuple(float(value) for value in array), float(array.mean()), deviation)


def add_seed_noise(
    resampled: NDArray[np.float64], observed: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns resampled means over seeds, `[resamples]`.

    Args:
        resampled: `[resamples seeds]`, each seed's statistic under each resample of pictures.
        observed: `[seeds]`, each seed's statistic on all pictures.
        rng: Draws the seeds.
    """
    draws, seeds = resampled.shape
    middle: NDArray[np.float64] = resampled.mean(axis=1)
    if seeds == 1:
        return middle
    picks = rng.integers(0, seeds, size=(draws, seeds))
    from_seeds = observed[picks].mean(axis=1) - observed.mean()
    result: NDArray[np.float64] = middle + seed_inflation(seeds) * from_seeds
    return result


def seed_inflation(seeds: int) -> float:
    """Returns the factor on the part of the interval that stems from seeds; see the module's text."""
    if seeds < 2:
        raise CobraError(f"the spread of {seeds} seed cannot be known")
    freedom = seeds - 1
    student = _STUDENT_975[freedom - 1] if freedom <= len(_STUDENT_975) else _NORMAL_975
    return math.sqrt(seeds / freedom) * student / _NORMAL_975
