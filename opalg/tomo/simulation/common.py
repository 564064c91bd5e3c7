"""What the simulations of noise share: checked input, and results like it."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, move
from opalg.errors import ArgumentError, NonFiniteError

__all__ = ["Seed", "detector_axes", "finite", "like", "not_negative", "view_axis"]

Seed = int | np.random.Generator | None


def finite(projections: Array) -> np.ndarray[Any, Any]:
    """Projections as float64, or an error that says how many are not finite."""
    values = np.asarray(as_numpy(projections), float)
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"projections hold {bad} values that are NaN or infinite")
    return values


def like(values: np.ndarray[Any, Any], projections: Array) -> Array:
    """Values in the library, on the device and in the precision of projections."""
    dtype = as_numpy(projections).dtype
    return move(values.astype(dtype if dtype.kind == "f" else np.float64), projections)


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
