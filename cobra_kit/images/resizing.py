"""The three resize rules, in bounded memory for images of any shape.

Within `_MOST_PIXELS` of what a rule makes on its way, results are those of torchvision's transforms to the last bit. An
image of extreme aspect ratio would make it gigabytes (a banner of 60,000 x 1 pixels on a square canvas: 14 GB), so
beyond that the same thing is computed in another order, one axis first.
"""

from __future__ import annotations

from typing import Literal

from PIL import Image

from cobra_kit.errors import ArgumentError, ImageError

ResizeRule = Literal["naive", "crop", "letterbox"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_MOST_PIXELS = 1 << 25
"""Pixels of an intermediate image, four bytes each in Pillow."""

_MOST_SHRINKING = 1024.0
"""Beyond twice this factor an axis is averaged down before it is filtered: the filter's table would grow with it."""


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
        interpolation: Name of Pillow's resampling filter.

    Raises:
        ImageError: A size below one pixel, `letterbox` without `fill`, or an image too long and thin to be prepared.
        ArgumentError: An unknown rule or filter.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ImageError(f"cannot resize to {height} x {width} pixels (height x width)")
    if interpolation not in _FILTERS:
        raise ArgumentError(f"unknown interpolation {interpolation!r}: one of {', '.join(_FILTERS)}")
    resample = _FILTERS[interpolation]
    if how == "naive":
        return _scale(image, (width, height), resample)
    if how == "crop":
        return _crop(image, (width, height), resample)
    if how == "letterbox":
        if fill is None:
            raise ImageError("letterbox needs a fill colour", hint="Pass fill=mean_colour(mean).")
        return _letterbox(image, (width, height), resample, fill)
    raise ArgumentError(f"unknown resize rule {how!r}: one of naive, crop, letterbox")


def _scale(
    image: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Returns a box of the image at `size` (width, height), without an intermediate image of many pixels.

    Pillow filters along the rows first, which leaves `size[0]` columns of the full height; where those are too many,
    the columns come first.
    """
    left, top, right, bottom = box or (0.0, 0.0, float(image.width), float(image.height))
    if size[0] * (bottom - top) > max(_MOST_PIXELS, size[1] * image.width):
        middle = (0.0, top, float(image.width), bottom)
        image = image.resize((image.width, size[1]), resample, box=middle, reducing_gap=_MOST_SHRINKING)
        top, bottom = 0.0, float(size[1])
    return image.resize(size, resample, box=(left, top, right, bottom), reducing_gap=_MOST_SHRINKING)


def _crop(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """Returns the centre of the image, scaled until it covers `size`."""
    covering = _cover(image.size, size)
    left, top = round((covering[0] - size[0]) / 2), round((covering[1] - size[1]) / 2)
    window = (left, top, left + size[0], top + size[1])
    if covering[0] * covering[1] <= _MOST_PIXELS:
        return _scale(image, covering, resample).crop(window)
    # The window in the image's own pixels: only what is kept is scaled.
    across, down = image.width / covering[0], image.height / covering[1]
    return _scale(image, size, resample, (window[0] * across, window[1] * down, window[2] * across, window[3] * down))


def _cover(image: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Returns the (width, height) that covers `target` at the image's aspect ratio, rounded as torchvision does."""
    (width, height), (target_width, target_height) = image, target
    if width * target_height <= height * target_width:
        return target_width, max(target_height, int(target_width * height / width))
    return max(target_width, int(target_height * width / height)), target_height


def _letterbox(
    image: Image.Image, size: tuple[int, int], resample: Image.Resampling, fill: tuple[int, int, int]
) -> Image.Image:
    """Returns the image on the smallest canvas of the target's aspect ratio that holds it, centred, at `size`."""
    canvas = (
        max(image.width, round(image.height * size[0] / size[1])),
        max(image.height, round(image.width * size[1] / size[0])),
    )
    place = ((canvas[0] - image.width) // 2, (canvas[1] - image.height) // 2)
    if canvas[0] * canvas[1] > _MOST_PIXELS:
        # Along the axis that the image fills it may be scaled before it is padded: the bars are of one colour.
        shape = f"{image.height} x {image.width}"
        if canvas[0] == image.width:
            image = _scale(image, (size[0], image.height), resample)
            canvas, place = (size[0], canvas[1]), (0, place[1])
        else:
            image = _scale(image, (image.width, size[1]), resample)
            canvas, place = (canvas[0], size[1]), (place[0], 0)
        if canvas[0] * canvas[1] > _MOST_PIXELS:
            raise ImageError(
                f"an image of {shape} pixels (height x width) is too long and thin to be padded",
                hint="Cut it, or use the resize rule naive or crop.",
            )
    padded = Image.new("RGB", canvas, fill)
    padded.paste(image, place)
    return _scale(padded, size, resample)
