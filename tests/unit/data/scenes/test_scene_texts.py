"""Text alone: true of its scenes, answerable from what it says, and about no scene that is trained or tested on."""

from __future__ import annotations

import re
from random import Random

import pytest

from cobra_kit.data.scenes import SceneParams
from cobra_kit.data.scenes.captions import caption
from cobra_kit.data.scenes.layout import Box, Scene, SceneObject, SceneText
from cobra_kit.data.scenes.splits import scene_of, split_of
from cobra_kit.data.scenes.texts import ANSWERED, conversations, facts, passages

PARAMS = SceneParams(train=400, val=0, test=0)
THING = re.compile(r"(?:small|large) (\w+) (\w+) at the")
TEXT = re.compile(r"the (?:letter|word) ([A-Z]+) at the", re.IGNORECASE)


def answer(sentence: str, question: str) -> str:
    """Answers from the opening sentence and from nothing else."""
    things = THING.findall(sentence)
    if match := re.fullmatch(r"What color is the (\w+)\?", question):
        [values] = [color for color, shape in things if shape == match[1]]
        return values
    if match := re.fullmatch(r"What shape is the (\w+) object\?", question):
        [values] = [shape for color, shape in things if color == match[1]]
        return values
    if match := re.fullmatch(r"Is there an? (\w+) (\w+) in the image\?", question):
        return "Yes" if match.groups() in things else "No"
    if question == "How many objects are there?":
        return str(len(things))
    if match := re.fullmatch(r"How many (\w+?) objects are there\?", question):
        return str(sum(color == match[1] for color, _ in things))
    if match := re.fullmatch(r"How many (\w+?)(?:es|s) are there\?", question):
        return str(sum(shape in {match[1], f"{match[1]}e"} for _, shape in things))
    if re.fullmatch(r"What (?:letter|word) is (?:this|in the image)\?", question):
        [text] = TEXT.findall(sentence)
        return text
    raise AssertionError(f"no rule for {question!r}")


def test_every_question_is_answered_by_the_sentence_in_front() -> None:
    kinds: set[str] = set()
    rows = list(conversations(PARAMS))
    assert len(rows) > 350
    for row in rows:
        sentence, _, first = row.turns[0][0].partition("\n")
        questions = [first, *(question for question, _ in row.turns[1:])]
        assert [answer(sentence, question) for question in questions] == [learnt for _, learnt in row.turns]
        assert row.images == ()
        assert len(row.kinds) == len(row.turns)
        kinds |= set(row.kinds)
    assert kinds == set(ANSWERED)


def test_answers_are_balanced_so_the_question_alone_gives_none_away() -> None:
    answers = [
        (kind, text) for row in conversations(PARAMS) for kind, (_, text) in zip(row.kinds, row.turns, strict=True)
    ]
    presence = [text for kind, text in answers if kind == "presence"]
    assert 0.45 < presence.count("Yes") / len(presence) < 0.55
    colors = [text for kind, text in answers if kind == "color"]
    assert max(colors.count(color) for color in set(colors)) < 0.25 * len(colors)


def test_abilities_that_the_recipe_leaves_out_are_not_asked() -> None:
    params = SceneParams(train=60, abilities={"count": 1.0, "spatial": 1.0})
    assert {kind for row in conversations(params) for kind in row.kinds} == {"count"}


def test_no_layout_is_one_of_training_validation_or_test() -> None:
    params = SceneParams(train=60)
    for row in (*passages(params), *conversations(params)):
        index = int(re.fullmatch(r"scenes_towers_(\d+)/(?:passage|conversation)", row.row_id)[1])
        scene = scene_of(params.seed, "towers", index)
        assert split_of(scene) == "towers"
        text = row.turns[0][1] if row.row_id.endswith("passage") else row.turns[0][0]
        assert {pair for pair in THING.findall(text)} == scene.pairs


@pytest.mark.parametrize("make", [passages, conversations])
def test_the_same_parameters_give_the_same_text(make) -> None:
    params = SceneParams(train=30)
    assert list(make(params)) == list(make(params))
    assert list(make(params)) != list(make(SceneParams(train=30, seed=1)))
    assert list(make(SceneParams(train=10))) == list(make(params))[: len(list(make(SceneParams(train=10))))]


def test_facts_are_all_that_is_true_in_short() -> None:
    scene = Scene(
        "several",
        (
            SceneObject("circle", "red", "small", Box(2, 2, 14, 14)),
            SceneObject("star", "red", "large", Box(40, 2, 60, 22)),
            SceneObject("star", "blue", "small", Box(2, 40, 14, 52)),
        ),
        SceneText("B", Box(40, 40, 52, 52)),
        0,
    )
    assert sorted(facts(scene, Random(0))) == [
        "the blue object is a star",
        "the circle is red",
        "the letter is B",
        "there are 2 red objects",
        "there are 3 objects",
        "there is a blue star",
        "there is a red circle",
        "there is a red star",
        "there is no blue circle",
    ]


def test_a_passage_begins_with_the_caption_and_goes_on_with_facts() -> None:
    [row] = passages(SceneParams(train=1))
    ((question, text),) = row.turns
    assert question == ""
    scene = scene_of(0, "towers", 0)
    first, *others = text.removesuffix(".").split(". ")
    assert THING.findall(first) == THING.findall(caption(scene, Random(0))) or len(scene.objects) > 1
    known = {sentence.lower() for sentence in facts(scene, Random(0))}
    assert others
    assert all(sentence.lower() in known for sentence in others if not sentence.startswith("There is no"))
