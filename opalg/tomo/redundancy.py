"""Chooses the redundancy weights that fit a scan, and says what is missing in it."""

from __future__ import annotations

import math

import numpy as np

from opalg.tomo.circle import CircularScan
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel_scan import ParallelScan, scan_of
from opalg.tomo.scan import Scan
from opalg.tomo.weights import from_short_to_long, missing_range, overscan, placed, sides

__all__ = ["fitting_weights"]

# Over how many times what one side of a detector exceeds the other the weights of a moved one change.
_WIDTH = 5.0
# Over how many radians views at the ends of their range lose weight to their conjugates.
_FADE = math.radians(10.0)


def fitting_weights(geometry: Geometry) -> tuple[FloatArray, str]:
    """The weights that fit a scan, and what is missing in it, in words, or nothing."""
    scan = scan_of(geometry)
    missing = missing_range(scan)
    return placed(geometry, _of_columns(scan, missing)), _in_words(scan, missing)


def _of_columns(scan: Scan, missing: float) -> FloatArray:
    ones = np.ones((1, scan.u.shape[1]))
    parallel = isinstance(scan, ParallelScan)
    # Views of parallel rays share what is measured twice by their angles.
    if min(scan.reach) <= 0 or (parallel and not scan.moved):
        return ones
    ranges = scan.ranges
    if parallel and missing and scan.range:  # for which the views beside it stand
        ranges = np.array([scan.range])
    if (parallel or not missing) and (scan.moved or len(ranges) > 1):
        return _shared(scan, ranges)
    if missing and scan.range and scan.range[1] < math.pi:
        return ones
    assert isinstance(scan, CircularScan)
    return overscan(scan)


def _in_words(scan: Scan, missing: float) -> str:
    if min(scan.reach) <= 0:
        return "the detector sees no rays through the rotation axis"
    words, degrees = [], f"{np.rad2deg(missing):.1f} degrees"
    if missing and len(scan.ranges) > 1 and scan.period > math.pi:
        words.append(f"the views leave out ranges, of which {degrees} are seen from no other side")
    elif missing:
        beyond = "" if isinstance(scan, ParallelScan) else " plus the fan angle"
        words.append(f"the views lack {degrees} of half a turn{beyond}")
    if scan.moved_by_much and not scan.is_full_turn:
        words.append(
            "the detector is moved to one side, and in less than a full turn the other is not seen whole"
        )
    return "; ".join(words)


def _shared(scan: Scan, ranges: FloatArray) -> FloatArray:
    """What a ray and its conjugate have of their weight, of any ranges of views and a moved detector.

    Each counts by how far inside of its range its view is, as those of Noo, and by Wang's weights. A ray
    whose conjugate was not measured has all of it.
    """
    side = _sides(scan)
    if not len(ranges):
        return side
    gamma = scan.fan_angles if isinstance(scan, CircularScan) else np.zeros_like(scan.u)
    own = _inside(ranges, scan.angles)[:, None] * side
    other = _inside(ranges, scan.angles[:, None] + math.pi - 2 * gamma) * (1 - side)
    return np.where(other > 0, own / np.maximum(own + other, 1e-300), 1.0)


def _inside(ranges: FloatArray, angles: FloatArray) -> FloatArray:
    """From 0 at the ends of ranges to 1 inside of them."""
    found = np.zeros_like(angles)
    for start, length in ranges:
        way = np.mod(angles - start + 1e-9, 2 * math.pi) - 1e-9
        width = min(_FADE, length / 2)
        rise = np.minimum(way, length - way) / max(width, 1e-9)
        found += np.sin(np.pi / 2 * np.clip(rise, 0.0, 1.0)) ** 2
    return found


def _sides(scan: Scan) -> FloatArray:
    """Wang's weights; if the detector was moved by little they stay one half, as far as they can.

    Equal weights have the least noise. Towards the end of the shorter side they leave one half smoothly.
    """
    below, above = scan.reach
    overlap, width = min(below, above), _WIDTH * abs(above - below)
    if width >= overlap:
        return sides(scan)
    place = from_short_to_long(scan)
    if width < 1e-6 * overlap:
        return np.full_like(place, 0.5)
    way = np.clip((np.abs(place) - overlap) / width + 1, 0.0, 1.0)
    return 0.5 + 0.5 * np.sign(place) * np.sin(np.pi / 2 * way) ** 2
