"""Grids and blocks of launches, and how images are shared among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opalg.engines.launch_tables import Case
from opalg.errors import ArgumentError

RAY_BLOCK = (32, 8, 1)
VOXEL_BLOCK = (32, 8, 1)
MOST_BLOCKS = 65535  # of a grid along y or z
LAYERS = 2048  # of a texture, at most
_SCRATCH = 1 << 28  # bytes for copies of the images of a batch, unless one group takes more


def groups_of(case: Case, batch: int, most: int) -> Iterator[tuple[int, int, int]]:
    """First image, images of a thread, groups of images: at most `most` groups at a time."""
    first = 0
    for images in (8, 4, 2, 1) if case.flat else (4, 2, 1):
        while (groups := min((batch - first) // images, most)) > 0:
            yield first, images, groups
            first += images * groups


def most_groups(image_bytes: int) -> int:
    """Groups of images whose copies are in scratch memory at the same time: at least one."""
    return max(1, min(_SCRATCH // (8 * image_bytes), MOST_BLOCKS // 8))


def tiles_of(count: int, width: int) -> int:
    """How many tiles cover an axis."""
    return -(-count // width)


def check_rows(name: str, blocks: int) -> int:
    """Blocks along y of a grid, if there may be so many."""
    if blocks > MOST_BLOCKS:
        raise ArgumentError(f"{name} take {blocks} blocks of a grid that has {MOST_BLOCKS}")
    return blocks


def ray_grid(case: Case, images: int, margin: int = 0, depth: int = 1) -> tuple[int, int, int]:
    """One thread for every `depth` rays above each other, and for rows around the detector.

    See ``ray_place`` in ``cuda_src/ray_views.cuh``.
    """
    width, height, _ = RAY_BLOCK
    columns = tiles_of(case.nu, width)
    if case.flat:
        return tiles_of(case.views, height) * columns, 1, images
    rows = check_rows("detector rows", tiles_of(case.nv + 2 * margin, height * depth))
    return case.views * columns, rows, images


def voxel_grid(case: Case, depth: int, groups: int) -> tuple[int, int, int]:
    """One thread for every `depth` voxels above each other."""
    width, height, _ = VOXEL_BLOCK
    tiles = tiles_of(case.nx, width) * tiles_of(case.ny, height)
    return tiles, min(tiles_of(case.nz, depth), MOST_BLOCKS), groups


def depth_of(case: Case, images: int, sums: int) -> int:
    """How many voxels above each other a thread does: so many sums, unless there are fewer slices."""
    return max(1, min(sums // images, 1 << (case.nz - 1).bit_length()))


def row_margin(case: Case) -> int:
    """Rows of zeros that ``cuda_src/backproject_columns.cu`` expects around a view."""
    return 0 if case.flat else 4


def sizes_of(case: Case) -> Iterator[np.int32]:
    """Sizes of volume and projections."""
    return (np.int32(getattr(case, name)) for name in ("nx", "ny", "nz", "nu", "nv", "views"))
