"""Sums and multiples of functionals.

Use ``+`` and ``*``, which simplify on the way; the classes here build what they are given.
"""

from __future__ import annotations

from functools import cached_property, reduce
from operator import add as plus
from typing import Any

from opalg.arrays import Array, is_torch
from opalg.errors import NotSupportedError
from opalg.functionals.affine import as_factor, perturb
from opalg.functionals.entries import deliver, flat
from opalg.functionals.functional import Functional, Term, algebra
from opalg.functionals.indicators import Box, Constant, NonNegative
from opalg.functionals.metric import meet
from opalg.operators import Operator, Scaling, printing
from opalg.spaces import Blocks

__all__ = ["ScaledFunctional", "SumFunctional"]


class SumFunctional(Functional):
    """The sum of functionals; written ``f + g``.

    Parameters
    ----------
    *parts : Functional

    Raises
    ------
    SpaceMismatchError
        If the domains differ.

    Notes
    -----
    A sum has a proximal map by rule if all parts but one are quadratic (``a / 2 * |x| ** 2 + <x, b>
    + c`` with a number a), or if a real convex sum over entries is restricted to a `Box` or to
    `NonNegative`: then the projection comes last. The conjugate has a rule in the first case.
    """

    def __init__(self, *parts: Functional) -> None:
        domain = parts[0].domain
        for part in parts[1:]:
            domain = meet(domain, part.domain, f"cannot add {parts[0]} and {part}: their domains")
        super().__init__(domain)
        self.parts = parts
        self.convex = all(part.convex for part in parts)
        self.native = all(part.native for part in parts)
        self.separable = all(part.separable for part in parts)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """The sum of the constants of the parts."""
        return sum(part.lipschitz for part in self.parts)

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """The sum of the constants of the parts."""
        return sum(part.strong_convexity for part in self.parts)

    def _value(self, x: Array) -> Array:
        return reduce(plus, (part._value(x) for part in self.parts))

    @property
    def differentiable(self) -> bool:
        return all(part.differentiable for part in self.parts)

    def _gradient_operator(self) -> Operator:
        return reduce(plus, (part.gradient for part in self.parts))

    def _split(self) -> tuple[list[Functional], Functional | None]:
        """The parts that are not quadratic, and the sum of the others as a `Perturbed` zero."""
        others = [part for part in self.parts if part._quadratic() is None]
        quadratics = [part._quadratic() for part in self.parts]
        found = [q for q in quadratics if q is not None]
        if not found:
            return others, None
        a, c = sum(q[0] for q in found), sum(q[2] for q in found)
        linear = [q[1] for q in found if q[1] is not None]
        b = reduce(plus, linear) if linear else None
        base = others[0] if len(others) == 1 else Constant(self.domain)
        return others, perturb(base, a, b, c)

    def _rule(self) -> tuple[str, Any]:
        return self._kept_rule or self._find_rule()

    @cached_property
    def _kept_rule(self) -> tuple[str, Any] | None:
        """The rule, unless it holds a sum of tensors: PyTorch may record that, so it is made each time."""
        name, found = self._find_rule()
        recorded = (
            name == "quadratic"
            and found.linear is not None
            and any(map(is_torch, flat(found.linear)))
        )
        return None if recorded else (name, found)

    def _find_rule(self) -> tuple[str, Any]:
        others, quadratic = self._split()
        if quadratic is not None and len(others) <= 1 and quadratic.proximable:
            return "quadratic", quadratic
        boxes = [part for part in self.parts if isinstance(part, (Box, NonNegative))]
        rest = [part for part in self.parts if not isinstance(part, (Box, NonNegative))]
        if len(boxes) == 1 and rest and not self.domain.is_complex:
            inner = rest[0] if len(rest) == 1 else SumFunctional(*rest)
            if inner.separable and inner.convex and inner.proximable:
                return "box", (boxes[0], inner)
        return "", None

    @property
    def proximable(self) -> bool:
        return bool(self._rule()[0])

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        rule, parts = self._rule()
        if rule == "quadratic":
            return parts._prox(x, step, out)
        box, inner = parts
        return deliver(box._prox(inner._prox(x, step, None), step, None), out)

    def _no_prox(self) -> str:
        return (
            f"no rule is known for the prox of the sum {self}; a splitting method such as solvers.PDHG takes "
            "its terms one by one (f.terms())"
        )

    def _conjugate(self) -> Functional:
        others, quadratic = self._split()
        if quadratic is not None and len(others) <= 1:
            return quadratic.convex_conjugate
        raise NotSupportedError(
            f"the conjugate of the sum {self} is the infimal convolution of the conjugates, "
            "which has no formula; primal-dual solvers take the terms one by one (f.terms())"
        )

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        others, quadratic = self._split()
        return None if others or quadratic is None else quadratic._quadratic()

    def terms(self) -> list[Term]:
        return [term for part in self.parts for term in part.terms()]

    def _children(self) -> tuple[Any, ...]:
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


