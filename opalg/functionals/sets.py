"""Indicators of sets given by linear equations and inequalities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.errors import ArgumentError
from opalg.functionals.entries import Field, deliver, flat, length, pairing
from opalg.functionals.indicators import SetIndicator
from opalg.functionals.operator_norms import conjugate_gradients, space_dtype, tightness
from opalg.functionals.steps import is_number
from opalg.operators import LinearOperator, printing

__all__ = ["AffineSet", "HalfSpace"]


class AffineSet(SetIndicator):
    """The indicator of the solutions of ``A(x) == data``.

    Parameters
    ----------
    operator : LinearOperator
    data : array or Blocks
        Element of the range of the operator, in its image.

    Notes
    -----
    The projection is ``x - A.adjoint((A @ A.adjoint)^-1 (A(x) - data))``: in one step if the
    operator says that ``A @ A.adjoint`` is a multiple of the identity, else by conjugate gradients
    to rounding. A point counts as inside if ``A(x)`` equals the data to ``eps ** 0.75`` of their
    size.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> mean = oa.MatrixOperator(np.full((1, 4), 0.25))
    >>> fn.AffineSet(mean, np.array([1.0])).prox(1.0)(np.array([0.0, 0.0, 4.0, 4.0])).tolist()
    [-1.0, -1.0, 3.0, 3.0]
    """

    native = False

    def __init__(self, operator: LinearOperator, data: Array) -> None:
        if not isinstance(operator, LinearOperator):
            raise ArgumentError(f"AffineSet needs a linear operator, got {operator}")
        super().__init__(operator.domain)
        self.operator = operator
        self._data = Field(data, operator.range, "the data of an affine set")

    @property
    def data(self) -> Array:
        """The right-hand side."""
        return self._data.value

    def _residual(self, x: Array) -> Array:
        return self.operator(x) - self._data.element(x)

    def _excess(self, x: Array) -> Array:
        image, data = self.operator(x), self._data.element(x)
        space = self.operator.range
        slack = _slack(space) * (length(space, image) + length(space, data))
        return length(space, image - data) - slack

    def _solve(self, y: Array) -> Array:
        """``A.adjoint (A @ A.adjoint)^-1 y``."""
        alpha = tightness(self.operator)
        if alpha is not None:
            return self.operator.adjoint((1 / alpha) * y)
        operator = self.operator
        weights = conjugate_gradients(operator.range, lambda u: operator(operator.adjoint(u)), y)
        return operator.adjoint(weights)

    def _project(self, x: Array, out: Array | None) -> Array:
        return deliver(x - self._solve(self._residual(x)), out)

    def _conjugate_value(self, p: Array) -> Array:
        # Finite only for p in the image of the adjoint; there <p, x> is the same for all solutions
        # x.
        rest = p - self._solve(self.operator(p))
        inside = _negligible(self.domain, rest, p)
        solution = self._solve(self._data.element(p))
        return _only(inside, pairing(self.domain, p, solution), p)

    def _key(self) -> tuple[Any, ...]:
        return self.operator, self._data

    def _children(self) -> tuple[Any, ...]:
        return (self.operator,)

    def _words(self) -> str:
        return f"{self.operator}, data"

    def _label(self) -> str:
        return "AffineSet"

    def _latex(self) -> printing.Text:
        return printing.atom(rf"\iota_{{\{{ {self.operator._latex().text} x = b \}}}}")


class HalfSpace(SetIndicator):
    """The indicator of ``<x, normal> <= bound`` in the inner product of the space.

    Parameters
    ----------
    space : Space or ProductSpace
    normal : array or Blocks
        Element of the space, not zero.
    bound : float, default 0.0

    Raises
    ------
    ArgumentError
        If the normal is zero.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.HalfSpace(oa.Space(2, "float64"), np.array([1.0, 1.0]), 1.0)
    >>> f.prox(1.0)(np.array([2.0, 1.0])).tolist()
    [1.0, 0.0]
    """

    def __init__(self, space: Any, normal: Array, bound: float = 0.0) -> None:
        super().__init__(space)
        self._normal = Field(normal, space, "the normal of a half space")
        if self._normal.number is not None or space.batch_shape(normal):
            raise ArgumentError("the normal of a half space must be an element of the space")
        if not (is_number(bound) and np.isreal(bound) and math.isfinite(float(bound))):
            raise ArgumentError(
                f"the bound of a half space must be a finite real number, got {bound!r}"
            )
        self.bound = float(bound)
        self._square = float(pairing(space, self._normal.value, self._normal.value))
        if self._square == 0.0:
            raise ArgumentError("the normal of a half space must not be zero")

    @property
    def normal(self) -> Array:
        """The outer normal."""
        return self._normal.value

    def _excess(self, x: Array) -> Array:
        slack = _slack(self.domain) * (
            abs(self.bound) + length(self.domain, x) * math.sqrt(self._square)
        )
        return pairing(self.domain, x, self._normal.element(x)) - self.bound - slack

    def _project(self, x: Array, out: Array | None) -> Array:
        normal = self._normal.element(x)
        xp = namespace(flat(x)[0])
        above = (pairing(self.domain, x, normal) - self.bound) / self._square
        distance = self.domain.expand(xp.maximum(above, 0 * above))
        return deliver(x - distance * normal, out)

    def _conjugate_value(self, p: Array) -> Array:
        # Finite only for p = c * normal with c >= 0.
        normal = self._normal.element(p)
        c = pairing(self.domain, p, normal) / self._square
        rest = p - self.domain.expand(c) * normal
        inside = _negligible(self.domain, rest, p) & (c >= 0)
        return _only(inside, c * self.bound, p)

    def _key(self) -> tuple[Any, ...]:
        return self.domain, self._normal, self.bound


def _slack(space: Any) -> float:
    return float(np.finfo(space_dtype(space)).eps) ** 0.75


def _negligible(space: Any, part: Array, whole: Array) -> Any:
    """Whether a part of an element is not more than rounding."""
    return pairing(space, part, part) <= _slack(space) ** 2 * pairing(space, whole, whole)


def _only(inside: Any, value: Any, like: Array) -> Array:
    """The value where ``inside``, else infinity."""
    xp = namespace(flat(like)[0])
    return xp.where(inside, value, xp.ones_like(value) * math.inf)
