"""Samples that lmms-eval writes are a form of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cobra_kit.cli import main
from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.results import ResultForm, read_results

FORM = ResultForm(example='{"question_id": 42, "answer": "yes"}')


def sample(number: int, answer: Any, **further: Any) -> dict[str, Any]:
    """Returns a line as lmms-eval 0.7 writes it."""
    return {
        "doc_id": number,
        "target": "yes",
        "filtered_resps": answer,
        "token_counts": [None],
        "doc_hash": "74234e",
        "input": "Is there a dog?\nAnswer the question using a single word or phrase.",
        **further,
    }


def written(path: Path, *samples: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in samples))
    return path


def test_the_id_that_the_task_kept_names_the_question_and_else_its_place(tmp_path: Path) -> None:
    kept = sample(5, "Yes.", submission={"question_id": 42, "answer": "yes"}, exact_match=1.0)
    photo = sample(6, ["no"], submission={"image": "VizWiz_1.jpg", "answer": "no"})
    first, second = read_results(written(tmp_path / "s.jsonl", kept, photo), FORM)
    assert (first.keys, first.text) == (("42",), "Yes.")
    assert first.question.startswith("Is there a dog?")
    assert (second.keys, second.text, second.image) == (("#6",), "no", "VizWiz_1.jpg")


@pytest.mark.parametrize(
    ("answer", "what"), [(["a", "b"], "2 answers"), ([[0.5, True]], "2 answers"), (0.5, "a float"), (None, "None")]
)
def test_what_is_no_one_text_is_refused(tmp_path: Path, answer: Any, what: str) -> None:
    file = written(tmp_path / "s.jsonl", sample(0, "a"), sample(1, answer))
    with pytest.raises(DataError, match=rf"s\.jsonl:2: `filtered_resps` holds .*{what.split()[-1]}, expected one text"):
        read_results(file, FORM)


def test_samples_are_scored_against_the_official_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official = [
        {"question_id": number, "image": f"{number}.jpg", "text": "Is there a dog?", "label": label}
        for number, label in enumerate(["yes", "no", "no"], start=1)
    ]
    annotations = written(tmp_path / "pope_random.json", *official)
    by_id = [sample(n, answer, pope={"question_id": n + 1}) for n, answer in enumerate(["Yes", "Yes", "No"])]
    by_place = [sample(n, answer) for n, answer in enumerate(["Yes", "Yes", "No"])]
    for name, lines in {"ids": by_id, "places": list(reversed(by_place))}.items():
        file = written(tmp_path / f"{name}.jsonl", *lines)
        words = ["score", "benchmarks/pope", "--predictions", str(file), "--annotations", str(annotations), "--json"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["summary"]["accuracy"] == pytest.approx(2 / 3)


def test_samples_of_other_questions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official = {"question_id": 1, "image": "1.jpg", "text": "Is there a cat?", "label": "yes"}
    annotations = written(tmp_path / "pope_random.json", official)
    file = written(tmp_path / "s.jsonl", sample(0, "Yes", pope={"question_id": 1}))
    assert main(["score", "benchmarks/pope", "--predictions", str(file), "--annotations", str(annotations)]) != 0
    assert "repeat another question than the one they name" in capsys.readouterr().err
