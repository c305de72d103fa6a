"""The words of the world: everything an image can show has a name here, and nothing else has."""

from __future__ import annotations

from typing import Literal, get_args

IMAGE = 64
"""Width and height of an image, pixels."""

Split = Literal["train", "val", "test", "towers"]
SPLITS: tuple[Split, ...] = get_args(Split)

SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond")

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (228, 40, 48),
    "orange": (250, 142, 30),
    "yellow": (248, 226, 62),
    "green": (46, 178, 76),
    "blue": (58, 104, 238),
    "purple": (176, 82, 208),
}
COLOR_NAMES = tuple(COLORS)

PAIRS = tuple((color, shape) for color in COLOR_NAMES for shape in SHAPES)
"""Every kind of object, as (color, shape)."""

SIDES = {"small": (11, 14), "large": (18, 22)}
"""Smallest and largest side of an object, pixels, both inclusive."""

MAX_OBJECTS = 5

LETTERS = tuple("BCEHLMOPSTX")
"""Letters asked for alone. No A: scorers that drop articles turn the answer "a" into nothing."""

WORDS = tuple(
    [
        "CAT",
        "HAT",
        "MAP",
        "BOX",
        "TEA",
        "SEA",
        "LAB",
        "CAB",
        "HAM",
        "PET",
        "BET",
        "SET",
        "POT",
        "HOT",
        "LOT",
        "TOP",
        "MOP",
        "AXE",
        "ACE",
        "ELM",
        "CAP",
        "BAT",
        "HEX",
        "SOB",
        "BOAT",
        "COAT",
        "MOTH",
        "BATH",
        "PATH",
        "LACE",
        "PACE",
        "CAPE",
        "HOPE",
        "POLE",
        "MOLE",
        "POST",
        "COST",
        "HOST",
        "BEST",
        "BEAM",
        "TEAM",
        "MEAL",
        "SEAL",
        "HEAT",
        "LAMP",
        "CHAT",
        "ECHO",
        "EXAM",
    ]
)
"""48 words of three and four letters."""


def article(noun: str) -> str:
    """Returns the noun behind its indefinite article: "an orange star"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
