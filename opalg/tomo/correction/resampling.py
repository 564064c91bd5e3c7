"""Other pixels and other views of the same scan: binning, and a full turn folded into half of one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.tomo.angles import as_angles
from opalg.tomo.correction.common import as_projections, like, positive_integer
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.measured import finite

__all__ = ["HalfTurn", "binned", "half_turn"]

_FADE = 0.2  # part of the overlap over which either half fades out at its end


def binned(
    projections: Array, geometry: Geometry | None = None, *, u: int = 2, v: int | None = None
) -> Any:
    """Projections, or any images of the detector, with blocks of pixels replaced by their mean.

    Parameters
    ----------
    projections : array, shape (..., u) or (..., v, u)
        Counts or line integrals. Counts are better: the mean of logarithms is not that of the counts.
    geometry : Geometry, optional
        Where they were measured; it is binned alike.
    u, v : int
        Pixels of a block; ``v`` is that of ``u`` in 3D by default, and 1 without a second detector axis.
        Incomplete blocks at the high end are left out.

    Returns
    -------
    array, or (array, Geometry)
        With as many axes; float32 for counts that are integers.

    Raises
    ------
    ArgumentError
        If the geometry does not fit the array, or blocks are larger than the detector.
    NonFiniteError
        If projections are NaN or infinite.

    Examples
    --------
    >>> from opalg import tomo
    >>> geometry = tomo.ParallelBeam(angles=3, detector=5, pitch=1.0)
    >>> y, coarse = binned(np.ones((3, 1)) * [0.0, 2.0, 4.0, 6.0, 9.0], geometry)
    >>> y[0].tolist(), coarse.detector_coordinates[0].tolist()
    ([1.0, 5.0], [-1.5, 0.5])
    """
    values = finite(projections)
    if geometry is not None and values.shape[-len(geometry.shape) :] != geometry.shape:
        raise ArgumentError(
            f"projections of shape {values.shape} do not fit a geometry of shape {geometry.shape}"
        )
    rows = geometry is not None and geometry.ndim == 3
    if v is None:
        v = u if rows or (geometry is None and values.ndim > 2) else 1
    for axis, size, name in ((-1, u, "u"), (-2, v, "v")):
        block = positive_integer(size, name)
        if block == 1:
            continue
        if (
            values.ndim < -axis
            or values.shape[axis] < block
            or (name == "v" and geometry and not rows)
        ):
            raise ArgumentError(
                f"{block} pixels cannot be joined along {name} of shape {values.shape}"
            )
        length = values.shape[axis] // block
        kept = np.moveaxis(values, axis, -1)[..., : length * block]
        values = np.moveaxis(kept.reshape(*kept.shape[:-1], length, block).mean(axis=-1), -1, axis)
    result = like(values, projections)
    if geometry is None:
        return result
    return result, _binned_geometry(geometry, u, v)


def _binned_geometry(geometry: Geometry, u: int, v: int) -> Geometry:
    """Every pixel at the middle of its block: the first one of each, moved by half of the rest."""
    blocks = (v, u)[-len(geometry.detector_shape) :]
    firsts = tuple(
        slice(0, n - n % block, block)
        for n, block in zip(geometry.detector_shape, blocks, strict=True)
    )
    coarse = geometry[(slice(None), *firsts)]
    names, ways = geometry.detector_axes, [(block - 1) / 2 / block for block in blocks]  # in blocks
    if not geometry.regular:  # where views may have pitches of their own
        frames = coarse.frames.moved_in_plane(**dict(zip(names, ways, strict=True)))
        return coarse._of_frames(frames, coarse.detector_shape)
    ways = [way * pitch for way, pitch in zip(ways, coarse.pitch, strict=True)]
    return coarse.shift_detector(**dict(zip(names, ways, strict=True)))


class HalfTurn(NamedTuple):
    """What `half_turn` gives: projections over half a turn, of a wider detector.

    Attributes
    ----------
    projections : array, shape (views, u) or (views, v, u)
    angles : ndarray, shape (views,)
        Radians.
    axis : float
        Column at which the rotation axis is seen now; hand it to ``geometry.with_axis_at``.
    """

    projections: Array
    angles: FloatArray
    axis: float


def half_turn(projections: Array, angles: npt.ArrayLike, axis: float) -> HalfTurn:
    """A parallel scan over a full turn as one over half a turn.

    Where the axis is near an edge of the detector, each half turn saw one side of the object; the result has
    both, in up to twice as many columns. Where the axis is in the middle, it has the mean of the two.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u)
        Line integrals of a parallel beam.
    angles : array, shape (views,)
        Radians, rising or falling in equal steps over a full turn; the first may be repeated at the end.
    axis : float
        Column at which the rotation axis is seen, pixel centres being whole numbers. `find_rotation_axis`
        finds it if the detector sees most of the object from both sides.

    Returns
    -------
    HalfTurn
        ``(projections, angles, axis)``.

    Raises
    ------
    ArgumentError
        If the angles are no full turn of equal steps, or the axis is not on the detector.
    NonFiniteError
        If projections are NaN or infinite.

    Notes
    -----
    The ray at *a* and position *s* from the axis is that at *a + pi* and *-s*. Opposite views are mirrored
    about the axis, which lies between pixels in general, by a cubic spline; with an odd number of views they
    are means of two neighbours. In the overlap both count alike, and each fades out towards its end.

    Examples
    --------
    >>> from opalg import tomo
    >>> scan = tomo.ParallelBeam(np.linspace(0, 2 * np.pi, 120, endpoint=False), detector=60)
    >>> disc = tomo.phantoms.disc(40.0, 0.02)  # 80 wide, seen by 60 columns
    >>> folded = half_turn(disc.project(scan.with_axis_at(8.25)), scan.angles, axis=8.25)
    >>> folded.projections.shape, folded.axis
    ((60, 102), 50.25)
    """
    values = as_projections(projections, "projections")
    directions = as_angles(angles, 2 * math.pi)
    views, n = values.shape[0], values.shape[-1]
    if len(directions) != views:
        raise ArgumentError(f"{views} views need as many angles, got {len(directions)}")
    values, directions = _one_turn(values, directions)
    if not (math.isfinite(axis) and 0 < axis < n - 1):
        raise ArgumentError(f"the axis must be on the detector, from 0 to {n - 1}, got {axis!r}")
    views = len(directions)
    half = (views + 1) // 2
    opposite = np.arange(half) + views / 2
    low = np.floor(opposite).astype(int)
    share = (opposite - low).reshape(-1, *[1] * (values.ndim - 1))
    back = (1 - share) * values[low % views] + share * values[(low + 1) % views]
    merged, start = _merged(values[:half], back, float(axis))
    return HalfTurn(like(merged, projections), directions[:half], float(axis) - start)


def _one_turn(values: FloatArray, angles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Views of a single turn in equal steps, without a repeated first one."""
    steps = np.diff(angles)
    if len(angles) < 4 or np.ptp(steps) > 1e-3 * abs(steps[0]):
        raise ArgumentError("angles must have equal steps, and be four or more")
    turn, step = abs(angles[-1] - angles[0]), abs(float(steps.mean()))
    if abs(turn - 2 * math.pi) < 0.25 * step:
        return values[:-1], angles[:-1]
    if abs(turn + step - 2 * math.pi) > 0.25 * step:
        raise ArgumentError(
            f"angles must make a full turn, they cover {math.degrees(turn + step):.1f} degrees"
        )
    return values, angles


