"""Answers do not depend on what else is in the batch; wrong calls are refused with a text."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from cobra_kit.errors import ArgumentError, CobraError, TextError
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.decoding import (
    DecodeSession,
    DecodeSettings,
    Precision,
    Sampling,
    first_token_probabilities,
    generate_ids,
)
from cobra_kit.model.decoding.streaming import TextPieces
from cobra_kit.model.multimodal_module import Composition

QUESTIONS = ["What is it?", "Is there a red circle in the picture?", "No"]


def test_batched_answers_equal_single_ones(model, image):
    images = [image(1), None, [image(2), image(3, 24, 8)]]
    together = model.generate(images, QUESTIONS, max_new_tokens=9)
    alone = [
        model.generate([entry], [question], max_new_tokens=9)[0]
        for entry, question in zip(images, QUESTIONS, strict=True)
    ]
    assert together == alone
    assert together == model.generate(images, QUESTIONS, max_new_tokens=9, batch_size=2)
    assert any(together), "the toy model says something"


def test_greedy_decoding_follows_the_argmax_of_full_passes(model, image):
    """Generating token by token equals re-reading the whole sequence at every step."""
    processor = model.processor
    row = processor.row([("What is it?", None)], [image(1)], for_generation=True)
    batch = processor.collate([row], for_generation=True)
    embedded = model.fuse(batch).embeddings
    expected = []
    for _ in range(6):
        layout = processor.collate([row], for_generation=True).layout
        length = embedded.shape[1]
        longer = type(layout)(
            source=torch.zeros(1, length, dtype=torch.int64),
            segment_ids=torch.ones(1, length, dtype=torch.int32),
            positions=torch.arange(length)[None],
            labels=None,
            cu_seqlens=torch.tensor([0, length], dtype=torch.int32),
            lengths=(length,),
        )
        hidden = model.backbone(type(model.fuse(batch))(embedded, longer))[:, -1]
        logits = model.backbone.logits(hidden)[:, : processor.codec.tokenizer.vocab_size]
        token = logits.argmax(-1)
        expected.append(int(token))
        embedded = torch.cat([embedded, model.backbone.embed(token)[:, None]], 1)
    eos = processor.codec.tokenizer.eos_id
    kept = expected[: expected.index(eos)] if eos in expected else expected
    assert model.generate(image(1), "What is it?", max_new_tokens=6) == processor.codec.tokenizer.decode(kept).strip()


def test_padding_ids_never_win(model, image):
    with torch.no_grad():
        vocabulary = model.processor.codec.tokenizer.vocab_size
        assert model.backbone.vocab_size > vocabulary, "the toy embedding is padded"
        model.backbone.head.bias[vocabulary:] = 1e6
    assert model.generate(image(1), "What?", max_new_tokens=3) is not None
    total = model.answer_probabilities(image(1), "What?", ["Yes", "No"]).sum()
    assert 0 < total <= 1


def test_settings_and_their_short_form_are_the_same(model, image):
    row = model.processor.row([("What?", None)], [image(1)], for_generation=True)
    batch = model.processor.collate([row], for_generation=True)
    settings = DecodeSettings(5, stop_ids=[], sampling=Sampling(0.9, 0.9, 3), rows=[4])
    short = generate_ids(model, batch, max_new_tokens=5, stop_ids=[], sampling=Sampling(0.9, 0.9, 3), rows=[4])
    assert generate_ids(model, batch, settings) == short
    with pytest.raises(ArgumentError, match="max_new_tokens cannot stand beside them"):
        DecodeSession(model, batch, settings, max_new_tokens=5)
    with pytest.raises(ArgumentError, match="settings must be the class DecodeSettings, not an int"):
        DecodeSession(model, batch, 5)
    with pytest.raises(TypeError, match="tokens"):
        DecodeSession(model, batch, tokens=5)


def test_a_model_of_parts_takes_either_form(model):
    parts = list(model.parts().values())
    components = {"backbone": "toy/decay"}
    short = VisionLanguageModel(*parts, processor=lambda: model.processor, components=components)
    whole = VisionLanguageModel(*parts, Composition(lambda: model.processor, components))
    assert short.components == whole.components == components
    assert short.processor is whole.processor is model.processor
    assert short.recipe is whole.recipe is None


def test_a_stop_token_ends_the_answer(model, image):
    with torch.no_grad():
        model.backbone.head.bias[model.processor.codec.tokenizer.eos_id] = 1e6
    assert model.generate(image(1), "What?") == ""


def test_first_token_probabilities_equal_the_softmax(model, image):
    images = [image(1), image(2)]
    both = model.answer_probabilities(images, QUESTIONS[:2], ["Yes", "No"])
    assert both.shape == (2, 2)
    for i in range(2):
        row = model.processor.row([(QUESTIONS[i], None)], [images[i]], for_generation=True)
        batch = model.processor.collate([row], for_generation=True)
        tokenizer = model.processor.codec.tokenizer
        logits = model.backbone.logits(model.backbone(model.fuse(batch))[0, -1])[: tokenizer.vocab_size]
        expected = logits.softmax(-1)[[tokenizer.encode("Yes")[0], tokenizer.encode("No")[0]]]
        assert_close(both[i], expected)


def test_one_image_serves_all_questions(model, image):
    assert model.generate(image(1), QUESTIONS, max_new_tokens=4) == model.generate(
        [image(1)] * 3, QUESTIONS, max_new_tokens=4
    )


def test_an_answer_of_several_tokens_has_no_first_token_probability(model, image):
    with pytest.raises(TextError, match=r"answer 'extraordinary' is \d+ tokens"):
        model.answer_probabilities(image(1), "What?", ["Yes", "extraordinary"])


def test_no_questions_have_no_probabilities(model):
    assert model.answer_probabilities([], [], ["Yes", "No"]).shape == (0, 2)
    with pytest.raises(TextError, match="answers 'Yes' and 'Yes' are the same token"):
        model.answer_probabilities([], [], ["Yes", "Yes"])


def test_tokens_that_the_caller_has_are_not_copied_again(model):
    prompts = [model.processor.row([(question, None)], for_generation=True) for question in QUESTIONS]
    session = DecodeSession(model, model.processor.collate(prompts, for_generation=True), max_new_tokens=9)
    session.prefill()
    session.advance(8)
    whole = session.tokens()
    for since in (0, 4, 9, 12):
        assert session.tokens(since) == [row[since:] for row in whole]


def test_images_and_questions_must_match(model, image):
    with pytest.raises(TextError, match="2 images for 3 questions"):
        model.generate([image(1), image(2)], QUESTIONS)
    with pytest.raises(TextError, match="a list of lists of images needs a list of questions"):
        model.generate([[image(1)]], "What?")


def test_markers_must_match_images(model, image):
    with pytest.raises(TextError, match="<image>"):
        model.generate(image(1), "Compare <image> and <image>")


def test_training_mode_survives_generation(model, image):
    model.train()
    model.generate(image(1), "What?", max_new_tokens=1)
    assert model.training


def test_a_drawn_answer_does_not_depend_on_its_batch(model, image):
    """Only on the seed and on the question's place in the list."""
    drawn = {"max_new_tokens": 9, "temperature": 0.9, "top_p": 0.95, "seed": 11}
    together = model.generate([None] * 3, QUESTIONS, **drawn)
    assert together == model.generate([None] * 3, QUESTIONS, batch_size=1, **drawn)
    assert together == model.generate([None] * 3, QUESTIONS, batch_size=2, **drawn)
    assert together != model.generate([None] * 3, QUESTIONS, **{**drawn, "seed": 12})
    same = model.generate(None, ["What is it?"] * 4, **drawn)
    assert len(set(same)) > 1, "rows draw apart"
    assert model.generate(None, "What is it?", **drawn) == same[0]


