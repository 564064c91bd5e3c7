"""Functionals of operators, ``f @ A``, and the rules by which their proximal maps are found."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import steps
from opalg.functionals.entries import deliver, flat
from opalg.functionals.functional import Functional, Term, algebra, positive
from opalg.functionals.indicators import Constant
from opalg.functionals.metric import meet
from opalg.functionals.operator_norms import norm_in_spaces, tightness
from opalg.functionals.separable import SeparableSum
from opalg.operators import Diagonal, Identity, LinearOperator, Operator, Scaling, printing
from opalg.operators.blocks import LinearBlockOperator
from opalg.operators.expressions import Product, Sum
from opalg.operators.nonlinear import Shifted

__all__ = ["Composed"]


class Composed(Functional):
    """``x -> f(A(x))``; written ``f @ A``.

    Parameters
    ----------
    functional : Functional
    operator : Operator
        Into the domain of the functional. For one that is not linear there is a value and, with its
        derivative, a gradient.
    tight : float, optional
        The number a with ``A @ A.adjoint == a * Identity``; see `Functional.composed`.

    Raises
    ------
    SpaceMismatchError
        If the range of the operator is not the domain of the functional.
    ArgumentError
        If ``tight`` is not true.

    Notes
    -----
    The gradient is ``A.adjoint @ f.gradient @ A``. The prox follows by rule if ``A @ A.adjoint`` is
    a multiple a of the identity, ``x + A.adjoint(prox_{a step f}(A(x)) - A(x)) / a`` (Combettes and
    Pesquet 2011, Table 10.1), and for diagonal operators if the functional is a sum over entries.
    """

    def __init__(
        self, functional: Functional, operator: Operator, tight: float | None = None
    ) -> None:
        meet(
            functional.domain,
            operator.range,
            f"cannot compose {functional} @ {operator}: the domain of the one and the range of the other",
        )
        super().__init__(operator.domain)
        self.functional, self.operator = functional, operator
        self.linear = isinstance(operator, LinearOperator)
        self.tight = None if tight is None else self._verified(tight)
        self.convex = functional.convex and self.linear
        self.native = functional.native
        self.separable = functional.separable and isinstance(operator, (Diagonal, Scaling))

    def _verified(self, tight: float) -> float:
        number = positive(tight, "tight")
        if not self.linear:
            raise ArgumentError(f"only a linear operator can be tight, and {self.operator} is not")
        y = self.operator.range.random(seed=0)
        image = self.operator(self.operator.adjoint(y))  # type: ignore[attr-defined]
        off = float(self.operator.range.norm(image - number * y))
        if not off <= 1e-3 * number * float(self.operator.range.norm(y)):
            raise ArgumentError(
                f"A @ A.adjoint is not {number:g} * Identity for A = {self.operator}; without "
                "tight= the functional can still be used in splitting methods such as solvers.PDHG"
            )
        return number

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """That of the functional times the square of the upper bound of the operator's norm."""
        if self.functional.lipschitz == 0.0:
            return 0.0
        if not self.linear or not math.isfinite(self.functional.lipschitz):
            return math.inf
        return self.functional.lipschitz * self._norm_squared

    @cached_property
    def _norm_squared(self) -> float:
        return float(norm_in_spaces(self.operator).upper ** 2)  # type: ignore[arg-type]

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """That of the functional times the square of the least singular value, where it is known."""
        operator, inner = self.operator, self.functional.strong_convexity
        if inner == 0.0:
            return 0.0
        if isinstance(operator, Diagonal) and not operator.trainable:
            smallest = float(np.min(np.abs(np.asarray(operator.weight)))) ** 2
            return inner * smallest
        if self._alpha is not None and operator.domain.size == operator.range.size:
            return inner * self._alpha
        return 0.0

    def _value(self, x: Array) -> Array:
        return self.functional._value(self.operator(x))

    # Gradient

    @property
    def differentiable(self) -> bool:
        return self.functional.differentiable

    def _gradient_operator(self) -> Operator:
        if self.linear:
            return self.operator.adjoint @ self.functional.gradient @ self.operator  # type: ignore[attr-defined]
        return super()._gradient_operator()

    def _gradient(self, x: Array, out: Array | None) -> Array:
        inner = self.functional.gradient(self.operator(x))
        return deliver(self.operator.derivative(x).adjoint(inner), out)

    def _hessian(self, x: Array) -> Any:
        raise NotSupportedError(
            f"the second derivative of {self} is known for linear operators only"
        )

    # Prox

    @cached_property
    def _alpha(self) -> float | None:
        if self.tight is not None:
            return self.tight
        return tightness(self.operator)

    @property
    def proximable(self) -> bool:
        if not self.functional.proximable:
            return False
        return self._by_entry or self._alpha is not None

    @property
    def _by_entry(self) -> bool:
        return self.functional.separable and isinstance(self.operator, Diagonal)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        operator: Any = self.operator
        image = operator(x)
        if self._by_entry:
            return deliver(self._diagonal_prox(x, image, step), out)
        alpha: Any = self._alpha
        space, batch = self.functional.domain, self.domain.batch_shape(x)
        if not self.separable:
            step = steps.transfer(step, batch, space)
        moved = self.functional._prox(image, alpha * step, None)
        moved = operator.adjoint(moved - image)
        return deliver(x + (1 / alpha) * moved, out)

    def _diagonal_prox(self, x: Array, image: Array, step: Any) -> Array:
        """The same rule entry by entry; where the factor is zero nothing moves."""
        operator: Any = self.operator
        xp = namespace(x)
        factor = operator._weight.like(x)
        square = xp.abs(factor) ** 2
        used = square > 0
        safe = xp.where(used, square, xp.ones_like(square))
        moved = self.functional._prox(image, step * safe, None)
        conjugate = factor if operator.self_adjoint else xp.conj(factor)
        return x + xp.where(used, conjugate, xp.zeros_like(conjugate)) / safe * (moved - image)

    def _no_prox(self) -> str:
        if not self.functional.proximable:
            return self.functional._no_prox()
        return (
            f"no rule is known for the prox of {self}: that needs A @ A.adjoint = a * Identity "
            "(declare it with f.composed(A, tight=a)), or a diagonal operator under a sum over "
            "entries; splitting methods such as solvers.PDHG and solvers.ADMM take f and A apart"
        )

    # Duality

    def _conjugate(self) -> Functional:
        operator: Any = self.operator
        if self._alpha is not None and operator.domain.size == operator.range.size:
            return self.functional.convex_conjugate @ ((1 / self._alpha) * operator)
        try:
            inverse = operator.inverse
        except NotSupportedError:
            inverse = None
        if not isinstance(inverse, LinearOperator):
            raise NotSupportedError(
                f"the conjugate of {self} has no formula, because {operator} has no known inverse; "
                "primal-dual solvers need only f.convex_conjugate and A, which they find with f.terms()"
            )
        return self.functional.convex_conjugate @ inverse.adjoint

    def terms(self) -> list[Term]:
        if self.tight is not None:
            return [Term(1.0, self, None)]  # its prox is known, so it need not be taken apart
        found = []
        for scale, functional, operator in self.functional.terms():
            both = self.operator if operator is None else operator @ self.operator
            found.append(Term(scale, functional, both))
        return found

    # Printing

    def _children(self) -> tuple[Any, ...]:
        return self.functional, self.operator

    def _infix(self) -> printing.Text:
        part = self.functional._infix()
        left = part.text if part.binding >= printing.PRODUCT else f"({part.text})"
        right = self.operator._infix()
        loose = right.binding > printing.PRODUCT or type(self.operator).__mro__[1] is Product
        loose = loose or isinstance(self.operator, Product)
        text = right.text if loose and not isinstance(self.operator, Sum) else f"({right.text})"
        return printing.Text(f"{left} @ {text}", printing.PRODUCT)

    def _latex(self) -> printing.Text:
        part, right = self.functional._latex(), self.operator._latex()
        left = part.text if part.binding >= printing.PRODUCT else rf"\left({part.text}\right)"
        text = right.text if right.binding >= printing.PRODUCT else rf"\left({right.text}\right)"
        return printing.Text(rf"{left} \circ {text}", printing.PRODUCT)

    def _label(self) -> str:
        return "_ @ _"

    def __repr__(self) -> str:
        left = printing.parenthesise_repr(self.functional)
        right = printing.parenthesise_repr(self.operator)
        if self.tight is None:
            return f"{left} @ {right}"
        return f"{left}.composed({self.operator!r}, tight={self.tight!r})"


def compose(functional: Functional, operator: Operator, tight: float | None = None) -> Functional:
    """``functional @ operator``, simplified exactly."""
    plain = Composed(functional, operator, tight)
    if isinstance(operator, Identity):
        return functional
    if isinstance(functional, Constant):
        return Constant(operator.domain, functional.value)
    if isinstance(operator, Scaling) and operator.factor != 0:
        found = functional._dilated(operator.factor)
        if found is not None:
            return found
    if isinstance(operator, Shifted) and not operator.trainable:
        inner = operator.operator
        shift = operator._constants(flat(functional.domain.zeros())[0])
        return compose(functional.translated(-shift), inner)
    if isinstance(functional, Composed) and tight is None and functional.tight is None:
        return compose(functional.functional, functional.operator @ operator)
    if isinstance(functional, SeparableSum) and _is_block_diagonal(operator) and tight is None:
        rows: Any = operator
        parts = [part @ rows.rows[i][i] for i, part in enumerate(functional.parts)]
        return SeparableSum(*parts)
    return plain


def _is_block_diagonal(operator: Operator) -> bool:
    return isinstance(operator, LinearBlockOperator) and operator.form == "block_diagonal"


algebra.compose = compose
