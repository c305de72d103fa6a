"""Reads TextVQA 0.5.1 as textvqa.org distributes it, and the texts that a reader of text saw in the images.

Those texts come in either of two files: Rosetta's, `TextVQA_Rosetta_OCR_v0.2_val.json`, or LLaVA's lines of prompts,
`llava_textvqa_val_v051_ocr.jsonl`, which the paper's harness reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import id_field, list_field, ten_answers, text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, read_records, read_value, records_of

MARK = "\nReference OCR token:"
"""What stands between question and tokens in LLaVA's prompts."""


def read(files: Files) -> Sequence[Item]:
    """Returns the questions in the order of the file; without a file of OCR tokens, those of the rows, if any.

    Raises:
        DataError: A file is missing or of another form, or a question has no line among the OCR tokens.
        UnreadableFile: A file is not JSON.
    """
    path = files["annotations"]
    records = records_of(read_value(path), "data", path, "file of TextVQA questions")
    seen = _tokens(files["ocr"]) if "ocr" in files else None
    return unique([_item(record, seen, files.get("ocr")) for record in records], str(path))


def _item(record: Record, seen: Mapping[str, tuple[str, ...]] | None, file: Path | None) -> Item:
    stem, question = id_field(record, "image_id"), text_field(record, "question")
    if seen is None:
        given = record.fields.get("ocr_tokens", [])
        ocr = _texts(given, record) if isinstance(given, list) else ()
    else:
        ocr_of = seen.get(stem, seen.get(prompt_key(stem, question)))
        if ocr_of is None:
            raise DataError(
                f"no OCR tokens for image {stem!r}",
                where=str(file),
                hint=f"The file belongs to another split than {record.where.split(': ')[0]}.",
            )
        ocr = ocr_of
    return Item(
        question_id=id_field(record, "question_id"),
        image=f"{stem}.jpg",
        text=question,
        annotation={"answers": ten_answers(record, within=None)},
        ocr=ocr,
    )


def prompt_key(stem: str, text: str) -> str:
    """Returns by what a line of LLaVA's is joined: its image and its question, whatever stands behind that."""
    return f"{stem}\n{text.split(chr(10))[0].strip().lower()}"


def _tokens(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns the OCR tokens by image, or by image and question."""
    if path.suffix == ".jsonl":
        return {
            prompt_key(id_field(record, "question_id"), text_field(record, "text")): _of_prompt(record)
            for record in read_records(path)
        }
    records = records_of(read_value(path), "data", path, "file of OCR tokens")
    return {id_field(record, "image_id"): _texts(list_field(record, "ocr_tokens"), record) for record in records}


def _of_prompt(record: Record) -> tuple[str, ...]:
    _, mark, rest = text_field(record, "text").partition(MARK)
    if not mark:
        raise DataError(
            f"no {MARK.strip()!r} in `text`",
            where=record.where,
            hint="The file that holds it is llava_textvqa_val_v051_ocr.jsonl.",
        )
    line = rest.split("\n")[0].strip()
    return tuple(line.split(", ")) if line else ()


def _texts(values: Sequence[object], record: Record) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise DataError("an OCR token is no text", where=record.where)
    return tuple(map(str, values))
