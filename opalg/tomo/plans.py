"""From geometries to what the engines compute: rays in index coordinates of a volume.

Every geometry has a translation by its vectors; one that engines can do faster registers its own.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from opalg.engines.cpu import ParallelPlan
from opalg.engines.divergent import DivergentPlan
from opalg.spaces import Grid
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam

__all__ = ["Plan", "count_samples", "general_plan", "make_plan"]

Plan = ParallelPlan | DivergentPlan


@singledispatch
def make_plan(geometry: Geometry, grid: Grid, model: str = "joseph") -> Plan:
    """What the engine needs to project ``grid`` in ``geometry`` by a model (see `DivergentPlan`)."""
    return general_plan(geometry, grid, model)


def general_plan(geometry: Geometry, grid: Grid, model: str = "joseph") -> DivergentPlan:
    """Source and detector of every view in index coordinates, which any geometry has."""
    spacing = np.array(grid.spacing[::-1])
    first_cell = np.array([axis[0] for axis in reversed(grid.coordinates)])
    first_pixel = [-(n - 1) / 2 for n in geometry.detector_shape]
    # Steps are put at pixel 0; on a curved detector they turn on the way there.
    corner = geometry.frames.moved_in_plane(*first_pixel[::-1])
    index = corner.mapped(np.diag(1 / spacing), -first_cell / spacing)
    return DivergentPlan(
        grid.shape,
        geometry.detector_shape,
        index.origins,
        index.centres,
        index.u_steps,
        index.v_steps,
        tuple(spacing.tolist()),
        index.parallel,
        index.arc_centres,
        index.arc_step,
        model,
    )


@make_plan.register
def _(geometry: ParallelBeam, grid: Grid, model: str = "joseph") -> Plan:
    if not geometry.regular or model != "joseph":
        return general_plan(geometry, grid, model)
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


def count_samples(plan: Plan) -> int:
    """How many interpolations a projection makes inside the volume, roughly."""
    if isinstance(plan, ParallelPlan):
        return _count_in_slices(plan)
    return _count_pixels(plan) if plan.model == "footprint" else _count_rays(plan)


def _count_pixels(plan: DivergentPlan) -> int:
    """How many pixels the footprints of all voxels touch, if they are all like that of the middle one."""
    middle = (np.array(plan.volume_shape[::-1], float) - 1) / 2
    touched = 0.0
    for view, source in enumerate(plan.sources):
        steps = [s[view] for s in (plan.u_steps, plan.v_steps) if s is not None]
        along = source if plan.parallel else middle - source
        # The pixel that the voxel falls on, from the middle of the detector, and the way there.
        way = plan.pixels(view)[tuple(n // 2 for n in plan.detector_shape)] - source
        magnification = 1.0 if plan.parallel else np.linalg.norm(way) / np.linalg.norm(along)
        slopes = np.linalg.pinv(np.stack([*steps, along], axis=1))[:-1] * magnification
        touched += float(np.prod(1 + np.abs(slopes).sum(axis=1)))
    return int(touched * np.prod(plan.volume_shape, dtype=float))


_VIEWS, _PIXELS = 32, 24  # of which rays are drawn for counting, along each axis of the detector


def _count_rays(plan: DivergentPlan) -> int:
    """From some rays: how many planes of its dominant axis each meets inside the volume."""
    size = np.array(plan.volume_shape[::-1], float)
    views = np.unique(np.linspace(0, len(plan.sources) - 1, _VIEWS).astype(int))
    total, rays = 0.0, 0
    for view in views:
        pixels = plan.pixels(int(view))
        for axis, n in enumerate(plan.detector_shape):
            chosen = np.unique(np.linspace(0, n - 1, _PIXELS).astype(int))
            pixels = np.take(pixels, chosen, axis=axis)
        points = pixels.reshape(-1, len(size))
        along = plan.sources[view] if plan.parallel else points - plan.sources[view]
        total += float(_planes_met(points, np.broadcast_to(along, points.shape), size).sum())
        rays += len(points)
    return int(total / max(rays, 1) * np.prod(plan.projection_shape, dtype=float))


def _planes_met(points: FloatArray, along: FloatArray, size: FloatArray) -> FloatArray:
    """Index lengths of the parts of rays between -1/2 and n - 1/2, in steps of the dominant axis."""
    moving = np.abs(along) > 1e-12
    slope = np.where(moving, along, 1.0)
    ends = np.stack([(-0.5 - points) / slope, (size - 0.5 - points) / slope])
    inside = (points > -0.5) & (points < size - 0.5)
    enter = np.where(moving, ends.min(axis=0), np.where(inside, -np.inf, np.inf)).max(axis=1)
    leave = np.where(moving, ends.max(axis=0), np.where(inside, np.inf, -np.inf)).min(axis=1)
    met: FloatArray = np.maximum(leave - enter, 0) * np.abs(along).max(axis=1)
    return met


def _count_in_slices(plan: ParallelPlan) -> int:
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
