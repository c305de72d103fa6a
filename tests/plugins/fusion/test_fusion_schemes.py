from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import IGNORE_INDEX, TEXT, VISUAL, Layout, LayoutBatch, TextRow, TokenShape
from cobra_kit_fusion.config import FusionConfig
from cobra_kit_fusion.fusion import ImageFirst, ImageLast, InPlace
from cobra_kit_fusion.plugin import cobra_fusion_schemes

SCHEMES: list[type[Any]] = [ImageFirst, InPlace, ImageLast]
CONFIG = FusionConfig()


def row(slots: tuple[int, ...], *, length: int = 6, question_end: int = 3) -> TextRow:
    """Ids 100, 101, ..; the last two are learnt."""
    ids = tuple(range(100, 100 + length))
    labels = (IGNORE_INDEX,) * (length - 2) + ids[-2:]
    return TextRow(ids, labels, slots, question_end, length - 2)


def written(layout: Layout) -> str:
    """The layout as text: t2 is text token 2, v0 visual token 0, a star marks a position with loss."""
    names = {TEXT: "t", VISUAL: "v"}
    return " ".join(
        f"{names[kind]}{index}{'' if label == IGNORE_INDEX else '*'}"
        for kind, index, label in zip(layout.kind, layout.index, layout.labels, strict=True)
    )


@pytest.mark.parametrize(
    ("scheme", "slots", "expected"),
    [
        (ImageFirst, (), "t0 t1 t2 t3 t4* t5*"),
        (InPlace, (), "t0 t1 t2 t3 t4* t5*"),
        (ImageLast, (), "t0 t1 t2 t3 t4* t5*"),
        (ImageFirst, (2,), "v0 v1 t0 t1 t2 t3 t4* t5*"),
        (InPlace, (2,), "t0 t1 v0 v1 t2 t3 t4* t5*"),
        (ImageLast, (2,), "t0 t1 t2 v0 v1 t3 t4* t5*"),
        (ImageFirst, (1, 2), "v0 v1 v2 v3 v4 t0 t1 t2 t3 t4* t5*"),
        (InPlace, (1, 2), "t0 v0 v1 t1 v2 v3 v4 t2 t3 t4* t5*"),
        (ImageLast, (1, 2), "t0 t1 t2 v0 v1 v2 v3 v4 t3 t4* t5*"),
        (InPlace, (2, 2), "t0 t1 v0 v1 v2 v3 v4 t2 t3 t4* t5*"),
        (InPlace, (0, 6), "v0 v1 t0 t1 t2 t3 t4* t5* v2 v3 v4"),
        (InPlace, (0, 5), "v0 v1 t0 t1 t2 t3 t4* v2 v3 v4 t5*"),
    ],
)
def test_golden_layouts(scheme: type[Any], slots: tuple[int, ...], expected: str) -> None:
    shapes = [TokenShape(2), TokenShape(3)][: len(slots)]
    assert written(scheme.layout(CONFIG, row(slots), shapes)) == expected


def test_cobras_row_is_729_visual_tokens_and_then_the_whole_text() -> None:
    layout = ImageFirst.layout(CONFIG, row((0,)), [TokenShape(729, (27, 27))])
    assert list(layout.kind) == [VISUAL] * 729 + [TEXT] * 6
    assert list(layout.index) == [*range(729), *range(6)]
    assert list(layout.labels) == [IGNORE_INDEX] * 733 + [104, 105]


def test_a_bare_caption_follows_its_image_in_every_scheme() -> None:
    caption = TextRow((100, 101), (100, 101), (0,), question_end=0, answer_start=0)
    for scheme in SCHEMES:
        assert written(scheme.layout(CONFIG, caption, [TokenShape(2)])) == "v0 v1 t0* t1*"


@st.composite
def rows_with_images(draw: st.DrawFn) -> tuple[TextRow, list[TokenShape]]:
    length = draw(st.integers(0, 30))
    ids = tuple(draw(st.lists(st.integers(0, 999), min_size=length, max_size=length)))
    labels = tuple(token if draw(st.booleans()) else IGNORE_INDEX for token in ids)
    slots = tuple(sorted(draw(st.lists(st.integers(0, length), max_size=5))))
    shapes = [TokenShape(draw(st.integers(1, 9))) for _ in slots]
    question_end = draw(st.integers(0, length))
    return TextRow(ids, labels, slots, question_end, draw(st.integers(question_end, length))), shapes


@pytest.mark.parametrize("scheme", SCHEMES)
@given(case=rows_with_images())
def test_every_token_stands_once_and_in_order(scheme: type[Any], case: tuple[TextRow, list[TokenShape]]) -> None:
    text, shapes = case
    layout = scheme.layout(CONFIG, text, shapes)
    visual = sum(shape.num_tokens for shape in shapes)
    positions = list(zip(layout.kind, layout.index, layout.labels, strict=True))
    assert len(positions) == len(text.ids) + visual
    assert [index for kind, index, _ in positions if kind == TEXT] == list(range(len(text.ids)))
    assert [index for kind, index, _ in positions if kind == VISUAL] == list(range(visual))
    assert all(label == IGNORE_INDEX for kind, _, label in positions if kind == VISUAL)
    assert all(label == text.labels[index] for kind, index, label in positions if kind == TEXT)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(case=rows_with_images())
