"""Pictures and questions as a caller gives them, to collated prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from PIL.Image import Image

from cobra_kit.errors import TextError
from cobra_kit.images import open_image
from cobra_kit.model.batch import Batch, PreparedRow
from cobra_kit.model.processor import Processor

Picture: TypeAlias = Image | str | Path
ImageInput: TypeAlias = Picture | Sequence[Picture | Sequence[Picture] | None] | None


def prompt_batches(
    processor: Processor, images: ImageInput, questions: str | Sequence[str], batch_size: int
) -> Iterator[Batch]:
    """Yields the prompts in batches of at most `batch_size`, in order.

    Raises:
        TextError: Images and questions do not match in number.
        ImageError: A picture cannot be read.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    rows = prompt_rows(processor, images, questions)
    while batch := list(islice(rows, batch_size)):
        yield processor.collate(batch, for_generation=True)


def prompt_rows(processor: Processor, images: ImageInput, questions: str | Sequence[str]) -> Iterator[PreparedRow]:
    """Yields the prompts one by one, each prepared when it is asked for.

    Raises:
        TextError: Images and questions do not match in number.
        ImageError: A picture cannot be read.
    """
    asked = [questions] if isinstance(questions, str) else list(questions)
    pictures = _per_question(images, asked, single=isinstance(questions, str))
    for question, row in zip(asked, pictures, strict=True):
        yield processor.row([(question, None)], [open_image(p) for p in row], for_generation=True)


def _per_question(images: ImageInput, questions: Sequence[str], *, single: bool) -> list[list[Picture]]:
    if images is None:
        return [[] for _ in questions]
    if isinstance(images, Image | str | Path):
        return [[images] for _ in questions]
    if single:
        return [_pictures(images)]
    if len(images) != len(questions):
        raise TextError(
            f"{len(images)} images for {len(questions)} questions",
            hint="Give one entry per question (a picture, a list of pictures, or None), or one picture for all.",
        )
    return [_pictures(_as_list(entry)) for entry in images]


def images_of(entry: Picture | Sequence[Picture] | None) -> list[Image]:
    """Returns the opened images of one question: none, one or several.

    Raises:
        TextError: A list holds lists.
        ImageError: An image cannot be read.
    """
    return [open_image(image) for image in _pictures(_as_list(entry))]


def _as_list(entry: Picture | Sequence[Picture] | None) -> Sequence[Picture | None]:
    return [entry] if entry is None or isinstance(entry, Image | str | Path) else entry


def _pictures(entries: Sequence[Picture | Sequence[Picture] | None]) -> list[Picture]:
    pictures: list[Picture] = []
    for entry in entries:
        if entry is None:
            continue
        if not isinstance(entry, Image | str | Path):
            raise TextError(
                "a list of lists of images needs a list of questions",
                hint="For one question pass a picture or a flat list of pictures.",
            )
        pictures.append(entry)
    return pictures
