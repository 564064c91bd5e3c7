"""A plan as the kernels take it: sizes and tables, made once per plan."""

from __future__ import annotations

import weakref
from functools import cached_property

import numpy as np

from opalg.engines.divergent import DivergentPlan
from opalg.engines.launch_parts import STORAGE, Table
from opalg.engines.parallel import ParallelPlan
from opalg.errors import ArgumentError

__all__ = ["RAY_GEOMETRY", "Case", "case_of", "inverse_of"]

_MODELS = {"joseph": 0, "siddon": 1, "footprint": 0}  # the last has kernels of its own

#: `RayGeometry` of ``cuda_src/ray_views.cuh``.
RAY_GEOMETRY = np.dtype(
    [(name, np.int32) for name in ("nx", "ny", "nz", "nu", "nv", "views")]
    + [("spacing", np.float64, 3)],
    align=True,
)


#: `Images` of ``cuda_src/ray_views.cuh``.
IMAGES = np.dtype(
    [
        (name, np.int64)
        for name in ("volume", "volume_stride", "projection", "projection_stride", "view_stride")
    ]
)


class Case:
    """A plan as the kernels take it: a slice as the plane z = 0 of a volume."""

    #: The case of one slice, if every detector row of a stack lies in a slice, in their order.
    slices: Case | None = None

    def __init__(self, plan: DivergentPlan) -> None:
        self.flat = len(plan.volume_shape) == 2
        self.nz, self.ny, self.nx = (1, *plan.volume_shape)[-3:]
        self.nv, self.nu = (1, *plan.detector_shape)[-2:]
        self.views = len(plan.sources)
        self.parallel = plan.parallel
        self.curved = plan.arc_centres is not None
        self.model = plan.model
        spacing = (*(plan.spacing or ()), *([1.0] if self.flat else []))
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
        inverse, regular = inverse_of(matrix)
        inverse = inverse[:, [0, 1] if self.curved else [0, 2]]
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
            bounded = (
                ahead.all(axis=1) & near & (abs(self.arc_step) * self.nu < 3) & (not self.parallel)
            )
        else:
            bounded = (seen[..., 1] > 0).all(axis=1) | self.parallel
        return Table(table), Table((~(bounded & regular)).astype(np.int32))

    @cached_property
    def columns(self) -> tuple[Table, Table] | None:
        """Where the rays of every column of the detector are, if they share planes that contain z.

        ``[6, views, nu]`` and ``[views, nu]``; see ``cuda_src/backproject_columns.cu``. None unless
        they do, by Joseph's method, and run through the volume from end to end.
        """
        if self.model != "joseph" or not self.upright or self.shadows[1].array.any():
            return None
        if (self.nv + 8) * self.nu >= 2**32:  # more than offsets within a view can count
            return None
        source, corner, u_step, v_step, centre = self.vectors.swapaxes(0, 1)[:, :, None]
        u = np.arange(self.nu)[:, None]
        if self.curved:
            cosine, sine = self.arc_table.array[:, :, None]
            pixel = centre + cosine * (corner - centre) + sine * u_step
        else:
            pixel = corner + u * u_step
        rise = v_step[..., 2]  # rows are counted in the order of z
        pixel[..., 2] += np.where(rise < 0, (self.nv - 1) * rise, 0)
        way = np.broadcast_to(source, pixel.shape) if self.parallel else pixel - source
        along_x = np.abs(way[..., 0]) > np.abs(way[..., 1])

        def pick(vectors: np.ndarray) -> np.ndarray:
            return np.where(along_x, vectors[..., 0], vectors[..., 1])

        along, most = pick(way), np.abs(way[..., :2]).max(axis=-1)
        start = pixel if self.parallel else source
        place, other = pick(start), pick(start[..., 1::-1])
        slope = pick(way[..., 1::-1]) / along
        top = 0 if self.parallel else (self.nv - 1) * np.abs(rise)
        climb = way[..., 2] / along
        step_slope = 0 * climb if self.parallel else np.abs(rise) / along
        step = np.abs(rise) + 0 * climb if self.parallel else -place * step_slope
        table = np.stack(
            [other - place * slope, slope, start[..., 2] - place * climb, climb, step, step_slope]
        )
        # Rays must not run mainly along z, their ends must not lie in the volume, and rows must be apart.
        far = np.where(along_x, self.nx, self.ny) - 1.0
        heights = np.maximum(np.abs(way[..., 2]), np.abs(way[..., 2] + top))
        fine = (most > 0) & (heights <= most)
        if not self.parallel:
            ends = pick(pixel)
            fine &= (np.minimum(place, ends) <= 0) & (np.maximum(place, ends) >= far)
        fine &= np.minimum(step, step + far * step_slope) > 1 / 16
        return (Table(table), Table(along_x.astype(np.int32))) if fine.all() else None

    @cached_property
    def slice_views(self) -> dict[str, Table]:
        """By the type of numbers ``[views]``: `SliceView` of ``cuda_src/backproject_slices.cu``."""
        return {real: self._slice_views(size) for real, size in (("float", "f4"), ("double", "f8"))}

    def _slice_views(self, real: str) -> Table:
        table = np.zeros(self.views, [("pq", np.float64, (2, 3)), ("vectors", real, 4)])
        rows = self.voxel_views.array.reshape(self.views, 4, 4)
        table["pq"] = rows[:, ::2][..., [0, 1, 3]]
        table["vectors"] = self.vectors[:, [0, 2], :2].reshape(self.views, 4)
        return Table(table)

    @cached_property
    def voxel_views(self) -> Table:
        """``[views, 16]``: `VoxelView` of ``cuda_src/voxel_shadow.cuh``."""
        source, corner, u_step, v_step, centre = self.vectors.swapaxes(0, 1)
        table = np.zeros((self.views, 4, 4))
        rows, lift = table[:, :3], table[:, 3, 0]
        if self.curved:
            across, along = corner - centre, u_step / self.arc_step
            flat_inverse = np.linalg.inv(np.stack([across[:, :2], along[:, :2]], axis=2))
            rows[:, ::2, :2] = flat_inverse
            rise = flat_inverse * np.stack([across[:, 2], along[:, 2]], axis=1)[:, :, None]
            rows[:, 1, :2] = -rise.sum(axis=1)
            rows[:, 1, 2] = 1
            rows[:, 1] /= v_step[:, 2:]
            lift[:] = (source[:, 2] - centre[:, 2]) / v_step[:, 2]
            zero = source
        else:
            third, zero = (-source, corner) if self.parallel else (corner - source, source)
            rows[..., :3] = inverse_of(np.stack([u_step, v_step, third], axis=2))[0]
        rows[..., 3] = -np.einsum("vkx,vx->vk", rows[..., :3], zero)
        if self.upright:
            rows[:, ::2, 2] = 0  # and not what rounding left
        return Table(table.reshape(self.views, 16))

    @cached_property
    def upright(self) -> bool:
        """Whether in all views detector rows are parallel to z, so that columns of voxels see columns."""
        x, y, z = np.abs(self.vectors[:, 3]).T
        return bool(((x + y <= 1e-15 * z) & (z > 0)).all())

    @cached_property
    def arc(self) -> np.void:
        """`Arc` of ``cuda_src/voxel_shadow.cuh``."""
        middle = self.arc_step * self.nu / 2
        arc = np.array([(self.arc_step, middle)], [("step", np.float64), ("middle", np.float64)])
        return arc[0]

    def images(self, volume: int, projection: int, rows: int | None = None) -> np.void:
        """`Images` of ``cuda_src/ray_views.cuh``: the first volume, and where its projection begins.

        With `rows`: of slices of a stack, whose projections have so many rows, one for each.
        """
        strides = (self.projection_size, self.nu * self.nv)
        if rows is not None:
            strides = (self.nu, self.nu * rows)
        place = (volume * self.volume_size, self.volume_size, projection, *strides)
        return np.array([place], IMAGES)[0]

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


