"""Norms and their relatives: L1, L2, Lp, L-infinity, the number of non-zeros, Huber and the elastic net.

Norms are those of the weighted space: ``sum(w * |x|)``, ``sum(w * |x| ** p) ** (1 / p)``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.errors import ArgumentError
from opalg.functionals.entries import Field, deliver, flat, length
from opalg.functionals.functional import Functional, positive
from opalg.functionals.pointwise import Pointwise
from opalg.functionals.projections import (
    level,
    line_up,
    project_lp,
    put_back,
    soft,
    weighted_lp,
    weights,
)
from opalg.functionals.steps import per_batch

__all__ = ["ElasticNet", "Huber", "L0", "L1", "L2", "LInfinity", "Lp"]


class _Norm(Functional):
    """A functional with ``f(b * x) == |b| * f(x)``."""

    def _dilated(self, factor: complex) -> Functional | None:
        return abs(factor) * self


class L1(Pointwise, _Norm):
    """The sum of moduli, ``sum(w * |x|)``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real or complex.

    Notes
    -----
    The prox shrinks each entry by the step (soft thresholding; Donoho and Johnstone 1994), whatever
    the weights. The conjugate is the indicator of ``|p| <= 1``.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.L1(oa.Space(3, "float64", weighting=0.5))
    >>> float(f(np.array([1.0, -2.0, 0.0]))), f.prox(0.5)(np.array([1.0, -2.0, 0.25])).tolist()
    (1.5, [0.5, -1.5, 0.0])
    """

    symbol = r"\|\cdot\|_1"

    def __init__(self, space: Any) -> None:
        super().__init__(space)

    def _density(self, x: Array, *parameters: Any) -> Array:
        return namespace(x).abs(x)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return soft(x, step)


class L0(Pointwise):
    """The weighted number of entries that are not zero; not convex.

    Parameters
    ----------
    space : Space or ProductSpace

    Notes
    -----
    The prox keeps entries with ``|x| ** 2 > 2 * step`` and sets the others to zero (hard
    thresholding). The conjugate is that of its convex hull, the zero function: the indicator of
    zero.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.L0(oa.Space(3, "float64"))
    >>> float(f(np.array([1.0, 0.0, 3.0]))), f.prox(2.0)(np.array([1.0, -1.9, 2.1])).tolist()
    (2.0, [0.0, 0.0, 2.1])
    """

    convex = False
    symbol = r"\|\cdot\|_0"

    def __init__(self, space: Any) -> None:
        super().__init__(space)

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        size = xp.abs(x)
        # NaN is not zero: it stays NaN.
        return xp.where(size > 0, xp.ones_like(size), size)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        xp = namespace(x)
        size = xp.abs(x)
        return xp.where(size * size > 2 * step, x, xp.zeros_like(x))

    def _dilated(self, factor: complex) -> Functional | None:
        return self


class L2(_Norm):
    """The norm of the space, ``sqrt(sum(w * |x| ** 2))``; not squared.

    Parameters
    ----------
    space : Space or ProductSpace

    Notes
    -----
    The prox shortens the element by the step; the conjugate is the indicator of the unit ball. The
    gradient ``x / |x|`` is not defined at 0; there it is taken as 0.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.L2(oa.Space(2, "float64"))
    >>> float(f(np.array([3.0, 4.0]))), f.prox(2.5)(np.array([3.0, 4.0])).tolist()
    (5.0, [1.5, 2.0])
    """

    symbol = r"\|\cdot\|_2"

    def __init__(self, space: Any) -> None:
        super().__init__(space)

    def _value(self, x: Array) -> Array:
        return self.domain.norm(x) if isinstance(flat(x)[0], np.ndarray) else length(self.domain, x)

    def _gradient(self, x: Array, out: Array | None) -> Array:
        factor = self.domain.expand(1 / length(self.domain, x))
        return deliver(x * factor, out)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        size = length(self.domain, x)
        xp = namespace(flat(x)[0])
        shrunk = 1 - per_batch(step, self.domain.batch_shape(x)) / size
        factor = xp.maximum(shrunk, 0 * size)
        return self.domain.lincomb(factor, x, out=out)


class LInfinity(_Norm):
    """The greatest modulus, ``max |x|``; weights have no part in it.

    Parameters
    ----------
    space : Space or ProductSpace

    Notes
    -----
    The prox cuts all moduli at one level, found by sorting; the conjugate is the indicator of
    ``sum(w * |p|) <= 1``.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.LInfinity(oa.Space(3, "float64"))
    >>> float(f(np.array([1.0, -4.0, 3.0]))), f.prox(2.0)(np.array([1.0, -4.0, 3.0])).tolist()
    (4.0, [1.0, -2.5, 2.5])
    """

    symbol = r"\|\cdot\|_\infty"

    def __init__(self, space: Any) -> None:
        super().__init__(space)

    def _value(self, x: Array) -> Array:
        line = line_up(self.domain, x)
        xp = namespace(line)
        return xp.max(xp.abs(line), axis=-1)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        line = line_up(self.domain, x)
        xp = namespace(line)
        cut = level(
            xp.abs(line), weights(self.domain, x), _column(step, self.domain.batch_shape(x))
        )
        return put_back(self.domain, line - soft(line, xp.maximum(cut, 0 * cut)), out)


class Lp(_Norm):
    """The norm ``sum(w * |x| ** p) ** (1 / p)`` with an exponent between 1 and infinity.

    Parameters
    ----------
    space : Space or ProductSpace
    p : float
        Greater than 1 and finite; for the ends there are `L1` and `LInfinity`.

    Raises
    ------
    ArgumentError
        If ``p`` is not between 1 and infinity.

    Notes
    -----
    The prox has no closed form; it is ``x`` less its projection onto the ball of the conjugate
    exponent ``q = p / (p - 1)``, which Newton's method finds to rounding. PyTorch cannot
    differentiate it. The gradient is not defined at 0; there it is taken as 0.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> float(fn.Lp(oa.Space(2, "float64"), 3)(np.array([1.0, 2.0]))) ** 3
    9.0...
    """

    native = False

    def __init__(self, space: Any, p: float) -> None:
        super().__init__(space)
        self.p = exponent(p)

    def _value(self, x: Array) -> Array:
        line = line_up(self.domain, x)
        return weighted_lp(namespace(line).abs(line), weights(self.domain, x), self.p)[..., 0]

    def _gradient(self, x: Array, out: Array | None) -> Array:
        line = line_up(self.domain, x)
        xp = namespace(line)
        sizes, value = xp.abs(line), self._value(x)[..., None]
        # The quotient comes first: powers of it neither overflow nor vanish.
        share = sizes / xp.where(value > 0, value, xp.ones_like(value))
        factor = share ** (self.p - 1) / xp.where(sizes > 0, sizes, xp.ones_like(sizes))
        return put_back(self.domain, line * factor, out)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        line = line_up(self.domain, x)
        sizes = namespace(line).abs(line)
        radius = _column(step, self.domain.batch_shape(x))
        kept = project_lp(sizes, weights(self.domain, x), self.p / (self.p - 1), radius)
        return put_back(self.domain, line - rescaled(line, sizes, kept), out)

    def _words(self) -> str:
        return f"{self.p:g}"


class Huber(Pointwise):
    """The L1 norm with a rounded tip: ``|x| ** 2 / (2 d)`` for ``|x| <= d``, else ``|x| - d / 2``.

    Parameters
    ----------
    space : Space or ProductSpace
    delta : float
        Half width of the parabola, positive.

    Notes
    -----
    It is the Moreau envelope of `L1` with step ``delta`` (Huber 1964), so its gradient has the
    Lipschitz constant ``1 / delta``.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.Huber(oa.Space(2, "float64"), delta=2.0)
    >>> float(f(np.array([1.0, 5.0]))), f.gradient(np.array([1.0, 5.0])).tolist()
    (4.25, [0.5, 1.0])
    """

    def __init__(self, space: Any, delta: float) -> None:
        self.delta = positive(delta, "delta")
        super().__init__(space, Field(self.delta, space, "delta"))
        self.lipschitz = 1 / self.delta

    def _density(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        size = xp.abs(x)
        inner = xp.minimum(size, xp.ones_like(size) * self.delta)
        return inner * (size - inner / 2) / self.delta

    def _slope(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        return x / xp.maximum(xp.abs(x), self.delta)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        xp = namespace(x)
        return x * (1 - step / xp.maximum(xp.abs(x), self.delta + step))

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        xp = namespace(x)
        size = xp.abs(x)
        return xp.where(size <= self.delta, xp.ones_like(size), xp.zeros_like(size)) / self.delta

    def _words(self) -> str:
        return f"{self.delta:g}"


class ElasticNet(Pointwise):
    """``l1 * sum(w * |x|) + l2 / 2 * sum(w * |x| ** 2)`` (Zou and Hastie 2005).

    Parameters
    ----------
    space : Space or ProductSpace
    l1, l2 : float
        Positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.ElasticNet(oa.Space(2, "float64"), l1=1.0, l2=3.0)
    >>> f.prox(1.0)(np.array([5.0, 0.5])).tolist(), f.strong_convexity
    ([1.0, 0.0], 3.0)
    """

    def __init__(self, space: Any, l1: float, l2: float) -> None:
        self.l1, self.l2 = positive(l1, "l1"), positive(l2, "l2")
        super().__init__(space, Field(self.l1, space, "l1"), Field(self.l2, space, "l2"))
        self.strong_convexity = self.l2

    def _density(self, x: Array, *parameters: Any) -> Array:
        size = namespace(x).abs(x)
        return size * (self.l1 + self.l2 / 2 * size)

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        return soft(x, step * self.l1) / (1 + step * self.l2)

    def _words(self) -> str:
        return f"{self.l1:g}, {self.l2:g}"


def exponent(p: float) -> float:
    """The exponent of an Lp norm, verified."""
    number = positive(p, "the exponent p") if p != math.inf else math.inf
    if not 1 < number < math.inf:
        raise ArgumentError(
            f"the exponent p must lie between 1 and infinity, got {p!r}; the ends are L1 and LInfinity"
        )
    return number


def rescaled(x: Array, sizes: Array, wanted: Array) -> Array:
    """``x`` with other moduli."""
    xp = namespace(x)
    return x * (wanted / xp.where(sizes > 0, sizes, xp.ones_like(sizes)))


def _column(step: Any, batch: tuple[int, ...]) -> Any:
    """A step of shape ``(batch..., 1)``, or a number."""
    step = per_batch(step, batch)
    return step[..., None] if getattr(step, "ndim", 0) else step
