"""Indices in brackets: one for each axis, and what a regular axis becomes when only some of it is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_array
from opalg.errors import ArgumentError, NotSupportedError

__all__ = ["chosen_cells", "keep_axis", "one_index_per_axis"]


def chosen_cells(key: Any, length: int, name: str) -> tuple[int, int, float]:
    """How many cells of an axis an index leaves, their distance in cells, and how far their middle moves."""
    index = keep_axis(key, length, name)
    chosen = np.arange(length)[index]
    if chosen.ndim != 1 or chosen.size == 0:
        raise ArgumentError(f"the index {key!r} leaves nothing of {length} along {name}")
    gaps = np.diff(chosen)
    step = int(gaps[0]) if len(gaps) else 1
    if isinstance(index, slice):
        step = index.step or 1
    if step < 1 or (gaps != step).any():
        raise ArgumentError(
            f"{name} is chosen by slices with positive steps, or by indices and masks that leave equally "
            f"spaced and rising entries, got {key!r:.60}"
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
        if chosen.size and chosen.dtype.kind not in "biu":
            raise ArgumentError(f"{name} is chosen by whole numbers or a mask, got {key!r:.60}")
        if chosen.dtype == bool and chosen.shape != (length,):
            raise ArgumentError(
                f"a mask for {name} must have shape ({length},), got {chosen.shape}"
            )
        return chosen if chosen.size else chosen.astype(int)
    raise NotSupportedError(f"{name} cannot be chosen by {key!r}")


def one_index_per_axis(key: Any, axes: tuple[str, ...]) -> tuple[Any, ...]:
    """What stands in brackets as one index per axis; ``...``, or nothing, takes all of an axis."""
    given = key if isinstance(key, tuple) else (key,)
    dots = [i for i, part in enumerate(given) if part is Ellipsis]
    left_out = len(axes) - len(given) + len(dots)
    if len(dots) > 1 or left_out < 0:
        raise ArgumentError(f"axes {axes} take no index {key!r}")
    start = dots[0] if dots else len(given)
    return (*given[:start], *[slice(None)] * left_out, *given[start + len(dots) :])
