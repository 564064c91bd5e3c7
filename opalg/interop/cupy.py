"""To and from CuPy arrays. Operators take CuPy arrays as they are, where their arithmetic allows it."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array, as_numpy, is_torch
from opalg.errors import MissingExtraError
from opalg.spaces import Blocks

__all__ = ["from_cupy", "to_cupy"]


def to_cupy(x: Array) -> Array:
    """An array, or `Blocks` of arrays, as CuPy arrays.

    Parameters
    ----------
    x : array or Blocks
        Of any library. The memory of a CUDA tensor is shared; other arrays are copied to the current device.

    Returns
    -------
    cupy.ndarray or Blocks

    Raises
    ------
    MissingExtraError
        If CuPy is not installed.
    """
    try:
        import cupy
    except ImportError:
        raise MissingExtraError(
            "CuPy is not installed: pip install cupy-cuda12x, or the package for your version of CUDA"
        ) from None
    if isinstance(x, Blocks):
        return Blocks(to_cupy(part) for part in x)
    if is_torch(x) and x.is_cuda:
        return cupy.from_dlpack(x.detach())
    return x if isinstance(x, cupy.ndarray) else cupy.asarray(as_numpy(x))


def from_cupy(x: Any) -> Array:
    """A CuPy array, or `Blocks` of them, as NumPy arrays on the host.

    Parameters
    ----------
    x : cupy.ndarray or Blocks

    Returns
    -------
    numpy.ndarray or Blocks
    """
    return Blocks(from_cupy(part) for part in x) if isinstance(x, Blocks) else as_numpy(x)
