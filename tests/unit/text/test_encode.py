from __future__ import annotations

import os
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import TextError
from cobra_kit.interfaces import IGNORE_INDEX, TemplateSegment, TextCodec, TextRow
from cobra_kit.text.encode import encode_caption, encode_conversation
from cobra_kit.text.markers import remove_markers
from cobra_kit.text.templates import BaseTemplate, ChatTemplate
from cobra_kit.text.tokenizer import BpeTokenizer, small_tokenizer

NEOX = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "20B_tokenizer.json"

CHAT = TextCodec(small_tokenizer(), ChatTemplate(), 256)
BASE = TextCodec(small_tokenizer(), BaseTemplate(), 256)


@cache
def neox():
    return BpeTokenizer.from_file(NEOX)


@pytest.fixture(params=["chat", "base", "chat-neox", "base-neox"])
def codec(request):
    name, _, size = request.param.partition("-")
    if size and not NEOX.exists():
        pytest.skip("needs 20B_tokenizer.json (GPT-NeoX) in the folder COBRA_KIT_TEST_DATA")
    tokenizer = neox() if size else small_tokenizer()
    return TextCodec(tokenizer, ChatTemplate() if name == "chat" else BaseTemplate(), 256)


def around(row: TextRow, codec: TextCodec, slot: int) -> tuple[str, str]:
    """Returns the text before and behind a slot."""
    return codec.tokenizer.decode(row.ids[:slot]), codec.tokenizer.decode(row.ids[slot:])


@pytest.mark.parametrize(
    ("message", "text", "positions"),
    [
        ("What is it?", "What is it?", ()),
        ("<image>\nWhat is it?", "What is it?", (0,)),
        ("What is it?\n<image>", "What is it?", (11,)),
        ("  <image> What <image> is it? <image> ", "What  is it?", (0, 5, 12)),
        ("<image>", "", (0,)),
        (" <image> \n <image> ", "", (0, 0)),
        ("<image><image>ab", "ab", (0, 0)),
        ("a<image>b", "ab", (1,)),
    ],
)
def test_markers_are_removed_and_the_rest_stripped(message, text, positions):
    assert remove_markers(message) == (text, positions)


@given(st.lists(st.text(alphabet="a \n🦎"), min_size=1, max_size=5))
def test_markers_split_the_text_where_they_stood(parts):
    text, positions = remove_markers("<image>".join(parts))
    assert text == "".join(parts).strip()
    assert list(positions) == sorted(positions)
    cuts = [0, *positions, len(text)]
    pieces = [text[a:b] for a, b in pairwise(cuts)]
    assert ["".join(piece.split()) for piece in pieces] == ["".join(part.split()) for part in parts]


def test_whole_row_of_a_conversation():
    row = encode_conversation([("<image>\nHow many?", "3"), ("Is it red?", "No")], CHAT, num_images=1)
    encode = small_tokenizer().encode
    first, second = encode("<|user|>\nHow many?<|endoftext|>\n<|assistant|>\n"), encode("3<|endoftext|>")
    third, fourth = encode("\n<|user|>\nIs it red?<|endoftext|>\n<|assistant|>\n"), encode("No<|endoftext|>")
    none = IGNORE_INDEX
    assert row.ids == (*first, *second, *third, *fourth)
    assert row.labels == (*[none] * len(first), *second, *[none] * len(third), *fourth)
    assert row.image_slots == (1,)
    assert row.question_end == len(first) - 2
    assert row.answer_start == len(first)
    assert (row.cut_tokens, row.supervised_tokens) == (0, 4)


def test_labels_are_answers_and_their_end_of_text_only(codec):
    row = encode_conversation([("Q one", "A one"), ("Q two", ""), ("Q three", "A three")], codec, num_images=0)
    learnt = [label for label in row.labels if label != IGNORE_INDEX]
    answers = ["A one<|endoftext|>", " <|endoftext|>", "A three<|endoftext|>"]
    assert learnt == [i for answer in answers for i in codec.tokenizer.encode(answer)]
    assert all(label in (IGNORE_INDEX, token) for label, token in zip(row.labels, row.ids, strict=True))


