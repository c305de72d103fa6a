"""Questions on which two arms disagree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cobra_kit.report.html.rendering import render
from cobra_kit.report.plots.frame import colour
from cobra_kit.report.svg import element
from cobra_kit.report.view import DisagreementExample, DisagreementQuestion

_BOX = re.compile(r"\s*\[([^\[\]]*)\]\s*\Z")


@dataclass(frozen=True, slots=True)
class _Card:
    """A question as the template shows it.

    Args:
        benchmark: The name that the page's filter looks for.
        heading: The benchmark and the part of it.
        question: The question with its replies.
        colours: The class of each reply's arm.
        boxes: What is drawn over the image.
    """

    benchmark: str
    heading: str
    question: DisagreementQuestion
    colours: Sequence[str]
    boxes: Markup


def disagreements(examples: Sequence[DisagreementExample], images_missing: str, arms: Sequence[str]) -> Markup:
    """Returns the counts per benchmark, then a sample of the questions; nothing where nobody disagrees."""
    disputed = [example for example in examples if example.won or example.lost]
    if not disputed:
        return Markup()
    seeds = ", ".join(map(str, sorted({example.seed for example in disputed})))
    return render(
        "disagreements",
        caption=f"Questions that one arm answers and the other does not, seed {seeds}",
        header=["benchmark", "arms", "first alone right", "second alone right", "asked"],
        counts=[_counts(example) for example in disputed],
        images_missing=images_missing,
        benchmarks=list(dict.fromkeys(example.benchmark for example in disputed)),
        cards=[_card(example, question, arms) for example in disputed for question in example.sample],
    )


def _counts(example: DisagreementExample) -> list[str]:
    arms = f"{example.other}, {example.reference}"
    return [example.benchmark, arms, *(f"{count:,}" for count in (example.won, example.lost, example.questions))]


def _card(example: DisagreementExample, question: DisagreementQuestion, arms: Sequence[str]) -> _Card:
    colours = [colour(arms.index(reply.arm)) for reply in question.replies]
    part = question.group.removeprefix(f"{example.benchmark}/")
    heading = f"{example.benchmark}, {part}" if part else example.benchmark
    return _Card(example.benchmark, heading, question, colours, _boxes(question, colours))


def _boxes(question: DisagreementQuestion, colours: Sequence[str]) -> Markup:
    """Returns the boxes that answers name, over the image; nothing where the truth is no box."""
    image, truth = question.image, _box(question.truth)
    if image is None or truth is None:
        return Markup()
    replies = zip((_box(reply.text) for reply in question.replies), colours, strict=True)
    w, h = image.width, image.height
    drawn = [
        element("rect", x=x1 * w, y=y1 * h, width=(x2 - x1) * w, height=(y2 - y1) * h, class_=class_)
        for (x1, y1, x2, y2), class_ in [(truth, "truth"), *((box, class_) for box, class_ in replies if box)]
    ]
    return element("svg", drawn, viewBox=f"0 0 {w} {h}", class_="boxes", aria_hidden="true")


def _box(text: str) -> tuple[float, float, float, float] | None:
    """Returns the corners that an answer such as `[0.1, 0.2, 0.5, 0.6]` names, as shares of the image."""
    match = _BOX.match(text)
    try:
        x1, y1, x2, y2 = (float(part) for part in (match.group(1) if match else "").split(","))
    except ValueError:
        return None
    return (x1, y1, x2, y2) if 0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1 else None
