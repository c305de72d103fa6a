"""Answers on disk: asked once, in the same batches, whatever was cut off; controls and scores."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.data.rows import Benchmark, Question
from cobra_kit.errors import CobraError, DataError
from cobra_kit.evaluate import predict as predictions
from cobra_kit.evaluate.control import shuffled_images
from cobra_kit.evaluate.predict import Prediction, predict
from cobra_kit.evaluate.questions import check_questions
from cobra_kit.evaluate.score import read_scores, score, write_scores
from cobra_kit.evaluate.validation import some_questions
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.templates import ChatTemplate
from cobra_kit.text.tokenizer import small_tokenizer


def presence(count: int = 10) -> Benchmark:
    return Benchmark(
        name="presence",
        label="presence (POPE)",
        rule="pope/first-token",
        questions=[Question(f"q{i}", f"p{i // 2}", "Is it there?", ("Yes", "No")) for i in range(count)],
        annotations=[{"answers": ("Yes" if i % 2 else "No",)} for i in range(count)],
        groups=["random" if i < 6 else "adversarial" for i in range(count)],
        floor=0.5,
        ceiling=1.0,
    )


class Asked:
    """Stands in for the model's answer to a batch; what it answers depends on the batch, as real last bits do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[str]] = []
        monkeypatch.setattr(predictions, "_answer_batch", self)

    def __call__(
        self, model: object, asked: Any, images: object, max_new_tokens: int, precision: object
    ) -> list[dict[str, Any]]:
        names = [question.question_id for question, _ in asked]
        self.batches.append(names)
        return [
            {
                "question_id": question.question_id,
                "picture": image,
                "text": "Yes",
                "probabilities": {"Yes": 0.5 + len(names) / 1000 + place / 100, "No": 0.1},
            }
            for place, (question, image) in enumerate(asked)
        ]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def ask(file: Path, benchmark: Benchmark | None = None, **settings: Any) -> list[Prediction]:
    images: Any = None
    model: Any = torch.nn.Linear(1, 1)
    return predict(model, benchmark or presence(), images, file, batch_size=4, **settings)


def test_batches_are_fixed_and_nothing_is_asked_twice(asked: Asked, tmp_path: Path) -> None:
    first = ask(tmp_path / "a.jsonl")
    assert [len(batch) for batch in asked.batches] == [4, 4, 2]
    assert ask(tmp_path / "a.jsonl") == first
    assert len(asked.batches) == 3


