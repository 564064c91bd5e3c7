"""Ways of the source that are no circle: several circles, a saddle, points on a sphere, measured points.

All give a `ConeBeam`. A circle and a helix are ``ConeBeam(...)`` and ``ConeBeam.helical(...)``; measured
positions of source and detector are ``ConeBeam.from_vectors(...)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.cone import ConeBeam
from opalg.tomo.frames import as_vectors
from opalg.tomo.geometry import Geometry
from opalg.tomo.indexing import as_detector, one_per_axis
from opalg.tomo.transforms import Transform, rotate

__all__ = ["circles", "concatenate", "facing", "saddle", "sphere"]

_GOLDEN = np.pi * (3 - np.sqrt(5))


def facing(
    source: npt.ArrayLike,
    detector: Sequence[int],
    pitch: float | Sequence[float],
    sdd: float,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
    up: Sequence[float] = (0.0, 0.0, 1.0),
) -> ConeBeam:
    """Sources anywhere, each with a detector that faces it behind a common centre.

    Parameters
    ----------
    source : array, shape (views, 3)
        Positions (x, y, z).
    detector : (int, int)
        Number of pixels ``(v, u)``.
    pitch : float or (float, float)
        Distance of neighbouring pixel centres, ``(v, u)`` or one for both.
    sdd : float
        Distance from the source to the detector.
    centre : (float, float, float)
        What the middle of every detector looks at.
    up : (float, float, float)
        Detector columns rise as far in this direction as they can. A view along it has its rows along x.

    Raises
    ------
    ArgumentError
        If a source lies at the centre, or beyond ``sdd`` from it.

    Examples
    --------
    >>> from opalg import tomo
    >>> views = tomo.trajectories.facing([[0, -100, 0], [0, 0, 100]], (4, 5), 1.0, sdd=150.0)
    >>> views.detector_positions.tolist()
    [[0.0, 50.0, 0.0], [0.0, 0.0, -50.0]]
    """
    sources = as_vectors(source, 3, "source")
    shape = as_detector(detector)
    if len(shape) != 2:
        raise ArgumentError(f"detector must be (v, u) pixels, got {detector!r}")
    step_v, step_u = one_per_axis(pitch, ("v", "u"), "pitch", [pitch] * 2)
    ahead = np.asarray(centre, float) - sources
    distance = np.linalg.norm(ahead, axis=1, keepdims=True)
    if not (distance > 0).all() or not (distance < sdd).all():
        raise ArgumentError(
            f"sources must lie off the centre and nearer to it than sdd={sdd!r}, got distances from "
            f"{distance.min():.4g} to {distance.max():.4g}"
        )
    ahead /= distance
    across = np.cross(ahead, np.asarray(up, float))
    length = np.linalg.norm(across, axis=1, keepdims=True)
    across = np.where(length > 1e-9, across / np.maximum(length, 1e-300), [1.0, 0.0, 0.0])
    upwards = np.cross(across, ahead)
    return ConeBeam.from_vectors(
        sources, sources + sdd * ahead, step_v * upwards, step_u * across, shape
    )


def circles(
    tilts: npt.ArrayLike,
    angles: int | npt.ArrayLike,
    detector: Sequence[int],
    pitch: float | Sequence[float],
    sod: float,
    sdd: float,
) -> ConeBeam:
    """Several circles about the origin, each turned about the x axis by an angle of its own.

    Parameters
    ----------
    tilts : array, shape (circles,)
        Radians.
    angles : int or array
        Views of each circle; see `ConeBeam`.
    detector, pitch, sod, sdd
        See `ConeBeam`.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.trajectories.circles([-0.3, 0.0, 0.3], 60, (32, 32), 1.0, 100.0, 150.0).num_views
    180
    """
    circle = ConeBeam(angles, detector, pitch, sod, sdd)
    turns = np.atleast_1d(np.asarray(tilts, float))
    if turns.ndim != 1 or len(turns) == 0 or not np.isfinite(turns).all():
        raise ArgumentError(f"tilts must be one or more angles in radians, got {tilts!r:.60}")
    return concatenate([rotate("x", float(tilt)) * circle for tilt in turns])


def saddle(
    views: int,
    height: float,
    detector: Sequence[int],
    pitch: float | Sequence[float],
    sod: float,
    sdd: float,
) -> ConeBeam:
    """A full turn on which the source rises and sinks twice: at angle *a* by ``height * cos(2 a)``.

    Parameters
    ----------
    views : int
    height : float
        By how much; with it the data suffice for all planes through the volume between.
    detector, pitch, sdd
        See `facing`.
    sod : float
        Distance from the source to the z axis.

    References
    ----------
    J. D. Pack, F. Noo and H. Kudo, "Investigation of saddle trajectories for cardiac CT imaging in cone-beam
    geometry", Physics in Medicine and Biology 49(11), 2317-2336, 2004.

    Examples
    --------
    >>> from opalg import tomo
    >>> curve = tomo.trajectories.saddle(4, 10.0, (8, 8), 1.0, 100.0, 150.0)
    >>> curve.source_positions[:, 2].round(9).tolist()
    [10.0, -10.0, 10.0, -10.0]
    """
    a = _count(views) * (2 * np.pi / views)
    positions = np.stack([sod * np.sin(a), -sod * np.cos(a), height * np.cos(2 * a)], axis=1)
    return facing(positions, detector, pitch, sdd)


def sphere(
    views: int,
    detector: Sequence[int],
    pitch: float | Sequence[float],
    sod: float,
    sdd: float,
) -> ConeBeam:
    """Sources spread evenly over a sphere, on a spiral that turns by the golden angle (Fibonacci).

    Parameters
    ----------
    views : int
    detector, pitch, sdd
        See `facing`.
    sod : float
        Radius of the sphere.

    References
    ----------
    R. Swinbank and R. J. Purser, "Fibonacci grids: a novel approach to global modelling", Quarterly
    Journal of the Royal Meteorological Society 132(619), 1769-1793, 2006.

    Examples
    --------
    >>> from opalg import tomo
    >>> ball = tomo.trajectories.sphere(100, (8, 8), 1.0, 100.0, 150.0)
    >>> bool(abs(ball.source_positions.mean(axis=0)).max() < 1.0)
    True
    """
    steps = _count(views)
    z = 1 - (2 * steps + 1) / views
    radius, turn = np.sqrt(1 - z**2), _GOLDEN * steps
    positions = sod * np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    return facing(positions, detector, pitch, sdd)


def concatenate(parts: Sequence[Geometry] | Sequence[Transform]) -> Any:
    """The views of several geometries, or of several transforms, one after the other.

    Parameters
    ----------
    parts : sequence of Geometry, or of Transform
        Geometries of one class, with as many pixels; their detectors all flat, or curved by the same angle.
        A transform that is one for all views counts as one view.

    Raises
    ------
    ArgumentError
        If they do not fit together.

    Examples
    --------
    >>> from opalg import tomo
    >>> low = tomo.FanBeam(10, 5, 1.0, 100.0, 150.0)
    >>> tomo.trajectories.concatenate([low, tomo.rotate("z", 0.1) * low]).num_views
    20
    >>> tomo.trajectories.concatenate(
    ...     [tomo.translate(z=1.0), tomo.translate(z=[2.0, 3.0])]
    ... ).num_views
    3
    """
    found: list[Any] = list(parts)
    if found and all(isinstance(part, Transform) for part in found):
        return Transform(np.concatenate([part.matrices.reshape(-1, 4, 4) for part in found]))
    if not found or not all(isinstance(part, Geometry) for part in found):
        raise ArgumentError("concatenate takes one or more geometries, or one or more transforms")
    first = found[0]
    if len(found) == 1:
        return first
    alike = {
        (type(p), p.detector_shape, tuple(p.frames.arrays), round(p.frames.arc_step, 12))
        for p in found
    }
    if len(alike) > 1:
        raise ArgumentError(
            "geometries that follow each other must be of one class, with as many pixels and an equally "
            f"curved detector, got {', '.join(map(str, found))}"
        )
    joined: dict[str, Any] = {
        name: np.concatenate([p.frames.arrays[name] for p in found]) for name in first.frames.arrays
    }
    return first._of_frames(replace(first.frames, **joined), first.detector_shape)


def _count(views: int) -> np.ndarray[Any, Any]:
    if not isinstance(views, (int, np.integer)) or views < 1:
        if isinstance(views, float) and not np.isfinite(views):
            raise NonFiniteError("the number of views must be finite")
        raise ArgumentError(f"views must be a positive number, got {views!r}")
    return np.arange(int(views))
