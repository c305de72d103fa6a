"""The smallest difference a design can see.

A difference d is seen when its interval excludes 0. With a normal estimate of standard error s this happens
in `power` of the experiments if `d = (z(1 - alpha / 2) + z(power)) * s`; for 5 % and 80 % that is 2.80 s.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from numpy.typing import ArrayLike

from cobra_kit.arguments import finite_number, renamed_arguments, whole_number
from cobra_kit.errors import CobraError
from cobra_kit.statistics.checks import numbers
from cobra_kit.statistics.clusters import Clustered
from cobra_kit.statistics.seeds import images_share, seed_variance

_NOTHING = 1e-7
"""A standard error below this is what rounding leaves of none: where the share that seeds have in common should be 0,
it is 1e-16, and the error its root. A single answer among a million gives more."""


def standard_error(
    differences: ArrayLike, clusters: ArrayLike | None = None, groups: ArrayLike | None = None
) -> float | None:
    """Returns the standard error of the mean difference, from the spread between images (and seeds).

    Linearised: each image's pull on the mean, summed in squares (cluster-robust, divisor n - 1).

    Args:
        differences: `[questions]` or `[seeds questions]`, score of one arm minus the other's.
        clusters: `[questions]`, the image of each.
        groups: `[questions]`, if the statistic is the mean of groups' means.

    Returns:
        The standard error, or None where it cannot be known: with one image.

    Raises:
        CobraError: If there are no questions.
    """
    data = Clustered.of(differences, clusters, groups)
    if data.clusters == 1:
        return None
    pulls = data.pulls()
    variance = data.clusters / (data.clusters - 1) * float((pulls.mean(axis=0) ** 2).sum()) * images_share(pulls)
    return math.sqrt(variance + seed_variance(data.means()))


def detectable_difference(
    differences: ArrayLike,
    clusters: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    *,
    power: float = 0.8,
    level: float = 0.95,
) -> float | None:
    """Returns the smallest true difference that this design would detect with probability `power`.

    Args:
        differences: `[questions]` or `[seeds questions]`, as `standard_error` takes them.
        clusters: `[questions]`, the image of each, as `standard_error` takes them.
        groups: `[questions]`, the group of each, as `standard_error` takes them.
        power: Chance of seeing a difference of that size.
        level: The level of the interval that must exclude 0.

    Returns:
        The difference, in the unit of the scores; None where the observed differences do not vary (arms that
        answer alike say nothing about how much they could differ) or there is one image.
    """
    error = standard_error(differences, clusters, groups)
    if error is None or error < _NOTHING:
        return None
    return _quantiles(power, level) * error


def detectable_between_seeds(values: ArrayLike, *, power: float = 0.8, level: float = 0.95) -> float | None:
    """Returns the smallest detectable difference of two arms that both scatter over seeds as `values` do.

    For a reference arm that no other stands beside yet. Nothing is paired, so it is wide where arms share what chance
    decides; what a seed makes of an image is within the spread of the values.

    Args:
        values: `[seeds]`, the score of each training seed.
        power: Chance of seeing a difference of that size.
        level: The level of the interval that must exclude 0.

    Returns:
        The difference, in the unit of the values; None where they do not vary, or of one seed.
    """
    array = numbers(values, "the values of seeds", most_axes=1)
    if len(array) < 2:
        return None
    error = math.sqrt(2 * seed_variance(array))
    return None if error < _NOTHING else _quantiles(power, level) * error


@renamed_arguments(pictures="images", questions_per_picture="questions_per_image")
def planned_detectable_difference(
    images: int,
    questions_per_image: float = 1.0,
    *,
    disagreement: float = 0.2,
    correlation: float = 0.0,
    power: float = 0.8,
    level: float = 0.95,
) -> float:
    """Returns the smallest detectable difference of right-or-wrong scores, before anything is trained.

    Args:
        images: Images in the test split.
        questions_per_image: Mean number of questions about each.
        disagreement: Share of questions on which the arms are expected to differ.
        correlation: Correlation of the differences of two questions about one image, 0 to 1.
        power: Chance of seeing a difference of that size.
        level: The level of the interval that must exclude 0.

    Raises:
        CobraError: If a count is below 1 or a share lies outside of its range.
    """
    images = whole_number(images, "images")
    for name, value in (
        ("questions_per_image", questions_per_image),
        ("disagreement", disagreement),
        ("correlation", correlation),
    ):
        finite_number(value, name)
    if images < 1 or questions_per_image < 1:
        raise CobraError(f"a design needs pictures and questions about each, got {images} and {questions_per_image:g}")
    if not 0 < disagreement <= 1 or not 0 <= correlation <= 1:
        raise CobraError(
            f"disagreement must lie in (0, 1] and correlation in [0, 1], got {disagreement} and {correlation}"
        )
    effect = 1 + (questions_per_image - 1) * correlation
    variance = disagreement * effect / (images * questions_per_image)
    return min(1.0, _quantiles(power, level) * math.sqrt(variance))


def _quantiles(power: float, level: float) -> float:
    finite_number(power, "power")
    finite_number(level, "level")
    if not 0 < power < 1 or not 0 < level < 1:
        raise CobraError(f"power and level must lie between 0 and 1, got {power} and {level}")
    normal = NormalDist()
    return normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
