"""The footprint model written from its definition, voxel by voxel and pixel by pixel: the engines' slow twin.

The shadow of a voxel is found by solving for where the ray through its centre meets the detector; how far it
spreads, by moving the voxel a little. Nothing is shared with the engine.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

_STEP = 1e-5  # of an index, for central differences: their error is some 1e-10


def footprint_matrix(plan: Any) -> Any:
    """The dense matrix (pixels of all views, voxels) of a `DivergentPlan`."""
    blocks = []
    for view in range(len(plan.sources)):
        along_u, along_v = footprints(plan, view)
        both = along_v[:, None] * along_u[None]
        blocks.append(both.reshape(-1, both.shape[-1]) * _per_pixel(plan, view).reshape(-1, 1))
    count = math.prod(plan.volume_shape)
    return np.concatenate(blocks) if blocks else np.zeros((0, count))


def project(plan: Any, image: Any) -> Any:
    """The projection of one image, without the matrix."""
    out = np.zeros((len(plan.sources), *plan.detector_shape))
    for view in range(len(plan.sources)):
        along_u, along_v = footprints(plan, view)
        sums = (along_v * image.ravel()) @ along_u.T
        out[view] = sums.reshape(plan.detector_shape) * _per_pixel(plan, view).reshape(
            plan.detector_shape
        )
    return out


def footprints(plan: Any, view: int) -> tuple[Any, Any]:
    """Shares of every voxel along u, (columns, voxels), and along v times its amplitude, (rows, voxels)."""
    shape = (1, *plan.volume_shape)[-3:]
    flat = len(plan.volume_shape) == 2
    points = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape)[::-1], 1).astype(float)
    u, v, magnification, depth = _shadows(plan, view, points)
    spread_u, spread_v, spread_depth = [], [], []
    for axis in range(2 if flat else 3):
        step = np.eye(3)[axis] * _STEP
        ends = [_shadows(plan, view, points + sign * step) for sign in (1, -1)]
        for found, part in ((spread_u, 0), (spread_v, 1), (spread_depth, 3)):
            found.append(abs(ends[0][part] - ends[1][part]) / (2 * _STEP))
    columns = np.arange(plan.detector_shape[-1])[:, None]
    wide, narrow = _two_widths(np.array(spread_u))
    along_u = _trapezoid_share(columns - u, wide, narrow)
    along_v = np.ones((1, len(points)))
    if not flat:
        rows = np.arange(plan.detector_shape[0])[:, None]
        wide, narrow = _two_widths(np.array(spread_v))
        shift = narrow / math.sqrt(12)
        along_v = (_box_share(rows - v - shift, wide) + _box_share(rows - v + shift, wide)) / 2
    if plan.parallel:
        return along_u, along_v
    seen = (depth > np.sum(spread_depth, axis=0) / 2) & (depth <= 1 + 1e-12)
    power = 1 if flat else 2
    return along_u, along_v * np.where(seen, magnification, 0.0) ** power


def _two_widths(widths: Any) -> tuple[Any, Any]:
    widths = np.sort(widths, axis=0)
    return widths[-1], np.sqrt((widths[:-1] ** 2).sum(axis=0))


def _box_share(distance: Any, width: Any) -> Any:
    """How much of a box of mass 1 lies within the pixel at a distance."""
    low = np.maximum(distance - 0.5, -width / 2)
    high = np.minimum(distance + 0.5, width / 2)
    return np.maximum(high - low, 0) / width


def _trapezoid_share(distance: Any, wide: Any, narrow: Any) -> Any:
    """Mass within the pixel of a box folded with another: an integral over all pieces between kinks."""
    wide, narrow = np.maximum(wide, narrow), np.minimum(wide, narrow)
    outer, inner = (wide + narrow) / 2, (wide - narrow) / 2
    low, high = np.broadcast_arrays(distance - 0.5, distance + 0.5)
    knots = [low, high, *(np.clip(k + 0 * low, low, high) for k in (-outer, -inner, inner, outer))]
    knots = np.sort(np.stack(knots), axis=0)

    def mass(x: Any) -> Any:
        # Up to x; the height is 1 / wide, the flanks are parabolas.
        x = np.clip(x, -outer, outer)
        flank = np.maximum(narrow, 1e-300)
        rising = np.minimum(x + outer, narrow) ** 2 / (2 * flank)
        flat = np.clip(x + inner, 0, 2 * inner)
        falling = np.maximum(x - inner, 0)
        return (rising + flat + falling - falling**2 / (2 * flank)) / wide

    return sum(mass(b) - mass(a) for a, b in itertools.pairwise(knots))


def _vectors(plan: Any, view: int) -> dict[str, Any]:
    found = {
        name: np.pad(np.asarray(value[view], float), (0, 3 - value.shape[1]))
        for name in ("sources", "detectors", "u_steps", "v_steps", "arc_centres")
        if (value := getattr(plan, name)) is not None
    }
    found.setdefault("v_steps", np.array([0.0, 0.0, 1.0]))
    return found


def _shadows(plan: Any, view: int, points: Any) -> tuple[Any, Any, Any, Any]:
    """u, v, magnification, and depth: the part of the way to the detector on which a point lies."""
    k = _vectors(plan, view)
    if plan.parallel:
        matrix = np.stack([k["u_steps"], k["v_steps"], -k["sources"]], axis=1)
        u, v, _ = np.linalg.solve(matrix, (points - k["detectors"]).T)
        return u, v, np.ones_like(u), np.zeros_like(u)
    with np.errstate(divide="ignore", invalid="ignore"):
        if plan.arc_centres is None:
            matrix = np.stack([k["u_steps"], k["v_steps"], k["detectors"] - k["sources"]], axis=1)
            u, v, depth = np.linalg.solve(matrix, (points - k["sources"]).T)
            return u / depth, v / depth, 1 / depth, depth
        centre = k["arc_centres"]
        matrix = np.stack(
            [k["detectors"] - centre, k["u_steps"] / plan.arc_step, k["v_steps"]], axis=1
        )
        ahead, aside, up = np.linalg.solve(matrix, (points - k["sources"]).T)
        depth = np.hypot(ahead, aside)
        v = up / depth + np.linalg.solve(matrix, k["sources"] - centre)[2]
        middle = (plan.detector_shape[-1] - 1) / 2 * plan.arc_step
        angle = np.arctan2(aside, ahead)
        angle = angle + 2 * np.pi * np.round((middle - angle) / (2 * np.pi))
        return angle / plan.arc_step, v, 1 / depth, depth


def _per_pixel(plan: Any, view: int) -> Any:
    """Volume of a voxel over the area of the pixel as its ray sees it; in 2D area over width."""
    spacing = np.array([*plan.spacing, 1.0][:3])
    k = _vectors(plan, view)
    pixels = plan.pixels(view).reshape(-1, plan.sources.shape[1])
    pixels = np.pad(pixels, ((0, 0), (0, 3 - pixels.shape[1])))
    steps = np.broadcast_to(k["u_steps"], pixels.shape)
    if plan.arc_centres is not None:
        columns = np.tile(
            np.arange(plan.detector_shape[-1]), len(pixels) // plan.detector_shape[-1]
        )
        turn = columns[:, None] * plan.arc_step
        radius = k["detectors"] - k["arc_centres"]
        steps = np.cos(turn) * k["u_steps"] - np.sin(turn) * plan.arc_step * radius
    way = np.broadcast_to(k["sources"], pixels.shape) if plan.parallel else pixels - k["sources"]
    way = way * spacing
    way = way / np.linalg.norm(way, axis=1, keepdims=True)
    faces = np.cross(steps * spacing, k["v_steps"] * spacing)
    return np.prod(spacing) / abs((faces * way).sum(axis=1))
