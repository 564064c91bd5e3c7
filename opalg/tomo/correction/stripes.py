"""Rings in reconstructions are stripes along the views of a sinogram; here they are taken out."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, MissingExtraError
from opalg.tomo.correction.common import as_projections, like, positive_integer

__all__ = ["remove_rings", "remove_rings_wavelet"]


def remove_rings(projections: Array, size: int = 9) -> Array:
    """Sinograms without stripes, by sorting.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u)
        Line integrals; every row of the detector is a sinogram.
    size : int, default 9
        Width of the median filter, in pixels: more than twice that of the stripes. The wider, the more fine
        structure is lost; detectors of 2000 pixels bear 21.

    Returns
    -------
    array
        Like ``projections``.

    Raises
    ------
    ArgumentError
        If the size is not positive.
    NonFiniteError
        If projections are NaN or infinite.

    Notes
    -----
    The values that a pixel measured in all views are sorted; neighbouring pixels see nearly the same values,
    though not in the same views. So the sorted columns, side by side, vary slowly along u but for errors of
    single pixels, which a median along u removes at every level of grey. Then all values go back to their
    views. Works for full and partial stripes, leaves little blur and makes no new stripes; needs enough
    views (half a turn), and structures that are not themselves rings about the axis [1]_.

    References
    ----------
    .. [1] N. T. Vo, R. C. Atwood and M. Drakopoulos, "Superior techniques for eliminating ring artifacts in
       X-ray micro-tomography", Optics Express 26(22), 28396-28412, 2018, algorithm 3.

    Examples
    --------
    >>> from opalg import tomo
    >>> geometry = tomo.ParallelBeam(angles=180, detector=128)
    >>> y = tomo.phantoms.disc(40.0, 0.02, (10.0, 5.0)).project(geometry)
    >>> striped = tomo.noise.rings(y, sigma=0.1, seed=0, fraction=0.1)
    >>> bool(abs(remove_rings(striped, 5) - y).mean() < 0.4 * abs(striped - y).mean())
    True
    """
    from scipy import ndimage

    values = as_projections(projections, "projections")
    window = (1,) * (values.ndim - 1) + (positive_integer(size, "size"),)
    order = np.argsort(values, axis=0, kind="stable")
    smooth = ndimage.median_filter(np.take_along_axis(values, order, 0), window, mode="reflect")
    result = np.empty_like(values)
    np.put_along_axis(result, order, smooth, 0)
    return like(result, projections)


def remove_rings_wavelet(
    projections: Array, levels: int = 3, damping: float = 1.0, wavelet: str = "db5"
) -> Array:
    """Sinograms without stripes, by damping what is constant along the views in their wavelet coefficients.

    Parameters
    ----------
    projections : array, shape (views, u) or (views, v, u)
        Line integrals; every row of the detector is a sinogram.
    levels : int, default 3
        Of the wavelet transform: stripes up to about ``2**levels`` pixels wide are removed.
    damping : float, default 1.0
        Width of the notch about frequency zero along the views, in frequencies of the level.
    wavelet : str, default "db5"
        A name of PyWavelets.

    Returns
    -------
    array
        Like ``projections``.

    Raises
    ------
    ArgumentError
        If an argument makes no sense, or the sinogram is too small for so many levels.
    NonFiniteError
        If projections are NaN or infinite.
    MissingExtraError
        Without ``opalg[wavelets]``.

    Notes
    -----
    Stripes along the views are in the coefficients that are detailed along u and coarse along the views, at
    frequency zero along the views; those are multiplied by ``1 - exp(-k^2 / (2 damping^2))``. For errors of
    many neighbouring pixels, which `remove_rings` cannot tell from the object; single ones are better left
    to that. What is itself constant over the views, such as a disc about the axis, suffers, the more levels
    the more.

    References
    ----------
    B. Münch, P. Trtik, F. Marone and M. Stampanoni, "Stripe and ring artifact removal with combined wavelet -
    Fourier filtering", Optics Express 17(10), 8567-8591, 2009.

    Examples
    --------
    >>> from opalg import tomo
    >>> geometry = tomo.ParallelBeam(angles=180, detector=128)
    >>> y = tomo.phantoms.disc(40.0, 0.02, (10.0, 5.0)).project(geometry)
    >>> striped = tomo.noise.rings(y, sigma=0.1, seed=0)
    >>> bool(abs(remove_rings_wavelet(striped) - y).mean() < 0.7 * abs(striped - y).mean())
    True
    """
    pywt = _pywt()
    values = as_projections(projections, "projections")
    count = positive_integer(levels, "levels")
    if not (np.isfinite(damping) and damping > 0):
        raise ArgumentError(f"damping must be positive, got {damping!r}")
    try:
        most = pywt.dwt_max_level(min(values.shape[0], values.shape[-1]), wavelet)
    except ValueError as error:
        raise ArgumentError(
            f"{error} (pywt.wavelist(kind='discrete') names those there are)"
        ) from None
    if count > most:
        raise ArgumentError(
            f"a sinogram of {values.shape[0]} views and {values.shape[-1]} columns has at most {most} levels "
            f"of {wavelet}, got {levels}"
        )
    axes = (0, values.ndim - 1)
    coarse, *details = pywt.wavedec2(values, wavelet, level=count, axes=axes)
    # Details of a level: along the views, along u, along both. Stripes are in the second.
    details = [(across, _without_mean(along, damping), both) for across, along, both in details]
    result = pywt.waverec2([coarse, *details], wavelet, axes=axes)
    return like(result[: values.shape[0], ..., : values.shape[-1]], projections)


def _without_mean(band: np.ndarray[Any, Any], damping: float) -> np.ndarray[Any, Any]:
    """A band without its lowest frequencies along the views."""
    k = np.arange(len(band) // 2 + 1)
    notch = 1 - np.exp(-(k**2) / (2 * damping**2))
    spectrum = np.fft.rfft(band, axis=0) * notch.reshape(-1, *[1] * (band.ndim - 1))
    return np.fft.irfft(spectrum, len(band), axis=0)


def _pywt() -> Any:
    try:
        import pywt
    except ImportError:
        raise MissingExtraError(
            "removing rings by wavelets needs PyWavelets: pip install 'opalg[wavelets]'"
        ) from None
    return pywt
