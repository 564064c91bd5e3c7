"""Fast Fourier transforms of arrays: SciPy's for NumPy arrays, the library's own for others."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.engines.cpu import get_num_threads

__all__ = ["transform"]

_SMALL = 1 << 15  # entries below which a second thread costs more than it gains


def transform(
    name: str,
    x: Array,
    axes: tuple[int, ...],
    norm: str = "backward",
    shape: tuple[int, ...] | None = None,
    overwrite: bool = False,
) -> Array:
    """One of the transforms ``fftn``, ``ifftn``, ``rfftn``, ``irfftn``, in the precision of ``x``.

    Parameters
    ----------
    name : {"fftn", "ifftn", "rfftn", "irfftn"}
    x : array
    axes : tuple of int
    norm : {"backward", "ortho", "forward"}
        Where the factor stands, as in `numpy.fft`.
    shape : tuple of int, optional
        Extents along ``axes``, reached by zeros at the end or by cutting.
    overwrite : bool
        Whether the content of ``x`` may be destroyed.

    Returns
    -------
    array
        In new memory, or, if ``overwrite``, possibly in that of ``x``.
    """
    if isinstance(x, np.ndarray):
        import scipy.fft

        workers = 1 if x.size < _SMALL else get_num_threads()
        function = getattr(scipy.fft, name)
        found: Array = function(x, shape, axes, norm, overwrite_x=overwrite, workers=workers)
        return found
    fft: Any = namespace(x).fft
    if name == "irfftn" and len(axes) > 1:
        # Libraries differ in what they make of half spectra without Hermitian symmetry, which a transpose
        # meets; one axis at a time they agree.
        x = fft.ifftn(x, s=None if shape is None else shape[:-1], axes=axes[:-1], norm=norm)
        return fft.irfft(x, n=None if shape is None else shape[-1], axis=axes[-1], norm=norm)
    return getattr(fft, name)(x, s=shape, axes=axes, norm=norm)
