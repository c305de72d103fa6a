"""The texts of `cobra-kit recipes calibrate`, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cobra_kit import columns
from cobra_kit.formatting import plural
from cobra_kit.report import Calibration, ReferenceScore
from cobra_kit.report.calibration import HIGHEST, LOWEST
from cobra_kit.report.table import MIN_SEEDS

_HEADINGS = ("benchmark", "questions", "floor", "ceiling", "mean", "way", "SD", "sees", "")
_REMARKS = {"inside": "", "below": f"below {LOWEST:.0f} %", "above": f"above {HIGHEST:.0f} %", "unknown": "no bounds"}
_RULE = "Levels and steps are chosen by the reference arm alone, so no other arm's score stands here."
_BETWEEN = f"{LOWEST:.0f} and {HIGHEST:.0f} % of the way from floor to ceiling"


def calibration_lines(study: str, calibration: Calibration, limit: int | None) -> list[str]:
    """Returns the table of the reference arm, what is wrong with it, and how to read it."""
    seeds = f"{plural(len(calibration.seeds), 'seed')} ({', '.join(map(str, calibration.seeds))})"
    table = [_HEADINGS, *(row for score in calibration.benchmarks for row in _rows(score))]
    sentences = [*_verdict(calibration), "", *_legend(calibration), _RULE]
    heading = f"{study}: reference arm {calibration.reference}, test split, {seeds}"
    return [
        columns.paragraph(heading, indent="", limit=limit),
        "",
        *columns.grid(table, numbers=1, last_is_text=True, limit=limit),
        "",
        *(columns.paragraph(sentence, indent="", limit=limit) for sentence in sentences),
    ]


def _rows(score: ReferenceScore, indent: str = "") -> Iterator[Sequence[str]]:
    yield (
        indent + score.name,
        f"{score.questions:,}",
        *map(_number, (score.floor, None if indent else score.ceiling, score.mean)),
        "-" if score.way is None else f"{score.way:.0f} %",
        *map(_number, (score.deviation, score.detectable)),
        "" if indent else _REMARKS[score.position],
    )
    for group in score.groups:
        yield from _rows(group, indent + "  ")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _verdict(calibration: Calibration) -> Iterator[str]:
    if not calibration.enough_seeds:
        yield (
            f"Too few seeds: {len(calibration.seeds)} of the {MIN_SEEDS} that it takes to know the spread between "
            "training runs."
        )
    unknown = [score.name for score in calibration.outside if score.position == "unknown"]
    outside = [
        f"{score.name} ({_REMARKS[score.position]})" for score in calibration.outside if score.name not in unknown
    ]
    if outside:
        yield f"Not between {_BETWEEN}: {', '.join(outside)}."
    if unknown:
        yield f"Without a floor below a ceiling, so nobody knows: {', '.join(unknown)}."
    if calibration.not_scored:
        yield f"Not scored by every finished run: {', '.join(calibration.not_scored)}."
    if calibration.benchmarks and not calibration.outside:
        yield f"All of {len(calibration.benchmarks)} lie between {_BETWEEN}."


def _legend(calibration: Calibration) -> Iterator[str]:
    groups = "; groups, of their benchmark's ceiling" if any(score.groups for score in calibration.benchmarks) else ""
    yield f"way: how far the mean is from floor to ceiling{groups}. SD: over training seeds."
    if all(score.detectable is None for score in calibration.benchmarks):
        return
    basis = (
        "by how far the arms' paired differences scatter"
        if calibration.paired
        else "if another arm scatters over seeds as this one does, unpaired"
    )
    yield f"sees: the smallest true difference that as many seeds would see in 4 of 5 repetitions, {basis}."
