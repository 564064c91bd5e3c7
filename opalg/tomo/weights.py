"""Weights of filtered back projection: the cosine of fans and cones, and against rays measured twice.

Every function takes a geometry, whose source runs on a circle, and gives an array that broadcasts to its
sinograms: float64, shape (1 or views, u) or (1 or views, 1 or v, u). Redundancy weights can be handed to
`FBP` and `FDK` as ``redundancy``; cosine weights are always in them.

A ray and its *conjugate*, the same line from the other side, are one measurement. With *g* the fan angle of a
column, which rises with u, the conjugate of the ray at source angle *b* is seen at *b* + pi - 2 *g* in the
column at *-g*. Redundancy weights of the two sum to 1, so that views weigh by their angle. The conjugate of
a parallel ray is seen half a turn later, as far from the axis on its other side.
"""

from __future__ import annotations

import math

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo.angles import scanned_range
from opalg.tomo.circle import CircularScan, circular_scan
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel_scan import scan_of
from opalg.tomo.scan import Scan

__all__ = ["cosine", "full_turn", "parker", "riess", "wang"]


def cosine(geometry: Geometry) -> FloatArray:
    """The cosine of the angle between a ray and the central ray of its view.

    Parameters
    ----------
    geometry : FanBeam or ConeBeam
        Flat: ``sdd / sqrt(sdd^2 + u^2 + v^2)``; curved: ``cos(u / sdd) sdd / sqrt(sdd^2 + v^2)``, with
        u, v from the point that faces the axis.

    Returns
    -------
    array, shape (1 or views, u) or (1 or views, v, u)

    References
    ----------
    L. A. Feldkamp, L. C. Davis and J. W. Kress, "Practical cone-beam algorithm", Journal of the Optical
    Society of America A 1(6), 612-619, 1984.

    Examples
    --------
    >>> from opalg import tomo
    >>> fan = tomo.FanBeam(8, detector=3, pitch=100.0, sod=60.0, sdd=100.0)
    >>> tomo.weights.cosine(fan).round(4).tolist()
    [[0.7071, 1.0, 0.7071]]
    """
    scan = _scan(geometry)
    if scan.v is None:
        return np.cos(scan.fan_angles)
    views = max(len(scan.u), len(scan.v))
    sdd, u, v = scan.sdd[:views, None, None], scan.u[:, None, :], scan.v[:, :, None]
    if scan.curved:
        return np.cos(scan.fan_angles)[:, None, :] * sdd / np.sqrt(sdd**2 + v**2)
    return sdd / np.sqrt(sdd**2 + u**2 + v**2)


def full_turn(geometry: Geometry) -> FloatArray:
    """One half: over a full turn every ray is measured twice.

    Parameters
    ----------
    geometry : FanBeam, ConeBeam or ParallelBeam

    Raises
    ------
    ArgumentError
        If the geometry covers less than a full turn.
    """
    found = scanned_range(scan_of(geometry).angles)
    if found is not None:
        raise ArgumentError(
            f"the views cover {np.rad2deg(found[1]):.1f} degrees, not a full turn: see weights.parker"
        )
    return np.full((1,) * len(geometry.shape), 0.5)


