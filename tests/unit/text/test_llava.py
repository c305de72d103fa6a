from __future__ import annotations

import pytest

from cobra_kit.errors import TextError
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.encode import encode_conversation
from cobra_kit.text.llava import Conversation, caption_of, parse_llava_row
from cobra_kit.text.templates import ChatTemplate
from cobra_kit.text.tokenizer import small_tokenizer


def human(value):
    return {"from": "human", "value": value}


def gpt(value):
    return {"from": "gpt", "value": value}


def row(*turns, **keys):
    return {"id": "000123", "conversations": list(turns), **keys}


def refused(value):
    with pytest.raises(TextError) as error:
        parse_llava_row(value, where="train.json:12")
    return error.value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (row(human("Hi"), gpt("Hello"), model="x"), Conversation("000123", (("Hi", "Hello"),))),
        (
            row(human("<image>\nHow many?"), gpt("3"), human("Sure?"), gpt(""), image="a/b.jpg"),
            Conversation("000123", (("<image>\nHow many?", "3"), ("Sure?", "")), ("a/b.jpg",)),
        ),
        (
            row(human("<image> or"), gpt("?"), human("<image>"), gpt("Yes"), image=["a.png", "b.png"]),
            Conversation("000123", (("<image> or", "?"), ("<image>", "Yes")), ("a.png", "b.png")),
        ),
        ({**row(human("Hi"), gpt("Hello"), image=None), "id": 7}, Conversation("7", (("Hi", "Hello"),))),
    ],
)
def test_rows_become_conversations(value, expected):
    assert parse_llava_row(value) == expected


def test_a_parsed_row_can_be_encoded():
    conversation = parse_llava_row(row(human("<image>\nHow many?"), gpt("3"), image="a.png"))
    codec = TextCodec(small_tokenizer(), ChatTemplate(), 64)
    encoded = encode_conversation(conversation.turns, codec, num_images=len(conversation.images))
    assert len(encoded.image_slots) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (row(), "the conversation has no turns"),
        (row(gpt("Hello"), human("Hi")), "the conversation starts with 'gpt'"),
        (row(human("a"), human("b"), gpt("c")), "turns 1 and 2 are both spoken by 'human'"),
        (row(human("a"), gpt("b"), gpt("c")), "turns 2 and 3 are both spoken by 'gpt'"),
        (
            row(human("a"), gpt("b"), human("c")),
            "the conversation has 3 turns, an odd number: the last question has no answer",
        ),
        (row({"from": "system", "value": "a"}, gpt("b")), "turn 1 is spoken by 'system'; expected 'human' or 'gpt'"),
        (row({"value": "a"}, gpt("b")), "turn 1 is spoken by None; expected 'human' or 'gpt'"),
        (row({"from": ["human"], "value": "a"}), "turn 1 is spoken by ['human']; expected 'human' or 'gpt'"),
        (
            row({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}),
            "turn 1 has the keys 'role', 'content'; LLaVA's form has 'from' and 'value'",
        ),
        (row(human("a"), gpt("b \ud83d")), "the `value` of turn 2 holds half a character, \\ud83d alone"),
        (row(human("a"), gpt("b"), image="\udcff.png"), "`image` holds half a character, \\udcff alone"),
        (row(human("<image>"), gpt("b")), "1 <image> marker(s), but the row has no `image`"),
        (row(human("a"), gpt("b"), image="a.png"), "1 image(s), but 0 <image> marker(s) in the questions"),
        (
            row(human("<image><image>"), gpt("b"), image="a.png"),
            "1 image(s), but 2 <image> marker(s) in the questions",
        ),
        (row(human("a"), gpt("<image>"), image="a.png"), "answer 1 holds an <image> marker"),
    ],
)
def test_rows_that_break_the_form_say_how_to_mend_them(value, message):
    error = refused(value)
    assert (error.message, error.where) == (message, "train.json:12: row 000123")
    assert error.hint


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (row(human(3), gpt("b")), "the `value` of turn 1 must be a text, not int"),
        (row(human("a"), gpt(None)), "the `value` of turn 2 must be a text, not nothing"),
        (row("a", "b"), "turn 1 must be an object, not str"),
        ({"id": "000123"}, "`conversations` must be a list of turns, not nothing"),
        ({"id": "000123", "conversations": "a"}, "`conversations` must be a list of turns, not str"),
        (row(human("a"), gpt("b"), image=3), "`image` must be a path or a list of paths, not 3"),
        (row(human("a"), gpt("b"), image=""), "`image` must be a path or a list of paths, not ''"),
        (row(human("a"), gpt("b"), image=["a", None]), "`image` must be a path or a list of paths, not None"),
    ],
)
def test_values_of_the_wrong_type(value, message):
    error = refused(value)
    assert (error.message, error.where) == (message, "train.json:12: row 000123")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a"], "a row must be an object, not list"),
        (None, "a row must be an object, not nothing"),
        ({"conversations": []}, "a row needs an `id` (a text or a whole number), not None"),
        ({"id": True, "conversations": []}, "a row needs an `id` (a text or a whole number), not True"),
        ({"id": "", "conversations": []}, "a row needs an `id` (a text or a whole number), not ''"),
    ],
)
def test_rows_without_identity_are_named_by_their_place(value, message):
    error = refused(value)
    assert (error.message, error.where) == (message, "train.json:12")


def test_place_without_a_file():
    with pytest.raises(TextError, match=r"^row 000123: the conversation has no turns"):
        parse_llava_row(row())


def test_caption_is_the_only_answer():
    assert caption_of(Conversation("1", (("Describe. <image>", "A star."),), ("a.png",))) == "A star."
    with pytest.raises(TextError, match=r"^row 1: a caption row has one question and one answer, not 2 of each"):
        caption_of(Conversation("1", (("a", "b"), ("c", "d"))))
