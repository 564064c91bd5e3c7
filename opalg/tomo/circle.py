"""Recognises scans along a circle: what filtered back projection of divergent beams needs to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opalg.errors import NotSupportedError
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.scan import Scan, across, angles_about, check, once, vectors_in_space

__all__ = ["NEEDED", "CircularScan", "circular_scan", "middle_of_circle"]

# What is said of other scans.
NEEDED = (
    "FBP and FDK are for sources on a circle (FDK also on a helix about z) around an axis which the detector "
    "faces and to which its columns are parallel"
)


@dataclass(frozen=True, eq=False)
class CircularScan(Scan):
    """A source that runs around an axis, which the detector faces.

    Parameters
    ----------
    angles, u, centre, axis, normals
        See `Scan`; angles are those of the source, ``u`` is arc length on a curved detector, ``centre`` the
        middle of the circle.
    sod, sdd : array, shape (views,)
        Distances from the source to the axis and to the detector.
    v : array, shape (1 or views, rows), or None in 2D
        Positions on the detector, from the plane of the circle.
    curved : bool
    """

    sod: FloatArray
    sdd: FloatArray
    v: FloatArray | None
    curved: bool

    @property
    def fan_angles(self) -> FloatArray:
        """Angle of every column against the ray to the axis; shape (1 or views, columns)."""
        ratio = self.u / self.sdd[: len(self.u), None]
        return ratio if self.curved else np.arctan(ratio)

    @property
    def positions(self) -> FloatArray:
        """The fan angles: the same ray from the other side has the opposite one."""
        return self.fan_angles


def circular_scan(geometry: DivergentBeam) -> CircularScan:
    """The circle of a fan or cone beam.

    Raises
    ------
    NotSupportedError
        If the sources do not run on a circle, or the detector does not face its axis.
    """
    if geometry.regular:
        return _regular(geometry)
    space = vectors_in_space(geometry.frames.arrays)
    sources, centres, u_steps = space["origins"], space["centres"], space["u_steps"]
    v_steps, arcs = space["v_steps"], space.get("arc_centres")
    axis = v_steps.mean(axis=0)
    axis /= max(float(np.linalg.norm(axis)), 1e-300)
    pitch = np.linalg.norm(u_steps, axis=1)
    check(across(v_steps, axis) / np.linalg.norm(v_steps, axis=1), "directions of columns", NEEDED)
    check(np.abs(u_steps @ axis) / pitch, "angles between rows and columns", NEEDED)
    reach = centres - sources
    if arcs is None:
        normals = np.cross(axis, u_steps)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        normals *= np.sign((normals * reach).sum(axis=1))[:, None]
        centre = _nearest_point(sources, normals, axis)
    else:  # an arc about the source faces all ways alike: the circle itself has to tell
        centre = middle_of_circle(sources, axis)
        normals = centre - sources
        normals -= np.outer(normals @ axis, axis)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    to_axis = centre - sources
    sod = (to_axis * normals).sum(axis=1)
    height = to_axis @ axis
    check(np.abs(height - height.mean()) / sod, "heights of the source", NEEDED)
    aside = across(to_axis - sod[:, None] * normals, axis)
    check(aside / sod, "ways from detector to axis", NEEDED)
    check(np.abs(sod / sod.mean() - 1), "distances to the axis", NEEDED)
    rising = np.cross(normals, axis)  # as u does in a regular scan
    columns = np.arange(geometry.detector_shape[-1]) - (geometry.detector_shape[-1] - 1) / 2
    ahead, beside = (reach * normals).sum(axis=1), (reach * rising).sum(axis=1)
    if arcs is None:
        sdd, u = ahead, beside[:, None] + columns * (u_steps * rising).sum(axis=1)[:, None]
    else:
        sdd = np.hypot(ahead, beside)
        check(
            across(arcs - sources, axis) / sdd, "ways from the source to the arc's centre", NEEDED
        )
        # The tangent in the detector's middle runs along its rising u, or against it.
        turned = np.sign((u_steps * np.cross(reach, axis)).sum(axis=1)) * pitch
        u = (sdd * np.arctan2(beside, ahead))[:, None] + columns * turned[:, None]
    v = None
    if geometry.ndim == 3:
        rows = np.arange(geometry.detector_shape[0]) - (geometry.detector_shape[0] - 1) / 2
        v = (reach @ axis - height.mean())[:, None] + rows * (v_steps @ axis)[:, None]
    return CircularScan(
        angles=angles_about(axis, normals),
        u=once(u),
        centre=centre,
        axis=axis,
        normals=normals,
        sod=sod,
        sdd=sdd,
        v=None if v is None else once(v),
        curved=arcs is not None,
    )


def _regular(geometry: DivergentBeam) -> CircularScan:
    views = geometry.num_views
    normals = np.stack([-np.sin(geometry.angles), np.cos(geometry.angles), np.zeros(views)], axis=1)
    *rows, u = geometry.detector_coordinates
    return CircularScan(
        angles=geometry.angles,
        u=u[None],
        centre=np.zeros(3),
        axis=np.array([0.0, 0.0, 1.0]),
        normals=normals,
        sod=np.full(views, geometry.sod),
        sdd=np.full(views, geometry.sdd),
        v=rows[0][None] if rows else None,
        curved=geometry.curved,
    )


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


def middle_of_circle(sources: FloatArray, axis: FloatArray) -> FloatArray:
    """The middle of the circle about ``axis`` on which the sources lie, by least squares."""
    mean = sources.mean(axis=0)
    away = sources - mean
    away -= np.outer(away @ axis, axis)
    # |s - c|^2 is the same for all: linear in c and |c|^2 - r^2. Across the axis, so c has no part along it.
    size = float(np.abs(away).max())
    matrix = np.column_stack([away / max(size, 1e-300), np.ones(len(away))])
    if np.linalg.matrix_rank(matrix, tol=1e-6 * np.sqrt(len(away))) < 3:
        raise NotSupportedError(
            "where the sources lie on a line, or in fewer than three places, no circle can be told"
        )
    solution = np.linalg.lstsq(matrix, (away**2).sum(axis=1) / max(size, 1e-300), rcond=1e-9)[0]
    middle: FloatArray = mean + solution[:3] / 2
    return middle
