"""Axes, fronts and thinned curves."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cobra_kit.report.plots import (
    Curve,
    PlotInterval,
    Point,
    interval_plot,
    line_plot,
    pareto_front,
    scatter_plot,
    thinned,
)
from cobra_kit.report.plots.bars import bar_plot
from cobra_kit.report.plots.frame import WIDTH, text_width, x_axis
from cobra_kit.report.plots.scales import Scale, fitted, tick_label
from cobra_kit.report.plots.strips import strip_plot

finite = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
@example([1.0, 3.6e-299], True)
@example([6.5e9, 3.6e-299], True)
@example([1e12, 2.3e-308], True)
@example([2.3e-136], True)
def test_a_scale_holds_its_values_and_has_few_round_ticks_inside(values: list[float], log: bool) -> None:
    scale = fitted(values, 10.0, 300.0, log=log)
    assert all(10 - 1e-6 <= scale(value) <= 300 + 1e-6 for value in values)
    ticks = scale.ticks()
    assert len(ticks) <= 5
    assert all(scale.low <= tick <= scale.high or math.isclose(tick, scale.low) for tick in ticks) or not scale.log


@pytest.mark.parametrize(
    ("low", "high", "log", "ticks"),
    [
        (0, 100, False, [0, 25, 50, 75, 100]),
        (47, 101, False, [60, 80, 100]),
        (1e-5, 1e-2, True, [1e-5, 1e-4, 1e-3, 1e-2]),
        (2.0, 9.0, True, [2, 5]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, ticks: list[float]) -> None:
    assert Scale(low, high, 0, 1, log).ticks() == pytest.approx(ticks)


def test_infinities_do_not_stretch_an_axis() -> None:
    assert fitted([1.0, 2.0, math.inf, math.nan], 0, 1).high < 3


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "0"), (0.05, "0.05"), (1e-4, "1e-4"), (2.5e-7, "2.5e-7"), (6000, "6000"), (12_000, "12k"), (1.2e6, "1.2M")],
)
def test_tick_labels_are_short(value: float, label: str) -> None:
    assert tick_label(value) == label


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)
directions = st.sampled_from(["maximize", "minimize"])


@given(points, directions, directions)
def test_the_front_is_what_no_other_point_dominates(pairs: list[tuple[int, int]], x: str, y: str) -> None:
    signs = [1 if direction == "maximize" else -1 for direction in (x, y)]
    named = [Point(str(index), float(a), float(b)) for index, (a, b) in enumerate(pairs)]

    def dominated(point: Point) -> bool:
        mine = (signs[0] * point.x, signs[1] * point.y)
        others = [(signs[0] * other.x, signs[1] * other.y) for other in named]
        return any(a >= mine[0] and b >= mine[1] and (a, b) != mine for a, b in others)

    front = pareto_front(named, x, y)  # type: ignore[arg-type]
    assert {point.name for point in front} == {point.name for point in named if not dominated(point)}


def test_points_without_numbers_are_on_no_front() -> None:
    assert pareto_front([Point("a", math.nan, 1.0), Point("b", 1.0, math.inf)], "maximize", "maximize") == []


@given(st.lists(st.tuples(finite, finite), max_size=500), st.integers(1, 50))
def test_thinned_curves_keep_their_length_in_bounds_and_their_range(
    curve: list[tuple[float, float]], most: int
) -> None:
    thin = thinned(curve, most)
    assert len(thin) == min(len(curve), most)
    if curve:
        assert min(y for _, y in curve) - 1 <= min(y for _, y in thin)
        assert max(y for _, y in thin) <= max(y for _, y in curve) + 1


@pytest.mark.parametrize("value", [0.0, -5.0, 1e300, 1e-300])
def test_plots_of_one_value_can_be_drawn(value: float) -> None:
    for plot in (
        interval_plot([PlotInterval("a", value, None, None)], label="x", axis="points"),
        line_plot([Curve("a", [(1.0, value)])], label="x", axis="step", log=None),
        scatter_plot([Point("a", value, value)], label="x", axis="y", front=("minimize", "maximize")),
        bar_plot([("a", abs(value))], label="x"),
        strip_plot([("a", value, "trial 1")], label="x"),
    ):
        assert "nan" not in plot
        assert "inf" not in plot


def test_a_curve_leaves_out_what_is_no_number() -> None:
    plot = line_plot([Curve("a", [(1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0)])], label="x", axis="step")
    assert plot.count("L") == 1


def test_an_axis_of_times_begins_at_zero() -> None:
    curve = Curve("a", [(1.0, 5.0), (2.0, 6.0)])
    assert ">0<" in line_plot([curve], label="x", axis="step", zero=True)
    assert ">0<" not in line_plot([curve], label="x", axis="step")
    assert "nan" not in line_plot([Curve("a", [(1.0, 5.0), (2.0, 600.0)])], label="x", axis="step", log=None, zero=True)


@pytest.mark.parametrize("last", [1000.0, 1_234_567.0])
def test_the_last_number_of_an_axis_stands_inside_the_drawing(last: float) -> None:
    axis = x_axis(Scale(0, last, 30, WIDTH - 6), top=0, bottom=100)
    numbers = re.findall(r'<text x="([\d.]+)"[^>]*>([^<]+)</text>', axis)
    assert len(numbers) > 1
    assert all(float(x) + text_width(number) / 2 <= WIDTH for x, number in numbers)
