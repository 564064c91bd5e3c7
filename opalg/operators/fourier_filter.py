"""Multiplication by a transfer function in the Fourier domain: what convolutions are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, Constant, copy, multiply, namespace
from opalg.operators.adjoints import Gram
from opalg.operators.costs import Cost
from opalg.operators.fft import transform

__all__ = ["FilterGram", "FourierFilter"]


class FourierFilter:
    """The map ``x -> first entries of ifft(spectrum * fft(x, with zeros behind))``.

    Parameters
    ----------
    ndim : int
        Axes of the arrays that are filtered, batch axes not counted.
    axes : tuple of int
        The axes that are transformed.
    extents : tuple of int
        How many entries are transformed along each of ``axes``; zeros are added behind.
    spectrum : NumPy array
        Transfer function at the ``extents`` frequencies in the order of `numpy.fft`, of one entry along other
        axes. For real arrays it must be that of a real map.
    dtype : numpy.dtype
        Of the arrays that are filtered. Of the spectrum of a real map one half is kept.
    """

    def __init__(
        self,
        ndim: int,
        axes: tuple[int, ...],
        extents: tuple[int, ...],
        spectrum: np.ndarray[Any, Any],
        dtype: np.dtype[Any],
    ) -> None:
        self.axes = tuple(axis - ndim for axis in axes)
        self.extents = extents
        self.real = dtype.kind != "c"
        self._spectrum = spectrum
        self._ndim, self._dtype = ndim, dtype
        if self.real:
            half = [slice(None)] * ndim
            half[axes[-1]] = slice(extents[-1] // 2 + 1)
            spectrum = spectrum[tuple(half)]
        kind = np.complex64 if spectrum.dtype.kind == "c" else np.float32
        precision = np.result_type(kind, np.float64 if dtype.name in _DOUBLE else np.float32)
        self._factors = Constant(np.ascontiguousarray(spectrum.astype(precision)))

    def adjoint(self) -> FourierFilter:
        """The filter with the conjugated spectrum."""
        return self._with(np.conj(self._spectrum))

    def gram(self) -> FourierFilter:
        """The filter with the squared modulus of the spectrum."""
        return self._with(np.abs(self._spectrum) ** 2)

    def _with(self, spectrum: np.ndarray[Any, Any]) -> FourierFilter:
        axes = tuple(axis + self._ndim for axis in self.axes)
        return FourierFilter(self._ndim, axes, self.extents, spectrum, self._dtype)

    @property
    def peak(self) -> float:
        """The largest modulus of the spectrum: the norm of the map before entries are cut off."""
        return float(np.abs(self._spectrum).max())

    def apply(self, x: Array, shape: tuple[int, ...], out: Array | None) -> Array:
        """Filter ``x`` and keep the first entries, ``shape`` of them, of the axes that are not batch axes."""
        forward, backward = ("rfftn", "irfftn") if self.real else ("fftn", "ifftn")
        spectrum = transform(forward, x, self.axes, shape=self.extents)
        factors = self._factors.like(spectrum)
        spectrum = multiply(spectrum, factors, spectrum if namespace(x) is np else None)
        value = transform(backward, spectrum, self.axes, shape=self.extents, overwrite=True)
        window = (Ellipsis, *(slice(extent) for extent in shape))
        if out is not None:
            return copy(value[window], out)
        return value if tuple(value.shape[-len(shape) :]) == shape else value[window]

    def operations(self, entries: int) -> int:
        """Operations to filter so many entries, by the textbook count of a fast transform."""
        return int(10 * entries * math.log2(max(math.prod(self.extents), 2)))


_DOUBLE = {"float64", "complex128"}


class FilterGram(Gram):
    """``A.H @ A`` of an operator that is one filter, computed by one filter; made by ``A.gram``.

    Parameters
    ----------
    operator : LinearOperator
        Offers ``_gram_filter()``, a `FourierFilter`.
    """

    native = True

    def __init__(self, operator: Any) -> None:
        super().__init__(operator)
        make: Callable[[], FourierFilter] = operator._gram_filter
        self._filter = make()

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._filter.apply(x, self.domain.shape, out)

    def _trace(self, x: Array) -> Array:
        return self._apply(x, None)

    def cost(self) -> Cost:
        """That of two Fourier transforms."""
        return Cost(
            self._filter.operations(self.domain.size),
            2 * self.domain.size * self.domain.dtype.itemsize,
        )
