"""The embedded world as a data source: benchmarks that their rules can score, floors, prompts as trained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cobra_kit.errors import DataError
from cobra_kit.evaluate.predict import Prediction
from cobra_kit.evaluate.score import score
from cobra_kit.events import Event, Message, Progress
from cobra_kit_scenes.dataset import scenes_dataset
from cobra_kit_scenes.oracle import reach
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.source import ScenesSource, World

PARAMS = SceneParams.checked(train=80, val=30, test=60, disagreement=0.0)
RULES = {
    "presence": "pope/first-token",
    "attribute": "vqav2/official",
    "count": "vqav2/official",
    "spatial": "vsr/first-token",
    "reading": "textvqa/m4c",
    "boxes": "refcoco/cobra",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def source(cache: Path) -> ScenesSource:
    return ScenesSource(scenes_dataset(PARAMS, cache, workers=0))


def truth(benchmark: str, annotation: object) -> str:
    assert isinstance(annotation, dict)
    if benchmark != "boxes":
        return str(annotation["answers"][0])
    (x, y, w, h), (width, height) = annotation["box"], annotation["image_size"]
    return f"[{x / width:.2f}, {y / height:.2f}, {(x + w) / width:.2f}, {(y + h) / height:.2f}]"


@pytest.mark.parametrize("split", ["val", "test"])
def test_true_answers_score_everything_and_silence_nothing(source: ScenesSource, split: str) -> None:
    benchmarks = source.benchmarks("val" if split == "val" else "test")
    assert {name: benchmark.rule for name, benchmark in benchmarks.items()} == RULES
    for name, benchmark in benchmarks.items():
        right = [truth(name, annotation) for annotation in benchmark.annotations]
        for answers, expected in ((right, 1.0), ([""] * len(right), 0.0)):
            predictions = [
                Prediction(q.question_id, q.image, a, {c: float(c == a) for c in q.choices} if q.choices else None)
                for q, a in zip(benchmark.questions, answers, strict=True)
            ]
            figure = next(iter(score(benchmark, predictions).summary.values()))
            if expected or not benchmark.questions[0].choices:  # of two choices one is always chosen
                assert figure == pytest.approx(expected), name


def test_questions_are_about_images_of_their_split_and_unique(source: ScenesSource) -> None:
    images = set(source.image_ids("test"))
    for benchmark in source.benchmarks("test").values():
        ids = [question.question_id for question in benchmark.questions]
        assert len(set(ids)) == len(ids) > 0
        assert {question.image for question in benchmark.questions} <= images
        assert len(benchmark.groups) == len(ids)
    assert set(source.benchmarks("test")["presence"].groups) == {"random", "popular", "adversarial"}
    assert source.image("scenes_test_000000000003.png").size == (64, 64)


def test_prompts_are_the_trained_ones(source: ScenesSource) -> None:
    trained = {question.removeprefix("<image>\n") for row in source.rows for question, _ in row.turns}
    letters = source.benchmarks("test")["reading"].questions
    assert {question.prompt for question in letters} <= trained
    assert all(q.prompt.startswith("True or false? ") for q in source.benchmarks("test")["spatial"].questions)


def test_floors_are_those_of_the_text_only_oracle(source: ScenesSource) -> None:
    bounds = reach(source.dataset, "test")
    benchmarks = source.benchmarks("test")
    parts = [bounds[f"pope_{group}"].floor for group in ("random", "popular", "adversarial")]
    assert benchmarks["presence"].floor == pytest.approx(sum(parts) / 300)
    assert benchmarks["boxes"].floor == pytest.approx(bounds["refcoco"].floor / 100)
    slices = [bounds[name] for name in bounds if name.startswith(("vqav2:color", "vqav2:shape"))]
    weighted = sum(part.floor * part.questions for part in slices) / sum(part.questions for part in slices)
    assert benchmarks["attribute"].floor == pytest.approx(weighted / 100)
    assert all(benchmark.ceiling == pytest.approx(1.0) for benchmark in benchmarks.values())  # nobody disagrees here


def test_every_group_of_questions_has_its_floor(source: ScenesSource) -> None:
    for benchmark in source.benchmarks("test").values():
        assert set(benchmark.group_floors) == set(benchmark.groups), benchmark.name
        shares = Counter(benchmark.groups)
        if benchmark.name != "presence":  # whose floor is the mean over its groups
            mean = sum(benchmark.group_floors[name] * number for name, number in shares.items()) / shares.total()
            assert mean == pytest.approx(benchmark.floor), benchmark.name


def test_an_empty_split_is_told(cache: Path) -> None:
    source = ScenesSource(scenes_dataset(SceneParams.checked(train=5, val=0, test=5), cache, workers=0))
    with pytest.raises(DataError, match=r"data.val: the val split of scenes is empty\n.*--set data.val=600"):
        source.benchmarks("val")


def test_drawing_is_reported_and_the_fingerprint_follows_the_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path))
    events: list[Event] = []
    first = World.open(SceneParams.checked(train=4, val=2, test=2), events.append)
    assert any(isinstance(event, Progress) and event.task == "scenes" for event in events)
    assert events[-1] == Message(text="scenes: 4 train, 2 val, 2 test pictures")
    events.clear()
    again = World.open(SceneParams.checked(train=4, val=2, test=2), events.append)
    assert [type(event) for event in events] == [Message]
    assert again.fingerprint == first.fingerprint
    other = World.open(SceneParams.checked(train=4, val=2, test=2, seed=1), events.append)
    assert other.fingerprint != first.fingerprint
