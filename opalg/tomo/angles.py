"""Angles of views: reading them, and the part of the angular range that each stands for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.arrays import as_numpy, is_array
from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.frames import FloatArray, frozen

__all__ = ["MISSING", "angle_weights", "as_angles", "measured_ranges", "scanned_range"]

# Views nearer than this (radians) are one direction seen twice, and share its weight.
_SAME_DIRECTION = 1e-6
# Gaps this many times wider than all others are ranges that were not measured: not more than so many, each
# with so many views at least on average. More are the sampling of a scan whose views lie in groups.
MISSING, _MOST, _VIEWS = 4.0, 8, 4


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


def angle_weights(angles: FloatArray, period: float, several: bool = False) -> FloatArray:
    """The part of a period that every angle stands for, in radians; shape (views,).

    Half the distance to the next angle on either side, angles being equal modulo the period. Equal
    angles share their weight. Where a range is missing (a gap more than four times wider than any other) the
    angles beside it count as if it were of the usual width; where ``several`` are, as `measured_ranges` has
    it, those beside the widest. The weights of a complete scan sum to the period.
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
    missing = _missing(gaps, several)[:1]
    if len(missing):
        gaps[missing] = np.median(np.delete(gaps, missing))
    widths = (gaps + np.roll(gaps, 1)) / 2
    weights = np.empty_like(turned)
    weights[order] = (widths / np.bincount(group))[group]
    return frozen(weights)


def measured_ranges(angles: FloatArray, period: float = 2 * math.pi) -> FloatArray:
    """First angle and length of the ranges that a scan covers; none if it covers the whole period.

    Shape (ranges, 2), from the widest range that is missing on. Missing are up to eight gaps that are more
    than four times wider than all others.
    """
    ordered = np.unique(np.mod(angles, period))
    gaps = np.diff(ordered, append=ordered[0] + period)
    ordered, gaps = ordered[gaps > _SAME_DIRECTION], gaps[gaps > _SAME_DIRECTION]
    missing = np.sort(_missing(gaps, several=True))  # the views before
    if not len(missing):
        return np.empty((0, 2))
    starts = ordered[(missing + 1) % len(ordered)]
    lengths = np.mod(np.roll(ordered[missing], -1) - starts, period)
    found: FloatArray = np.stack([starts, lengths], axis=1)
    return np.roll(found, -int(gaps[missing].argmax()), axis=0)


def scanned_range(angles: FloatArray, period: float = 2 * math.pi) -> tuple[float, float] | None:
    """First angle and length of the range that a scan covers, or None if it covers the whole period.

    All but the widest range that is missing; others may be missing in between.
    """
    ranges = measured_ranges(angles, period)
    if not len(ranges):
        return None
    (start, _), (last, length) = ranges[0].tolist(), ranges[-1].tolist()
    return start, float(np.mod(last - start, period)) + length


def _missing(gaps: FloatArray, several: bool) -> npt.NDArray[np.intp]:
    """Which gaps are ranges that were not measured, the widest first."""
    order = np.argsort(-gaps, kind="stable")
    ordered = gaps[order]
    most = max(1, min(_MOST, len(gaps) // _VIEWS)) if several else 1
    most = min(most, len(gaps) - 1)
    jumps = np.flatnonzero(ordered[:most] > MISSING * ordered[1 : most + 1])
    return order[: jumps[-1] + 1] if len(jumps) else order[:0]
