"""The checks of an encoder before it runs, on the host only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import TokenShape
from cobra_kit_timm.families import Family


def images_of(
    images: Mapping[str, Tensor], families: Sequence[Family], shapes: Sequence[TokenShape], expected: TokenShape
) -> list[Tensor]:
    """Returns the images `[k 3 h w]` of each tower, in the order of `families`.

    Raises:
        ShapeError: A tower's images are missing, or number or shape disagree with `shapes`.
    """
    missing = [family.key for family in families if family.key not in images]
    if missing:
        raise ShapeError(
            f"no images for the tower {', '.join(missing)}: got {', '.join(sorted(images)) or 'nothing'}",
            hint="Prepare the images with this encoder's own preprocess().",
        )
    picked = [images[family.key] for family in families]
    counts = {len(tensor) for tensor in picked}
    if counts != {len(shapes)}:
        raise ShapeError(f"{len(shapes)} shapes for {' and '.join(map(str, sorted(counts)))} images")
    other = next((shape for shape in shapes if shape != expected), None)
    if other is not None:
        raise ShapeError(f"this encoder returns {expected}, but a prepared image announces {other}")
    return picked
