"""From predictions to scores: per question in a file, and the benchmark's numbers beside the name of the rule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cobra_kit.data.rows import Benchmark
from cobra_kit.errors import ArgumentError, CobraError, DamagedFile, kind_of
from cobra_kit.evaluate.file_keys import in_code, in_files, is_number
from cobra_kit.evaluate.scoring import Answered, QuestionScore, get_rule
from cobra_kit.files import read_json_lines, write_bytes

if TYPE_CHECKING:
    from cobra_kit.evaluate.predict import Prediction  # which needs torch; reading scores does not
    from cobra_kit.interfaces import BenchmarkProtocol


@dataclass(frozen=True, slots=True)
class BenchmarkScore:
    """A benchmark's result.

    Args:
        benchmark: Name of the benchmark.
        rule: The rule that scored it.
        floor: What is reached without the image, 0 to 1.
        ceiling: The most that can be reached, 0 to 1.
        mean_of_groups: Whether the number to report is the mean of the groups' means.
        summary: The rule's numbers, the one to report first.
        scores: One per question.
        group_floors: What is reached without the image in single groups.
        choice_mass: How probable it is that one of the choices comes first, in the mean over the questions that have
            choices; None where no question has. Where it is small, the model would say something else.
        cut_answers: How many answers were cut at the most new tokens.
        left_out: How many questions were not asked, since their images cannot be read.
        protocol: How it was asked and scored; None where nobody said.
    """

    benchmark: str
    rule: str
    floor: float | None
    ceiling: float | None
    mean_of_groups: bool
    summary: dict[str, float | None]
    scores: Sequence[QuestionScore]
    group_floors: Mapping[str, float] = field(default_factory=dict)
    choice_mass: float | None = None
    cut_answers: int = 0
    left_out: int = 0
    protocol: BenchmarkProtocol | None = None

    def entry(self, file: str) -> dict[str, Any]:
        """Returns what `scores.json` says about it.

        Args:
            file: Where the scores of the questions are, beside `scores.json`.
        """
        return {
            "rule": self.rule,
            "questions": len(self.scores),
            "left_out": self.left_out,
            "cut_answers": self.cut_answers,
            "summary": self.summary,
            "floor": self.floor,
            "ceiling": self.ceiling,
            "mean_of_groups": self.mean_of_groups,
            "group_floors": dict(self.group_floors),
            "choice_mass": self.choice_mass,
            "protocol": None if self.protocol is None else asdict(self.protocol),
            "file": file,
        }


def score(benchmark: Benchmark, predictions: Sequence[Prediction]) -> BenchmarkScore:
    """Returns the scores of a benchmark.

    Args:
        benchmark: Questions and what people answered.
        predictions: One per question, in the same order.

    Raises:
        CobraError: The benchmark has no questions, or a question lacks what the rule reads or has something that no
            rule reads.
    """
    rule = get_rule(benchmark.rule)
    groups = benchmark.groups or [""] * len(benchmark.questions)
    if len(predictions) != len(benchmark.questions):
        raise ArgumentError(
            f"{len(predictions)} predictions for {len(benchmark.questions)} questions", where=benchmark.name
        )
    answered = [
        Answered(
            question_id=question.question_id,
            image=question.image,
            prediction=prediction.text,
            probabilities=prediction.probabilities,
            group=group,
            **_annotation(annotation, question.question_id, benchmark.name),
        )
        for question, annotation, group, prediction in zip(
            benchmark.questions, benchmark.annotations, groups, predictions, strict=True
        )
    ]
    scores = rule.score(answered)
    return BenchmarkScore(
        benchmark=benchmark.name,
        rule=rule.name,
        floor=benchmark.floor,
        ceiling=benchmark.ceiling,
        mean_of_groups=rule.mean_of_groups,
        summary=rule.summary(scores),
        scores=scores,
        group_floors=benchmark.group_floors,
        choice_mass=mean_choice_mass([prediction.probabilities for prediction in predictions]),
        cut_answers=sum(prediction.cut for prediction in predictions),
    )


def mean_choice_mass(probabilities: Iterable[Mapping[str, float] | None]) -> float | None:
    """Returns how probable it is in the mean that one of a question's choices comes first; None without choices.

    Args:
        probabilities: Per question those of its choices; None or nothing where the answer was generated.
    """
    masses = [sum(choices.values()) for choices in probabilities if choices]
    return fmean(masses) if masses else None


def _annotation(annotation: object, question_id: str, benchmark: str) -> dict[str, Any]:
    known = ("answers", "box", "image_size", "kinds")
    if isinstance(annotation, Mapping) and "picture_size" in annotation:
        annotation = in_code(annotation)
    if not isinstance(annotation, Mapping):
        problem = f"its annotation is {kind_of(annotation)}, not a mapping"
    elif unknown := [key for key in annotation if key not in known]:
        problem = f"no rule reads {', '.join(map(repr, unknown))}"
    else:
        return dict(annotation)
    raise CobraError(
        f"question {question_id!r}: {problem}", where=benchmark, hint=f"An annotation may hold {', '.join(known)}."
    )


def write_scores(path: Path, scores: Sequence[QuestionScore]) -> None:
    """Writes one line per question, whole or not at all; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(_line(scored), ensure_ascii=False) + "\n" for scored in scores)
    write_bytes(path, lines.encode("utf-8", "backslashreplace"))  # as files.json_bytes; a score may be NaN


def _line(scored: QuestionScore) -> dict[str, Any]:
    """Returns what a file says of a question; kinds alone are left out where there are none."""
    line = in_files(asdict(scored))
    if not scored.kinds:
        del line["kinds"]
    return line


_TEXTS = ("question_id", "image", "prediction", "answer", "group")
_AGAIN = "Delete it and give the study's command again; what is missing is scored again."


def read_scores(path: Path, *, hint: str = _AGAIN) -> list[QuestionScore]:
    """Returns what `write_scores` wrote.

    Args:
        path: The file that was written.
        hint: What to do where it is missing or damaged.

    Raises:
        DamagedFile: The file is missing or damaged.
        UnreadableFile: It cannot be read now.
    """
    if not path.exists():
        raise DamagedFile(path, "no such scores", hint)
    lines = read_json_lines(path, hint=hint)
    return [_score_of(line, f"{path}:{number}", hint) for number, line in enumerate(lines, start=1)]


def _score_of(line: Mapping[str, Any], where: str, hint: str) -> QuestionScore:
    try:
        scored = QuestionScore(**in_code(line))
    except TypeError as error:
        raise DamagedFile(where, f"not a file of scores: {error}", hint) from error
    if not isinstance(scored.kinds, list | tuple) or not all(isinstance(kind, str) for kind in scored.kinds):
        raise DamagedFile(where, "not a file of scores: `kinds` are no texts", hint)
    scored = replace(scored, kinds=tuple(scored.kinds))
    numbers = (scored.score, 0.0 if scored.confidence is None else scored.confidence)
    if not all(isinstance(getattr(scored, name), str) for name in _TEXTS) or not all(map(is_number, numbers)):
        raise DamagedFile(where, "not a file of scores: a text or a number is of another type", hint)
    return scored
