"""What kernels run, on what grid, with which arguments: from a plan to a list of launches.

NumPy only: a list is the same whoever executes it, PyCUDA on a device or a test on the host. The
kernels are in ``cuda_src/*.cu``.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opalg.engines.divergent import DivergentPlan
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

#: Storage by name: C++ types of numbers in registers and in memory, and bytes in memory.
STORAGE = {
    "float32": ("float", "float", 4),
    "float64": ("double", "double", 8),
    "float16": ("float", "opalg::Half", 2),
    "bfloat16": ("float", "opalg::Bfloat16", 2),
}

_MODELS = {"joseph": 0, "siddon": 1}
_MOST_BLOCKS = 65535  # of a grid along y or z
_SCRATCH = 1 << 28  # bytes for copies of the volumes of a batch, unless one group takes more


@dataclass(frozen=True)
class Input:
    """The array that is read: ``[batch, *shape]`` of the direction's domain, contiguous."""


@dataclass(frozen=True)
class Output:
    """The array that is written, all of it: ``[batch, *shape]`` of the direction's range."""


@dataclass(frozen=True, eq=False)
class Table:
    """Constant data of a plan. The same plan gives the same object: upload it once."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class Scratch:
    """Memory that launches of one list share; the same object is the same memory.

    It need not be set to zero, and is not needed after the list.
    """

    bytes: int


@dataclass(frozen=True, eq=False)
class Texture:
    """A copy of `of` for the texture units: linear interpolation, zero outside, not normalised.

    ``shape`` is that of the array, ``[depth, height, width]`` or, layered, ``[layers, height,
    width]``; it begins ``offset`` elements behind the beginning of `of`.
    """

    of: Input | Scratch
    shape: tuple[int, int, int]
    layered: bool
    offset: int = 0


@dataclass(frozen=True)
class Launch:
    """One kernel: where it is, how it is compiled, on what grid it runs, and its arguments.

    Parameters
    ----------
    source
        File in ``cuda_src/``.
    kernel
        Its ``extern "C"`` name.
    defines
        Macros, in an order that is always the same.
    grid, block
        As in CUDA.
    shared
        Bytes of dynamic shared memory.
    arguments
        NumPy scalars and structures (``np.void``, padded as C++ does), and places in memory.
    """

    source: str
    kernel: str
    defines: tuple[tuple[str, str], ...]
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    arguments: tuple[object, ...]


#: `RayGeometry` of ``cuda_src/ray_views.cuh``.
RAY_GEOMETRY = np.dtype(
    [(name, np.int32) for name in ("nx", "ny", "nz", "nu", "nv", "views")]
    + [("spacing", np.float64, 3)],
    align=True,
)


def launches(
    plan: ParallelPlan | DivergentPlan, direction: str, batch: int, dtype: str = "float32"
) -> list[Launch]:
    """What computes a direction of a plan.

    Parameters
    ----------
    plan
        The geometry.
    direction
        ``"project"``, or ``"backproject"``: its exact transpose.
    batch
        Number of images.
    dtype
        ``"float32"``, ``"float64"``, or, of numbers in memory only, ``"float16"`` or ``"bfloat16"``.

    Raises
    ------
    ArgumentError
        If the direction is unknown, or the plan has more rows than a grid has blocks.
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
    return list(_DIRECTIONS[direction](_case(plan), batch, dtype))


