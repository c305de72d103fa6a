"""Results of POPE: lines `{"question": "Is there a dog in the image?", "answer": "yes"}`, as its evaluator reads them.

Those carry no id and stand in the order of the questions of one split: give a file per split, all three in a folder,
or one file for one split. Files with ids are joined on these: LLaVA's are unique over the splits, the official ones
are not, so those rows need `category` or `split` as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.results import ResultForm, result_records, submitted
from cobra_kit_benchmarks.pope.reader import SPLITS, split_files, split_name

CHOICES = ("Yes", "No")
FORM = ResultForm(
    example='{"question_id": 1, "question": "Is there a dog in the image?", "answer": "yes"}', choices=CHOICES
)


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions, or of a folder with one for each split."""
    parts = split_files(path) if path.is_dir() else {split_name(path): path}
    return [answer for split, file in parts.items() for answer in _read_part(file, split)]


def aliases(items: Sequence[Item]) -> dict[str, str]:
    """Returns other names that are unique: the number alone, the place in the split, image and question."""
    names: list[tuple[str, str]] = []
    places: Counter[str] = Counter()
    renamed = any(item.names for item in items)  # then a number that is the same means another question
    for place, item in enumerate(items):
        numbers = item.names if renamed else (item.question_id.rpartition("/")[2],)
        names += [
            *((number, item.question_id) for number in numbers),
            (f"#{place}", item.question_id),
            (f"{item.group}#{places[item.group]}", item.question_id),
            (f"{item.group}\n{item.image}\n{item.text}", item.question_id),
            (f"\n{item.image}\n{item.text}", item.question_id),
        ]
        places[item.group] += 1
    if len(places) > 1:  # a place in a file of all splits says which, if the file is in the order of these
        names = [(name, question_id) for name, question_id in names if not name.startswith("#")]
    owners = Counter(name for name, _ in names)
    return {name: question_id for name, question_id in names if owners[name] == 1}


def _read_part(file: Path, split: str) -> list[Submitted]:
    answers = []
    for place, record in enumerate(result_records(file, FORM)):
        fields = record.fields
        part = next((fields[key] for key in ("category", "split") if fields.get(key) in SPLITS), split)
        answer = submitted(record, FORM, (f"{part}#{place}", f"#{place}"))
        keys = [f"{part}/{key}" if part and not key.startswith(("#", part)) else key for key in answer.keys]
        pair = [f"{part}\n{answer.image}\n{answer.question}"] if answer.image and answer.question else []
        answers.append(replace(answer, keys=(*pair, *keys, *(key for key in answer.keys if key not in keys))))
    return answers
