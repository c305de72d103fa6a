"""Training seeds: their spread, and how they widen an interval.

Images and seeds are crossed: every seed's model answers the same questions. A result moves with the images (whatever
the seed), with the seed (whatever the images), and with what a seed makes of an image. An interval over several seeds
adds two sources of chance, independent of each other. Images are resampled, the same ones for all seeds. Seeds cannot
be: of two seeds, half of all resamples hold one twice and none spreads widely enough. Their part is drawn instead
from Student's t with S - 1 degrees of freedom, scaled by the standard error of the seeds' mean, which is exact if
results scatter normally over seeds. What a seed makes of an image is within the spread of the seeds' means already, so
the images' part is shrunk to what all seeds share of it: the random effects of a two-way layout. Three seeds give a
wide interval, rightly so. One seed tells nothing of training, and reports judge no difference by it.

A spread pooled over benchmarks (limma's moderated variance) would make intervals of few seeds narrower. It is not
used: abilities differ tenfold in their spread, and simulated with such spreads it covered 83 to 88 % instead of 95 %
where the spread is widest (`benchmarks/verdicts.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cobra_kit.errors import CobraError
from cobra_kit.statistics.checks import numbers

_QUANTILE = 0.975  # of the upper end of a two-sided interval at 95 %


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """Mean and spread of one number over training seeds.

    Args:
        values: The number of each seed.
        mean: The mean over the seeds.
        deviation: Sample standard deviation (divisor S - 1); None with one seed.
    """

    values: tuple[float, ...]
    mean: float
    deviation: float | None


def seed_spread(values: Sequence[float]) -> SeedSpread:
    """Returns the mean and the spread of `values`, one per seed.

    Raises:
        CobraError: There are no values.
    """
    array = numbers(values, "the values of seeds", most_axes=1)
    if not array.size:
        raise CobraError("no seeds: nothing to average")
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return SeedSpread(tuple(float(value) for value in array), float(array.mean()), deviation)


def images_share(pulls: NDArray[np.float64]) -> float:
    """Returns the share of the images' variance of the seeds' mean that is common to all seeds, 0 to 1.

    Args:
        pulls: `[seeds images]`, how far each image moves each seed's statistic; see `Clustered.pulls`.
    """
    seeds = len(pulls)
    if seeds == 1:
        return 1.0
    common = pulls.mean(axis=0)
    variance = float((common**2).sum())
    own = float(((pulls - common) ** 2).sum()) / (seeds * (seeds - 1))
    return max(0.0, 1.0 - own / variance) if variance > 0 else 0.0


def add_seed_noise(
    resampled: NDArray[np.float64], observed: NDArray[np.float64], share: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns the mean over seeds with both sources of chance, `[resamples]`.

    Args:
        resampled: `[resamples seeds]`, each seed's statistic under each resample of images.
        observed: `[seeds]`, each seed's statistic on all images.
        share: Share of the images' variance that all seeds have in common; see `images_share`.
        rng: Draws the seeds' part.
    """
    draws, seeds = resampled.shape
    middle: NDArray[np.float64] = resampled.mean(axis=1)
    if seeds == 1:
        return middle
    from_seeds: NDArray[np.float64] = _error_of_mean(observed) * rng.standard_t(seeds - 1, size=draws)
    whole = float(observed.mean())
    return whole + math.sqrt(share) * (middle - whole) + from_seeds


def seed_variance(observed: NDArray[np.float64]) -> float:
    """Returns the variance of a normal distribution as wide, at 95 %, as the seeds' part of the interval.

    Args:
        observed: `[seeds]`, each seed's statistic; one seed has no such part.
    """
    seeds = len(observed)
    if seeds == 1:
        return 0.0
    from scipy.special import stdtrit  # that of scipy.stats takes half a second to import

    student = float(stdtrit(seeds - 1, _QUANTILE))
    return (_error_of_mean(observed) * student / NormalDist().inv_cdf(_QUANTILE)) ** 2


def _error_of_mean(observed: NDArray[np.float64]) -> float:
    return float(observed.std(ddof=1)) / math.sqrt(len(observed))
