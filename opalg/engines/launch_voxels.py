"""Launches of the voxel-driven back projection and of its transpose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opalg.engines.launch_grids import (
    MOST_BLOCKS,
    RAY_BLOCK,
    VOXEL_BLOCK,
    depth_of,
    groups_of,
    ray_grid,
    sizes_of,
    voxel_grid,
)
from opalg.engines.launch_parts import STORAGE, Input, Launch, Output, Texture
from opalg.engines.launch_tables import Case

_SUMS = {"float": 16, "double": 8}  # of voxels above each other, that registers hold


def backproject_voxels(
    case: Case, batch: int, dtype: str, power: int, texture: bool
) -> Iterator[Launch]:
    """Some voxels above each other a thread."""
    if not batch * case.volume_size:
        return
    rounds = ((k, 1, 1) for k in range(batch)) if texture else groups_of(case, batch, MOST_BLOCKS)
    for first, images, groups in rounds:
        depth = depth_of(case, images, _SUMS[STORAGE[dtype][0]])
        source: Input | Texture = Input()
        if texture and case.projection_size:
            shape = (case.views, case.nv, case.nu)
            source = Texture(Input(), shape, layered=True, offset=first * case.projection_size)
        yield Launch(
            "backproject_voxels.cu",
            "backproject_voxels",
            (
                *case.defines(dtype, images),
                ("OPALG_DEPTH", str(depth)),
                ("OPALG_UPRIGHT", str(int(case.upright))),
                ("OPALG_POWER", str(power)),
                ("OPALG_TEXTURE", str(int(source != Input()))),
            ),
            voxel_grid(case, depth, groups),
            VOXEL_BLOCK,
            0,
            (*sizes_of(case), case.voxel_views, case.arc, source, Output(), np.int32(first)),
        )


def project_voxels(case: Case, batch: int, dtype: str, power: int) -> Iterator[Launch]:
    """One pixel a thread."""
    if not batch * case.projection_size:
        return
    for first, images, groups in groups_of(case, batch, MOST_BLOCKS):
        yield Launch(
            "project_voxels.cu",
            "project_voxels",
            (*case.defines(dtype, images), ("OPALG_POWER", str(power))),
            ray_grid(case, groups),
            RAY_BLOCK,
            0,
            (
                case.geometry,
                case.views_table,
                case.voxel_views,
                case.arc,
                Input(),
                Output(),
                np.int32(first),
            ),
        )
