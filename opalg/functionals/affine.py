"""Translations of functionals, and functionals with a quadratic, linear or constant part added.

Both keep a proximal map and a conjugate by rule; they are each other's conjugates.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NonFiniteError
from opalg.functionals import steps
from opalg.functionals.entries import Field, deliver, pairing
from opalg.functionals.functional import Functional, algebra
from opalg.functionals.indicators import Constant
from opalg.operators import Identity, printing
from opalg.spaces import Blocks

__all__ = ["Perturbed", "Translated", "as_factor", "perturb"]


class Translated(Functional):
    """``x -> f(x - shift)``; made by ``f.translated(shift)``.

    Parameters
    ----------
    functional : Functional
    shift : array or Blocks
        Element of the domain.
    """

    def __init__(self, functional: Functional, shift: Array) -> None:
        super().__init__(functional.domain)
        self.functional = functional
        self._shift = Field(shift, functional.domain, "the shift of a translated functional")
        self.convex, self.native = functional.convex, functional.native
        self.separable = functional.separable

    @property
    def shift(self) -> Array:
        """The shift, an element of the domain."""
        return self._shift.value

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """That of the functional."""
        return self.functional.lipschitz

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """That of the functional."""
        return self.functional.strong_convexity

    def _moved(self, x: Array) -> Array:
        return x - self._shift.element(x)

    def _value(self, x: Array) -> Array:
        return self.functional._value(self._moved(x))

    @property
    def differentiable(self) -> bool:
        return self.functional.differentiable

    def _gradient(self, x: Array, out: Array | None) -> Array:
        return deliver(self.functional.gradient(self._moved(x)), out)

    def _hessian(self, x: Array) -> Any:
        return self.functional.gradient.derivative(self._moved(x))

    @property
    def proximable(self) -> bool:
        return self.functional.proximable

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        shift = self._shift.element(x)
        if out is None or self.domain.batch_shape(x) != self.domain.batch_shape(shift):
            return deliver(self.functional._prox(x - shift, step, None) + shift, out)
        moved = self.domain.lincomb(1.0, x, -1.0, shift, out=out)
        moved = self.functional._prox(moved, step, moved)  # a prox may write over its argument
        return self.domain.lincomb(1.0, moved, 1.0, shift, out=out)

    @property
    def _step_space(self) -> Any | None:
        return self.functional._step_space

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return self.functional._resolve_steps(step, x)

    def _no_prox(self) -> str:
        return self.functional._no_prox()

    def _conjugate(self) -> Functional:
        return self.functional.convex_conjugate.perturbed(linear=self.shift)

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        inner = self.functional._quadratic()
        if inner is None or self.domain.batch_shape(self.shift):
            return None
        a, b, c = inner
        shift = self.shift
        c = c + a / 2 * float(pairing(self.domain, shift, shift))
        linear = shift * (-a)
        if b is not None:
            c -= float(pairing(self.domain, shift, b))
            linear = linear + b
        return a, linear, c

    def _key(self) -> tuple[Any, ...]:
        return self.functional, self._shift

    def _children(self) -> tuple[Any, ...]:
        return (self.functional,)

    def _infix(self) -> printing.Text:
        return printing.postfix(self.functional._infix(), ".translated(shift)")

    def _latex(self) -> printing.Text:
        part = self.functional._latex()
        text = part.text if part.binding > printing.PRODUCT else rf"\left({part.text}\right)"
        return printing.Text(rf"{text}(\cdot - b)", printing.POSTFIX)

    def _label(self) -> str:
        return "_.translated(shift)"


class Perturbed(Functional):
    """``x -> f(x) + quadratic / 2 * |x| ** 2 + <x, linear> + constant``; made by ``f.perturbed(...)``.

    Parameters
    ----------
    functional : Functional
    quadratic : float, default 0.0
        At least 0.
    linear : array or Blocks, optional
        Element of the domain.
    constant : float, default 0.0

    Raises
    ------
    ArgumentError
        If ``quadratic`` is negative or not finite.
    """

    def __init__(
        self,
        functional: Functional,
        quadratic: float = 0.0,
        linear: Array | None = None,
        constant: float = 0.0,
    ) -> None:
        super().__init__(functional.domain)
        self.functional = functional
        self.quadratic, self.constant = as_factor(quadratic), as_factor(constant)
        if self.quadratic < 0:
            raise ArgumentError(f"quadratic must be at least 0, got {quadratic!r}")
        self._linear = Field(0.0 if linear is None else linear, functional.domain, "linear")
        self.convex, self.native = functional.convex, functional.native
        self.separable = functional.separable

    @property
    def linear(self) -> Array | None:
        """The linear part, an element of the domain, or None."""
        return None if self._linear.number is not None else self._linear.value

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """That of the functional, plus ``quadratic``."""
        return self.functional.lipschitz + self.quadratic

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """That of the functional, plus ``quadratic``."""
        return self.functional.strong_convexity + self.quadratic

    def _value(self, x: Array) -> Array:
        value = self.functional._value(x)
        if self.quadratic:
            value = value + self.quadratic / 2 * pairing(self.domain, x, x)
        if self.linear is not None:
            value = value + pairing(self.domain, x, self._linear.element(x))
        return value + self.constant if self.constant else value

    @property
    def differentiable(self) -> bool:
        return self.functional.differentiable

    def _gradient(self, x: Array, out: Array | None) -> Array:
        value = self.functional.gradient(x)
        if self.quadratic:
            value = value + self.quadratic * x
        if self.linear is not None:
            value = value + self._linear.element(x)
        return deliver(value, out)

    def _hessian(self, x: Array) -> Any:
        inner = self.functional.gradient.derivative(x)
        return inner + self.quadratic * Identity(self.domain) if self.quadratic else inner

    @property
    def proximable(self) -> bool:
        return self.functional.proximable

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        divisor = 1 / (1 + step * self.quadratic) if self.quadratic else 1.0
        moved = self._prepared(x, step, divisor, out)
        # Every prox may write over its argument; here that is either out or an array of our own.
        return self.functional._prox(moved, step * divisor, moved if out is not None else None)

    def _prepared(self, x: Array, step: Any, divisor: Any, out: Array | None) -> Array:
        """``(x - step * linear) * divisor``; in ``out``, without temporaries, where steps are numbers."""
        if out is not None and isinstance(step, float):
            if self.linear is None:
                return self.domain.lincomb(divisor, x, out=out)
            linear = self._linear.element(x)
            if self.domain.batch_shape(x) == self.domain.batch_shape(linear):
                return self.domain.lincomb(divisor, x, -step * divisor, linear, out=out)
        if self.linear is not None:
            x = x - step * self._linear.element(x)
        return deliver(x * divisor, out)

    @property
    def _step_space(self) -> Any | None:
        return self.functional._step_space

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return self.functional._resolve_steps(step, x)

    def _no_prox(self) -> str:
        return self.functional._no_prox()

    def _conjugate(self) -> Functional:
        found = self.functional.convex_conjugate
        if self.quadratic:
            found = found.moreau_envelope(self.quadratic)
        if self.linear is not None:
            found = found.translated(self.linear)
        return found.perturbed(constant=-self.constant)

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        inner = self.functional._quadratic()
        if inner is None:
            return None
        a, b, c = inner
        linear = self.linear
        if b is not None:
            linear = b if linear is None else linear + b
        return a + self.quadratic, linear, c + self.constant

    def _key(self) -> tuple[Any, ...]:
        return self.functional, self.quadratic, self._linear, self.constant

    def _children(self) -> tuple[Any, ...]:
        return (self.functional,)

    def _pieces(self, square: str, inner: str, part: printing.Text) -> list[printing.Text]:
        texts = [part]
        if self.quadratic:
            number = printing.number(self.quadratic / 2)
            texts.append(printing.Text(f"{number}{square}", printing.PRODUCT))
        if self.linear is not None:
            texts.append(printing.atom(inner))
        if self.constant:
            texts.append(printing.atom(printing.number(self.constant)))
        return texts

    def _infix(self) -> printing.Text:
        parts = self._pieces(" * SquaredL2", "Linear", self.functional._infix())
        return printing.infix(" + ", parts, printing.SUM)

    def _latex(self) -> printing.Text:
        square, inner = r" \, \|\cdot\|_2^2", r"\langle \cdot, b \rangle"
        parts = self._pieces(square, inner, self.functional._latex())
        return printing.infix(" + ", parts, printing.SUM, latex=True)

    def _label(self) -> str:
        return printing.infix(
            " + ", self._pieces(" * SquaredL2", "Linear", printing.atom("_")), printing.SUM
        ).text


def as_factor(value: Any) -> float:
    """A finite real number."""
    if not steps.is_number(value) or not np.isreal(value):
        raise ArgumentError(f"functionals are real: a real number is needed, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise NonFiniteError(f"a finite number is needed, got {value!r}")
    return number


# Constructors that simplify, exactly


def translate(functional: Functional, shift: Array) -> Functional:
    """``functional.translated(shift)``."""
    shift = functional.domain.check(shift, f"the shift of {functional}")
    if isinstance(functional, Constant):
        return functional
    if isinstance(functional, Translated):
        return Translated(functional.functional, functional.shift + shift)
    return Translated(functional, shift)


def perturb(
    functional: Functional,
    quadratic: float = 0.0,
    linear: Array | None = None,
    constant: float = 0.0,
) -> Functional:
    """``functional.perturbed(...)``."""
    if linear is not None:
        linear = functional.domain.check(linear, f"the linear part added to {functional}")
    if isinstance(functional, Perturbed):
        both = functional.linear
        if both is None or linear is None:
            both = linear if both is None else both
        else:
            both = both + linear
        total = (
            functional.quadratic + as_factor(quadratic),
            functional.constant + as_factor(constant),
        )
        return perturb(functional.functional, total[0], both, total[1])
    if isinstance(functional, Constant) and quadratic == 0 and linear is None:
        return Constant(functional.domain, functional.value + as_factor(constant))
    if quadratic == 0 and linear is None and constant == 0:
        return functional
    return Perturbed(functional, quadratic, linear, constant)


algebra.perturb = perturb
algebra.translate = translate
