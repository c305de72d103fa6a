"""The sizes that the paper's protocol states, checked when files are opened: another file is another benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.items import Item


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of questions and images of a split.

    Args:
        questions: Questions in all.
        images: Different images; None where it is not known.
        groups: Questions per group, where that is known; several numbers where releases differ.
    """

    questions: tuple[int, ...]
    images: int | None = None
    groups: Mapping[str, tuple[int, ...]] | None = None


def count_problem(items: Sequence[Item], counts: Counts) -> str | None:
    """Returns in what the questions differ from what is expected, in words; None where they do not."""
    if len(items) not in counts.questions:
        expected = " or ".join(f"{number:,}" for number in counts.questions)
        return f"{len(items):,} questions, the official split has {expected}"
    images = len({item.image for item in items})
    if counts.images is not None and images != counts.images:
        return f"questions about {images:,} images, the official split has {counts.images:,}"
    for group, numbers in (counts.groups or {}).items():
        number = sum(item.group == group for item in items)
        if number not in numbers:
            expected = " or ".join(f"{number:,}" for number in numbers)
            return f"{number:,} questions in {group}, the official split has {expected}"
    return None


def check_counts(items: Sequence[Item], counts: Counts, where: str) -> None:
    """Raises if the questions are not as many as expected.

    Raises:
        DataError: They are not.
    """
    if problem := count_problem(items, counts):
        raise DataError(
            problem,
            where=where,
            hint="Fetch the official file again, or set `check_counts: false` if other questions are meant.",
        )