def test_ids_that_only_pad_are_never_drawn(model):
    vocabulary = model.processor.codec.tokenizer.vocab_size
    with torch.no_grad():
        model.backbone.head.bias[vocabulary:] = 1e6
        model.backbone.head.bias[3] = 5.0
    batch = model.processor.collate(
        [model.processor.row([("What?", None)], [], for_generation=True)], for_generation=True
    )
    for top_p in (1.0, 0.5):
        (ids,) = generate_ids(model, batch, max_new_tokens=30, stop_ids=[], sampling=Sampling(5.0, top_p))
        assert max(ids) < vocabulary


def test_a_row_that_ended_changes_no_other(model, image):
    """The stop id is one that a row says at some step; rows go on as they would alone, and nothing follows it."""
    processor = model.processor
    rows = [processor.row([(q, None)], [image(i)], for_generation=True) for i, q in enumerate(QUESTIONS)]
    batch = processor.collate(rows, for_generation=True)
    sampling = Sampling(1.0, seed=2)
    free = generate_ids(model, batch, max_new_tokens=12, stop_ids=[], sampling=sampling)
    assert [len(row) for row in free] == [12] * 3
    stop = free[1][2]
    expected = [row[: row.index(stop)] if stop in row else row for row in free]
    assert len({len(row) for row in expected}) > 1
    assert generate_ids(model, batch, max_new_tokens=12, stop_ids=[stop], sampling=sampling) == expected


