"""Indicators of norm balls and the simplex. Norms and sums are those of the weighted space."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array, namespace
from opalg.functionals.entries import flat, length, rounding
from opalg.functionals.functional import Functional, positive
from opalg.functionals.indicators import SetIndicator, refuse_complex
from opalg.functionals.norms import exponent, rescaled
from opalg.functionals.projections import (
    level,
    line_up,
    project_lp,
    put_back,
    soft,
    weighted_lp,
    weights,
)

__all__ = ["L1Ball", "L2Ball", "LpBall", "Simplex"]


class _Ball(SetIndicator):
    """A ball about zero, with a radius."""

    def __init__(self, space: Any, radius: float = 1.0) -> None:
        super().__init__(space)
        self.radius = positive(radius, "radius")

    def _dilated(self, factor: complex) -> Functional | None:
        return type(self)(self.domain, self.radius / abs(factor))

    def _words(self) -> str:
        return f"{self.radius:g}"


class L1Ball(_Ball):
    """The indicator of ``sum(w * |x|) <= radius``.

    Parameters
    ----------
    space : Space or ProductSpace
    radius : float, default 1.0

    Notes
    -----
    The projection shrinks all entries by one number, found by sorting (Duchi et al. 2008).

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn
    >>> fn.L1Ball(oa.Space(2, "float64")).prox(1.0)(np.array([3.0, -2.5])).tolist()
    [0.75, -0.25]
    """

    def _excess(self, x: Array) -> Array:
        line = line_up(self.domain, x)
        xp = namespace(line)
        total = xp.sum(weights(self.domain, x) * xp.abs(line), axis=-1)
        return total - self.radius * (1 + rounding(self.domain))

    def _project(self, x: Array, out: Array | None) -> Array:
        line = line_up(self.domain, x)
        xp = namespace(line)
        cut = level(xp.abs(line), weights(self.domain, x), self.radius)
        return put_back(self.domain, soft(line, xp.maximum(cut, 0 * cut)), out)


class L2Ball(_Ball):
    """The indicator of ``|x| <= radius`` in the norm of the space.

    Parameters
    ----------
    space : Space or ProductSpace
    radius : float, default 1.0

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn
    >>> fn.L2Ball(oa.Space(2, "float64"), 2.5).prox(1.0)(np.array([3.0, 4.0])).tolist()
    [1.5, 2.0]
    """

    def _excess(self, x: Array) -> Array:
        return length(self.domain, x) - self.radius * (1 + rounding(self.domain))

    def _project(self, x: Array, out: Array | None) -> Array:
        size = length(self.domain, x)
        xp = namespace(flat(x)[0])
        return self.domain.lincomb(
            self.radius / xp.maximum(size, 0 * size + self.radius), x, out=out
        )


class LpBall(_Ball):
    """The indicator of ``sum(w * |x| ** p) ** (1 / p) <= radius`` with 1 < p < infinity.

    Parameters
    ----------
    space : Space or ProductSpace
    p : float
    radius : float, default 1.0

    Notes
    -----
    The projection is found by Newton's method, to rounding; PyTorch cannot differentiate it.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn
    >>> x = fn.LpBall(oa.Space(2, "float64"), 3).prox(1.0)(np.array([3.0, -2.5]))
    >>> float(abs(x[0]) ** 3 + abs(x[1]) ** 3)
    1.0...
    """

    native = False

    def __init__(self, space: Any, p: float, radius: float = 1.0) -> None:
        super().__init__(space, radius)
        self.p = exponent(p)

    def _excess(self, x: Array) -> Array:
        line = line_up(self.domain, x)
        norm = weighted_lp(namespace(line).abs(line), weights(self.domain, x), self.p)[..., 0]
        return norm - self.radius * (1 + 2 * rounding(self.domain))

    def _project(self, x: Array, out: Array | None) -> Array:
        line = line_up(self.domain, x)
        sizes = namespace(line).abs(line)
        kept = project_lp(sizes, weights(self.domain, x), self.p, self.radius)
        return put_back(self.domain, rescaled(line, sizes, kept), out)

    def _dilated(self, factor: complex) -> Functional | None:
        return LpBall(self.domain, self.p, self.radius / abs(factor))

    def _words(self) -> str:
        return f"{self.p:g}, {self.radius:g}"


class Simplex(SetIndicator):
    """The indicator of ``x >= 0`` with ``sum(w * x) == total``.

    Parameters
    ----------
    space : Space or ProductSpace
        Real.
    total : float, default 1.0
        Positive.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn
    >>> fn.Simplex(oa.Space(3, "float64")).prox(1.0)(np.array([2.0, 1.5, -1.0])).tolist()
    [0.75, 0.25, 0.0]
    """

    def __init__(self, space: Any, total: float = 1.0) -> None:
        refuse_complex(space, type(self).__name__)
        super().__init__(space)
        self.total = positive(total, "total")

    def _excess(self, x: Array) -> Array:
        line = line_up(self.domain, x)
        xp = namespace(line)
        sums = xp.sum(weights(self.domain, x) * line, axis=-1)
        off = xp.abs(sums - self.total) - self.total * rounding(self.domain)
        lowest = xp.min(line, axis=-1)
        return xp.where(lowest < 0, xp.ones_like(off), off)

    def _project(self, x: Array, out: Array | None) -> Array:
        line = line_up(self.domain, x)
        cut = level(line, weights(self.domain, x), self.total)
        return put_back(self.domain, namespace(line).clip(line - cut, 0, None), out)

    def _conjugate_value(self, p: Array) -> Array:
        line = line_up(self.domain, p)
        return self.total * namespace(line).max(line, axis=-1)

    def _words(self) -> str:
        return f"{self.total:g}"
