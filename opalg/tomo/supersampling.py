"""The X-ray transform of finer voxels or pixels, as an operator between the coarser ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.operators import LinearOperator, Operator, Resampling, Separable
from opalg.operators.costs import Cost
from opalg.operators.norms import Bounds
from opalg.spaces import Grid
from opalg.tomo.geometry import Geometry
from opalg.tomo.view_subsets import ViewSubsets
from opalg.tomo.xray import XrayTransform

__all__ = ["supersampled"]


def supersampled(
    grid: Grid, geometry: Geometry, voxels: int = 1, detector: int = 1, **options: Any
) -> LinearOperator:
    """The X-ray transform with voxels and detector pixels divided into smaller ones.

    Every voxel is divided into ``voxels`` parts along each axis, which all have its value; every detector
    pixel into ``detector`` parts along each of its axes, the mean of which is measured. So the result is the
    product *mean* @ `XrayTransform` of finer grid and geometry @ *repetition*, and its transpose is exact.

    Parameters
    ----------
    grid : Grid
    geometry : Geometry
    voxels, detector : int, default 1
        Number of parts along each axis.
    options
        Of `XrayTransform`: ``model``, masks of the coarse voxels and pixels, ``memory_limit`` of the finer
        transform and their like.

    Returns
    -------
    LinearOperator
        From ``grid`` to ``geometry.space(grid.dtype)``. As of an `XrayTransform`, ``A[views]`` is that of
        some views and ``A.subsets(count)`` are all in interleaved parts, which solvers with ordered subsets
        ask for; ``A.expression`` is the product.

    Raises
    ------
    ArgumentError
        If a number of parts is no positive integer; and as `XrayTransform`.

    Notes
    -----
    Time and memory grow with the number of finer voxels and pixels. The model ``"footprint"`` measures the
    whole area of a pixel by itself, and is quicker than the mean over finer pixels.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> A = tomo.supersampled(oa.Grid((8, 8)), tomo.ParallelBeam(4, detector=6), detector=3)
    >>> A.domain.shape, A.range.shape
    ((8, 8), (4, 6))
    >>> A[::2].range.shape
    (2, 6)
    """
    for name, value in (("voxels", voxels), ("detector", detector)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(f"{name} must be a positive integer, got {value!r}")
    if voxels == detector == 1:
        return XrayTransform(grid, geometry, **options)
    return SupersampledTransform(grid, geometry, int(voxels), int(detector), **options)


class SupersampledTransform(ViewSubsets, LinearOperator):
    """What `supersampled` gives: the product as an operator that knows its views."""

    symbol = "A"

    domain: Grid

    def __init__(
        self, grid: Grid, geometry: Geometry, voxels: int, detector: int, **options: Any
    ) -> None:
        coarse = XrayTransform(grid, geometry, **options)  # which checks all the rest
        super().__init__(coarse.domain, coarse.range)
        self.geometry = geometry
        self.voxels = voxels
        self.detector = detector
        self._coarse = coarse
        self.expression = _product(coarse, voxels, detector, options)
        self.nonnegative = self.expression.nonnegative
        self.exact_adjoint = self.expression.exact_adjoint

    def _of_views(self, keys: tuple[Any, ...]) -> SupersampledTransform:
        part = self._coarse[keys]
        return SupersampledTransform(
            self.domain, part.geometry, self.voxels, self.detector, **part._options()
        )

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self.expression._apply(x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.expression.H._apply(y, out)

    def _trace(self, x: Array) -> Array:
        return self.expression._trace(x)

    def _norm_bounds(self) -> Bounds:
        return self.expression.norm_bounds()

    def cost(self) -> Cost:
        return self.expression.cost()

    def _children(self) -> tuple[Operator, ...]:
        return (self.expression,)


def _product(
    coarse: XrayTransform, voxels: int, detector: int, options: dict[str, Any]
) -> LinearOperator:
    grid, geometry = coarse.domain, coarse.geometry
    fine_grid = Grid(
        tuple(n * voxels for n in grid.shape),
        tuple(h / voxels for h in grid.spacing),
        grid.dtype,
        grid.origin,
    )
    finer = dict(options)
    if coarse.volume_mask is not None:
        finer["volume_mask"] = _repeated(coarse.volume_mask, voxels, grid.ndim)
    if coarse.detector_mask is not None:
        axes = len(geometry.detector_shape)
        finer["detector_mask"] = _repeated(coarse.detector_mask, detector, axes)
    fine = XrayTransform(fine_grid, divided(geometry, detector), **finer)
    found: LinearOperator = fine
    if voxels > 1:
        found = found @ Resampling(grid, fine_grid, "nearest")
    if detector > 1:
        import scipy.sparse

        mean = np.full((1, detector), 1 / detector)
        means = [scipy.sparse.kron(scipy.sparse.eye(n), mean) for n in geometry.detector_shape]
        found = Separable(fine.range, coarse.range, [None, *means]) @ found
    return found


def _repeated(mask: np.ndarray[Any, Any], parts: int, axes: int) -> np.ndarray[Any, Any]:
    """Every entry ``parts`` times along each of the last axes."""
    for axis in range(mask.ndim - axes, mask.ndim):
        mask = mask.repeat(parts, axis)
    return mask


def divided(geometry: Geometry, parts: int) -> Geometry:
    """The geometry with every pixel divided into ``parts`` along each axis of the detector."""
    detector = tuple(n * parts for n in geometry.detector_shape)
    if geometry.regular:
        return geometry._replace(detector=detector, pitch=tuple(h / parts for h in geometry.pitch))
    frames = geometry.frames.binned(**dict.fromkeys(geometry.detector_axes, 1 / parts))
    return geometry._of_frames(frames, detector)
