"""A model's answers to a benchmark, on disk, each question asked once whatever happens in between.

Questions are answered in batches of fixed composition: batch i holds the questions from i * batch_size on. What a
question is batched with can move the last bits of its probabilities, so a restart asks the same batches again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cobra_kit.arguments import renamed_arguments
from cobra_kit.data.images import Images
from cobra_kit.data.rows import Benchmark, Question
from cobra_kit.errors import CobraError
from cobra_kit.evaluate.answers import read_answers
from cobra_kit.evaluate.file_keys import in_code
from cobra_kit.events import Progress, Reporter, silent
from cobra_kit.files import append_json_lines
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.decoding import (
    AS_KEPT,
    DecodeSettings,
    Precision,
    evaluating,
    first_token_probabilities,
    generate_ids,
)
from cobra_kit.text.choices import first_answer_ids


@renamed_arguments(picture="image")
@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer to one question.

    Args:
        question_id: Id of the question.
        image: The image it was shown; in a control not the one the question is about.
        text: The generated answer, or the most probable choice.
        probabilities: Probability of each choice at the first token; None for a generated answer.
        precision: How exactly the model was computed, in words; None: as it was trained.
        cut: Whether a generated answer was cut at the most new tokens, before the model had ended it.
    """

    question_id: str
    image: str
    text: str
    probabilities: Mapping[str, float] | None = None
    precision: str | None = None
    cut: bool = False


def predict(
    model: VisionLanguageModel,
    benchmark: Benchmark,
    images: Images,
    file: Path,
    *,
    shown: Mapping[str, str] | None = None,
    max_new_tokens: int = 40,
    batch_size: int = 64,
    precision: Precision = AS_KEPT,
    computed: str | None = None,
    report: Reporter = silent,
) -> list[Prediction]:
    """Returns the answers to all questions, in order; those that are in the file already are not asked again.

    Args:
        model: A trained model; it answers in eval mode.
        benchmark: The questions to ask.
        images: Where the images, or their features, come from.
        file: Where the answers are kept, a line each; its folder is made.
        shown: Per image the one to show instead (a control); None: each question's own.
        max_new_tokens: Most tokens of a generated answer.
        batch_size: Questions answered together.
        precision: What is rounded while answering.
        computed: The precision of weights and state in words, kept with the answers; None: as trained.
        report: Told after every batch.

    Raises:
        CobraError: The file holds answers to other questions, or cannot be written.
    """
    questions = benchmark.questions
    asked = [(question, (shown or {}).get(question.image, question.image)) for question in questions]
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = read_answers(file)
    _check_same(lines, asked, file, computed)
    report(Progress(task=benchmark.name, done=len(lines), total=len(asked), unit="questions"))
    with evaluating(model):
        while len(lines) < len(asked):
            # From the start of a batch, though some of it may be answered: how a batch is cut can change the last bits
            # of logits, and going on must give what an uninterrupted run gives.
            start = len(lines) // batch_size * batch_size
            answers = _answer_batch(model, asked[start : start + batch_size], images, max_new_tokens, precision)
            new = [{**line, **({"precision": computed} if computed else {})} for line in answers[len(lines) - start :]]
            append_json_lines(file, new, checksums=True)
            lines += new
            report(Progress(task=benchmark.name, done=len(lines), total=len(asked), unit="questions"))
    return [Prediction(**in_code(line)) for line in lines]


def check_choices(model: VisionLanguageModel, benchmark: Benchmark) -> None:
    """Refuses choices that cannot be ranked by this model's first token, before anything is spent on it.

    Raises:
        TextError: A choice is not one token, or two are the same.
    """
    for choices in dict.fromkeys(tuple(question.choices) for question in benchmark.questions):
        first_answer_ids(choices, model.processor.codec, where=benchmark.name)


def answer(
    model: VisionLanguageModel,
    questions: Sequence[Question],
    images: Images,
    *,
    max_new_tokens: int,
    batch_size: int,
    precision: Precision = AS_KEPT,
) -> list[Prediction]:
    """Returns the answers to some questions, in order, and keeps nothing."""
    asked = [(question, question.image) for question in questions]
    with evaluating(model):
        lines = [
            line
            for start in range(0, len(asked), batch_size)
            for line in _answer_batch(model, asked[start : start + batch_size], images, max_new_tokens, precision)
        ]
    return [Prediction(**in_code(line)) for line in lines]


