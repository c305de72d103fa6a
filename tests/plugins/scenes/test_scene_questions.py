from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit_scenes import Scene, prompt, reply
from cobra_kit_scenes.annotators import agreement, ten_answers
from cobra_kit_scenes.balance import Balancer
from cobra_kit_scenes.layout import Box, SceneObject, SceneText
from cobra_kit_scenes.questions import ASK, Ability, Question
from cobra_kit_scenes.questions.places import PLACES
from cobra_kit_scenes.questions.presence import Negatives, absent, held_out_presence, popular_pairs
from cobra_kit_scenes.sampling import sample_scene
from cobra_kit_scenes.vocabulary import PAIRS

RED_CIRCLE = SceneObject("circle", "red", "large", Box(4, 4, 24, 24))
BLUE_CROSS = SceneObject("cross", "blue", "small", Box(44, 40, 56, 52))
RED_STAR = SceneObject("star", "red", "small", Box(40, 4, 52, 16))

ALONE = Scene("single", (RED_CIRCLE,), None, 0)
TWO = Scene("pair", (RED_CIRCLE, BLUE_CROSS), None, 0)
THREE = Scene("several", (RED_CIRCLE, BLUE_CROSS, RED_STAR), None, 0)
LETTER = Scene("letter", (), SceneText("H", Box(30, 30, 60, 60)), 0)
TAGGED = Scene("tagged", (RED_CIRCLE, BLUE_CROSS), SceneText("H", Box(4, 40, 16, 52)), 0)
WORD = Scene("word", (), SceneText("CAT", Box(4, 40, 40, 54)), 0)


def asked(ability: Ability, scene: Scene) -> dict[str, str]:
    return {question.text: question.answer for question in ASK[ability](scene, Random(0))}


def levels(ability: Ability, scene: Scene) -> set[int]:
    return {question.level for question in ASK[ability](scene, Random(0))}


def at_places(ability: Ability, scene: Scene) -> dict[str, str]:
    return {question.text: question.answer for question in ASK[ability](scene, Random(0)) if question.level == 3}


def test_attributes() -> None:
    assert asked("color", ALONE) == {"What color is the circle?": "red"}
    assert asked("shape", TWO) == {
        "What shape is the red object?": "circle",
        "What shape is the blue object?": "cross",
        "What shape is the object on the left?": "circle",
        "What shape is the object on the right?": "cross",
        "What shape is the object at the top?": "circle",
        "What shape is the object at the bottom?": "cross",
    }
    assert asked("shape", THREE).keys() - at_places("shape", THREE) == {"What shape is the blue object?"}, "two are red"
    assert (levels("color", ALONE), levels("color", THREE)) == ({1}, {2, 3})


def test_attributes_at_a_place_that_is_clear_to_everybody() -> None:
    assert at_places("color", THREE) == {
        "What color is the object on the left?": "red",
        "What color is the object at the bottom?": "blue",
    }, "two are on the right, and two at the top"
    crowded = Scene("pair", (RED_CIRCLE, SceneObject("star", "blue", "small", Box(2, 14, 14, 26))), None, 0)
    assert at_places("color", crowded) == {}, "both are on the left and at the top"
    # Its centre is two pixels above the middle: nobody can call it.
    doubtful = SceneObject("star", "green", "small", Box(2, 24, 14, 36))
    assert at_places("shape", Scene("pair", (RED_CIRCLE, doubtful), None, 0)) == {}
    assert at_places("shape", Scene("pair", (BLUE_CROSS, doubtful), None, 0)) == {
        "What shape is the object on the left?": "star",
        "What shape is the object on the right?": "cross",
    }
    assert [at_places(ability, ALONE) for ability in ("color", "shape")] == [{}] * 2, "it needs no place"


