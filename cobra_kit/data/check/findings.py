"""The outcome of a check: counts and first examples per kind of finding, and whether training may start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SHOWN = 3

BAD = {
    "form": "rows that break the form: turns out of order, no answer, markers and pictures that disagree",
    "empty": "rows with an empty answer",
    "nothing": "rows without a token to learn",
    "image": "pictures that are missing or will not open; their rows cannot be trained on",
}
"""Kinds of findings whose rows cannot be trained on, and what they are."""

NOTED = {
    "cut": "rows of which a part is cut for their length",
    "duplicate": "rows with an id that another row has",
    "benchmark": "training pictures that a benchmark asks about, too",
}
"""Kinds of findings that are told and do not stop training."""


@dataclass(slots=True)
class Kind:
    """The findings of one kind.

    Args:
        count: How many there are.
        examples: The first ones, each a line.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Counts one."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)


@dataclass(slots=True)
class DataReport:
    """The findings of a check.

    Args:
        rows: Rows in all.
        quarantined: Rows that the recipe's quarantine list leaves out.
        images: How many different images there are.
        kinds: The findings by kind.
        bad_rows: Rows that cannot be trained on and stand on no list.
        cut: What is cut, in one line; empty where nothing is.
        no_texts: Why texts were not looked at, such as a tokenizer that is not here; empty where they were.
        marked: A few rows with the text that carries loss marked.
        seconds: What the check took.
    """

    rows: int = 0
    quarantined: int = 0
    images: int = 0
    kinds: dict[str, Kind] = field(default_factory=lambda: {name: Kind() for name in (*BAD, *NOTED)})
    bad_rows: int = 0
    cut: str = ""
    no_texts: str = ""
    marked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def may_start(self) -> bool:
        """Returns whether every row that is left can be trained on, and there is one."""
        return not self.bad_rows and self.rows > self.quarantined

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON has it."""
        return {
            "may_start": self.may_start,
            "rows": self.rows,
            "quarantined": self.quarantined,
            "bad_rows": self.bad_rows,
            "images": self.images,
            "findings": {name: {"count": k.count, "examples": k.examples} for name, k in self.kinds.items()},
            "cut": self.cut or None,
            "texts_not_checked": self.no_texts or None,
            "marked": self.marked,
            "seconds": round(self.seconds, 2),
        }
