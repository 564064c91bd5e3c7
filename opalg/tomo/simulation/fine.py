"""Noise of high frequencies."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from opalg.arrays import Array
from opalg.tomo.measured import finite
from opalg.tomo.simulation.common import Seed, detector_axes, like, not_negative

__all__ = ["high_frequency"]


def high_frequency(
    projections: Array, sigma: float, seed: Seed = None, width: float = 1.0
) -> Array:
    """Projections plus normal noise without its low frequencies, which differs from pixel to pixel.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front
    sigma : float
        Standard deviation of the normal noise, before it is taken less itself blurred.
    seed : int or numpy.random.Generator, optional
    width : float, default 1.0
        Standard deviation of the Gaussian of that blur, in pixels; wider ones leave lower frequencies.

    Returns
    -------
    array
        Like ``projections``. The power of the noise at *f* cycles per pixel is ``sigma ** 2`` times
        ``(1 - exp(-2 (pi width f) ** 2)) ** 2``, with ``f ** 2`` summed over the axes of the detector.

    Raises
    ------
    ArgumentError
        If ``sigma`` or ``width`` is negative, or there is no view axis.
    NonFiniteError
        If projections are NaN or infinite.

    References
    ----------
    ``add_high_frequency_noise`` of PYRO-NN, https://github.com/csyben/PYRO-NN.

    Examples
    --------
    >>> y = high_frequency(np.zeros((20, 50, 50)), sigma=1.0, seed=0, width=3.0)
    >>> bool(y.std() > 0.9), bool(abs(y.mean(axis=(1, 2))).max() < 0.02)
    (True, True)
    """
    values = finite(projections)
    axes = len(detector_axes(values))
    noise = np.random.default_rng(seed).standard_normal(values.shape)
    blur = [0.0] * (values.ndim - axes) + [not_negative(width, "width")] * axes
    blurred = ndimage.gaussian_filter(noise, blur)
    return like(values + not_negative(sigma, "sigma") * (noise - blurred), projections)
