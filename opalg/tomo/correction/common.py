"""What the corrections share: checked input, and results like it."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, move
from opalg.errors import ArgumentError
from opalg.tomo.frames import FloatArray
from opalg.tomo.measured import finite

__all__ = ["as_projections", "like", "positive_integer"]


def as_projections(data: Array, what: str) -> FloatArray:
    """Projections of 2D or 3D as float64, or an error that tells what is wrong with them."""
    values = finite(data, what)
    if values.ndim not in (2, 3):
        raise ArgumentError(
            f"{what} must have shape (views, u) or (views, v, u), got {tuple(values.shape)}"
        )
    return values


def like(values: np.ndarray[Any, Any], projections: Array) -> Array:
    """Values in the library, on the device and in the precision of projections; counts become float32."""
    dtype = as_numpy(projections).dtype
    return move(values.astype(dtype if dtype.kind == "f" else np.float32), projections)


def positive_integer(value: Any, what: str) -> int:
    """A whole number above zero, or an error that names it."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ArgumentError(f"{what} must be a positive integer, got {value!r:.60}")
    return int(value)
