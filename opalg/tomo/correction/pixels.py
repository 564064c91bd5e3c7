"""Single values that are wrong: pixels of the detector that fail, and zingers."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.correction.common import as_projections, like, positive_integer
from opalg.tomo.frames import FloatArray

__all__ = ["bad_pixels", "mend_pixels", "remove_zingers"]

_TO_DEVIATION = 1.4826  # the standard deviation of a normal distribution over its median modulus


def bad_pixels(
    flat: Array, dark: Array | float = 0.0, tolerance: float = 0.5, size: int = 5
) -> np.ndarray[Any, Any]:
    """Which pixels of a detector are dead, hot or far more or less sensitive than their neighbours.

    Parameters
    ----------
    flat : array, shape (u,), (v, u) or (images, v, u)
        Counts without the object; the mean of several images is taken.
    dark : array or float, default 0.0
        Counts without the beam.
    tolerance : float, default 0.5
        By which fraction the response may differ from the median of the neighbourhood.
    size : int, default 5
        Of the neighbourhood, in pixels along each axis; odd.

    Returns
    -------
    ndarray of bool, shape (u,) or (v, u)
        True where the response, ``flat - dark``, is not positive, not finite or beyond the tolerance.

    Examples
    --------
    >>> bad_pixels(np.array([100.0, 101.0, 3.0, 99.0, 500.0, 100.0, 98.0])).tolist()
    [False, False, True, False, True, False, False]
    """
    from scipy import ndimage

    beam = np.asarray(as_numpy(flat), float)
    shade = np.asarray(as_numpy(dark) if hasattr(dark, "shape") else dark, float)
    if beam.ndim not in (1, 2, 3):
        raise ArgumentError(
            f"flat must have shape (u,), (v, u) or (images, v, u), got {beam.shape}"
        )
    width = positive_integer(size, "size")
    if width % 2 == 0 or not tolerance > 0:
        raise ArgumentError(
            f"size must be odd and tolerance positive, got {size!r} and {tolerance!r}"
        )
    beam = beam.mean(axis=0) if beam.ndim == 3 else beam
    shade = shade.mean(axis=0) if shade.ndim > beam.ndim else shade
    try:
        response = beam - np.broadcast_to(shade, beam.shape)
    except ValueError:
        raise ArgumentError(
            f"flat and dark must have one shape, got {beam.shape} and {shade.shape}"
        ) from None
    bad = ~(np.isfinite(response) & (response > 0))
    usual = ndimage.median_filter(np.where(bad, 0.0, response), width, mode="nearest")
    return bad | (np.abs(response - usual) > tolerance * usual)


def mend_pixels(projections: Array, bad: Array) -> Array:
    """Values of bad pixels replaced by those between the nearest good ones.

    Parameters
    ----------
    projections : array, shape (..., u) or (..., v, u)
        Counts or projections, flat or dark images; at bad pixels anything, NaN too.
    bad : array of bool, shape (u,) or (v, u)
        True for pixels to replace, in all views.

    Returns
    -------
    array
        Like ``projections``: linear along u between the next good pixels of a row, beside the last one its
        value. A row without any is made from those above and below.

    Raises
    ------
    ArgumentError
        If the shapes do not fit, or no pixel is good.
    NonFiniteError
        If values at good pixels are NaN or infinite.

    Examples
    --------
    >>> y = np.array([[1.0, np.nan, 3.0, 9.0]])
    >>> mend_pixels(y, np.array([False, True, False, True])).tolist()
    [[1.0, 2.0, 3.0, 3.0]]
    """
    mask = np.asarray(as_numpy(bad)) if hasattr(bad, "shape") else np.asarray(bad)
    values = np.array(as_numpy(projections), float)
    if mask.dtype != bool or mask.ndim not in (1, 2) or values.shape[-mask.ndim :] != mask.shape:
        raise ArgumentError(
            f"bad must be an array of bool of shape (u,) or (v, u), the last axes of {values.shape}; "
            f"got {mask.dtype} of shape {mask.shape}"
        )
    if mask.all():
        raise ArgumentError("all pixels are bad")
    wrong = np.count_nonzero(~np.isfinite(values[..., ~mask]))
    if wrong:
        raise NonFiniteError(
            f"projections hold {wrong} values at good pixels that are NaN or infinite"
        )
    rows = mask.reshape(-1, mask.shape[-1])
    lines = values.reshape(-1, *rows.shape)
    for row in range(len(rows)):
        holes = rows[row]
        if holes.any() and not holes.all():
            lines[:, row] = _bridged(lines[:, row], holes)
    empty = np.asarray(rows.all(axis=1))
    if empty.any():
        lines[:] = np.moveaxis(_bridged(np.moveaxis(lines, 1, 2), empty), 2, 1)
    return like(lines.reshape(values.shape), projections)


def _bridged(lines: FloatArray, holes: np.ndarray[Any, Any]) -> FloatArray:
    """Lines (..., n) with the entries at holes (n,) interpolated from the others."""
    good = np.flatnonzero(~holes)
    places = np.flatnonzero(holes)
    after = np.searchsorted(good, places)
    low, high = good[np.maximum(after - 1, 0)], good[np.minimum(after, len(good) - 1)]
    way = np.where(high > low, (places - low) / np.maximum(high - low, 1), 0.0)
    result = lines.copy()
    result[..., places] = (1 - way) * lines[..., low] + way * lines[..., high]
    return result


def remove_zingers(
    projections: Array, threshold: float | None = None, size: int = 3, kind: str = "bright"
) -> Array:
    """Single values far from their neighbours replaced by the median of those.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u)
        Counts (zingers, from radiation that hits the camera, are bright), or line integrals (they are dark).
    threshold : float, optional
        Difference from the median beyond which a value is replaced, in the unit of the projections. By
        default ten times the standard deviation of these differences, estimated from their median modulus.
    size : int, default 3
        Of the neighbourhood along the last two axes: the detector's in 3D, views and u in 2D; odd.
    kind : {"bright", "dark", "both"}
        Whether values above, below or on both sides are replaced.

    Returns
    -------
    array
        Like ``projections``; all other values are as they were.

    Raises
    ------
    ArgumentError
        If an argument makes no sense.
    NonFiniteError
        If projections are NaN or infinite.

    Notes
    -----
    A selective median filter: TomoPy's ``remove_outlier`` does the same with a threshold in counts.

    Examples
    --------
    >>> y = np.random.default_rng(0).normal(100.0, 1.0, (50, 40))
    >>> y[20, 10] = 900.0
    >>> mended = remove_zingers(y)
    >>> bool(mended[20, 10] < 105.0), int((mended != y).sum())
    (True, 1)
    """
    from scipy import ndimage

    values = as_projections(projections, "projections")
    width = positive_integer(size, "size")
    if width % 2 == 0 or width == 1 or kind not in ("bright", "dark", "both"):
        raise ArgumentError(
            f"size must be odd and above 1, kind 'bright', 'dark' or 'both', got {size!r} and {kind!r}"
        )
    window = (1,) * (values.ndim - 2) + (width, width)
    usual = ndimage.median_filter(values, window, mode="reflect")
    difference = values - usual
    if threshold is None:
        threshold = 10 * _TO_DEVIATION * float(np.median(np.abs(difference)))
    if not (np.isfinite(threshold) and threshold >= 0):
        raise ArgumentError(f"threshold must be finite and not negative, got {threshold!r}")
    far = {"bright": difference, "dark": -difference, "both": np.abs(difference)}[kind] > threshold
    return like(np.where(far, usual, values), projections)
