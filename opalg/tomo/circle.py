"""Recognises scans along a circle: what filtered back projection of divergent beams needs to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opalg.errors import NotSupportedError
from opalg.tomo.angles import angle_weights, scanned_range
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.frames import FloatArray

__all__ = ["CircularScan", "circular_scan"]

# Of the distance from source to axis, or in radians: by so much a real scanner may be misaligned.
_TOLERANCE = 2e-3


@dataclass(frozen=True, eq=False)
class CircularScan:
    """A source that runs around an axis, which the detector faces.

    Parameters
    ----------
    angles : array, shape (views,)
        Of the source about the axis, counter-clockwise.
    sod, sdd : array, shape (views,)
        Distances from the source to the axis and to the detector.
    u : array, shape (1 or views, columns)
        Positions on the detector, from the point that faces the axis, rising as in a regular scan; on a
        curved detector arc length. One row if all views agree.
    v : array, shape (1 or views, rows), or None in 2D
        Likewise, from the plane of the circle.
    curved : bool
    centre, axis : array, shape (3,)
        The middle of the circle, and a unit vector along the axis.
    normals : array, shape (views, 3)
        Unit vectors from the source towards the axis.
    """

    angles: FloatArray
    sod: FloatArray
    sdd: FloatArray
    u: FloatArray
    v: FloatArray | None
    curved: bool
    centre: FloatArray
    axis: FloatArray
    normals: FloatArray

    @property
    def fan_angles(self) -> FloatArray:
        """Angle of every column against the ray to the axis; shape (1 or views, columns)."""
        ratio = self.u / self.sdd[: len(self.u), None]
        return ratio if self.curved else np.arctan(ratio)

    @property
    def view_weights(self) -> FloatArray:
        """The part of the full turn that every view stands for."""
        return angle_weights(self.angles, 2 * np.pi)

    @property
    def range(self) -> tuple[float, float] | None:
        """First angle and length of the range that was scanned; None for a full turn."""
        return scanned_range(self.angles)

    @property
    def half_fans(self) -> tuple[float, float]:
        """The fan angle that all views reach on the side of falling and of rising u; may be negative."""
        gamma = np.sort(self.fan_angles, axis=1)
        return -float(gamma[:, 0].max()), float(gamma[:, -1].min())


def circular_scan(geometry: DivergentBeam) -> CircularScan:
    """The circle of a fan or cone beam.

    Raises
    ------
    NotSupportedError
        If the sources do not run on a circle, or the detector does not face its axis.
    """
    if geometry.regular:
        return _regular(geometry)
    if geometry.curved:
        raise NotSupportedError(
            "FBP and FDK take a curved detector in its regular form only, not given by vectors"
        )
    arrays = geometry.frames.arrays
    space = {name: np.pad(a, ((0, 0), (0, 3 - a.shape[1]))) for name, a in arrays.items()}
    sources, centres, u_steps = space["origins"], space["centres"], space["u_steps"]
    up = np.tile([0.0, 0.0, 1.0], (len(sources), 1))
    v_steps = space.get("v_steps", up)
    axis = v_steps.mean(axis=0)
    axis /= max(float(np.linalg.norm(axis)), 1e-300)
    pitch = np.linalg.norm(u_steps, axis=1)
    _check(_across(v_steps, axis) / np.linalg.norm(v_steps, axis=1), "directions of columns")
    _check(np.abs(u_steps @ axis) / pitch, "angles between rows and columns")
    normals = np.cross(axis, u_steps)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    reach = centres - sources
    normals *= np.sign((normals * reach).sum(axis=1))[:, None]
    centre = _nearest_point(sources, normals, axis)
    to_axis = centre - sources
    sod = (to_axis * normals).sum(axis=1)
    height = to_axis @ axis
    _check(np.abs(height - height.mean()) / sod, "heights of the source")
    _check(_across(to_axis - sod[:, None] * normals, axis) / sod, "ways from detector to axis")
    _check(np.abs(sod / sod.mean() - 1), "distances to the axis")
    rising = np.cross(normals, axis)  # as u does in a regular scan
    columns = np.arange(geometry.detector_shape[-1]) - (geometry.detector_shape[-1] - 1) / 2
    u = (reach * rising).sum(axis=1)[:, None] + columns * (u_steps * rising).sum(axis=1)[:, None]
    v = None
    if geometry.ndim == 3:
        rows = np.arange(geometry.detector_shape[0]) - (geometry.detector_shape[0] - 1) / 2
        v = (reach @ axis - height.mean())[:, None] + rows * (v_steps @ axis)[:, None]
    # Two directions across the axis; about z they are y and -x, as angles are counted elsewhere.
    first = np.array([0.0, 1.0, 0.0]) if abs(axis[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    first -= (first @ axis) * axis
    angles = np.arctan2(normals @ np.cross(axis, first), normals @ first)
    return CircularScan(
        angles=angles,
        sod=sod,
        sdd=(reach * normals).sum(axis=1),
        u=_once(u),
        v=None if v is None else _once(v),
        curved=False,
        centre=centre,
        axis=axis,
        normals=normals,
    )


def _regular(geometry: DivergentBeam) -> CircularScan:
    views = geometry.num_views
    normals = np.stack([-np.sin(geometry.angles), np.cos(geometry.angles), np.zeros(views)], axis=1)
    *rows, u = geometry.detector_coordinates
    return CircularScan(
        angles=geometry.angles,
        sod=np.full(views, geometry.sod),
        sdd=np.full(views, geometry.sdd),
        u=u[None],
        v=rows[0][None] if rows else None,
        curved=geometry.curved,
        centre=np.zeros(3),
        axis=np.array([0.0, 0.0, 1.0]),
        normals=normals,
    )


def _across(vectors: FloatArray, axis: FloatArray) -> FloatArray:
    """Lengths of vectors across an axis."""
    lengths: FloatArray = np.linalg.norm(vectors - np.outer(vectors @ axis, axis), axis=1)
    return lengths


def _nearest_point(sources: FloatArray, normals: FloatArray, axis: FloatArray) -> FloatArray:
    """The point next to the lines ``source + t * normal``, measured across ``axis``; as high as they."""
    along = np.outer(axis, axis)
    away = np.eye(3) - along - np.einsum("vi,vj->vij", normals, normals)
    matrix = away.sum(axis=0) + along
    if np.linalg.cond(matrix) > 1e8:
        raise NotSupportedError("from views of one direction no rotation axis can be told")
    target = np.einsum("vij,vj->i", away, sources) + axis * (sources @ axis).mean()
    point: FloatArray = np.linalg.solve(matrix, target)
    return point


def _check(deviation: FloatArray, what: str) -> None:
    worst = float(np.abs(deviation).max())
    if not worst <= _TOLERANCE:
        raise NotSupportedError(
            "FBP and FDK are for sources on a circle about an axis which the detector faces and to which "
            f"its columns are parallel; here the {what} vary by {worst:.2g}, relative or in radians, where "
            f"{_TOLERANCE:g} is taken. Solvers such as solvers.CGLS take any geometry"
        )


def _once(rows: FloatArray) -> FloatArray:
    """One row if all are equal up to rounding."""
    spread = float(np.ptp(rows, axis=0).max())
    return rows[:1] if spread <= 1e-9 * float(np.abs(rows).max()) else rows