@given(cut=st.integers(0, 900))
def test_a_file_cut_anywhere_ends_the_same(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        asked = Asked(patch)
        ask(folder / "whole.jsonl")
        whole = (folder / "whole.jsonl").read_bytes()
        (folder / "cut.jsonl").write_bytes(whole[:cut])
        asked.batches.clear()
        ask(folder / "cut.jsonl")
        assert (folder / "cut.jsonl").read_bytes() == whole
        kept = whole[:cut].count(b"\n")
        # Whole batches are not asked again, and a batch that lost lines is asked as it was.
        assert sum(map(len, asked.batches)) == 10 - kept // 4 * 4 - (2 if kept == 10 else 0)


def test_answers_to_other_questions_are_refused(asked: Asked, tmp_path: Path) -> None:
    ask(tmp_path / "a.jsonl")
    changed = replace(presence(), questions=[replace(q, question_id=f"x{q.question_id}") for q in presence().questions])
    with pytest.raises(CobraError, match=r"a.jsonl:1: holds an answer to question 'q0' about 'p0', expected 'xq0'"):
        ask(tmp_path / "a.jsonl", changed)
    with pytest.raises(CobraError, match="holds 10 answers to 4 questions"):
        ask(tmp_path / "a.jsonl", presence(4))


def test_answers_at_another_precision_are_refused(asked: Asked, tmp_path: Path) -> None:
    """Answers say how exactly they were computed; those of a model as trained say nothing, as ever."""
    int8, trained = tmp_path / "int8.jsonl", tmp_path / "trained.jsonl"
    assert {prediction.precision for prediction in ask(int8, computed="weights int8, state kept")} == {
        "weights int8, state kept"
    }
    assert {prediction.precision for prediction in ask(trained)} == {None}
    assert "precision" not in trained.read_text()
    with pytest.raises(CobraError, match=r"int8.jsonl:1: .* weights int8, state kept, expected the trained precision"):
        ask(int8)
    with pytest.raises(CobraError, match=r"computed with the trained precision, expected weights bfloat16") as caught:
        ask(trained, computed="weights bfloat16, state kept")
    assert "evaluate.precision was changed" in str(caught.value)


def test_a_line_that_is_no_json_is_named(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question_id": "q0"}\nnonsense\n')
    with pytest.raises(CobraError, match=r"a.jsonl:2: .*not JSON.*\n +Delete it and give the same command again"):
        ask(tmp_path / "a.jsonl")


def test_a_full_disk_leaves_whole_lines(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jsonl"
    real, written = os.write, 0

    def full(descriptor: int, content: Any) -> int:
        nonlocal written
        if written > 600:
            raise OSError(errno.ENOSPC, "No space left on device")
        written += real(descriptor, bytes(content[:250]))  # a nearly full disk takes a part
        return min(250, len(content))

    monkeypatch.setattr("cobra_kit.files.json_lines.os.write", full)
    with pytest.raises(CobraError, match=r"a.jsonl: cannot write: No space left on device\n +Make room on the disk"):
        ask(file)
    lines = file.read_text().splitlines()
    assert len(lines) == 4
    assert all(json.loads(line) for line in lines)
    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patch:
        Asked(patch)
        ask(file)
    assert len(file.read_text().splitlines()) == 10


def test_the_models_mode_is_put_back(asked: Asked, tmp_path: Path) -> None:
    model: Any = torch.nn.Linear(1, 1).train()
    images: Any = None
    predict(model, presence(), images, tmp_path / "a.jsonl")
    assert model.training


@given(st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=40), st.integers(0, 2**63))
def test_every_image_is_shown_for_another(names: list[str], seed: int) -> None:
    if len(set(names)) < 2:
        with pytest.raises(CobraError, match="one picture cannot be swapped with another"):
            shuffled_images(names, seed)
        return
    shown = shuffled_images(names, seed)
    assert set(shown) == set(shown.values()) == set(names)
    assert all(image != other for image, other in shown.items())
    assert shuffled_images(names, seed) == shown


def test_the_control_asks_with_the_other_image(asked: Asked, tmp_path: Path) -> None:
    shown = shuffled_images([q.image for q in presence().questions], 1)
    predictions = ask(tmp_path / "a.jsonl", shown=shown)
    assert [prediction.image for prediction in predictions] == [shown[q.image] for q in presence().questions]
    scored = score(presence(), predictions)
    assert [row.image for row in scored.scores] == [q.image for q in presence().questions]  # the cluster stays


def test_scores_are_by_the_benchmarks_rule_and_go_to_disk(tmp_path: Path) -> None:
    benchmark = presence()
    predictions = [
        Prediction(q.question_id, q.image, "Yes", {"Yes": 0.9 if i in (1, 3, 7) else 0.1, "No": 0.5})
        for i, q in enumerate(benchmark.questions)
    ]
    scored = score(benchmark, predictions)
    assert (scored.rule, scored.mean_of_groups) == ("pope/first-token", True)
    random, adversarial = 5 / 6, 3 / 4  # q5 and q9 are missed
    assert scored.summary["accuracy"] == pytest.approx((random + adversarial) / 2)
    write_scores(tmp_path / "scores" / "presence.jsonl", scored.scores)
    assert read_scores(tmp_path / "scores" / "presence.jsonl") == scored.scores
    assert scored.entry("f")["floor"] == 0.5


def test_scores_say_how_probable_the_choices_were() -> None:
    benchmark = presence(4)
    masses = [0.9, 0.1, 0.0, 0.2]
    predictions = [
        Prediction(q.question_id, q.image, "Yes", {"Yes": mass / 2, "No": mass / 2})
        for q, mass in zip(benchmark.questions, masses, strict=True)
    ]
    assert score(benchmark, predictions).entry("f")["choice_mass"] == pytest.approx(0.3)
    words = replace(benchmark, rule="pope/text")
    generated = [Prediction(q.question_id, q.image, "Yes") for q in words.questions]
    assert score(words, generated).entry("f")["choice_mass"] is None


def test_choices_that_cannot_be_ranked_are_refused_before_training() -> None:
    model: Any = SimpleNamespace(processor=SimpleNamespace(codec=TextCodec(small_tokenizer(), ChatTemplate(), 64)))
    predictions.check_choices(model, presence())
    listed = [replace(question, choices=["Yes", "No"]) for question in presence().questions]  # a plugin's mistake
    predictions.check_choices(model, replace(presence(), questions=listed))
    long = [replace(question, choices=("Yes", "extraordinary")) for question in presence().questions]
    with pytest.raises(CobraError, match=r"presence: answer 'extraordinary' is \d+ tokens"):
        predictions.check_choices(model, replace(presence(), questions=long))


def test_missing_and_damaged_scores_are_told(tmp_path: Path) -> None:
    with pytest.raises(CobraError, match="no such scores"):
        read_scores(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"answer": 1}\n')
    with pytest.raises(CobraError, match="not a file of scores"):
        read_scores(tmp_path / "odd.jsonl")


def test_a_part_of_the_questions_is_the_same_every_time() -> None:
    part = some_questions(presence(), 4, seed=3)
    assert part == some_questions(presence(), 4, seed=3)
    assert len(part.questions) == len(part.annotations) == len(part.groups) == 4
    places = [int(q.question_id[1:]) for q in part.questions]
    assert [part.annotations[i] for i in range(4)] == [presence().annotations[place] for place in places]
    assert some_questions(presence(), 99, seed=3) == presence()


def long_prompts(*prompts: str) -> Benchmark:
    return Benchmark(
        name="long",
        label="long",
        rule="vqa/soft",
        questions=[Question(f"q{i}", "p", prompt) for i, prompt in enumerate(prompts)],
        annotations=[{"answers": ("a",)}] * len(prompts),
    )


CODEC = TextCodec(small_tokenizer(), ChatTemplate(), 32)


def test_questions_that_fit_are_asked() -> None:
    check_questions({"long": long_prompts("What?", "<image>\nWhat?")}, ["p"], CODEC)
    check_questions({}, [], CODEC)


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        (long_prompts("What?", "What " * 40), r"long, question q1: 1 of 2 questions cannot be asked; the first: the "),
        (long_prompts("<image><image>"), r"long, question q0: 1 of 1 questions .* 2 <image> marker"),
        (
            replace(long_prompts("a", "b"), questions=[Question("q", "p", "a"), Question("q", "p", "b")]),
            r"long, question q: 2 of 2 questions cannot be asked; the first: 2 questions have this id",
        ),
        (
            replace(long_prompts("a"), questions=[Question("q", "elsewhere", "a")]),
            r"long, question q: .* the data source lists no picture 'elsewhere' for this split",
        ),
    ],
)
def test_questions_that_would_stop_a_run_after_training_are_found_before_it(benchmark: Benchmark, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        check_questions({"long": benchmark}, ["p"], CODEC)
    assert "leave the benchmark out" in str(error.value)


def test_cut_answers_are_counted() -> None:
    benchmark = presence(4)
    predictions = [Prediction(f"q{i}", f"p{i // 2}", "Yes", {"Yes": 0.9, "No": 0.1}, cut=i == 3) for i in range(4)]
    entry = score(benchmark, predictions).entry("file")
    assert (entry["questions"], entry["cut_answers"], entry["left_out"]) == (4, 1, 0)
