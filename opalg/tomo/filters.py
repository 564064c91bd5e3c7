"""The ramp filter of filtered back projection, an operator on sinograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import scipy.fft

from opalg.arrays import Array, as_numpy, is_array
from opalg.errors import ArgumentError, NonFiniteError
from opalg.spaces import Space
from opalg.tomo.frames import FloatArray
from opalg.tomo.frequency_filter import FrequencyFilter, padded_length

__all__ = ["WINDOWS", "RampFilter", "Window"]

Window: TypeAlias = str | Callable[[FloatArray], Array] | Array
"""A name, a function of the frequency as a fraction of Nyquist, or its values from 0 to 1 in equal steps."""

# Factor of the ramp at f, a fraction of the Nyquist frequency.
WINDOWS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "ram-lak": np.ones_like,
    "shepp-logan": lambda f: np.sinc(f / 2),
    "cosine": lambda f: np.cos(np.pi * f / 2),
    "hamming": lambda f: 0.54 + 0.46 * np.cos(np.pi * f),
    "hann": lambda f: 0.5 + 0.5 * np.cos(np.pi * f),
}


class RampFilter(FrequencyFilter):
    """Convolution of detector rows with the band-limited ramp, times a window.

    Parameters
    ----------
    space : Space
        Sinograms; the last axis is filtered.
    pitch : float
        Distance of neighbouring pixels along that axis.
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, function or array
        What the ramp is multiplied with: 1 (the default), ``sinc(f / 2)``, ``cos(pi f / 2)``,
        ``0.54 + 0.46 cos(pi f)``, ``0.5 + 0.5 cos(pi f)``, with *f* the frequency as a fraction of the
        Nyquist frequency. Cosine and Hann reach zero there. A function takes an array of *f* in [0, 1] and
        gives as many factors; an array holds the factors at equal steps of *f* from 0 to 1, with straight
        lines between.
    frequency_scaling : float, default 1.0
        In (0, 1]: the window is compressed to this fraction of the band, above it all is zero.
    arc_step : float, default 0.0
        Of a curved detector the angle between columns, in radians; ``pitch`` is the arc length then.

    Raises
    ------
    ArgumentError
        If the window is unknown or gives no factors, or a number makes no sense.
    NonFiniteError
        If the window is NaN or infinite somewhere.

    Notes
    -----
    The ramp is the transform of its band-limited kernel in space [1]_, ``1 / (4 p^2)`` at 0,
    ``-1 / (pi n p)^2`` at odd *n* and 0 at even *n*, with *p* the pitch. (The ramp sampled in frequency would
    be zero at frequency zero, which lowers all values.) Rows are zero-padded to at least twice
    their length, so that the convolution does not wrap around. The operator is its own transpose.
    Results have the unit of the projections per length squared, times *p* for the sum: 1 / mm of theirs.
    On a curved detector with angle *g* between columns the entry *n* of the kernel is multiplied by
    ``(n g / sin(n g))^2`` (the same section, equation 92). Other libraries keep a filter for every row; here
    that is ``responses``.

    References
    ----------
    .. [1] A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging", IEEE Press,
       1988, section 3.3.3, equation 61.

    Examples
    --------
    >>> import opalg as oa
    >>> F = RampFilter(oa.Space((1, 5), "float64"), pitch=1.0)
    >>> F(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])).round(4)[0, 1:4].tolist()
    [-0.1013, 0.25, -0.1013]
    """

    def __init__(
        self,
        space: Space,
        pitch: float,
        window: Window = "ram-lak",
        frequency_scaling: float = 1.0,
        arc_step: float = 0.0,
    ) -> None:
        if not (math.isfinite(pitch) and pitch > 0):
            raise ArgumentError(f"pitch must be positive, got {pitch!r}")
        if not 0 < frequency_scaling <= 1:
            raise ArgumentError(f"frequency_scaling must lie in (0, 1], got {frequency_scaling!r}")
        if not 0 <= arc_step * (space.shape[-1] - 1) < math.pi:
            raise ArgumentError(
                f"the columns must span less than half a turn, got {arc_step!r} each"
            )
        self.pitch = float(pitch)
        self.arc_step = float(arc_step)
        self.window = window
        self.frequency_scaling = float(frequency_scaling)
        self._columns = space.shape[-1]
        super().__init__(space, self.response.astype(space.real.dtype))

    @cached_property
    def frequencies(self) -> FloatArray:
        """Cycles per unit of length at which `response` is given, from 0 to Nyquist."""
        return scipy.fft.rfftfreq(padded_length(self._columns), self.pitch)

    @cached_property
    def response(self) -> FloatArray:
        """The factor of every frequency: nearly its absolute value, times the window."""
        length = padded_length(self._columns)
        n = np.arange(length)  # fftfreq(length, 1 / length) is not whole at all lengths, as 729
        n = np.where(n > length // 2, n - length, n)
        odd = n % 2 == 1
        kernel = np.zeros(length)
        kernel[odd] = -1 / (np.pi * n[odd]) ** 2
        kernel[0] = 0.25
        if self.arc_step:  # beyond the row nothing is needed, and the sine would vanish somewhere
            near = np.abs(n) < self._columns
            angles = np.where(near, n, 0) * self.arc_step
            kernel = np.where(near, kernel / np.sinc(angles / np.pi) ** 2, 0.0)
        ramp = scipy.fft.rfft(kernel).real / self.pitch
        # For even lengths the last entry is Nyquist; the band ends at its scaled place.
        f = scipy.fft.rfftfreq(length, 0.5) / self.frequency_scaling
        inside = f <= 1 + 1e-12
        result: FloatArray = np.zeros(f.shape)
        result[inside] = ramp[inside] * _factors(self.window, np.minimum(f[inside], 1.0))
        return result


def _factors(window: Any, f: FloatArray) -> FloatArray:
    """Of a window, at fractions of the band."""
    if isinstance(window, str):
        if window not in WINDOWS:
            raise ArgumentError(f"window must be one of {', '.join(WINDOWS)}, got {window!r}")
        return WINDOWS[window](f)
    if callable(window):
        values = window(f)
        found = np.asarray(as_numpy(values) if is_array(values) else values, float)
        if found.shape not in ((), f.shape):
            raise ArgumentError(
                f"the window must give one factor for each of {f.shape} frequencies, got shape {found.shape}"
            )
    else:
        given = np.asarray(as_numpy(window) if is_array(window) else window, float)
        if given.ndim != 1 or given.size < 2:
            raise ArgumentError(
                f"window must be a name, a function or an array of two factors or more, got {window!r:.60}"
            )
        found = np.interp(f, np.linspace(0, 1, given.size), given)
    if not np.isfinite(found).all():
        raise NonFiniteError("the window is NaN or infinite at some frequency")
    return found
