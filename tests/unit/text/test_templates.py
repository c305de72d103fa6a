from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from cobra_kit.errors import TextError
from cobra_kit.interfaces import PromptTemplate
from cobra_kit.text.templates import BaseTemplate, ChatTemplate

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "templates").glob("*.txt"))
TEMPLATES = {"chat": ChatTemplate(), "base": BaseTemplate()}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_text_equals_golden(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Origin: PAPER.md 1.8")
    fields = [line.split(maxsplit=1) for line in lines if not line.startswith("#")]
    (name, turns), *expected = [(name, json.loads(value)) for name, value in fields]
    assert name == "turns"
    template = TEMPLATES[path.stem.split("_")[0]]
    segments = template.render([tuple(turn) for turn in turns], for_generation=turns[-1][1] is None)
    assert [("answer" if s.supervised else "prompt", s.text) for s in segments] == expected


def test_goldens_cover_both_templates():
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


@pytest.mark.parametrize(("name", "ending"), [("chat", "<|assistant|>\n"), ("base", "\nOut: ")])
def test_prompt_ends_where_the_answer_begins(name, ending):
    (segment,) = TEMPLATES[name].render([("Why?", None)], for_generation=True)
    assert segment.text.endswith(ending)
    assert not segment.supervised


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_caption_has_no_prompt(template):
    (segment,) = template.render_caption(" A red circle.\n")
    assert (segment.text, segment.supervised, segment.message) == ("A red circle.<|endoftext|>", True, None)


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
    modules = "templates, tokenizer, llava, markers, build_small_tokenizer"
    code = f"import sys; from cobra_kit.text import {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
