"""The content of an image before it is drawn: objects, at most one text, and a seed for its looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cobra_kit_scenes.vocabulary import IMAGE

SIGNATURE_CELL = 4
"""Two objects whose centres share a cell of this many pixels stand, for a layout, in the same place."""


class Box(NamedTuple):
    """A rectangle in pixels, from the top left; the right and bottom edges lie outside."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def center(self) -> tuple[float, float]:
        """The centre, pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def xywh(self) -> list[float]:
        """Returns `[x, y, width, height]` in pixels, the form of the RefCOCO files."""
        return [float(self.x0), float(self.y0), float(self.x1 - self.x0), float(self.y1 - self.y0)]

    @property
    def fractions(self) -> tuple[float, float, float, float]:
        """Returns `(x0, y0, x1, y1)` as parts of the image."""
        return self.x0 / IMAGE, self.y0 / IMAGE, self.x1 / IMAGE, self.y1 / IMAGE

    def touches(self, other: Box, gap: int) -> bool:
        """Says whether the boxes come closer to each other than `gap` pixels, on both axes."""
        return (
            self.x0 < other.x1 + gap
            and other.x0 < self.x1 + gap
            and self.y0 < other.y1 + gap
            and other.y0 < self.y1 + gap
        )


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One coloured shape; it fills its box."""

    shape: str
    color: str
    size: str
    box: Box

    @property
    def pair(self) -> tuple[str, str]:
        """Returns the color and the shape."""
        return self.color, self.shape

    @property
    def name(self) -> str:
        """Such as "red circle"."""
        return f"{self.color} {self.shape}"


@dataclass(frozen=True, slots=True)
class SceneText:
    """A letter or a word, written as large as its box allows."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is in an image.

    Args:
        kind: How it was composed: single, pair, several, letter, tagged or word (`sampling.py`).
        objects: Shapes that do not touch; no two have the same color and shape.
        text: The letter or word; None in most images.
        style: Seed of what no question asks for: background, clutter, tints, noise.
    """

    kind: str
    objects: tuple[SceneObject, ...]
    text: SceneText | None
    style: int

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The (color, shape) pairs in the image."""
        return frozenset(item.pair for item in self.objects)

    def signature(self) -> str:
        """Returns what makes its layout: things, sorted, each with its place on a grid of 4 pixels."""
        items = [f"{o.shape}.{o.color}.{o.size}@{_cell(o.box)}" for o in self.objects]
        if self.text is not None:
            height = (self.text.box.y1 - self.text.box.y0) // SIGNATURE_CELL
            items.append(f"text.{self.text.text}.{height}@{_cell(self.text.box)}")
        return "|".join(sorted(items))

    def to_json(self) -> dict[str, Any]:
        """Returns the scene as plain values."""
        return {
            "kind": self.kind,
            "objects": [{"shape": o.shape, "color": o.color, "size": o.size, "box": list(o.box)} for o in self.objects],
            "text": None if self.text is None else {"text": self.text.text, "box": list(self.text.box)},
            "style": self.style,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scene:
        """Returns the scene that `to_json` wrote."""
        text = data["text"]
        return cls(
            kind=data["kind"],
            objects=tuple(SceneObject(o["shape"], o["color"], o["size"], Box(*o["box"])) for o in data["objects"]),
            text=None if text is None else SceneText(text["text"], Box(*text["box"])),
            style=data["style"],
        )


def _cell(box: Box) -> str:
    x, y = box.center
    return f"{int(x) // SIGNATURE_CELL},{int(y) // SIGNATURE_CELL}"
