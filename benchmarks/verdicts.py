"""Asks how often tables under the null show a star, and how often the interval of a difference holds the truth.

    python benchmarks/verdicts.py                       # 2,000 tables of five seeds, about five minutes
    python benchmarks/verdicts.py --seeds 3 --item 0.2

Each table compares an arm with itself, trained from other seeds: six benchmarks of 500 images, whose results scatter
between training runs as those of the packaged miniature do (`SPREADS`). With `--item`, arms differ on single questions,
by a mean of 0. Beside the intervals that tables have, it tries those of seeds alone and of a spread that is pooled over
the benchmarks (limma's moderated variance; Smyth 2004, section 6.2), which tables do not use.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import digamma, polygamma

from cobra_kit.statistics import bootstrap_difference, holm

SPREADS: Mapping[str, float] = {
    "presence": 0.035,
    "attribute": 0.02,
    "count": 0.05,
    "spatial": 0.07,
    "reading": 0.05,
    "boxes": 0.015,
}
"""Standard deviation between training runs of one arm, as a share: from 2 to 7 points at the laptop's size, LOG.md."""

LEVELS = dict(zip(SPREADS, (0.85, 0.9, 0.75, 0.65, 0.6, 0.4), strict=True))
"""Mean score of both arms."""

IMAGES = 500
METHODS = ("tables", "seeds alone", "pooled spread")


def differences(name: str, seeds: int, item: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns scores of one arm minus the other's, `[seeds images]`, whose true mean is 0."""
    level = LEVELS[name]
    question = rng.beta(1.5 * level, 1.5 * (1 - level), IMAGES)
    seed = rng.normal(0, SPREADS[name], (2, seeds, 1))
    own = rng.normal(0, item, (2, 1, IMAGES))
    scores = rng.random((2, seeds, IMAGES)) < np.clip(question + seed + own, 0, 1)
    result: NDArray[np.float64] = scores[0].astype(float) - scores[1]
    return result


def pooled(variances: NDArray[np.float64], freedom: int) -> tuple[NDArray[np.float64], float]:
    """Returns variances drawn towards what they have in common, and their degrees of freedom."""
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2))
    if excess <= 0:
        return np.full_like(variances, np.exp(logs.mean())), np.inf
    prior = 2 * _inverse_trigamma(excess)
    common = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    return (prior * common + freedom * variances) / (prior + freedom), prior + freedom


def _inverse_trigamma(value: float) -> float:
    guess = 0.5 + 1 / value
    for _ in range(50):
        slope = polygamma(1, guess)
        guess += slope * (1 - slope / value) / polygamma(2, guess)
    return float(guess)


def one_table(seeds: int, item: float, number: int) -> dict[str, tuple[list[bool], list[float]]]:
    """Returns per method whether each interval holds 0, and the p values."""
    rng = np.random.default_rng(number)
    matrices = [differences(name, seeds, item, rng) for name in SPREADS]
    intervals = [
        bootstrap_difference(matrix, np.zeros_like(matrix), resamples=1000, seed=number) for matrix in matrices
    ]
    holds = [not interval.excludes_zero for interval in intervals]
    result = {"tables": (holds, [interval.p_value or 0.0 for interval in intervals])}
    means = np.array([matrix.mean() for matrix in matrices])
    variances = np.array([max(matrix.mean(axis=1).var(ddof=1), 1e-8) for matrix in matrices])
    moderated, freedom = pooled(variances, seeds - 1)
    for method, spread, degrees in (("seeds alone", variances, seeds - 1), ("pooled spread", moderated, freedom)):
        p_values = 2 * stats.t.sf(np.abs(means) / np.sqrt(spread / seeds), degrees)
        result[method] = ([bool(p >= 0.05) for p in p_values], [float(p) for p in p_values])
    return result


def main() -> None:
    """Prints coverage per benchmark and the share of tables with a star, after Holm and before it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000, help="How many tables.")
    parser.add_argument("--seeds", type=int, default=5, help="Training seeds of each arm.")
    parser.add_argument("--item", type=float, default=0.0, help="How far arms differ on single questions, a share.")
    given = parser.parse_args()
    tables = [one_table(given.seeds, given.item, number) for number in range(given.tables)]
    print(
        f"{given.tables} tables under the null, {given.seeds} seeds, {IMAGES} images, arms' own questions {given.item}"
    )
    print(f"{'':14}" + "".join(f"{name:>11}" for name in SPREADS) + f"{'star':>8}{'no Holm':>9}   (percent)")
    for method in METHODS:
        covered = 100 * np.mean([table[method][0] for table in tables], axis=0)
        stars = 100 * np.mean([min(holm(table[method][1])) < 0.05 for table in tables])
        before = 100 * np.mean([min(table[method][1]) < 0.05 for table in tables])
        print(f"{method:14}" + "".join(f"{share:11.1f}" for share in covered) + f"{stars:8.1f}{before:9.1f}")


if __name__ == "__main__":
    main()
