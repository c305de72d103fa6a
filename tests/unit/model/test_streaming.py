"""Streamed pieces are the answer, for every kind of decoder, at a cost that does not grow; the model's mode is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_kinds import KINDS, CleanedUp, kind

from cobra_kit.errors import TextError
from cobra_kit.interfaces import TextCodec
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.decoding import evaluating
from cobra_kit.model.decoding.streaming import TextPieces
from cobra_kit.text.templates import make_template

WORDS = (
    "😀",
    "你好",
    "👩\u200d👩\u200d👧",
    "e\u0301",
    "é",
    " ",
    "  ",
    "\n",
    "\u3000",
    "A",
    "0.12",
    " the",
    "Yes",
    "\ufffd",
)


def pieces_of(tokenizer: Any, ids: list[int], *, knows: bool = True) -> list[str]:
    stream = TextPieces(tokenizer.decode, getattr(tokenizer, "separates", None) if knows else None)
    return [*(stream.more(ids[:end]) for end in range(1, len(ids) + 1)), stream.rest(ids)]


@pytest.mark.parametrize("knows", [True, False], ids=["separates", "told from the text"])
@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pieces_joined_are_the_answer(name: str, knows: bool, data: st.DataObject) -> None:
    tokenizer = kind(name)
    some = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), min_size=1, max_size=6))
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1) | st.sampled_from(some), max_size=60))
    assert "".join(pieces_of(tokenizer, ids, knows=knows)) == tokenizer.decode(ids).strip()


@pytest.mark.parametrize("knows", [True, False], ids=["separates", "told from the text"])
@pytest.mark.parametrize("name", ["byte-level", "llama", "gemma", "byte-metaspace"])
@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=20), cut=st.integers(0, 5))
def test_an_answer_cut_inside_a_character_is_the_same(name: str, knows: bool, words: list[str], cut: int) -> None:
    tokenizer: Any = kind(name)
    ids = tokenizer.encode("".join(words))
    ids = ids[: len(ids) - cut]
    pieces = pieces_of(tokenizer, ids, knows=knows)
    assert "".join(pieces) == tokenizer.decode(ids).strip()
    if "\ufffd" not in words:
        assert "\ufffd" not in "".join(pieces[:-1]), "half a character is known to be one only at the end"


@pytest.mark.parametrize("knows", [True, False], ids=["separates", "told from the text"])
def test_a_blank_that_was_stripped_comes_back_in_a_spoilt_run(knows: bool) -> None:
    tokenizer: Any = kind("llama")
    ids = [tokenizer.encode("Yes")[0], *(byte + 2 for byte in " 😀 A\n😀A😀".encode())]
    for begin in (0, 1):
        for end in range(len(ids) + 1):
            assert (
                "".join(pieces_of(tokenizer, ids[begin:end], knows=knows)) == tokenizer.decode(ids[begin:end]).strip()
            )


@pytest.mark.parametrize("name", ["byte-level", "llama"])
def test_pieces_come_while_the_answer_grows(name: str) -> None:
    tokenizer: Any = kind(name)
    ids = tokenizer.encode("Yes the a, 0.111 " * 10)
    pieces = pieces_of(tokenizer, ids)
    assert sum(map(bool, pieces)) > len(ids) // 2
    assert "".join(pieces[: len(ids) // 2]), "half of it is not held back"
    late = pieces_of(tokenizer, ids, knows=False)
    assert "".join(late[: len(ids) // 2]), "nor without knowing which ids are bytes"


@pytest.mark.parametrize("knows", [True, False], ids=["separates", "told from the text"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("byte-level", "The red circle, at 0.25. "),
        ("byte-level", "0.1"),
        ("byte-level", "\n"),
        ("llama", "Yes the a "),
        ("llama", "好😀"),
        ("single-bytes", ""),
    ],
)
def test_the_cost_of_an_id_does_not_grow_with_the_answer(name: str, text: str, knows: bool) -> None:
    tokenizer: Any = kind(name)
    decoded = 0

    class Counted:
        separates = tokenizer.separates if hasattr(tokenizer, "separates") else None

        def decode(self, ids: list[int]) -> str:
            nonlocal decoded
            decoded += len(ids)
            return str(tokenizer.decode(ids))

    per_id = []
    for length in (250, 2000):
        ids = tokenizer.encode(text * length)[:length] if text else [0x80] * length
        decoded = 0
        assert "".join(pieces_of(Counted(), ids, knows=knows)) == tokenizer.decode(ids).strip()
        per_id.append(decoded / length)
    assert max(per_id) < 30
    assert per_id[1] < 1.2 * per_id[0]


def test_a_decoder_that_rewrites_what_was_given_is_an_error() -> None:
    """Pieces cannot be taken back; joined they would not be the answer."""
    stream = TextPieces(lambda ids: "long ago" if len(ids) > 9 else " ".join("word" for _ in ids))
    given_pieces = [stream.more(list(range(end))) for end in range(1, 11)]
    assert any(given_pieces)
    with pytest.raises(TextError, match="decoder changed text that had been given") as caught:
        stream.rest(list(range(10)))
    assert "generate" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["byte-level", "llama", "gemma", "word-piece", "cleaned-up"])
def test_a_models_stream_is_what_it_generates(model: VisionLanguageModel, image: Callable[..., Any], name: str) -> None:
    """Drawn ids of an untrained model are mostly halves of characters."""
    tokenizer: Any = kind(name)
    if isinstance(tokenizer, CleanedUp):
        tokenizer.eos_id, tokenizer.encode_with_offsets = 0, kind("word-piece").encode_with_offsets  # type: ignore
    model.processor = replace(model.processor, codec=TextCodec(tokenizer, make_template("base"), 512))  # type: ignore
    for seed in range(6):
        drawn = {"max_new_tokens": 24, "temperature": 1.5, "seed": seed}
        pieces = list(model.stream(image(1), "Yes", **drawn))
        assert "".join(pieces) == model.generate(image(1), "Yes", **drawn)
        assert all(pieces)


def modes(model: torch.nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.fixture
def mixed(model: VisionLanguageModel) -> VisionLanguageModel:
    """Returns a model in training whose frozen encoder is in eval mode."""
    model.train()
    model.vision_encoder.eval()
    return model


def test_a_dropped_stream_leaves_the_mode(mixed: VisionLanguageModel, image: Callable[..., Any]) -> None:
    before = modes(mixed)
    stream = mixed.stream(image(1), "What is it?", max_new_tokens=24)
    next(stream)
    assert modes(mixed) == before, "between two pieces the model is the caller's"
    stream.close()  # type: ignore[attr-defined]
    assert modes(mixed) == before


def test_a_module_that_does_more_than_set_a_flag_is_asked() -> None:
    class Merging(torch.nn.Linear):
        merged = False

        def train(self, mode: bool = True) -> Merging:
            self.merged = not mode
            return super().train(mode)

    outer = torch.nn.Sequential(Merging(1, 1), torch.nn.Linear(1, 1)).train()
    outer[1].eval()
    with evaluating(outer):
        assert outer[0].merged
        assert modes(outer) == [False, False, False]
    assert not outer[0].merged
    assert modes(outer) == [True, True, False]


def test_two_streams_at_once_leave_the_mode(mixed: VisionLanguageModel, image: Callable[..., Any]) -> None:
    before = modes(mixed)
    first, second = (mixed.stream(image(seed), "What is it?", max_new_tokens=24) for seed in (1, 2))
    pieces = [next(first), next(second), *first, *second]
    assert any(pieces)
    assert modes(mixed) == before


def test_every_way_to_an_answer_leaves_each_modules_mode(mixed: VisionLanguageModel, image: Callable[..., Any]) -> None:
    before = modes(mixed)
    mixed.generate(image(1), "What?", max_new_tokens=2)
    mixed.answer_probabilities(image(1), "What?", ["Yes", "No"])
    with pytest.raises(TextError):
        mixed.answer_probabilities(image(1), "What?", ["Yes", "extraordinary"])
    assert modes(mixed) == before
