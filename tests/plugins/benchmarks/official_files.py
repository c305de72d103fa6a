"""Small files in the official forms of the nine benchmarks, key by key."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

PAPER_NAMES = {
    "vqav2": "v2_mscoco_val2014_annotations.json",
    "gqa": "testdev_balanced_questions.json",
    "vizwiz": "val.json",
    "textvqa": "TextVQA_0.5.1_val.json",
    "vsr": "test.jsonl",
    "pope": ".",
    "refcoco": "refcoco_val.json",
    "refcoco-plus": "refcoco+_val.json",
    "refcocog": "refcocog_val.json",
}


def write(folder: Path, name: str) -> Path:
    """Writes a benchmark's files and images to a folder; returns the path of the annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    images = _WRITERS[name](folder)
    (folder / "images").mkdir(exist_ok=True)
    for image in images:
        (folder / "images" / image).touch()
    return folder / PAPER_NAMES[name]


def as_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def as_lines(path: Path, values: list[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def ten(*answers: str) -> list[str]:
    return [*answers, *[answers[-1]] * (10 - len(answers))]


def _vqav2(folder: Path) -> list[str]:
    head = {"info": {}, "license": {}, "data_type": "mscoco", "data_subtype": "val2014"}
    asked = [(262148000, 262148, "Where is he looking?"), (262148001, 262148, "What colour?"), (42, 9, "How many?")]
    as_json(
        folder / "v2_OpenEnded_mscoco_val2014_questions.json",
        {**head, "questions": [{"image_id": i, "question": text, "question_id": q} for q, i, text in asked]},
    )
    answers = [ten("down"), ten("red", "Red", "blue"), ten("2", "two", "3")]
    as_json(
        folder / PAPER_NAMES["vqav2"],
        {
            **head,
            "annotations": [
                {
                    "question_id": q,
                    "image_id": i,
                    "question_type": "none",
                    "answer_type": "other",
                    "multiple_choice_answer": given[0],
                    "answers": [
                        {"answer": answer, "answer_confidence": "yes", "answer_id": number}
                        for number, answer in enumerate(given, start=1)
                    ],
                }
                for (q, i, _), given in zip(asked, answers, strict=True)
            ],
        },
    )
    return ["COCO_val2014_000000262148.jpg", "COCO_val2014_000000000009.jpg"]


def _gqa(folder: Path) -> list[str]:
    def question(answer: str, structural: str, *, balanced: bool = True) -> dict[str, Any]:
        types = {"structural": structural, "semantic": "global", "detailed": "x"}
        rest = {"groups": {"global": None, "local": "x"}, "semantic": [], "entailed": [], "equivalent": []}
        return {
            "imageId": "n1",
            "question": f"{structural}?",
            "answer": answer,
            "isBalanced": balanced,
            "types": types,
            **rest,
        }

    rows = {
        "07": question("yes", "verify"),
        "08": question("woman", "query"),
        "09": question("no", "verify", balanced=False),
    }
    as_json(folder / PAPER_NAMES["gqa"], rows)
    return ["n1.jpg"]


def _vizwiz(folder: Path) -> list[str]:
    rows = []
    for number, (given, answerable) in enumerate([(ten("soup"), 1), (ten("unanswerable"), 0)]):
        answers = [{"answer": answer, "answer_confidence": "yes"} for answer in given]
        image = f"VizWiz_val_{number:08d}.jpg"
        rows.append(
            {
                "image": image,
                "question": f"What {number}?",
                "answers": answers,
                "answer_type": "other",
                "answerable": answerable,
            }
        )
    as_json(folder / PAPER_NAMES["vizwiz"], rows)
    return [row["image"] for row in rows]


def _textvqa(folder: Path) -> list[str]:
    rows = [
        {
            "question_id": 34602 + number,
            "image_id": image,
            "question": text,
            "answers": ten("dakota"),
            "set_name": "val",
        }
        for number, (image, text) in enumerate([("a1", "what brand?"), ("a1", "which year?"), ("b2", "what brand?")])
    ]
    as_json(folder / PAPER_NAMES["textvqa"], {"dataset_type": "val", "dataset_name": "textvqa", "data": rows})
    seen = {"a1": ["nous", "les, gosses"], "b2": []}
    as_json(
        folder / "TextVQA_Rosetta_OCR_v0.2_val.json",
        {"data": [{"image_id": image, "ocr_tokens": tokens, "ocr_info": []} for image, tokens in seen.items()]},
    )
    return ["a1.jpg", "b2.png"]


def _vsr(folder: Path) -> list[str]:
    rows = [
        {
            "image": "000000017697.jpg",
            "image_link": "",
            "caption": f"The car is {word}.",
            "label": label,
            "relation": word,
        }
        for word, label in (("behind", 1), ("under", 0))
    ]
    as_lines(folder / PAPER_NAMES["vsr"], rows)
    return ["000000017697.jpg"]


def _pope(folder: Path) -> list[str]:
    for split in ("random", "popular", "adversarial"):
        as_lines(
            folder / f"coco_pope_{split}.json",
            [
                {"question_id": number, "image": "c.jpg", "text": f"Is there a {thing} in the image?", "label": label}
                for number, (thing, label) in enumerate([("dog", "yes"), (f"{split} cat", "no")], start=1)
            ],
        )
    return ["c.jpg"]


def _refcoco(folder: Path, name: str = "refcoco") -> list[str]:
    rows = [
        {
            "img_id": "COCO_train2014_000000580957_4",
            "sents": text,
            "bbox": [468.3, 0.91, 171.7, 116.12],
            "height": 428,
            "width": 640,
        }
        for text in ("top bowl", "white dish")
    ]
    as_json(folder / PAPER_NAMES[name], rows)
    return ["COCO_train2014_000000580957.jpg"]


def write_refer(folder: Path, split_by: str = "unc") -> Path:
    """Writes REFER's two files: references as Python 2 pickled them, and COCO's instances."""
    folder.mkdir(parents=True, exist_ok=True)
    references = [
        {
            "ref_id": number,
            "ann_id": 17,
            "image_id": 580957,
            "category_id": 51,
            "split": split,
            "file_name": f"COCO_train2014_000000580957_{number}.jpg",
            "sent_ids": [number],
            "sentences": [{"sent_id": number, "sent": f"bowl {number}", "raw": "Bowl", "tokens": ["bowl"]}],
        }
        for number, split in enumerate(("train", "val", "val"))
    ]
    (folder / f"refs({split_by}).p").write_bytes(pickle.dumps(references, protocol=2))
    as_json(
        folder / "instances.json",
        {
            "images": [{"id": 580957, "file_name": "x.jpg", "width": 640, "height": 428}],
            "annotations": [{"id": 17, "image_id": 580957, "category_id": 51, "bbox": [468.3, 0.91, 171.7, 116.12]}],
        },
    )
    return folder


_WRITERS = {
    "vqav2": _vqav2,
    "gqa": _gqa,
    "vizwiz": _vizwiz,
    "textvqa": _textvqa,
    "vsr": _vsr,
    "pope": _pope,
    "refcoco": _refcoco,
    "refcoco-plus": lambda folder: _refcoco(folder, "refcoco-plus"),
    "refcocog": lambda folder: _refcoco(folder, "refcocog"),
}
