"""Rows laid out once equal rows laid out with their images; what cannot be learnt from is left out."""

from __future__ import annotations

import pytest
import torch
from toy_source import ToySource

from cobra_kit.data.features import FeatureCache
from cobra_kit.data.images import LiveImages
from cobra_kit.data.prepared import RowForm, TrainingSet
from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError
from cobra_kit.events import Message


@pytest.fixture
def source():
    return ToySource(8)


def same_batch(left, right):
    assert torch.equal(left.text_ids, right.text_ids)
    assert torch.equal(left.layout.source, right.layout.source)
    assert torch.equal(left.targets, right.targets)
    assert torch.equal(left.target_positions, right.target_positions)
    assert left.layout.lengths == right.layout.lengths


@pytest.mark.parametrize("live", [True, False])
def test_batches_equal_the_processor_s(model, source, tmp_path, live):
    names = source.image_ids("train")
    images = (LiveImages if live else FeatureCache.of)(model, source, names, tmp_path)
    rows = TrainingSet(source.rows, model.processor, images)
    numbers = [3, 0, 5]
    expected = [model.processor.row(source.rows[i].turns, [images.load(f"p{i}.png")]) for i in numbers]
    batch = rows.batch(numbers)
    same_batch(batch, model.processor.collate(expected))
    assert rows.lengths == [model.processor.row(r.turns, [images.load(r.images[0])]).num_tokens for r in source.rows]
    assert model(batch).item() == pytest.approx(model(model.processor.collate(expected)).item(), abs=1e-6)


def test_captions_are_first_answers_without_the_prompt(model, source, tmp_path):
    images = FeatureCache.of(model, source, source.image_ids("train"), tmp_path)
    rows = TrainingSet(source.rows, model.processor, images, RowForm(captions=True))
    expected = model.processor.caption_row("green", [images.load("p1.png")])
    same_batch(rows.batch([1]), model.processor.collate([expected]))
    text = model.processor.codec.tokenizer.decode(rows.batch([1]).targets.tolist())
    assert text == "green"


def test_rows_that_teach_nothing_are_left_out_with_reasons(model, source, tmp_path):
    bad = [
        TrainingRow("empty", (), ()),
        TrainingRow("marker", ("p1.png",), (("<image><image> How many?", "two"),)),
        TrainingRow("text", (), (("Hi", "Hello"),)),
    ]
    images = FeatureCache.of(model, source, source.image_ids("train"), tmp_path)
    talk, captions = [], []
    rows = TrainingSet([*source.rows, *bad], model.processor, images, report=talk.append)
    assert len(rows) == 9
    assert list(rows.rejects.reasons) == ["row empty", "row marker"]
    assert any("2 of 11 rows are left out" in e.text for e in talk if isinstance(e, Message))
    aligned = TrainingSet(
        [source.rows[0], bad[2]], model.processor, images, RowForm(captions=True), report=captions.append
    )
    assert len(aligned) == 1
    assert "no picture" in aligned.rejects.reasons["row text"]
    with pytest.raises(
        DataError, match=r"no training row is left\n +1 of 1 rows are left out:\n +row text: no picture"
    ):
        TrainingSet([bad[2]], model.processor, images, RowForm(captions=True))


def test_rows_of_one_name_that_are_left_out_are_all_counted(model, source, tmp_path):
    images = FeatureCache.of(model, source, source.image_ids("train"), tmp_path)
    rows = TrainingSet([source.rows[0], *[TrainingRow("same", (), ())] * 3], model.processor, images)
    assert rows.rejects.total == 3


def test_the_first_look_at_live_images_is_remembered(model, source, tmp_path):
    names = source.image_ids("train")
    first = LiveImages(model, source, names, tmp_path)
    seen = len(source.decoded)
    again = LiveImages(model, source, names, tmp_path)
    assert len(source.decoded) == seen
    assert [again.shape(name) for name in names] == [first.shape(name) for name in names]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b'"unreadable": {}', b'"unreadable": {"p1.png": "gone"}'),
        lambda content: content.replace(b"2", b"1"),
        lambda content: b"",
        lambda content: b"[" * 100_000,
        lambda content: bytes(len(content)),
    ],
)
def test_images_are_looked_at_again_where_the_record_of_it_is_damaged(model, tmp_path, damage):
    source = ToySource(6)
    names = source.image_ids("train")
    first = LiveImages(model, source, names, tmp_path)
    (record,) = tmp_path.glob("pictures-*.json")
    content, seen = record.read_bytes(), len(source.decoded)
    assert damage(content) != content
    record.write_bytes(damage(content))
    again = LiveImages(model, source, names, tmp_path)
    assert len(source.decoded) == seen + 6
    assert again.unreadable == {}
    assert all(again.shape(name) == first.shape(name) for name in names)
    assert record.read_bytes() == content