def test_a_marker_changes_no_token(codec):
    clean = encode_conversation([("What  is  it?", "A star")], codec, num_images=0)
    marked = encode_conversation([("<image>What <image> is <image> it?<image>", "A star")], codec, num_images=4)
    assert (marked.ids, marked.labels) == (clean.ids, clean.labels)


@pytest.mark.parametrize(
    ("question", "before", "behind"),
    [
        ("<image>\nWhat is it?", "", "What is it?"),
        ("What is it?\n<image>", "What is it?", ""),
        ("Left: <image>the star", "Left:", " the star"),
        ("Left:<image> the star", "Left:", " the star"),
        ("<image> <image>Compare", "", "Compare"),
        ("🦎<image>🐍", "🦎", "🐍"),
        ("日<image>é", "日", "é"),
        ("Say <image>🐍", "Say", " 🐍"),
        ("<image>", "", ""),
    ],
)
def test_image_stands_where_its_marker_stood(codec, question, before, behind):
    row = encode_conversation([(question, "yes")], codec, num_images=question.count("<image>"))
    left, right = around(row, codec, row.image_slots[-1])
    head, tail = codec.template.opening(0), codec.template.closing.replace("<|endoftext|>", "")
    assert left.rstrip() == (head + before).rstrip()
    assert right.lstrip() == (behind + tail + "yes").lstrip()


def test_marker_inside_a_token_stands_behind_it():
    row = encode_conversation([("What cir<image>cle?", "yes")], CHAT, num_images=1)
    assert around(row, CHAT, row.image_slots[0])[0] == "<|user|>\nWhat circle"


def test_several_images_in_several_turns(codec):
    turns = [("<image> <image> Same?", "No"), ("Why?", "Size"), ("And this: <image>", "Yes")]
    row = encode_conversation(turns, codec, num_images=3)
    first, second, third = row.image_slots
    assert first == second
    assert around(row, codec, first)[1].lstrip().startswith("Same?")
    assert around(row, codec, third)[0].endswith("And this:")


def test_images_without_markers_stand_before_the_first_message(codec):
    turns = [("How many?", "3"), ("Sure?", "Yes")]
    bare = encode_conversation(turns, codec, num_images=2)
    marked = encode_conversation([("<image><image>How many?", "3"), turns[1]], codec, num_images=2)
    assert bare == marked
    assert around(bare, codec, bare.image_slots[0])[1].lstrip().startswith("How many?")


def test_question_ends_before_its_closing_tokens(codec):
    row = encode_conversation([("How many? ", None)], codec, num_images=0, for_generation=True)
    assert around(row, codec, row.question_end)[0] == codec.template.opening(0) + "How many?"
    assert row.answer_start == len(row.ids)


def test_generation_has_no_answer_to_learn(codec):
    turns = [("Is it red?", "No"), ("How many?", None)]
    row = encode_conversation(turns, codec, num_images=1, for_generation=True)
    assert codec.tokenizer.decode(row.ids).endswith(codec.template.closing.replace("<|endoftext|>", ""))
    assert around(row, codec, row.answer_start)[1].startswith("No")
    assert row.ids[-len(codec.tokenizer.encode(codec.template.closing)) :] == tuple(
        codec.tokenizer.encode(codec.template.closing)
    )


def test_end_of_text_in_a_message_is_the_special_token_without_loss(codec):
    row = encode_conversation([("a<|endoftext|>b", "c")], codec, num_images=0)
    inside = row.ids.index(codec.tokenizer.eos_id)
    assert inside < row.question_end
    assert row.labels[inside] == IGNORE_INDEX


def test_caption_is_supervised_as_a_whole(codec):
    row = encode_caption(" A red circle.\n", codec)
    assert row.ids == row.labels == tuple(codec.tokenizer.encode("A red circle.<|endoftext|>"))
    assert (row.image_slots, row.question_end, row.answer_start, row.cut_tokens) == ((0,), 0, 0, 0)
    assert encode_caption("A", codec, num_images=3).image_slots == (0, 0, 0)


