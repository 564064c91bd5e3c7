"""Indicator functions of simple sets, 0 inside and infinite outside; their proximal maps are projections.

A point counts as inside within the rounding of its data type, so that a projected point always
does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, dtype_of, namespace, native_dtype
from opalg.errors import ArgumentError, DtypeError
from opalg.functionals.entries import Field, duplicate, flat, leaves
from opalg.functionals.functional import Functional, positive
from opalg.functionals.pointwise import Pointwise
from opalg.functionals.shrinking import shrink_after_gradient
from opalg.functionals.steps import is_number
from opalg.operators import Zero, printing

__all__ = [
    "Box",
    "BoxSupport",
    "Constant",
    "Indicator",
    "LInfinityBall",
    "NonNegative",
    "SetIndicator",
    "ZeroIndicator",
]


class Indicator(Functional):
    """A functional with the values 0 and infinity; positive multiples are the functional itself."""

    def _scaled_by(self, factor: float) -> Functional | None:
        return self


class SetIndicator(Indicator):
    """The indicator of a set that is no product of sets of single entries.

    A subclass writes ``_excess(x)``, one value per batch entry that is at most 0 inside (with room
    for rounding), and ``_project(x, out)``.
    """

    def _excess(self, x: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not define _excess")

    def _project(self, x: Array, out: Array | None) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not define _project")

    @property
    def proximable(self) -> bool:
        return True

    def _value(self, x: Array) -> Array:
        excess = self._excess(x)
        xp = namespace(flat(x)[0])
        # Not `excess > 0`: NaN must not count as inside.
        return xp.where(excess <= 0, xp.zeros_like(excess), xp.ones_like(excess) * math.inf)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        return self._project(x, out)


class Box(Pointwise, Indicator):
    """The indicator of ``lower <= x <= upper``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    lower, upper : float, array or Blocks
        Numbers, which may be infinite, or elements of the space.

    Raises
    ------
    ArgumentError
        If ``lower`` is greater than ``upper`` somewhere.
    DtypeError
        If the space is complex.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.Box(oa.Space(3, "float64"), 0, 1)
    >>> f.prox(1.0)(np.array([-1.0, 0.5, 2.0])).tolist(), float(f(np.array([0.0, 0.5, 2.0])))
    ([0.0, 0.5, 1.0], inf)
    """

    def __init__(self, space: Any, lower: Any, upper: Any) -> None:
        refuse_complex(space, type(self).__name__)
        self.lower = Field(lower, space, "lower", finite=False)
        self.upper = Field(upper, space, "upper", finite=False)
        _refuse_crossed(self.lower, self.upper)
        super().__init__(space, self.lower, self.upper)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        lower, upper = parameters
        slack = _slack(x)
        inside = (x >= lower - slack * _size(lower)) & (x <= upper + slack * _size(upper))
        return xp.where(inside, xp.zeros_like(x), xp.ones_like(x) * math.inf)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return _clip(x, *parameters)

    def _words(self) -> str:
        lower, upper = (
            "array" if field.number is None else f"{field.number:g}"
            for field in (self.lower, self.upper)
        )
        return f"{lower}, {upper}"


class NonNegative(Pointwise, Indicator):
    """The indicator of ``x >= 0``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> fn.NonNegative(oa.Space(2, "float64")).prox(1.0)(np.array([-1.0, 3.0])).tolist()
    [0.0, 3.0]
    """

    symbol = r"\iota_{\geq 0}"

    def __init__(self, space: Any) -> None:
        refuse_complex(space, type(self).__name__)
        super().__init__(space)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        return xp.where(x >= 0, xp.zeros_like(x), xp.ones_like(x) * math.inf)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return namespace(x).clip(x, 0, None)

    def _dilated(self, factor: complex) -> Functional | None:
        return self if np.isreal(factor) and complex(factor).real > 0 else None


class BoxSupport(Pointwise):
    """The support function of a box, ``sum(w * max(lower * p, upper * p))``: the conjugate of `Box`.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    lower, upper : float, array or Blocks
        As for `Box`.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> float(fn.BoxSupport(oa.Space(2, "float64"), -1, 3)(np.array([2.0, -2.0])))
    8.0
    """

    def __init__(self, space: Any, lower: Any, upper: Any) -> None:
        refuse_complex(space, type(self).__name__)
        self.lower = Field(lower, space, "lower", finite=False)
        self.upper = Field(upper, space, "upper", finite=False)
        _refuse_crossed(self.lower, self.upper)
        super().__init__(space, self.lower, self.upper)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        one, zero = xp.ones_like(x), xp.zeros_like(x)
        lower, upper = (parameter * one for parameter in parameters)
        # Where the bound is infinite, 0 * inf would be NaN.
        high = xp.where(x > 0, xp.where(x > 0, x, one) * upper, zero)
        low = xp.where(x < 0, xp.where(x < 0, x, one) * lower, zero)
        return xp.where(xp.isnan(x), x, high + low)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return x - step * _clip(x / step, *parameters)

    def _words(self) -> str:
        return Box._words(self)  # type: ignore[arg-type]


class LInfinityBall(Pointwise, Indicator):
    """The indicator of ``|x| <= radius`` for each entry.

    Parameters
    ----------
    space : Space or ProductSpace
        Real or complex.
    radius : float, default 1.0
        Positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> ball = fn.LInfinityBall(oa.Space(2, "complex128"), 5.0)
    >>> ball.prox(1.0)(np.array([6 + 8j, 1j])).tolist()
    [(3+4j), 1j]
    """

    def __init__(self, space: Any, radius: float = 1.0) -> None:
        self.radius = positive(radius, "radius")
        super().__init__(space, Field(self.radius, space, "radius"))

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        size = xp.abs(x)
        inside = size <= self.radius * (1 + _slack(x))
        return xp.where(inside, xp.zeros_like(size), xp.ones_like(size) * math.inf)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        xp = namespace(x)
        if dtype_of(x).kind != "c":
            return xp.clip(x, -self.radius, self.radius)
        return x * (self.radius / xp.maximum(xp.abs(x), self.radius))

    def _ascend(self, K: Any, x: Array, p: Array, step: Any, out: Array) -> bool:
        return shrink_after_gradient(K, x, p, step, self.radius, "into_box", out)

    def _dilated(self, factor: complex) -> Functional | None:
        return LInfinityBall(self.domain, self.radius / abs(factor))

    def _words(self) -> str:
        return f"{self.radius:g}"


class ZeroIndicator(Pointwise, Indicator):
    """The indicator of the element zero.

    Parameters
    ----------
    space : Space or ProductSpace

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> float(fn.ZeroIndicator(oa.Space(2))(oa.Space(2).ones()))
    inf
    """

    symbol = r"\iota_{\{0\}}"

    def __init__(self, space: Any) -> None:
        super().__init__(space)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        size = xp.abs(x)
        return xp.where(size == 0, xp.zeros_like(size), xp.ones_like(size) * math.inf)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return namespace(x).zeros_like(x)

    def _dilated(self, factor: complex) -> Functional | None:
        return self


class Constant(Functional):
    """The same value everywhere.

    Parameters
    ----------
    space : Space or ProductSpace
    value : float, default 0.0

    Raises
    ------
    ArgumentError
        If the value is no finite real number.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> float(fn.Constant(oa.Space(2), 3.0)(oa.Space(2).ones())), str(fn.Constant(oa.Space(2)))
    (3.0, '0')
    """

    separable = True
    lipschitz = 0.0

    def __init__(self, space: Any, value: float = 0.0) -> None:
        super().__init__(space)
        if not (is_number(value) and np.isreal(value) and math.isfinite(float(value))):
            raise ArgumentError(f"a constant must be a finite real number, got {value!r}")
        self.value = float(value)

    def _value(self, x: Array) -> Array:
        first = flat(x)[0]
        xp = namespace(first)
        leaf = leaves(self.domain)[0]
        dtype = native_dtype(xp, leaf.real.dtype)
        # NumPy before 2.0 knows no devices.
        place = {} if xp is np else {"device": first.device}
        return xp.zeros(leaf.batch_shape(first), dtype=dtype, **place) + self.value

    def _gradient(self, x: Array, out: Array | None) -> Array:
        if out is None:
            return self.domain.zeros(like=x, batch=self.domain.batch_shape(x))
        for part in flat(out):
            part[...] = 0
        return out

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        return duplicate(x, out)

    def _hessian(self, x: Array) -> Any:
        return Zero(self.domain)

    def _scaled_by(self, factor: float) -> Functional | None:
        return Constant(self.domain, factor * self.value)

    def _dilated(self, factor: complex) -> Functional | None:
        return self

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        return 0.0, None, self.value

    def _infix(self) -> printing.Text:
        return printing.atom(printing.number(self.value))


def refuse_complex(space: Any, name: str) -> None:
    """An error for functionals that need an order of the values."""
    if getattr(space, "is_complex", False):
        raise DtypeError(
            f"{name} needs a real space, got {space}; compose with oa.RealPart(space) or oa.Modulus(space)"
        )


def _refuse_crossed(lower: Field, upper: Field) -> None:
    for i, (a, b) in enumerate(zip(lower.arrays(), upper.arrays(), strict=False)):
        crossed = a > b
        if bool(crossed.any() if hasattr(crossed, "any") else crossed):
            raise ArgumentError(f"lower must be at most upper everywhere (part {i} of the bounds)")
    if lower.number == math.inf or upper.number == -math.inf:
        raise ArgumentError("the box is empty: lower is infinite, or upper minus infinity")


def _slack(x: Array) -> float:
    return 8 * float(np.finfo(dtype_of(x)).eps)


def _size(bound: Any) -> Any:
    """The modulus of a bound, 0 for infinite ones, whose rounding needs no room."""
    if isinstance(bound, float):
        return abs(bound) if math.isfinite(bound) else 0.0
    xp = namespace(bound)
    size = xp.abs(bound)
    return xp.where(xp.isfinite(size), size, xp.zeros_like(size))


def _clip(x: Array, lower: Any, upper: Any) -> Array:
    xp = namespace(x)
    if isinstance(lower, float) != isinstance(upper, float):
        one = xp.ones_like(x)
        lower, upper = lower * one, upper * one
    return xp.clip(x, lower, upper)