def _merged(front: FloatArray, back: FloatArray, axis: float) -> tuple[FloatArray, int]:
    """Both halves on the columns of the first, continued; and the number of its first column."""
    from scipy.interpolate import CubicSpline

    n = front.shape[-1]
    # Mirrored, the last column of the back lies here, and the others follow.
    begin = 2 * axis - (n - 1)
    first, last = math.ceil(begin - 1e-9), math.floor(begin + n - 1 + 1e-9)
    positions = np.clip(np.arange(first, last + 1) - begin, 0, n - 1)
    shifted = CubicSpline(np.arange(n), back[..., ::-1], axis=-1)(positions)
    start, stop = min(0, first), max(n - 1, last) + 1
    columns = np.arange(start, stop)
    width = max(1.0, _FADE * (min(n - 1, begin + n - 1) - max(0.0, begin)))
    total = np.zeros((*front.shape[:-1], len(columns)))
    weight = np.zeros(len(columns))
    # Where only one half measured, the division undoes its fading.
    for part, low, ends in ((front, 0, (0.0, n - 1.0)), (shifted, first, (begin, begin + n - 1.0))):
        place = columns[low - start : low - start + part.shape[-1]]
        inner = np.minimum(place - ends[0], ends[1] - place)
        share = np.sin(0.5 * np.pi * np.clip((inner + 0.5) / width, 0.01, 1.0)) ** 2
        total[..., place - start] += share * part
        weight[place - start] += share
    return total / weight, start
