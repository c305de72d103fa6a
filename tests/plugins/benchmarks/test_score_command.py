"""`cobra-kit score`: predictions in every result form, joined on ids, and bad files refused with words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import official_files
import pytest

from cobra_kit.cli import main
from cobra_kit.evaluate.matching import same_image

ANSWERS: dict[str, list[dict[str, Any]]] = {
    "vqav2": [
        {"question_id": 42, "answer": "two"},
        {"question_id": 262148000, "answer": "down"},
        {"question_id": 262148001, "answer": "green"},
    ],
    "gqa": [{"questionId": "07", "prediction": "Yes."}, {"questionId": "08", "prediction": "girl"}],
    "vizwiz": [
        {"image": "VizWiz_val_00000000.jpg", "answer": "soup"},
        {"image": "VizWiz_val_00000001.jpg", "answer": "Unanswerable"},
    ],
    "textvqa": [{"question_id": 34602 + number, "answer": text} for number, text in enumerate(["Dakota", "x", "x"])],
    "vsr": [{"question_id": 0, "answer": "True"}, {"question_id": 1, "answer": "true."}],
    "pope": [
        {"question_id": number, "category": split, "answer": "Yes"}
        for split in ("random", "popular", "adversarial")
        for number in (1, 2)
    ],
    "refcoco": [
        {"question_id": 0, "answer": "[0.73, 0.0, 1.0, 0.27]"},
        {"question_id": 1, "bbox": [0.0, 0.5, 0.1, 0.6]},
    ],
}
EXPECTED = {"vqav2": 1.6 / 3, "gqa": 0.5, "vizwiz": 1.0, "textvqa": 1 / 3, "vsr": 0.5, "pope": 0.5, "refcoco": 0.5}
ANSWERS["refcoco-plus"] = ANSWERS["refcocog"] = ANSWERS["refcoco"]
EXPECTED["refcoco-plus"] = EXPECTED["refcocog"] = 0.5


class Scorer:
    """Scores rows against a benchmark's small files, as typed on the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.predictions = folder / "predictions.json"

    def run(self, name: str, rows: Any, *options: str) -> tuple[int, str, str]:
        annotations = official_files.write(self.folder / name, name)
        if rows is not None:
            official_files.as_json(self.predictions, rows)
        paths = ["--predictions", str(self.predictions), "--annotations", str(annotations)]
        status = main(["score", name, *paths, *options])
        streams = self.capsys.readouterr()
        return status, streams.out, streams.err

    def score(self, name: str, rows: Any, *options: str) -> dict[str, Any]:
        status, out, err = self.run(name, rows, *options, "--json")
        assert status == 0, err
        result: dict[str, Any] = json.loads(out)
        return result

    def refusal(self, name: str, rows: Any, *options: str) -> str:
        status, out, err = self.run(name, rows, *options)
        assert (status, out) == (1, "")
        return err


@pytest.fixture
def scorer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Scorer:
    return Scorer(tmp_path, capsys)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_official_result_form_is_scored_by_the_papers_rule(name: str, scorer: Scorer) -> None:
    result = scorer.score(name, ANSWERS[name])
    assert next(iter(result["summary"].values())) == pytest.approx(EXPECTED[name])
    assert result["questions"] == result["scored"] == len(ANSWERS[name])
    assert result["protocol"]["rule"] == result["rule"]["name"]
    assert result["protocol"]["split"].startswith("not ")  # three questions are no official split, and it says so


@pytest.mark.parametrize("name", ANSWERS)
def test_the_order_of_predictions_does_not_matter(name: str, scorer: Scorer) -> None:
    assert scorer.score(name, ANSWERS[name][::-1])["summary"] == scorer.score(name, ANSWERS[name])["summary"]


