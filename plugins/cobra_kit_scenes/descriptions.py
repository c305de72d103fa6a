"""A scene in words, and which questions those words answer.

`places` says in which cell of a 3 x 3 grid things are, `boxes` gives their rectangles as answers give them.
"""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

from cobra_kit_scenes.captions import caption
from cobra_kit_scenes.layout import Box, Scene
from cobra_kit_scenes.questions import Question
from cobra_kit_scenes.questions.box import box_text
from cobra_kit_scenes.vocabulary import IMAGE, article

DescriptionStyle = Literal["places", "boxes"]
STYLES: tuple[DescriptionStyle, ...] = get_args(DescriptionStyle)


def described(scene: Scene, style: DescriptionStyle, rng: Random) -> str:
    """Returns a sentence on everything in the scene, such as "A small red circle at the top left."."""
    text = caption(scene, rng) if style == "places" else _with_boxes(scene, rng)
    return f"{text[:1].upper()}{text[1:]}."


def answers(scene: Scene, style: DescriptionStyle, question: Question) -> bool:
    """Returns whether the description of that style says what the answer is."""
    if style == "boxes" or question.ability not in ("spatial", "box"):
        return True
    if question.ability == "box":
        return question.template == "quarter" and 1 not in _cell(_only_box(scene))
    axis = 0 if question.template.endswith(("left", "right", "left of", "right of")) else 1
    if question.other == "image":
        return _cell(_only_box(scene))[axis] != 1
    cells = {item.name: _cell(item.box)[axis] for item in scene.objects}
    return cells[question.subject] != cells[question.other]


def _with_boxes(scene: Scene, rng: Random) -> str:
    parts = [f"{article(f'{item.size} {item.name}')} in {box_text(item.box)}" for item in scene.objects]
    if scene.text is not None:
        noun = "letter" if len(scene.text.text) == 1 else "word"
        parts.append(f"the {noun} {scene.text.text} in {box_text(scene.text.box)}")
    rng.shuffle(parts)
    return " and ".join(parts)


def _cell(box: Box) -> tuple[int, int]:
    """Returns column and row of the cell of a 3 x 3 grid that holds the centre."""
    x, y = box.center
    return int(3 * x / IMAGE), int(3 * y / IMAGE)


def _only_box(scene: Scene) -> Box:
    return scene.objects[0].box if scene.text is None else scene.text.box
