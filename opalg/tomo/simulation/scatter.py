"""Scattered radiation, by a convolution."""

from __future__ import annotations

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.tomo.measured import finite
from opalg.tomo.simulation.common import detector_axes, like, not_negative

__all__ = ["scatter"]


def scatter(projections: Array, strength: float, width: float) -> Array:
    """Projections with the radiation added that the object scatters into the detector.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front for all alike
        Line integrals, without unit.
    strength : float
        Scattered photons per scattered primary one: that many of ``exp(-p) p`` reach the detector.
    width : float
        Standard deviation of the normal distribution over which they spread, in pixels; a good part of the
        detector.

    Returns
    -------
    array
        Like ``projections``: ``-log(exp(-p) + strength * G(exp(-p) p))`` with *G* the convolution along u,
        and v. Smaller than ``p``; reconstructions have shades between dense parts.

    Raises
    ------
    ArgumentError
        If a number is negative.

    Notes
    -----
    The photons that scatter once, forwards, are proportional to those that arrive times the length of their
    way in matter, the *scatter potential* of [1]_. Nothing is scattered in from beside the detector.

    References
    ----------
    .. [1] B. Ohnesorge, T. Flohr and K. Klingenbeck-Regn, "Efficient object scatter correction algorithm for
       third and fourth generation CT scanners", European Radiology 9, 563-569, 1999.

    Examples
    --------
    >>> p = np.full((1, 101), 3.0)
    >>> scatter(p, strength=0.1, width=2.0)[0, 50].round(4)  # -log(exp(-3) * (1 + 0.1 * 3))
    np.float64(2.7376)
    """
    from scipy import ndimage

    values = finite(projections)
    amount, deviation = not_negative(strength, "strength"), not_negative(width, "width")
    if values.min(initial=0.0) < -1.0:
        raise ArgumentError(
            f"projections reach {values.min():.3g}; line integrals of matter are not negative"
        )
    primary = np.exp(-values)
    spread = primary * np.maximum(values, 0.0)  # noise makes air slightly negative
    for axis in detector_axes(values):
        if deviation:
            spread = ndimage.gaussian_filter1d(spread, deviation, axis=axis, mode="constant")
    # In this form an opaque object gives no infinity.
    return like(-np.logaddexp(-values, np.log(np.maximum(amount * spread, 1e-300))), projections)