def test_a_session_goes_on_in_pieces_and_never_beyond_its_end(model):
    processor = model.processor
    batch = processor.collate([processor.row([("What?", None)], [], for_generation=True)], for_generation=True)
    whole = generate_ids(model, batch, max_new_tokens=7, stop_ids=[])
    session = DecodeSession(model, batch, max_new_tokens=7)
    with pytest.raises(RuntimeError, match=r"prefill\(\) comes first"):
        session.advance()
    session.prefill()
    sizes = []
    while not session.finished():
        sizes.append(len(session.tokens()[0]))
        session.advance(4)
    assert sizes == [1, 5]
    session.advance(100)
    assert session.tokens() == whole
    session.prefill()
    assert session.tokens() == [whole[0][:1]], "a second prefill starts anew"


def test_an_empty_batch_has_no_answers(model):
    batch = model.processor.collate([], for_generation=True)
    assert generate_ids(model, batch, max_new_tokens=3, stop_ids=[]) == []


def test_images_are_encoded_once(model, image):
    calls = []
    model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    model.generate(image(1), "What?", max_new_tokens=8)
    assert len(calls) == 1


def test_rounded_states_are_rounded_after_every_token_of_a_prompt_too(model, image):
    """Against a loop over single rows that rounds by hand."""
    processor = model.processor
    tokenizer = processor.codec.tokenizer
    rows = [processor.row([(q, None)], [image(i)], for_generation=True) for i, q in enumerate(QUESTIONS)]
    batch = processor.collate(rows, for_generation=True)
    coarse = Precision(state=torch.float8_e4m3fn)
    answers = generate_ids(model, batch, max_new_tokens=6, stop_ids=[], precision=coarse)
    likely = first_token_probabilities(model, batch, ["Yes"], precision=coarse)
    exact = first_token_probabilities(model, batch, ["Yes"])
    for i, row in enumerate(rows):
        state = model.backbone.new_state(1, 0, device=torch.device("cpu"), dtype=torch.float32)
        expected, first = [], None
        with torch.no_grad():
            tokens = list(model.fuse(processor.collate([row], for_generation=True)).embeddings[0])
            while len(expected) < 6:
                hidden = model.backbone.step(tokens.pop(0)[None], state)
                state.tensors["hidden"].copy_(state.tensors["hidden"].to(torch.float8_e4m3fn))
                if not tokens:
                    logits = model.backbone.logits(hidden)[0, : tokenizer.vocab_size]
                    first = logits.softmax(-1)[tokenizer.encode("Yes")[0]] if first is None else first
                    expected.append(int(logits.argmax()))
                    tokens.append(model.backbone.embed(torch.tensor(expected[-1:]))[0])
        assert answers[i] == expected
        assert_close(likely[i, 0], first)
        assert abs(exact[i, 0] / first - 1) > 1e-3, "four bits of mantissa show"


def test_wrong_session_settings(model):
    batch = model.processor.collate(
        [model.processor.row([("What?", None)], [], for_generation=True)], for_generation=True
    )
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, not 0"):
        DecodeSession(model, batch, max_new_tokens=0)
    with pytest.raises(ValueError, match="2 row numbers for 1 rows"):
        DecodeSession(model, batch, max_new_tokens=1, rows=[0, 1])
    with pytest.raises(CobraError, match="temperature must be"):
        model.generate(None, "What?", temperature=-1)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_streamed_pieces_are_the_answer(model, image, temperature):
    drawn = {"max_new_tokens": 24, "temperature": temperature, "seed": 3}
    pieces = list(model.stream(image(1), "What is it?", **drawn))
    assert "".join(pieces) == model.generate(image(1), "What is it?", **drawn)
    assert all(pieces)
    with pytest.raises(CobraError, match="temperature must be"):
        model.stream(image(1), "What is it?", temperature=-1.0)


@given(st.text(max_size=30), st.integers(0, 4))
def test_no_piece_ends_inside_a_character(text, cut):
    """One token per byte, the hardest case; the answer may be cut anywhere."""
    ids = list(text.encode())
    ids = ids[: len(ids) - cut] if cut < len(ids) else ids

    def decode(some):
        return bytes(some).decode(errors="replace")

    stream = TextPieces(decode)
    pieces = [stream.more(ids[:end]) for end in range(1, len(ids) + 1)]
    joined = "".join(pieces)
    assert "\ufffd" not in joined.rstrip("\ufffd") or "\ufffd" in text
    assert text.strip().startswith(joined) or "\ufffd" in text
    assert joined + stream.rest(ids) == decode(ids).strip()
