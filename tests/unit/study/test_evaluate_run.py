"""A trained run is asked more: each question once, whatever happens in between, and each number says how."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from asked_and_killed import PHASES, TOY, ask_and_die
from fake_study import write_study

from cobra_kit import _plugins
from cobra_kit.errors import CobraError
from cobra_kit.evaluate import predict as predict_module
from cobra_kit.evaluate.protocol import limited_places
from cobra_kit.model import compose
from cobra_kit.recipe import load_recipe
from cobra_kit.report import render_csv, render_text
from cobra_kit.study.evaluation import evaluate_run as evaluate_module
from cobra_kit.study.evaluation.asked_run import find_run
from cobra_kit.study.evaluation.evaluate_run import Evaluated, evaluate_run
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.study.reading.report import study_state
from cobra_kit.study.reading.results import study_calibration
from cobra_kit.study.reading.stored_evaluations import read_evaluations
from cobra_kit.study.reading.stored_study import read_study


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    _plugins.configure(files=[TOY])
    yield
    _plugins.configure()


@pytest.fixture(scope="module")
def composed(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two arms whose models are as they were composed; nobody asks here what they have learnt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        folder = tmp_path_factory.mktemp("composed")
        study = write_study(folder)
        for run in make_plan(load_recipe(folder / "miniature.yaml")).runs:
            compose(run.resolved, seed=run.seed).save_pretrained(study / "runs" / run.name)
    return study


@pytest.fixture
def asked_study(composed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(composed, tmp_path / "study"))


def ask(path: Path, **options: Any) -> Evaluated:
    return evaluate_run(find_run(path), options.pop("benchmarks", ["grey"]), **options)


def contents(run: Path) -> dict[str, bytes]:
    files = sorted(run.glob("evaluations/*/*.jsonl"))
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


def test_results_join_the_table_with_their_protocol(asked_study: Path) -> None:
    before = study_state(asked_study).table
    for arm in ("mlp", "linear"):
        evaluated = ask(asked_study / f"{arm}-s7", limit=10)
    (evaluation,) = evaluated.evaluations
    assert evaluation.title == "toy-benchmark/grey@easy:10"
    table = study_state(asked_study).table
    assert before is not None
    assert table is not None
    *own, row = table.rows
    assert [each.benchmark for each in own] == [each.benchmark for each in before.rows]
    assert (row.benchmark, row.questions, set(row.scores)) == (evaluation.title, 10, {"mlp", "linear"})
    assert list(row.differences) == ["linear"]
    protocol = {
        "split": "easy",
        "questions": "10 of 40 (the first 10 places after random.Random(21).shuffle)",
        "decoding": "greedy, at most 4 new tokens",
        "post-processing": "none",
        "rule": "pope/exact",
        "prompt": '"Is it grey {question}?"',
    }
    assert row.protocol == protocol
    sentence = "; ".join(f"{name} {text}" for name, text in protocol.items())
    assert sentence in render_csv(table).replace('""', '"')
    assert f"{evaluation.title}: {sentence}" in " ".join(render_text(table, 80).split())
    assert json.loads((asked_study / "table.json").read_text())["rows"][-1]["protocol"] == protocol
    calibration = study_calibration(read_study(asked_study))
    assert [score.name for score in calibration.benchmarks] == [each.benchmark for each in own]


@pytest.mark.parametrize(
    ("other", "titles"),
    [
        ({"split": "hard"}, {"grey@easy", "grey@hard"}),
        ({"limit": 7}, {"grey@easy", "grey@easy:7"}),
        ({"changes": {"prompt": "Grey {question}?"}}, None),
    ],
)
def test_numbers_of_two_protocols_are_never_subtracted(
    asked_study: Path, other: dict[str, Any], titles: set[str] | None
) -> None:
    ask(asked_study / "mlp-s7")
    ask(asked_study / "linear-s7", **other)
    table = study_state(asked_study).table
    assert table is not None
    rows = [row for row in table.rows if row.protocol]
    assert [(len(row.scores), dict(row.differences)) for row in rows] == [(1, {}), (1, {})]
    names = {row.benchmark.removeprefix("toy-benchmark/") for row in rows}
    assert len(names) == 2
    if titles is None:  # the same split and questions: told apart by the protocol's digest
        assert {name.partition("#")[0] for name in names} == {"grey@easy"}
    else:
        assert names == titles


def test_no_question_is_asked_twice(asked_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer_batch = predict_module._answer_batch

    def counted(model: Any, questions: Any, *rest: Any) -> Any:
        if len(asked) >= 32:
            raise KeyboardInterrupt
        asked.extend(question.question_id for question, _ in questions)
        return answer_batch(model, questions, *rest)

    run = asked_study / "mlp-s7"
    with monkeypatch.context() as patch:
        patch.setattr(predict_module, "_answer_batch", counted)
        with pytest.raises(KeyboardInterrupt):
            ask(run)
        assert read_evaluations(asked_study / "runs/mlp-s7") == []
        patch.setattr(
            predict_module, "_answer_batch", lambda *a: asked.extend(q.question_id for q, _ in a[1]) or answer_batch(*a)
        )
        first = ask(run)
    assert asked == [f"q{number}" for number in range(40)]
    monkeypatch.setattr(evaluate_module, "load", lambda *_, **__: pytest.fail("nothing is left to ask"))
    assert ask(run).evaluations == first.evaluations


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_answers_are_the_same(
    context: ForkServerContext, asked_study: Path, tmp_path: Path, kills: int
) -> None:
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(asked_study / "runs/mlp-s7", undisturbed)
    settings = {"questions": 200}  # more batches than ten deaths, of one to three writes each, leave behind
    ask(undisturbed, changes=settings)
    generator = random.Random(5)
    for _ in range(kills):
        moment = generator.randrange(1, 4), generator.choice(PHASES)
        process = context.Process(target=ask_and_die, args=(str(asked_study / "mlp-s7"), 200, *moment))
        process.start()
        process.join(300)
        assert process.exitcode == -signal.SIGKILL
        assert read_evaluations(asked_study / "runs/mlp-s7") == []  # each of them died with work left
    ask(asked_study / "mlp-s7", changes=settings)
    assert contents(asked_study / "runs/mlp-s7") == contents(undisturbed) != {}


def test_a_saved_model_alone_is_asked(asked_study: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("recipe.yaml", "lock.json", "model.safetensors"):
        shutil.copy(asked_study / "runs/mlp-s7" / name, model)
    evaluated = ask(model, limit=3)
    assert evaluated.table is None
    assert [evaluation.entry["questions"] for evaluation in evaluated.evaluations] == [3]


def test_answers_of_other_weights_leave_the_list(asked_study: Path) -> None:
    run, other = asked_study / "runs/mlp-s7", asked_study / "runs/linear-s7"
    ask(run, limit=3)
    for name in ("recipe.yaml", "lock.json", "model.safetensors"):
        shutil.copy(other / name, run)
    ask(run, limit=4)
    assert [evaluation.protocol.asked for evaluation in read_evaluations(run)] == [4]


def test_unreadable_images_are_left_out_and_counted(asked_study: Path) -> None:
    evaluated = ask(asked_study / "mlp-s7", changes={"questions": 200, "broken": 1})
    entry = evaluated.evaluations[0].entry
    assert (entry["questions"], entry["left_out"]) == (199, 1)


def test_a_damaged_score_is_made_again_from_the_answers(asked_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = asked_study / "runs/mlp-s7"
    first = ask(run, limit=5)
    (run / first.evaluations[0].entry["file"]).write_text("{}\n")
    monkeypatch.setattr(predict_module, "_answer_batch", lambda *_: pytest.fail("asked again"))
    assert ask(run, limit=5).evaluations == first.evaluations


def test_a_smaller_limit_lies_within_a_larger_one() -> None:
    assert set(limited_places(50, 5)) < set(limited_places(50, 20)) < set(limited_places(50, None))
    assert limited_places(50, 50) == limited_places(50, None) == list(range(50))


@pytest.mark.parametrize(
    ("run", "options", "words"),
    [
        ("mpl-s7", {}, ["no such run", "did you mean", "mlp-s7"]),
        ("", {}, ["a study of 2 runs, and one of them is asked", "mlp-s7"]),
        ("features-of-mine", {}, ["no such run", "STUDY/ARM-sSEED"]),
        ("mlp-s7", {"benchmarks": ["toy-benchmark/gray"]}, ["no benchmark named", "did you mean toy-benchmark/grey"]),
        ("mlp-s7", {"benchmarks": []}, ["no benchmark is named"]),
        ("mlp-s7", {"benchmarks": ["vqav2"], "root": Path("nowhere")}, ["no annotations", "vqav2_annotations.json"]),
        ("mlp-s7", {"limit": 0}, ["0 questions are none to ask"]),
        ("mlp-s7", {"split": "esay"}, ["no split 'esay'", "easy and hard"]),
        ("mlp-s7", {"changes": {"brokn": 1}}, ["brokn: is no setting of it", "did you mean broken?"]),
        ("mlp-s7", {"changes": {"named": False}}, ["40 of 40 questions name no picture, the first is 'q0'"]),
        ("mlp-s7", {"changes": {"broken": 40}}, ["pictures cannot be read", "g0.png: the file is truncated"]),
        ("mlp-s7", {"changes": {"questions": 0}}, ["has no questions in this split"]),
        ("mlp-s7", {"changes": {"rule": "pope/text"}}, ["says the rule pope/text", "scored by pope/exact"]),
        ("mlp-s7", {"changes": {"prompt": "<image> or <image> {question}?"}}, ["40 of 40 questions cannot be asked"]),
    ],
)
def test_bad_input(asked_study: Path, run: str, options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(CobraError) as caught:
        ask(asked_study / run, **options)
    for each in words:
        assert each in str(caught.value)


def test_an_unfinished_run_is_refused(asked_study: Path) -> None:
    (asked_study / "runs/mlp-s7/model.safetensors").unlink()
    with pytest.raises(CobraError, match="not trained to its end"):
        find_run(asked_study / "mlp-s7")


def test_a_damaged_list_is_refused_by_readers_and_written_anew(asked_study: Path) -> None:
    run = asked_study / "runs/mlp-s7"
    first = ask(run, limit=5)
    (run / "evaluations.json").write_text('{"x": 1}')
    with pytest.raises(CobraError, match="the list of evaluations is damaged"):
        study_state(asked_study)
    assert ask(run, limit=5).evaluations == first.evaluations
