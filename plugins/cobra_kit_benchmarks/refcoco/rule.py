"""RefCOCO, RefCOCO+ and RefCOCOg: the box of what a sentence describes."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring.answered import Answered, Rule, Summary, mean
from cobra_kit.evaluate.scoring.checks import finite_numbers, predicted_text
from cobra_kit.interfaces import QuestionScore

Box = tuple[float, float, float, float]
_MINIGPT4_FORM = re.compile(r"\{<\d{1,3}><\d{1,3}><\d{1,3}><\d{1,3}>\}")
_MINIGPT4_RESOLUTION = 100  # their boxes count hundredths of the image
_UNREADABLE = "no box"


def iou(first: Box, second: Box, *, pixel: float = 0.0) -> float:
    """Returns intersection over union of two boxes (x1, y1, x2, y2).

    Args:
        first: A box in any unit.
        second: A box in the same unit.
        pixel: 1 where a box is meant to contain its last row and column of pixels, as MiniGPT-4 counts.
    """
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]) + pixel)
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]) + pixel)
    overlap = width * height
    union = _area(first, pixel) + _area(second, pixel) - overlap
    return overlap / union if union > 0 else 0.0


def parse_unit_box(text: str) -> Box | None:
    """Returns the box if the whole text is a list of four numbers in 0..1, x1 < x2 and y1 < y2; else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd text can make Python warn about its syntax
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(number, int | float) and 0 <= number <= 1 for number in value):
        return None
    x1, y1, x2, y2 = map(float, value)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def parse_minigpt4_box(text: str) -> Box | None:
    """Returns the box, in parts of the image, of a text that opens with `{<x1><y1><x2><y2>}`.

    None if it does not, or if more digits follow: the published loop fails on those and counts them as wrong.
    """
    compact = text.replace("<unk>", "").replace(" ", "").strip()
    numbers = re.findall(r"\d+", compact)
    if not _MINIGPT4_FORM.match(compact) or len(numbers) != 4:
        return None
    x1, y1, x2, y2 = (int(number) / _MINIGPT4_RESOLUTION for number in numbers)
    return x1, y1, x2, y2


def _cobra(question: Answered) -> QuestionScore:
    """Compares in parts of the image, the true box rounded to two decimals as the harness's index has it."""
    x1, y1, x2, y2 = _true_box(question, COBRA.name)
    width, height = _image_size(question, COBRA.name)
    truth = (round(x1 / width, 2), round(y1 / height, 2), round(x2 / width, 2), round(y2 / height, 2))
    box = parse_unit_box(predicted_text(question, COBRA.name))
    return _scored(question, box, truth, right=box is not None and iou(box, truth) >= 0.5)


def _minigpt4(question: Answered) -> QuestionScore:
    """Compares in pixels, each box one pixel larger; the overlap must exceed one half."""
    truth = _true_box(question, MINIGPT4.name)
    width, height = _image_size(question, MINIGPT4.name)
    parts = parse_minigpt4_box(predicted_text(question, MINIGPT4.name))
    box = (parts[0] * width, parts[1] * height, parts[2] * width, parts[3] * height) if parts else None
    return _scored(question, box, truth, right=box is not None and iou(box, truth, pixel=1) > 0.5)


def _scored(question: Answered, box: Box | None, truth: Box, *, right: bool) -> QuestionScore:
    return QuestionScore(
        question_id=question.question_id,
        image=question.image,
        score=float(right),
        prediction=_written(box) if box else _UNREADABLE,
        answer=_written(truth),
        group=question.group,
    )


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Returns accuracy at half overlap, and the share of answers that could not be read as a box."""
    unreadable = sum(score.prediction == _UNREADABLE for score in scores)
    return {"accuracy": mean(scores), "unreadable": unreadable / len(scores)}


def _true_box(question: Answered, rule: str) -> Box:
    if question.box is None:
        raise CobraError(f"question {question.question_id!r} has no true box", where=rule)
    if finite_numbers(question.box, 4) is None:
        raise CobraError(
            f"question {question.question_id!r} has the true box {question.box!r}, the rule needs four finite numbers",
            where=rule,
            hint="boxes are x, y, width, height in pixels",
        )
    x, y, width, height = question.box
    if not (width > 0 and height > 0):
        raise CobraError(
            f"question {question.question_id!r} has a true box without area: width {width}, height {height}",
            where=rule,
            hint="boxes are x, y, width, height in pixels",
        )
    return x, y, x + width, y + height


def _image_size(question: Answered, rule: str) -> tuple[int, int]:
    sides = finite_numbers(question.image_size, 2)
    if sides is None or min(sides) <= 0 or any(side != int(side) for side in sides):
        raise CobraError(
            f"question {question.question_id!r} needs its picture's width and height, got {question.image_size!r}",
            where=rule,
            hint="both are whole numbers of pixels above 0",
        )
    width, height = map(int, sides)
    return width, height


def _area(box: Box, pixel: float) -> float:
    return (box[2] - box[0] + pixel) * (box[3] - box[1] + pixel)


def _written(box: Box) -> str:
    return "[" + ", ".join(f"{number:.2f}" for number in box) + "]"


COBRA = Rule(
    name="refcoco/cobra",
    source="TRI-ML/vlm-evaluation, harnesses/refcoco.py, as the Cobra paper used it",
    description="the whole answer is a list of four numbers in 0..1, x1 < x2, y1 < y2; IoU of at least 0.5",
    score_one=_cobra,
    summarize=summarize,
    needs="box",
)
MINIGPT4 = Rule(
    name="refcoco/minigpt4",
    source="Vision-CAIR/MiniGPT-4, eval_ref.py, without its asking again after an unreadable answer",
    description="the answer opens with {<x1><y1><x2><y2>} in hundredths; IoU in pixels plus one above 0.5",
    score_one=_minigpt4,
    summarize=summarize,
    needs="box",
)
RULES = (COBRA, MINIGPT4)
