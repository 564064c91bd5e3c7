"""X-ray attenuation of a few materials, and the spectrum of a tube."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError
from opalg.tomo.frames import FloatArray

__all__ = ["attenuation", "tube_spectrum"]

_ENERGIES = (20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0)  # keV
# Density in g/cm^3, and mass attenuation coefficients in cm^2/g at those energies.
_MATERIALS = {
    "water": (1.0, (0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505)),
    "bone": (1.92, (4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480)),
    "aluminium": (2.699, (3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378)),
    "titanium": (4.54, (15.85, 4.972, 2.214, 1.213, 0.7661, 0.4052, 0.2721, 0.1649)),
    "iron": (7.874, (25.68, 8.176, 3.629, 1.958, 1.205, 0.5952, 0.3717, 0.1964)),
}


def attenuation(material: str, energy: npt.ArrayLike) -> Any:
    """The linear attenuation coefficient of a material, per mm.

    Parameters
    ----------
    material : {"water", "bone", "aluminium", "titanium", "iron"}
        Bone is cortical bone of 1.92 g/cm^3.
    energy : array_like
        keV, from 20 to 150.

    Returns
    -------
    ndarray, or float for a single energy
        Of the shape of ``energy``, interpolated in logarithms between values of the table (to about 1 %).

    Raises
    ------
    ArgumentError
        For other materials and energies.

    References
    ----------
    J. H. Hubbell and S. M. Seltzer, "Tables of X-ray mass attenuation coefficients", NISTIR 5632, National
    Institute of Standards and Technology, 1995.

    Examples
    --------
    >>> attenuation("water", [60.0, 70.0]).round(4).tolist()
    [0.0206, 0.0194]
    """
    if material not in _MATERIALS:
        raise ArgumentError(f"material must be one of {', '.join(_MATERIALS)}, got {material!r}")
    wanted = np.asarray(energy, float)
    if not ((wanted >= _ENERGIES[0]) & (wanted <= _ENERGIES[-1])).all():
        raise ArgumentError(f"energies must lie from 20 to 150 keV, got {energy!r:.60}")
    density, table = _MATERIALS[material]
    logarithms = np.interp(np.log(wanted), np.log(_ENERGIES), np.log(table))
    result: FloatArray = 0.1 * density * np.exp(logarithms)  # of 1 / cm
    return result if result.ndim else float(result)


def tube_spectrum(peak: float = 120.0, filtration: float = 2.5, bins: int = 24) -> Any:
    """The spectrum of an X-ray tube by Kramers' law, behind a filter.

    Parameters
    ----------
    peak : float, default 120.0
        Voltage, kV, from 30 to 150.
    filtration : float, default 2.5
        Thickness of the aluminium, mm.
    bins : int, default 24
        Of equal width, from 20 keV (where a filter leaves next to nothing) to the peak.

    Returns
    -------
    energies, photons : ndarray, shape (bins,)
        Middle of every bin in keV, and number of photons, of sum 1.

    Raises
    ------
    ArgumentError
        If a number makes no sense.

    Notes
    -----
    The number of photons of energy *E* is proportional to ``(peak - E) / E``, times what the filter lets
    pass; the characteristic lines of the anode are left out.

    References
    ----------
    H. A. Kramers, "On the theory of X-ray absorption and of the continuous X-ray spectrum", Philosophical
    Magazine 46, 836-871, 1923.

    Examples
    --------
    >>> energies, photons = tube_spectrum(120.0)
    >>> round(float(energies @ photons), 1)  # mean energy, keV
    51.1
    """
    whole = isinstance(bins, (int, np.integer)) and not isinstance(bins, bool)
    if not (30.0 <= peak <= 150.0 and filtration >= 0 and whole and bins >= 1):
        raise ArgumentError(
            f"a tube has 30 to 150 kV, a filter at least 0 mm and a spectrum a number of bins, got "
            f"{peak!r}, {filtration!r} and {bins!r}"
        )
    edges = np.linspace(_ENERGIES[0], peak, bins + 1)
    energies = (edges[:-1] + edges[1:]) / 2
    photons = (peak - energies) / energies
    photons *= np.exp(-filtration * attenuation("aluminium", energies))
    return energies, photons / photons.sum()
