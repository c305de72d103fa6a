"""Reads files of predictions: the official result form of a benchmark, and those that evaluations commonly write.

Known by their keys: the official form (`id_keys`, `answer_keys`), LLaVA's lines (`question_id`, `text`, `prompt`),
vlm-evaluation's mapping of `question_id` to `model_output`, and lmms-eval's samples (`doc_id`, `filtered_resps`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.errors import DataError, kind_of
from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.json_files import Record, read_records, read_value
from cobra_kit_benchmarks.common.samples import plain_answer

_TEXTS = ("answer", "text", "prediction", "model_output", "pred_answer", "response")
_PROBABILITIES = ("probabilities", "yes_no_probabilities", "true_false_probabilities")
_PROMPTS = ("question", "prompt", "ref_exp", "caption", "sents")
_IDS = ("question_id", "questionId", "qid", "id", "example_id")


@dataclass(frozen=True, slots=True)
class ResultForm:
    """The form of a benchmark's file of predictions.

    Args:
        example: A row of the official form, for errors.
        id_keys: Keys that name the question, the official one first.
        answer_keys: Keys of the answer, the official one first.
        choices: The choices whose probabilities a file may give; the first one is the positive one.
        boxes: Whether an answer may be a list of four numbers.
    """

    example: str
    id_keys: tuple[str, ...] = _IDS
    answer_keys: tuple[str, ...] = _TEXTS
    choices: tuple[str, ...] = ()
    boxes: bool = False


def read_results(path: Path, form: ResultForm) -> list[Submitted]:
    """Returns the answers of a file of predictions.

    Raises:
        DataError: There is no such file, it holds no answers, or an answer is none.
        UnreadableFile: It cannot be read, or is not JSON; names line and column.
    """
    records = result_records(path, form)
    return [submitted(record, form, (f"#{place}",)) for place, record in enumerate(records)]


def result_records(path: Path, form: ResultForm) -> list[Record]:
    """Returns the records of a file of predictions: of a list, of lines, or of a mapping by id."""
    if path.is_dir():
        raise DataError("is a folder, expected a file of predictions", where=str(path), hint=f"Rows: {form.example}")
    records = _by_id(path, form) if _is_mapping(path) else read_records(path)
    if not records:
        raise DataError("no predictions", where=str(path), hint=f"Expected rows such as {form.example}")
    return [plain_answer(record) for record in records]


def submitted(record: Record, form: ResultForm, places: Sequence[str] = ()) -> Submitted:
    """Returns the answer that a record is.

    Args:
        record: A mapping of the file.
        form: The form of the file.
        places: What the question is called by its place, for files without ids.

    Raises:
        DataError: It names no question, or its answer is no text.
    """
    fields = record.fields
    image = fields.get("image", fields.get("image_id", ""))
    text, probabilities = _text(record, form), _probabilities(record, form)
    if text is None and probabilities is None:
        has = ", ".join(f"`{key[:40]}`" for key in list(fields)[:8]) or "nothing"
        raise DataError(f"no answer (it has {has})", where=record.where, hint=f"Expected rows such as {form.example}")
    return Submitted(
        keys=tuple(_ids(record, form)) or tuple(places),
        where=record.where,
        text=text,
        probabilities=probabilities,
        question=next((fields[key] for key in _PROMPTS if isinstance(fields.get(key), str)), ""),
        image=image if isinstance(image, str) else "",
    )


def _is_mapping(path: Path) -> bool:
    """Returns whether a file is one mapping of many lines or of one line, and not one mapping a line."""
    try:
        with path.open("rb") as file:
            start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return False  # what is wrong with it is told by whoever reads it
    if not start.startswith(b"{"):
        return False
    first = start.split(b"\n", 1)[0].rstrip()
    return not first.endswith(b"}") or b"\n" not in start


def _by_id(path: Path, form: ResultForm) -> list[Record]:
    value = read_value(path)
    if not isinstance(value, dict):
        raise DataError(f"{kind_of(value)}, expected predictions", where=str(path), hint=f"Rows: {form.example}")
    if any(key in value for key in (*form.answer_keys, *_PROBABILITIES)):  # a file of one line
        return [Record(f"{path}:1", value)]
    return [
        Record(
            f"{path}: {key!r}",
            {form.id_keys[0]: key} | (item if isinstance(item, dict) else {form.answer_keys[0]: item}),
        )
        for key, item in value.items()
    ]


def _ids(record: Record, form: ResultForm) -> list[str]:
    names = []
    for key in dict.fromkeys((*form.id_keys, *_IDS)):
        value = record.fields.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise DataError(f"`{key}` is {kind_of(value)}, expected a number or a text", where=record.where)
        names.append(str(value))
    return names


def _text(record: Record, form: ResultForm) -> str | None:
    for key in dict.fromkeys((*form.answer_keys, *_TEXTS)):
        if key not in record.fields:
            continue
        value = record.fields[key]
        if isinstance(value, str):
            return value
        if form.boxes and isinstance(value, list) and len(value) == 4:
            return str(value)
        raise DataError(
            f"`{key}` is {kind_of(value)}, expected a text",
            where=record.where,
            hint='An answer that was left empty is the empty text ""; a number is written as text, such as "2".',
        )
    return None


def _probabilities(record: Record, form: ResultForm) -> Mapping[str, float] | None:
    given: Any = next((record.fields[key] for key in _PROBABILITIES if key in record.fields), None)
    if given is None:
        return None
    if isinstance(given, list):
        if len(given) != len(form.choices):
            raise DataError(f"{len(given)} probabilities, expected {len(form.choices)}", where=record.where)
        given = dict(zip(form.choices, given, strict=True))
    if not isinstance(given, dict):
        raise DataError(f"probabilities are {kind_of(given)}, expected one per choice", where=record.where)
    return given
