"""From values to coordinates, and round numbers to print along an axis."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_SMALLEST = math.nextafter(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic axis.

    Args:
        low: Value at `start`.
        high: Value at `end`.
        start: Coordinate, user units of the drawing.
        end: Coordinate of the other end, in the same units.
        log: Whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Returns the coordinate of a value; values outside end up at the nearest end."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            low = math.log(self.low)  # differences, since a ratio of far numbers is infinite
            share = (math.log(inside) - low) / (math.log(self.high) - low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Returns at most `most` round values between the ends."""
        return _log_ticks(self.low, self.high, most) if self.log else _linear_ticks(self.low, self.high, most)


def fitted(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    log: bool | None = False,
    margin: float = 0.05,
    least: float | None = None,
    most: float | None = None,
    span: float = 0.0,
) -> Scale:
    """Returns a scale that holds all finite values, with a margin.

    Args:
        values: What is drawn; NaN and infinities do not count.
        start: Coordinate of the low end.
        end: Coordinate of the high end.
        log: None: where all values are above 0 and the largest is more than 20 times the smallest.
        margin: Share of the range that is left free at both ends.
        least: The low end is never below this.
        most: The high end is never above this.
        span: The ends are at least this far apart, so that nothing looks large that is not.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if log is None:
        log = low > 0 and high > 20 * low
    if log and low > 0:
        ratio = math.exp((math.log(high) - math.log(low)) * margin) if high > low else 2.0
        return Scale(max(low / ratio, _SMALLEST), min(high * ratio, sys.float_info.max), start, end, log=True)
    if high - low < span:
        low, high = (low + high - span) / 2, (low + high + span) / 2
    room = (high - low) * margin or abs(high) * margin or 1.0
    low = low - room if least is None else max(low - room, least)
    high = high + room if most is None else min(high + room, most)
    return Scale(low, high, start, end) if high > low else Scale(low - 1.0, high + 1.0, start, end)


def tick_label(value: float) -> str:
    """Returns a value in few letters: `0.05`, `1e-4`, `12k`, `1.2M`."""
    size = abs(value)
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= unit * 10 or (size >= unit and letter != "k"):
            return f"{value / unit:.4g}{letter}"
    if value and size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw)) if raw else 0.0
    if power < sys.float_info.min:
        return []  # too near to 0 for round numbers between the ends
    for factor in (*_STEPS, 20.0):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if step >= raw * 0.999 and last - first + 1 <= most:
            return [float(f"{index * step:.12g}") for index in range(first, last + 1)]
    return []


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        candidates = [m * 10.0**power for power in range(first, last + 1) for m in mantissas]
        inside = [value for value in candidates if low <= value <= high]
        if len(inside) <= most:
            return inside if len(inside) > 1 else _linear_ticks(low, high, most)
    powers = [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    return powers[:: math.ceil(len(powers) / most)]
