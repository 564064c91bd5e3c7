"""Reads what users write for a detector: shapes, and numbers for each axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.spaces.space import as_shape

__all__ = ["as_detector", "one_per_axis", "short"]


def as_detector(detector: Any) -> tuple[int, ...]:
    """The shape of a detector, ``(u,)`` or ``(v, u)``."""
    shape = as_shape(detector, "detector")
    if len(shape) > 2:
        raise ArgumentError(f"detector must be u or (v, u) pixels, got {detector!r}")
    return shape


def one_per_axis(
    value: Any, axes: tuple[str, ...], what: str, single: list[Any]
) -> tuple[float, ...]:
    """One finite number for each axis; a single one stands for ``single``."""
    try:
        found = tuple(float(v) for v in (value if np.ndim(value) else single))
    except (TypeError, ValueError):
        found = ()
    if len(found) != len(axes) or not all(math.isfinite(v) for v in found):
        raise ArgumentError(f"{what} must be one number, or one each for {axes}, got {value!r}")
    return found


def short(values: tuple[Any, ...]) -> Any:
    """A single number without its tuple."""
    return values[0] if len(values) == 1 else values
