"""The answers that a run keeps while it asks its questions, a line each, read back and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile
from cobra_kit.evaluate.file_keys import is_number
from cobra_kit.files import read_json_lines

_HINT = "Delete it and give the same command again: the questions are asked again."
_TEXTS, _OTHERS = ("question_id", "picture", "text"), ("probabilities", "precision", "cut")


def read_answers(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a file of answers; none where there is no file.

    Raises:
        DamagedFile: A line is damaged, or no answer.
    """
    lines = read_json_lines(path, hint=_HINT)
    for number, line in enumerate(lines, start=1):
        if problem := _problem(line):
            raise DamagedFile(f"{path}:{number}", f"not an answer: {problem}", _HINT)
    return lines


def read_probabilities(path: Path) -> list[dict[str, float] | None]:
    """Returns the probabilities of the choices per line of a file of answers, whatever else a line has or lacks.

    Raises:
        DamagedFile: A line is damaged, or holds no probabilities there.
    """
    lines = read_json_lines(path, hint=_HINT)
    for number, line in enumerate(lines, start=1):
        if not _are_probabilities(line.get("probabilities")):
            raise DamagedFile(f"{path}:{number}", "not an answer: the probabilities are no numbers", _HINT)
    return [line.get("probabilities") for line in lines]


def _problem(line: dict[str, Any]) -> str | None:
    for name in _TEXTS:
        if not isinstance(line.get(name), str):
            return f"{name} is no text"
    if unknown := line.keys() - {*_TEXTS, *_OTHERS}:
        return f"{ascii(sorted(unknown)[0])[:40]} is unknown"
    if not isinstance(line.get("cut", False), bool) or not isinstance(line.get("precision", ""), str):
        return "cut or precision is of another kind"
    return None if _are_probabilities(line.get("probabilities")) else "the probabilities are no numbers"


def _are_probabilities(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(map(is_number, value.values())))
