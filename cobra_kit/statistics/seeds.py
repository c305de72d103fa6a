"""Training seeds: their spread, and how they widen an interval.

Pictures and seeds are crossed: every seed's model answers the same questions. An interval over several seeds
therefore adds two sources of chance, independent of each other. Pictures are resampled, the same ones for all
seeds. Seeds cannot be: of two seeds, half of all resamples hold one twice and none spreads widely enough.
Their part is drawn instead from Student's t with S - 1 degrees of freedom, scaled by the standard error of
the seeds' mean, which is exact if results scatter normally over seeds. Three seeds thus give a wide interval,
rightly so. The scatter between seeds includes some of the scatter between pictures, so the interval is a
little too wide where seeds hardly matter. One seed adds nothing: its interval speaks of pictures only, and
reports say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobra_kit.errors import CobraError
from cobra_kit.statistics.checks import numbers

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
    array = numbers(values, "the values of seeds", most_axes=1)
    if not array.size:
        raise CobraError("no seeds: nothing to average")
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return SeedSpread(tuple(float(value) for value in array), float(array.mean()), deviation)


def add_seed_noise(
    resampled: NDArray[np.float64], observed: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns the mean over seeds with both sources of chance, `[resamples]`.

    Args:
        resampled: `[resamples seeds]`, each seed's statistic under each resample of pictures.
        observed: `[seeds]`, each seed's statistic on all pictures.
        rng: Draws the seeds' part.
    """
    draws, seeds = resampled.shape
    middle: NDArray[np.float64] = resampled.mean(axis=1)
    if seeds == 1:
        return middle
    from_seeds: NDArray[np.float64] = _error_of_mean(observed) * rng.standard_t(seeds - 1, size=draws)
    return middle + from_seeds


def seed_variance(observed: NDArray[np.float64]) -> float:
    """Returns the variance of a normal distribution as wide, at 95 %, as the seeds' part of the interval.

    Args:
        observed: `[seeds]`, each seed's statistic; one seed has no such part.
    """
    seeds = len(observed)
    if seeds == 1:
        return 0.0
    student = _STUDENT_975[seeds - 2] if seeds - 2 < len(_STUDENT_975) else _NORMAL_975
    return (_error_of_mean(observed) * student / _NORMAL_975) ** 2


def _error_of_mean(observed: NDArray[np.float64]) -> float:
    return float(observed.std(ddof=1)) / math.sqrt(len(observed))
