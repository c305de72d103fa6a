"""Numbers as a caller gives them: arrays of numbers, and never texts that look like some."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cobra_kit.errors import ArgumentError, first_line, kind_of


def numbers(values: object, what: str, *, most_axes: int = 2) -> NDArray[np.float64]:
    """Returns numbers, or booleans as 0 and 1, as a float64 array.

    Args:
        values: What the caller gave.
        what: What they are, for errors.
        most_axes: How many axes they may have.

    Raises:
        ArgumentError: They are no numbers, or no array.
    """
    try:
        array = np.asarray(values)
    except (
        ValueError,
        TypeError,
        RuntimeError,
    ) as error:  # rows of several lengths; tensors on a device, or that train
        raise ArgumentError(f"{what} must be an array of numbers: {first_line(error)}") from error
    if (array.size and array.dtype.kind not in "biuf") or not 1 <= array.ndim <= most_axes:
        given = f"shape {list(array.shape)} and type {array.dtype}" if array.ndim else kind_of(values)
        raise ArgumentError(f"{what} must be an array of numbers of at most {most_axes} axes, not {given}")
    return array.astype(np.float64)
