"""The token by which an answer is ranked is the one that training supervises, whatever template and tokenizer do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from tokenizer_kinds import END, kind

from cobra_kit.errors import TextError
from cobra_kit.interfaces import IGNORE_INDEX, PromptTemplate, TemplateSegment, TextCodec, Tokenizer
from cobra_kit.text.choices import answer_ids, first_answer_ids
from cobra_kit.text.encode import encode_conversation
from cobra_kit.text.templates import TEMPLATES, make_template
from cobra_kit.text.tokenizer import END_OF_TEXT, BpeTokenizer, small_tokenizer

DATA = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
NEOX = DATA / "20B_tokenizer.json"
CHOICES = (("Yes", "No"), ("True", "False"))


@dataclass(frozen=True)
class Stranger:
    """A template of somebody else's: all that the protocol asks for, and nothing more."""

    before: str = ""
    header: str = ""
    end: str = END_OF_TEXT

    def render(self, turns: Sequence[tuple[str, str | None]], *, for_generation: bool) -> list[TemplateSegment]:
        segments = []
        for question, answer in turns:
            segments.append(TemplateSegment(f"{question}{self.header}", False, (0, len(question))))
            if answer is not None:
                segments.append(TemplateSegment(f"{self.before}{answer.strip()}{self.end}", True))
        return segments

    def render_caption(self, caption: str) -> list[TemplateSegment]:
        return [TemplateSegment(caption, True)]


@cache
def neox() -> BpeTokenizer:
    return BpeTokenizer.from_file(NEOX)


def llama() -> Tokenizer:
    tokenizer = kind("llama")
    assert isinstance(tokenizer, BpeTokenizer)
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {"small": small_tokenizer, "neox": neox, "llama": llama}
STRANGERS = {
    "bare": {},
    "blank": {"before": " "},
    "chatml": {"header": "\n", "end": f"{END_OF_TEXT}\n"},
    "prefix": {"end": "."},
}
CASES = [*product(TEMPLATES, TOKENIZERS), *product(STRANGERS, ["small", "neox"])]


def codec_of(template: str, tokenizer: str) -> TextCodec:
    if tokenizer == "neox" and not NEOX.exists():
        pytest.skip("needs 20B_tokenizer.json (GPT-NeoX) in the folder COBRA_KIT_TEST_DATA")
    made: PromptTemplate
    if template in STRANGERS:
        made = Stranger(**STRANGERS[template])
    elif tokenizer == "llama":
        made = make_template(template, end_of_text=END, writes_blanks=True)  # type: ignore[arg-type]
    else:
        made = make_template(template)  # type: ignore[arg-type]
    return TextCodec(TOKENIZERS[tokenizer](), made, 512)


def first_supervised(answer: str, codec: TextCodec, turns: int = 1) -> int:
    """Returns the first id of the last answer that carries loss in a training row."""
    row = encode_conversation([("Is it red?", answer)] * turns, codec, num_images=0)
    begins = [i for i, label in enumerate(row.labels) if label != IGNORE_INDEX and row.labels[i - 1] == IGNORE_INDEX]
    assert len(begins) == turns
    return row.labels[begins[-1]]


@pytest.mark.parametrize(("template", "tokenizer"), CASES)
@pytest.mark.parametrize("choices", CHOICES, ids="/".join)
def test_the_first_token_is_the_one_that_training_supervises(
    template: str, tokenizer: str, choices: tuple[str, ...]
) -> None:
    codec = codec_of(template, tokenizer)
    ids = first_answer_ids(choices, codec)
    assert ids == [first_supervised(choice, codec) for choice in choices]
    assert ids == [first_supervised(choice, codec, turns=2) for choice in choices]
    assert first_answer_ids([f" {choice}\n" for choice in choices], codec) == ids


