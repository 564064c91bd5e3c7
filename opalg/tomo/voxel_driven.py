"""Voxel-driven back projection: every voxel looks where its shadow falls on the detector."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from opalg.arrays import Array
from opalg.engines import cpu, cuda
from opalg.engines.divergent import DivergentPlan, check_shadows
from opalg.errors import ArgumentError
from opalg.operators.costs import Cost
from opalg.spaces import Grid
from opalg.tomo.dispatch import run
from opalg.tomo.masks import clear, masked
from opalg.tomo.parts import InParts, nbytes
from opalg.tomo.plans import general_plan
from opalg.tomo.xray import XrayTransform

__all__ = ["VoxelBackProjection"]


class VoxelBackProjection(InParts):
    """Sums over views what is measured where the shadow of each voxel falls, interpolated linearly.

    This is the back projection of textbooks and of FBP and FDK: fast, smooth where the transpose of a
    projector is not, and itself *not* the transpose of `XrayTransform`. A solver that is given it in the
    place of ``A.H`` solves another problem.

    Parameters
    ----------
    transform : XrayTransform
        Gives geometry, volume, spaces (from ``transform.range`` to ``transform.domain``), masks, the limit
        of memory and the interpolation: with "texture" a CUDA device holds a copy of the projections (of a
        batch, of one image's), which stays for the next call.
    weighted : bool, default False
        Whether views count with the square of the magnification: how many times the way from the source
        to the voxel leads to the detector. That is the distance weight of FBP and FDK but for a constant; for
        parallel rays it is one.

    Attributes
    ----------
    matched : bool
        False: ``A.H`` is the transpose of A, this is not. What a program asks before it takes a back
        projection for the transpose. (`exact_adjoint` tells something else of every operator: that its own
        transpose, here a projection, is exact.)

    Raises
    ------
    ArgumentError
        If a curved detector is not an arc about the source in every view, or its rows are not parallel to z.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> A = tomo.XrayTransform(oa.Grid((3, 3)), tomo.FanBeam(4, 9, 1.0, sod=10.0, sdd=20.0))
    >>> tomo.VoxelBackProjection(A)(np.ones((4, 9), "float32"))[1, 1]  # four views see the middle
    np.float32(4.0)
    """

    nonnegative = True
    symbol = "B"
    matched = False

    domain: Any
    range: Grid

    def __init__(self, transform: XrayTransform, weighted: bool = False) -> None:
        if not isinstance(transform, XrayTransform):
            raise ArgumentError(
                f"VoxelBackProjection takes an XrayTransform, got {transform!r:.80}"
            )
        super().__init__(transform.range, transform.domain)
        self.transform = transform
        self.weighted = bool(weighted)
        self._weight = "magnification" if self.weighted else "none"
        self.memory_limit = transform.memory_limit
        self._hidden_voxels = transform._hidden_voxels
        self._hidden_pixels = transform._hidden_pixels
        if transform.geometry.frames.arc_centres is not None:
            self._check_arcs()

    def _check_arcs(self) -> None:
        try:
            check_shadows(self._plan)
        except ArgumentError:
            raise ArgumentError(
                f"VoxelBackProjection cannot tell where voxels are seen on the curved detector of a "
                f"{self.transform.geometry}: its arc must be around the source in every view, and its rows "
                "parallel to z. The transpose A.H of the XrayTransform takes any curved detector"
            ) from None

    @cached_property
    def _plan(self) -> DivergentPlan:
        return general_plan(self.transform.geometry, self.transform.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        devices = self.transform._devices
        slabs = None if devices else self._slabs(x, transposed=False)
        if slabs:
            return self._run_parts(slabs, x, out, transposed=False)
        options = {"weight": self._weight, "interpolation": self.transform.interpolation}

        def on_host(sinogram: Any, image: Any) -> None:
            if devices:
                cuda.run_on_host("backproject_voxels", self._plan, sinogram, image, devices,
                                 self.memory_limit, **options)  # fmt: skip
            else:
                cpu.backproject_voxels(self._plan, sinogram, image, weight=self._weight)

        def on_cuda(sinogram: Any, image: Any) -> None:
            cuda.backproject_voxels(self._plan, sinogram, image, **options)

        x = masked(x, self._hidden_pixels)
        image = run(on_host, on_cuda, x, out, self.domain, self.range, self)
        return clear(image, self._hidden_voxels)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        devices = self.transform._devices
        slabs = None if devices else self._slabs(y, transposed=True)
        if slabs:
            return self._run_parts(slabs, y, out, transposed=True)
        options = {"weight": self._weight}

        def on_host(image: Any, sinogram: Any) -> None:
            if devices:
                cuda.run_on_host("project_voxels", self._plan, image, sinogram, devices,
                                 self.memory_limit, **options)  # fmt: skip
            else:
                cpu.project_voxels(self._plan, image, sinogram, weight=self._weight)

        def on_cuda(image: Any, sinogram: Any) -> None:
            cuda.project_voxels(self._plan, image, sinogram, **options)

        y = masked(y, self._hidden_voxels)
        sinogram = run(on_host, on_cuda, y, out, self.range, self.domain, self)
        return clear(sinogram, self._hidden_pixels)

    def _is_projection(self, transposed: bool) -> bool:
        return transposed

    def _part(self, planes: slice, views: slice) -> VoxelBackProjection:
        return VoxelBackProjection(self.transform._part(planes, views), self.weighted)

    def _bytes(self, transposed: bool) -> int:
        total = nbytes(self.domain) + nbytes(self.range)
        for mask in (self._hidden_voxels, self._hidden_pixels):
            total += 0 if mask is None else int(mask.array.nbytes)
        if (self._hidden_voxels if transposed else self._hidden_pixels) is not None:
            total += nbytes(self.range if transposed else self.domain)  # a copy with zeros
        call = "project_voxels" if transposed else "backproject_voxels"
        return total + cpu.scratch_bytes(call, self._plan, self.domain.dtype)

    def cost(self) -> Cost:
        """Ten operations per voxel and view, and the bytes that a call on the CPU holds at most."""
        return self._cost(transposed=False)

    @property
    def _operations(self) -> int:
        return 10 * int(self.range.size) * self.transform.geometry.num_views
