"""What kernels run, on what grid, with which arguments: from a plan to a list of launches.

NumPy only: a list is the same whoever executes it, PyCUDA on a device or a test on the host. The
kernels are in ``cuda_src/*.cu``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opalg.engines.divergent import DivergentPlan, check_shadows
from opalg.engines.launch_parts import STORAGE, Input, Launch, Output, Scratch, Table, Texture
from opalg.engines.launch_tables import Case, case_of
from opalg.engines.parallel import ParallelPlan
from opalg.errors import ArgumentError, DtypeError

__all__ = [
    "Input",
    "Launch",
    "Output",
    "Scratch",
    "Table",
    "Texture",
    "launches",
]

_DIRECTIONS = ("project", "backproject", "backproject_voxels", "project_voxels")
_POWERS = {"none": 0, "magnification": 2}
_VOXEL_BLOCK = (32, 8, 1)
_MOST_BLOCKS = 65535  # of a grid along y or z
_SCRATCH = 1 << 28  # bytes for copies of the volumes of a batch, unless one group takes more


def launches(
    plan: ParallelPlan | DivergentPlan,
    direction: str,
    batch: int,
    dtype: str = "float32",
    *,
    weight: str = "none",
) -> list[Launch]:
    """What computes a direction of a plan.

    Parameters
    ----------
    plan
        The geometry.
    direction
        ``"project"``, ``"backproject"``: its exact transpose, ``"backproject_voxels"``, or
        ``"project_voxels"``: the transpose of that.
    batch
        Number of images.
    dtype
        ``"float32"``, ``"float64"``, or, of numbers in memory only, ``"float16"`` or ``"bfloat16"``.
    weight
        Of the directions with voxels: ``"none"`` or ``"magnification"``, see `opalg.engines.cpu`.

    Raises
    ------
    ArgumentError
        If the direction or the weight is unknown, the plan has more rows than a grid has blocks, or
        voxels cannot find their shadow on its detector.
    DtypeError
        If the dtype is unknown.

    Examples
    --------
    >>> plan = DivergentPlan((2, 3), (3,), [[1.0, -4.0]], [[0.0, 4.0]], [[1.0, 0.0]])
    >>> [launch.kernel for launch in launches(plan, "project", batch=1)]
    ['project_rays']
    """
    if dtype not in STORAGE:
        raise DtypeError(f"kernels take {', '.join(STORAGE)}, not {dtype}")
    if direction not in _DIRECTIONS:
        raise ArgumentError(f"direction must be one of {', '.join(_DIRECTIONS)}, not {direction!r}")
    if weight not in _POWERS:
        raise ArgumentError(f'weight must be "none" or "magnification", not {weight!r}')
    case = case_of(plan)
    if direction.endswith("_voxels"):
        check_shadows(plan if isinstance(plan, DivergentPlan) else plan.as_rays())
        build = _project_voxels if direction == "project_voxels" else _backproject_voxels
        return list(build(case, batch, dtype, _POWERS[weight]))
    return list((_project if direction == "project" else _backproject)(case, batch, dtype))


def _groups(batch: int, most: int) -> Iterator[tuple[int, int, int]]:
    """First image, images of a thread, groups of images: at most `most` groups at a time."""
    first = 0
    for images in (4, 2, 1):
        while (groups := min((batch - first) // images, most)) > 0:
            yield first, images, groups
            first += images * groups


def _most_groups(image_bytes: int) -> int:
    """Groups of images whose copies are in scratch memory at the same time: at least one."""
    return max(1, min(_SCRATCH // (4 * image_bytes), _MOST_BLOCKS // 4))


def _tiles(count: int, width: int) -> int:
    return -(-count // width)


def _check_rows(name: str, blocks: int) -> int:
    if blocks > _MOST_BLOCKS:
        raise ArgumentError(f"{name} take {blocks} blocks of a grid that has {_MOST_BLOCKS}")
    return blocks


def _ray_block(case: Case) -> tuple[int, int, int]:
    return (128, 1, 1) if case.flat else (32, 8, 1)


def _ray_grid(
    case: Case, block: tuple[int, int, int], images: int, margin: int = 0
) -> tuple[int, int, int]:
    """One thread for every ray of every view, and for rows around the detector."""
    rows = _check_rows("detector rows", _tiles(case.nv + 2 * margin, block[1]))
    return case.views * _tiles(case.nu, block[0]), rows, images


def _voxel_grid(case: Case, depth: int, groups: int) -> tuple[int, int, int]:
    """One thread for every `depth` voxels above each other."""
    width, height, _ = _VOXEL_BLOCK
    tiles = _tiles(case.nx, width) * _tiles(case.ny, height)
    return tiles, min(_tiles(case.nz, depth), _MOST_BLOCKS), groups


def _depth(case: Case, images: int) -> int:
    """How many voxels above each other a thread does: 16 sums, unless there are fewer slices."""
    return int(min(16 // images, 1 << (case.nz - 1).bit_length()))


def _row_margin(case: Case) -> int:
    """Rows of zeros that ``cuda_src/backproject_columns.cu`` expects around a view."""
    return 0 if case.flat else 4


def _sizes(case: Case) -> Iterator[np.int32]:
    return (np.int32(getattr(case, name)) for name in ("nx", "ny", "nz", "nu", "nv", "views"))


def _project(case: Case, batch: int, dtype: str) -> Iterator[Launch]:
    if not batch * case.projection_size:
        return
    image_bytes = max(1, case.volume_size) * STORAGE[dtype][2]
    turn = 0 in case.axes and case.volume_size > 0
    most = _most_groups(image_bytes) if turn else _MOST_BLOCKS
    scratch = None
    block = _ray_block(case)
    for first, images, groups in _groups(batch, most):
        if turn:
            # The first round is the largest.
            scratch = scratch or Scratch(images * groups * image_bytes)
            yield _turn(case, dtype, first, images * groups, scratch)
        yield Launch(
            "project_rays.cu",
            "project_rays",
            case.defines(dtype, images),
            _ray_grid(case, block, groups),
            block,
            0,
            (
                case.geometry,
                case.views_table,
                case.arc_table,
                Input(),
                scratch or Input(),
                Output(),
                np.int32(first),
            ),
        )


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
            _tiles(case.nx, block[0]),
            _check_rows("lines of a slice", _tiles(case.ny, block[1] * run)),
            min(slices, _MOST_BLOCKS),
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


def _backproject(case: Case, batch: int, dtype: str) -> Iterator[Launch]:
    if not batch * case.volume_size:
        return
    build = _gather_from_rays if case.columns is None else _gather_from_columns
    number = 8 if STORAGE[dtype][0] == "double" else 4  # bytes
    arrays = len(case.axes) if case.columns is None else 1
    rows = case.nv + (0 if case.columns is None else 2 * _row_margin(case))
    image_bytes = max(1, case.views * rows * case.nu * arrays) * number
    scratch = None
    for first, images, groups in _groups(batch, _most_groups(image_bytes)):
        scratch = scratch or Scratch(images * groups * image_bytes)
        yield from build(case, dtype, first, images, groups, scratch)


def _gather_from_rays(
    case: Case, dtype: str, first: int, images: int, groups: int, scratch: Scratch
) -> Iterator[Launch]:
    mask = np.int32(sum(1 << axis for axis in case.axes))
    defines, block = case.defines(dtype, images), _ray_block(case)
    tables = (case.geometry, case.views_table, case.arc_table)
    if mask:
        yield Launch(
            "weigh_rays.cu",
            "weigh_rays",
            case.defines(dtype, 1),
            _ray_grid(case, block, images * groups),
            block,
            0,
            (*tables, Input(), scratch, mask, np.int32(first)),
        )
    yield Launch(
        "backproject_rays.cu",
        "backproject_rays",
        defines,
        _voxel_grid(case, 1, groups),
        _VOXEL_BLOCK,
        0,
        (
            *tables,
            np.float64(case.arc_step),
            *case.shadows,
            mask,
            scratch,
            Output(),
            np.int32(first),
        ),
    )


def _gather_from_columns(
    case: Case, dtype: str, first: int, images: int, groups: int, scratch: Scratch
) -> Iterator[Launch]:
    assert case.columns is not None
    block, margin = _ray_block(case), _row_margin(case)
    if case.projection_size:
        yield Launch(
            "weigh_rays.cu",
            "weigh_columns",
            case.defines(dtype, 1),
            _ray_grid(case, block, images * groups, margin),
            block,
            0,
            (
                case.geometry,
                case.views_table,
                case.arc_table,
                Input(),
                scratch,
                np.int32(margin),
                np.int32(first),
            ),
        )
    depth = _depth(case, images)
    yield Launch(
        "backproject_columns.cu",
        "backproject_columns",
        (*case.defines(dtype, images), ("OPALG_DEPTH", str(depth))),
        _voxel_grid(case, depth, groups),
        _VOXEL_BLOCK,
        0,
        (
            *_sizes(case),
            np.float64(case.arc_step),
            *case.columns,
            case.shadows[0],
            scratch,
            Output(),
            np.int32(first),
        ),
    )


def _backproject_voxels(case: Case, batch: int, dtype: str, power: int) -> Iterator[Launch]:
    if not batch * case.volume_size:
        return
    for first, images, groups in _groups(batch, _MOST_BLOCKS):
        depth = _depth(case, images)
        yield Launch(
            "backproject_voxels.cu",
            "backproject_voxels",
            (
                *case.defines(dtype, images),
                ("OPALG_DEPTH", str(depth)),
                ("OPALG_UPRIGHT", str(int(case.upright))),
                ("OPALG_POWER", str(power)),
            ),
            _voxel_grid(case, depth, groups),
            _VOXEL_BLOCK,
            0,
            (*_sizes(case), case.voxel_views, case.arc, Input(), Output(), np.int32(first)),
        )


def _project_voxels(case: Case, batch: int, dtype: str, power: int) -> Iterator[Launch]:
    if not batch * case.projection_size:
        return
    block = _ray_block(case)
    for first, images, groups in _groups(batch, _MOST_BLOCKS):
        yield Launch(
            "project_voxels.cu",
            "project_voxels",
            (*case.defines(dtype, images), ("OPALG_POWER", str(power))),
            _ray_grid(case, block, groups),
            block,
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
