"""Certified brackets of operator norms.

A bracket is a pair of numbers between which the norm of the array map lies. The lower end is a value
that the operator attains on some vector. The upper end comes from a formula (differences, diagonals,
triangle inequality, products), or, for operators with non-negative entries, from one power sequence
started at ones: for a non-negative matrix B and a positive vector x the largest eigenvalue of B
lies between the minimum and the maximum of ``(B x)_i / x_i`` (Collatz 1942, Wielandt 1950).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from opalg.errors import NonFiniteError, OpalgError
from opalg.spaces.parts import flat, leaves, unflat

__all__ = ["Bounds", "cached", "estimate", "measured", "refined"]

_TARGET = 1.005  # stop when upper / lower is below: half a percent of step size is not worth an application
_STEPS = 12
_POWER_STEPS = 20
_CACHE_SIZE = 256

_cache: OrderedDict[tuple[str, Any], Any] = OrderedDict()
_T = TypeVar("_T")


class Bounds(NamedTuple):
    """Certified ends of a norm: ``lower <= norm <= upper``; ``upper`` may be infinite."""

    lower: float
    upper: float

    def scaled(self, factor: float) -> Bounds:
        """The bounds of a multiple."""
        factor = abs(factor)
        return Bounds(self.lower * factor, self.upper * factor if factor else 0.0)


def refined(operator: Any, lower: float, upper: float) -> Bounds:
    """Bounds from a formula, the lower end raised by what the operator attains on some vector."""
    if lower < upper:
        lower = min(max(lower, _rayleigh(operator)), upper)
    return Bounds(lower, upper)


def cached(operator: Any, question: str, answer: Callable[[], _T]) -> _T:
    """``answer()``, remembered for all operators of equal structure."""
    if operator.trainable:  # its parameters change in place between two questions
        return answer()
    key = (question, operator)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    value = answer()
    _cache[key] = value
    if len(_cache) > _CACHE_SIZE:
        _cache.popitem(last=False)
    return value


def measured(operator: Any) -> Bounds:
    """Bounds from applications of the operator and its transpose.

    For non-negative operators with exact transposes both ends; for others the lower end only.
    """
    if operator.nonnegative and operator.exact_adjoint and operator.domain.size > 0:
        return _collatz_wielandt(operator)
    return Bounds(_rayleigh(operator), math.inf)


def estimate(operator: Any, bounds: Bounds) -> float:
    """A number inside the bounds, near the norm."""
    lower, upper = bounds
    if math.isfinite(upper) and upper <= lower * _TARGET:
        return math.sqrt(lower * upper)
    return min(max(_rayleigh(operator), lower), upper)


def rounding(operator: Any) -> float:
    """Relative slack that covers the rounding of one application and its transpose.

    Sums of n terms of one sign err by far less than n units in the last place when they are formed in
    pieces, as all engines here do; the square root is generous.
    """
    eps = max(np.finfo(space.dtype).eps for space in leaves(operator.domain))
    return float(8 * eps * max(operator.domain.size, operator.range.size) ** 0.25)


def _collatz_wielandt(operator: Any) -> Bounds:
    """Both ends from powers of ``A.H A`` started at ones."""
    # Real numbers throughout, also between complex spaces: the matrix has no others.
    dtypes = [space.dtype for space in leaves(operator.domain)]
    x = [part.real.copy() for part in flat(operator.domain.ones())]
    lower, upper = 0.0, math.inf
    slack = rounding(operator)
    for _ in range(_STEPS):
        element = [part.astype(dtype) for part, dtype in zip(x, dtypes, strict=True)]
        y = _apply(operator, unflat(operator.domain, element))
        z = [part.real for part in flat(_apply_transpose(operator, y))]
        _refuse_nonfinite(operator, z)
        top = max(float((b / a).max()) for a, b in zip(x, z, strict=True))
        square = sum(float(np.vdot(a, a)) for a in _double(x))
        rayleigh = (
            sum(float(np.vdot(a, b)) for a, b in zip(_double(x), _double(z), strict=True)) / square
        )
        lower, upper = max(lower, rayleigh), min(upper, top)
        if lower > upper * (1 + slack):
            raise OpalgError(
                f"the norm of {operator} cannot be bounded: its transpose is not that of its values, or some "
                "entries are negative; opalg.testing.check_operator tells which declared property is wrong"
            )
        if upper <= lower * _TARGET**2:
            break
        scale = max(float(part.max()) for part in z)
        if scale == 0.0:
            break
        # The upper end holds for positive vectors only: entries that the operator does not see, or
        # that decay, are kept at a small positive value.
        x = [np.maximum(b / scale, np.finfo(b.dtype).eps) for b in z]
    return Bounds(math.sqrt(lower * (1 - slack)), math.sqrt(upper * (1 + slack)))


def _rayleigh(operator: Any) -> float:
    """The largest ``|A x| / |x|`` along a power sequence from a random start: a lower bound."""
    x = operator.domain.random(seed=0)
    if operator.nonnegative:
        x = unflat(operator.domain, [abs(part).astype(part.dtype) for part in flat(x)])
    best = 0.0
    for _ in range(_POWER_STEPS):
        length = _length(x)
        if length == 0.0:
            break
        x = unflat(operator.domain, [part / part.dtype.type(length) for part in flat(x)])
        y = _apply(operator, x)
        _refuse_nonfinite(operator, flat(y))
        best = max(best, _length(y) / _length(x))
        x = _apply_transpose(operator, y)
    return best * (1 - rounding(operator))


def _apply(operator: Any, x: Any) -> Any:
    if not operator.trainable:
        return operator._apply(x, None)
    return _through_torch(operator._apply, x, operator.domain, operator.range)


def _apply_transpose(operator: Any, y: Any) -> Any:
    if not operator.trainable:
        return operator.H._apply(y, None)
    return _through_torch(operator.H._apply, y, operator.range, operator.domain)


def _through_torch(function: Any, x: Any, source: Any, target: Any) -> Any:
    """Parameters that are trained act on tensors only."""
    import torch

    tensors = [torch.from_numpy(np.array(part)) for part in flat(x)]
    with torch.no_grad():
        y = function(unflat(source, tensors), None)
    return unflat(target, [part.numpy() for part in flat(y)])


def _double(parts: list[Any]) -> list[Any]:
    return [part.astype(np.result_type(part.dtype, np.float64)) for part in parts]


def _length(x: Any) -> float:
    return math.sqrt(sum(float(np.vdot(part, part).real) for part in _double(flat(x))))


def _refuse_nonfinite(operator: Any, parts: list[Any]) -> None:
    if not all(np.isfinite(part).all() for part in parts):
        raise NonFiniteError(f"{operator} gave NaN or infinity for a finite argument")