def parker(geometry: Geometry) -> FloatArray:
    """Smooth weights of a short scan: half a turn plus the fan angle, or more.

    Parameters
    ----------
    geometry : FanBeam or ConeBeam
        In 3D all rows of a column have the same weight.

    Returns
    -------
    array, shape (views, u) or (views, 1, u)

    Raises
    ------
    ArgumentError
        If the scan is shorter; see `riess`.

    Notes
    -----
    Where the scan covers more than half a turn plus the fan angle, the overlap is spread over all of it.

    References
    ----------
    D. L. Parker, "Optimal short scan convolution reconstruction for fanbeam CT", Medical Physics 9(2),
    254-257, 1982. M. D. Silver, "A method for including redundant data in computed tomography", Medical
    Physics 27(4), 773-774, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from opalg import tomo
    >>> scan = tomo.FanBeam(np.deg2rad(range(0, 221, 2)), 61, 1.0, sod=100.0, sdd=150.0)
    >>> w = tomo.weights.parker(scan)
    >>> w.shape, float(w[0, 30]), float(w[55, 30]), bool(0 <= w.min() <= w.max() <= 1)
    ((111, 61), 0.0, 1.0, True)
    """
    scan = _scan(geometry)
    missing = missing_range(scan)
    if missing and len(scan.ranges) == 1:
        raise ArgumentError(
            f"Parker's weights need half a turn plus the fan angle; {np.rad2deg(missing):.1f} degrees are "
            "missing. weights.riess compensates for them in part"
        )
    return placed(geometry, overscan(scan))


def riess(geometry: Geometry) -> FloatArray:
    """Parker's weights, continued to scans that are a little too short.

    Parameters
    ----------
    geometry : FanBeam or ConeBeam
        Of half a turn or more. Where the scan is long enough the weights are those of `parker`.

    Returns
    -------
    array, shape (views, u) or (views, 1, u)
        In [0, 2]: rays next to a missing range count up to twice, instead of those that are missing.

    Raises
    ------
    ArgumentError
        If the scan is shorter than half a turn.

    References
    ----------
    C. Riess, M. Berger, H. Wu, M. Manhart, R. Fahrig and A. Maier, "TV or not TV? That is the question",
    12th International Meeting on Fully Three-Dimensional Image Reconstruction in Radiology and Nuclear
    Medicine, 341-344, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from opalg import tomo
    >>> scan = tomo.FanBeam(np.deg2rad(range(0, 191, 2)), 61, 1.0, sod=100.0, sdd=150.0)
    >>> bool(1.9 < tomo.weights.riess(scan).max() <= 2)
    True
    """
    scan = _scan(geometry)
    if scan.range is not None and scan.range[1] < math.pi:
        raise ArgumentError(
            f"the weights need half a turn or more, the views cover {np.rad2deg(scan.range[1]):.1f} degrees"
        )
    return placed(geometry, overscan(scan))


def wang(geometry: Geometry) -> FloatArray:
    """Weights of a full turn with a detector that is moved to one side.

    Parameters
    ----------
    geometry : FanBeam, ConeBeam or ParallelBeam
        Of a full turn. Columns that see the axis from both sides share the weight smoothly, those on the
        longer side, whose conjugates are not measured, have all of it.

    Returns
    -------
    array, shape (1 or views, u) or (1 or views, 1, u)
        One row if the detector is moved equally in all views.

    Raises
    ------
    ArgumentError
        If the geometry covers less than a full turn, or no column sees the axis.

    Notes
    -----
    A row times these weights ends where the detector does, but the ramp of it does not: values are right if
    rows are continued by zeros to as many columns as the longer side has, before they are filtered, and what
    falls there is projected back too. `FBP` and `FDK` do so.

    References
    ----------
    G. Wang, "X-ray micro-CT with a displaced detector array", Medical Physics 29(7), 1634-1636, 2002.

    Examples
    --------
    >>> from opalg import tomo
    >>> moved = tomo.FanBeam(8, detector=5, pitch=10.0, sod=100.0, sdd=150.0, offset=5.0)
    >>> tomo.weights.wang(moved).round(3).tolist()
    [[0.0, 0.249, 0.751, 1.0, 1.0]]
    """
    full_turn(geometry)
    scan = scan_of(geometry)
    if min(scan.reach) <= 0:
        raise ArgumentError(
            "the detector must see the rotation axis, with columns on both sides of it"
        )
    return placed(geometry, sides(scan))


# What `FBP`, `FDK` and `opalg.tomo.redundancy` use


