"""Image files to RGB, with errors that say what is wrong with the file."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cobra_kit.errors import SHORTAGE_HINT, CobraError, ImageError, is_shortage
from cobra_kit.formatting import gibibytes
from cobra_kit.hashing import MOST_BYTES
from cobra_kit.images.memory import memory_as_image_error

ImageSource = str | Path | bytes | Image.Image

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ORIENTATION = 0x0112  # the EXIF tag
_WHITE = (255, 255, 255)
_REPLACE = "Fetch the file again, or remove the row that names it."

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is opened. Pillow knows forty more; some start other programs, most were never meant for a stranger's file."""

_READ_WHOLE = ("WEBP", "AVIF")  # by their decoders, before the size is known
_LARGE_FILE = 64 << 20
_MOST_BYTES_PER_PIXEL = 8  # four channels of 16 bits, not packed
_MOST_PIXELS = 2 * 89_478_485  # where Pillow stops by itself, unless somebody has lifted its limit
_MOST_SCANNED = 20_000_000_000  # pixels times scans of a JPEG: an honest one has a dozen scans


def open_image(source: ImageSource, *, name: str | None = None) -> Image.Image:
    """Returns an image as RGB, decoded to its last pixel and turned as its EXIF orientation says.

    Transparent pixels are laid on white (dropping the alpha channel instead would show colours that nobody was meant
    to see); of an animation the first frame is taken; 16-bit grey is scaled to 8 bits. An EXIF block that cannot be
    read counts as absent, as in every viewer.

    Args:
        source: A path, the bytes of an image file, or a Pillow image, which is left as it is.
        name: What messages call it; None: the path, or what is known instead.

    Raises:
        ImageError: The image is missing, empty, truncated, in no known format, far too large, or has no pixels.
    """
    name = name or _name(source)
    with memory_as_image_error(name):
        if isinstance(source, Image.Image):
            return _decode(source, name)
        content = source if isinstance(source, bytes) else _read(os.fspath(source), name)
        if not content:
            raise ImageError("the file is empty (0 bytes)", where=name, hint=_REPLACE)
        return _decode_bytes(content, name)


def read_image_file(path: str | Path) -> bytes:
    """Returns the bytes of an image file, as `open_image` takes them.

    Raises:
        ImageError: It is missing, no regular file, may not be read, or is larger than any image.
    """
    with memory_as_image_error(str(path)):
        return _read(os.fspath(path), str(path))


def _decode_bytes(content: bytes, name: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_work(image, content, name)
            return _decode(image, name)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not an image in a format that is read ({', '.join(FORMATS)}); it begins with {content[:12]!r}",
            where=name,
            hint=_REPLACE,
        ) from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise almost any type on damaged headers
        raise _unreadable(error, name) from error


def _name(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return f"image of {len(source)} bytes"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "")) or "image"
    return str(source)


def _read(path: str, name: str) -> bytes:
    hint = "It must be a file that you may read."
    try:
        descriptor = os.open(path, _FLAGS)  # not blocking: a named pipe is refused, not waited for
        with open(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("cannot be read: it is a pipe or a device, no regular file", where=name, hint=hint)
            if status.st_size > MOST_BYTES:
                raise ImageError(
                    f"the file has {gibibytes(status.st_size)}, more than any image", where=name, hint=_REPLACE
                )
            return _content(file, status.st_size, name)
    except FileNotFoundError as error:
        hint = "Check the image folder and the name in the row."
        raise ImageError("no such image file", where=name, hint=hint) from error
    except OSError as error:
        if is_shortage(error):  # says nothing about the image, which must not be left out for it
            raise CobraError(f"cannot be read: {error.strerror}", where=name, hint=SHORTAGE_HINT) from error
        raise ImageError(f"cannot be read: {error.strerror}", where=name, hint=hint) from error
    except ValueError as error:  # a NUL, or characters that no file name has
        raise ImageError("no file can have this name", where=ascii(name), hint="Mend the row.") from error


def _content(file: BinaryIO, size: int, name: str) -> bytes:
    """Returns the bytes of a file; of a large one only if it is an image with so many pixels."""
    if size > _LARGE_FILE:
        try:
            formats = [name for name in FORMATS if name not in _READ_WHOLE]
            with Image.open(_Unclosed(file), formats=formats) as image:
                most = _LARGE_FILE + _MOST_BYTES_PER_PIXEL * image.width * image.height
        except UnidentifiedImageError as error:
            text = "and does not begin as an image with so many pixels"
            raise ImageError(f"the file has {gibibytes(size)} {text}", where=name, hint=_REPLACE) from error
        except MemoryError:
            raise
        except Exception as error:  # Pillow's readers raise almost any type on damaged headers
            raise _unreadable(error, name) from error
        if size > most:
            text = f"more than {image.height} x {image.width} pixels take"
            raise ImageError(f"the file has {gibibytes(size)}, {text}", where=name, hint=_REPLACE)
        file.seek(0)
    content = file.read(size + 1)
    if len(content) > size:  # a file of the system's, which says 0 and has no end
        raise ImageError("the file is larger than it says", where=name, hint=_REPLACE)
    return content


class _Unclosed(io.BufferedReader):
    """A file that stays open when Pillow is done with it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(io.FileIO(file.fileno(), "rb", closefd=False))


def _check_work(image: Image.Image, content: bytes, name: str) -> None:
    """Refuses an image of too many pixels, or a JPEG that goes over its pixels thousands of times."""
    pixels = image.width * image.height
    if Image.MAX_IMAGE_PIXELS is None and pixels > _MOST_PIXELS:
        raise _unreadable(Image.DecompressionBombError(f"{pixels:,} pixels, over the limit of {_MOST_PIXELS:,}"), name)
    if image.format in {"JPEG", "MPO"} and pixels * content.count(b"\xff\xda") > _MOST_SCANNED:
        raise ImageError(
            "the image would take too long to decode: it has thousands of scans", where=name, hint=_REPLACE
        )


def _decode(image: Image.Image, name: str) -> Image.Image:
    if min(image.size) < 1:
        size = f"{image.height} x {image.width}"
        raise ImageError(f"the image has no pixels: {size} (height x width)", where=name, hint=_REPLACE)
    try:
        image.load()
        return _to_rgb(_upright(image), name)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise almost any type on damaged data
        raise _unreadable(error, name) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        if image.getexif().get(_ORIENTATION, 1) == 1:
            return image  # Pillow would copy it
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block; the pixels themselves have been decoded
        return image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode in {"I", "F"}:
        raise ImageError(
            f"mode {image.mode!r} (32 bits per pixel) has no agreed range of brightness",
            where=name,
            hint="Convert the image to 8 bits per channel.",
        )
    if image.mode.startswith("I;16"):
        converted = Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        converted = Image.new("RGB", image.size, _WHITE)
        converted.paste(layer, mask=layer.getchannel("A"))
    else:
        converted = image.convert("RGB")
    converted.info = {}  # the orientation is applied: opening the result once more must not turn it again
    return converted


def _unreadable(error: Exception, name: str) -> ImageError:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return ImageError(
            f"the image is too large to decode safely: {error}",
            where=name,
            hint="Scale it down first, or set PIL.Image.MAX_IMAGE_PIXELS to a larger number if you trust the file.",
        )
    text = str(error) or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return ImageError(f"the file is truncated, it ends before the image does: {text}", where=name, hint=_REPLACE)
    return ImageError(f"the image is damaged and cannot be decoded: {text}", where=name, hint=_REPLACE)
