"""Answers do not depend on what else is in the batch; wrong calls are refused with a text."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from cobra_kit.errors import TextError

QUESTIONS = ["What is it?", "Is there a red circle in the picture?", "No"]


def test_batched_answers_equal_single_ones(model, picture):
    pictures = [picture(1), None, [picture(2), picture(3, 24, 8)]]
    together = model.generate(pictures, QUESTIONS, max_new_tokens=9)
    alone = [
        model.generate([entry], [question], max_new_tokens=9)[0]
        for entry, question in zip(pictures, QUESTIONS, strict=True)
    ]
    assert together == alone
    assert together == model.generate(pictures, QUESTIONS, max_new_tokens=9, batch_size=2)
    assert any(together), "the toy model says something"


def test_greedy_decoding_follows_the_argmax_of_full_passes(model, picture):
    """Generating token by token equals re-reading the whole sequence at every step."""
    processor = model.processor
    row = processor.row([("What is it?", None)], [picture(1)], for_generation=True)
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
    assert model.generate(picture(1), "What is it?", max_new_tokens=6) == processor.codec.tokenizer.decode(kept).strip()


def test_padding_ids_never_win(model, picture):
    with torch.no_grad():
        vocabulary = model.processor.codec.tokenizer.vocab_size
        assert model.backbone.vocab_size > vocabulary, "the toy embedding is padded"
        model.backbone.head.bias[vocabulary:] = 1e6
    assert model.generate(picture(1), "What?", max_new_tokens=3) is not None
    total = model.answer_probabilities(picture(1), "What?", ["Yes", "No"]).sum()
    assert 0 < total <= 1


def test_a_stop_token_ends_the_answer(model, picture):
    with torch.no_grad():
        model.backbone.head.bias[model.processor.codec.tokenizer.eos_id] = 1e6
    assert model.generate(picture(1), "What?") == ""


def test_first_token_probabilities_equal_the_softmax(model, picture):
    pictures = [picture(1), picture(2)]
    both = model.answer_probabilities(pictures, QUESTIONS[:2], ["Yes", "No"])
    assert both.shape == (2, 2)
    for i in range(2):
        row = model.processor.row([(QUESTIONS[i], None)], [pictures[i]], for_generation=True)
        batch = model.processor.collate([row], for_generation=True)
        tokenizer = model.processor.codec.tokenizer
        logits = model.backbone.logits(model.backbone(model.fuse(batch))[0, -1])[: tokenizer.vocab_size]
        expected = logits.softmax(-1)[[tokenizer.encode("Yes")[0], tokenizer.encode("No")[0]]]
        assert_close(both[i], expected)


def test_one_picture_serves_all_questions(model, picture):
    assert model.generate(picture(1), QUESTIONS, max_new_tokens=4) == model.generate(
        [picture(1)] * 3, QUESTIONS, max_new_tokens=4
    )


def test_an_answer_of_several_tokens_has_no_first_token_probability(model, picture):
    with pytest.raises(TextError, match=r"answer 'extraordinary' is \d+ tokens"):
        model.answer_probabilities(picture(1), "What?", ["Yes", "extraordinary"])


def test_images_and_questions_must_match(model, picture):
    with pytest.raises(TextError, match="2 images for 3 questions"):
        model.generate([picture(1), picture(2)], QUESTIONS)
    with pytest.raises(TextError, match="a list of lists of images needs a list of questions"):
        model.generate([[picture(1)]], "What?")


def test_markers_must_match_images(model, picture):
    with pytest.raises(TextError, match="<image>"):
        model.generate(picture(1), "Compare <image> and <image>")


def test_training_mode_survives_generation(model, picture):
    model.train()
    model.generate(picture(1), "What?", max_new_tokens=1)
    assert model.training
