"""Rows cut down to some kinds of question keep their order, their images and their markers."""

from __future__ import annotations

import pytest

from cobra_kit.data.curriculum import rows_of_kinds
from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError

ROWS = (
    TrainingRow(
        "a", ("p",), (("<image>\nHow many?", "2"), ("Red?", "yes"), ("Where?", "left")), ("count", "attribute", "boxes")
    ),
    TrainingRow("b", ("p",), (("<image>\nWhere?", "left"),), ("boxes",)),
    TrainingRow("c", ("p",), (("<image>\nBlue?", "no"),), ("attribute",)),
)


def test_only_turns_of_these_kinds_are_left():
    [first, second] = rows_of_kinds(ROWS, ["attribute"])
    assert first == TrainingRow("a", ("p",), (("<image>\nRed?", "yes"),), ("attribute",))
    assert second == ROWS[2]


def test_markers_of_kept_turns_stay_where_they_are():
    row = TrainingRow("d", ("p", "q"), (("<image>\nOne?", "1"), ("And <image>?", "2")), ("count", "count"))
    assert rows_of_kinds([row], ["count"]) == (row,)


def test_all_kinds_change_nothing():
    assert rows_of_kinds(ROWS, ["count", "attribute", "boxes"]) == ROWS


def test_unknown_kinds_are_named_with_those_there_are():
    with pytest.raises(DataError) as caught:
        rows_of_kinds(ROWS, ["colour", "count"])
    assert "no training question is of the kind 'colour'" in str(caught.value)
    assert "The kinds there are: count, attribute, boxes." in str(caught.value)


def test_a_source_without_kinds_says_so():
    with pytest.raises(DataError, match="names no kinds of question"):
        rows_of_kinds([TrainingRow("a", (), (("Hello", "you"),))], ["count"])
