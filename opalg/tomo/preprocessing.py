"""From what a detector counted to line integrals, and where the rotation axis is."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.angles import as_angles
from opalg.tomo.frames import FloatArray

__all__ = ["find_rotation_axis", "line_integrals", "transmission"]


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
    counts = _counts(data, "data")
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
    ArgumentError
        If values are not positive and no ``minimum`` is given.

    Examples
    --------
    >>> line_integrals(np.array([1.0, 0.5, 0.0]), minimum=0.25).round(2)
    array([-0.  ,  0.69,  1.39], dtype=float32)
    """
    values = np.asarray(as_numpy(transmission), float)
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


def find_rotation_axis(sinogram: Array, angles: Any) -> float:
    """The detector column at which the rotation axis is seen, to a fraction of a pixel.

    Parameters
    ----------
    sinogram : array, shape (views, u) or (views, v, u)
        Line integrals of a parallel beam. Of a stack all rows are used together.
    angles : array, shape (views,)
        Radians; half a turn or more, any steps.

    Returns
    -------
    float
        Index along u, pixel centres being whole numbers; hand it to ``geometry.with_axis_at``.

    Raises
    ------
    ArgumentError
        If shapes do not fit, or nothing changes along the detector.
    NonFiniteError
        If the sinogram holds NaN or infinity.

    Notes
    -----
    Rows measured at *a* and *a + pi* are mirror images about the axis. So a sinogram, completed to a full
    turn by its own mirror image about an assumed axis, is a function on the circle whose angular
    harmonics at detector frequency *w* vanish beyond order *R w*, with *R* the radius of the
    object [1]_; a wrong axis puts energy there [2]_. For every low frequency the harmonics that
    may be present are fitted to the doubled data; the energy that they explain is, as a function of
    the axis *a*, a constant plus ``Re(c(w) exp(2 i w a))``, so that the sum over all frequencies is known
    at every *a* from one fit. Its maximum is the result. The derivative along u is taken first, and
    faded out at the ends of the detector, so that neither a constant background nor an object
    that is wider than the detector pulls the axis to the middle.

    References
    ----------
    .. [1] P. A. Rattey and A. G. Lindgren, "Sampling the 2-D Radon transform", IEEE Transactions on
       Acoustics, Speech, and Signal Processing 29(5), 994-1002, 1981.
    .. [2] N. T. Vo, M. Drakopoulos, R. C. Atwood and C. Reinhard, "Reliable method for calculating the
       center of rotation in parallel-beam tomography", Optics Express 22(16), 19078-19086, 2014.

    Examples
    --------
    >>> from opalg import tomo
    >>> geometry = tomo.ParallelBeam(angles=90, detector=101).with_axis_at(46.25)
    >>> body = tomo.phantoms.ellipse((30.0, 18.0), centre=(5.0, -4.0), angle=0.4)
    >>> round(find_rotation_axis(body.project(geometry), geometry.angles), 1)
    46.2
    """
    values = _counts(sinogram, "the sinogram")
    directions = as_angles(angles, np.pi)
    views, n = values.shape[0], values.shape[-1]
    if len(directions) != views:
        raise ArgumentError(f"{views} views need as many angles, got {len(directions)}")
    if views < 8 or n < 8:
        raise ArgumentError(f"at least 8 views and 8 columns are needed, got {views} and {n}")
    frequencies, strengths = _consistency(values, directions)
    if not np.abs(strengths).any():
        raise ArgumentError("the sinogram is constant along the detector: there is no axis to find")

    def consistency(shift: FloatArray) -> Any:
        return np.real(np.exp(2j * np.multiply.outer(shift, frequencies)) @ strengths)

    # The axis of a useful scan lies well inside the detector. It is a sum of waves longer than a pixel.
    coarse = np.arange(-0.4 * n, 0.4 * n, 0.25)
    best = coarse[np.argmax(consistency(coarse))]
    fine = best + np.arange(-0.25, 0.25, 1e-3)
    return (n - 1) / 2 + float(fine[np.argmax(consistency(fine))])


_EDGE = 0.05  # part of the detector over which the derivative is faded out, at either end
_FITTED = 0.6  # harmonics per view in the doubled data: more would fit anything


def _consistency(values: FloatArray, angles: FloatArray) -> tuple[FloatArray, Any]:
    """Detector frequencies (radians per pixel) and the complex strengths c of the notes above."""
    views, n = values.shape[0], values.shape[-1]
    slopes = np.diff(values, axis=-1)
    fade = np.minimum((np.arange(n - 1) + 1) / (_EDGE * n), 1)
    slopes *= np.sin(np.pi / 2 * np.minimum(fade, fade[::-1])) ** 2
    length = 2 * n
    w = 2 * np.pi * np.arange(n) / length
    # Frequency zero holds the mean slope, nothing; the radius is that of an object as wide as the detector.
    orders = np.ceil(n / 2 * w).astype(int) + 1
    chosen = np.flatnonzero((w > 0) & (2 * orders + 1 <= _FITTED * 2 * views))
    spectra = np.fft.rfft(slopes, length, axis=-1)[..., chosen]
    spectra *= np.exp(1j * w[chosen] * (n - 2) / 2)  # positions count from the detector's centre
    spectra = spectra.reshape(views, -1, len(chosen))
    # Harmonics in rising order: the first 2 N + 1 orthonormal columns span those up to order N.
    top = int(orders[chosen].max())
    harmonics = np.array([0, *(s * m for m in range(1, top + 1) for s in (1, -1))])
    waves = np.exp(1j * angles[:, None] * harmonics)
    basis, _ = np.linalg.qr(np.concatenate([waves, waves * (-1.0) ** harmonics]))
    strengths = np.zeros(len(chosen), complex)
    for k, order in enumerate(orders[chosen]):
        seen = basis[:views, : 2 * order + 1].conj().T @ spectra[..., k]
        # A derivative changes its sign in the mirror.
        mirrored = -basis[views:, : 2 * order + 1].conj().T @ spectra[..., k].conj()
        strengths[k] = np.vdot(mirrored, seen)
    return w[chosen], strengths


def _counts(data: Array, what: str) -> FloatArray:
    values = np.asarray(as_numpy(data), float)
    if values.ndim not in (2, 3):
        raise ArgumentError(
            f"{what} must have shape (views, u) or (views, v, u), got {tuple(values.shape)}"
        )
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"{what} holds {bad} values that are NaN or infinite")
    return values


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
