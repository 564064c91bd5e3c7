"""From what a detector counted to line integrals."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.correction.common import as_projections
from opalg.tomo.frames import FloatArray
from opalg.tomo.measured import as_real

__all__ = ["line_integrals", "transmission"]


def transmission(data: Array, flat: Array, dark: Array | float = 0.0) -> np.ndarray[Any, Any]:
    """Counts as a fraction of the incident beam: ``(data - dark) / (flat - dark)``.

    Parameters
    ----------
    data : array, shape (views, u) or (views, v, u)
        Detector counts with the object.
    flat, dark : array
        Counts without the object, and without the beam: one image, or several, whose mean is taken.

    Returns
    -------
    ndarray
        float32, the shape of ``data``.

    Raises
    ------
    ArgumentError
        If shapes do not fit, or a pixel is not brighter in ``flat`` than in ``dark``.
    NonFiniteError
        If counts are NaN or infinite.

    Examples
    --------
    >>> transmission(np.full((2, 3), 55.0), flat=np.full(3, 105.0), dark=5.0)[0].tolist()
    [0.5, 0.5, 0.5]
    """
    counts = as_projections(data, "data")
    detector = counts.shape[1:]
    empty = _mean_image(flat, detector, "flat")
    beam = empty - _mean_image(dark, detector, "dark")
    if not (beam > 0).all():
        bad = np.argwhere(beam <= 0)
        raise ArgumentError(
            f"{len(bad)} pixels are not brighter in flat than in dark, the first at "
            f"{tuple(bad[0].tolist())}: flat and dark exchanged? For single dead pixels, pass "
            "flat=np.maximum(flat, dark + 1)"
        )
    background = empty - beam
    return ((counts - background) / beam).astype(np.float32)


def line_integrals(transmission: Array, minimum: float | None = None) -> np.ndarray[Any, Any]:
    """The negative logarithm of a transmission.

    Parameters
    ----------
    transmission : array
        Positive; 1 is air.
    minimum : float, optional
        Smaller values, which noise and dead pixels leave, are raised to this one. Without it they are
        an error where they are not positive.

    Returns
    -------
    ndarray
        float32.

    Raises
    ------
    NonFiniteError
        If values are NaN or infinite.
    DtypeError
        If they are complex.
    ArgumentError
        If values are not positive and no ``minimum`` is given.

    Examples
    --------
    >>> line_integrals(np.array([1.0, 0.5, 0.0]), minimum=0.25).round(2)
    array([-0.  ,  0.69,  1.39], dtype=float32)
    """
    values = as_real(transmission, "the transmission")
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))
        raise NonFiniteError(
            f"the transmission holds {len(bad)} values that are NaN or infinite, the first at index "
            f"{tuple(bad[0].tolist())}; a flat field equal to the dark field gives such"
        )
    if minimum is None:
        if not (values > 0).all():
            bad = np.argwhere(values <= 0)
            raise ArgumentError(
                f"the transmission holds {len(bad)} values <= 0, which have no logarithm, the first at "
                f"index {tuple(bad[0].tolist())}; give minimum=, for example 1e-4, to raise them"
            )
    elif not (np.isfinite(minimum) and minimum > 0):
        raise ArgumentError(f"minimum must be positive, got {minimum!r}")
    else:
        values = np.maximum(values, minimum)
    return (-np.log(values)).astype(np.float32)


def _mean_image(image: Any, detector: tuple[int, ...], what: str) -> FloatArray:
    values = np.asarray(as_numpy(image) if hasattr(image, "shape") else image, float)
    if not np.isfinite(values).all():
        raise NonFiniteError(f"{what} holds values that are NaN or infinite")
    if values.shape[1:] == detector and values.ndim > len(detector):
        values = values.mean(axis=0)
    if values.shape not in ((), detector):
        raise ArgumentError(
            f"{what} must be a number, one image of shape {detector} or several of them, "
            f"got shape {values.shape}"
        )
    return values