def test_the_text_says_number_interval_split_and_rule(scorer: Scorer) -> None:
    status, out, err = scorer.run("vqav2", ANSWERS["vqav2"], "--rule", "vqav2/lavis")
    assert (status, err) == (0, "")
    assert out.startswith("benchmarks/vqav2  accuracy 43.33  [")
    assert "questions         3 of 3" in out
    assert "rule              vqav2/lavis (as asked)" in out
    assert "post-processing   " in out
    assert "decoding, prompt  unknown here: whatever made the predictions" in out
    assert "split             not val: 3 questions, the official split has 214,354" in out


def test_probabilities_are_scored_by_the_first_token_and_texts_by_the_text_rule(scorer: Scorer) -> None:
    rows = [{"question_id": number, "probabilities": {"True": 0.6, "False": 0.1}} for number in (0, 1)]
    assert scorer.score("vsr", rows)["rule"]["name"] == "vsr/first-token"
    texts = scorer.score("vsr", ANSWERS["vsr"])["rule"]
    assert texts["name"] == "vsr/text"
    assert texts["chosen"] == "the predictions are texts; vsr/first-token reads probabilities"
    error = scorer.refusal("vsr", ANSWERS["vsr"], "--rule", "vsr/first-token")
    assert "the rule vsr/first-token reads the probabilities of True and False, here is a text alone" in error


def test_other_forms_are_known_by_their_keys(scorer: Scorer) -> None:
    expected = scorer.score("vqav2", ANSWERS["vqav2"])["summary"]
    harness = {
        str(row["question_id"]): {"question_id": row["question_id"], "model_output": row["answer"]}
        for row in ANSWERS["vqav2"]
    }
    assert scorer.score("vqav2", harness)["summary"] == expected
    lines = [{"question_id": row["question_id"], "text": row["answer"], "prompt": ""} for row in ANSWERS["vqav2"]]
    official_files.as_lines(scorer.predictions, lines)
    assert scorer.score("vqav2", None)["summary"] == expected
    scorer.predictions.write_bytes(b"\xef\xbb\xbf" + scorer.predictions.read_bytes())
    assert scorer.score("vqav2", None)["summary"] == expected


def test_minigpt4s_answers_are_joined_by_image_and_turn(scorer: Scorer) -> None:
    rows = {"COCO_train2014_000000580957_4": ["{<73><0><100><27>}", "{<0><50><10><60>}"]}
    assert scorer.score("refcoco", rows, "--rule", "refcoco/minigpt4")["summary"]["accuracy"] == 0.5
    assert "MiniGPT-4's form" in scorer.refusal("refcoco", rows)


def test_llavas_textvqa_answers_are_joined_by_image_and_question(scorer: Scorer) -> None:
    rows = [
        {"question_id": image, "prompt": f"{text}\nReference OCR token: x\nAnswer.", "text": answer}
        for image, text, answer in (
            ("b2", "what brand?", "x"),
            ("a1", "which year?", "x"),
            ("a1", "what brand?", "dakota"),
        )
    ]
    assert scorer.score("textvqa", rows)["summary"]["accuracy"] == pytest.approx(1 / 3)


def test_popes_rows_without_ids_are_joined_by_split_and_place(scorer: Scorer) -> None:
    annotations = official_files.write(scorer.folder / "pope", "pope")
    answers = scorer.folder / "answers"
    answers.mkdir()
    for split in ("random", "popular", "adversarial"):
        rows = [json.loads(line) for line in (annotations / f"coco_pope_{split}.json").read_text().splitlines()]
        official_files.as_lines(
            answers / f"{split}.json", [{"question": row["text"], "answer": row["label"]} for row in rows]
        )
    scorer.predictions = answers
    assert scorer.score("pope", None)["summary"]["accuracy"] == 1.0
    (answers / "random.json").write_text((answers / "popular.json").read_text())
    error = scorer.refusal("pope", None)
    assert "predictions repeat another question than the one they name: 'random/2' asks" in error


