"""Convolution with a fixed kernel, on the line and on the circle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from opalg.arrays import Array, Constant, as_numpy, is_array, is_torch
from opalg.errors import ArgumentError, DtypeError, NonFiniteError, NotSupportedError
from opalg.operators.costs import Cost
from opalg.operators.fourier_filter import FilterGram, FourierFilter
from opalg.operators.norms import Bounds, refined
from opalg.operators.operator import LinearOperator
from opalg.spaces import Grid, Space

__all__ = ["CircularConvolution", "Convolution"]

Mode = Literal["full", "same", "valid"]


class _Filtered(LinearOperator):
    """A convolution computed by one `FourierFilter`."""

    native = True
    symbol = "C"

    kernel: np.ndarray[Any, Any]
    _filter: FourierFilter

    @property
    def real(self) -> bool:
        return self.kernel.dtype.kind != "c"

    @cached_property
    def _reverse(self) -> FourierFilter:
        return self._filter.adjoint()

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._filter.apply(x, self.range.shape, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._reverse.apply(y, self.domain.shape, out)

    def _gram_filter(self) -> FourierFilter:
        return self._filter.gram()

    def _slack(self) -> float:
        return 8 * float(np.finfo(self.domain.dtype).eps)

    def cost(self) -> Cost:
        """That of two Fourier transforms."""
        return Cost(self._filter.operations(self.domain.size), super().cost().bytes)


class Convolution(_Filtered):
    """Convolution with a kernel, the array being zero outside.

    Parameters
    ----------
    space : Space
        The domain.
    kernel : array_like
        Real or complex, with one axis for each axis of the space; an axis of one entry is not convolved.
    mode : {"same", "full", "valid"}, default "same"
        Which part of the result is kept: as much as the argument, all, or what does not depend on zeros
        outside (as in `scipy.signal.convolve`).
    origin : int or tuple of int, optional
        Index of the kernel entry that multiplies the point itself, for ``"same"``; the middle by default,
        ``(k - 1) // 2`` where there are two.

    Attributes
    ----------
    range : Space
        ``space`` itself for ``"same"``, else a space of the fitting shape; the range of a `Grid` is a `Grid`
        whose cells stand where the results belong.

    Raises
    ------
    ArgumentError
        If the kernel has another number of axes, is empty, larger than the space in mode ``"valid"``, or
        the origin lies outside it.
    DtypeError
        If the kernel is complex and the space real.
    NonFiniteError
        If the kernel holds NaN or infinity.

    Notes
    -----
    Computed by the fast Fourier transform with enough zeros behind the array. The largest modulus of the
    kernel's spectrum bounds the norm from above. In mode ``"full"`` ``A.gram`` is one filter, half as dear as
    ``A.H`` after ``A``.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> C = oa.Convolution(oa.Space(4, "float64"), [1.0, 2.0, 1.0])
    >>> C(np.array([1.0, 0.0, 0.0, 1.0])).round(12).tolist()
    [2.0, 1.0, 1.0, 2.0]
    >>> oa.Convolution(oa.Grid(8), np.ones(3) / 3, mode="valid").range
    Grid((6,), spacing=(1.0,), dtype='float32', origin=(0.0,), axes=('x',))
    """

    def __init__(
        self,
        space: Space,
        kernel: npt.ArrayLike | Array,
        mode: Mode = "same",
        origin: int | Sequence[int] | None = None,
    ) -> None:
        kernel = _as_kernel(kernel, space, type(self).__name__)
        if mode not in {"same", "full", "valid"}:
            raise ArgumentError(f"mode must be 'same', 'full' or 'valid', got {mode!r}")
        if origin is not None and mode != "same":
            raise ArgumentError(f"origin has a meaning in mode 'same' only, got mode {mode!r}")
        origin = _as_origin(origin, kernel.shape)
        pairs = list(zip(space.shape, kernel.shape, strict=True))
        if mode == "valid" and any(k > n for n, k in pairs):
            raise ArgumentError(
                f"in mode 'valid' the kernel must fit into {space.shape}, got shape {kernel.shape}"
            )
        super().__init__(space, _range(space, kernel.shape, mode))
        self.kernel, self.mode, self.origin = kernel, mode, origin
        first = {"full": (0,) * space.ndim, "same": origin}.get(
            mode, tuple(k - 1 for k in kernel.shape)
        )
        axes = _axes(kernel.shape)
        extents = tuple(_fast_length(space.shape[i] + kernel.shape[i] - 1) for i in axes)
        self._filter = _filter(space, kernel, axes, extents, first)

    def _key(self) -> tuple[Any, ...]:
        return self.domain, Constant(self.kernel), self.mode, self.origin

    def _gram(self) -> LinearOperator:
        return FilterGram(self) if self.mode == "full" else super()._gram()

    def _norm_bounds(self) -> Bounds:
        return refined(self, 0.0, self._filter.peak * (1 + self._slack()))


class CircularConvolution(_Filtered):
    """Convolution with a kernel, the axes being circles: a circulant matrix.

    Parameters
    ----------
    space : Space
    kernel : array_like
        Real or complex, with one axis for each axis of the space, not longer than it; an axis of one entry
        is not convolved.
    origin : int or tuple of int, optional
        Index of the kernel entry that multiplies the point itself; the middle by default,
        ``(k - 1) // 2`` where there are two. With 0 the kernel is the first column of the matrix.

    Raises
    ------
    ArgumentError
        If the kernel has another number of axes, is empty or longer than the space, or the origin lies
        outside it.
    DtypeError
        If the kernel is complex and the space real.
    NonFiniteError
        If the kernel holds NaN or infinity.

    Notes
    -----
    The Fourier transform diagonalises it: the norm is the largest modulus of the kernel's spectrum, exactly,
    and ``A.gram`` is again a filter, at the cost of ``A`` alone.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> C = oa.CircularConvolution(oa.Space(4, "float64"), [1.0, 2.0, 1.0])
    >>> C(np.array([1.0, 0.0, 0.0, 0.0])).round(12).tolist()
    [2.0, 1.0, 0.0, 1.0]
    >>> round(C.norm(), 5)
    4.0
    """

    def __init__(
        self,
        space: Space,
        kernel: npt.ArrayLike | Array,
        origin: int | Sequence[int] | None = None,
    ) -> None:
        kernel = _as_kernel(kernel, space, type(self).__name__)
        if any(k > n for n, k in zip(space.shape, kernel.shape, strict=True)):
            raise ArgumentError(
                f"the kernel must not be longer than the circle, {space.shape}, got shape {kernel.shape}"
            )
        super().__init__(space, space)
        self.kernel, self.origin = kernel, _as_origin(origin, kernel.shape)
        axes = _axes(kernel.shape)
        extents = tuple(space.shape[i] for i in axes)
        self._filter = _filter(space, kernel, axes, extents, self.origin)

    def _key(self) -> tuple[Any, ...]:
        return self.domain, Constant(self.kernel), self.origin

    def _gram(self) -> LinearOperator:
        return FilterGram(self)

    def _norm_bounds(self) -> Bounds:
        slack = self._slack()
        return Bounds(self._filter.peak * (1 - slack), self._filter.peak * (1 + slack))


def _as_kernel(kernel: Any, space: Any, name: str) -> np.ndarray[Any, Any]:
    if not isinstance(space, Space) or not space.ndim:
        raise ArgumentError(f"{name} acts on a Space or Grid with axes, got {space!r:.80}")
    if is_torch(kernel) and kernel.requires_grad:
        raise NotSupportedError(
            "the kernel of a convolution is fixed; a tensor that requires a gradient would not be trained. "
            "Detach it"
        )
    values = np.array(as_numpy(kernel) if is_array(kernel) else kernel)
    if values.dtype.kind not in "biufc" or values.ndim != space.ndim or not values.size:
        raise ArgumentError(
            f"the kernel must be an array of numbers with {space.ndim} axes to act on {space}, got shape "
            f"{values.shape} and dtype {values.dtype}"
        )
    if values.dtype.kind == "c" and not space.is_complex:
        raise DtypeError(f"a complex kernel needs a complex space, got {space}; use space.complex")
    if not np.isfinite(values).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"the kernel holds {count} entries that are NaN or infinite")
    values = values.astype(np.result_type(values.dtype, np.float64))
    values.flags.writeable = False
    return values


def _as_origin(origin: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if origin is None:
        return tuple((k - 1) // 2 for k in shape)
    found = (origin,) * len(shape) if isinstance(origin, (int, np.integer)) else tuple(origin)
    if len(found) != len(shape) or not all(
        isinstance(i, (int, np.integer)) and 0 <= i < k for i, k in zip(found, shape, strict=True)
    ):
        raise ArgumentError(
            f"origin must be an index into a kernel of shape {shape}, got {origin!r}"
        )
    return tuple(int(i) for i in found)


def _axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which something happens, at least one."""
    return tuple(i for i, k in enumerate(shape) if k > 1) or (len(shape) - 1,)


