"""Asks how much variance the seeds' common random numbers remove from differences between arms.

    python benchmarks/common_random_numbers.py studies/ablation_projector-laptop

Arms of a seed share the order of rows, the initial values of equal parts, and the questions
(tests/contracts/test_common_random_numbers.py). For each comparison and benchmark: V(paired), the variance over seeds
of the differences within a seed, against V(apart), the sum of both arms' variances, which is what differences between
runs of unrelated seeds would have. Their ratio is 1 where pairing does nothing, 0 where it removes all chance, and
above 1 where the arms of a seed are pushed apart.

The interval is exact for normal results whose arms scatter alike: then the sum and the difference of two arms are
independent, and the ratio of their variances has an F distribution. V(apart) is half the sum of both. Of all
benchmarks together, variances are added, with Satterthwaite's degrees of freedom; arms of one benchmark, which share
their reference, count as one. A comparison whose arms never change over seeds says nothing and is left out.

Only training differs between seeds: the test questions are the same in all of them, so their choice is in no variance
here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cobra_kit.errors import CobraError
from cobra_kit.report.table import MIN_SEEDS
from cobra_kit.statistics import align, mean_score
from cobra_kit.study.reading.stored_files import SPLIT, read_benchmark_scores, read_summary
from cobra_kit.study.reading.stored_study import StoredRun, StoredStudy, read_study

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Removed:
    """The variances of one comparison, or of several added up, in squared points.

    Args:
        name: Such as `ldpv2 presence`.
        of_differences: Variance over seeds of the arm minus the reference.
        of_sums: Variance over seeds of the arm plus the reference.
        freedom: Degrees of freedom of both.
    """

    name: str
    of_differences: float
    of_sums: float
    freedom: tuple[float, float]

    @property
    def apart(self) -> float:
        """Returns the sum of both arms' variances: var(a) + var(b) = (var(a - b) + var(a + b)) / 2."""
        return (self.of_differences + self.of_sums) / 2

    @property
    def ratio(self) -> float:
        """Returns V(paired) / V(apart)."""
        return self.of_differences / self.apart

    @property
    def interval(self) -> tuple[float, float]:
        """Returns the interval of the ratio."""
        first, second = self.freedom
        tail = (1 - LEVEL) / 2
        # of_sums / of_differences, over its true value, has an F distribution; the ratio is 2 / (1 + that quotient).
        low, high = stats.f.ppf((tail, 1 - tail), second, first)
        return _ratio(self.of_differences * low, self.of_sums), _ratio(self.of_differences * high, self.of_sums)


def _ratio(of_differences: float, of_sums: float) -> float:
    return 2 * of_differences / (of_differences + of_sums)


def removed(name: str, arm: Sequence[float], reference: Sequence[float]) -> Removed | None:
    """Returns the variances of a comparison; None where no arm changes over seeds.

    Args:
        name: What to call it.
        arm: The arm's result of every seed, in points.
        reference: The reference's, in the same order.
    """
    a, b = np.asarray(arm, float), np.asarray(reference, float)
    differences, sums = float((a - b).var(ddof=1)), float((a + b).var(ddof=1))
    if differences + sums < 1e-12:
        return None
    return Removed(name, differences, sums, (len(a) - 1.0, len(a) - 1.0))


def together(name: str, benchmarks: Sequence[Sequence[Removed]]) -> Removed:
    """Returns the variances of all benchmarks, each the mean over the arms that are compared with the reference."""
    means = np.array(
        [np.mean([(r.of_differences, r.of_sums) for r in comparisons], axis=0) for comparisons in benchmarks]
    )
    freedom = np.array([comparisons[0].freedom for comparisons in benchmarks])
    with np.errstate(invalid="ignore"):
        whole = means.sum(axis=0) ** 2 / (means**2 / freedom).sum(axis=0)
    first, second = np.where(np.isfinite(whole), whole, freedom.sum(axis=0))
    of_differences, of_sums = means.sum(axis=0)
    return Removed(name, float(of_differences), float(of_sums), (float(first), float(second)))


def seed_scores(study: StoredStudy) -> dict[str, dict[str, list[float]]]:
    """Returns benchmark to arm to the result of every seed, in points, as the table's means are made of.

    Raises:
        CobraError: The study is not finished, or has too few seeds.
    """
    study.check_finished()
    if len(study.seeds) < MIN_SEEDS:
        hint = f"Run it with at least {MIN_SEEDS} seeds: --set 'ablation.seeds=[1,2,3]'"
        raise CobraError("too few seeds for a variance", where=str(study.path), hint=hint)
    runs = [StoredRun(arm, seed) for arm in study.arms for seed in study.seeds]
    summaries = [read_summary(study.folder.run(run))[SPLIT] for run in runs]
    scores: dict[str, dict[str, list[float]]] = {}
    for benchmark, entry in summaries[0].items():
        lists = [
            read_benchmark_scores(study.folder.run(run), summary[benchmark])
            for run, summary in zip(runs, summaries, strict=True)
        ]
        aligned = align(lists, [run.name for run in runs])
        means: NDArray[np.float64] = 100 * mean_score(
            aligned.scores, aligned.groups if entry["mean_of_groups"] else None
        )
        rows = means.reshape(len(study.arms), len(study.seeds)).tolist()
        scores[benchmark] = dict(zip(study.arms, rows, strict=True))
    return scores


def comparisons(study: StoredStudy) -> dict[str, list[Removed]]:
    """Returns the comparisons of every benchmark of which something can be said."""
    listed = {
        benchmark: [
            variances
            for arm in study.arms
            if arm != study.reference
            and (variances := removed(f"{arm} {benchmark}", by_arm[arm], by_arm[study.reference])) is not None
        ]
        for benchmark, by_arm in seed_scores(study).items()
    }
    return {benchmark: variances for benchmark, variances in listed.items() if variances}


def show(rows: Mapping[str, list[Removed]]) -> None:
    """Prints the comparisons, and all of them together."""
    every = [variances for listed in rows.values() for variances in listed]
    every.append(together("all together", list(rows.values())))
    width = max(len(variances.name) for variances in every)
    print(f"{'':<{width}}  {'sd paired':>9}  {'sd apart':>8}  {'ratio':>5}  {LEVEL:.0%} interval  (sd in points)")
    for variances in every:
        low, high = variances.interval
        spreads = f"{variances.of_differences**0.5:>9.2f}  {variances.apart**0.5:>8.2f}"
        print(f"{variances.name:<{width}}  {spreads}  {variances.ratio:>5.2f}  [{low:.2f}, {high:.2f}]")
    last = every[-1]
    low, high = (100 * (1 - end) for end in reversed(last.interval))
    print(f"pairing by seed removes {100 * (1 - last.ratio):.0f} % of the variance [{low:.0f}, {high:.0f}]")


def main() -> int:
    """Prints the variances of a study's comparisons; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, metavar="STUDY", help="Folder of a finished study.")
    given = parser.parse_args()
    try:
        study = read_study(given.study)
        rows = comparisons(study)
        if not rows:
            hint = "Run arms that differ, or train them for longer."
            raise CobraError("nothing changes between seeds", where=str(study.path), hint=hint)
    except CobraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{study.path}: {study.name}, seeds {', '.join(map(str, study.seeds))}")
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
