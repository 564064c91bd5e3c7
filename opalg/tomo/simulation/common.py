"""What the simulations of noise share: checked input, and results like it."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, broadcasts, move
from opalg.errors import ArgumentError, OpalgError
from opalg.tomo.measured import as_real

__all__ = ["Seed", "detector_axes", "fitting", "like", "not_negative", "view_axis"]

Seed = int | np.random.Generator | None


def like(values: np.ndarray[Any, Any], projections: Array) -> Array:
    """Values in the library, on the device and in the precision of projections."""
    dtype = as_numpy(projections).dtype
    return move(values.astype(dtype if dtype.kind == "f" else np.float64), projections)


def fitting(numbers: Any, shape: tuple[int, ...], what: str) -> np.ndarray[Any, Any]:
    """A number, or an array of them that broadcasts to projections, as float64."""
    try:
        values = as_real(numbers, what)
    except (TypeError, ValueError) as error:
        if isinstance(error, OpalgError):
            raise
        raise ArgumentError(
            f"{what} must be a number or an array of numbers, got {numbers!r:.60}"
        ) from None
    if not broadcasts(values.shape, shape):
        raise ArgumentError(
            f"{what} must be a number, or broadcast to projections of shape {shape}, got shape "
            f"{values.shape}"
        )
    return values


def view_axis(values: np.ndarray[Any, Any]) -> int:
    """Axis of the views: of (views, u), or from three axes on of (..., views, v, u)."""
    if values.ndim < 2:
        raise ArgumentError(f"projections need a view axis, got shape {values.shape}")
    return -2 if values.ndim == 2 else -3


def detector_axes(values: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """Axes of the detector: u, or v and u."""
    return tuple(range(view_axis(values) + 1, 0))


def not_negative(value: Any, what: str) -> float:
    """A number that is finite and at least zero, or an error that names it."""
    if not isinstance(value, (int, float, np.number)) or not (np.isfinite(value) and value >= 0):
        raise ArgumentError(f"{what} must be finite and at least zero, got {value!r:.60}")
    return float(value)
