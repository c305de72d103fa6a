"""The rules on published answers and official file forms; skipped where those files are not at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cobra_kit._plugins import default_registry
from cobra_kit.cli import main
from cobra_kit.evaluate.scoring import Answered, QuestionScore, get_rule
from cobra_kit.interfaces import OfficialFiles
from cobra_kit_benchmarks.gqa.rule import answer_type

DATA = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
POPE_SPLITS = ("adversarial", "popular", "random")


def data(name: str) -> Path:
    if not (path := DATA / name).exists():
        pytest.skip(f"{name} is not in {DATA}; set COBRA_KIT_TEST_DATA to the folder that has it")
    return path


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data(name).read_text().splitlines()]


def pope_questions(folder: str) -> list[dict[str, Any]]:
    return [row | {"split": split} for split in POPE_SPLITS for row in rows(f"{folder}/coco_pope_{split}.json")]


def llava_on_pope() -> list[Answered]:
    texts = {row["question_id"]: row["text"] for row in rows("pope_llava13b_answers.jsonl")}
    return [
        Answered(
            question_id=str(row["question_id"]),
            image=row["image"],
            prediction=texts[row["question_id"]],
            answers=(row["label"],),
            group=row["split"],
        )
        for row in pope_questions("pope_llava_questions")
    ]


@pytest.mark.parametrize("name", ["pope/text", "pope/exact"])
def test_llavas_answers_give_its_published_f1(name: str) -> None:
    """LLaVA-1.5-13B: F1 of 87.1, 86.2 and 84.5 on random, popular and adversarial; mean 85.9."""
    rule = get_rule(name)
    summary = {key: round(100 * (value or 0), 1) for key, value in rule.summary(rule.score(llava_on_pope())).items()}
    published = {"f1/random": 87.1, "f1/popular": 86.2, "f1/adversarial": 84.5, "f1": 85.9}
    assert {key: summary[key] for key in published} == published
    assert (summary["accuracy"], summary["yes_ratio"]) == (87.0, 42.1)


def test_the_two_releases_of_pope_agree_where_both_ask_and_disagree_on_positions() -> None:
    official = {(row["split"], row["image"], row["text"]): row["label"] for row in pope_questions("pope_official")}
    older = {(row["split"], row["image"], row["text"]): row["label"] for row in pope_questions("pope_llava_questions")}
    assert (len(official), len(older)) == (9000, 8910)
    both = official.keys() & older.keys()
    assert all(official[key] == older[key] for key in both)
    assert len(older.keys() - both) == 246  # so a join by position would compare different questions


def test_the_vqa_fixture_under_two_rules() -> None:
    texts = {row["question_id"]: row["answer"] for row in json.loads(data("vqav2_fixture/results.json").read_text())}
    annotations = json.loads(data("vqav2_fixture/annotations.json").read_text())["annotations"]
    answered = [
        Answered(
            question_id=str(row["question_id"]),
            image=str(row["image_id"]),
            prediction=texts[row["question_id"]],
            answers=tuple(answer["answer"] for answer in row["answers"]),
        )
        for row in annotations
    ]
    accuracies = {
        name: round(100 * (get_rule(name).summary(get_rule(name).score(answered))["accuracy"] or 0), 2)
        for name in ("vqav2/official", "vqav2/lavis")
    }
    assert accuracies == {"vqav2/official": 56.0, "vqav2/lavis": 76.0}


def test_every_textvqa_row_scores_as_the_reference_did() -> None:
    given = rows("textvqa_val_first30.jsonl")
    answered = [
        Answered(
            question_id=str(index),
            image=row["image_id"],
            prediction=row["llava15_13b"],
            answers=tuple(row["answers"]),
        )
        for index, row in enumerate(given)
    ]
    scores = [score.score for score in get_rule("textvqa/m4c").score(answered)]
    assert scores == pytest.approx([row["m4c_score"] for row in given])


def test_the_gqa_fixture() -> None:
    texts = {row["questionId"]: row["prediction"] for row in json.loads(data("gqa_fixture/pred.json").read_text())}
    questions = json.loads(data("gqa_fixture/testdev_questions.json").read_text())
    answered = [
        Answered(
            question_id=key,
            image=row["imageId"],
            prediction=texts[key],
            answers=(row["answer"],),
            group=answer_type(row["types"]["structural"]),
        )
        for key, row in questions.items()
    ]
    rule = get_rule("gqa/official")
    assert rule.summary(rule.score(answered)) == {"accuracy": 0.5, "accuracy/binary": 1, "accuracy/open": 0}


@pytest.mark.parametrize("name", ["refcoco_val.json", "refcocog_val.json"])
def test_true_boxes_score_as_right_under_both_rules(name: str) -> None:
    """The boxes themselves, written as each model writes them; rounding alone spoils a few thin ones."""
    by_rule: dict[str, list[QuestionScore]] = {"refcoco/cobra": [], "refcoco/minigpt4": []}
    rules = {rule: get_rule(rule) for rule in by_rule}
    for index, row in enumerate(json.loads(data(name).read_text())):
        x, y, width, height = row["bbox"]
        parts = (
            x / row["width"],
            y / row["height"],
            (x + width) / row["width"],
            (y + height) / row["height"],
        )
        written = {
            "refcoco/cobra": str([round(part, 2) for part in parts]),
            "refcoco/minigpt4": "{" + "".join(f"<{round(100 * part)}>" for part in parts) + "}",
        }
        for rule, text in written.items():
            question = Answered(
                question_id=str(index),
                image=row["img_id"],
                prediction=text,
                box=(x, y, width, height),
                image_size=(row["width"], row["height"]),
            )
            by_rule[rule] += rules[rule].score([question])
    for rule, scores in by_rule.items():
        assert get_rule(rule).summary(scores)["accuracy"] == pytest.approx(1.0, abs=0.001)


def test_vsr_always_true_scores_the_share_of_true_statements() -> None:
    given = rows("vsr_zeroshot/test.jsonl")
    answered = [
        Answered(
            question_id=str(index),
            image=row["image"],
            answers=(str(row["label"] == 1),),
            probabilities={"True": 0.6, "False": 0.4},
        )
        for index, row in enumerate(given)
    ]
    rule = get_rule("vsr/first-token")
    scores = rule.score(answered)
    assert len(scores) == 1222
    assert len({score.image for score in scores}) == 715
    assert rule.summary(scores)["accuracy"] == sum(row["label"] for row in given) / len(given)
    assert rule.summary(scores)["auc"] == 0.5


@pytest.mark.parametrize(
    ("name", "file", "split"),
    [
        ("vsr", "vsr_zeroshot/test.jsonl", "test"),
        ("pope", "pope_official", "coco"),
        ("pope", "pope_llava_questions", "coco"),
        ("refcoco", "refcoco_val.json", "val"),
        ("refcocog", "refcocog_val.json", "val"),
    ],
)
def test_published_files_have_the_counts_of_the_official_split(name: str, file: str, split: str) -> None:
    factory = default_registry().benchmark(name).load_benchmark()
    assert issubclass(factory, OfficialFiles)
    assert factory.read_files(data(file)).split == split


def test_llavas_answers_are_joined_to_the_other_release_by_image_and_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = ["--predictions", str(data("pope_llava13b_answers.jsonl")), "--annotations", str(data("pope_official"))]
    assert main(["score", "pope", *files]) == 1
    assert "none of its 8,910 predictions names a question of pope" in capsys.readouterr().err
    asked = ["--questions", str(data("pope_llava_prompts.jsonl"))]
    assert main(["score", "pope", *files, *asked]) == 1
    assert "336 questions have no prediction" in capsys.readouterr().err
    status = main(["score", "pope", *files, *asked, "--allow-missing", "--json"])
    streams = capsys.readouterr()
    assert status == 0, streams.err
    result = json.loads(streams.out)
    assert (result["scored"], round(100 * result["summary"]["accuracy"], 2)) == (8664, 87.08)
