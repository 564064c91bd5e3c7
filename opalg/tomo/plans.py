"""From geometries to what the engines compute: rays in index coordinates of a volume.

Every geometry registers its own translation, so that operators need not know the kinds of geometries.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from opalg.engines.cpu import ParallelPlan
from opalg.errors import NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam

__all__ = ["count_samples", "make_plan"]


@singledispatch
def make_plan(geometry: Geometry, grid: Grid) -> Any:
    """What the engine needs to project ``grid`` in ``geometry``."""
    raise NotSupportedError(f"no engine can project in a {type(geometry).__name__}")


@make_plan.register
def _(geometry: ParallelBeam, grid: Grid) -> ParallelPlan:
    spacing = np.array(grid.spacing[:-3:-1])  # (x, y)
    first_cell = np.array([axis[0] for axis in grid.coordinates[:-3:-1]])
    u = geometry.detector_coordinates[-1]
    across = geometry.u_directions[:, :2]
    direction = geometry.ray_directions[:, :2] / spacing
    rays = np.concatenate(
        [(u[0] * across - first_cell) / spacing, geometry.pitch[-1] * across / spacing, direction],
        axis=1,
    )
    # From plane to plane the dominant index changes by one, so the unit vector is taken 1 / max times.
    lengths = 1 / np.abs(direction).max(axis=1)
    rows = None
    if geometry.ndim == 3:
        v, z = geometry.detector_coordinates[0], grid.coordinates[0]
        rows = (float(v[0] - z[0]) / grid.spacing[0], geometry.pitch[0] / grid.spacing[0])
    return ParallelPlan(grid.shape, geometry.detector_shape, rays, lengths, rows)


def count_samples(plan: ParallelPlan) -> int:
    """How many interpolations a projection makes inside the volume, roughly."""
    ny, nx = plan.volume_shape[-2:]
    dx, dy = np.abs(plan.rays[:, 4]), np.abs(plan.rays[:, 5])
    along_x = dx > dy
    slope = np.where(along_x, plan.rays[:, 5], plan.rays[:, 4]) / np.where(
        along_x, plan.rays[:, 4], plan.rays[:, 5]
    )
    step = np.abs(
        np.where(
            along_x,
            plan.rays[:, 3] - slope * plan.rays[:, 2],
            plan.rays[:, 2] - slope * plan.rays[:, 3],
        )
    )
    planes, across = np.where(along_x, nx, ny), np.where(along_x, ny, nx)
    rays = np.minimum(plan.detector_shape[-1], (across + 1) / np.maximum(step, 1e-12))
    rows = plan.detector_shape[0] if plan.rows is not None else 1
    return int((planes * rays).sum()) * rows
