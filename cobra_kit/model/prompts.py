"""Images and questions as a caller gives them, to collated prompts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from PIL.Image import Image

from cobra_kit.arguments import file_path, texts, whole_number
from cobra_kit.errors import ArgumentError, ImageError, TextError, kind_of
from cobra_kit.images import open_image
from cobra_kit.model.batch import Batch, PreparedRow
from cobra_kit.model.processor import Processor

PromptImage: TypeAlias = Image | str | Path | bytes
_HINT = "A picture is a PIL image, a path, or the bytes of a file; PIL.Image.fromarray makes one of an array."
ImageInput: TypeAlias = PromptImage | Sequence[PromptImage | Sequence[PromptImage] | None] | None


def prompt_batches(
    processor: Processor, images: ImageInput, questions: str | Sequence[str], batch_size: int
) -> Iterator[Batch]:
    """Yields the prompts in batches of at most `batch_size`, in order.

    Raises:
        ArgumentError: An argument is of a wrong kind.
        TextError: Images and questions do not match in number.
        ImageError: An image cannot be read.
    """
    batch_size = whole_number(batch_size, "batch_size", at_least=1)
    rows = prompt_rows(processor, images, questions)
    while batch := list(islice(rows, min(batch_size, sys.maxsize))):
        yield processor.collate(batch, for_generation=True)


def prompt_rows(processor: Processor, images: ImageInput, questions: str | Sequence[str]) -> Iterator[PreparedRow]:
    """Yields the prompts one by one, each prepared when it is asked for.

    Raises:
        TextError: Images and questions do not match in number.
        ImageError: An image cannot be read.
    """
    asked = [questions] if isinstance(questions, str) else texts(questions, "questions", example='["What is this?"]')
    per_question = _per_question(images, asked, single=isinstance(questions, str))
    for question, row in zip(asked, per_question, strict=True):
        yield processor.row([(question, None)], [_opened(image) for image in row], for_generation=True)


def _opened(image: PromptImage) -> Image:
    if isinstance(image, str) and "://" in image:
        raise ImageError("a web address is no file", where=image[:80], hint="Download the picture, then give its path.")
    return open_image(file_path(image, "a picture") if isinstance(image, str | Path) else image)


def _per_question(images: ImageInput, questions: Sequence[str], *, single: bool) -> list[list[PromptImage]]:
    if images is None:
        return [[] for _ in questions]
    if isinstance(images, PromptImage):
        return [[images] for _ in questions]
    _check_list(images, "images")
    if single:
        return [_images(images)]
    if len(images) != len(questions):
        raise TextError(
            f"{len(images)} images for {len(questions)} questions",
            hint="Give one entry per question (a picture, a list of pictures, or None), or one picture for all.",
        )
    return [_images(_as_list(entry)) for entry in images]


def images_of(entry: PromptImage | Sequence[PromptImage] | None) -> list[Image]:
    """Returns the opened images of one question: none, one or several.

    Raises:
        TextError: A list holds lists.
        ImageError: An image cannot be read.
    """
    return [open_image(image) for image in _images(_as_list(entry))]


def _as_list(entry: PromptImage | Sequence[PromptImage] | None) -> Sequence[PromptImage | None]:
    if entry is None or isinstance(entry, PromptImage):
        return [entry]
    _check_list(entry, "an entry of images")
    return entry


def _images(entries: Sequence[PromptImage | Sequence[PromptImage] | None]) -> list[PromptImage]:
    images: list[PromptImage] = []
    for entry in entries:
        if entry is None:
            continue
        if not isinstance(entry, PromptImage):
            _check_list(entry, "an entry of images")
            raise TextError(
                "a list of lists of images needs a list of questions",
                hint="For one question pass a picture or a flat list of pictures.",
            )
        images.append(entry)
    return images


def _check_list(value: object, what: str) -> None:
    if not isinstance(value, list | tuple):
        raise ArgumentError(f"{what} must be a picture, a list of pictures or None, not {kind_of(value)}", hint=_HINT)
