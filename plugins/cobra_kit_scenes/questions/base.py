"""The form of a question, whatever it asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cobra_kit_scenes.layout import Box

Ability = Literal["color", "shape", "count", "presence", "spatial", "reading", "box"]
ABILITIES: tuple[Ability, ...] = get_args(Ability)

MAX_LEVEL = 3

LEVELS: Mapping[Ability, tuple[int, ...]] = {
    "color": (1, 2, 3),
    "shape": (1, 2, 3),
    "count": (1, 2),
    "presence": (1, 2, 3),
    "spatial": (1, 2, 3),
    "reading": (1, 2, 3),
    "box": (1, 2, 3),
}
"""The levels that each ability has, the easiest first."""

HARDEST_UNASKED: Mapping[Ability, int] = {
    ability: 2 if ability in ("color", "shape", "presence") else levels[-1] for ability, levels in LEVELS.items()
}
"""The hardest level that is asked where nobody names one: questions about places came later than worlds without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about one scene, with its true answer.

    Args:
        ability: What it takes to answer.
        level: 1 is the easiest.
        template: Names the wording without the words that vary, such as "what color is the"; answers are
            balanced per template and per text.
        text: The question, statement (spatial) or expression (box).
        answer: The true answer in the words of the held-out files: lower case, digits; "" for boxes that
            are not one of a few.
        choices: Every answer this template can have; empty for free boxes.
        box: The region, for boxes.
        subject, other: What a spatial statement is about; of another question, `other` is the place it names, if any.
    """

    ability: Ability
    level: int
    template: str
    text: str
    answer: str
    choices: tuple[str, ...] = ()
    box: Box | None = None
    subject: str = ""
    other: str = ""

    @property
    def slice(self) -> str:
        """Ability and level, such as "color/1"."""
        return f"{self.ability}/{self.level}"
