"""Computes the features of a `FeatureCache` and puts them in place, whole."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cobra_kit.data.keys import shape_to_json
from cobra_kit.data.rejects import Rejects, check_unreadable
from cobra_kit.data.rows import DataSource
from cobra_kit.data.sections import SectionWriter
from cobra_kit.data.weights_read import poisoned
from cobra_kit.errors import DataError, ImageError, is_out_of_memory
from cobra_kit.events import Progress, Reporter
from cobra_kit.files import folder_beside, json_bytes, put_folder, seal, write_bytes
from cobra_kit.images import memory_as_image_error
from cobra_kit.interfaces import PreparedImage, TokenShape
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.batch import group_images

VALUES, HEADER = "features.npy", "header.json"


class UnexpectedlyRead(Exception):
    """Features came out without a value although only weights that should not be read had none."""


@dataclass
class _Written:
    """The contents of the file: images in order, and which of the distinct shapes each has."""

    images: list[str] = field(default_factory=list)
    shape_of: list[int] = field(default_factory=list)
    shapes: dict[TokenShape, int] = field(default_factory=dict)
    tokens: int = 0
    sections: SectionWriter = field(default_factory=SectionWriter)

    def add(self, name: str, shape: TokenShape, values: NDArray[np.float16]) -> None:
        self.images.append(name)
        self.shape_of.append(self.shapes.setdefault(shape, len(self.shapes)))
        self.tokens += len(values)


def compute(
    model: VisionLanguageModel,
    source: DataSource,
    image_ids: Sequence[str],
    place: Path,
    identity: dict[str, Any],
    report: Reporter,
    batch_size: int,
    unread: Collection[str],
) -> None:
    """Encodes images into a folder beside `place` and renames it to `place`; see `FeatureCache.of`.

    Args:
        model: Its encoder is used, as a frozen one.
        source: The source of the images.
        image_ids: Names of the images, as the source has them.
        place: The folder to be.
        identity: What the features depend on, for the header.
        report: Told about progress and what is left out.
        batch_size: Images encoded together.
        unread: Names of weights that `identity` leaves out, because the encoder should not read them.

    Raises:
        UnexpectedlyRead: It did read one of them.
        DataError: Too many images cannot be read, or features do not fit float16.
    """
    unreadable_file = place.with_name(f"unreadable-{place.name}.json")
    rejects, written = Rejects(len(image_ids)), _Written()
    with folder_beside(place) as temporary:
        with open(temporary / VALUES, "wb") as file, _frozen(model), poisoned(model.vision_encoder, unread):
            _write_npy_header(file, 0, model.vision_encoder.width)
            for start in range(0, len(image_ids), batch_size):
                names = image_ids[start : start + batch_size]
                readable = dict(_prepared(model, source, names, rejects, unreadable_file))
                for name, shape, values in _encoded(model, readable, rejects, unreadable_file):
                    _check_finite(name, values, identity["component"], unread)
                    content = values.tobytes()
                    file.write(content)
                    written.add(name, shape, values)
                    written.sections.add(content)
                done = min(start + batch_size, len(image_ids))
                task = f"features of {identity['component']}"
                report(Progress(task=task, done=done, total=len(image_ids), unit="pictures"))
            check_unreadable(rejects, unreadable_file, finished=True)
            file.seek(0)
            _write_npy_header(file, written.tokens, model.vision_encoder.width)
            file.flush()
            os.fsync(file.fileno())
        _write_header(temporary / HEADER, identity, written, model.vision_encoder.width, rejects)
        try:
            put_folder(temporary, place)
        except OSError:  # where locks do not work, another process may have been faster; its features are the same
            if not place.is_dir():
                raise
    rejects.announce(report, str(unreadable_file), "pictures cannot be read; rows with them are left out")


@contextmanager
def _frozen(model: VisionLanguageModel) -> Iterator[None]:
    """Runs a model's encoder as a frozen one, in eval mode and without a graph, and puts its mode back."""
    training = model.vision_encoder.training
    model.vision_encoder.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.vision_encoder.train(training)


def _prepared(
    model: VisionLanguageModel, source: DataSource, names: Sequence[str], rejects: Rejects, unreadable_file: Path
) -> Iterator[tuple[str, PreparedImage]]:
    for name in names:
        try:
            with memory_as_image_error(name):
                prepared = model.processor.preprocess(source.image(name))
        except ImageError as error:
            rejects.add(name, error.message)
            check_unreadable(rejects, unreadable_file, finished=False)
        else:
            yield name, prepared


def _encoded(
    model: VisionLanguageModel, prepared: Mapping[str, PreparedImage], rejects: Rejects, unreadable_file: Path
) -> list[tuple[str, TokenShape, NDArray[np.float16]]]:
    """Returns (name, shape, `[n d]`) per image, in the order given; without one that alone takes too much memory."""
    try:
        return _encoded_together(model, prepared)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    encoded: list[tuple[str, TokenShape, NDArray[np.float16]]] = []
    for name, image in prepared.items():
        try:
            with memory_as_image_error(name):
                encoded += _encoded_together(model, {name: image})
        except ImageError as error:
            rejects.add(name, error.message)
            check_unreadable(rejects, unreadable_file, finished=False)
    return encoded


def _encoded_together(
    model: VisionLanguageModel, prepared: Mapping[str, PreparedImage]
) -> list[tuple[str, TokenShape, NDArray[np.float16]]]:
    names = list(prepared)
    encoded: dict[str, tuple[str, TokenShape, NDArray[np.float16]]] = {}
    for group in group_images(list(prepared.values())):
        tensors = {name: tensor.to(model.device) for name, tensor in group.tensors.items()}
        values = model.encode_images(replace(group, tensors=tensors)).values[:, : group.shape.num_tokens]
        for index, array in zip(group.indices, _as_float16(values), strict=True):
            encoded[names[index]] = (names[index], group.shape, array)
    return [encoded[name] for name in names]


def _check_finite(name: str, values: NDArray[np.float16], component: str, unread: Collection[str]) -> None:
    if np.isfinite(values).all():
        return
    if unread:
        raise UnexpectedlyRead(component)
    raise DataError(
        "the encoder's features are infinite, NaN, or beyond 65,504, the largest float16",
        where=f"picture {name}",
        hint="Check the encoder's weights; train with `full_finetune` alone, which caches nothing.",
    )


def _as_float16(values: Tensor) -> NDArray[np.float16]:
    array: NDArray[np.float16] = values.to(torch.float16).cpu().numpy()
    return array


def _write_npy_header(file: BinaryIO, tokens: int, width: int) -> None:
    """Writes the header of `[tokens width]` float16; numpy pads it, so that a larger first axis fits in later."""
    description = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**description, "shape": (tokens, width)})


def _write_header(path: Path, identity: dict[str, Any], written: _Written, width: int, rejects: Rejects) -> None:
    header = {
        "identity": identity,
        "width": width,
        "shapes": [shape_to_json(shape) for shape in written.shapes],
        "shape_of": written.shape_of,
        "pictures": written.images,
        "unreadable": rejects.reasons,
        "sections": written.sections.finish(),
    }
    write_bytes(path, json_bytes(seal(header)))
