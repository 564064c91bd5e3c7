"""What a beam of many energies measures: beam hardening, and metal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.tomo.measured import finite
from opalg.tomo.simulation.common import Seed, like
from opalg.tomo.simulation.counting import poisson
from opalg.tomo.simulation.materials import attenuation as of_material
from opalg.tomo.simulation.materials import tube_spectrum

__all__ = ["beam_hardening", "metal", "polychromatic"]


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
        If the arrays do not fit, or spectrum or attenuation hold negative numbers. Line integrals may, as
        noise makes them.

    Examples
    --------
    >>> beam_hardening(np.array([0.0, 1.0, 4.0]), [1.0, 1.0], [1.5, 0.5]).round(3).tolist()
    [0.0, 0.88, 2.675]
    """
    return polychromatic([projections], spectrum, np.atleast_2d(np.asarray(attenuation, float)))


def polychromatic(lengths: Sequence[Array], spectrum: Any, attenuation: Any) -> Array:
    """What a beam of many energies measures of an object of several materials.

    Parameters
    ----------
    lengths : sequence of arrays
        For each material the lengths of the rays in it (the projections of a phantom of value 1).
    spectrum : array, shape (energies,)
        Number of photons, or of detected energy, in each bin; any scale.
    attenuation : array, shape (materials, energies)
        Linear attenuation coefficients, per unit of those lengths; see `attenuation`.

    Returns
    -------
    array
        Like the first of ``lengths``: ``-log(sum_e s_e exp(-sum_m a_me l_m) / sum_e s_e)``.

    Raises
    ------
    ArgumentError
        If arrays do not fit, or spectrum or attenuation hold negative numbers. Lengths may, as noise makes
        them.

    Examples
    --------
    >>> water, steel = np.array([100.0, 100.0]), np.array([0.0, 2.0])
    >>> polychromatic([water, steel], [1.0, 1.0], [[0.02, 0.03], [0.3, 0.9]]).round(3).tolist()
    [2.38, 3.188]
    """
    ways = [finite(length) for length in lengths]
    photons, factors = np.asarray(spectrum, float), np.asarray(attenuation, float)
    if not ways or any(way.shape != ways[0].shape for way in ways):
        raise ArgumentError("lengths must be one array for each material, all of one shape")
    if photons.ndim != 1 or factors.shape != (len(ways), photons.size) or photons.size == 0:
        raise ArgumentError(
            f"{len(ways)} materials need a spectrum and attenuation of shapes (energies,) and "
            f"({len(ways)}, energies), got {photons.shape} and {factors.shape}"
        )
    usable = np.isfinite(photons).all() and np.isfinite(factors).all()
    if not usable or photons.min() < 0 or photons.sum() == 0 or factors.min() < 0:
        raise ArgumentError(
            "spectrum and attenuation must be finite and not negative, and not all zero"
        )
    shares = photons / photons.sum()
    exponents = [
        sum(factor * way for factor, way in zip(column, ways, strict=True))
        for column, share in zip(factors.T, shares, strict=True)
        if share > 0
    ]
    least = np.minimum.reduce(exponents)  # taken out, so that nothing vanishes
    passed = np.zeros(ways[0].shape)
    for share, exponent in zip(shares[shares > 0], exponents, strict=True):
        passed += share * np.exp(least - exponent)
    return like(least - np.log(passed), lengths[0])


def metal(
    projections: Array,
    implant: Array,
    photons: Any = 1e5,
    seed: Seed = None,
    *,
    material: str = "titanium",
    energy: float = 70.0,
    peak: float = 120.0,
    electronic: float = 0.0,
) -> Array:
    """Projections of a body with metal inside: hardened, starved of photons, noisy.

    Parameters
    ----------
    projections : array
        Line integrals of the body, without unit, as at ``energy``; all of it attenuates like water.
    implant : array
        Lengths of the rays in the metal, in mm: the projections of a phantom of value 1.
    photons : float or array, default 1e5
        Mean number that a pixel receives without an object.
    seed : int or numpy.random.Generator, optional
    material : str, default "titanium"
        See `attenuation`.
    energy : float, default 70.0
        Of the line integrals, keV.
    peak : float, default 120.0
        Voltage of the tube, kV; see `tube_spectrum`.
    electronic : float, default 0.0
        As of `poisson`.

    Returns
    -------
    array
        Like ``projections``: reconstructions of it have dark and bright streaks between pieces of metal.

    Notes
    -----
    The three causes of metal artefacts in one: beam hardening (`polychromatic`), few photons and electronic
    noise (`poisson`) [1]_. The fourth, scatter, is `scatter`.

    References
    ----------
    .. [1] B. De Man, J. Nuyts, P. Dupont, G. Marchal and P. Suetens, "Metal streak artifacts in X-ray
       computed tomography: a simulation study", IEEE Transactions on Nuclear Science 46(3), 691-696, 1999.

    Examples
    --------
    >>> from opalg.tomo import noise
    >>> screw = np.full(20000, 8.0)
    >>> thin, thick = (noise.metal(0 * screw, way * screw, 1e6, seed=0) for way in (1, 2))
    >>> bool(thick.mean() < 1.9 * thin.mean())  # the beam has hardened
    True
    """
    water = finite(projections) / of_material("water", energy)
    energies, spectrum = tube_spectrum(peak)
    factors = np.stack([of_material(name, energies) for name in ("water", material)])
    measured = polychromatic([water, finite(implant)], spectrum, factors)
    return like(poisson(measured, photons, seed, electronic), projections)
