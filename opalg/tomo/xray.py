"""The X-ray transform: line integrals of an image, and their exact transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opalg.arrays import Array
from opalg.engines import cpu, cuda
from opalg.errors import ArgumentError, DtypeError
from opalg.operators.costs import Cost
from opalg.spaces import Grid
from opalg.spaces.indexing import keep_axis
from opalg.tomo.dispatch import device_numbers, run
from opalg.tomo.geometry import Geometry
from opalg.tomo.masks import as_mask, clear, hidden, masked, take
from opalg.tomo.parts import InParts, as_limit, nbytes
from opalg.tomo.plans import count_samples, make_plan
from opalg.tomo.view_subsets import ViewSubsets

__all__ = ["XrayTransform"]


class XrayTransform(ViewSubsets, InParts):
    """Line integrals of images along the rays of a geometry, by one of three models.

    ``A(x)`` sums the values of ``x`` along each ray, times length: a disc of value 0.02 / mm and
    diameter 100 mm gives 2.0 in its middle, in every unit and spacing. ``A.H`` is the exact transpose
    (back projection), ``A.adjoint`` the adjoint in the weighted inner products of both spaces.

    Parameters
    ----------
    grid : Grid
        The image: axes (y, x) or (z, y, x), real. Outside of it values are zero.
    geometry : Geometry
        Of the same dimension.
    model : {"joseph", "siddon", "footprint"}
        What a detector pixel sees of the image, see Notes. Every model takes every geometry, but
        "footprint" of curved detectors those whose arc is around the source.
    interpolation : {"software", "texture"}, default "software"
        On CUDA devices: by arithmetic, or by texture units. These round the weights of interpolation to
        1/256, so that back projection, which does not use them, is no longer the exact transpose
        (``exact_adjoint`` is False). They read a copy, on the device: one volume more (of a batch in 2D all
        images that are computed at once), which stays for the next call. The CPU engine has no such units
        and computes the same for both.
    volume_mask : array of bool, shape ``grid.shape``, optional
        Voxels that are False count as zero, and get exact zeros from the transpose.
    detector_mask : array of bool, shape ``geometry.detector_shape`` or ``geometry.shape``, optional
        Pixels that are False (dead ones, say) are exactly zero, and do not count in the transpose.
    memory_limit : int, optional
        Bytes. A call that would hold more is done in parts: slabs of the volume, and groups of views. Arrays
        may be `numpy.memmap`, given as ``out=`` too, which are never loaded whole. A projection in groups of
        views has the bits of one at once; other parts are rounded differently (by 3e-6 of the largest
        value in float32). `FBP` and `FDK` keep to it with their filters, too.
    device : str or sequence of str, optional
        ``"cuda"``, ``"cuda:1"``, or several of them: arrays of the host are taken through these devices,
        which share the work, in parts that fit into their memory. Arrays on a device stay where they are.

    Attributes
    ----------
    domain : Grid
        ``grid``.
    range : Space
        Sinograms: axes ("view", "u") or ("view", "v", "u"), the dtype of ``grid``. The weight of the inner
        product is angle step times pixel size; for unequal angles it is an array over the views.

    Raises
    ------
    ArgumentError
        If grid and geometry differ in dimension, the model is unknown or does not take the geometry, or a
        mask is no boolean array that fits; on a call, if the limit is too small for one plane and one view.
    SpaceMismatchError, DtypeError
        On a call, if the argument does not fit.
    MissingExtraError, DeviceError
        On a call with an array on a CUDA device, without PyCUDA, a driver or a compiler.

    Notes
    -----
    *joseph* [1]_: a ray is sampled once in every plane of pixels along the axis it runs along most (in index
    coordinates), by linear interpolation between the nearest pixels of that plane: two in 2D, four in 3D.
    *siddon* [2]_: pixels are boxes of constant value, which count with the exact length of the ray inside.
    *footprint* [3]_: the same boxes, seen by the whole area of a detector pixel: how much of a box's shadow
    falls on it, which is exact for parallel rays in 2D, and nearly so wherever detector rows are parallel
    to a plane of voxels. For pixels that are as wide as voxels or wider. On the CPU it takes five to nine
    times as long for cones, eight to 18 times for fans, and 25 to 35 times for parallel slices.

    Rays of fans and cones start at the source and end at the detector. The transpose is computed by
    the same arithmetic without atomics, and its bits do not depend on the number of threads. Contiguous
    NumPy arrays and CPU tensors are read and written in place, others through a copy.

    References
    ----------
    .. [1] P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE
       Transactions on Medical Imaging 1(3), 192-196, 1982.
    .. [2] R. L. Siddon, "Fast calculation of the exact radiological path for a three-dimensional CT
       array", Medical Physics 12(2), 252-255, 1985.
    .. [3] Y. Long, J. A. Fessler and J. M. Balter, "3D forward and back-projection for X-ray CT using
       separable footprints", IEEE Transactions on Medical Imaging 29(11), 1839-1850, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> grid = oa.Grid((64, 64), spacing=0.5)
    >>> A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=30, detector=96, pitch=0.5))
    >>> float(A(np.ones((64, 64), "float32"))[0, 48])  # 32 mm of value 1
    32.0
    >>> A[::3].range.shape, A.H.range is grid
    ((10, 96), True)
    >>> tomo.XrayTransform(grid, A.geometry, model="siddon")[::3].model
    'siddon'
    """

    nonnegative = True
    symbol = "A"

    domain: Grid

    def __init__(
        self,
        grid: Grid,
        geometry: Geometry,
        model: str = "joseph",
        interpolation: str = "software",
        volume_mask: Array | None = None,
        detector_mask: Array | None = None,
        memory_limit: int | None = None,
        device: str | Sequence[str] | None = None,
    ) -> None:
        if not isinstance(grid, Grid):
            raise ArgumentError(f"the image space must be an opalg.Grid, got {grid!r:.80}")
        if not isinstance(geometry, Geometry):
            raise ArgumentError(
                f"a geometry such as tomo.ParallelBeam is needed, got {geometry!r:.80}"
            )
        if grid.ndim != geometry.ndim:
            raise ArgumentError(
                f"a {geometry.ndim}D geometry (detector {geometry.detector_axes}) does not fit the "
                f"{grid.ndim}D {grid}; 3D takes detector=(v, u) and a grid (z, y, x)"
            )
        if grid.is_complex:
            raise DtypeError(
                f"the X-ray transform takes real images, got {grid}; use grid.real, and apply it to the "
                "real and the imaginary part"
            )
        if interpolation not in {"software", "texture"}:
            raise ArgumentError(
                f'interpolation must be "software" or "texture", got {interpolation!r}'
            )
        super().__init__(grid, geometry.space(grid.dtype))
        self.interpolation = interpolation
        self.device = device
        self._devices = device_numbers(device)
        self.exact_adjoint = interpolation == "software"
        self.geometry = geometry
        self.model = model
        self.volume_mask = self.detector_mask = None
        if volume_mask is not None:
            self.volume_mask = as_mask(volume_mask, (grid.shape,), "volume_mask")
        if detector_mask is not None:
            shapes = (geometry.detector_shape, geometry.shape)
            self.detector_mask = as_mask(detector_mask, shapes, "detector_mask")
        self._hidden_voxels, self._hidden_pixels = (
            hidden(self.volume_mask),
            hidden(self.detector_mask),
        )
        self.memory_limit = as_limit(memory_limit)
        self._plan = make_plan(geometry, grid, model)

    # Subsets of views

    def _of_views(self, keys: tuple[Any, ...]) -> XrayTransform:
        options = self._options()
        if self.detector_mask is not None:
            options["detector_mask"] = self._mask_of(keys)
        return XrayTransform(self.domain, self.geometry[keys], **options)

    def _options(self) -> dict[str, Any]:
        """The arguments behind the geometry that are not as by default."""
        names = ("model", "interpolation", "volume_mask", "detector_mask", "memory_limit", "device")
        found = {name: getattr(self, name) for name in names}
        usual = {"model": "joseph", "interpolation": "software"}
        return {n: v for n, v in found.items() if v is not None and v is not usual.get(n)}

    def _along(self, geometry: Geometry) -> XrayTransform:
        """The same along other rays, of whose pixels none is masked."""
        options = self._options()
        options.pop("detector_mask", None)
        return XrayTransform(self.domain, geometry, **options)

    def _mask_of(self, keys: tuple[Any, ...]) -> Array:
        """The mask of what indices leave of views and detector."""
        assert self.detector_mask is not None
        axes = zip(keys, self.geometry.shape, self.geometry.axes, strict=False)
        indices = tuple(keep_axis(key, n, name) for key, n, name in axes)
        every_view = self.detector_mask.ndim < len(self.geometry.shape)
        return take(self.detector_mask, indices[1:] if every_view else indices)

    # Application

    def _apply(self, x: Array, out: Array | None) -> Array:
        slabs = None if self._devices else self._slabs(x, transposed=False)
        if slabs:
            return self._run_parts(slabs, x, out, transposed=False)
        options = {"interpolation": self.interpolation}

        def on_host(image: Any, sinogram: Any) -> None:
            if self._devices:
                cuda.run_on_host("project", self._plan, image, sinogram, self._devices,
                                 self.memory_limit, **options)  # fmt: skip
            else:
                cpu.project(self._plan, image, sinogram)

        def on_cuda(image: Any, sinogram: Any) -> None:
            cuda.project(self._plan, image, sinogram, **options)

        x = masked(x, self._hidden_voxels)
        y = run(on_host, on_cuda, x, out, self.domain, self.range, self)
        return clear(y, self._hidden_pixels)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        slabs = None if self._devices else self._slabs(y, transposed=True)
        if slabs:
            return self._run_parts(slabs, y, out, transposed=True)

        def on_host(sinogram: Any, image: Any) -> None:
            if self._devices:
                cuda.run_on_host("backproject", self._plan, sinogram, image, self._devices,
                                 self.memory_limit)  # fmt: skip
            else:
                cpu.backproject(self._plan, sinogram, image)

        def on_cuda(sinogram: Any, image: Any) -> None:
            cuda.backproject(self._plan, sinogram, image)

        y = masked(y, self._hidden_pixels)
        x = run(on_host, on_cuda, y, out, self.range, self.domain, self)
        return clear(x, self._hidden_voxels)

    def _part(self, planes: slice, views: slice) -> XrayTransform:
        options = self._options()
        options.pop("memory_limit", None)
        if self.volume_mask is not None:
            options["volume_mask"] = self.volume_mask[planes]
        if self.detector_mask is not None:
            options["detector_mask"] = self._mask_of((views,))
        return XrayTransform(self.domain[planes], self.geometry[views], **options)

    def _bytes(self, transposed: bool) -> int:
        call = "backproject" if transposed else "project"
        total = nbytes(self.domain) + nbytes(self.range)
        total += cpu.scratch_bytes(call, self._plan, self.domain.dtype)
        for mask in (self._hidden_voxels, self._hidden_pixels):
            total += 0 if mask is None else int(mask.array.nbytes)
        if (self._hidden_pixels if transposed else self._hidden_voxels) is not None:
            total += nbytes(self.range if transposed else self.domain)  # a copy with zeros
        return total

    def cost(self) -> Cost:
        """Four operations for each interpolation, and the bytes that a call on the CPU holds at most.

        These are image, sinogram and the copies that the engine makes; with a ``memory_limit``, parts of
        them. Those of the transpose: ``A.H.cost()``. On a CUDA device texture units need a volume more.
        """
        return self._cost(transposed=False)

    @property
    def _operations(self) -> int:
        return 4 * count_samples(self._plan)
