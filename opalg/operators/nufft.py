"""The Fourier transform at arbitrary frequencies, by FINUFFT."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.arrays import Array, Constant, as_numpy, copy, is_array, is_torch, namespace
from opalg.engines.cpu import get_num_threads
from opalg.errors import (
    ArgumentError,
    DtypeError,
    MissingExtraError,
    NonFiniteError,
    NotSupportedError,
)
from opalg.operators.convolution import _fast_length
from opalg.operators.costs import Cost
from opalg.operators.fourier import Norm
from opalg.operators.fourier_filter import FilterGram, FourierFilter
from opalg.operators.norms import Bounds, refined
from opalg.operators.operator import LinearOperator
from opalg.spaces import Space

__all__ = ["NonuniformFourierTransform"]

_PLANS = 4  # kept, one for each number of arrays in a batch


class NonuniformFourierTransform(LinearOperator):
    """The Fourier transform of a complex array at arbitrary frequencies.

    ``A(x)[m] = s * sum_p x[p] exp(-1j * dot(frequencies[m], p))`` with positions ``p = i - n // 2`` in
    samples (0 in the middle), and ``s = 1 / sqrt(number of entries)``: at frequencies ``2 pi k / n`` these
    are the values of `FourierTransform`. ``A.H`` is the sum with the other sign,
    ``s * sum_m y[m] exp(+1j * dot(frequencies[m], p))``.

    Parameters
    ----------
    space : Space
        Complex, of one to three axes.
    frequencies : array_like, shape (..., d)
        In radians per sample, one number for each axis of the space, in its order; they repeat after 2 pi.
    norm : {"ortho", "backward", "forward"}, default "ortho"
        The factor ``s``: ``1 / sqrt(n)``, ``1`` or ``1 / n``, with n entries.
    tolerance : float, optional
        Relative error of the sums; 1e-6 in single and 1e-12 in double precision by default.

    Attributes
    ----------
    range : Space
        Plain, of the shape of ``frequencies`` without its last axis.

    Raises
    ------
    MissingExtraError
        If ``finufft`` (version 2.5 or newer) is not installed.
    DtypeError
        If the space is real.
    ArgumentError
        If the space has no or more than three axes, or the frequencies do not fit.
    NonFiniteError
        If a frequency is NaN or infinite.
    NotSupportedError
        On a call with an array that is not on the CPU.

    Notes
    -----
    The forward map is a transform of type 2, ``A.H`` of type 1 with the same kernel [1]_: they are each
    other's transpose to rounding, whatever the tolerance. On several threads the last bits of type 1 differ
    from run to run. ``A.gram`` is a Toeplitz matrix, applied by two fast Fourier transforms of twice the
    extent for any number of frequencies [2]_.

    References
    ----------
    .. [1] A. H. Barnett, J. Magland, L. af Klinteberg, "A parallel nonuniform fast Fourier transform library
       based on an exponential of semicircle kernel", SIAM Journal on Scientific Computing 41(5),
       C479-C504, 2019.
    .. [2] J. A. Fessler et al., "Toeplitz-based iterative image reconstruction for MRI with correction for
       magnetic field inhomogeneity", IEEE Transactions on Signal Processing 53(9), 3393-3402, 2005.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> space = oa.Space(4, "complex128")
    >>> A = oa.NonuniformFourierTransform(space, [[0.0], [np.pi / 2], [1.0]])
    >>> x = np.array([1, 2, 3, 4j])
    >>> F = oa.FourierTransform(space)
    >>> bool(np.allclose(A(x)[:2], F(x)[2:]))
    True
    >>> type(A.gram).__name__
    'FilterGram'
    """

    symbol = r"\mathcal{F}"

    def __init__(
        self,
        space: Space,
        frequencies: npt.ArrayLike | Array,
        norm: Norm = "ortho",
        tolerance: float | None = None,
    ) -> None:
        if not isinstance(space, Space) or not 1 <= space.ndim <= 3:
            raise ArgumentError(
                "NonuniformFourierTransform acts on a Space or Grid with one to three axes, "
                f"got {space!r:.80}"
            )
        if not space.is_complex:
            raise DtypeError(
                f"NonuniformFourierTransform acts on complex arrays, got {space}; use space.complex behind "
                "oa.ComplexEmbedding(space)"
            )
        _finufft()
        values = np.array(as_numpy(frequencies) if is_array(frequencies) else frequencies, float)
        if values.ndim < 2 or values.shape[-1] != space.ndim or not values.size:
            raise ArgumentError(
                f"frequencies must have shape (..., {space.ndim}), one number for each axis of {space}, got "
                f"{values.shape}"
            )
        if not np.isfinite(values).all():
            raise NonFiniteError("the frequencies hold NaN or infinity")
        count = space.size
        if norm not in {"ortho", "backward", "forward"}:
            raise ArgumentError(f"norm must be 'ortho', 'backward' or 'forward', got {norm!r}")
        self._scale = {"ortho": count**-0.5, "backward": 1.0, "forward": 1 / count}[norm]
        double = space.dtype == np.complex128
        self.tolerance = (1e-12 if double else 1e-6) if tolerance is None else float(tolerance)
        if not 0 < self.tolerance < 0.1:
            raise ArgumentError(f"tolerance must lie between 0 and 0.1, got {tolerance!r}")
        super().__init__(space, Space(values.shape[:-1], space.dtype.name))
        self.norm_convention = norm
        self._frequencies = Constant(values)
        self._plans: dict[int, Any] = {}
        self._lock = threading.Lock()

    @property
    def frequencies(self) -> np.ndarray[Any, Any]:
        """The frequencies in radians per sample, read-only."""
        found: np.ndarray[Any, Any] = self._frequencies.array
        return found

    def _key(self) -> tuple[Any, ...]:
        return self.domain, self._frequencies, self.norm_convention, self.tolerance

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._run("execute", x, out, self.domain, self.range)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._run("execute_adjoint", y, out, self.range, self.domain)

    def _run(self, name: str, x: Array, out: Array | None, source: Space, target: Space) -> Array:
        if is_torch(x) and x.device.type != "cpu":
            raise NotSupportedError(
                f"{self} runs on the CPU, got a tensor on {x.device}; pass x.cpu()"
            )
        batch = source.batch_shape(x)
        count = math.prod(batch)
        if not count:
            return target.empty(like=x, batch=batch) if out is None else out
        flat = (-1,) if source is self.range else source.shape
        values = np.array(as_numpy(x), order="C").reshape(count, *flat)
        values *= self._scale
        with self._lock:  # a plan holds the memory it works in
            found = getattr(self._plan(count), name)(values if count > 1 else values[0])
        found = found.reshape(*batch, *target.shape)
        if out is not None:
            return copy(
                found if isinstance(out, np.ndarray) else namespace(out).asarray(found), out
            )
        return found if isinstance(x, np.ndarray) else namespace(x).asarray(found)

    def _plan(self, count: int) -> Any:
        if count not in self._plans:
            if len(self._plans) >= _PLANS:
                self._plans.pop(next(iter(self._plans)))
            plan = _finufft().Plan(
                2,
                self.domain.shape,
                count,
                self.tolerance,
                -1,
                self.domain.dtype.name,
                nthreads=get_num_threads(),
            )
            plan.setpts(*_columns(self.frequencies, self.domain.real.dtype))
            self._plans[count] = plan
        return self._plans[count]

    def _gram_filter(self) -> FourierFilter:
        """The filter whose first column holds ``s ** 2 * sum_m exp(1j * dot(frequencies[m], r))``."""
        shape = self.domain.shape
        lags = tuple(2 * n - 1 for n in shape)
        tolerance = max(min(self.tolerance, 1e-9), 1e-14)
        plan = _finufft().Plan(1, lags, 1, tolerance, 1, "complex128", nthreads=get_num_threads())
        plan.setpts(*_columns(self.frequencies, np.dtype("float64")))
        weights = np.full(self.range.size, self._scale**2, np.complex128)
        extents = tuple(_fast_length(n) for n in lags)
        padded = np.zeros(extents, np.complex128)
        padded[tuple(slice(n) for n in lags)] = plan.execute(weights).reshape(lags)
        padded = np.roll(padded, [1 - n for n in shape], range(len(shape)))
        # Real because opposite lags are conjugate; the rest is rounding.
        spectrum = np.fft.fftn(padded).real
        return FourierFilter(
            len(shape), tuple(range(len(shape))), extents, spectrum, self.domain.dtype
        )

    def _gram(self) -> LinearOperator:
        return FilterGram(self)

    def _norm_bounds(self) -> Bounds:
        # A Toeplitz matrix is a part of a circulant one.
        upper = math.sqrt(self._gram_filter().peak)
        return refined(self, 0.0, upper * (1 + 10 * self.tolerance))

    def cost(self) -> Cost:
        """A transform of twice the extent, and a kernel of some digits' width at each frequency."""
        size, ndim = self.domain.size, self.domain.ndim
        width = 1 + math.ceil(-math.log10(self.tolerance))
        transform = 5 * 2**ndim * size * math.log2(max(2**ndim * size, 2))
        return Cost(int(transform + 4 * self.range.size * width**ndim), super().cost().bytes)


def _finufft() -> Any:
    try:
        import finufft
    except ImportError:
        raise MissingExtraError(
            "the non-uniform Fourier transform is that of FINUFFT, which is not installed: "
            "pip install opalg[nufft]"
        ) from None
    return finufft


def _columns(frequencies: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> list[np.ndarray[Any, Any]]:
    """One contiguous array of frequencies per axis, in [-pi, pi), where single precision keeps its digits."""
    folded = (frequencies + math.pi) % (2 * math.pi) - math.pi
    flat = folded.reshape(-1, frequencies.shape[-1])
    return [np.ascontiguousarray(flat[:, axis].astype(dtype)) for axis in range(flat.shape[1])]
