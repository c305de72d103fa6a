"""What is cut from long rows: counted as an independent count has it, and refused before training where it is much."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.data.cuts import CutCount, check_long_rows
from cobra_kit.data.images import NoImages
from cobra_kit.data.prepared import RowForm, TrainingSet
from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError
from cobra_kit.events import Message
from cobra_kit.interfaces import IGNORE_INDEX, TextCodec
from cobra_kit.text.encode import encode_caption, encode_conversation
from cobra_kit.text.templates import ChatTemplate
from cobra_kit.text.tokenizer import small_tokenizer

LIMIT = 24
CODEC = TextCodec(small_tokenizer(), ChatTemplate(), LIMIT)
ENDLESS = replace(CODEC, max_text_tokens=10**6)
WORDS = st.lists(st.sampled_from(["red", "a square", "über", "1234567", "…"]), min_size=1, max_size=12).map(" ".join)
ROWS = st.lists(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3), min_size=1, max_size=6)


def rows_of(turns: list[list[tuple[str, str]]]) -> list[TrainingRow]:
    return [TrainingRow(f"r{i}", (), tuple(row)) for i, row in enumerate(turns)]


def by_hand(rows: list[TrainingRow], captions: bool) -> tuple[int, int, int, int]:
    """Rows cut, tokens cut, supervised tokens cut, supervised tokens in all; from the whole rows."""
    figures = [0, 0, 0, 0]
    for row in rows:
        whole = (
            encode_caption(row.turns[0][1], ENDLESS, num_images=0)
            if captions
            else encode_conversation(row.turns, ENDLESS, num_images=0)
        )
        supervised = [label != IGNORE_INDEX for label in whole.labels]
        lost = len(supervised) if not any(supervised[:LIMIT]) else len(supervised[LIMIT:])
        figures[0] += bool(lost)
        figures[1] += lost
        figures[2] += sum(supervised[len(supervised) - lost :])
        figures[3] += sum(supervised)
    return figures[0], figures[1], figures[2], figures[3]


@given(ROWS, st.booleans(), st.sampled_from([0.0, 0.01, 0.3, 0.9]))
def test_a_check_before_training_refuses_what_the_count_says(turns, captions, most):
    rows = rows_of(turns)
    _, _, lost, out_of = by_hand(rows, captions)
    if lost / out_of <= most:
        check_long_rows(rows, CODEC, most, "finetune", captions=captions)
        return
    with pytest.raises(DataError) as error:
        check_long_rows(rows, CODEC, most, "finetune", captions=captions)
    assert f"{lost:,} of {out_of:,} that carry loss" in error.value.message


@pytest.mark.parametrize("captions", [False, True])
def test_a_training_set_counts_what_is_cut_and_what_is_lost_with_the_row(model, captions):
    processor = replace(model.processor, codec=CODEC)
    turns = [
        [("What?", "red")],
        [("What?", "red " * 30)],
        [("What is it? " * 20, "red")],
        [("a", "red"), ("b", "red " * 20), ("c", "red")],
        [("a " * 40, "red " * 30)],
    ]
    rows = rows_of(turns)
    prepared = TrainingSet(rows, processor, NoImages(), RowForm(captions=captions, text=True))
    cuts = prepared.cuts
    assert (cuts.rows, cuts.tokens, cuts.supervised_tokens, cuts.out_of) == by_hand(rows, captions)
    assert len(prepared) + prepared.rejects.total == len(rows)
    assert prepared.rejects.total == (0 if captions else 2)
    assert prepared.unused_turns == (2 if captions else 0)


def test_it_is_told_with_the_setting_and_the_refusal_names_what_allows_it():
    cuts, events = CutCount(LIMIT), []
    for row in rows_of([[("What?", "red")], [("What?", "red " * 60)]]):
        cuts.add(row.row_id, encode_conversation(row.turns, CODEC, num_images=0))
    cuts.announce(events.append, "align", 2)
    (event,) = events
    assert isinstance(event, Message)
    assert event.level == "warning"
    assert event.text.startswith("align: 1 of 2 rows are cut at 24 text tokens (model.backbone.max_text_tokens): ")
    assert event.text.endswith("; the first is row r1")
    with pytest.raises(DataError, match=r"train.align, row r1: .*, more than the 1.0% allowed") as error:
        cuts.check(0.01, "align", 2)
    allowed = float(str(error.value).rpartition("train.align.max_cut_share=")[2])
    cuts.check(allowed, "align", 2)
    assert allowed - cuts.share <= 0.01


def test_nothing_is_told_of_rows_that_fit():
    cuts, events = CutCount(LIMIT), []
    cuts.add("r0", encode_conversation([("a", "b")], CODEC, num_images=0))
    cuts.announce(events.append, "align", 1)
    cuts.check(0.0, "align", 1)
    assert events == []


def test_rows_of_a_wrong_source_are_left_out_with_a_reason(model):
    rows = [
        TrainingRow("good", (), (("a", "red"),)),
        TrainingRow("empty", (), ()),
        TrainingRow("unlisted", ("p.png",), (("<image>", "red"),)),
    ]
    prepared = TrainingSet(rows, model.processor, NoImages(), RowForm(captions=True, text=True))
    assert prepared.rejects.reasons == {
        "row empty": "the row has no turns",
        "row unlisted": "the data source does not list its picture 'p.png' for this stage",
    }
