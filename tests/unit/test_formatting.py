"""Numbers, durations and lists of names as text."""

from __future__ import annotations

import pytest

from cobra_kit.formatting import (
    did_you_mean,
    duration,
    duration_with_units,
    either,
    gibibytes,
    gigabytes,
    megabytes,
    nearest,
    plural,
    short_count,
    suggest,
)


def test_sizes_and_counts() -> None:
    assert (gigabytes(7.14e12), megabytes(7e6)) == ("7,140.0 GB", "7.0 MB")
    assert (gibibytes(2**30), gibibytes(3 * 2**30, digits=0)) == ("1.0 GiB", "3 GiB")
    assert [short_count(number) for number in (999, 41_259, 1_210_000, 2_816_100_000)] == [
        "999",
        "41.26 k",
        "1.21 M",
        "2.82 B",
    ]
    assert [plural(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


@pytest.mark.parametrize(
    ("seconds", "short", "with_units"),
    [
        (0, "0:00", "0 s"),
        (59.4, "0:59", "59 s"),
        (59.6, "1:00", "60 s"),
        (391, "6:31", "6 min 31 s"),
        (4171, "1:09:31", "1.2 h"),
        (95_400, "26:30:00", "26.5 h"),
    ],
)
def test_durations(seconds: float, short: str, with_units: str) -> None:
    assert (duration(seconds), duration_with_units(seconds)) == (short, with_units)


def test_names_that_are_near() -> None:
    assert [either(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
    assert nearest("projektor", ["projector", "projectors", "backbone"]) == ["projector", "projectors"]
    assert nearest("projektor", ["projector", "projectors"], most=1) == ["projector"]
    assert did_you_mean([]) is None
    assert did_you_mean(["use", "size"], prefix="model.") == "did you mean model.use or model.size?"
    assert suggest("projektor", ["projector", "fusion"], what="kinds") == "did you mean projector?"
    assert suggest("x", ["projector", "fusion"], what="kinds") == "kinds: projector, fusion"
    assert suggest("x", [], what="kinds") == "kinds: none"
