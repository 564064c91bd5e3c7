"""What operators that the engines compute have in common: they also take 16-bit numbers on CUDA devices."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array, in_autograd
from opalg.engines.device_arrays import library_of
from opalg.errors import DtypeError, SpaceMismatchError
from opalg.operators import LinearOperator
from opalg.operators.transposed import Transposed
from opalg.spaces import Space

__all__ = ["Projector"]

_HALF = ("float16", "bfloat16")


class _TakesHalf(LinearOperator):
    """Between float32 spaces: arrays of float16 or bfloat16 on a CUDA device are mapped to their like.

    Kernels read and write them and add up in float32. Other operators do not take them.
    """

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        library = library_of(x)
        if library is None or library.dtype(x) not in _HALF or self.domain.dtype.itemsize != 4:
            return super().__call__(x, out)
        _check_shape(x, self.domain, f"the argument of {self}")
        if out is None:
            return self._trace(x) if in_autograd(x) else self._apply(x, None)
        other = library_of(out)
        if other is None or other.dtype(out) != library.dtype(x):
            raise DtypeError(f"out must have the dtype and the device of the argument of {self}")
        _check_shape(out, self.range, f"out of {self}")
        return self._apply(x, out)


class Projector(_TakesHalf):
    """Base class of operators that the engines compute."""

    def _transposed(self) -> LinearOperator:
        return _TransposedProjector(self)


class _TransposedProjector(_TakesHalf, Transposed):
    """The transpose of one."""


def _check_shape(x: Any, space: Space, what: str) -> None:
    if tuple(x.shape[max(len(x.shape) - space.ndim, 0) :]) != space.shape:
        raise SpaceMismatchError(
            f"{what} must have shape {space.shape} (batch axes may stand in front), got {tuple(x.shape)}"
        )