@pytest.mark.parametrize("limit", range(8, 40))
def test_a_cut_keeps_the_row_consistent(limit):
    turns = [("<image> How many?", "3"), ("And here? <image> Say.", "Four blue circles"), ("Sure? <image>", "Yes")]
    whole = encode_conversation(turns, CHAT, num_images=3)
    row = encode_conversation(turns, TextCodec(CHAT.tokenizer, CHAT.template, limit), num_images=3)
    assert row.ids == whole.ids[:limit]
    assert row.labels == whole.labels[:limit]
    assert row.cut_tokens == max(0, len(whole.ids) - limit)
    assert row.image_slots == tuple(min(slot, limit) for slot in whole.image_slots)
    assert row.supervised_tokens > 0


def test_a_long_caption_is_cut():
    row = encode_caption("red " * 20, TextCodec(CHAT.tokenizer, CHAT.template, 5))
    assert (len(row.ids), row.cut_tokens) == (5, 16)


def refused(turns, num_images=0, codec=CHAT, **options):
    with pytest.raises(TextError) as error:
        encode_conversation(turns, codec, num_images=num_images, where="train.json: row 7", **options)
    assert error.value.where == "train.json: row 7"
    assert error.value.hint
    return error.value.message


@pytest.mark.parametrize(("markers", "images"), [(1, 0), (1, 2), (2, 1), (3, 2)])
def test_markers_and_images_must_agree(markers, images):
    message = refused([("<image>" * markers + "What?", "It")], num_images=images)
    assert message == f"{markers} <image> marker(s) in the questions, but {images} image(s)"


def test_marker_in_an_answer():
    message = refused([("What?", "It"), ("Where?", f"<image> {'x' * 80}")], num_images=1)
    assert message.startswith("the answer of turn 2 holds an <image> marker: '<image> xxx")
    assert message.endswith("x…'")


def test_conversations_that_break_the_rules():
    assert refused([]) == "the conversation has no turns"
    assert refused([("What?", None)]) == "turn 1 of 1 has no answer"
    assert "already has the answer 'It'" in refused([("What?", "It")], for_generation=True)
    assert "not valid Unicode at character" in refused([("\ud83e", "It")])


def test_nothing_left_to_learn():
    short = TextCodec(CHAT.tokenizer, CHAT.template, 6)
    message = refused([("What colour is the circle?", "red")], codec=short)
    assert message == "nothing to learn is left: the answer begins beyond the first 6 of 11 text tokens"


def test_a_prompt_is_never_cut():
    short = TextCodec(CHAT.tokenizer, CHAT.template, 6)
    message = refused([("What colour is the circle?", None)], codec=short, for_generation=True)
    assert message == "the prompt has 9 text tokens; this model takes 6"


def test_captions_that_teach_nothing():
    with pytest.raises(TextError, match=r"^row 1: the caption is empty\n"):
        encode_caption(" \n", CHAT, where="row 1")
    with pytest.raises(TextError, match=r"^row 1: the caption holds an <image> marker: 'a <image>'\n"):
        encode_caption("a <image>", CHAT, where="row 1")


class _Silent(ChatTemplate):
    def render(self, turns, *, for_generation):
        return (TemplateSegment("x", supervised=True),)


def test_a_template_must_name_its_messages():
    with pytest.raises(TextError, match="_Silent gives 0 messages for 1 turns"):
        encode_conversation([("a", "b")], TextCodec(CHAT.tokenizer, _Silent(), 9), num_images=0)


words = st.lists(st.sampled_from(["<image>", " ", "\n", "What", "🦎", "é", "0.12", "<|user|>", "circle"]), max_size=8)


@given(st.lists(st.tuples(words.map("".join), words.map("".join)), min_size=1, max_size=4), st.booleans())
def test_any_conversation_keeps_its_promises(turns, base):
    codec = BASE if base else CHAT
    turns = [(question, answer.replace("<image>", "")) for question, answer in turns]
    images = sum(question.count("<image>") for question, _ in turns)
    row = encode_conversation(turns, codec, num_images=images)
    plain = [(question.replace("<image>", ""), answer) for question, answer in turns]
    assert row.ids == encode_conversation(plain, codec, num_images=0).ids
    assert len(row.image_slots) == images
    assert list(row.image_slots) == sorted(row.image_slots)
    assert 0 < row.question_end < row.answer_start <= len(row.ids)
    assert all(slot <= len(row.ids) for slot in row.image_slots)
    assert all(row.labels[slot] == IGNORE_INDEX for slot in row.image_slots)
