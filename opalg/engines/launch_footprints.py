"""Launches of the footprint model, both ways, and the tables of its kernels."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from opalg.engines.launch_grids import (
    MOST_BLOCKS,
    RAY_BLOCK,
    VOXEL_BLOCK,
    groups_of,
    most_groups,
    ray_grid,
    voxel_grid,
)
from opalg.engines.launch_parts import STORAGE, Input, Launch, Output, Scratch, Table
from opalg.engines.launch_tables import Case, inverse_of

__all__ = ["SCAN", "VIEW", "backproject", "project"]

#: `FootprintTable` of ``cuda_src/footprint_beam.cuh``.
VIEW = np.dtype(
    [(name, np.float64, 4) for name in "uvw"]
    + [(name, np.float64) for name in ("height", "level", "nearest", "widening", "bend", "spread")]
)
#: `FootprintScan` of the same.
SCAN = np.dtype(
    [
        ("parallel", np.int32),
        ("curved", np.int32),
        ("arc_step", np.float64),
        ("middle", np.float64),
    ]
)
_ANY, _NONE = 0.0, -1.0  # in place of a widening: any voxel may meet any pixel; no voxel is seen


class Footprints(NamedTuple):
    """What the kernels of the model are told, once per plan."""

    scan: np.void
    views: Table
    upright: bool
    """Whether voxels above each other fall on the same columns, in all views."""

    @classmethod
    def of(cls, case: Case) -> Footprints:
        """The tables of a case, made at the first call."""
        kept = _kept.get(case)
        if kept is None:
            middle = (case.nu - 1) / 2 * case.arc_step
            scan = np.array([(case.parallel, case.curved, case.arc_step, middle)], SCAN)[0]
            views = _views(case)
            kept = _kept[case] = cls(scan, Table(views), _upright(case, views))
        return kept


_kept: weakref.WeakKeyDictionary[Case, Footprints] = weakref.WeakKeyDictionary()


def _views(case: Case) -> np.ndarray:
    """``[views]`` of `VIEW`: where shadows fall, and how far from a ray a voxel may meet its pixel."""
    source, corner, u_step, v_step, centre = case.vectors.swapaxes(0, 1)
    third, zero = corner - source, source
    basis = [u_step, v_step, third]
    if case.curved:
        basis = [corner - centre, u_step / case.arc_step, v_step]
    elif case.parallel:
        basis, zero = [u_step, v_step, -source], corner
    inverse, regular = inverse_of(np.stack(basis, axis=2))
    rows = np.concatenate([inverse, -np.einsum("vkx,vx->vk", inverse, zero)[..., None]], axis=2)
    if case.parallel:
        rows[:, 2] = [0, 0, 0, 1]
    table = np.zeros(case.views, VIEW)
    table["level"] = 0 if case.parallel else source[:, 2]
    for k, name in enumerate("uvw"):
        table[name] = rows[:, k]
    sizes = (case.nx, case.ny, case.nz)
    box = np.stack(np.meshgrid(*((0.0, max(n - 1.0, 0.0)) for n in sizes)), axis=-1).reshape(8, 3)
    places = np.einsum("vkx,px->vpk", rows[..., :3], box) + rows[:, None, :, 3]
    if case.parallel:
        table["widening"] = 1
    else:
        if case.curved:
            # Along the way to its middle no voxel is nearer than a corner, and none is nearer than along it.
            middle = places[..., :2].mean(axis=1)
            length = np.maximum(np.linalg.norm(middle, axis=1), 1e-300)
            nearest = np.einsum("vpk,vk->vp", places[..., :2], middle / length[:, None]).min(axis=1)
            reach = np.linalg.norm(rows[:, :2, :3], axis=1).sum(axis=1)
            table["height"] = -(np.einsum("vx,vx->v", rows[:, 2, :3], centre) + rows[:, 2, 3])
        else:
            nearest = places[..., 2].min(axis=1)
            reach = np.abs(rows[:, 2, :3]).sum(axis=1)
        # A voxel of which all is far enough before the source: else shadows are no longer like derivatives.
        part = 0.5 * reach / np.where(nearest > 0, nearest, 1)
        part += 0.5 * abs(case.arc_step) if case.curved else 0
        table["nearest"] = nearest
        table["widening"] = np.where(
            (nearest > 0) & (part < 0.5), 1 / (1 - np.minimum(part, 0.5)), _ANY
        )
        if case.curved:
            table["bend"] = part
            table["spread"] = part * reach
    table["widening"][~regular] = _NONE
    return table


def _upright(case: Case, table: np.ndarray) -> bool:
    """As `Footprints::is_upright` of the CPU engine: rows along z, all else of the detector across.

    Along v no side of a voxel then casts a longer shadow than that along z, which gives the box its width.
    """
    source, corner, u_step, v_step, centre = case.vectors.swapaxes(0, 1)
    upright = (v_step[:, :2] == 0).all(axis=1) & (v_step[:, 2] != 0) & (u_step[:, 2] == 0)
    if case.flat or not upright.all() or (table["widening"] <= 0).any():
        return False
    if case.parallel:
        return not source[:, 2].any()
    if case.curved and (corner[:, 2] != centre[:, 2]).any():
        return False
    # Where the lines are longest; between corners of a slice voxels may be nearer than at them, hence twice.
    far = source[:, 2] + np.maximum(np.abs(source[:, 2]), np.abs(case.nz - 1 - source[:, 2]))
    for x in (0, case.nx - 1):
        for y in (0, case.ny - 1):
            place = np.stack([np.full_like(far, x), np.full_like(far, y), far, np.ones_like(far)])
            slopes = _slopes_along_v(case, table, place)
            if (2 * slopes[:, :2].max(axis=1) > slopes[:, 2]).any():
                return False
    return True


def _slopes_along_v(case: Case, table: np.ndarray, place: np.ndarray) -> np.ndarray:
    """How long shadows of a voxel are along v, ``[views, 3]``; place ``[4, views]`` with a one below."""
    u, v, w = (table[name] for name in "uvw")
    at_u, at_v, at_w = ((row * place.T).sum(axis=1)[:, None] for row in (u, v, w))
    if case.curved:
        square = at_u**2 + at_v**2
        return np.abs((w - at_w * (at_u * u + at_v * v) / square) / np.sqrt(square))[:, :3]
    return np.abs((v - at_v / at_w * w) / at_w)[:, :3]


def _defines(case: Case, dtype: str, images: int) -> tuple[tuple[str, str], ...]:
    """Macros of ``cuda_src/device.cuh``: a kernel for parallel rays and detectors of any shape."""
    real, store, _ = STORAGE[dtype]
    return (
        ("OPALG_REAL", real),
        ("OPALG_STORE", store),
        ("OPALG_FLAT", str(int(case.flat))),
        ("OPALG_BATCH", str(images)),
    )


def _kernel(
    direction: str, case: Case, upright: bool, dtype: str, images: int
) -> tuple[str, int, tuple[tuple[str, str], ...]]:
    """Name, how many pixels or voxels above each other a thread does, and macros."""
    defines = _defines(case, dtype, images)
    if not upright:
        return f"{direction}_footprints", 1, defines
    depth = max(1, (4 if STORAGE[dtype][0] == "double" else 8) // images)  # what registers hold
    return f"{direction}_footprint_columns", depth, (*defines, ("OPALG_DEPTH", str(depth)))


def project(case: Case, batch: int, dtype: str) -> Iterator[Launch]:
    """One pixel a thread, or some above each other."""
    if not batch * case.projection_size:
        return
    scan, views, upright = Footprints.of(case)
    for first, images, groups in groups_of(case, batch, MOST_BLOCKS):
        kernel, depth, defines = _kernel("project", case, upright, dtype, images)
        yield Launch(
            f"{kernel}.cu",
            kernel,
            defines,
            ray_grid(case, groups, depth=depth),
            RAY_BLOCK,
            0,
            (
                case.geometry,
                case.images(first, first * case.projection_size),
                scan,
                case.views_table,
                case.arc_table,
                views,
                Input(),
                Output(),
            ),
        )


def backproject(case: Case, batch: int, dtype: str) -> Iterator[Launch]:
    """First values times scales of pixels, into scratch memory, then a voxel a thread, or some."""
    if not batch * case.volume_size:
        return
    scan, views, upright = Footprints.of(case)
    image_bytes = max(1, case.projection_size) * (8 if STORAGE[dtype][0] == "double" else 4)
    scratch = None
    for first, images, groups in groups_of(case, batch, most_groups(image_bytes)):
        # The first round is the largest.
        scratch = scratch or Scratch(images * groups * image_bytes)
        place = case.images(first, first * case.projection_size)
        if case.projection_size:
            yield Launch(
                "weigh_footprints.cu",
                "weigh_footprints",
                _defines(case, dtype, 1),
                ray_grid(case, images * groups),
                RAY_BLOCK,
                0,
                (
                    case.geometry,
                    place,
                    scan,
                    case.views_table,
                    case.arc_table,
                    Input(),
                    scratch,
                ),
            )
        kernel, depth, defines = _kernel("backproject", case, upright, dtype, images)
        yield Launch(
            f"{kernel}.cu",
            kernel,
            defines,
            voxel_grid(case, depth, groups),
            VOXEL_BLOCK,
            0,
            (case.geometry, place, scan, views, scratch, Output()),
        )
