"""Rounds treat cases alike and keep what there is when interrupted; spreads are those of the numbers."""

from __future__ import annotations

import pytest

from cobra_kit.bench.timing import rounds, spread


def test_cases_take_turns_and_warm_up_does_not_count():
    order = []

    def case(name):
        def measure():
            order.append(name)
            return [float(len(order))]

        return measure

    result = rounds({"a": case("a"), "b": case("b")}, warmup=1, repeats=2)
    assert order == ["a", "b"] * 3
    assert result.values == {"a": [[3.0], [5.0]], "b": [[4.0], [6.0]]}
    assert not result.interrupted


def test_ctrl_c_keeps_what_was_measured():
    calls = 0

    def measure():
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return [1.0]

    result = rounds({"a": measure, "b": measure}, warmup=0, repeats=5)
    assert result.interrupted
    assert {name: len(taken) for name, taken in result.values.items()} == {"a": 2, "b": 1}


def test_spread():
    seconds = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (seconds.median, seconds.low, seconds.high, seconds.count) == (3.0, 2.0, 4.0, 5)
    assert spread([2.0]).low == 2.0
    rate = seconds.inverse(12.0)
    assert (rate.low, rate.median, rate.high) == pytest.approx((3.0, 4.0, 6.0))
    assert seconds.scaled(10).high == 40.0
