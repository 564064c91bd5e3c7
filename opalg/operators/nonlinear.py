"""Expressions that are not linear: pointwise products, and operators with a constant added."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array, Constant
from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators import printing, workspace
from opalg.operators.blocks import diagonal_of
from opalg.operators.costs import Cost
from opalg.operators.expressions import LinearProduct, LinearSum
from opalg.operators.operator import LinearOperator, Operator, algebra
from opalg.spaces.compatibility import join, remedy
from opalg.spaces.parts import flat, unflat

__all__ = ["PointwiseProduct", "Shifted"]


class PointwiseProduct(Operator):
    """``x -> A(x) * B(x)``, entry by entry, written ``A * B`` (``A @ B`` composes).

    Parameters
    ----------
    first, second : Operator
        With equal domains and equal ranges.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> I = oa.Identity(oa.Space(2, "float64"))
    >>> square = I * I
    >>> square(np.array([2.0, 3.0])).tolist()
    [4.0, 9.0]
    >>> square.derivative(np.array([2.0, 3.0]))(np.ones(2)).tolist()
    [4.0, 6.0]
    """

    def __init__(self, first: Operator, second: Operator) -> None:
        domain, range = join(first.domain, second.domain), join(first.range, second.range)
        if domain is None or range is None:
            side = "domain" if domain is None else "range"
            have, need = getattr(second, side), getattr(first, side)
            raise ArgumentError(
                f"cannot multiply {first} and {second}: their {side}s are {need} and {have}; "
                f"{remedy(have, need)} (or write A @ B to compose)"
            )
        super().__init__(domain, range)
        self.first, self.second = first, second
        self.trainable = first.trainable or second.trainable

    def _apply(self, x: Array, out: Array | None) -> Array:
        with workspace.lent(self.range, x, self.domain.batch_shape(x)) as memory:
            value = self.second._apply(x, memory)
            out = self.first._apply(x, out)
            out *= value
        return out

    def _trace(self, x: Array) -> Array:
        return self.first._trace(x) * self.second._trace(x)

    def _derivative(self, x: Array) -> LinearOperator:
        return LinearSum(
            LinearProduct(diagonal_of(self.second(x), self.range), self.first._derivative(x)),
            LinearProduct(diagonal_of(self.first(x), self.range), self.second._derivative(x)),
        )

    def cost(self) -> Cost:
        """What the parts cost together."""
        return self.first.cost() + self.second.cost() + Cost(self.range.size, 0)

    def _children(self) -> tuple[Operator, ...]:
        return self.first, self.second

    def _infix(self) -> printing.Text:
        return printing.infix(" * ", [self.first._infix(), self.second._infix()], printing.PRODUCT)

    def _latex(self) -> printing.Text:
        parts = [self.first._latex(), self.second._latex()]
        return printing.infix(r" \odot ", parts, printing.PRODUCT, latex=True)

    def _label(self) -> str:
        return "_ * _"

    def __repr__(self) -> str:
        return " * ".join(map(printing.parenthesise_repr, (self.first, self.second)))


class Shifted(Operator):
    """``x -> A(x) + b``; written ``A + b``.

    Parameters
    ----------
    operator : Operator
    shift : array or Blocks
        Element of the range.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> residual = oa.Identity(oa.Space(2, "float64")) - np.array([1.0, 2.0])
    >>> residual(np.array([1.0, 1.0])).tolist()
    [0.0, -1.0]
    """

    def __init__(self, operator: Operator, shift: Array) -> None:
        super().__init__(operator.domain, operator.range)
        shift = operator.range.check(shift, f"the array added to {operator}")
        self.operator = operator
        self._shift = [Constant(part) for part in flat(shift)]
        self.trainable = operator.trainable or any(part.trainable for part in self._shift)

    def _constants(self, like: Array) -> Array:
        return unflat(self.range, [constant.like(like) for constant in self._shift])

    def _apply(self, x: Array, out: Array | None) -> Array:
        out = self.operator._apply(x, out)
        out += self._constants(flat(x)[0])
        return out

    def _trace(self, x: Array) -> Array:
        return self.operator._trace(x) + self._constants(flat(x)[0])

    def _derivative(self, x: Array) -> LinearOperator:
        return self.operator._derivative(x)

    @property
    def inverse(self) -> Operator:
        """Subtraction of the shift, then the inverse."""
        if self.trainable:
            raise NotSupportedError("the inverse of a trainable shift is not defined")
        subtraction = Shifted(algebra.identity(self.range), -self._constants(self._shift[0].array))
        return self.operator.inverse @ subtraction

    def cost(self) -> Cost:
        """What the parts cost together."""
        return self.operator.cost() + Cost(self.range.size, 0)

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _infix(self) -> printing.Text:
        return printing.infix(
            " + ", [self.operator._infix(), printing.atom("constant")], printing.SUM
        )

    def _latex(self) -> printing.Text:
        return printing.infix(
            " + ", [self.operator._latex(), printing.atom("b")], printing.SUM, latex=True
        )

    def _label(self) -> str:
        return "_ + constant"

    def _key(self) -> tuple[Any, ...]:
        return self.operator, *self._shift
