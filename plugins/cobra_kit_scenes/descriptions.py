"""A scene in words, and which questions those words answer.

`places` says in which cell of a 3 x 3 grid things are, `boxes` gives their rectangles as answers give them.
"""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

from cobra_kit_scenes.captions import caption, cell, listed
from cobra_kit_scenes.layout import Box, Scene
from cobra_kit_scenes.questions import Question
from cobra_kit_scenes.questions.box import box_text
from cobra_kit_scenes.questions.places import PLACES

DescriptionStyle = Literal["places", "boxes"]
STYLES: tuple[DescriptionStyle, ...] = get_args(DescriptionStyle)


def described(scene: Scene, style: DescriptionStyle, rng: Random) -> str:
    """Returns a sentence on everything in the scene, such as "A small red circle at the top left."."""
    if style == "places":
        text = caption(scene, rng)
    else:
        text = " and ".join(listed(scene, lambda box: f"in {box_text(box)}", rng))
    return f"{text[:1].upper()}{text[1:]}."


def answers(scene: Scene, style: DescriptionStyle, question: Question) -> bool:
    """Returns whether the description of that style says what the answer is."""
    if style == "boxes":
        return True
    if question.other in PLACES:  # what is in a middle cell may be in either half
        across = PLACES[question.other][0] == 0
        return all(cell(item.box)[across] != 1 for item in scene.objects)
    if question.ability not in ("spatial", "box"):
        return True
    if question.ability == "box":
        return question.template == "quarter" and 1 not in cell(_only_box(scene))
    axis = 0 if question.template.endswith(("left", "right", "left of", "right of")) else 1
    if question.other == "image":
        return cell(_only_box(scene))[axis] != 1
    cells = {item.name: cell(item.box)[axis] for item in scene.objects}
    return cells[question.subject] != cells[question.other]


def _only_box(scene: Scene) -> Box:
    return scene.objects[0].box if scene.text is None else scene.text.box
