"""Learning speed: the steps at which its learning curve reaches a level, and the ratio of two arms' steps.

Two arms that end alike may learn at different speed, which scores at the end do not show.

A validation asks few questions, so a curve goes up and down by chance. Its first value at the level comes too early the
more often one looks, for one lucky validation is enough; the step from which it holds the level comes too late, and one
unlucky validation at the end makes it never. So the curve is first made to rise: the rising steps that are nearest to
it by least squares (isotonic regression), to which every validation adds its part. Where these pass the level, the step
between two validations is interpolated, since a step that is a multiple of the distance between validations would make
many ties and intervals without width.

Steps are compared by their ratio, on a logarithmic scale: "a third more steps" means the same early and late, and
spreads over seeds alike. Arms are paired by seed, since those of a seed share their data order.

A curve that is above the level at its first validation, or not yet at its last, gives a bound instead of a step.
Leaving such runs out would favour the arm that fails, so a comparison that has one has no ratio: the runs are counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from cobra_kit.arguments import finite_number
from cobra_kit.errors import CobraError
from cobra_kit.statistics.checks import numbers
from cobra_kit.statistics.intervals import Interval

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LevelCrossing:
    """The step at which a learning curve reaches a level, or a bound of it.

    Args:
        kind: `within`: between two validations; `early`: it is there at the first; `never`: not yet at the last.
        step: The step, interpolated; of `early` that of the first validation, of `never` that of the last.
    """

    kind: Literal["within", "early", "never"]
    step: float


def rising(values: Sequence[float]) -> list[float]:
    """Returns the values that never fall and are nearest to these by least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []  # mean and length
    for value in numbers(values, "the values of a curve", most_axes=1):
        mean, length = float(value), 1
        while blocks and blocks[-1][0] >= mean:
            before, many = blocks.pop()
            mean, length = (before * many + mean * length) / (many + length), many + length
        blocks.append((mean, length))
    return [mean for mean, length in blocks for _ in range(length)]


def reach_level(curve: Curve, level: float) -> LevelCrossing:
    """Returns where a learning curve reaches a level.

    Args:
        curve: (step, value), in order of steps, at least two.
        level: The value to reach.

    Raises:
        CobraError: There are fewer than two points, or steps do not rise.
    """
    level = finite_number(level, "level")
    steps = [step for step, _ in curve]
    if len(steps) < 2 or any(after <= before for before, after in pairwise(steps)):
        raise CobraError(f"a learning curve needs two steps or more, each later than the one before, got {steps}")
    values = rising([value for _, value in curve])
    if values[0] >= level:
        return LevelCrossing("early", steps[0])
    if values[-1] < level:
        return LevelCrossing("never", steps[-1])
    after = next(index for index, value in enumerate(values) if value >= level)
    share = (level - values[after - 1]) / (values[after] - values[after - 1])
    return LevelCrossing("within", steps[after - 1] + share * (steps[after] - steps[after - 1]))


def seed_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Returns the mean of one value per seed with its interval by Student's t; of one value there is no interval.

    Raises:
        CobraError: There are no values, or `level` is none.
    """
    array = numbers(values, "the values of seeds", most_axes=1)
    if not array.size:
        raise CobraError("no seeds: nothing to average")
    if not 0 < finite_number(level, "level") < 1:
        raise CobraError(f"level must lie between 0 and 1, got {level}")
    mean = float(array.mean())
    if len(array) == 1:
        return Interval(mean, None, None, level)
    from scipy.special import stdtrit  # that of scipy.stats takes half a second to import

    error = float(array.std(ddof=1)) / math.sqrt(len(array))
    reach = error * float(stdtrit(len(array) - 1, (1 + level) / 2))
    return Interval(mean, mean - reach, mean + reach, level)


def geometric_mean(steps: Sequence[float], *, level: float = 0.95) -> Interval:
    """Returns the geometric mean of one number of steps per seed with its interval.

    Raises:
        CobraError: There are no seeds, or a number is not above 0.
    """
    array = numbers(steps, "steps", most_axes=1)
    if array.size and array.min() <= 0:
        raise CobraError(f"steps must be above 0, got {float(array.min()):g}")
    logarithms = seed_interval([float(value) for value in np.log(array)], level=level)
    low, high = logarithms.low, logarithms.high
    return Interval(
        math.exp(logarithms.value),
        None if low is None else math.exp(low),
        None if high is None else math.exp(high),
        level,
    )


def step_ratio(steps: Sequence[float], reference: Sequence[float], *, level: float = 0.95) -> Interval:
    """Returns how many times the reference's steps an arm takes, with its interval; 1 means equally fast.

    Args:
        steps: One per seed.
        reference: The same seeds of the reference.
        level: Coverage aimed at.

    Raises:
        CobraError: The two differ in length, there are no seeds, or a number is not above 0.
    """
    first, second = numbers(steps, "steps", most_axes=1), numbers(reference, "the reference's steps", most_axes=1)
    if first.shape != second.shape:
        raise CobraError(f"paired steps need as many seeds of both, got {len(first)} and {len(second)}")
    if second.size and second.min() <= 0:
        raise CobraError(f"steps must be above 0, got {float(second.min()):g}")
    return geometric_mean([float(value) for value in first / second], level=level)
