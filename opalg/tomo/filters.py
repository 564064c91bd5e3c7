"""The ramp filter of filtered back projection, an operator on sinograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft

from opalg.arrays import Array, Constant, as_numpy, copy, is_torch, namespace
from opalg.engines.device_arrays import library_of
from opalg.errors import ArgumentError
from opalg.operators import LinearOperator
from opalg.operators.norms import Bounds, refined
from opalg.operators.operator import Cost
from opalg.spaces import Space
from opalg.tomo.frames import FloatArray

__all__ = ["WINDOWS", "RampFilter"]

# Factor of the ramp at f, a fraction of the Nyquist frequency.
WINDOWS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "ram-lak": np.ones_like,
    "shepp-logan": lambda f: np.sinc(f / 2),
    "cosine": lambda f: np.cos(np.pi * f / 2),
    "hamming": lambda f: 0.54 + 0.46 * np.cos(np.pi * f),
    "hann": lambda f: 0.5 + 0.5 * np.cos(np.pi * f),
}

_CHUNK = 1 << 22  # entries that are padded and transformed at a time


class RampFilter(LinearOperator):
    """Convolution of detector rows with the band-limited ramp, times a window.

    Parameters
    ----------
    space : Space
        Sinograms; the last axis is filtered.
    pitch : float
        Distance of neighbouring pixels along that axis.
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, default "ram-lak"
        What the ramp is multiplied with: 1, ``sinc(f / 2)``, ``cos(pi f / 2)``,
        ``0.54 + 0.46 cos(pi f)``, ``0.5 + 0.5 cos(pi f)``, with *f* the frequency as a fraction of the
        Nyquist frequency. Cosine and Hann reach zero there.
    frequency_scaling : float, default 1.0
        In (0, 1]: the window is compressed to this fraction of the band, above it all is zero.
    arc_step : float, default 0.0
        Of a curved detector the angle between columns, in radians; ``pitch`` is the arc length then.

    Raises
    ------
    ArgumentError
        If the window is unknown, or a number makes no sense.

    Notes
    -----
    The ramp is the transform of its band-limited kernel in space [1]_, ``1 / (4 p^2)`` at 0,
    ``-1 / (pi n p)^2`` at odd *n* and 0 at even *n*, with *p* the pitch. (The ramp sampled in frequency would
    be zero at frequency zero, which lowers all values.) Rows are zero-padded to at least twice
    their length, so that the convolution does not wrap around. The operator is its own transpose.
    Results have the unit of the projections per length squared, times *p* for the sum: 1 / mm of theirs.
    On a curved detector with angle *g* between columns the entry *n* of the kernel is multiplied by
    ``(n g / sin(n g))^2`` (the same section, equation 92).

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

    native = True
    self_adjoint = True
    symbol = "F"

    def __init__(
        self,
        space: Space,
        pitch: float,
        window: str = "ram-lak",
        frequency_scaling: float = 1.0,
        arc_step: float = 0.0,
    ) -> None:
        super().__init__(space, space)
        if window not in WINDOWS:
            raise ArgumentError(f"window must be one of {', '.join(WINDOWS)}, got {window!r}")
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
        self._length = scipy.fft.next_fast_len(2 * space.shape[-1], real=True)
        self._response = Constant(self.response.astype(space.real.dtype))

    @cached_property
    def frequencies(self) -> FloatArray:
        """Cycles per unit of length at which `response` is given, from 0 to Nyquist."""
        return scipy.fft.rfftfreq(self._length, self.pitch)

    @cached_property
    def response(self) -> FloatArray:
        """The factor of every frequency: nearly its absolute value, times the window."""
        n = scipy.fft.fftfreq(self._length, 1 / self._length)
        odd = n % 2 == 1
        kernel = np.zeros(self._length)
        kernel[odd] = -1 / (np.pi * n[odd]) ** 2
        kernel[0] = 0.25
        if self.arc_step:  # beyond the row nothing is needed, and the sine would vanish somewhere
            near = np.abs(n) < self.domain.shape[-1]
            angles = np.where(near, n, 0) * self.arc_step
            kernel = np.where(near, kernel / np.sinc(angles / np.pi) ** 2, 0.0)
        ramp = scipy.fft.rfft(kernel).real / self.pitch
        # For even lengths the last entry is Nyquist; the band ends at its scaled place.
        f = scipy.fft.rfftfreq(self._length, 0.5) / self.frequency_scaling
        return np.where(f <= 1 + 1e-12, ramp * WINDOWS[self.window](f), 0.0)

    def _apply(self, x: Array, out: Array | None) -> Array:
        n = self.domain.shape[-1]
        if is_torch(x) or library_of(x) is not None:
            fft = namespace(x).fft  # of the caller's library: cuFFT on a CUDA device
            spectrum = fft.rfft(x, n=self._length) * self._response.like(x)
            value = fft.irfft(spectrum, n=self._length)[..., :n]
            if out is None:
                return copy(value)
            out[...] = value
            return out
        rows = as_numpy(x).reshape(-1, n)
        result = np.empty(x.shape, self.domain.dtype)
        target = result.reshape(-1, n)
        step = max(1, _CHUNK // self._length)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            target[part] = self._filtered(rows[part])
        if out is None:
            return result if isinstance(x, np.ndarray) else namespace(x).asarray(result)
        out[...] = result if isinstance(out, np.ndarray) else namespace(out).asarray(result)
        return out

    def _filtered(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        spectrum = scipy.fft.rfft(rows, self._length, workers=-1)
        spectrum *= self._response.array
        filtered: np.ndarray[Any, Any] = scipy.fft.irfft(spectrum, self._length, workers=-1)
        return filtered[:, : self.domain.shape[-1]]

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._apply(y, out)

    def _norm_bounds(self) -> Bounds:
        # A section of a circulant matrix, whose norm is its largest eigenvalue.
        return refined(self, 0.0, float(np.abs(self.response).max()) * (1 + 1e-6))

    def cost(self) -> Cost:
        rows = self.domain.size // self.domain.shape[-1]
        transforms = 5 * self._length * math.log2(self._length)
        return Cost(int(rows * (transforms + self._length)), super().cost().bytes)
