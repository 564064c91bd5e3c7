"""Recognises parallel views about one axis, and what any scan of filtered back projection is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opalg.errors import NotSupportedError
from opalg.tomo.circle import circular_scan
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.scan import Scan, across, angles_about, check, once, vectors_in_space

__all__ = ["ParallelScan", "parallel_scan", "scan_of"]

_NEEDED = (
    "FBP is for parallel rays across one axis, to which detector columns are parallel (laminography, whose "
    "rays are not, leaves a cone of frequencies about the axis unmeasured, without which no values are right)"
)


@dataclass(frozen=True, eq=False)
class ParallelScan(Scan):
    """Parallel rays that turn about an axis, perpendicular to it.

    Parameters
    ----------
    angles, u, centre, axis, normals
        See `Scan`; ``u`` is the distance of rays from the axis, and normals run along the rays.
    """

    @property
    def period(self) -> float:
        """Half a turn, a full one for a moved detector: then opposite views see different rays."""
        return 2 * math.pi if self.moved else math.pi

    @property
    def pitch(self) -> float:
        """Distance of neighbouring rays, on average over views."""
        columns = self.u.shape[1]
        return float(np.abs(self.u[:, -1] - self.u[:, 0]).mean()) / max(columns - 1, 1)


def scan_of(geometry: Geometry) -> Scan:
    """The scan about one axis that a geometry is.

    Raises
    ------
    NotSupportedError
        If it is none.
    """
    if isinstance(geometry, DivergentBeam):
        return circular_scan(geometry)
    if isinstance(geometry, ParallelBeam):
        return parallel_scan(geometry)
    raise NotSupportedError(f"no analytic method is known for a {type(geometry).__name__}")


def parallel_scan(geometry: ParallelBeam) -> ParallelScan:
    """The axis of a parallel beam.

    Raises
    ------
    NotSupportedError
        If rays are not perpendicular to one axis, or detector columns not parallel to it.
    """
    if geometry.regular:
        rays = np.pad(geometry.ray_directions, ((0, 0), (0, 3 - geometry.ndim)))
        u, up = geometry.detector_coordinates[-1], np.array([0.0, 0.0, 1.0])
        return ParallelScan(geometry.angles, u[None], np.zeros(3), up, rays)
    space = vectors_in_space(geometry.frames.arrays)
    rays = space["origins"] / np.linalg.norm(space["origins"], axis=1, keepdims=True)
    # A detector may lean: what counts of its steps is what rays see of them.
    u_steps, v_steps = (
        steps - (steps * rays).sum(axis=1, keepdims=True) * rays
        for steps in (space["u_steps"], space["v_steps"])
    )
    axis = v_steps.mean(axis=0)
    axis /= max(float(np.linalg.norm(axis)), 1e-300)
    pitch = np.linalg.norm(u_steps, axis=1)
    check(rays @ axis, "angles between rays and a plane", _NEEDED)
    check(across(v_steps, axis) / np.linalg.norm(v_steps, axis=1), "directions of columns", _NEEDED)
    check(u_steps @ axis / pitch, "angles between rows and columns", _NEEDED)
    rising = np.cross(rays, axis)  # as u does in a regular scan
    places = (space["centres"] * rising).sum(axis=1)
    # Where the middle of the detector is seen tells the axis, and by how much all detectors are moved.
    unknowns = np.column_stack([rising, np.ones(len(rising))])
    centre = np.linalg.lstsq(unknowns, places, rcond=1e-9)[0][:3]
    columns = np.arange(geometry.detector_shape[-1]) - (geometry.detector_shape[-1] - 1) / 2
    u = (places - rising @ centre)[:, None] + columns * (u_steps * rising).sum(axis=1)[:, None]
    if geometry.ndim == 3:
        _check_heights(geometry.detector_shape[0], space["centres"] @ axis, v_steps @ axis)
    return ParallelScan(angles_about(axis, rays), once(u), centre, axis, rays)


def _check_heights(rows: int, middles: FloatArray, steps: FloatArray) -> None:
    """Raise if no slice is seen by all views, as along a helix."""
    half = np.abs(steps) * (rows / 2)
    if (middles - half).max() > (middles + half).min():
        raise NotSupportedError(
            f"{_NEEDED}, with slices that all views see: here none is. Solvers such as solvers.CGLS take "
            "any geometry"
        )
