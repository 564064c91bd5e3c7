"""Convolution of detector rows given by its frequency response, which may be learned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.fft

from opalg.arrays import (
    Array,
    Constant,
    as_numpy,
    broadcasts,
    dtype_of,
    is_array,
    is_torch,
    namespace,
)
from opalg.errors import ArgumentError, DtypeError, NonFiniteError
from opalg.operators import LinearOperator
from opalg.operators.costs import Cost
from opalg.operators.fft import transform
from opalg.operators.norms import Bounds, refined
from opalg.spaces import Space

__all__ = ["FrequencyFilter", "num_frequencies", "padded_length"]

_CHUNK = 1 << 22  # entries that are padded and transformed at a time


def padded_length(columns: int) -> int:
    """To how many entries rows of so many columns are padded with zeros: twice as many, or a few more."""
    return scipy.fft.next_fast_len(2 * columns, real=True)


def num_frequencies(columns: int) -> int:
    """How many frequencies, from zero to Nyquist, a filter has for rows of so many columns."""
    return padded_length(columns) // 2 + 1


class FrequencyFilter(LinearOperator):
    """Convolution of detector rows with an even kernel: every frequency is multiplied by a real number.

    Parameters
    ----------
    space : Space
        Sinograms; the last axis is filtered.
    response : array
        The factor of every frequency from 0 to Nyquist in equal steps, as many as
        ``RampFilter(space, pitch).response`` has: shape (frequencies,) for all rows alike, or any shape that
        broadcasts to
        ``(*space.shape[:-1], frequencies)``, so that every view, or every row, has its own. A PyTorch tensor
        that requires a gradient, a ``torch.nn.Parameter``, is learned.

    Raises
    ------
    ArgumentError
        If the response is not an array, or does not fit the space.
    DtypeError
        If it is complex, or of another precision than the space.
    NonFiniteError
        If it holds NaN or infinity.

    Notes
    -----
    Rows are padded with zeros to at least twice their length, so that the convolution does not wrap around.
    The operator is its own transpose. `RampFilter` is one of this kind, whose ``response`` is a good start
    for learning::

        response = torch.nn.Parameter(
            torch.tensor(tomo.RampFilter(A.range, pitch).response).float()
        )
        fbp = tomo.FBP(A, filter=tomo.FrequencyFilter(A.range, response))
        loss = ((fbp(y) - x) ** 2).sum()
        loss.backward()  # response.grad

    Examples
    --------
    >>> import opalg as oa
    >>> space = oa.Space((2, 4), "float64")
    >>> mean = FrequencyFilter(space, np.array([1.0, 0.75, 0.5, 0.25, 0.0]))
    >>> mean(np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])).round(3)[0].tolist()
    [0.213, 0.5, 0.213, 0.0]
    """

    native = True
    self_adjoint = True
    symbol = "F"

    def __init__(self, space: Space, response: Array) -> None:
        super().__init__(space, space)
        self._hold(space, response)

    def _hold(self, space: Space, response: Array) -> None:
        """Check the response and keep it."""
        if not is_array(response):
            raise ArgumentError(f"the response must be an array, got {type(response).__name__}")
        wanted = num_frequencies(space.shape[-1])
        full = (*space.shape[:-1], wanted)
        shape = tuple(response.shape)
        if shape[-1:] != (wanted,) or not broadcasts(shape, full):
            raise ArgumentError(
                f"rows of {space.shape[-1]} columns have {wanted} frequencies; the response must broadcast "
                f"to {full}, got shape {shape}"
            )
        if dtype_of(response) != space.real.dtype:
            raise DtypeError(
                f"the response must have dtype {space.real.dtype} to act on {space}, got {dtype_of(response)}"
            )
        values = as_numpy(response)
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            raise NonFiniteError(f"the response holds {bad} entries that are NaN or infinite")
        self._length = padded_length(space.shape[-1])
        self._response = Constant(response)
        self.trainable = self._response.trainable

    @property
    def responses(self) -> Array:
        """The response of every row, shape ``(*space.shape[:-1], frequencies)``; not a copy."""
        held = self._response.array
        full = (*self.domain.shape[:-1], held.shape[-1])
        return namespace(held).broadcast_to(held, full)

    def _apply(self, x: Array, out: Array | None) -> Array:
        n = self.domain.shape[-1]
        if is_torch(x):
            from torch import fft

            response = self._response.like(x)
            value = fft.irfft(fft.rfft(x, self._length) * response, self._length)[..., :n]
            if out is None:
                return value.contiguous()
            out[...] = value
            return out
        response = as_numpy(self._response.like(x))
        result = np.empty(x.shape, self.domain.dtype)
        shared = response.size == response.shape[-1]
        # Rows are alike, or those of each first index (a view) are filtered together.
        lines = (-1, n) if shared else (-1, *self.domain.shape)
        rows, target = as_numpy(x).reshape(lines), result.reshape(lines)
        if shared:
            response = response.reshape(-1)
            step = max(1, _CHUNK // self._length)
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                target[part] = self._filtered(rows[part], response)
        else:
            response = np.broadcast_to(response, (*self.domain.shape[:-1], response.shape[-1]))
            for view in range(self.domain.shape[0]):
                target[:, view] = self._filtered(rows[:, view], response[view])
        if out is None:
            return result if isinstance(x, np.ndarray) else namespace(x).asarray(result)
        out[...] = result if isinstance(out, np.ndarray) else namespace(out).asarray(result)
        return out

    def _filtered(
        self, rows: np.ndarray[Any, Any], response: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        length = (self._length,)
        spectrum = transform("rfftn", rows, (-1,), shape=length)
        spectrum *= response
        filtered = transform("irfftn", spectrum, (-1,), shape=length, overwrite=True)
        return np.asarray(filtered)[..., : self.domain.shape[-1]]

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._apply(y, out)

    def _norm_bounds(self) -> Bounds:
        # A section of a circulant matrix, whose norm is its largest eigenvalue.
        largest = float(np.abs(as_numpy(self._response.array)).max())
        return refined(self, 0.0, largest * (1 + 1e-6))

    def cost(self) -> Cost:
        """Operations of the transforms, and the bytes of both sides and of what is transformed at a time."""
        rows = self.domain.size // self.domain.shape[-1]
        transforms = 5 * self._length * math.log2(self._length)
        response = self._response.array
        together = (
            max(1, _CHUNK // self._length)
            if math.prod(response.shape) == response.shape[-1]
            else rows // self.domain.shape[0]
        )
        # Padded and as a spectrum, then that and what is transformed back.
        made = 2 * min(rows, together) * (self._length + 2) * self.domain.dtype.itemsize
        return Cost(int(rows * (transforms + self._length)), super().cost().bytes + made)
