"""Where a parallel beam sees the rotation axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.tomo.angles import as_angles, measured_ranges
from opalg.tomo.correction.common import as_projections
from opalg.tomo.frames import FloatArray

__all__ = ["find_rotation_axis"]


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
        If shapes do not fit, nothing changes along the detector, or the views cover clearly less than half a
        turn (a twentieth less).
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
    values = as_projections(sinogram, "the sinogram")
    directions = as_angles(angles, np.pi)
    views, n = values.shape[0], values.shape[-1]
    if len(directions) != views:
        raise ArgumentError(f"{views} views need as many angles, got {len(directions)}")
    if views < 8 or n < 8:
        raise ArgumentError(f"at least 8 views and 8 columns are needed, got {views} and {n}")
    covered = _covered(directions)
    if covered < (1 - _LACKING) * np.pi:
        raise ArgumentError(
            f"the axis is found from half a turn or more; the views cover {np.rad2deg(covered):.1f} degrees. "
            "Are angles in radians?"
        )
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
_LACKING = 0.05  # part of half a turn that may be missing: of more, results are off by pixels
_FITTED = 0.6  # harmonics per view in the doubled data: more would fit anything


def _covered(angles: FloatArray) -> float:
    """Of how much of half a turn there are views, in radians."""
    directions = len(np.unique(np.mod(angles, np.pi)))
    ranges = measured_ranges(angles, np.pi)
    if directions == 1 or not len(ranges):
        return 0.0 if directions == 1 else np.pi
    length = float(ranges[:, 1].sum())
    # And half a step at all ends.
    return length * (1 + len(ranges) / max(directions - len(ranges), 1))


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
