"""The embedded world's files, read back by the readers of the official forms: the same questions and scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from cobra_kit._plugins import default_registry
from cobra_kit.cli import main
from cobra_kit.evaluate.predict import Prediction
from cobra_kit.evaluate.score import score
from cobra_kit.interfaces import Benchmark, Question
from cobra_kit_benchmarks.config import BenchmarkSettings
from cobra_kit_scenes import SceneDataset, SceneParams, generate
from cobra_kit_scenes.further_forms import write_further_forms
from cobra_kit_scenes.names import image_name
from cobra_kit_scenes.source import ScenesSource

ABILITIES = {
    "vqav2": ("attribute", "count"),
    "pope": ("presence",),
    "vsr": ("spatial",),
    "textvqa": ("reading",),
    "refcoco": ("boxes",),
}
PROTOCOLS = {"textvqa": "no-ocr"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "out"
    generate(SceneParams.checked(seed=3, train=30, val=5, test=40, prompts="paper"), folder)
    world = SceneDataset(folder)
    world.export_png(folder / "images")
    write_further_forms(world)
    return folder


@pytest.fixture(scope="module")
def abilities(world: Path) -> Mapping[str, Benchmark]:
    return ScenesSource(SceneDataset(world)).benchmarks("test")


def read_back(name: str, world: Path, protocol: str | None = None) -> Benchmark:
    wording = protocol or PROTOCOLS.get(name, "paper")
    settings = BenchmarkSettings(folder=world / "test", protocol=wording, check_counts=False)
    return default_registry().benchmark(name).load_benchmark().open(settings).benchmark


def answered(questions: list[Question], rng: Random) -> dict[str, Prediction]:
    words = ["red", "2", "a", "[0.1, 0.1, 0.5, 0.5]", "circle"]
    return {
        question.question_id: Prediction(
            question.question_id,
            question.image,
            rng.choice(words),
            {choice: rng.random() for choice in question.choices} or None,
        )
        for question in questions
    }


@pytest.mark.parametrize("name", ABILITIES)
def test_questions_and_scores_are_those_of_the_world(
    name: str, world: Path, abilities: Mapping[str, Benchmark]
) -> None:
    theirs = read_back(name, world)
    ours = [abilities[ability] for ability in ABILITIES[name]]
    expected = {question.question_id: question for each in ours for question in each.questions}
    assert {question.question_id: question for question in theirs.questions} == expected
    predictions = answered(list(theirs.questions), Random(1))
    scored = score(theirs, [predictions[question.question_id] for question in theirs.questions])
    same = {score_of.question_id: score_of.score for score_of in scored.scores}
    for each in ours:
        rescored = score(each, [predictions[question.question_id] for question in each.questions])
        assert rescored.rule == scored.rule
        assert {score_of.question_id: score_of.score for score_of in rescored.scores} == {
            question.question_id: same[question.question_id] for question in each.questions
        }


SAME_QUESTIONS = {
    # benchmark -> protocol that words questions as the world does, abilities that it repeats
    "gqa": ("paper", ("attribute",)),
    "vizwiz": ("short", ("attribute", "count")),
    "refcoco-plus": ("paper", ("boxes",)),
    "refcocog": ("paper", ("boxes",)),
}
QUARTER = "the quarter with the"


@pytest.mark.parametrize("name", SAME_QUESTIONS)
def test_further_forms_repeat_the_questions_of_the_world(
    name: str, world: Path, abilities: Mapping[str, Benchmark]
) -> None:
    protocol, repeated = SAME_QUESTIONS[name]
    theirs = read_back(name, world, protocol)
    expected = {
        (question.image, question.prompt): annotation
        for ability in repeated
        for question, annotation in zip(abilities[ability].questions, abilities[ability].annotations, strict=True)
        if name != "refcoco-plus" or QUARTER not in question.prompt
    }
    asked = {
        (question.image, question.prompt): annotation
        for question, annotation in zip(theirs.questions, theirs.annotations, strict=True)
    }
    assert asked.keys() == expected.keys()
    for place, annotation in asked.items():
        if name == "gqa":  # one true answer, which most people gave
            (answer,) = annotation["answers"]
            given = expected[place]["answers"]
            assert given.count(answer) == max(map(given.count, given))
        else:
            assert annotation == expected[place]


def test_refcoco_plus_names_no_place(world: Path) -> None:
    assert not any(QUARTER in question.prompt for question in read_back("refcoco-plus", world).questions)
    assert any(QUARTER in question.prompt for question in read_back("refcocog", world).questions)


def test_ocr_tokens_are_what_is_written_in_the_image(world: Path, abilities: Mapping[str, Benchmark]) -> None:
    scenes = {image_name("test", index): scene for index, scene in enumerate(SceneDataset(world).scenes("test"))}
    first, last, without = (read_back("textvqa", world, protocol) for protocol in ("paper", "ocr-last", "no-ocr"))
    assert first.questions
    for question, behind, bare in zip(first.questions, last.questions, without.questions, strict=True):
        text = scenes[question.image].text
        assert text is not None
        text_line = f"Reference OCR token: {', '.join(text.text.upper().split())}\n"
        assert question.prompt == text_line + bare.prompt
        assert text_line in behind.prompt
    assert [question.prompt for question in without.questions] == [
        question.prompt for question in abilities["reading"].questions
    ]


def test_the_command_writes_all_nine_forms(world: Path, tmp_path: Path) -> None:
    words = ["data", "scenes", "--out", str(tmp_path / "out"), "--seed", "3", "--train", "30", "--val", "5"]
    assert main([*words, "--test", "40"]) == 0
    for split in ("val", "test"):
        written = {file.name: file.read_bytes() for file in (tmp_path / "out" / split).glob("*.json")}
        assert written == {file.name: file.read_bytes() for file in (world / split).glob("*.json")}
        assert {"gqa.json", "vizwiz.json", "refcoco+.json", "refcocog.json", "textvqa_ocr.json"} < written.keys()