def test_presence_at_a_place() -> None:
    answers = at_places("presence", THREE)
    assert answers["Is there a red circle on the left?"] == "yes"
    assert answers["Is there a red circle on the right?"] == "no", "it is there, but elsewhere"
    assert answers["Is there a red cross on the right?"] == "no", "a cross and something red, but not as one"
    assert sorted(answers.values()).count("yes") == 2 * 3
    assert list(at_places("presence", ALONE).values()) == ["yes", "no", "yes", "no"]
    middle = Scene("single", (SceneObject("star", "red", "large", Box(22, 4, 42, 24)),), None, 0)
    assert at_places("presence", middle) == {
        "Is there a red star at the top?": "yes",
        "Is there a red star at the bottom?": "no",
    }, "left or right?"


def test_negatives_at_a_place_are_of_their_kind() -> None:
    popular = (("red", "circle"), ("green", "star"))

    def held_out(kind: Negatives) -> dict[str, str]:
        return {q.text: q.answer for q in held_out_presence(TWO, kind, popular) if q.level == 3}

    assert held_out("adversarial") == {
        f"Is there a {name} {place}?": "yes" if place in home else "no"
        for name, home in (("red circle", "on the left, at the top"), ("blue cross", "on the right, at the bottom"))
        for place in PLACES
    }
    assert held_out("popular") == {
        "Is there a red circle on the left?": "yes",
        "Is there a red circle at the top?": "yes",
        **{f"Is there a green star {place}?": "no" for place in PLACES},
    }
    wrong = {text for text, answer in held_out("random").items() if answer == "no"}
    assert not [text for text in wrong if "red circle" in text or "blue cross" in text]
    assert len(wrong) == len(PLACES) * (len(PAIRS) - 2)
    alone = {q.text for q in held_out_presence(ALONE, "random", popular) if q.answer == "no" and q.level == 3}
    assert not [text for text in alone if "on the right" in text or "bottom" in text], "where nothing stands"


def test_counts() -> None:
    assert asked("count", ALONE) == {"How many objects are there?": "1"}
    counts = asked("count", THREE)
    assert counts["How many objects are there?"] == "3"
    assert counts["How many red objects are there?"] == "2"
    assert counts["How many green objects are there?"] == "0"
    assert counts["How many crosses are there?"] == "1"
    assert len(counts) == 13
    assert asked("count", LETTER) == {}


def test_presence() -> None:
    answers = asked("presence", TWO)
    assert answers["Is there a red circle in the image?"] == "yes"
    assert {text for text, answer in answers.items() if answer == "yes" and text.endswith("in the image?")} == {
        "Is there a red circle in the image?",
        "Is there a blue cross in the image?",
    }
    assert answers["Is there a red cross in the image?"] == answers["Is there a blue circle in the image?"] == "no"


def test_negatives_are_of_their_kind() -> None:
    popular = (("red", "circle"), ("green", "star"))
    assert set(absent(TWO, "adversarial", popular)) == {("red", "cross"), ("blue", "circle")}
    assert absent(TWO, "popular", popular) == [("green", "star")]
    assert set(absent(TWO, "random", popular)) == set(PAIRS) - TWO.pairs
    texts = {question.text for question in held_out_presence(TWO, "popular", popular) if question.level < 3}
    assert texts == {"Is there a red circle in the image?", "Is there a green star in the image?"}
    alone = held_out_presence(ALONE, "adversarial", popular)
    assert {question.level for question in alone} == {3}, "no other color or shape to confuse it with, but other places"


def test_popular_pairs_are_the_most_frequent_third() -> None:
    pairs = popular_pairs([ALONE, ALONE, TWO])
    assert len(pairs) == 12
    assert pairs[:2] == (("red", "circle"), ("blue", "cross"))


def test_spatial_statements() -> None:
    assert asked("spatial", ALONE) == {
        "The object is on the left.": "true",
        "The object is on the right.": "false",
        "The object is at the top.": "true",
        "The object is at the bottom.": "false",
    }
    assert asked("spatial", LETTER)["The letter is on the right."] == "true"
    statements = asked("spatial", TWO)
    assert statements["The red circle is left of the blue cross."] == "true"
    assert statements["The blue cross is above the red circle."] == "false"
    assert len(statements) == 8
    assert [levels("spatial", scene) for scene in (ALONE, TWO, THREE, TAGGED)] == [{1}, {2}, {3}, {3}]


