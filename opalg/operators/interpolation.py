"""Interpolation weights on a uniform axis: nearest, linear and cubic."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from opalg.errors import ArgumentError

__all__ = ["Interpolation", "Outside", "axis_matrix", "neighbours", "positions_in"]

Interpolation = Literal["nearest", "linear", "cubic"]
Outside = Literal["zero", "replicate"]


# Of each sample next to a position, the weight: coefficients of 1, t, t**2, ..., where t is the distance from
# the sample before the position.
_WEIGHTS = {
    "nearest": ((1.0,),),
    "linear": ((1.0, -1.0), (0.0, 1.0)),
    "cubic": (
        (0.0, -0.5, 1.0, -0.5),
        (1.0, 0.0, -2.5, 1.5),
        (0.0, 0.5, 2.0, -1.5),
        (0.0, 0.0, -0.5, 0.5),
    ),
}


def neighbours(
    positions: np.ndarray[Any, Any], n: int, method: str, boundary: str, order: int = 0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Which of ``n`` samples make up the value at each position, and with which weights.

    Parameters
    ----------
    positions : array
        In units of samples; sample 0 stands at 0.
    n : int
    method : {"nearest", "linear", "cubic"}
        Cubic is Keys' convolution with a = -1/2 (IEEE Transactions on Acoustics, Speech, and Signal
        Processing 29, 1981), exact for parabolas.
    boundary : {"zero", "replicate"}
        The samples beyond the ends: zero, or like the outermost ones.
    order : int
        Of the derivative with respect to the position whose weights are asked for.

    Returns
    -------
    indices, weights : array, shape (k, *positions.shape)
        Indices lie in the axis; weights of samples outside are zero.
    """
    if method not in _WEIGHTS:
        raise ArgumentError(f"method must be 'nearest', 'linear' or 'cubic', got {method!r}")
    if boundary not in {"zero", "replicate"}:
        raise ArgumentError(f"boundary must be 'zero' or 'replicate', got {boundary!r}")
    # What differs from a sample by rounding only is that sample.
    positions = np.where(abs(positions - np.rint(positions)) < 1e-9, np.rint(positions), positions)
    before = np.floor(positions + 0.5) if method == "nearest" else np.floor(positions)
    polynomial = np.polynomial.polynomial
    coefficients = [polynomial.polyder(row, order) for row in _WEIGHTS[method]]
    weights = np.stack([polynomial.polyval(positions - before, row) for row in coefficients])
    first = before - 1 if method == "cubic" else before
    # Clipped before the conversion: positions far outside would not fit an integer.
    first = np.clip(first, -4, n).astype(np.int64)
    indices = first + np.arange(len(weights)).reshape(-1, *[1] * positions.ndim)
    if boundary == "zero":
        weights = np.where((indices >= 0) & (indices < n), weights, 0.0)
    return np.clip(indices, 0, n - 1), weights


def axis_matrix(positions: np.ndarray[Any, Any], n: int, method: str, boundary: str) -> Any:
    """The sparse matrix that interpolates ``n`` samples at positions along one axis."""
    import scipy.sparse

    indices, weights = neighbours(positions, n, method, boundary)
    rows = np.broadcast_to(np.arange(len(positions)), indices.shape)
    entries = (weights.ravel(), (rows.ravel(), indices.ravel()))
    return scipy.sparse.coo_array(entries, shape=(len(positions), n)).tocsr()


def positions_in(grid: Any, axis: int, coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Coordinates along an axis in units of the samples of ``grid``."""
    found: np.ndarray[Any, Any] = (coordinates - grid.coordinates[axis][0]) / grid.spacing[axis]
    return found
