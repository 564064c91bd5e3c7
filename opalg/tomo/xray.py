"""The X-ray transform: line integrals of an image, and their exact transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.engines import cpu, cuda
from opalg.errors import ArgumentError, DtypeError
from opalg.operators import LinearOperator
from opalg.operators.operator import Cost
from opalg.spaces import Grid
from opalg.tomo.dispatch import run
from opalg.tomo.geometry import Geometry
from opalg.tomo.plans import count_samples, make_plan

__all__ = ["XrayTransform"]


class XrayTransform(LinearOperator):
    """Line integrals of images along the rays of a geometry, by Joseph's or Siddon's method.

    ``A(x)`` sums the values of ``x`` along each ray, times length: a disc of value 0.02 / mm and
    diameter 100 mm gives 2.0 in its middle, in every unit and spacing. ``A.H`` is the exact transpose
    (back projection), ``A.adjoint`` the adjoint in the weighted inner products of both spaces.

    Parameters
    ----------
    grid : Grid
        The image: axes (y, x) or (z, y, x), real. Outside of it values are zero.
    geometry : Geometry
        Of the same dimension.
    model : {"joseph", "siddon"}
        What a ray sees of the image, see Notes; every model takes every geometry.
    interpolation : {"software", "texture"}, default "software"
        On CUDA devices: by arithmetic, or by texture units. These round the weights of interpolation to
        1/256, so that back projection, which does not use them, is no longer the exact transpose
        (``exact_adjoint`` is False), and need a copy of the volume. The CPU engine has no such units and
        computes the same for both.

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
        If grid and geometry differ in dimension, or the model is unknown.
    SpaceMismatchError, DtypeError
        On a call, if the argument does not fit.
    MissingExtraError, DeviceError
        On a call with an array on a CUDA device, without PyCUDA, a driver or a compiler.

    Notes
    -----
    *joseph* [1]_: a ray is sampled once in every plane of pixels along the axis it runs along most (in index
    coordinates), by linear interpolation between the nearest pixels of that plane: two in 2D, four in 3D.
    *siddon* [2]_: pixels are boxes of constant value, which count with the exact length of the ray inside.

    Rays of fans and cones start at the source and end at the detector. The transpose is computed by
    the same arithmetic without atomics, and its bits do not depend on the number of threads. Contiguous
    NumPy arrays and CPU tensors are read and written in place, others through a copy.

    References
    ----------
    .. [1] P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE
       Transactions on Medical Imaging 1(3), 192-196, 1982.
    .. [2] R. L. Siddon, "Fast calculation of the exact radiological path for a three-dimensional CT
       array", Medical Physics 12(2), 252-255, 1985.

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
        self.exact_adjoint = interpolation == "software"
        self.geometry = geometry
        self.model = model
        self._plan = make_plan(geometry, grid, model)

    # Subsets of views

    def __getitem__(self, views: Any) -> XrayTransform:
        """The transform of some of the views: ``A[::10]`` gives the rows ``A(x)[::10]``.

        Also detector pixels, ``A[:, 64:192]``. The angles of a slice share the memory of the whole.
        """
        return XrayTransform(self.domain, self.geometry[views], **self._options())

    def _options(self) -> dict[str, Any]:
        """The arguments after the geometry that are not the default."""
        options = {"model": self.model, "interpolation": self.interpolation}
        return {name: v for name, v in options.items() if v not in ("joseph", "software")}

    __iter__ = None  # or A would be iterable view by view, by accident

    def subsets(self, count: int) -> tuple[XrayTransform, ...]:
        """The views in ``count`` interleaved parts: ``A[0::count], A[1::count], ...``.

        The same objects every time, so that the sums of their rows and columns, which solvers ask for, are
        computed once (`opalg.operators.row_sums`).

        Raises
        ------
        ArgumentError
            If there are fewer views than parts.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import tomo
        >>> A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(angles=10, detector=12))
        >>> [part.geometry.num_views for part in A.subsets(3)]
        [4, 3, 3]
        """
        views = self.geometry.num_views
        if not isinstance(count, (int, np.integer)) or not 1 <= count <= views:
            raise ArgumentError(
                f"{views} views can be split into 1 to {views} subsets, got {count!r}"
            )
        known = self.__dict__.setdefault("_subsets", {})
        if count not in known:
            known.setdefault(int(count), tuple(self[i::count] for i in range(count)))
        return known[count]  # type: ignore[no-any-return]

    # Application

    def _apply(self, x: Array, out: Array | None) -> Array:
        def on_cpu(image: Any, sinogram: Any) -> None:
            cpu.project(self._plan, image, sinogram)

        def on_cuda(image: Any, sinogram: Any) -> None:
            cuda.project(self._plan, image, sinogram, interpolation=self.interpolation)

        return run(on_cpu, on_cuda, x, out, self.domain, self.range, str(self))

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        def on_cpu(sinogram: Any, image: Any) -> None:
            cpu.backproject(self._plan, sinogram, image)

        def on_cuda(sinogram: Any, image: Any) -> None:
            cuda.backproject(self._plan, sinogram, image)

        return run(on_cpu, on_cuda, y, out, self.range, self.domain, str(self))

    def cost(self) -> Cost:
        """Interpolations, at four operations each, and bytes of image and sinogram."""
        memory = super().cost().bytes
        return Cost(4 * count_samples(self._plan), memory)
