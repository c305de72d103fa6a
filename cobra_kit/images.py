"""Images to tensors: opening with honest errors, the three resize rules, normalisation.

The rules are those of PAPER.md 1.2 (`image_resize_strategy` of Cobra and Prismatic). Every encoder uses them through
this module, so that a vision ablation compares encoders and not resizing. torch is imported by `to_tensor` only.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cobra_kit.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

ResizeRule = Literal["naive", "crop", "letterbox"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
ImageSource = str | Path | bytes | Image.Image

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_WHITE = (255, 255, 255)
_REPLACE = "Fetch the file again, or remove the row that names it."


def open_image(source: ImageSource) -> Image.Image:
    """Returns an image as RGB, decoded to its last pixel and turned as its EXIF orientation says.

    Transparent pixels are laid on white (dropping the alpha channel instead would show colours that nobody was meant
    to see); of an animation the first frame is taken; 16-bit grey is scaled to 8 bits. An EXIF block that cannot be
    read counts as absent, as in every viewer.

    Args:
        source: A path, the bytes of an image file, or a Pillow image, which is left as it is.

    Raises:
        ImageError: The image is missing, empty, truncated, in no known format, far too large, or has no pixels.
    """
    name = _name(source)
    if isinstance(source, Image.Image):
        return _decode(source, name)
    content = source if isinstance(source, bytes) else _read(Path(source), name)
    if not content:
        raise ImageError("the file is empty (0 bytes)", where=name, hint=_REPLACE)
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _decode(image, name)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not an image in a format that Pillow reads; it begins with {content[:12]!r}", where=name, hint=_REPLACE
        ) from error
    except ImageError:
        raise
    except Exception as error:  # Pillow's readers raise almost any type on damaged headers
        raise _unreadable(error, name) from error


def resize(
    image: Image.Image,
    size: tuple[int, int],
    how: ResizeRule,
    *,
    fill: tuple[int, int, int] | None = None,
    interpolation: Interpolation = "bicubic",
) -> Image.Image:
    """Returns `image` at exactly `size`, antialiased, as torchvision does on Pillow images.

    Args:
        image: An RGB image.
        size: (height, width) in pixels.
        how: `naive` stretches to the size and ignores the aspect ratio (Cobra's choice). `crop` scales until the
            image covers the size, then cuts the centre out. `letterbox` pads to the size's aspect ratio (a square for
            a square), image centred, odd pixel at the right or bottom, then scales.
        fill: Colour of the letterbox's bars, see `mean_colour`; needed by `letterbox` alone.
        interpolation: Pillow's filter.

    Raises:
        ImageError: A size below one pixel, or `letterbox` without `fill`.
        ValueError: An unknown rule or filter.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ImageError(f"cannot resize to {height} x {width} pixels (height x width)")
    if interpolation not in _FILTERS:
        raise ValueError(f"unknown interpolation {interpolation!r}: one of {', '.join(_FILTERS)}")
    resample = _FILTERS[interpolation]
    if how == "naive":
        return image.resize((width, height), resample)
    if how == "crop":
        covering = image.resize(_cover(image.size, (width, height)), resample)
        return _centre_crop(covering, (width, height))
    if how == "letterbox":
        if fill is None:
            raise ImageError("letterbox needs a fill colour", hint="Pass fill=mean_colour(mean).")
        return _pad_to_aspect(image, (width, height), fill).resize((width, height), resample)
    raise ValueError(f"unknown resize rule {how!r}: one of naive, crop, letterbox")


def mean_colour(mean: Sequence[float]) -> tuple[int, int, int]:
    """Returns the 8-bit colour of a normalisation's mean, `int(mean * 255)`: about 0 after normalisation."""
    red, green, blue = (int(value * 255) for value in mean)
    return red, green, blue


def to_tensor(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Returns `(pixels / 255 - mean) / std` per channel, `[3 h w]` float32 on the CPU.

    Args:
        image: An RGB image.
        mean: Per channel, in 0..1.
        std: Per channel, above 0.

    Raises:
        ImageError: The image is not RGB.
        ValueError: `mean` or `std` does not have three values, or a `std` is not above 0.
    """
    import torch

    if image.mode != "RGB":
        raise ImageError(f"expected an RGB image, not mode {image.mode}", hint="Open it with open_image.")
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(f"mean and std need three values each, std above 0: {mean}, {std}")
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
    centre = torch.tensor(mean, dtype=torch.float32).view(3, 1, 1)
    scale = torch.tensor(std, dtype=torch.float32).view(3, 1, 1)
    return pixels.sub_(centre).div_(scale)


def _name(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return f"image of {len(source)} bytes"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "")) or "image"
    return str(source)


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = "Check the image folder and the name in the row."
        raise ImageError("no such image file", where=name, hint=hint) from error
    except OSError as error:
        hint = "It must be a file that you may read."
        raise ImageError(f"cannot be read: {error.strerror}", where=name, hint=hint) from error


def _decode(image: Image.Image, name: str) -> Image.Image:
    if min(image.size) < 1:
        size = f"{image.height} x {image.width}"
        raise ImageError(f"the image has no pixels: {size} (height x width)", where=name, hint=_REPLACE)
    try:
        image.load()
        return _to_rgb(_upright(image), name)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise almost any type on damaged data
        raise _unreadable(error, name) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
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
            hint="Scale it down first, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file.",
        )
    text = str(error) or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return ImageError(f"the file is truncated, it ends before the image does: {text}", where=name, hint=_REPLACE)
    return ImageError(f"the image is damaged and cannot be decoded: {text}", where=name, hint=_REPLACE)


def _cover(image: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Returns the (width, height) that covers `target` at the image's aspect ratio, rounded as torchvision does."""
    (width, height), (target_width, target_height) = image, target
    if width * target_height <= height * target_width:
        return target_width, max(target_height, int(target_width * height / width))
    return max(target_width, int(target_height * width / height)), target_height


def _centre_crop(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    left = round((image.width - target[0]) / 2)
    top = round((image.height - target[1]) / 2)
    return image.crop((left, top, left + target[0], top + target[1]))


def _pad_to_aspect(image: Image.Image, target: tuple[int, int], fill: tuple[int, int, int]) -> Image.Image:
    """Returns the image centred on the smallest canvas of the target's aspect ratio that holds it."""
    width = max(image.width, round(image.height * target[0] / target[1]))
    height = max(image.height, round(image.width * target[1] / target[0]))
    canvas = Image.new("RGB", (width, height), fill)
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas
