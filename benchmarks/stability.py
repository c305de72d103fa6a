"""Asks whether studies of one recipe agree: whether one has a star that another denies.

    python benchmarks/stability.py studies/projector-1-5 studies/projector-6-10 studies/projector-avx2

The studies may differ in their seeds, and in what they were run on: another processor, or kernels that the environment
holds to other instructions (docs/performance.md). Every comparison stands side by side, and below them stands each star
(a verdict `higher` or `lower`: the interval excludes 0, after Holm's correction too) with what the other studies say:

    confirmed    a star in the same direction
    not denied   neither star nor denial: an honest tie that leaves room for the star
    turned       denied: the interval lies wholly on the other side of 0, with a star there or without
    apart        denied: no star, and the two estimates are further apart than both intervals allow together, that is,
                 than the root of the sum of the squares of their halves that face each other
    (outside)    beside any of these: the interval excludes the starred estimate

`outside` alone denies nothing, unless `--strict` asks for it. A starred estimate has an error of its own, and is too
large in the mean, because only large ones get a star: of two studies of the same truth, with intervals of one width,
the 95 % interval of one leaves out the estimate of the other in one of six.

The exit status is 1 if any star is denied, 2 if the studies cannot be compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cobra_kit.errors import CobraError
from cobra_kit.files import read_utf8
from cobra_kit.formatting import printable
from cobra_kit.recipe import differences
from cobra_kit.report import AblationTable, ScoreDifference, grid, table_from_json
from cobra_kit.report.table import MIN_SEEDS
from cobra_kit.study.reading.provenance import environment_text
from cobra_kit.study.reading.stored_study import StoredStudy, read_study

Answer = Literal["confirmed", "not denied", "turned", "apart"]
DENIALS = ("turned", "apart")
_TABLE_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Judged:
    """A study with its table.

    Args:
        label: How it is named in what is printed.
        study: The study as its folder has it.
        table: Its table.
    """

    label: str
    study: StoredStudy
    table: AblationTable

    @property
    def differences(self) -> Mapping[tuple[str, str], ScoreDifference]:
        """Returns its differences by arm and benchmark."""
        return {(arm, row.benchmark): change for row, arm, change in self.table.comparisons}


@dataclass(frozen=True, slots=True)
class Reply:
    """What another study says of a star.

    Args:
        arm: The arm that is compared with the reference.
        benchmark: The benchmark.
        starred: The study that has the star.
        asked: The other study.
        answer: What that says.
        outside: Whether its interval excludes the starred estimate.
    """

    arm: str
    benchmark: str
    starred: str
    asked: str
    answer: Answer
    outside: bool

    def denies(self, *, strict: bool = False) -> bool:
        """Returns whether the star is denied."""
        return self.answer in DENIALS or (strict and self.outside)


def is_star(change: ScoreDifference) -> bool:
    """Returns whether a difference is a verdict."""
    return change.verdict in ("higher", "lower")


def answer_to(star: ScoreDifference, other: ScoreDifference) -> Answer:
    """Returns what a difference of another study says of a star."""
    if star.low is None or star.high is None or other.low is None or other.high is None:
        return "not denied"
    sign = 1 if star.value > 0 else -1
    if other.low > 0 if sign < 0 else other.high < 0:
        return "turned"
    if is_star(other):
        return "confirmed"
    below, above = (other, star) if other.value < star.value else (star, other)
    assert below.high is not None
    assert above.low is not None
    reach = math.hypot(below.high - below.value, above.value - above.low)
    return "apart" if above.value - below.value > reach else "not denied"


def replies(studies: Sequence[Judged]) -> list[Reply]:
    """Returns for every star what every other study says."""
    answers = []
    for judged in studies:
        for (arm, benchmark), star in judged.differences.items():
            for asked in studies if is_star(star) else ():
                other = asked.differences.get((arm, benchmark))
                if asked is judged or other is None:
                    continue
                low, high = other.low, other.high
                outside = low is not None and high is not None and not low <= star.value <= high
                answer = answer_to(star, other)
                answers.append(Reply(arm, benchmark, judged.label, asked.label, answer, outside))
    return answers


def read_judged(paths: Sequence[Path]) -> list[Judged]:
    """Returns the studies in these folders.

    Raises:
        CobraError: One is not finished, has too few seeds for verdicts, or is of other settings than the first.
    """
    studies = [read_study(path) for path in paths]
    judged = [Judged(str(path), study, _table(study)) for path, study in zip(paths, studies, strict=True)]
    first = studies[0]
    for study in studies[1:]:
        changed = [d.path for d in differences(_settings(first), _settings(study))]
        if changed:
            raise CobraError(
                f"differs from {first.path} in more than its seeds: {', '.join(changed[:8])}",
                where=str(study.path),
                hint="Compare studies of one recipe: the same settings, other seeds or another machine.",
            )
    return judged


def _settings(study: StoredStudy) -> dict[str, object]:
    """Returns what studies must have in common."""
    plain = dict(study.identity)
    plain.pop("lock", None)
    plain["ablation"] = {key: value for key, value in (plain.get("ablation") or {}).items() if key != "seeds"}
    return plain


def _table(study: StoredStudy) -> AblationTable:
    study.check_finished()
    if not study.folder.table_json.is_file():
        hint = "Give the command that began it again: it goes on where it stopped."
        raise CobraError("the study is not finished", where=str(study.path), hint=hint)
    table = table_from_json(read_utf8(study.folder.table_json, _TABLE_BYTES), str(study.folder.table_json))
    if len(table.seeds) < MIN_SEEDS:
        hint = f"Run it with at least {MIN_SEEDS} seeds: --set 'ablation.seeds=[1,2,3]'"
        raise CobraError("no verdicts: too few seeds", where=str(study.path), hint=hint)
    return table


def print_comparisons(studies: Sequence[Judged]) -> None:
    """Prints what each study is, and every comparison side by side."""
    for number, judged in enumerate(studies, start=1):
        sessions = judged.study.sessions
        ran = [str(session.get("processor", "processor unknown")) for session in sessions]
        ran += [text for session in sessions if (text := environment_text(session))]
        seeds = ", ".join(map(str, judged.table.seeds))
        print(f"[{number}] {judged.label}: seeds {seeds}; {printable('; '.join(dict.fromkeys(ran)))}")
    keys = dict.fromkeys(key for judged in studies for key in judged.differences)
    width = max(len(f"{arm} {benchmark}") for arm, benchmark in keys)
    print("\n" + " " * width + "".join(f"  {f'[{number}]':>26}" for number in range(1, len(studies) + 1)))
    for arm, benchmark in keys:
        cells = []
        for judged in studies:
            change = judged.differences.get((arm, benchmark))
            cells.append(f"{grid.difference(change)} {grid.mark(change):<3}")
        print(f"{f'{arm} {benchmark}':<{width}}" + "".join(f"  {cell:>26}" for cell in cells))


def main() -> int:
    """Prints the comparisons and every star with what the others say; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY", help="Folders of finished studies.")
    parser.add_argument("--strict", action="store_true", help="An interval without the starred estimate denies, too.")
    given = parser.parse_args()
    try:
        if len(given.studies) < 2:
            raise CobraError("one study is nothing to compare", hint="Name two or more.")
        studies = read_judged(given.studies)
    except CobraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_comparisons(studies)
    answers = replies(studies)
    print()
    for reply in answers:
        aside = " (outside)" if reply.outside else ""
        print(f"{reply.arm} {reply.benchmark}: star of {reply.starred}; {reply.asked}: {reply.answer}{aside}")
    stars = sum(is_star(change) for judged in studies for change in judged.differences.values())
    denied = [reply for reply in answers if reply.denies(strict=given.strict)]
    outside = sum(reply.outside for reply in answers)
    print(f"{stars} stars, {len(answers)} replies: {len(denied)} denials, {outside} intervals without the estimate")
    return 1 if denied else 0


if __name__ == "__main__":
    sys.exit(main())
