"""Masks: voxels and pixels that take no part in a projection, whatever their values are."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, Constant, as_numpy, copy, is_array, namespace
from opalg.errors import ArgumentError

__all__ = ["as_mask", "clear", "hidden", "masked", "take"]


def as_mask(mask: Any, shapes: tuple[tuple[int, ...], ...], name: str) -> np.ndarray[Any, Any]:
    """A mask as a boolean NumPy array.

    Raises
    ------
    ArgumentError
        If it is no boolean array of one of the shapes.
    """
    found = as_numpy(mask) if is_array(mask) else mask
    if not isinstance(found, np.ndarray) or found.dtype != bool or found.shape not in shapes:
        what = f"a {type(mask).__name__}"
        if isinstance(found, np.ndarray):
            what = f"{found.dtype} of shape {found.shape}"
        raise ArgumentError(
            f"{name} must be a boolean array, True where something is measured, of shape "
            f"{' or '.join(map(str, dict.fromkeys(shapes)))}, got {what}"
        )
    return found


def take(mask: np.ndarray[Any, Any], keys: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """The part of a mask that indices, one per axis from the first on, choose each by itself."""
    for axis, key in enumerate(keys):
        mask = mask[(slice(None),) * axis + (key,)]
    return mask


def hidden(mask: np.ndarray[Any, Any] | None) -> Constant | None:
    """What a mask leaves out, ready for `masked` and `clear`; None for nothing."""
    return None if mask is None or mask.all() else Constant(~mask)


def masked(x: Array, left_out: Constant | None) -> Array:
    """A copy of ``x`` that is zero where something is left out, even in the place of NaN; or ``x``."""
    return x if left_out is None else clear(copy(x), left_out)


def clear(x: Array, left_out: Constant | None) -> Array:
    """``x``, after zeros were written where something is left out."""
    if left_out is None:
        return x
    where = left_out.like(x)
    if isinstance(x, np.ndarray):
        np.copyto(x, 0, where=where)
    else:
        xp = namespace(x)
        x[...] = xp.where(where, xp.zeros_like(x), x)
    return x
