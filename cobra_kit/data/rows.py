"""The contract of every source of data: training rows, images by name, and benchmarks with their questions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from PIL.Image import Image

from cobra_kit.errors import DataError

HeldOutSplit = Literal["val", "test"]
Split = Literal["train", "val", "test"]
TextForm = Literal["passages", "conversations"]


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One conversation to learn from.

    Args:
        row_id: Unique within the source.
        images: Names of its images, in the order of their markers.
        turns: (question, answer) pairs; questions may hold `<image>` markers.
        kinds: Per turn what kind of question it is, such as `count`; empty where the source does not know.
    """

    row_id: str
    images: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One held-out question.

    Args:
        question_id: Unique within its benchmark.
        image: Name of the image that it is about.
        prompt: What the model reads, instructions about the form of the answer included.
        choices: Answers of one token each as the prompt template writes them, to be ranked by their probability at the
            first token; empty: the answer is generated.
    """

    question_id: str
    image: str
    prompt: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Held-out questions and everything a scorer needs.

    Args:
        name: Key in recipes and folders, such as `presence`.
        label: Heading of its column, such as `presence (POPE)`.
        rule: Name of the rule that scores it, such as `pope/first-token`.
        questions: The questions, in a fixed order.
        annotations: Per question, in that order, what the rule reads beside the prediction: people's answers, the
            true box, the group; keys are those of `evaluate.scoring.Answered`.
        groups: Per question the part of the benchmark it belongs to, such as `color/1`; empty without parts.
        floor: What answers without the image reach, in the rule's main figure; None where it is unknown.
        ceiling: What disagreeing annotators leave; None where it is unknown.
        group_floors: The floor of single groups, where it is known.
    """

    name: str
    label: str
    rule: str
    questions: Sequence[Question]
    annotations: Sequence[Mapping[str, Any]]
    groups: Sequence[str] = ()
    floor: float | None = None
    ceiling: float | None = None
    group_floors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in (("annotations", self.annotations), ("groups", self.groups)):
            if len(values) != len(self.questions) and (name == "annotations" or values):
                raise DataError(f"{self.name}: {len(values)} {name} for {len(self.questions)} questions")


class DataSource(Protocol):
    """Training rows, images and benchmarks of one origin."""

    @property
    def fingerprint(self) -> str:
        """Returns a hash that changes whenever a row, an image or a question does."""
        ...

    @property
    def rows(self) -> Sequence[TrainingRow]:
        """Returns the training rows."""
        ...

    @property
    def caption_rows(self) -> Sequence[TrainingRow]:
        """Returns the rows of the align stage: an image and, as the first answer, its caption."""
        ...

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns rows without images for the text stages.

        Args:
            form: `passages`: plain text, as the first answer of each row; `conversations`: questions and answers.

        Raises:
            DataError: The source has none.
        """
        ...

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        ...

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the names of the images that the split's rows or questions use, each once, in order."""
        ...

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns the benchmarks of a split by name; none where the source has no held-out questions."""
        ...


def used_images(rows: Sequence[TrainingRow]) -> tuple[str, ...]:
    """Returns the names of the images of some rows, each once, in order of first use."""
    return tuple(dict.fromkeys(name for row in rows for name in row.images))


class FormerNames:
    """The names that a source's methods had before they were called after images; goes with the next major version."""

    image: Callable[[str], Image]
    image_ids: Callable[[Split], Sequence[str]]

    def picture(self, image_id: str) -> Image:
        """Returns `image(image_id)`, which has replaced it."""
        _warn_renamed("picture", "image")
        return self.image(image_id)

    def picture_ids(self, split: Split) -> Sequence[str]:
        """Returns `image_ids(split)`, which has replaced it."""
        _warn_renamed("picture_ids", "image_ids")
        return self.image_ids(split)


def with_image_names(source: DataSource) -> DataSource:
    """Returns a source whose methods have their names of today: one that was written with the former gets them."""
    for old, new in (("picture", "image"), ("picture_ids", "image_ids")):
        if not hasattr(source, new) and hasattr(source, old):
            _warn_renamed(f"{type(source).__name__}.{old}", new, level=4)
            setattr(source, new, getattr(source, old))
    return source


def _warn_renamed(old: str, new: str, level: int = 3) -> None:
    warnings.warn(f"{old} of a data source is called {new} now", DeprecationWarning, stacklevel=level)
