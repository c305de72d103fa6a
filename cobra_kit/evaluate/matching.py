"""Joins the answers of a file of predictions to their questions: on names, never on trust."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cobra_kit.errors import CobraError, DataError
from cobra_kit.interfaces.submission import ScoredFiles, Submitted

_ENDING = re.compile(r"\.(jpe?g|png|webp|gif)$", re.IGNORECASE)
ALLOW = "--allow-missing scores the rest and says so."


@dataclass(frozen=True, slots=True)
class Matched:
    """Answers by question.

    Args:
        answers: Per question, in the order of the benchmark, its answer; None where there is none.
        missing: Questions without an answer.
        extra: Answers to no question of the benchmark, by what they call it.
        repeated: Questions with several answers that are all the same; one of them counts.
    """

    answers: Sequence[Submitted | None]
    missing: Sequence[str] = field(default=())
    extra: Sequence[str] = field(default=())
    repeated: Sequence[str] = field(default=())

    def problems(self) -> list[str]:
        """Returns what does not fit, counted and with an example each."""
        kinds = (
            (self.missing, "questions have no prediction"),
            (self.extra, "predictions name no question of this file"),
            (self.repeated, "questions have several predictions"),
        )
        return [f"{len(names):,} {what}, such as {_shown(names[0])}" for names, what in kinds if names]


def match(files: ScoredFiles, submitted: Sequence[Submitted], where: str, *, allow_missing: bool = False) -> Matched:
    """Returns the answers in the order of the questions.

    Args:
        files: The benchmark's questions.
        submitted: The answers of a file of predictions.
        where: That file, for errors.
        allow_missing: Whether questions without an answer, answers without a question and equal repetitions are
            left out instead of refused.

    Raises:
        DataError: An answer is missing, names no question, or another one has the same question; no answer names one
            at all; or answers repeat another question or image than that of the one they name.
    """
    places = {question.question_id: place for place, question in enumerate(files.benchmark.questions)}
    answers: list[Submitted | None] = [None] * len(places)
    extra: list[str] = []
    repeated: list[str] = []
    differing: list[str] = []
    for answer in submitted:
        place = _place(answer, places, files.aliases)
        if place is None:
            extra.append(answer.keys[0])
            continue
        first = answers[place]
        if first is None:
            answers[place] = answer
            continue
        name = files.benchmark.questions[place].question_id
        same = (first.text, first.probabilities) == (answer.text, answer.probabilities)
        (repeated if same else differing).append(name)
    if len(extra) == len(submitted):
        raise _another_benchmark(files, extra, where)
    _check_questions(files, answers, where)
    _check_images(files, answers, where)
    if differing:
        raise DataError(
            f"{len(differing):,} questions have several different predictions, such as {_shown(differing[0])}",
            where=where,
            hint="Which of them counts is not guessed: keep one for every question.",
        )
    missing = [
        question.question_id
        for question, answer in zip(files.benchmark.questions, answers, strict=True)
        if answer is None
    ]
    matched = Matched(answers, missing, extra, repeated)
    if (problems := matched.problems()) and not allow_missing:
        raise DataError("; ".join(problems), where=where, hint=ALLOW)
    return matched


def _place(answer: Submitted, places: Mapping[str, int], aliases: Mapping[str, str]) -> int | None:
    for key in answer.keys:
        place = places.get(key)
        if place is None and key in aliases:
            place = places.get(aliases[key])
        if place is not None:
            return place
    return None


def _another_benchmark(files: ScoredFiles, extra: Sequence[str], where: str) -> CobraError:
    asked = files.benchmark.questions[0].question_id
    return DataError(
        f"none of its {len(extra):,} predictions names a question of {files.benchmark.name}: they are called "
        f"{_shown(extra[0])}, the questions {_shown(asked)}",
        where=where,
        hint="The predictions are of another split or benchmark: give the annotations they were made for.",
    )


def _check_questions(files: ScoredFiles, answers: Sequence[Submitted | None], where: str) -> None:
    wrong = [
        (answer, question.question_id, text)
        for answer, question, text in zip(answers, files.benchmark.questions, files.texts, strict=True)
        if answer is not None and answer.question and text and _plain(text) not in _plain(answer.question)
    ]
    if wrong:
        answer, name, text = wrong[0]
        raise DataError(
            f"{len(wrong):,} predictions repeat another question than the one they name: {_shown(name)} asks "
            f"{text[:80]!r}, the prediction has {answer.question[:80]!r}",
            where=answer.where or where,
            hint="The predictions are of another split or release: give the annotations they were made for.",
        )


def _check_images(files: ScoredFiles, answers: Sequence[Submitted | None], where: str) -> None:
    """Raises where answers name another image: ids of two splits overlap, POPE's and VQAv2's small ones above all."""
    wrong = [
        (answer, question)
        for answer, question in zip(answers, files.benchmark.questions, strict=True)
        if answer is not None and answer.image and question.image and not same_image(answer.image, question.image)
    ]
    if wrong:
        answer, question = wrong[0]
        raise DataError(
            f"{len(wrong):,} predictions are about another image than the question they name: "
            f"{_shown(question.question_id)} is about {question.image!r}, the prediction about {answer.image!r}",
            where=answer.where or where,
            hint="The predictions are of another split or release: give the annotations they were made for.",
        )


def same_image(first: str, second: str) -> bool:
    """Returns whether two names are of one image: releases differ in folders, prefixes, zeros and endings."""
    (name, number), (other, other_number) = _named(first), _named(second)
    return number == other_number and (name.endswith(other) or other.endswith(name))


def _named(image: str) -> tuple[str, str]:
    """Returns the name of an image without folder and ending, and apart the number that it ends with."""
    stem = _ENDING.sub("", image.rpartition("/")[2]).lower()
    name = stem.rstrip("0123456789")
    return name, stem.removeprefix(name).lstrip("0")


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _shown(name: str) -> str:
    return repr(name.strip().replace("\n", ", "))
