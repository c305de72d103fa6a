from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from cobra_kit.errors import TextError
from cobra_kit.interfaces import PromptTemplate, TextCodec
from cobra_kit.text.encode import encode_conversation
from cobra_kit.text.names import TemplateName
from cobra_kit.text.templates import TEMPLATES as FAMILIES
from cobra_kit.text.templates import ChatTemplate, LlavaTemplate, make_template
from cobra_kit.text.tokenizer import small_tokenizer

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "templates").rglob("*.txt"))  # compared/: other systems'
COBRAS = ("chat", "base")
LLAMAS = ("vicuna-v1", "mobilevlm-v2")
TEMPLATES = {
    name: make_template(name, begin_of_text="<s>", end_of_text="</s>") if name in LLAMAS else make_template(name)
    for name in FAMILIES
}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_text_equals_golden(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    origin = "PAPER.md 1.8" if path.stem.split("_")[0] in COBRAS else " at "
    assert lines[0].startswith("# Origin: ")
    assert origin in lines[0]
    fields = [line.split(maxsplit=1) for line in lines if not line.startswith("#")]
    (name, turns), *expected = [(name, json.loads(value)) for name, value in fields]
    assert name == "turns"
    template = TEMPLATES[path.stem.split("_")[0]]
    segments = template.render([tuple(turn) for turn in turns], for_generation=turns[-1][1] is None)
    assert [("answer" if s.supervised else "prompt", s.text) for s in segments] == expected


def test_goldens_cover_every_template():
    cases = {"one_turn", "three_turns", "empty_answer", "blanks", "generation"}
    assert {path.stem for path in GOLDEN} == {f"{name}_{case}" for name in TEMPLATES for case in cases}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("question", ["Why?", "  Why? ", "", "two\nlines", "🦎 <|user|>"])
def test_message_span_is_the_stripped_message(template, question):
    segments = template.render([(question, "a"), (question, None)], for_generation=True)
    for segment in (segments[0], segments[2]):
        start, end = segment.message
        assert segment.text[start:end] == question.strip()
    assert segments[1].message is None


ENDINGS = {"chat": "<|assistant|>\n", "base": "\nOut: "}


@pytest.mark.parametrize(("name", "ending"), [(name, ENDINGS.get(name, "? ASSISTANT:")) for name in FAMILIES])
def test_prompt_ends_where_the_answer_begins(name, ending):
    (segment,) = TEMPLATES[name].render([("Why?", None)], for_generation=True)
    assert segment.text.endswith(ending)
    assert not segment.supervised


@pytest.mark.parametrize("name", FAMILIES)
def test_caption_has_no_prompt(name):
    """LLaVA and its kin end a caption with a newline (preprocess_plain), Cobra with the end of text."""
    (segment,) = TEMPLATES[name].render_caption(" A red circle.\n")
    end = "<|endoftext|>" if name in COBRAS else "\n"
    assert (segment.text, segment.supervised, segment.message) == (f"A red circle.{end}", True, None)


def upstreams_prompt(system, turns, end):
    """LLaVA's SeparatorStyle.TWO, written for this test: `role: message`, then a blank or the end of text."""
    text = f"{system} "
    for question, answer in turns:
        text += f"USER: {question} " + (f"ASSISTANT: {answer}{end}" if answer else "ASSISTANT:")
    return text


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in COBRAS])
def test_the_llava_forms_read_as_upstreams_prompt(name):
    turns = [("What is it?", "A red circle."), ("How large?", "0.5"), ("Why?", None)]
    template = TEMPLATES[name]
    text = "".join(segment.text for segment in template.render(turns, for_generation=True))
    assert text == template.begin_of_text + upstreams_prompt(LlavaTemplate.system, turns, template.end_of_text)


def test_a_tokenizer_that_writes_blanks_gets_none():
    template = make_template("vicuna-v1", begin_of_text="<s>", end_of_text="</s>", writes_blanks=True)
    texts = [segment.text for segment in template.render([("Q", "yes"), ("R", "")], for_generation=False)]
    assert (texts[1], texts[3]) == ("yes</s>", "</s>")


@pytest.mark.parametrize(
    ("questions", "num_images", "clean"),
    [
        (["What is <image> it?", "Why?"], 1, ["\nWhat is  it?", "Why?"]),
        (["<image>\nWhat is it?", "Why?"], 1, ["\nWhat is it?", "Why?"]),
        (["What is it?", "And <image><image>?"], 2, ["What is it?", "\nAnd ?"]),
        (["What is it?", "Why?"], 1, ["\nWhat is it?", "Why?"]),
        (["What is it?", "Why?"], 0, ["What is it?", "Why?"]),
    ],
)
def test_the_llava_forms_put_images_on_a_line_before_the_message(questions, num_images, clean):
    codec = TextCodec(small_tokenizer(), make_template("llava-phi"), 512)
    row = encode_conversation([(q, "a") for q in questions], codec, num_images=num_images)
    decode = codec.tokenizer.decode
    texts = [f"{codec.template.opening(n)}{text} ASSISTANT: a" for n, text in enumerate(clean)]
    assert decode(row.ids) == "".join(texts)
    with_images = next((n for n, text in enumerate(clean) if text.startswith("\n")), None)
    assert len(row.image_slots) == num_images
    for slot in row.image_slots:
        assert decode(row.ids[:slot]) == "".join(texts[:with_images]) + codec.template.opening(with_images)


def test_every_name_has_a_form_and_every_form_its_source():
    assert set(FAMILIES) == set(get_args(TemplateName))
    assert all(" at " in family.source for family in FAMILIES.values())


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_templates_are_picklable_protocols(template):
    assert isinstance(template, PromptTemplate)
    assert pickle.loads(pickle.dumps(template)) == template


@pytest.mark.parametrize(
    ("turns", "for_generation", "message"),
    [
        ([], False, "the conversation has no turns"),
        ([("a", None), ("b", "c")], False, "turn 1 of 2 has no answer"),
        ([("a", None), ("b", None)], True, "turn 1 of 2 has no answer"),
        ([("a", "b")], True, "the last turn already has the answer 'b', but it is to be generated"),
    ],
)
def test_turns_that_break_the_rules(turns, for_generation, message):
    with pytest.raises(TextError) as error:
        ChatTemplate().render(turns, for_generation=for_generation)
    assert error.value.message == message
    assert error.value.hint


def test_import_is_free_of_torch():
    modules = "templates, tokenizer, llava, markers"
    code = f"import sys; from cobra_kit.text import {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