def inverse_of(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses, and which there are: a detector without area, or seen edge-on, gives zeros."""
    size = np.prod(np.linalg.norm(matrices, axis=1), axis=1)
    regular = np.abs(np.linalg.det(matrices)) > 1e-10 * size
    inverse = np.linalg.inv(np.where(regular[:, None, None], matrices, np.eye(3)))
    inverse[~regular] = 0
    return inverse, regular


_cases: weakref.WeakKeyDictionary[object, Case] = weakref.WeakKeyDictionary()


def case_of(plan: ParallelPlan | DivergentPlan) -> Case:
    """What is computed once per plan."""
    case = _cases.get(plan)
    if case is None:
        if isinstance(plan, ParallelPlan) and plan.spacing() is None:
            raise ArgumentError("the lengths of the views of a plan belong to no common spacing")
        case = Case(plan if isinstance(plan, DivergentPlan) else plan.as_rays())
        if isinstance(plan, ParallelPlan) and plan.rows is not None and case.nz == case.nv:
            first, step = plan.rows
            if abs(first) + abs(step - 1) * case.nz < 1e-12:
                shapes = plan.volume_shape[1:], plan.detector_shape[1:]
                case.slices = Case(ParallelPlan(*shapes, plan.rays, plan.lengths).as_rays())
        _cases[plan] = case
    return case
