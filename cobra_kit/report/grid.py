"""The form of names, scores and costs in a table; a dash where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit import formatting
from cobra_kit.report.table import Estimate, ScoreDifference, TablePart, TableRow

NONE = "-"
MARKS = {"higher": "*", "lower": "*", "unclear": "?", "tie": "tie", "unknown": "?", "unjudged": ""}
_LONGEST_NAME = 28


def shorten(name: str) -> str:
    """Returns a name that fits a column, its middle replaced by an ellipsis if it is long."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def points(value: float | None) -> str:
    """Returns a score with one decimal."""
    return NONE if value is None else f"{_no_minus_zero(value):.1f}"


def estimate(score: Estimate | None) -> str:
    """Returns a score, with its spread over seeds if there are several."""
    if score is None:
        return NONE
    spread = "" if score.seed_deviation is None else f" ±{score.seed_deviation:.1f}"
    return points(score.value) + spread


def difference(change: ScoreDifference | None) -> str:
    """Returns a signed difference with its interval."""
    if change is None:
        return NONE
    if change.low is None or change.high is None:
        return signed(change.value) + ("" if change.verdict == "unjudged" else " [one picture]")
    return f"{signed(change.value)} [{signed(change.low)}, {signed(change.high)}]"


def percent(share: float) -> str:
    """Returns a share of any size with two digits that count, such as `0.0012 %`."""
    return f"{float(f'{100 * share:.2g}'):.10f}".rstrip("0").rstrip(".") + " %"


def signed(value: float) -> str:
    """Returns a difference with one decimal and its sign, also where it rounds to 0; only 0 has none."""
    return f"{value:+.1f}" if value else "0.0"


def mark(change: ScoreDifference | None) -> str:
    """Returns `*` for a verdict, `tie` where the interval holds 0, `?` where neither can be said."""
    return "" if change is None else MARKS[change.verdict]


def label(row: TableRow, name_width: int = 0) -> str:
    """Returns `presence (POPE)`, or the name alone where it says the same or the paper has none."""
    if not row.label or row.label.lower() == row.benchmark.lower():
        return row.benchmark
    return f"{row.benchmark:<{name_width}} ({row.label})"


def part_name(row: TableRow, part: TablePart) -> str:
    """Returns `spatial 1` or `presence, adversarial`."""
    ability, _, level = part.name.partition("/")
    return f"{ability} {level}" if level else f"{row.benchmark}, {part.name}"


def seeds(numbers: Sequence[int]) -> str:
    """Returns training seeds as `seed 7`, `seeds 7, 8`."""
    return f"seed{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def count(number: int | None) -> str:
    """Returns a number of parameters, such as `1.21 M`."""
    return NONE if number is None else formatting.short_count(number)


def duration(seconds: float | None) -> str:
    """Returns minutes and seconds, or hours, minutes and seconds."""
    return NONE if seconds is None else formatting.duration(seconds)


def training_time(own: float | None, shared: float) -> str:
    """Returns a duration, with that of stages that other runs use too behind it: `3:05 + 0:40 shared`."""
    return f"{duration(own)} + {duration(shared)} shared" if own is not None and shared else duration(own)


def rate(per_second: float | None) -> str:
    """Returns tokens per second, such as `4.2k`."""
    if per_second is None:
        return NONE
    return f"{per_second / 1000:.1f}k" if per_second >= 1000 else f"{per_second:.0f}"


def _no_minus_zero(value: float) -> float:
    return round(value, 1) + 0.0