def _filter(
    space: Space,
    kernel: np.ndarray[Any, Any],
    axes: tuple[int, ...],
    extents: tuple[int, ...],
    first: tuple[int, ...],
) -> FourierFilter:
    """The filter whose result begins with entry ``first`` of the full convolution."""
    shape = list(kernel.shape)
    for axis, extent in zip(axes, extents, strict=True):
        shape[axis] = extent
    padded = np.zeros(shape, kernel.dtype)
    padded[tuple(slice(k) for k in kernel.shape)] = kernel
    padded = np.roll(padded, [-i for i in first], range(space.ndim))
    return FourierFilter(space.ndim, axes, extents, np.fft.fftn(padded, axes=axes), space.dtype)


def _fast_length(n: int) -> int:
    """The next number without prime factors above 5, fast in every library."""
    best = 1 << math.ceil(math.log2(n))
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three << max(0, math.ceil(math.log2(n / three)))
            best = min(best, two) if two >= n else best
            three *= 3
        five *= 5
    return best


def _range(space: Space, kernel: tuple[int, ...], mode: str) -> Space:
    if mode == "same":
        return space
    sign = 1 if mode == "full" else -1
    shape = tuple(n + sign * (k - 1) for n, k in zip(space.shape, kernel, strict=True))
    if is_array(space.weighting):
        if shape == space.shape:
            return space
        raise ArgumentError(
            f"the weighting of {space} is an array, which mode {mode!r} cannot continue; use mode 'same'"
        )
    if not isinstance(space, Grid):
        return Space(shape, space.dtype.name, space.axes, space.weighting)
    # An even kernel has no middle: the results stand half a cell beside the samples.
    origin = tuple(
        centre + ((k - 1) / 2 - (k - 1) // 2) * step
        for centre, k, step in zip(space.origin, kernel, space.spacing, strict=True)
    )
    weight = None if space.weighting == space.cell_volume else space.weighting
    words = {} if weight is None else {"weighting": weight}
    return Grid(
        shape,
        spacing=space.spacing,
        dtype=space.dtype.name,
        origin=origin,
        axes=space.axes,
        **words,
    )