def test_popes_ids_alone_are_ambiguous_and_refused(scorer: Scorer) -> None:
    rows = [{"question_id": number, "answer": "Yes"} for number in (1, 2)]
    error = scorer.refusal("pope", rows)
    assert "none of its 2 predictions names a question of pope: they are called '1'" in error


def test_missing_extra_and_repeated_ids_are_named_counted_and_left_out_on_request(scorer: Scorer) -> None:
    rows = [*ANSWERS["vqav2"][1:], ANSWERS["vqav2"][1], {"question_id": 7, "answer": "x"}]
    error = scorer.refusal("vqav2", rows)
    assert "1 questions have no prediction, such as '42'" in error
    assert "1 predictions name no question of this file, such as '7'" in error
    assert "1 questions have several predictions, such as '262148000'" in error
    assert "--allow-missing scores the rest and says so." in error
    result = scorer.score("vqav2", rows, "--allow-missing")
    assert (result["scored"], result["questions"], result["summary"]["accuracy"]) == (2, 3, 0.5)
    assert list(result["left_out"].values()) == [1, 1, 1]
    assert len([note for note in result["notes"] if note.startswith("left out: 1 ")]) == 3


def test_different_predictions_for_one_question_are_always_refused(scorer: Scorer) -> None:
    rows = [*ANSWERS["vqav2"], {"question_id": 42, "answer": "three"}]
    for options in ((), ("--allow-missing",)):
        assert "1 questions have several different predictions, such as '42'" in scorer.refusal("vqav2", rows, *options)


def test_predictions_of_another_benchmark_are_refused_even_with_allow_missing(scorer: Scorer) -> None:
    error = scorer.refusal("vqav2", ANSWERS["gqa"], "--allow-missing")
    assert (
        "none of its 2 predictions names a question of vqav2: they are called '07', the questions '262148000'" in error
    )
    assert "another split or benchmark" in error


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("vqav2", {"question_id": 42, "answer": None}, "`answer` is None, expected a text"),
        ("vqav2", {"question_id": 42, "answer": 2}, "`answer` is an int, expected a text"),
        ("vqav2", {"question_id": 42, "answer": ["2"]}, "`answer` is a list, expected a text"),
        ("gqa", {"questionId": "07"}, "no answer (it has `questionId`)"),
        ("vqav2", {"question_id": True, "answer": "x"}, "`question_id` is a bool, expected a number or a text"),
        ("vqav2", 3, "an int, expected a mapping"),
        (
            "vsr",
            {"question_id": 0, "probabilities": {"True": float("nan"), "False": 0.1}},
            "probability of 'True' is nan",
        ),
        ("vsr", {"question_id": 0, "probabilities": {"True": -0.1, "False": 0.1}}, "probability of 'True' is -0.1"),
        ("vsr", {"question_id": 0, "probabilities": [0.2]}, "1 probabilities, expected 2"),
        ("vizwiz", {"image": "VizWiz_val_00000000.jpg", "answer": "x", "answerable": None}, "'answerable' is None"),
    ],
)
def test_a_row_that_is_no_prediction_is_named_with_its_place(name: str, row: Any, words: str, scorer: Scorer) -> None:
    error = scorer.refusal(name, [row, *ANSWERS[name][1:]])
    assert words in error
    assert f"{scorer.predictions}: item 1" in error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"question_id": 1, "answer": "a"},\n {"question_id": }]', "line 2, column 18: not JSON"),
        ('{"question_id": 1, "answer": "a"}\n{"question_id": 2, "answer"\n', "line 2, column 28: not JSON"),
        ("", "no predictions"),
        ("[]", "no predictions"),
        ("[" * 100_000, "not JSON"),
        ("question_id,answer\n1,a\n", "line 1, column 1: not JSON"),
    ],
)
def test_files_that_are_no_predictions_are_refused_with_their_place(content: str, words: str, scorer: Scorer) -> None:
    scorer.predictions.write_text(content)
    assert words in scorer.refusal("vqav2", None)


