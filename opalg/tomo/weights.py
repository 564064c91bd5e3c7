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
from opalg.tomo.parallel_scan import ParallelScan, scan_of
from opalg.tomo.scan import Scan

__all__ = ["cosine", "full_turn", "parker", "riess", "wang"]

# Over how many times what one side of a detector exceeds the other the weights of a moved one change.
_WIDTH = 5.0


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
    return np.full(_shape(geometry), 0.5)


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
    if missing:
        raise ArgumentError(
            f"Parker's weights need half a turn plus the fan angle; {np.rad2deg(missing):.1f} degrees are "
            "missing. weights.riess compensates for them in part"
        )
    return _placed(geometry, _overscan(scan))


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
    return _placed(geometry, _overscan(scan))


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
    overlap = min(scan.reach)
    if overlap <= 0:
        raise ArgumentError(
            "the detector must see the rotation axis, with columns on both sides of it"
        )
    position = np.clip(_from_short_to_long(scan) / overlap, -1.0, 1.0)
    return _placed(geometry, 0.5 + 0.5 * np.sin(np.pi / 2 * position))


# What `FBP` and `FDK` use


def missing_range(scan: Scan) -> float:
    """By how many radians a scan is shorter than half a turn (plus the fan angle); 0 if it is not."""
    if scan.range is None:
        return 0.0
    length = scan.range[1]
    gamma = float(np.abs(scan.fan_angles).max()) if isinstance(scan, CircularScan) else 0.0
    missing = math.pi + 2 * gamma - length
    # Up to the spacing of views nothing is missing.
    return missing if missing > 1.01 * length / max(len(scan.angles) - 1, 1) else 0.0


def automatic(geometry: Geometry) -> tuple[FloatArray, str]:
    """The weights that fit a scan, and what is missing in it, in words, or nothing."""
    scan = scan_of(geometry)
    ones = np.ones(_shape(geometry))
    if scan.moved:
        return _moved(geometry, scan), ""
    if min(scan.reach) <= 0 and (scan.is_full_turn or isinstance(scan, ParallelScan)):
        return ones, "the detector sees no rays through the rotation axis"
    if isinstance(scan, ParallelScan):  # whose views share what is measured twice by their angles
        missing = missing_range(scan)
        words = f"the views lack {np.rad2deg(missing):.1f} degrees of half a turn"
        return ones, words if missing else ""
    if scan.range is None:
        return 0.5 * ones, ""
    missing = missing_range(scan)
    if not missing:
        return parker(geometry), ""
    words = f"the views lack {np.rad2deg(missing):.1f} degrees of half a turn plus the fan angle"
    return (riess(geometry) if scan.range[1] >= math.pi else ones), words


def _moved(geometry: Geometry, scan: Scan) -> FloatArray:
    """Wang's weights; if the detector was moved by little they stay one half, as far as they can.

    Equal weights have the least noise. Towards the end of the shorter side they leave one half smoothly.
    """
    below, above = scan.reach
    overlap, width = min(below, above), _WIDTH * abs(above - below)
    if width >= overlap:
        return wang(geometry)
    place = _from_short_to_long(scan)
    way = np.clip((np.abs(place) - overlap) / width + 1, 0.0, 1.0)
    return _placed(geometry, 0.5 + 0.5 * np.sign(place) * np.sin(np.pi / 2 * way) ** 2)


def _from_short_to_long(scan: Scan) -> FloatArray:
    """Positions of columns, rising towards the longer side of the detector."""
    below, above = scan.reach
    return scan.positions if above >= below else -scan.positions


def _overscan(scan: CircularScan) -> FloatArray:
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


def _shape(geometry: Geometry) -> tuple[int, ...]:
    return (1,) * (len(geometry.detector_shape) + 1)


def _placed(geometry: Geometry, weights: FloatArray) -> FloatArray:
    return weights if geometry.ndim == 2 else weights[:, None, :]