def test_places_too_close_to_call_are_not_asked() -> None:
    middle = Scene("single", (SceneObject("star", "red", "large", Box(22, 4, 42, 24)),), None, 0)
    assert set(asked("spatial", middle)) == {"The object is at the top.", "The object is at the bottom."}
    assert [question.level for question in ASK["box"](middle, Random(0))] == [2]


def test_reading() -> None:
    assert asked("reading", LETTER) == {"What letter is this?": "h"}
    assert asked("reading", TAGGED) == {"What letter is in the image?": "h"}
    assert asked("reading", WORD) == {"What word is in the image?": "cat"}
    assert asked("reading", ALONE) == {}
    assert [levels("reading", scene) for scene in (LETTER, TAGGED, WORD)] == [{1}, {2}, {3}]


def test_boxes() -> None:
    questions = ASK["box"](ALONE, Random(0))
    assert [(q.level, q.text, q.box) for q in questions] == [
        (1, "the quarter with the object", Box(0, 0, 32, 32)),
        (2, "the red circle", Box(4, 4, 24, 24)),
    ]
    assert questions[0].answer == "[0.00, 0.00, 0.50, 0.50]"
    assert levels("box", THREE) == {3}
    assert [q.box for q in ASK["box"](LETTER, Random(0))] == [Box(32, 32, 64, 64)]


@given(st.integers(0, 2**32))
def test_every_answer_is_among_the_choices_and_texts_do_not_contradict(seed: int) -> None:
    scene = sample_scene(Random(seed))
    for ask in ASK.values():
        questions = ask(scene, Random(seed))
        assert len({question.text for question in questions}) == len(questions)
        assert all(not q.choices or q.answer in q.choices for q in questions)


def question(answer: str, text: str = "Q?", ability: Ability = "color") -> Question:
    choices = ("a", "b", "c")
    return Question(ability=ability, level=1, template="t", text=text, answer=answer, choices=choices)


def test_the_balancer_refuses_an_answer_that_runs_ahead() -> None:
    balancer = Balancer(slack=2)
    picked = [balancer.pick([question("a")], Random(0)) for _ in range(4)]
    assert [item is not None for item in picked] == [True, True, False, False]
    assert balancer.pick([question("a"), question("b")], Random(0)) == question("b")


def test_the_balancer_looks_at_the_template_as_well_as_the_text() -> None:
    balancer = Balancer(slack=2)
    picked = [balancer.pick([question("a", text=f"{number}?")], Random(0)) for number in range(4)]
    assert sum(item is not None for item in picked) == 2


def test_the_balancer_is_strict_where_answers_are_unevenly_frequent() -> None:
    balancer = Balancer(slack=9)
    picked = [balancer.pick([question("a", ability="count")], Random(0)) for _ in range(3)]
    assert sum(item is not None for item in picked) == 1


def test_annotators_disagree_at_the_stated_rate() -> None:
    votes = [ten_answers("red", ("red", "blue", "green"), 0.3, Random(seed)) for seed in range(3000)]
    split = [vote for vote in votes if len(set(vote)) > 1]
    assert all(len(vote) == 10 for vote in votes)
    assert len(split) / len(votes) == pytest.approx(0.3, abs=0.03)
    right = sum(vote.count("red") for vote in split) / (10 * len(split))
    assert right == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(("same", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_agreement_is_the_published_table(same: int, score: float) -> None:
    assert agreement("red", ["red"] * same + ["blue"] * (10 - same)) == pytest.approx(score)


def test_prompts_and_replies() -> None:
    assert prompt("vqav2", "How many?") == "How many?"
    assert prompt("vqav2", "How many?", "paper") == "How many?\nAnswer the question using a single word or phrase."
    assert prompt("vsr", "The letter is at the top.") == "True or false? The letter is at the top."
    assert '"the red circle"' in prompt("refcoco", "the red circle", "paper")
    assert [reply("vsr", "true"), reply("pope_popular", "no"), reply("textvqa", "cat"), reply("vqav2", "red")] == [
        "True",
        "No",
        "CAT",
        "red",
    ]
