"""Noise of counting photons, of reading a detector, and plain normal noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.tomo.measured import finite
from opalg.tomo.simulation.common import Seed, fitting, like

__all__ = ["gaussian", "poisson"]

# A reading of no photon at all has no logarithm; it is read as half a photon.
_ZERO_COUNT = 0.5
_MOST_PHOTONS = 1e15  # beyond, counts are no longer exact in float64 and noise is below rounding


def poisson(projections: Array, photons: Any, seed: Seed = None, electronic: float = 0.0) -> Array:
    """Line integrals as measured with a finite number of photons.

    The count of a pixel is Poisson distributed with mean ``photons * exp(-projection)`` (Beer-Lambert);
    the result is ``-log(count / photons)``. Where not a single photon arrives, half a photon is
    counted, so that the result stays finite: at most ``log(2 * photons)``.

    Parameters
    ----------
    projections : array
        Line integrals, without unit; any array library.
    photons : float or array
        Mean number of photons that a pixel receives without an object; an array broadcasts.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same noise in every array library.
    electronic : float, default 0.0
        Standard deviation of the normal noise that reading the detector adds to the count, in photons.

    Returns
    -------
    array
        Like ``projections``: same shape, dtype, library and device. The standard deviation is near
        ``exp(projection / 2) / sqrt(photons)`` where counts are large.

    Raises
    ------
    NonFiniteError
        If projections are NaN or infinite.
    DtypeError
        If they are complex.
    ArgumentError
        If ``photons`` is not positive or does not broadcast to the projections, or a mean count exceeds 1e15.

    Examples
    --------
    >>> y = poisson(np.full((2, 3), 1.0, "float32"), photons=1e6, seed=0)
    >>> y.dtype.name, bool(abs(y - 1).max() < 0.01)
    ('float32', True)
    """
    values = finite(projections)
    flux = fitting(photons, values.shape, "photons")
    if not (np.isfinite(flux).all() and (flux > 0).all()):
        raise ArgumentError(f"photons must be positive and finite, got {photons!r:.60}")
    mean = flux * np.exp(-values)
    if mean.max(initial=0.0) > _MOST_PHOTONS:
        raise ArgumentError(
            f"the mean count reaches {mean.max():.3g}; are the projections line integrals "
            f"(values from {values.min():.3g} to {values.max():.3g}) and photons per pixel?"
        )
    if not (np.isfinite(electronic) and electronic >= 0):
        raise ArgumentError(f"electronic must be finite and at least zero, got {electronic!r}")
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean).astype(float)
    if electronic:
        counts += electronic * rng.standard_normal(counts.shape)
    counts = np.maximum(counts, _ZERO_COUNT)
    return like(-np.log(counts / flux), projections)


def gaussian(projections: Array, sigma: Any, seed: Seed = None) -> Array:
    """Projections plus independent normal noise.

    Parameters
    ----------
    projections : array
    sigma : float or array
        Standard deviation; an array broadcasts.
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    array
        Like ``projections``.

    Raises
    ------
    ArgumentError
        If ``sigma`` is negative or does not broadcast to the projections.

    Examples
    --------
    >>> gaussian(np.zeros(2), sigma=0.0, seed=0).tolist()
    [0.0, 0.0]
    """
    values = finite(projections)
    deviation = fitting(sigma, values.shape, "sigma")
    if not (np.isfinite(deviation).all() and (deviation >= 0).all()):
        raise ArgumentError(f"sigma must be finite and at least zero, got {sigma!r:.60}")
    noise = np.random.default_rng(seed).standard_normal(values.shape)
    return like(values + deviation * noise, projections)