class _Case:
    """A plan as the kernels take it: a slice as the plane z = 0 of a volume."""

    def __init__(self, plan: DivergentPlan) -> None:
        self.flat = len(plan.volume_shape) == 2
        one = (1,) if self.flat else ()
        self.nz, self.ny, self.nx = (*one, *plan.volume_shape)
        self.nv, self.nu = (*one, *plan.detector_shape)
        self.views = len(plan.sources)
        self.parallel = plan.parallel
        self.curved = plan.arc_centres is not None
        self.model = plan.model
        spacing = (*(plan.spacing or ()), *map(float, one))
        sizes = (self.nx, self.ny, self.nz, self.nu, self.nv, self.views)
        self.geometry = np.array((*sizes, spacing), RAY_GEOMETRY)[()]
        self.vectors = self._vectors(plan)
        self.views_table = Table(self.vectors)
        angles = np.arange(self.nu) * plan.arc_step
        arc = [np.cos(angles), np.sin(angles) / plan.arc_step] if self.curved else [[0.0]]
        self.arc_step = plan.arc_step
        self.arc_table = Table(np.ascontiguousarray(arc, np.float64))

    def _vectors(self, plan: DivergentPlan) -> np.ndarray:
        """``[views, 5, 3]``: source, corner, u step, v step, centre of the arc."""
        vectors = np.zeros((self.views, 5, 3))
        ndim = len(plan.volume_shape)
        arrays = (plan.sources, plan.detectors, plan.u_steps, plan.v_steps, plan.arc_centres)
        for k, array in enumerate(arrays):
            if array is not None:
                vectors[:, k, :ndim] = array
        if self.flat:
            vectors[:, 3, 2] = 1
        return vectors

    @property
    def volume_size(self) -> int:
        return self.nx * self.ny * self.nz

    @property
    def projection_size(self) -> int:
        return self.nu * self.nv * self.views

    @cached_property
    def axes(self) -> frozenset[int]:
        """Axes along which some rays may mainly run; one too many does no harm."""
        if not min(self.nu, self.nv, self.views):
            return frozenset()
        source, corner, u_step, v_step, centre = self.vectors.swapaxes(0, 1)
        if self.parallel:
            least = most = np.abs(source)
        else:
            if self.curved:
                cosine, sine = self.arc_table.array[:, :, None, None]
                row = centre + cosine * (corner - centre) + sine * u_step
            else:
                row = np.stack([corner, corner + (self.nu - 1) * u_step])
            ends = np.concatenate([row, row + (self.nv - 1) * v_step]) - source
            low, high = ends.min(axis=0), ends.max(axis=0)
            least = np.maximum(0, np.maximum(low, -high))
            most = np.maximum(np.abs(low), np.abs(high))
        along = (most > 0) & (most * (1 + 1e-12) >= least.max(axis=1, keepdims=True))
        return frozenset(np.flatnonzero(along.any(axis=0)).tolist())

    @cached_property
    def shadows(self) -> tuple[Table, Table]:
        """Where the shadow of a voxel falls, and whether all columns must be looked at.

        ``[views, 2, 5]`` and ``[views]``; see ``shadow_column`` in ``cuda_src/backproject_rays.cu``.
        """
        source, corner, u_step, v_step, centre = self.vectors.swapaxes(0, 1)
        if self.curved:
            basis = [corner - centre, u_step / self.arc_step, v_step]
        elif self.parallel:
            basis = [u_step, v_step, -source]
        else:
            basis = [u_step, v_step, corner - source]
        matrix = np.stack(basis, axis=2)
        # A detector that has no area, or that is seen edge-on, has no inverse.
        size = np.prod(np.linalg.norm(matrix, axis=1), axis=1)
        regular = np.abs(np.linalg.det(matrix)) > 1e-10 * size
        matrix[~regular] = np.eye(3)
        inverse = np.linalg.inv(matrix)[:, [0, 1] if self.curved else [0, 2]]
        zero = corner if self.parallel else source
        table = np.zeros((self.views, 2, 5))
        table[..., :3] = inverse
        table[..., 3] = -np.einsum("vkx,vx->vk", inverse, zero)
        table[..., 4] = np.einsum("vkx,vx->vk", inverse, zero - centre)
        # Two voxels around the volume: wherever a voxel that is gathered for can be touched.
        sizes = (self.nx, self.ny, self.nz)
        box = np.stack(np.meshgrid(*((-2.0, n + 1.0) for n in sizes)), axis=-1).reshape(8, 3)
        seen = np.einsum("vkx,px->vpk", inverse, box) + table[:, None, :, 3]
        if self.curved:
            ahead = np.einsum("vpk,vk->vp", seen, seen.sum(axis=1)) > 0
            near = np.hypot(*table[..., 4].T) < 0.5
            bounded = ahead.all(axis=1) & near & (abs(self.arc_step) * self.nu < 3) & (not self.parallel)
        else:
            bounded = (seen[..., 1] > 0).all(axis=1) | self.parallel
        return Table(table), Table((~(bounded & regular)).astype(np.int32))

    def defines(self, dtype: str, images: int) -> tuple[tuple[str, str], ...]:
        """Macros of ``cuda_src/device.cuh``."""
        real, store, _ = STORAGE[dtype]
        return (
            ("OPALG_REAL", real),
            ("OPALG_STORE", store),
            ("OPALG_MODEL", str(_MODELS[self.model])),
            ("OPALG_FLAT", str(int(self.flat))),
            ("OPALG_PARALLEL", str(int(self.parallel))),
            ("OPALG_CURVED", str(int(self.curved))),
            ("OPALG_BATCH", str(images)),
            ("OPALG_WIDE", str(int(self.volume_size >= 2**31))),
        )


