"""Held-out questions in the official file forms, key by key.

Sources: the VQAv2 annotation files and API (visualqa.org/download.html), VSR's jsonl (cambridgeltl/
visual-spatial-reasoning), POPE's (AoiDragon/POPE), TextVQA 0.5.1 with Rosetta's OCR tokens, GQA's balanced questions
(gqadataset.org), VizWiz' annotations (vizwiz.org), and MiniGPT-4's RefCOCO evaluation files.
Keys that make no sense for drawn images (web addresses, annotator numbers) are there and empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cobra_kit_scenes.annotators import ten_answers
from cobra_kit_scenes.held_out import HeldOut
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.names import image_name, image_stem
from cobra_kit_scenes.splits import image_rng
from cobra_kit_scenes.vocabulary import IMAGE, Split

Rows = Sequence[HeldOut]

_TURKERS = 3


def vqav2_form(rows: Rows, split: Split, seed: int, disagreement: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the question file and the annotation file; `image_id` is the image's number in its split."""
    head = {
        "info": {"description": "scenes, drawn", "version": "1.0"},
        "data_type": "scenes",
        "data_subtype": split,
        "license": {},
    }
    questions, annotations = [], []
    for number, row in enumerate(rows):
        answers = _answers(row, split, seed, disagreement)
        questions.append({"image_id": row.index, "question": row.question.text, "question_id": number})
        annotations.append(
            {
                "question_type": row.question.template,
                "multiple_choice_answer": max(answers, key=answers.count),
                "answers": [
                    {"answer": answer, "answer_confidence": "yes", "answer_id": position}
                    for position, answer in enumerate(answers, start=1)
                ],
                "image_id": row.index,
                "answer_type": "number" if row.question.ability == "count" else "other",
                "question_id": number,
            }
        )
    return (
        {**head, "task_type": "Open-Ended", "questions": questions},
        {**head, "annotations": annotations},
    )


def pope_form(rows: Rows, split: Split) -> list[dict[str, Any]]:
    """Returns the lines of one POPE file."""
    return [
        {
            "question_id": number,
            "image": image_name(split, row.index),
            "text": row.question.text,
            "label": row.question.answer,
        }
        for number, row in enumerate(rows, start=1)
    ]


def vsr_form(rows: Rows, split: Split) -> list[dict[str, Any]]:
    """Returns the lines of a VSR file; three validators agree with every label."""
    voters = str(list(range(1, _TURKERS + 1)))
    return [
        {
            "image": image_name(split, row.index),
            "image_link": "",
            "caption": row.question.text,
            "label": int(row.question.answer == "true"),
            "relation": row.question.template,
            "subj": row.question.subject,
            "obj": row.question.other,
            "annotator_id": 0,
            "vote_true_validator_id": voters if row.question.answer == "true" else "[]",
            "vote_false_validator_id": voters if row.question.answer == "false" else "[]",
        }
        for row in rows
    ]


def textvqa_form(rows: Rows, split: Split, seed: int, disagreement: float) -> dict[str, Any]:
    """Returns a TextVQA file."""
    data = [
        {
            "question": row.question.text,
            "image_id": image_stem(split, row.index),
            "image_classes": [],
            "flickr_original_url": "",
            "flickr_300k_url": "",
            "image_width": IMAGE,
            "image_height": IMAGE,
            "answers": _answers(row, split, seed, disagreement),
            "question_tokens": row.question.text.lower().rstrip("?").split(),
            "question_id": number,
            "set_name": split,
        }
        for number, row in enumerate(rows)
    ]
    return {"dataset_type": split, "dataset_name": "scenes", "dataset_version": "1.0", "data": data}


def textvqa_ocr_form(rows: Rows, split: Split, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Returns a file of OCR tokens: what is written in the images that TextVQA's questions are about, in capitals."""
    written = {row.index: scenes[row.index].text for row in rows}
    data = [
        {"image_id": image_stem(split, index), "ocr_tokens": [] if text is None else text.text.upper().split()}
        for index, text in sorted(written.items())
    ]
    return {"dataset_type": split, "dataset_name": "scenes", "dataset_version": "1.0", "data": data}


def gqa_form(rows: Rows, split: Split) -> dict[str, Any]:
    """Returns a GQA file: VQAv2's questions with the true answer alone, but for those that count: GQA has none."""
    return {
        f"{number:08d}": {
            "semantic": [],
            "entailed": [],
            "equivalent": [f"{number:08d}"],
            "question": row.question.text,
            "imageId": image_stem(split, row.index),
            "isBalanced": True,
            "groups": {"global": row.question.ability, "local": row.question.slice},
            "answer": row.question.answer,
            "semanticStr": "",
            "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
            "types": {"detailed": row.question.template, "semantic": "attr", "structural": "query"},
            "fullAnswer": row.question.answer,
        }
        for number, row in enumerate(rows)
        if row.question.ability != "count"
    }


def vizwiz_form(rows: Rows, split: Split, seed: int, disagreement: float) -> list[dict[str, Any]]:
    """Returns a VizWiz file: of each image one of VQAv2's questions, with the same ten answers; all can be answered."""
    first = {row.index: row for row in reversed(rows)}
    return [
        {
            "image": image_name(split, index),
            "question": row.question.text,
            "answers": [
                {"answer": answer, "answer_confidence": "yes"} for answer in _answers(row, split, seed, disagreement)
            ],
            "answer_type": "number" if row.question.ability == "count" else "other",
            "answerable": 1,
        }
        for index, row in sorted(first.items())
    ]


def refcoco_plus_rows(rows: Rows) -> Rows:
    """Returns the expressions that name a thing by its looks: RefCOCO+ forbids those that tell where it is."""
    return [row for row in rows if row.question.template != "quarter"]


def refcoco_form(rows: Rows, split: Split) -> list[dict[str, Any]]:
    """Returns the rows of a RefCOCO file: `bbox` is [x, y, width, height] in pixels."""
    return [
        {
            "img_id": f"{image_stem(split, row.index)}_{number}",
            "sents": row.question.text,
            "bbox": row.question.box.xywh,
            "height": IMAGE,
            "width": IMAGE,
        }
        for number, row in enumerate(rows)
        if row.question.box is not None
    ]


def _answers(row: HeldOut, split: Split, seed: int, disagreement: float) -> list[str]:
    rng = image_rng(seed, split, row.index, f"annotators/{row.question.text}")
    return ten_answers(row.question.answer, row.question.choices, disagreement, rng)
