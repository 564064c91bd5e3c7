"""Noise: what a detector makes of line integrals. Every function takes a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, move
from opalg.errors import ArgumentError, NonFiniteError

__all__ = ["gaussian", "poisson"]

Seed = int | np.random.Generator | None

# A reading of no photon at all has no logarithm; it is read as half a photon.
_ZERO_COUNT = 0.5
_MOST_PHOTONS = 1e15  # beyond, counts are no longer exact in float64 and noise is below rounding


def poisson(projections: Array, photons: Any, seed: Seed = None) -> Array:
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

    Returns
    -------
    array
        Like ``projections``: same shape, dtype, library and device. The standard deviation is near
        ``exp(projection / 2) / sqrt(photons)`` where counts are large.

    Raises
    ------
    NonFiniteError
        If projections are NaN or infinite.
    ArgumentError
        If ``photons`` is not positive, or a mean count exceeds 1e15.

    Examples
    --------
    >>> y = poisson(np.full((2, 3), 1.0, "float32"), photons=1e6, seed=0)
    >>> y.dtype.name, bool(abs(y - 1).max() < 0.01)
    ('float32', True)
    """
    values = _finite(projections)
    try:
        flux = np.asarray(as_numpy(photons) if hasattr(photons, "shape") else photons, float)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"photons must be a number or an array of numbers, got {photons!r:.60}"
        ) from None
    if not (np.isfinite(flux).all() and (flux > 0).all()):
        raise ArgumentError(f"photons must be positive and finite, got {photons!r:.60}")
    mean = flux * np.exp(-values)
    if mean.max(initial=0.0) > _MOST_PHOTONS:
        raise ArgumentError(
            f"the mean count reaches {mean.max():.3g}; are the projections line integrals "
            f"(values from {values.min():.3g} to {values.max():.3g}) and photons per pixel?"
        )
    counts = np.maximum(np.random.default_rng(seed).poisson(mean), _ZERO_COUNT)
    return _like(-np.log(counts / flux), projections)


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

    Examples
    --------
    >>> gaussian(np.zeros(2), sigma=0.0, seed=0).tolist()
    [0.0, 0.0]
    """
    values = _finite(projections)
    deviation = np.asarray(as_numpy(sigma) if hasattr(sigma, "shape") else sigma, float)
    if not (np.isfinite(deviation).all() and (deviation >= 0).all()):
        raise ArgumentError(f"sigma must be finite and at least zero, got {sigma!r:.60}")
    noise = np.random.default_rng(seed).standard_normal(values.shape)
    return _like(values + deviation * noise, projections)


def _finite(projections: Array) -> np.ndarray[Any, Any]:
    values = np.asarray(as_numpy(projections), float)
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"projections hold {bad} values that are NaN or infinite")
    return values


def _like(values: np.ndarray[Any, Any], projections: Array) -> Array:
    dtype = as_numpy(projections).dtype
    return move(values.astype(dtype if dtype.kind == "f" else np.float64), projections)
