"""Angles of views: reading them, and the part of the angular range that each stands for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_array
from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.frames import FloatArray, frozen

__all__ = ["angle_weights", "as_angles", "scanned_range"]

# Views nearer than this (radians) are one direction seen twice, and share its weight.
_SAME_DIRECTION = 1e-6
# A gap this many times wider than any other is a range that was not measured.
_MISSING = 4.0


def as_angles(angles: Any, default_range: float) -> FloatArray:
    """Angles as a read-only float64 array: a count over ``default_range``, or values in radians.

    A read-only float64 array is kept as it is, so that subsets share the memory of the whole.
    """
    if isinstance(angles, (int, np.integer)) and not isinstance(angles, bool):
        if angles < 1:
            raise ArgumentError(f"angles must be a positive number of views, got {angles}")
        return frozen(np.arange(int(angles)) * (default_range / int(angles)))
    try:
        values = np.asarray(as_numpy(angles) if is_array(angles) else angles)
        found = values if values.dtype == np.float64 else values.astype(np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or found.size == 0:
        raise ArgumentError(
            f"angles must be a number of views (int) or a list of angles in radians, got {angles!r:.60}"
        )
    if not np.isfinite(found).all():
        raise NonFiniteError("angles must be finite, got NaN or infinity")
    if float(np.ptp(found)) > 8 * math.pi:
        raise ArgumentError(
            f"angles span {float(np.ptp(found)):.4g} rad, more than four turns: are they in degrees? "
            "np.deg2rad(angles) converts them"
        )
    return found if not found.flags.writeable else frozen(found.copy())


def angle_weights(angles: FloatArray, period: float) -> FloatArray:
    """The part of a period that every angle stands for, in radians; shape (views,).

    Half the distance to the next angle on either side, angles being equal modulo the period. Equal
    angles share their weight. Where a range is missing (a gap more than four times wider than any
    other) the angles beside it count as if it were of the usual width. The weights of a complete scan sum
    to the period.
    """
    turned = np.mod(angles, period)
    order = np.argsort(turned, kind="stable")
    ordered = turned[order]
    starts = np.concatenate([[True], np.diff(ordered) > _SAME_DIRECTION])
    group = np.cumsum(starts) - 1
    directions = ordered[starts]
    if len(directions) > 1 and directions[0] + period - ordered[-1] <= _SAME_DIRECTION:
        # The period and 0 are one angle; rounding put them at either end.
        last = group[-1]
        directions, group = directions[:-1], np.where(group == last, 0, group)
    gaps = np.diff(directions, append=directions[0] + period)
    widest = _missing(gaps)
    if widest is not None:
        gaps[widest] = np.median(np.delete(gaps, widest))
    widths = (gaps + np.roll(gaps, 1)) / 2
    weights = np.empty_like(turned)
    weights[order] = (widths / np.bincount(group))[group]
    return frozen(weights)


def scanned_range(angles: FloatArray, period: float = 2 * math.pi) -> tuple[float, float] | None:
    """First angle and length of the range that a scan covers, or None if it covers the whole period.

    The range that is missing is a gap more than four times wider than any other.
    """
    ordered = np.unique(np.mod(angles, period))
    gaps = np.diff(ordered, append=ordered[0] + period)
    widest = _missing(gaps)
    if widest is None:
        return None
    return float(ordered[(widest + 1) % len(ordered)]), period - float(gaps[widest])


def _missing(gaps: FloatArray) -> int | None:
    if len(gaps) < 2:
        return None
    widest = int(gaps.argmax())
    return widest if gaps[widest] > _MISSING * np.delete(gaps, widest).max() else None