def test_files_that_are_not_there_are_named(scorer: Scorer, tmp_path: Path) -> None:
    error = scorer.refusal("vqav2", None)
    assert f"{scorer.predictions}: no such file: the predictions" in error
    assert "a folder, expected a file of predictions" in (
        scorer.refusal("vqav2", None) if scorer.predictions.mkdir() is None else ""
    )


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[730, 0, 1000, 270], [0, 500, 100, 600]], "2 of 2 boxes have numbers outside 0..1 (up to 1000: thousandths"),
        ([[468, 1, 1640, 117], [0, 0, 64, 64]], "numbers outside 0..1 (up to 1640: pixels?)"),
        ([[0.73, 0.1, 0.27, 0.2], [0.5, 0.5, 0.1, 0.1]], "x1 >= x2 or y1 >= y2: they look like x, y, width, height"),
    ],
)
def test_boxes_in_another_unit_are_named_and_refused(boxes: list[list[float]], words: str, scorer: Scorer) -> None:
    rows = [{"question_id": number, "bbox": box} for number, box in enumerate(boxes)]
    assert words in scorer.refusal("refcoco", rows)


def test_a_single_odd_box_counts_as_wrong_and_is_told(scorer: Scorer) -> None:
    rows = [ANSWERS["refcoco"][0], {"question_id": 1, "bbox": [0.1, 0.1, 2.0, 0.5]}]
    result = scorer.score("refcoco", rows)
    assert result["summary"] == {"accuracy": 0.5, "unreadable": 0.5}
    assert result["notes"] == ["1 of 2 boxes have numbers outside 0..1 (up to 2: hundredths?); they count as wrong"]


def test_unknown_benchmarks_and_rules_name_the_nearest(scorer: Scorer) -> None:
    assert "did you mean vqav2/official" in scorer.refusal("vqav2", ANSWERS["vqav2"], "--rule", "vqav2/offical")
    status = main(["score", "vqav3", "--predictions", "p", "--annotations", "a"])
    assert status == 1
    assert "benchmarks/vqav2" in scorer.capsys.readouterr().err


def test_vizwiz_reads_answerable_of_the_results(scorer: Scorer) -> None:
    rows = [row | {"answerable": share} for row, share in zip(ANSWERS["vizwiz"], (0.9, 0.2), strict=True)]
    summary = scorer.score("vizwiz", rows)["summary"]
    assert (summary["unanswerability_ap"], summary["unanswerability_f1"]) == (1.0, 1.0)
    harness = [row | {"answerable": 1, "ground_truth_answer": []} for row in ANSWERS["vizwiz"]]
    assert scorer.score("vizwiz", harness)["summary"]["unanswerability_f1"] == 1.0  # a label there is no prediction


def test_predictions_about_other_images_are_of_another_split(scorer: Scorer) -> None:
    """The splits of POPE have the same small ids: what a prediction says of its image tells them apart."""
    rows = [{**row, "image": "COCO_val2014_000000999999.jpg"} for row in ANSWERS["pope"]]
    status, _, error = scorer.run("pope", rows)
    assert status == 1
    words = " ".join(error.split())
    assert "6 predictions are about another image than the question they name" in words
    assert "the prediction about 'COCO_val2014_000000999999.jpg'" in words
    assert "another split or release" in words


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("COCO_val2014_000000000042.jpg", "val2014/42.png", True),
        ("003a8ae2ef43b901", "003a8ae2ef43b901.jpg", True),
        ("003a8ae2ef43b901", "1c0f8ae2ef43c901.jpg", False),
        ("n161313", "n161314.jpg", False),
        ("VizWiz_val_00000000.jpg", "VizWiz_val_00000001.jpg", False),
        ("VizWiz_val_00000007.jpg", "VizWiz_test_00000007.jpg", False),
    ],
)
def test_names_of_one_image_differ_between_releases(first: str, second: str, same: bool) -> None:
    assert same_image(first, second) is same
    assert same_image(second, first) is same
