"""Noise: what a detector makes of line integrals. Every function takes a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, move
from opalg.errors import ArgumentError, NonFiniteError

__all__ = ["beam_hardening", "gaussian", "poisson", "rings"]

Seed = int | np.random.Generator | None

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
    if not (np.isfinite(electronic) and electronic >= 0):
        raise ArgumentError(f"electronic must be finite and at least zero, got {electronic!r}")
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean).astype(float)
    if electronic:
        counts += electronic * rng.standard_normal(counts.shape)
    counts = np.maximum(counts, _ZERO_COUNT)
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


def rings(projections: Array, sigma: float, seed: Seed = None) -> Array:
    """Projections of a detector whose pixels respond unequally: the same error of a pixel in all views.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u), with batch axes in front for all alike
    sigma : float
        Standard deviation of the errors, in the unit of the projections (the logarithm of a gain).
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    array
        Like ``projections``; reconstructions of it have rings.

    Examples
    --------
    >>> y = rings(np.zeros((3, 4)), sigma=0.01, seed=0)
    >>> bool((y[0] == y[2]).all()), bool((y[0, :3] != y[0, 1:]).all())
    (True, True)
    """
    values = _finite(projections)
    if values.ndim < 2:
        raise ArgumentError(f"projections need a view axis, got shape {values.shape}")
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ArgumentError(f"sigma must be finite and at least zero, got {sigma!r}")
    # Without knowing which axes are batch: (views, u) in 2D, (views, v, u) from three axes on.
    detector = values.shape[-1:] if values.ndim == 2 else values.shape[-2:]
    return _like(
        values + sigma * np.random.default_rng(seed).standard_normal(detector), projections
    )


def beam_hardening(projections: Array, spectrum: Any, attenuation: Any) -> Array:
    """What a polychromatic beam measures of an object of one material.

    Parameters
    ----------
    projections : array
        Line integrals of the object at the energy where the relative attenuation is 1.
    spectrum : array, shape (energies,)
        Number of photons, or of detected energy, in each bin; any scale.
    attenuation : array, shape (energies,)
        The material's attenuation in each bin, relative to that of the line integrals.

    Returns
    -------
    array
        Like ``projections``: ``-log(sum(s * exp(-a * p)) / sum(s))``. Less than ``p`` times the mean
        attenuation, the more so the longer the way: reconstructions are darker in the middle.

    Raises
    ------
    ArgumentError
        If the arrays do not fit, or hold negative numbers.

    Examples
    --------
    >>> beam_hardening(np.array([0.0, 1.0, 4.0]), [1.0, 1.0], [1.5, 0.5]).round(3).tolist()
    [0.0, 0.88, 2.675]
    """
    values = _finite(projections)
    photons, factors = (np.asarray(a, float) for a in (spectrum, attenuation))
    if photons.ndim != 1 or photons.shape != factors.shape or photons.size == 0:
        raise ArgumentError(
            f"spectrum and attenuation must be lists of equal length, got shapes {photons.shape} and "
            f"{factors.shape}"
        )
    usable = np.isfinite(photons).all() and np.isfinite(factors).all()
    if not usable or photons.min() < 0 or photons.sum() == 0 or factors.min() < 0:
        raise ArgumentError(
            "spectrum and attenuation must be finite and not negative, and not all zero"
        )
    passed = np.zeros(values.shape)
    least = factors.min()  # taken out of the exponent, so that nothing vanishes
    for share, factor in zip(photons / photons.sum(), factors, strict=True):
        passed += share * np.exp(-(factor - least) * values)
    return _like(least * values - np.log(passed), projections)


def _finite(projections: Array) -> np.ndarray[Any, Any]:
    values = np.asarray(as_numpy(projections), float)
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"projections hold {bad} values that are NaN or infinite")
    return values


def _like(values: np.ndarray[Any, Any], projections: Array) -> Array:
    dtype = as_numpy(projections).dtype
    return move(values.astype(dtype if dtype.kind == "f" else np.float64), projections)
