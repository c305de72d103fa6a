"""One image that asks for more memory than there is costs that image, not the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cobra_kit.errors import ImageError, is_out_of_memory


@contextmanager
def memory_as_image_error(name: str) -> Iterator[None]:
    """Turns running out of memory into an `ImageError`, so that the image is left out and counted.

    For blocks that open, prepare or encode ONE image: Python's MemoryError and torch's own on CPU and GPU.

    Args:
        name: The image, for the message.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(
            "there is not enough memory for this image",
            where=name,
            hint="Scale it down, or remove the row that names it.",
        ) from error