_cases: weakref.WeakKeyDictionary[object, _Case] = weakref.WeakKeyDictionary()


def _case(plan: ParallelPlan | DivergentPlan) -> _Case:
    """What is computed once per plan."""
    case = _cases.get(plan)
    if case is None:
        if isinstance(plan, ParallelPlan) and plan.spacing() is None:
            raise ArgumentError("the lengths of the views of a plan belong to no common spacing")
        case = _Case(plan if isinstance(plan, DivergentPlan) else plan.as_rays())
        _cases[plan] = case
    return case


def _groups(batch: int, most: int) -> Iterator[tuple[int, int, int]]:
    """First image, images of a thread, groups of images: at most `most` groups at a time."""
    first = 0
    for images in (4, 2, 1):
        while (groups := min((batch - first) // images, most)) > 0:
            yield first, images, groups
            first += images * groups


def _tiles(count: int, width: int) -> int:
    return -(-count // width)


def _check_rows(name: str, blocks: int) -> int:
    if blocks > _MOST_BLOCKS:
        raise ArgumentError(f"{name} take {blocks} blocks of a grid that has {_MOST_BLOCKS}")
    return blocks


def _project(case: _Case, batch: int, dtype: str) -> Iterator[Launch]:
    if not batch * case.projection_size:
        return
    image_bytes = max(1, case.volume_size) * STORAGE[dtype][2]
    turn = 0 in case.axes and case.volume_size > 0
    most = max(1, _SCRATCH // (4 * image_bytes)) if turn else _MOST_BLOCKS
    scratch = None
    block = (128, 1, 1) if case.flat else (32, 8, 1)
    for first, images, groups in _groups(batch, min(most, _MOST_BLOCKS)):
        if turn:
            # The first round is the largest.
            scratch = scratch or Scratch(images * groups * image_bytes)
            yield _turn(case, dtype, first, images * groups, scratch)
        yield Launch(
            "project_rays.cu",
            "project_rays",
            case.defines(dtype, images),
            (
                case.views * _tiles(case.nu, block[0]),
                _check_rows("detector rows", _tiles(case.nv, block[1])),
                groups,
            ),
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


def _turn(case: _Case, dtype: str, first: int, images: int, scratch: Scratch) -> Launch:
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


def _backproject(case: _Case, batch: int, dtype: str) -> Iterator[Launch]:
    if not batch * case.volume_size:
        return
    axes = sorted(case.axes)
    real, _, _ = STORAGE[dtype]
    image_bytes = max(1, case.projection_size * len(axes)) * (8 if real == "double" else 4)
    most = max(1, min(_SCRATCH // (4 * image_bytes), _MOST_BLOCKS // 4))
    mask = np.int32(sum(1 << axis for axis in axes))
    scratch = None
    block = (32, 8, 1)
    for first, images, groups in _groups(batch, most):
        scratch = scratch or Scratch(images * groups * image_bytes)
        if case.projection_size and axes:
            yield _weigh(case, dtype, first, images * groups, scratch, mask)
        yield Launch(
            "backproject_rays.cu",
            "backproject_rays",
            case.defines(dtype, images),
            (
                _tiles(case.nx, block[0]) * _tiles(case.ny, block[1]),
                min(case.nz, _MOST_BLOCKS),
                groups,
            ),
            block,
            0,
            (
                case.geometry,
                case.views_table,
                case.arc_table,
                np.float64(case.arc_step),
                *case.shadows,
                mask,
                scratch,
                Output(),
                np.int32(first),
            ),
        )


def _weigh(
    case: _Case, dtype: str, first: int, images: int, scratch: Scratch, axes: np.int32
) -> Launch:
    """Values times lengths, in one array for every axis."""
    block = (128, 1, 1) if case.flat else (32, 8, 1)
    return Launch(
        "weigh_rays.cu",
        "weigh_rays",
        case.defines(dtype, 1),
        (
            case.views * _tiles(case.nu, block[0]),
            _check_rows("detector rows", _tiles(case.nv, block[1])),
            images,
        ),
        block,
        0,
        (
            case.geometry,
            case.views_table,
            case.arc_table,
            Input(),
            scratch,
            axes,
            np.int32(first),
        ),
    )


_DIRECTIONS = {"project": _project, "backproject": _backproject}
