"""Expressions: sums, products, multiples, powers. Each keeps its parts and computes through them.

Use the operators ``+ - * @ **``; they simplify on the way (`opalg.operators.rewriting`). The classes here
build exactly what they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

from opalg.arrays import Array
from opalg.errors import SpaceMismatchError
from opalg.operators import norms, printing, workspace
from opalg.operators.costs import Cost
from opalg.operators.elementary import Scaling
from opalg.operators.operator import LinearOperator, Operator
from opalg.operators.scalars import as_scalar, conjugate
from opalg.spaces.compatibility import join, remedy

__all__ = [
    "LinearExpression",
    "LinearPower",
    "LinearProduct",
    "LinearScaled",
    "LinearSum",
    "Power",
    "Product",
    "Scaled",
    "Sum",
]


class LinearExpression(LinearOperator):
    """A linear expression: its transpose is another expression, built once by ``_transposed``."""

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.H._apply(y, out)

    def _inherit(self, parts: tuple[LinearOperator, ...]) -> None:
        self.exact_adjoint = all(part.exact_adjoint for part in parts)
        # Between real spaces nothing is asked of the parts, which may pass through complex ones.
        self.complex_linear = self.complex_linear and (
            not self.domain.is_complex or all(part.complex_linear for part in parts)
        )
        self.nonnegative = all(part.nonnegative for part in parts)

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return all(part.real for part in self._children())  # type: ignore[attr-defined]


def _meet(parts: tuple[Operator, ...], side: str) -> Any:
    """The space in which the domains (or ranges) of the parts of a sum meet."""
    space = getattr(parts[0], side)
    for part in parts[1:]:
        other = getattr(part, side)
        both = join(space, other)
        if both is None:
            raise SpaceMismatchError(
                f"cannot add {parts[0]} and {part}: their {side}s are {space} and {other}; "
                f"{remedy(other, space)}"
            )
        space = both
    return space


def _through(before: Sequence[Operator], x: Array, last: Callable[[Array], Array]) -> Array:
    """``last`` of the values after the operators ``before``, in memory that a solver may have lent."""
    batch = before[0].domain.batch_shape(x) if before else ()
    space, memory = None, None
    for part in before:
        taken = workspace.take(part.range, x, batch)
        x = part._apply(x, taken)
        workspace.give_back(space, memory, batch)
        space, memory = part.range, taken
    value = last(x)
    workspace.give_back(space, memory, batch)
    return value


class Sum(Operator):
    """The sum of two or more operators.

    Parameters
    ----------
    *parts : Operator

    Raises
    ------
    SpaceMismatchError
        If domains or ranges differ.
    """

    def __init__(self, *parts: Operator) -> None:
        super().__init__(_meet(parts, "domain"), _meet(parts, "range"))
        self.parts = parts
        self.trainable = any(part.trainable for part in parts)

    def _apply(self, x: Array, out: Array | None) -> Array:
        first, *rest = self.parts
        out = first._apply(x, out)
        for part in rest:
            out = part._accumulate(x, out)
        return out

    def _trace(self, x: Array) -> Array:
        return reduce(add, (part._trace(x) for part in self.parts))

    def _derivative(self, x: Array) -> LinearOperator:
        return LinearSum(*(part._derivative(x) for part in self.parts))

    def cost(self) -> Cost:
        """What the parts cost together."""
        return reduce(add, (part.cost() for part in self.parts))

    def _children(self) -> tuple[Operator, ...]:
        return self.parts

    def _infix(self) -> printing.Text:
        return printing.infix(" + ", [part._infix() for part in self.parts], printing.SUM)

    def _latex(self) -> printing.Text:
        return printing.infix(
            " + ", [part._latex() for part in self.parts], printing.SUM, latex=True
        )

    def _label(self) -> str:
        return " + ".join("_" for _ in self.parts)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts))


class LinearSum(Sum, LinearExpression):
    """The sum of two or more linear operators; see `Sum`."""

    parts: tuple[LinearOperator, ...]

    def __init__(self, *parts: LinearOperator) -> None:
        super().__init__(*parts)
        self._inherit(parts)
        self.self_adjoint = all(part.self_adjoint for part in parts)

    def _transposed(self) -> LinearOperator:
        return LinearSum(*(part.H for part in self.parts))

    def _norm_bounds(self) -> norms.Bounds:
        if self.nonnegative and self.exact_adjoint:
            return norms.measured(self)
        bounds = [part.norm_bounds() for part in self.parts]
        total = sum(bound.upper for bound in bounds)
        lower = max(bound.lower - (total - bound.upper) for bound in bounds)
        return norms.refined(self, max(lower, 0.0), total)


class Product(Operator):
    """The composition of two or more operators; the last one is applied first.

    Parameters
    ----------
    *parts : Operator

    Raises
    ------
    SpaceMismatchError
        If the range of one is not the domain of the one before it.
    """

    def __init__(self, *parts: Operator) -> None:
        for left, right in pairwise(parts):
            if join(left.domain, right.range) is None:
                raise SpaceMismatchError(
                    f"cannot compose {left} @ {right}: {right} maps to {right.range}, but {left} takes "
                    f"{left.domain}; {remedy(right.range, left.domain)}"
                )
        super().__init__(parts[-1].domain, parts[0].range)
        self.parts = parts
        self.trainable = any(part.trainable for part in parts)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _through(self.parts[:0:-1], x, lambda z: self.parts[0]._apply(z, out))

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        return _through(self.parts[:0:-1], x, lambda z: self.parts[0]._accumulate(z, out, scale))

    def _trace(self, x: Array) -> Array:
        for part in reversed(self.parts):
            x = part._trace(x)
        return x

    def _derivative(self, x: Array) -> LinearOperator:
        factors = []
        for part in reversed(self.parts):
            factors.append(part._derivative(x))
            x = part(x)
        return LinearProduct(*reversed(factors))

    @property
    def inverse(self) -> Operator:
        """The product of the inverses in reverse order."""
        inverses = [part.inverse for part in reversed(self.parts)]
        return reduce(lambda left, right: left @ right, inverses)

    def cost(self) -> Cost:
        """What the parts cost together."""
        return reduce(add, (part.cost() for part in self.parts))

    def _children(self) -> tuple[Operator, ...]:
        return self.parts

    def _infix(self) -> printing.Text:
        return printing.infix(" @ ", [part._infix() for part in self.parts], printing.PRODUCT)

    def _latex(self) -> printing.Text:
        return printing.infix(
            r" \, ", [part._latex() for part in self.parts], printing.PRODUCT, latex=True
        )

    def _label(self) -> str:
        return " @ ".join("_" for _ in self.parts)

    def __repr__(self) -> str:
        return " @ ".join(map(printing.parenthesise_repr, self.parts))


class LinearProduct(Product, LinearExpression):
    """The composition of two or more linear operators; see `Product`."""

    parts: tuple[LinearOperator, ...]

    def __init__(self, *parts: LinearOperator) -> None:
        super().__init__(*parts)
        self._inherit(parts)
        self.unitary = all(part.unitary for part in parts)

    def _transposed(self) -> LinearOperator:
        return LinearProduct(*(part.H for part in reversed(self.parts)))

    def _norm_bounds(self) -> norms.Bounds:
        if self.nonnegative and self.exact_adjoint:
            return norms.measured(self)
        upper = 1.0
        for part in self.parts:
            upper *= part.norm_bounds().upper
        return norms.refined(self, 0.0, upper)


class Scaled(Operator):
    """A multiple of an operator.

    Parameters
    ----------
    factor : number
    operator : Operator

    Raises
    ------
    ArgumentError
        If the factor is complex and the range real, or the factor is not finite.
    """

    def __init__(self, factor: complex, operator: Operator) -> None:
        super().__init__(operator.domain, operator.range)
        self.factor = as_scalar(factor, operator.range)
        self.operator = operator
        self.trainable = operator.trainable

    def _apply(self, x: Array, out: Array | None) -> Array:
        out = self.operator._apply(x, out)
        out *= self.factor
        return out

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        return self.operator._accumulate(x, out, scale * self.factor)

    def _trace(self, x: Array) -> Array:
        return self.factor * self.operator._trace(x)

    def _derivative(self, x: Array) -> LinearOperator:
        return LinearScaled(self.factor, self.operator._derivative(x))

    @property
    def inverse(self) -> Operator:
        """The inverse after division by the factor."""
        if isinstance(self.operator, LinearOperator):
            return (1 / self.factor) * self.operator.inverse
        return self.operator.inverse * (1 / self.factor)

    def cost(self) -> Cost:
        """What the parts cost together."""
        return self.operator.cost() + Cost(self.range.size, 0)

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _infix(self) -> printing.Text:
        # "2 * A @ B" reads (and evaluates) left to right as (2 * A) @ B, the same linear operator.
        loose = isinstance(self.operator, LinearOperator)
        return printing.scaled(self.factor, self.operator._infix(), loose)

    def _latex(self) -> printing.Text:
        return printing.scaled(self.factor, self.operator._latex(), loose=True, latex=True)

    def _label(self) -> str:
        return f"{printing.number(self.factor)} * _"

    def __repr__(self) -> str:
        return f"{self.factor!r} * {printing.parenthesise_repr(self.operator)}"


class LinearScaled(Scaled, LinearExpression):
    """A multiple of a linear operator; see `Scaled`."""

    operator: LinearOperator

    def __init__(self, factor: complex, operator: LinearOperator) -> None:
        super().__init__(factor, operator)
        self._inherit((operator,))
        real = isinstance(self.factor, float)
        self.nonnegative = operator.nonnegative and real and self.factor >= 0  # type: ignore[operator]
        self.self_adjoint = operator.self_adjoint and real
        self.unitary = operator.unitary and abs(self.factor) == 1

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return isinstance(self.factor, float) and self.operator.real

    def _transposed(self) -> LinearOperator:
        factor = conjugate(self.factor)
        if isinstance(factor, float) or self.operator.complex_linear:
            return LinearScaled(factor, self.operator.H)
        # Linear over the reals only: the factor cannot be moved across the transpose.
        return LinearProduct(self.operator.H, Scaling(self.range, factor))

    def _norm_bounds(self) -> norms.Bounds:
        return self.operator.norm_bounds().scaled(abs(self.factor))


class Power(Operator):
    """An operator applied several times.

    Parameters
    ----------
    operator : Operator
        Its range must be its domain.
    exponent : int
        At least 1.

    Raises
    ------
    SpaceMismatchError
        If range and domain differ.
    """

    def __init__(self, operator: Operator, exponent: int) -> None:
        if join(operator.domain, operator.range) is None:
            raise SpaceMismatchError(
                f"cannot take a power of {operator}: it maps {operator.domain} to {operator.range}; "
                f"{remedy(operator.range, operator.domain)}"
            )
        super().__init__(operator.domain, operator.range)
        self.operator = operator
        self.exponent = exponent
        self.trainable = operator.trainable

    def _apply(self, x: Array, out: Array | None) -> Array:
        before = [self.operator] * (self.exponent - 1)
        return _through(before, x, lambda z: self.operator._apply(z, out))

    def _trace(self, x: Array) -> Array:
        for _ in range(self.exponent):
            x = self.operator._trace(x)
        return x

    def _derivative(self, x: Array) -> LinearOperator:
        return Product(*[self.operator] * self.exponent)._derivative(x)

    @property
    def inverse(self) -> Operator:
        """The same power of the inverse."""
        return self.operator.inverse**self.exponent

    def cost(self) -> Cost:
        """What the parts cost together."""
        one = self.operator.cost()
        return Cost(one.operations * self.exponent, one.bytes * self.exponent)

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _infix(self) -> printing.Text:
        return printing.postfix(self.operator._infix(), f" ** {self.exponent}")

    def _latex(self) -> printing.Text:
        return printing.postfix(self.operator._latex(), f"^{{{self.exponent}}}")

    def _label(self) -> str:
        return f"_ ** {self.exponent}"

    def __repr__(self) -> str:
        return f"({self.operator!r}) ** {self.exponent}"


class LinearPower(Power, LinearExpression):
    """A linear operator applied several times; see `Power`."""

    operator: LinearOperator

    def __init__(self, operator: LinearOperator, exponent: int) -> None:
        super().__init__(operator, exponent)
        self._inherit((operator,))
        self.self_adjoint = operator.self_adjoint
        self.unitary = operator.unitary

    def _transposed(self) -> LinearOperator:
        return LinearPower(self.operator.H, self.exponent)

    def _norm_bounds(self) -> norms.Bounds:
        lower, upper = self.operator.norm_bounds()
        if self.operator.self_adjoint:
            return norms.Bounds(lower**self.exponent, upper**self.exponent)
        return norms.refined(self, 0.0, upper**self.exponent)
