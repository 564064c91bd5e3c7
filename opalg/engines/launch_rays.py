"""Launches of projection along rays and of its exact transpose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opalg.engines.launch_grids import (
    LAYERS,
    MOST_BLOCKS,
    RAY_BLOCK,
    VOXEL_BLOCK,
    check_rows,
    depth_of,
    groups_of,
    most_groups,
    ray_grid,
    row_margin,
    sizes_of,
    tiles_of,
    voxel_grid,
)
from opalg.engines.launch_parts import STORAGE, Input, Launch, Output, Scratch, Texture
from opalg.engines.launch_tables import Case

#: A case, how many images, the first volume, where the first projection begins, and for slices of a
#: stack the rows of its projections.
Run = tuple[Case, int, int, int, int | None]

_SUMS = {"float": 16, "double": 4}  # of voxels above each other, that registers hold


def project(runs: list[Run], dtype: str) -> Iterator[Launch]:
    """One ray a thread."""
    scratch = None
    for case, count, volume, projection, rows in runs:
        if not count * case.projection_size:
            return
        image_bytes = max(1, case.volume_size) * STORAGE[dtype][2]
        turn = 0 in case.axes and case.volume_size > 0
        most = most_groups(image_bytes) if turn else MOST_BLOCKS
        for first, images, groups in groups_of(case, count, most):
            if turn:
                # The first round is the largest.
                scratch = scratch or Scratch(images * groups * image_bytes)
                yield _turn(case, dtype, volume + first, images * groups, scratch)
            yield Launch(
                "project_rays.cu",
                "project_rays",
                case.defines(dtype, images),
                ray_grid(case, groups),
                RAY_BLOCK,
                0,
                (
                    case.geometry,
                    _images(case, volume, projection, rows, first),
                    case.views_table,
                    case.arc_table,
                    Input(),
                    scratch or Input(),
                    Output(),
                ),
            )


def _images(case: Case, volume: int, projection: int, rows: int | None, first: int) -> np.void:
    """Where the images of a run from `first` on are."""
    stride = case.projection_size if rows is None else case.nu
    return case.images(volume + first, projection + first * stride, rows)


def _turn(case: Case, dtype: str, first: int, images: int, scratch: Scratch) -> Launch:
    """Copies images with x and y exchanged."""
    real, store, _ = STORAGE[dtype]
    block, run = (32, 8, 1), 8
    slices = images * case.nz
    return Launch(
        "turn_slices.cu",
        "turn_slices",
        (("OPALG_REAL", real), ("OPALG_STORE", store)),
        (
            tiles_of(case.nx, block[0]),
            check_rows("lines of a slice", tiles_of(case.ny, block[1] * run)),
            min(slices, MOST_BLOCKS),
        ),
        block,
        0,
        (
            np.int32(case.nx),
            np.int32(case.ny),
            np.int64(slices),
            Input(),
            scratch,
            np.int64(first * case.nz),
        ),
    )


def backproject(runs: list[Run], dtype: str) -> Iterator[Launch]:
    """First values times lengths, into scratch memory, then one voxel or more a thread."""
    scratch = None
    for case, count, volume, projection, rows in runs:
        if not count * case.volume_size:
            return
        build = _gather_from_rays if case.columns is None else _gather_from_columns
        number = 8 if STORAGE[dtype][0] == "double" else 4  # bytes
        arrays = len(case.axes) if case.columns is None else 1
        height = case.nv + (0 if case.columns is None else 2 * row_margin(case))
        image_bytes = max(1, case.views * height * case.nu * arrays) * number
        for first, images, groups in groups_of(case, count, most_groups(image_bytes)):
            scratch = scratch or Scratch(images * groups * image_bytes)
            place = _images(case, volume, projection, rows, first)
            yield from build(case, dtype, place, images, groups, scratch)


def _gather_from_rays(
    case: Case, dtype: str, place: np.void, images: int, groups: int, scratch: Scratch
) -> Iterator[Launch]:
    mask = np.int32(sum(1 << axis for axis in case.axes))
    tables = (case.geometry, place, case.views_table, case.arc_table)
    if mask:
        yield Launch(
            "weigh_rays.cu",
            "weigh_rays",
            case.defines(dtype, 1),
            ray_grid(case, images * groups),
            RAY_BLOCK,
            0,
            (*tables, Input(), scratch, mask),
        )
    yield Launch(
        "backproject_rays.cu",
        "backproject_rays",
        case.defines(dtype, images),
        voxel_grid(case, 1, groups),
        VOXEL_BLOCK,
        0,
        (*tables, np.float64(case.arc_step), *case.shadows, mask, scratch, Output()),
    )


def _gather_from_columns(
    case: Case, dtype: str, place: np.void, images: int, groups: int, scratch: Scratch
) -> Iterator[Launch]:
    assert case.columns is not None
    real = STORAGE[dtype][0]
    margin, depth = row_margin(case), depth_of(case, images, _SUMS[real])
    if case.projection_size:
        tables = (case.geometry, place, case.views_table, case.arc_table)
        yield Launch(
            "weigh_rays.cu",
            "weigh_columns",
            case.defines(dtype, 1),
            ray_grid(case, images * groups, margin),
            RAY_BLOCK,
            0,
            (*tables, Input(), scratch, np.int32(margin)),
        )
    if case.flat and not case.curved:
        sizes = (np.int32(getattr(case, name)) for name in ("nx", "ny", "nu", "views"))
        views = case.slice_views[real]
        yield Launch(
            "backproject_slices.cu",
            "backproject_slices",
            case.defines(dtype, images),
            voxel_grid(case, 1, groups),
            VOXEL_BLOCK,
            0,
            (*sizes, place, views, scratch, Output()),
        )
        return
    yield Launch(
        "backproject_columns.cu",
        "backproject_columns",
        (*case.defines(dtype, images), ("OPALG_DEPTH", str(depth))),
        voxel_grid(case, depth, groups),
        VOXEL_BLOCK,
        0,
        (
            *sizes_of(case),
            place,
            np.float64(case.arc_step),
            *case.columns,
            case.shadows[0],
            scratch,
            Output(),
        ),
    )


def project_textures(case: Case, batch: int, dtype: str) -> Iterator[Launch]:
    """One ray a thread, interpolated by the texture units."""
    if not batch * case.projection_size:
        return
    if not case.volume_size:  # a texture of nothing there is none
        yield from project([(case, batch, 0, 0, None)], dtype)
        return
    rounds = groups_of(case, batch, LAYERS // 8) if case.flat else ((k, 1, 1) for k in range(batch))
    for first, images, groups in rounds:
        layers, offset = images * groups, first * case.volume_size
        shape = (layers, case.ny, case.nx) if case.flat else (case.nz, case.ny, case.nx)
        yield Launch(
            "project_texture.cu",
            "project_texture",
            case.defines(dtype, images),
            ray_grid(case, groups),
            RAY_BLOCK,
            0,
            (
                case.geometry,
                case.images(first, first * case.projection_size),
                case.views_table,
                case.arc_table,
                Texture(Input(), shape, layered=case.flat, offset=offset),
                Output(),
            ),
        )
