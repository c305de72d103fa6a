"""The files a world consists of: forms, floors, balance."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from math import comb
from pathlib import Path
from typing import Any

import pytest

from cobra_kit_scenes import BENCHMARKS, SceneDataset, prompt, reach, reply
from cobra_kit_scenes.annotators import SPLIT_VOTE
from cobra_kit_scenes.names import parse_name
from cobra_kit_scenes.oracle import TextOracle, iou, parse_box
from cobra_kit_scenes.vocabulary import COLOR_NAMES, SHAPES

SHARED = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


def official(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in {SHARED}; set COBRA_KIT_TEST_DATA")
    return path.read_text(encoding="utf-8")


def read(world: SceneDataset, benchmark: Any, part: str = "questions") -> Any:
    text = world.benchmark("test", benchmark)[part].read_text(encoding="utf-8")
    if benchmark.startswith("pope") or benchmark == "vsr":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


def form(value: Any) -> Any:
    """Returns keys and types; of a list, its first element's."""
    if isinstance(value, dict):
        return {key: form(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def test_vqav2_has_the_official_form(world: SceneDataset) -> None:
    for part in ("questions", "annotations"):
        theirs = form(json.loads(official(f"vqav2_fixture/{part}.json")))
        ours = form(read(world, "vqav2", part))
        assert ours.keys() == theirs.keys()
        assert ours[part] == theirs[part]
    annotations = read(world, "vqav2", "annotations")["annotations"]
    questions = read(world, "vqav2")["questions"]
    assert [row["question_id"] for row in questions] == [row["question_id"] for row in annotations]
    for row in annotations:
        assert [answer["answer_id"] for answer in row["answers"]] == list(range(1, 11))
        votes = Counter(answer["answer"] for answer in row["answers"])
        assert votes[row["multiple_choice_answer"]] == max(votes.values())


def test_vsr_has_the_official_form(world: SceneDataset) -> None:
    rows = read(world, "vsr")
    assert form(rows[0]) == form(json.loads(official("vsr_zeroshot/test.jsonl").splitlines()[0]))
    assert {row["label"] for row in rows} == {0, 1}


@pytest.mark.parametrize("kind", ["random", "popular", "adversarial"])
def test_pope_has_the_official_form(world: SceneDataset, kind: str) -> None:
    rows = read(world, f"pope_{kind}")
    theirs = json.loads(official(f"pope_official/coco_pope_{kind}.json").splitlines()[0])
    assert list(rows[0]) == list(theirs)
    assert form(rows[0]) == form(theirs)
    assert [row["question_id"] for row in rows] == list(range(1, len(rows) + 1))


def test_refcoco_has_the_form_of_the_evaluation_files(world: SceneDataset) -> None:
    rows = read(world, "refcoco")
    assert form(rows[0]) == form(json.loads(official("refcoco_val.json"))[0])
    for row in rows:
        x, y, width, height = row["bbox"]
        assert 0 <= x < x + width <= row["width"]
        assert 0 <= y < y + height <= row["height"]
        parse_name(row["img_id"].rpartition("_")[0])


def test_textvqa_has_the_official_form(world: SceneDataset) -> None:
    data = read(world, "textvqa")
    assert list(data) == ["dataset_type", "dataset_name", "dataset_version", "data"]
    assert set(data["data"][0]) == {
        *("question", "image_id", "image_classes", "flickr_original_url", "flickr_300k_url", "image_width"),
        *("image_height", "answers", "question_tokens", "question_id", "set_name"),
    }
    assert all(len(row["answers"]) == 10 for row in data["data"])
    known = json.loads(official("textvqa_val_first30.jsonl").splitlines()[0])
    assert {"image_id", "question", "answers"} <= known.keys() & data["data"][0].keys()


def test_training_rows_are_llavas(world: SceneDataset) -> None:
    assert len(world.rows) > 0.95 * world.params.train
    for row in world.rows:
        assert list(row) == ["id", "image", "conversations"]
        assert parse_name(row["image"])[0] == "train"
        speakers = [turn["from"] for turn in row["conversations"]]
        assert speakers == ["human", "gpt"] * (len(speakers) // 2)
        assert 2 <= len(speakers) <= 16
        assert row["conversations"][0]["value"].startswith("<image>\n")
        assert sum("<image>" in turn["value"] for turn in row["conversations"]) == 1
        questions = [turn["value"].removeprefix("<image>\n") for turn in row["conversations"][::2]]
        assert len(set(questions)) == len(questions)
        slices = world.turn_slices[row["id"]]
        assert len(slices) == len(questions)
        assert sum(name.startswith("box") for name in slices) <= 1
        assert max(Counter(name.partition("/")[0] for name in slices).values()) <= 3


def test_training_answers_are_balanced_per_exact_question(world: SceneDataset) -> None:
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in world.rows:
        turns = row["conversations"]
        for human, gpt in zip(turns[::2], turns[1::2], strict=True):
            answers[human["value"].removeprefix("<image>\n")][gpt["value"]] += 1
    checked = 0
    for text, counts in answers.items():
        if text.startswith(("What color", "What shape")):
            values = [counts[name] for name in (COLOR_NAMES if "color" in text else SHAPES)]
        elif text.startswith(("How many", "Is there", "True or false? The object")):
            values = list(counts.values())
        else:
            continue
        checked += 1
        assert max(values) - min(values) <= max(3, min(values) // 10 + 1), (text, counts)
    assert checked == 6 + 6 + 13 + 36 + 4


def test_heldout_answers_are_balanced_per_relation_and_kind(world: SceneDataset) -> None:
    for kind in ("random", "popular", "adversarial"):
        labels = Counter(row["label"] for row in read(world, f"pope_{kind}"))
        assert abs(labels["yes"] - labels["no"]) <= 2
        balance = Counter[str]()
        for row in read(world, f"pope_{kind}"):
            balance[row["text"]] += 1 if row["label"] == "yes" else -1
        assert max(map(abs, balance.values())) <= 1, "the words of a question say nothing about its answer"
    relations: defaultdict[str, list[int]] = defaultdict(list)
    for row in read(world, "vsr"):
        relations[row["relation"]].append(row["label"])
    assert len(relations) == 8
    for labels_of_one in relations.values():
        assert abs(2 * sum(labels_of_one) - len(labels_of_one)) <= 10  # two levels of four or five


def test_slices_stand_beside_every_question(world: SceneDataset) -> None:
    slices = world.question_slices("test")
    assert list(slices) == list(BENCHMARKS)
    assert len(slices["vqav2"]) == len(read(world, "vqav2")["questions"])
    assert set(slices["vqav2"]) == {f"{ability}/{n}" for ability in ("color", "shape", "count") for n in (1, 2)}
    assert set(slices["refcoco"]) == {"box/1", "box/2", "box/3"}
    assert set(slices["textvqa"]) == {"reading/1", "reading/2", "reading/3"}
    assert min(map(len, slices.values())) > 200


def blind_chance(num_choices: int, disagreement: float) -> float:
    """The expected VQA accuracy of a guess: a split vote gives something to wrong answers too."""

    def expected(chance_of_a_vote: float) -> float:
        votes = [comb(10, n) * chance_of_a_vote**n * (1 - chance_of_a_vote) ** (10 - n) for n in range(11)]
        return sum(weight * min(1.0, 0.3 * n) for n, weight in enumerate(votes))

    others = (1 - SPLIT_VOTE) / (num_choices - 1)
    disputed = (expected(SPLIT_VOTE) + (num_choices - 1) * expected(others)) / num_choices
    return 100 * ((1 - disagreement) / num_choices + disagreement * disputed)


def test_floors_are_near_chance_and_ceilings_near_one_hundred(world: SceneDataset) -> None:
    bounds = reach(world)
    for name, num_choices in {"color": 6, "shape": 6, "count/1": 5, "count/2": 4}.items():
        part = [item for key, item in bounds.items() if key.startswith(f"vqav2:{name}")]
        questions = sum(item.questions for item in part)
        floor = sum(item.floor * item.questions for item in part) / questions
        assert questions > 80
        assert floor == pytest.approx(blind_chance(num_choices, 0.1), abs=8), name
    presence = [bounds[f"pope_{kind}"].floor for kind in ("random", "popular", "adversarial")]
    assert sum(presence) / 3 == pytest.approx(50, abs=3)
    assert max(presence) < 57
    assert bounds["vsr"].floor == pytest.approx(50, abs=6)
    assert bounds["textvqa"].floor < 14
    assert bounds["refcoco"].floor < 12
    assert bounds["refcoco:box/1"].floor < 38
    for benchmark in BENCHMARKS:
        assert 95 < bounds[benchmark].ceiling <= 100
    assert bounds["vqav2"].ceiling < 100
    assert bounds["textvqa"].ceiling < 100


def row(question: str, answer: str) -> dict[str, Any]:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def test_the_oracle_gives_the_most_frequent_answer_to_the_same_words() -> None:
    oracle = TextOracle([row("<image>\nA?", "red"), row("A?", "red"), row("A?", "blue"), row("B?", "blue")])
    assert oracle.answer("vqav2", "A?") == "red"
    assert oracle.answer("vqav2", "B?") == "blue"
    assert oracle.answer("vqav2", "never seen") == "blue"


def test_the_oracle_would_notice_a_skew() -> None:
    skewed = [row(prompt("vsr", "S."), reply("vsr", "true")) for _ in range(9)]
    assert TextOracle(skewed).answer("vsr", prompt("vsr", "S.")) == "True"


def test_the_oracle_guesses_the_best_constant_box() -> None:
    rows = [row("Where is it?", "[0.00, 0.00, 0.50, 0.50]")] * 5 + [row("Where is it?", "[0.50, 0.50, 1.00, 1.00]")] * 4
    assert TextOracle(rows).answer("refcoco", "Where is it?") == "[0.00, 0.00, 0.50, 0.50]"
    assert TextOracle([row("A?", "red")]).answer("refcoco", "Where?") == ""


def test_boxes_are_parsed_and_compared() -> None:
    assert parse_box("[0.1, 0.2, 0.3, 0.4]") == [0.1, 0.2, 0.3, 0.4]
    assert parse_box("[0.3, 0.2, 0.1, 0.4]") is None
    assert parse_box("red") is None
    assert iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 1, 1), (2, 2, 3, 3)) == 0
