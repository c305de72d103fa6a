"""The images of a split in one file that is read without loading it: `images.npy`, `[n 64 64 3]` uint8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cobra_kit_scenes.drawing import draw
from cobra_kit_scenes.splits import scene_of
from cobra_kit_scenes.vocabulary import IMAGE, Split

IMAGES_FILE = "images.npy"
CHUNK = 200
"""Images that are drawn and written at once."""

_BYTES = IMAGE * IMAGE * 3
_HEADER = 128


def allocate(folder: Path, count: int) -> None:
    """Writes the header and reserves the room, so that several processes can fill in their parts."""
    path = folder / IMAGES_FILE
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (count, IMAGE, IMAGE, 3)}
        )
        assert file.tell() == _HEADER, "numpy pads the header to 64 bytes"
        file.truncate(_HEADER + count * _BYTES)


def draw_chunk(folder: Path, seed: int, split: Split, start: int, stop: int) -> None:
    """Draws the images start .. stop - 1 of a split into its file; needs nothing but these values.

    Plain writes and no memory map: a full disk is then an error and not the end of the process.
    """
    pixels = np.stack([draw(scene_of(seed, split, index)) for index in range(start, stop)])
    with (folder / IMAGES_FILE).open("r+b") as file:
        file.seek(_HEADER + start * _BYTES)
        file.write(pixels.tobytes())


def open_images(folder: Path) -> NDArray[np.uint8]:
    """Returns the images as a read-only memory map.

    Raises:
        ValueError: The file is damaged, or no file.
        OSError: The file cannot be read.
    """
    path = folder / IMAGES_FILE
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("no file")
    images: NDArray[np.uint8] = np.lib.format.open_memmap(path, mode="r")
    return images