class ScaledFunctional(Functional):
    """A multiple of a functional; written ``a * f``.

    Parameters
    ----------
    factor : float
        Of either sign; negative multiples have a value and a gradient, but neither prox nor
        conjugate.
    functional : Functional

    Raises
    ------
    ArgumentError, NonFiniteError
        If the factor is no finite real number.
    """

    def __init__(self, factor: float, functional: Functional) -> None:
        super().__init__(functional.domain)
        self.factor = as_factor(factor)
        self.functional = functional
        self.convex = functional.convex and self.factor >= 0
        self.native = functional.native
        self.separable = functional.separable

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """The constant of the functional times the modulus of the factor."""
        return abs(self.factor) * self.functional.lipschitz

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """The constant of the functional times the factor; negative for a concave multiple."""
        if self.factor < 0:
            return self.factor * self.functional.lipschitz
        return self.factor * self.functional.strong_convexity

    def _value(self, x: Array) -> Array:
        return self.factor * self.functional._value(x)

    @property
    def differentiable(self) -> bool:
        return self.functional.differentiable

    def _gradient_operator(self) -> Operator:
        return self.factor * self.functional.gradient

    @property
    def proximable(self) -> bool:
        return self.factor > 0 and self.functional.proximable

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        return self.functional._prox(x, self.factor * step, out)

    @property
    def _step_space(self) -> Any | None:
        return self.functional._step_space

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return self.functional._resolve_steps(step, x)

    def _no_prox(self) -> str:
        if self.factor > 0:
            return self.functional._no_prox()
        return (
            f"{self} has no prox, because its factor is negative and it is not convex; use its gradient, "
            "or a positive factor"
        )

    def _conjugate(self) -> Functional:
        if self.factor < 0:
            raise NotSupportedError(
                f"{self} has no convex conjugate, because its factor is negative; use a positive factor"
            )
        inner = self.functional.convex_conjugate @ Scaling(self.domain, 1 / self.factor)
        return self.factor * inner

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        inner = self.functional._quadratic()
        if inner is None or self.factor < 0:
            return None
        a, b, c = inner
        return self.factor * a, None if b is None else b * self.factor, self.factor * c

    def terms(self) -> list[Term]:
        return [
            Term(self.factor * scale, functional, operator)
            for scale, functional, operator in self.functional.terms()
        ]

    def _children(self) -> tuple[Any, ...]:
        return (self.functional,)

    def _infix(self) -> printing.Text:
        part = self.functional._infix()
        text = part.text if part.binding >= printing.PRODUCT else f"({part.text})"
        sign = "-" if self.factor == -1 else f"{printing.number(self.factor)} * "
        return printing.Text(sign + text, printing.PRODUCT)

    def _latex(self) -> printing.Text:
        part = self.functional._latex()
        text = part.text if part.binding >= printing.PRODUCT else rf"\left({part.text}\right)"
        sign = "-" if self.factor == -1 else rf"{printing.number(self.factor)} \, "
        return printing.Text(sign + text, printing.PRODUCT)

    def _label(self) -> str:
        return f"{printing.number(self.factor)} * _"

    def __repr__(self) -> str:
        return f"{self.factor!r} * {printing.parenthesise_repr(self.functional)}"


# Constructors that simplify, exactly


def add(left: Functional, right: Functional) -> Functional:
    """``left + right``."""
    plain = SumFunctional(left, right)
    parts: list[Functional] = []
    for side in (left, right):
        parts.extend(side.parts if isinstance(side, SumFunctional) else (side,))
    kept = [part for part in parts if not (isinstance(part, Constant) and part.value == 0)]
    if not kept:
        return parts[0]
    result = kept[0] if len(kept) == 1 else SumFunctional(*kept)
    return result if result.domain == plain.domain else plain


def scale(factor: Any, functional: Functional) -> Functional:
    """``factor * functional``; a factor of 0 gives the zero function, also for indicators."""
    number = as_factor(factor)
    if number == 1:
        return functional
    if number == 0:
        return Constant(functional.domain)
    if isinstance(functional, ScaledFunctional):
        return scale(number * functional.factor, functional.functional)
    if isinstance(functional, SumFunctional):
        return SumFunctional(*(scale(number, part) for part in functional.parts))
    found = (
        functional._scaled_by(number) if number > 0 or isinstance(functional, Constant) else None
    )
    return ScaledFunctional(number, functional) if found is None else found


algebra.add = add
algebra.constant = Constant
algebra.scale = scale