_Asked = tuple[Question, str]
"""A question and the image to show with it."""


def _answer_batch(
    model: VisionLanguageModel,
    asked: Sequence[_Asked],
    images: Images,
    max_new_tokens: int,
    precision: Precision,
) -> list[dict[str, Any]]:
    """Returns one line per question of a batch; questions with the same choices are answered together."""
    lines: dict[int, dict[str, Any]] = {}
    for choices in dict.fromkeys(tuple(question.choices) for question, _ in asked):  # a plugin may give lists
        places = [place for place, (question, _) in enumerate(asked) if tuple(question.choices) == choices]
        answers = _answer_alike(model, [asked[place] for place in places], choices, images, max_new_tokens, precision)
        for place, answer in zip(places, answers, strict=True):
            question, image = asked[place]
            lines[place] = {"question_id": question.question_id, "picture": image, **answer}
    return [lines[place] for place in range(len(asked))]


def _answer_alike(
    model: VisionLanguageModel,
    asked: Sequence[_Asked],
    choices: tuple[str, ...],
    images: Images,
    max_new_tokens: int,
    precision: Precision,
) -> list[dict[str, Any]]:
    processor = model.processor
    # Questions about the same image stand side by side in most benchmarks; it is decoded, encoded and projected once.
    loaded = {image: images.load(image) for image in dict.fromkeys(image for _, image in asked)}
    rows = [processor.row([(question.prompt, None)], [loaded[image]], for_generation=True) for question, image in asked]
    batch = processor.collate(rows, for_generation=True).to(model.device)
    if not choices:
        tokenizer = processor.codec.tokenizer
        settings = DecodeSettings(max_new_tokens, [tokenizer.eos_id], precision=precision)
        generated = generate_ids(model, batch, settings)
        return [
            {"text": tokenizer.decode(ids).strip(), **({"cut": True} if len(ids) >= max_new_tokens else {})}
            for ids in generated
        ]
    with torch.no_grad():
        where = f"question {asked[0][0].question_id}"
        probabilities = first_token_probabilities(model, batch, choices, precision=precision, where=where).cpu()
    _check_finite(probabilities, asked)
    return [
        {
            "text": choices[max(range(len(choices)), key=row.__getitem__)],
            "probabilities": dict(zip(choices, row, strict=True)),
        }
        for row in probabilities.tolist()
    ]


def _check_finite(probabilities: torch.Tensor, asked: Sequence[_Asked]) -> None:
    wrong = (~torch.isfinite(probabilities)).any(1).nonzero()
    if len(wrong):
        raise CobraError(
            "the model's probabilities are not numbers",
            where=f"question {asked[int(wrong[0])][0].question_id}",
            hint="Its weights hold NaN or infinity: train again with a lower learning rate.",
        )


def _check_same(lines: Sequence[Mapping[str, Any]], asked: Sequence[_Asked], file: Path, computed: str | None) -> None:
    for number, line in enumerate(lines, start=1):
        if line.get("precision") != computed:
            raise CobraError(
                f"holds an answer computed with {line.get('precision') or 'the trained precision'}, "
                f"expected {computed or 'the trained precision'}",
                where=f"{file}:{number}",
                hint="evaluate.precision was changed. Delete the file; it is made again.",
            )
    for number, (line, (question, image)) in enumerate(zip(lines, asked, strict=False), start=1):
        if (line.get("question_id"), line.get("picture")) != (question.question_id, image):
            raise CobraError(
                f"holds an answer to question {line.get('question_id')!r} about {line.get('picture')!r}, "
                f"expected {question.question_id!r} about {image!r}",
                where=f"{file}:{number}",
                hint="The answers were given to other data. Delete the file; it is made again.",
            )
    if len(lines) > len(asked):
        raise CobraError(
            f"holds {len(lines)} answers to {len(asked)} questions",
            where=str(file),
            hint="The answers were given to other data. Delete the file; it is made again.",
        )