@pytest.mark.parametrize(("template", "tokenizer"), CASES)
@pytest.mark.parametrize("answer", ["Yes", "a long answer, 0.5", ""])
def test_an_answers_ids_are_all_that_training_supervises(template: str, tokenizer: str, answer: str) -> None:
    codec = codec_of(template, tokenizer)
    row = encode_conversation([("Is it red?", answer)], codec, num_images=0)
    assert answer_ids(answer, codec) == [label for label in row.labels if label != IGNORE_INDEX]


@pytest.mark.parametrize("tokenizer", ["small", "neox"])
def test_the_blank_that_a_template_writes_belongs_to_the_token(tokenizer: str) -> None:
    """With it both tokenizers have another id; scored without it, the ranking is of tokens that nobody trained."""
    codec, plain = codec_of("llava-phi", tokenizer), codec_of("chat", tokenizer)
    encode = codec.tokenizer.encode
    assert first_answer_ids(["Yes", "No"], codec) == [encode(" Yes")[0], encode(" No")[0]]
    assert first_answer_ids(["Yes", "No"], plain) == [encode("Yes")[0], encode("No")[0]]


def test_an_answer_of_several_tokens_is_refused() -> None:
    codec = codec_of("llava-phi", "small")
    with pytest.raises(TextError, match=r"answer 'extraordinary' is \d+ tokens in this prompt template \(' ") as caught:
        first_answer_ids(["Yes", "extraordinary"], codec, where="presence")
    assert caught.value.where == "presence"
    assert "one token each" in str(caught.value.hint)


def test_a_blank_that_is_a_token_of_its_own_is_refused() -> None:
    """Both answers would begin with it."""
    codec = TextCodec(neox() if NEOX.exists() else small_tokenizer(), Stranger(before="\n"), 512)
    with pytest.raises(TextError, match=r"answer 'Yes' is 2 tokens in this prompt template \('\\n', 'Yes'\)"):
        first_answer_ids(["Yes", "No"], codec)


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_an_empty_answer_is_refused(blank: str) -> None:
    with pytest.raises(TextError, match="is 0 tokens, so it has no first-token probability"):
        first_answer_ids(["Yes", blank], codec_of("chat", "small"))


@pytest.mark.parametrize("choices", [("Yes", "Yes"), ("Yes", "No", " Yes ")])
def test_answers_that_are_the_same_token_are_refused(choices: tuple[str, ...]) -> None:
    with pytest.raises(TextError, match=r"answers 'Yes' and ' ?Yes ?' are the same token") as caught:
        first_answer_ids(choices, codec_of("chat", "small"), where="presence")
    assert caught.value.where == "presence"


@pytest.mark.parametrize("choices", ["Yes", [True, False], [None]])
def test_what_is_no_list_of_texts_is_refused(choices: object) -> None:
    with pytest.raises(TextError, match="expected a list of answers to choose from, not"):
        first_answer_ids(choices, codec_of("chat", "small"))  # type: ignore[arg-type]


def test_no_choices_have_no_ids() -> None:
    assert first_answer_ids([], codec_of("chat", "small")) == []


def test_a_template_that_writes_answers_in_its_own_way() -> None:
    class Shouting(Stranger):
        def render(self, turns: Sequence[tuple[str, str | None]], *, for_generation: bool) -> list[TemplateSegment]:
            return super().render([(q, a and a.capitalize()) for q, a in turns], for_generation=for_generation)

    codec = TextCodec(small_tokenizer(), Shouting(), 512)
    assert first_answer_ids(["yes", "no"], codec) == first_answer_ids(["Yes", "No"], codec_of("bare", "small"))


def test_a_template_that_supervises_nothing_is_refused() -> None:
    class Silent(Stranger):
        def render(self, turns: Sequence[tuple[str, str | None]], *, for_generation: bool) -> list[TemplateSegment]:
            return [TemplateSegment(question, False, (0, len(question))) for question, _ in turns]

    with pytest.raises(TextError, match="Silent supervises nothing of the answer 'Yes'"):
        first_answer_ids(["Yes", "No"], TextCodec(small_tokenizer(), Silent(), 512))
