"""Letters from Pillow's bundled font, as masks that fit a box."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont, ImageOps, features

from cobra_kit.errors import CobraError

_FONT_SIZE = 160


def freetype_version() -> str:
    """Returns the version of FreeType that Pillow was built with.

    Raises:
        CobraError: Pillow has no FreeType, so it cannot draw letters.
    """
    version = features.version("freetype2")
    if version is None:
        raise CobraError(
            "this Pillow was built without FreeType and cannot draw letters",
            hint="Install a wheel of Pillow: pip install --force-reinstall pillow",
        )
    return version


@lru_cache(maxsize=4096)
def text_mask(text: str, width: int, height: int) -> Image.Image:
    """Returns an "L" mask of `width` x `height` pixels with the text as large as fits, centred."""
    mask = Image.new("L", (width, height))
    glyphs = ImageOps.contain(_rendered(text), (width, height), Image.Resampling.BOX)
    mask.paste(glyphs, ((width - glyphs.width) // 2, (height - glyphs.height) // 2))
    return mask


@lru_cache(maxsize=256)
def _rendered(text: str) -> Image.Image:
    """Returns the text, large and cropped to its ink; the stroke makes it legible at a dozen pixels."""
    freetype_version()
    font = ImageFont.load_default(size=_FONT_SIZE)
    image = Image.new("L", (_FONT_SIZE * (len(text) + 1), 2 * _FONT_SIZE))
    ImageDraw.Draw(image).text(
        (_FONT_SIZE // 2, _FONT_SIZE // 4), text, fill=255, font=font, stroke_width=5, stroke_fill=255
    )
    return image.crop(image.getbbox())
