from __future__ import annotations

import json
import os
import pickle
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import ascii_uppercase, digits

import pytest
from build_small_tokenizer import VOCAB_SIZE, build, main
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import whole_words

from cobra_kit.errors import TextError
from cobra_kit.interfaces import Tokenizer
from cobra_kit.text import tokenizer as tokenizer_module
from cobra_kit.text.templates import ChatTemplate
from cobra_kit.text.tokenizer import SMALL_TOKENIZER_FILE, BpeTokenizer, small_tokenizer

CHOICES = ["Yes", "No", "True", "False", *ascii_uppercase, *digits]
DATA = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
NEOX = DATA / "20B_tokenizer.json"

needs_neox = pytest.mark.skipif(
    not NEOX.exists(), reason="needs 20B_tokenizer.json (GPT-NeoX) in the folder COBRA_KIT_TEST_DATA"
)


@pytest.fixture(params=["small", pytest.param("neox", marks=needs_neox)])
def tokenizer(request):
    return small_tokenizer() if request.param == "small" else neox()


@cache
def neox():
    return BpeTokenizer.from_file(NEOX)


@pytest.mark.parametrize("word", CHOICES)
def test_choices_are_single_tokens_after_the_prompt(word):
    tokens = small_tokenizer()
    prompt = ChatTemplate().render([("Q", None)], for_generation=True)[0].text
    assert len(tokens.encode(word)) == len(tokens.encode(f" {word}")) == 1
    assert tokens.encode(prompt + word) == tokens.encode(prompt) + tokens.encode(word)


def test_listed_words_are_single_tokens():
    assert {word for word in whole_words() if len(small_tokenizer().encode(word)) != 1} == set()


def test_digits_of_boxes_stay_single():
    tokens = small_tokenizer()
    ids = tokens.encode("[0.12, 0.30, 0.55, 0.90]")
    assert [tokens.decode([i]) for i in ids] == (
        ["[", "0", ".", "1", "2", ",", " 0", ".", "3", "0", ",", " 0", ".", "5", "5", ",", " 0", ".", "9", "0", "]"]
    )


def test_chat_headers_cost_one_token_each():
    tokens = small_tokenizer()
    first, _, later = ChatTemplate().render([("", ""), ("", None)], for_generation=True)
    assert (len(tokens.encode(first.text)), len(tokens.encode(later.text))) == (3, 4)


def test_small_tokenizer_is_one_tokenizer_with_end_of_text_zero():
    assert small_tokenizer() is small_tokenizer()
    assert isinstance(small_tokenizer(), Tokenizer)
    assert small_tokenizer().eos_id == 0
    assert 512 <= small_tokenizer().vocab_size <= VOCAB_SIZE


def test_packaged_file_is_what_the_script_makes(tmp_path):
    main([str(tmp_path / "built.json")])
    packaged = files("cobra_kit.text").joinpath(SMALL_TOKENIZER_FILE).read_bytes()
    assert (tmp_path / "built.json").read_bytes() == packaged
    assert len(packaged) < 60_000


def test_another_corpus_makes_another_tokenizer():
    made = BpeTokenizer(build(["the lizard likes the lizard"] * 5, ["Yes", " lizard"]))
    assert len(made.encode(" lizard")) == len(made.encode("Yes")) == 1
    assert len(made.encode(" likes")) == 1
    assert len(made.encode("circle")) == 6


@pytest.mark.parametrize(
    ("words", "vocab_size", "message"),
    [
        (["abcdefgh"], 260, "260 ids are too few for 1 of the words: ['abcdefgh']"),
        (["two words"], 300, "'two words' is cut into several pieces, so it cannot be one token"),
    ],
)
def test_words_that_cannot_be_tokens(words, vocab_size, message):
    with pytest.raises(ValueError) as error:
        build([], words, vocab_size)
    assert str(error.value) == message


@given(st.text().filter(lambda text: "<|endoftext|>" not in text))
def test_small_tokenizer_loses_nothing(text):
    tokens = small_tokenizer()
    ids, offsets = tokens.encode_with_offsets(text)
    assert tokens.decode(ids) == text
    assert ids == tokens.encode(text)
    assert all(0 <= i < tokens.vocab_size for i in ids)
    assert "".join(text[a:b] for a, b in dict.fromkeys(offsets)) == text


@pytest.mark.parametrize(
    "text",
    [
        "naïve café",
        "日本語",
        "🦎🐍 👩‍👩‍👧",
        "a\r\n\tb\u00a0c",
        "<|user|>\nhi\n<|assistant|>\n",
        "<|user|> <|assist",
        "",
    ],
)
def test_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_end_of_text_in_text_is_the_special_token(tokenizer):
    ids, offsets = tokenizer.encode_with_offsets("a<|endoftext|>b")
    assert ids == [*tokenizer.encode("a"), tokenizer.eos_id, *tokenizer.encode("b")]
    assert offsets == [(0, 1), (1, 14), (14, 15)]
    assert tokenizer.decode(ids) == "ab"


def test_ids_that_only_pad_an_embedding_are_no_text(tokenizer):
    ids = [*tokenizer.encode("red"), tokenizer.vocab_size, tokenizer.vocab_size + 7]
    assert tokenizer.decode(ids) == "red"


def test_pickling_keeps_the_tokenizer(tokenizer):
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy == tokenizer
    assert hash(copy) == hash(tokenizer)
    assert copy.encode("What colour? 🦎") == tokenizer.encode("What colour? 🦎")
    assert copy != BpeTokenizer(build([], ["Yes"]))
    assert copy != "a tokenizer"


@needs_neox
def test_neox_ids():
    # Ids known from EleutherAI's vocabulary: 0 ends a text, 187 is a newline, 12092 + 1533 say "Hello world".
    tokens = neox()
    assert (tokens.eos_id, tokens.vocab_size) == (0, 50277)
    assert tokens.encode("Hello world\n") == [12092, 1533, 187]
    assert {word for word in CHOICES if len(tokens.encode(word)) != 1} == set()


def test_settings_in_a_file_do_not_cut_or_pad(tmp_path):
    definition = json.loads(files("cobra_kit.text").joinpath(SMALL_TOKENIZER_FILE).read_text(encoding="utf-8"))
    definition["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(definition))
    assert BpeTokenizer.from_file(path).encode("a b c d") == small_tokenizer().encode("a b c d")


def test_missing_file(tmp_path):
    with pytest.raises(TextError, match=r"none\.json: the tokenizer file cannot be read: .*No such file"):
        BpeTokenizer.from_file(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"", b'{"version": "1.0"', b"[]"])
def test_damaged_file(tmp_path, content):
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(
        TextError, match=r"damaged\.json: this is not a tokenizer definition: .*\n.*build the file again"
    ):
        BpeTokenizer.from_file(path)


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "damaged.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TextError, match=r"damaged\.json: the tokenizer file cannot be read"):
        BpeTokenizer.from_file(path)


def test_unknown_end_of_text(tmp_path):
    main([str(tmp_path / "small.json")])
    with pytest.raises(TextError, match=r"small\.json: the tokenizer has no token '</s>' to end an answer with"):
        BpeTokenizer.from_file(tmp_path / "small.json", eos_token="</s>")


def test_damaged_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "files", lambda package: tmp_path)
    small_tokenizer.cache_clear()
    try:
        with pytest.raises(TextError, match=r"packaged tokenizer cannot be read(.|\n)*install cobra-kit again"):
            small_tokenizer()
    finally:
        small_tokenizer.cache_clear()


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(TextError, match=r"not valid Unicode at character 2: '\\ud83e'"):
        small_tokenizer().encode("a \ud83e b")
