"""Reads what users write for a detector: shapes, numbers for each axis, indices of views and pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces.space import as_shape

__all__ = [
    "as_detector",
    "chosen_pixels",
    "keep_axis",
    "one_index_per_axis",
    "one_per_axis",
    "short",
]


def as_detector(detector: Any) -> tuple[int, ...]:
    """The shape of a detector, ``(u,)`` or ``(v, u)``."""
    shape = as_shape(detector, "detector")
    if len(shape) > 2:
        raise ArgumentError(f"detector must be u or (v, u) pixels, got {detector!r}")
    return shape


def chosen_pixels(key: Any, length: int, name: str) -> tuple[int, int, float]:
    """How many pixels an index leaves, their distance in pixels, and how far their middle moves."""
    index = keep_axis(key, length, name)
    chosen = np.arange(length)[index]
    if chosen.ndim != 1 or chosen.size == 0:
        raise ArgumentError(f"the index {key!r} leaves no pixels of {length} along {name}")
    gaps = np.diff(chosen)
    step = int(gaps[0]) if len(gaps) else 1
    if isinstance(index, slice):
        step = index.step or 1
    if step < 1 or (gaps != step).any():
        raise ArgumentError(
            f"detector pixels are chosen by slices with positive steps, or by masks that leave equally "
            f"spaced pixels, got {key!r:.60} for {name}"
        )
    # An untouched axis keeps its numbers to the last bit.
    middle = 0.0 if len(chosen) == length else (chosen[0] + chosen[-1]) / 2 - (length - 1) / 2
    return len(chosen), step, float(middle)


def keep_axis(key: Any, length: int, name: str) -> Any:
    """An index that NumPy takes and that keeps its axis."""
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if not -length <= key < length:
            raise IndexError(f"index {key} is out of range for {length} along {name}")
        start = int(key) % length
        return slice(start, start + 1)
    if isinstance(key, slice):
        return key
    if is_array(key) or isinstance(key, list):
        chosen = np.asarray(as_numpy(key) if is_array(key) else key)
        if chosen.dtype == bool and chosen.shape != (length,):
            raise ArgumentError(
                f"a mask for {name} must have shape ({length},), got {chosen.shape}"
            )
        return chosen
    raise NotSupportedError(f"{name} cannot be chosen by {key!r}")


def one_index_per_axis(key: Any, axes: tuple[str, ...]) -> tuple[Any, ...]:
    """What stands in brackets as one index per axis; ``...``, or nothing, takes all of an axis."""
    given = key if isinstance(key, tuple) else (key,)
    dots = [i for i, part in enumerate(given) if part is Ellipsis]
    left_out = len(axes) - len(given) + len(dots)
    if len(dots) > 1 or left_out < 0:
        raise ArgumentError(f"a geometry with axes {axes} takes no index {key!r}")
    start = dots[0] if dots else len(given)
    return (*given[:start], *[slice(None)] * left_out, *given[start + len(dots) :])


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