def test_without_images_a_row_is_its_text(scheme: type[Any], case: tuple[TextRow, list[TokenShape]]) -> None:
    text = TextRow(case[0].ids, case[0].labels, (), case[0].question_end, case[0].answer_start)
    layout = scheme.layout(CONFIG, text, [])
    assert list(layout.kind) == [TEXT] * len(text.ids)
    assert list(layout.index) == list(range(len(text.ids)))
    assert tuple(layout.labels) == text.labels


@given(case=rows_with_images())
def test_in_place_puts_each_image_whole_before_its_slot(case: tuple[TextRow, list[TokenShape]]) -> None:
    text, shapes = case
    layout = InPlace.layout(CONFIG, text, shapes)
    start = 0
    for slot, shape in zip(text.image_slots, shapes, strict=True):
        place = slot + start
        assert list(layout.index[place : place + shape.num_tokens]) == list(range(start, start + shape.num_tokens))
        assert set(layout.kind[place : place + shape.num_tokens]) == {VISUAL}
        start += shape.num_tokens


@pytest.mark.parametrize("scheme", SCHEMES)
class TestEveryScheme:
    def test_forward_gathers_what_the_layout_says(self, scheme: type[Any]) -> None:
        text, visual = torch.randn(6, 4), torch.randn(2, 4)
        layout = scheme.layout(CONFIG, row((2,)), [TokenShape(2)])
        source = [i if k == TEXT else 6 + i for k, i in zip(layout.kind, layout.index, strict=True)]
        batch = LayoutBatch(
            source=torch.tensor([source]),
            segment_ids=torch.ones(1, 8, dtype=torch.int32),
            positions=torch.arange(8)[None],
            labels=torch.tensor([list(layout.labels)]),
            cu_seqlens=torch.tensor([0, 8], dtype=torch.int32),
            lengths=(8,),
        )
        fused = scheme(CONFIG, hidden_size=4)(text, visual, batch)
        name_of = {
            tuple(v.tolist()): f"{n}{i}" for n, values in (("t", text), ("v", visual)) for i, v in enumerate(values)
        }
        assert " ".join(name_of[tuple(v.tolist())] for v in fused.embeddings[0]) == written(layout).replace("*", "")

    def test_it_has_no_parameters_and_no_tokens_of_its_own(self, scheme: type[Any]) -> None:
        built = scheme(CONFIG, hidden_size=4)
        built.reset_parameters(torch.Generator())
        assert not built.state_dict()
        assert built.extra_embeddings() is None

    def test_layouts_are_plain_integers_that_pickle(self, scheme: type[Any]) -> None:
        layout = scheme.layout(CONFIG, row((1, 2)), [TokenShape(2), TokenShape(3)])
        assert {type(value) for values in (layout.kind, layout.index, layout.labels) for value in values} == {int}
        assert pickle.loads(pickle.dumps(layout)) == layout

    @pytest.mark.parametrize(("slots", "images"), [((), 1), ((0,), 0), ((0, 1), 1)])
    def test_markers_and_images_differ_in_number(self, scheme: type[Any], slots: tuple[int, ...], images: int) -> None:
        message = rf"has {len(slots)} image markers, but {images} images came with it\n +Give each image one marker"
        with pytest.raises(ShapeError, match=message):
            scheme.layout(CONFIG, row(slots), [TokenShape(2)] * images)

    @pytest.mark.parametrize("slot", [-1, 7])
    def test_a_slot_outside_the_text(self, scheme: type[Any], slot: int) -> None:
        with pytest.raises(ShapeError, match=rf"image slot {slot} lies outside the text of 6 tokens \(0\.\.6\)"):
            scheme.layout(CONFIG, row((slot,)), [TokenShape(2)])

    def test_slots_out_of_order(self, scheme: type[Any]) -> None:
        with pytest.raises(ShapeError, match="image slots are not in order: 4, 1"):
            scheme.layout(CONFIG, row((4, 1)), [TokenShape(2)] * 2)

    def test_a_question_that_ends_outside_the_text(self, scheme: type[Any]) -> None:
        with pytest.raises(ShapeError, match="question end 9 lies outside the text of 6 tokens"):
            scheme.layout(CONFIG, row((0,), question_end=9), [TokenShape(2)])

    def test_labels_that_do_not_fit_their_ids(self, scheme: type[Any]) -> None:
        with pytest.raises(ShapeError, match="a row of 2 text tokens has 1 labels"):
            scheme.layout(CONFIG, TextRow((1, 2), (1,), (), 0, 0), [])


def test_there_are_no_settings() -> None:
    assert FusionConfig.tiny() == CONFIG
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        FusionConfig(order="first")  # type: ignore[call-arg]


def test_the_plugin_declares_three_schemes_without_torch() -> None:
    assert [spec.name for spec in cobra_fusion_schemes()] == ["image-first", "in-place", "image-last"]
    code = "import sys, cobra_kit_fusion.plugin, cobra_kit_fusion.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
