"""Training images that a benchmark asks about, too: by their pixels, and by the number that COCO gave them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from PIL.Image import Image

from cobra_kit.errors import CobraError
from cobra_kit.interfaces import ImageReader

_COCO = re.compile(r"(?:^|[/_])(\d{12})\.\w+$")


@dataclass(slots=True)
class HeldOutImages:
    """The images of benchmarks.

    Args:
        by_pixels: Per hash of the pixels, a benchmark and the image's name there.
        by_number: Per number of COCO, the same.
    """

    by_pixels: dict[bytes, str] = field(default_factory=dict)
    by_number: dict[str, str] = field(default_factory=dict)

    def add(self, benchmark: str, names: Iterable[str], images: ImageReader) -> None:
        """Adds the images of a benchmark; one that will not open counts by its name alone."""
        for name in dict.fromkeys(names):
            where = f"{name} of {benchmark}"
            if number := coco_number(name):
                self.by_number.setdefault(number, where)
            try:
                self.by_pixels.setdefault(pixel_digest(images.image(name)), where)
            except CobraError:
                continue

    def match(self, name: str, digest: bytes | None) -> str | None:
        """Returns which image of which benchmark a training image is; None where it is none."""
        if digest is not None and digest in self.by_pixels:
            return self.by_pixels[digest]
        number = coco_number(name)
        return self.by_number.get(number) if number else None

    def __bool__(self) -> bool:
        return bool(self.by_pixels or self.by_number)


def coco_number(name: str) -> str | None:
    """Returns the number of a COCO image, which is the same in all of its years: `COCO_val2014_000000000042.jpg`."""
    match = _COCO.search(name)
    return match[1] if match else None


def pixel_digest(image: Image) -> bytes:
    """Returns a hash of an image's size and pixels, whatever file they were in."""
    return hashlib.blake2b(
        image.tobytes(), digest_size=16, person=f"{image.width}x{image.height}".encode()[:16]
    ).digest()
