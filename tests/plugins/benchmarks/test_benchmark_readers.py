"""Each benchmark is read from its official files and worded as the paper does; bad files are refused with words."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from random import Random
from typing import Any

import official_files
import pytest

from cobra_kit._plugins import default_registry
from cobra_kit.errors import DamagedFile, DataError
from cobra_kit.interfaces import OpenBenchmark
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.subset import choose
from cobra_kit_benchmarks.config import BenchmarkSettings

SHORT = "\nAnswer the question using a single word or phrase."
PLACES = 'Please provide the bounding box coordinate of the region this sentence describes: "top bowl"'
PROMPTS = {
    "vqav2": f"Where is he looking?{SHORT}",
    "gqa": f"verify?{SHORT}",
    "vizwiz": f"What 0?\nWhen the provided information is insufficient, respond with 'Unanswerable'.{SHORT}",
    "textvqa": f"Reference OCR token: nous, les, gosses\nwhat brand?{SHORT}",
    "vsr": 'Based on the image, is this statement "True" or "False"? The car is behind.\n'
    'Respond with "True" or "False" directly.',
    "pope": f"Is there a dog in the image?{SHORT}",
    "refcoco": PLACES,
    "refcoco-plus": PLACES,
    "refcocog": PLACES,
}


def opened(name: str, folder: Path, **settings: Any) -> OpenBenchmark:
    factory = default_registry().benchmark(name).load_benchmark()
    return factory.open(BenchmarkSettings(folder=folder, **{"check_counts": False, **settings}))


@pytest.mark.parametrize("name", PROMPTS)
def test_the_first_question_is_worded_as_the_paper_words_it(name: str, tmp_path: Path) -> None:
    official_files.write(tmp_path, name)
    benchmark = opened(f"benchmarks/{name}", tmp_path)
    assert benchmark.benchmark.questions[0].prompt == PROMPTS[name]
    assert (benchmark.protocol.max_new_tokens, benchmark.protocol.rule) == (128, benchmark.benchmark.rule)
    assert benchmark.protocol.prompt.count("{question}") == 1
    images = {question.image for question in benchmark.benchmark.questions}
    assert all((tmp_path / "images" / image).exists() for image in images)


@pytest.mark.parametrize("name", PROMPTS)
def test_the_paper_profile_checks_the_counts(name: str, tmp_path: Path) -> None:
    official_files.write(tmp_path, name)
    with pytest.raises(DataError, match=r"questions, the official split has [\d,]+") as caught:
        opened(name, tmp_path, check_counts=True)
    assert "check_counts: false" in str(caught.value)


@pytest.mark.parametrize("name", PROMPTS)
def test_missing_files_are_all_named_before_anything_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(name, tmp_path / "nowhere")
    assert "no annotations" in str(caught.value)
    assert "no images" in str(caught.value)
    factory = default_registry().benchmark(name).load_benchmark()
    files = factory.files(BenchmarkSettings(folder=Path("data")), root=tmp_path)
    assert {"annotations", "images"} <= set(files)
    assert all(path.is_relative_to(tmp_path / "data") for path in files.values())


def test_a_missing_image_is_named_and_counted(tmp_path: Path) -> None:
    official_files.write(tmp_path, "vizwiz")
    (tmp_path / "images" / "VizWiz_val_00000001.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 2 images are missing, such as 'VizWiz_val_00000001.jpg'"):
        opened("vizwiz", tmp_path)


def test_questions_keep_ids_groups_and_answers(tmp_path: Path) -> None:
    for name in ("vqav2", "gqa", "vizwiz", "pope", "vsr"):
        official_files.write(tmp_path / name, name)
    read = {name: opened(name, tmp_path / name).benchmark for name in ("vqav2", "gqa", "vizwiz", "pope", "vsr")}
    ids = {name: [question.question_id for question in each.questions] for name, each in read.items()}
    assert ids == {
        "vqav2": ["262148000", "262148001", "42"],
        "gqa": ["07", "08"],  # the unbalanced one does not count
        "vizwiz": ["VizWiz_val_00000000.jpg", "VizWiz_val_00000001.jpg"],
        "pope": [f"{split}/{number}" for split in ("adversarial", "popular", "random") for number in (1, 2)],
        "vsr": ["0", "1"],
    }
    assert read["gqa"].groups == ("binary", "open")
    assert read["gqa"].annotations[0] == {"answers": ("yes",), "kinds": ("structural/verify", "semantic/global")}
    assert read["vizwiz"].groups == ("answerable", "unanswerable")
    assert read["vqav2"].questions[2].image == "COCO_val2014_000000000009.jpg"
    assert read["vqav2"].annotations[1] == {"answers": ("red", "Red", *["blue"] * 8)}
    assert [answer["answers"] for answer in read["vsr"].annotations] == [("True",), ("False",)]
    assert (read["pope"].questions[0].choices, read["vsr"].questions[0].choices) == (("Yes", "No"), ("True", "False"))


@pytest.mark.parametrize(
    ("protocol", "prompt"),
    [
        ("ocr-last", f"what brand?\nReference OCR token: nous, les, gosses{SHORT}"),
        ("no-ocr", f"what brand?{SHORT}"),
    ],
)
def test_ocr_tokens_stand_where_the_protocol_says(protocol: str, prompt: str, tmp_path: Path) -> None:
    official_files.write(tmp_path, "textvqa")
    if protocol == "no-ocr":  # then nobody needs the file
        (tmp_path / "TextVQA_Rosetta_OCR_v0.2_val.json").unlink()
    assert opened("textvqa", tmp_path, protocol=protocol).benchmark.questions[0].prompt == prompt


def test_ocr_tokens_come_from_llavas_lines_too(tmp_path: Path) -> None:
    official_files.write(tmp_path, "textvqa")
    lines = [
        {"question_id": image, "image": f"{image}.jpg", "text": f"{text}\nReference OCR token: {tokens}{SHORT}"}
        for image, text, tokens in (
            ("a1", "what brand?", "x, y"),
            ("a1", "which year?", "1999"),
            ("b2", "what brand?", ""),
        )
    ]
    official_files.as_lines(tmp_path / "llava_textvqa_val_v051_ocr.jsonl", lines)
    prompts = [question.prompt for question in opened("textvqa", tmp_path).benchmark.questions]
    assert prompts[0].startswith("Reference OCR token: x, y\nwhat brand?")
    assert prompts[2].startswith("Reference OCR token: \nwhat brand?")
    official_files.as_lines(tmp_path / "llava_textvqa_val_v051_ocr.jsonl", lines[:1])
    with pytest.raises(DataError, match="no OCR tokens for image 'a1'"):
        opened("textvqa", tmp_path)


def test_references_are_read_as_refer_has_them_and_only_of_val(tmp_path: Path) -> None:
    official_files.write_refer(tmp_path / "refcoco")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "COCO_train2014_000000580957.jpg").touch()
    benchmark = opened("refcoco", tmp_path).benchmark
    assert [question.question_id for question in benchmark.questions] == ["1", "2"]
    assert benchmark.annotations[0] == {"box": (468.3, 0.91, 171.7, 116.12), "image_size": (640, 428)}


class Shell:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("ran",)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = official_files.write_refer(tmp_path / "refcoco")
    (folder / "refs(unc).p").write_bytes(pickle.dumps([Shell()]))
    (tmp_path / "images").mkdir()
    with pytest.raises(DamagedFile, match=r"no pickle of plain data: it names \w+\.print"):
        opened("refcoco", tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([0.1, 0.2, 0.3, 0.4], "looks like parts of the image"),
        ([400, 100, 600, 300], r"leaves its image of 640 x 428; as the corners x1, y1, x2, y2 it would fit"),
        ([700, 10, 20, 20], r"leaves its image of 640 x 428\n"),
        ([10, 10, 0, 5], "has no area"),
        ([10, 10, 5], "expected four finite numbers"),
        ([10, 10, 5, None], "expected four finite numbers"),
    ],
)
def test_a_true_box_in_another_unit_is_named(box: list[Any], words: str, tmp_path: Path) -> None:
    path = official_files.write(tmp_path, "refcoco")
    rows = json.loads(path.read_text())
    rows[1]["bbox"] = box
    official_files.as_json(path, rows)
    with pytest.raises(DataError, match=words) as caught:
        opened("refcoco", tmp_path)
    assert caught.value.where == f"{path}: item 2"


@pytest.mark.parametrize("name", PROMPTS)
def test_malformed_json_has_line_and_column(name: str, tmp_path: Path) -> None:
    path = official_files.write(tmp_path, name)
    path = path / "coco_pope_popular.json" if path.is_dir() else path
    by_line = name in ("vsr", "pope")
    path.write_text('{"a": 1}\n{"a": }\n' if by_line else '[{"a": 1},\n{"a": }]', encoding="utf-8")
    with pytest.raises(DamagedFile, match="line 2, column 7: not JSON") as caught:
        opened(name, tmp_path)
    assert caught.value.where == str(path)


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    path = official_files.write(tmp_path, "vsr")
    plain = opened("vsr", tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked = opened("vsr", tmp_path)
    assert (marked.benchmark, marked.fingerprint) == (plain.benchmark, plain.fingerprint)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("vqav2", lambda row: row["answers"].pop(), "9 human answers, expected 10"),
        ("vizwiz", lambda row: row["answers"].append(row["answers"][0]), "11 human answers, expected 10"),
        ("vqav2", lambda row: row["answers"][3].update(answer=None), "human answer 4 is None, expected a text"),
        ("textvqa", lambda row: row["answers"].__setitem__(0, 2), "human answer 1 is an int, expected a text"),
        ("vizwiz", lambda row: row.update(answerable=2), "`answerable` is 2, expected 0 or 1"),
        ("vqav2", lambda row: row.update(question_id=None), "`question_id` is None"),
        ("textvqa", lambda row: row.pop("question"), "no `question`"),
    ],
)
def test_a_row_that_breaks_the_form_is_named(name: str, change: Any, words: str, tmp_path: Path) -> None:
    path = official_files.write(tmp_path, name)
    value = json.loads(path.read_text())
    rows = value if isinstance(value, list) else value.get("annotations", value.get("data"))
    change(rows[1])
    official_files.as_json(path, value)
    with pytest.raises(DataError, match=words) as caught:
        opened(name, tmp_path)
    assert str(caught.value.where).startswith(f"{path}: ")


def test_files_of_another_benchmark_are_named(tmp_path: Path) -> None:
    official_files.write(tmp_path, "vqav2")
    other = official_files.write(tmp_path / "gqa", "gqa")
    with pytest.raises(DataError, match="no file of VQA annotations: it has 3 keys such as `07`"):
        opened("vqav2", tmp_path, annotations=other)


def test_questions_and_annotations_of_different_splits_are_refused(tmp_path: Path) -> None:
    official_files.write(tmp_path, "vqav2")
    path = tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json"
    value = json.loads(path.read_text())
    value["questions"][0]["question_id"] = 99
    official_files.as_json(path, value)
    with pytest.raises(DataError, match="2 question ids are in one of the two files only, such as '262148000'"):
        opened("vqav2", tmp_path)


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = official_files.write(tmp_path, "vizwiz")
    official_files.as_json(path, json.loads(path.read_text()) * 2)
    with pytest.raises(DataError, match=r"2 question ids occur more than once, such as 'VizWiz_val_00000000.jpg'"):
        opened("vizwiz", tmp_path)


def test_an_unknown_protocol_or_split_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"POPE has no protocol 'f1'\n.*paper, text, exact"):
        opened("pope", tmp_path, protocol="f1")
    factory = default_registry().benchmark("vsr").load_benchmark()
    with pytest.raises(DataError, match=r"VSR has no split 'train'\n.*test, dev"):
        factory.protocol(BenchmarkSettings(folder=tmp_path), split="train")


def test_slim_is_the_start_of_one_shuffle_in_the_order_of_the_file() -> None:
    items = [Item(str(number), "i.jpg", "?", group=f"g{number % 3}") for number in range(9000)]
    places = list(range(9000))
    Random(21).shuffle(places)
    assert [item.question_id for item in choose(items, "slim")] == [str(place) for place in sorted(places[:1024])]
    per_group = choose(items, "slim", per_group=True)
    assert [sum(item.group == f"g{part}" for item in per_group) for part in range(3)] == [1024] * 3
    assert choose(items[:50], "slim") == tuple(items[:50])
    assert choose(items, "full") == tuple(items)


def test_the_fingerprint_follows_questions_images_and_protocol(tmp_path: Path) -> None:
    path = official_files.write(tmp_path, "vizwiz")
    first = opened("vizwiz", tmp_path).fingerprint
    assert opened("vizwiz", tmp_path).fingerprint == first
    prints = {first, opened("vizwiz", tmp_path, protocol="short").fingerprint}
    (tmp_path / "images" / "VizWiz_val_00000000.jpg").write_bytes(b"other")
    prints.add(opened("vizwiz", tmp_path).fingerprint)
    path.write_text(path.read_text().replace("soup", "soap"))
    prints.add(opened("vizwiz", tmp_path).fingerprint)
    assert len(prints) == 4
