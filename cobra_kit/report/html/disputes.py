"""Questions on which two arms disagree."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cobra_kit.report import grid
from cobra_kit.report.html.blocks import paragraphs, table
from cobra_kit.report.markup import Markup, element, join
from cobra_kit.report.plots.frame import colour
from cobra_kit.report.view import DisagreementExample, DisagreementQuestion, Picture, Reply

_BOX = re.compile(r"\s*\[([^\[\]]*)\]\s*\Z")


def disputes(found: Sequence[DisagreementExample], pictures_missing: str, arms: Sequence[str]) -> Markup:
    """Returns the counts per benchmark, then a sample of the questions; nothing where nobody disagrees."""
    shown = [one for one in found if one.won or one.lost]
    if not shown:
        return Markup()
    rows = [
        [one.benchmark, f"{one.other}, {one.reference}", f"{one.won:,}", f"{one.lost:,}", f"{one.questions:,}"]
        for one in shown
    ]
    header = ["benchmark", "arms", "first alone right", "second alone right", "asked"]
    seeds = ", ".join(map(str, sorted({one.seed for one in shown})))
    counts = table(f"Questions that one arm answers and the other does not, seed {seeds}", header, rows, words=2)
    cards = [_card(one, question, arms) for one in shown for question in one.sample]
    words = ["A sample of both kinds, the same each time; boxes: green the truth, then the arms in their colours."]
    notes = [*words, *([f"No pictures: {pictures_missing}"] if pictures_missing else [])]
    return join([counts, paragraphs(notes), _filters(shown), element("div", cards, class_="cards", id="disputes")])


def _filters(found: Sequence[DisagreementExample]) -> Markup:
    """Hidden until the script that makes it work has run."""
    names = dict.fromkeys(one.benchmark for one in found)
    options = [element("option", "all benchmarks", value=""), *(element("option", n, value=n) for n in names)]
    label = element("label", "Show ", element("select", options, data_filters="disputes"))
    return element("p", label, class_="filter", hidden=True)


def _card(where: DisagreementExample, question: DisagreementQuestion, arms: Sequence[str]) -> Markup:
    classes = [colour(arms.index(one.arm)) for one in question.replies]
    replies = [_reply(*one) for one in zip(question.replies, classes, strict=True)]
    part = question.group.removeprefix(f"{where.benchmark}/")
    group = f", {part}" if part else ""
    return element(
        "article",
        _picture(question, classes) if question.picture else None,
        element(
            "div",
            element("p", f"{where.benchmark}{group}, question {question.question_id}", class_="note"),
            element("p", question.prompt, class_="prompt") if question.prompt else None,
            element("dl", element("dt", "truth"), element("dd", question.truth, class_="truth"), replies),
        ),
        data_key=where.benchmark,
    )


def _reply(reply: Reply, own: str) -> Markup:
    verdict = "right" if reply.score >= 1 else "wrong" if reply.score <= 0 else grid.points(100 * reply.score)
    class_ = "higher" if reply.score >= 0.5 else "lower"
    mark = element("span", verdict, class_=f"verdict {class_}")
    return join(
        [
            element("dt", reply.arm, class_=own),
            element("dd", reply.text or "(nothing)", " ", mark),
        ]
    )


def _picture(question: DisagreementQuestion, classes: Sequence[str]) -> Markup:
    picture = question.picture
    assert picture is not None  # as `_card` has seen
    image = element(
        "img",
        src=picture.data,
        width=picture.width,
        height=picture.height,
        alt="the picture of this question",
        loading="lazy",
        class_="pixelated" if picture.pixelated else None,
    )
    return element("div", image, _boxes(question, picture, classes), class_="picture")


def _boxes(question: DisagreementQuestion, picture: Picture, classes: Sequence[str]) -> Markup | None:
    """Returns the boxes that answers name, over the picture; None where the truth is no box."""
    named = [(question.truth, "truth"), *zip((one.text for one in question.replies), classes, strict=True)]
    boxes = [(box, class_) for text, class_ in named if (box := _box(text)) is not None]
    if not boxes or boxes[0][1] != "truth":
        return None
    w, h = picture.width, picture.height
    drawn = [
        element("rect", x=x1 * w, y=y1 * h, width=(x2 - x1) * w, height=(y2 - y1) * h, class_=class_)
        for (x1, y1, x2, y2), class_ in boxes
    ]
    return element("svg", drawn, viewBox=f"0 0 {w} {h}", class_="boxes", aria_hidden="true")


def _box(text: str) -> tuple[float, float, float, float] | None:
    """Returns the corners that an answer such as `[0.1, 0.2, 0.5, 0.6]` names, as shares of the picture."""
    match = _BOX.match(text)
    try:
        x1, y1, x2, y2 = (float(part) for part in (match.group(1) if match else "").split(","))
    except ValueError:
        return None
    return (x1, y1, x2, y2) if 0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1 else None