def missing_range(scan: Scan) -> float:
    """How many radians are missing in half a turn (of fans and cones plus the fan angle).

    If several ranges are missing of a turn: of what turn the rays of some column are not measured, from
    either side.
    """
    ranges, gamma = scan.ranges, 0.0
    if isinstance(scan, CircularScan):
        gamma = float(np.abs(scan.fan_angles).max())
    if not len(ranges):
        return 0.0
    length = float(ranges[:, 1].sum())
    step = _step(scan)
    if len(ranges) > 1 and scan.period > math.pi:
        missing = _unmeasured(ranges, step, gamma)
        return missing if missing > 0.01 * step else 0.0
    missing = math.pi + 2 * gamma - length
    # Up to the spacing of views nothing is missing.
    return missing if missing > 1.01 * step else 0.0


def _unmeasured(ranges: FloatArray, step: float, gamma: float) -> float:
    """Of how many radians a column, of those up to fan angle ``gamma``, is measured from neither side."""
    starts = ranges.sum(axis=1) + step / 2
    lengths = np.mod(np.roll(ranges[:, 0], -1) - step / 2 - starts, 2 * math.pi)
    turns = math.pi - 2 * np.linspace(-gamma, gamma, 201)
    # From where a gap begins to where, as seen from the other side, another one does.
    way = np.mod(-np.add.outer(turns, np.subtract.outer(starts, starts)), 2 * math.pi)
    first, second = lengths[:, None], lengths
    overlap = np.maximum(np.minimum(first - way, second), 0)
    overlap += np.maximum(np.minimum(first, way + second - 2 * math.pi), 0)
    return float(overlap.sum(axis=(1, 2)).max())


def _step(scan: Scan) -> float:
    """Of neighbouring views."""
    return float(scan.ranges[:, 1].sum()) / max(len(scan.angles) - len(scan.ranges), 1)


def sides(scan: Scan) -> FloatArray:
    """Wang's weights, shape (1 or views, u)."""
    position = np.clip(from_short_to_long(scan) / min(scan.reach), -1.0, 1.0)
    return 0.5 + 0.5 * np.sin(np.pi / 2 * position)


def from_short_to_long(scan: Scan) -> FloatArray:
    """Positions of columns, rising towards the longer side of the detector."""
    below, above = scan.reach
    return scan.positions if above >= below else -scan.positions


def overscan(scan: CircularScan) -> FloatArray:
    """Weights (views, u) for a range of half a turn plus any overlap; a negative one is compensated."""
    if scan.range is None:
        return np.full((1, scan.u.shape[1]), 0.5)
    start, length = scan.range
    # Rounding may put the first angle a period late.
    beta = np.mod(scan.angles - start + 1e-9, 2 * math.pi)[:, None] - 1e-9
    gamma, overlap = scan.fan_angles, length - math.pi
    return _ramp(beta, overlap + 2 * gamma) * _ramp(length - beta, overlap - 2 * gamma)


def _ramp(way: FloatArray, overlap: FloatArray) -> FloatArray:
    """From 0 to 1 over an overlap; over a gap (a negative one) from 2 to 1."""
    overlap, way = np.broadcast_arrays(overlap, np.maximum(way, 0.0))
    width = np.maximum(np.abs(overlap), 1e-12)
    rise = np.sin(np.pi / 2 * np.minimum(way / width, 1.0)) ** 2
    # Rounding must not make a gap of an overlap of width zero.
    return np.where(overlap > -1e-9, rise, 2 - rise)


def _scan(geometry: Geometry) -> CircularScan:
    if not isinstance(geometry, DivergentBeam):
        raise NotSupportedError(
            f"these weights are for FanBeam and ConeBeam, got a {type(geometry).__name__}"
        )
    return circular_scan(geometry)


def placed(geometry: Geometry, weights: FloatArray) -> FloatArray:
    """Weights of columns, shape (1 or views, u), such that they broadcast to sinograms."""
    return weights if geometry.ndim == 2 else weights[:, None, :]
