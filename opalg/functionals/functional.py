"""Functionals: what can be asked of a real function on a space, and how its author answers.

The author of a functional writes underscored methods only; checks, steps, batch axes, ``out=`` and
the algebra are done once, here. The constructors of expressions, and the table of convex
conjugates, stand above this file and register themselves in `algebra`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from opalg.arrays import Array, is_array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import steps
from opalg.functionals.maps import Proximal, RieszGradient
from opalg.operators import Operator, printing
from opalg.spaces import Blocks
from opalg.values import Value

__all__ = ["Functional", "Term", "algebra"]


class _Algebra:
    """The constructors of expressions, set by the files that define them."""

    add: Any
    compose: Any
    conjugate: Any
    constant: Any
    envelope: Any
    perturb: Any
    scale: Any
    translate: Any


algebra = _Algebra()


class Term(NamedTuple):
    """One term ``scale * functional @ operator`` of an objective; see `Functional.terms`."""

    scale: float
    functional: Functional
    operator: Operator | None


class Functional(Value):
    """A real function on a space, with what optimisation asks of it.

    Everything is meant in the inner product of the space: the gradient is the element ``g`` with
    ``f(x + h) = f(x) + <g, h> + o(h)``, the proximal map minimises ``f(u) + |u - x| ** 2 / (2 *
    step)`` with the norm of the space, the convex conjugate is the supremum of ``<x, p> - f(x)``.
    In complex spaces ``<., .>`` is the real part of the inner product.

    A subclass calls ``super().__init__(domain)`` and writes ``_value``, and as far as they exist
    ``_gradient`` and ``_prox``. What holds it states as attributes.

    Parameters
    ----------
    domain : Space or ProductSpace

    Notes
    -----
    ``_value(x)`` returns one real value per batch entry; ``_gradient(x, out)`` and
    ``_prox(x, step, out)`` return an element, in ``out`` if it is not None, and share no memory with
    ``x`` unless ``out`` is ``x`` itself, which ``_prox`` must bear. In ``_prox`` the ``step`` is a
    number, or shaped so that it multiplies elements of the domain.
    """

    __array_ufunc__ = None  # NumPy numbers leave `2.0 * functional` to the functional

    convex: bool = True
    """Whether the functional is convex (and lower semicontinuous)."""
    native: bool = True
    """Whether gradient and prox are made of operations that PyTorch can record and differentiate."""
    separable: bool = False
    """Whether it is a sum over entries, so that a step may be one number per entry."""
    lipschitz: float = math.inf
    """A Lipschitz constant of the gradient, infinite where there is none or none is known."""
    strong_convexity: float = 0.0
    """A number m such that ``f - m / 2 * |x| ** 2`` is convex; the largest that is known."""
    symbol: str = ""
    """LaTeX of the functional; the class name without one."""

    domain: Any

    def __init__(self, domain: Any) -> None:
        if not hasattr(domain, "lincomb"):
            raise ArgumentError(
                f"{type(self).__name__} is a function on a space, got {type(domain).__name__} for the space"
            )
        self.domain = domain

    # Values

    def __call__(self, x: Array) -> Array:
        """The value at ``x``.

        Parameters
        ----------
        x : array or Blocks
            Element of ``domain``; axes in front are batch axes.

        Returns
        -------
        array
            One real value per batch entry, 0-d without any; ``inf`` outside of where it is finite.

        Raises
        ------
        SpaceMismatchError, DtypeError
            If ``x`` is no element of ``domain``.
        """
        if not self.domain.accepts(x):
            if isinstance(x, Operator):
                raise NotSupportedError(
                    "f(x) takes arrays; write f @ A to compose with an operator"
                )
            x = self.domain.check(x, f"the argument of {self}")
        return self._value(x)

    def _value(self, x: Array) -> Array:
        raise NotSupportedError(f"{self} has no known value; only its prox can be used")

    # Gradient

    @property
    def differentiable(self) -> bool:
        """Whether there is a gradient, at least where the functional is finite."""
        return type(self)._gradient is not Functional._gradient

    @cached_property
    def gradient(self) -> Operator:
        """The gradient in the inner product of the domain, an operator on it.

        Raises
        ------
        NotSupportedError
            If the functional is not differentiable.
        """
        if not self.differentiable:
            raise NotSupportedError(
                f"{self} is not differentiable; use {self}.prox(step), or the gradient of its smooth "
                "approximation f.moreau_envelope(step)"
            )
        return self._gradient_operator()

    def _gradient_operator(self) -> Operator:
        return RieszGradient(self)

    def _gradient(self, x: Array, out: Array | None) -> Array:
        raise NotSupportedError(f"{self} is not differentiable")

    def _hessian(self, x: Array) -> Any:
        raise NotSupportedError(f"the second derivative of {self} is not known")

    # Proximal map

    @property
    def proximable(self) -> bool:
        """Whether the proximal map has a rule, so that `prox` can be called."""
        return type(self)._prox is not Functional._prox

    def prox(self, step: Any) -> Operator:
        """The proximal map ``x -> argmin_u f(u) + |u - x| ** 2 / (2 * step)``, an operator.

        Parameters
        ----------
        step : float or array
            Positive. One number; or one per batch entry, an array of the batch shape; or, for
            functionals that are sums over entries, an element of the (real) domain with one step
            per entry, as diagonally preconditioned methods use them: then ``|u - x| ** 2 / step``
            is a sum over entries. An array that fits both readings is one per entry; with axes of
            extent 1 appended, ``step[:, None]``, it is one per batch entry.

        Raises
        ------
        NotSupportedError
            If no rule is known for this functional, or the step is one per entry and the functional
            no sum over entries.
        ArgumentError
            If the step is not positive and finite.
        """
        if not self.proximable:
            raise NotSupportedError(self._no_prox())
        return Proximal(self, steps.as_step(step, self.domain))

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        raise NotSupportedError(self._no_prox())

    def _ascend(self, K: Operator, x: Array, p: Array, step: Any, out: Array) -> bool:
        """Write the prox of this functional at ``p + step * K(x)`` to ``out`` (it may be ``p``) in one go.

        The step of primal-dual methods. Tells whether that was done: False, with ``out`` untouched, where
        there is nothing quicker than one after the other.
        """
        return False

    def _no_prox(self) -> str:
        return f"no rule is known for the prox of {self}; a splitting method takes its parts one by one"

    @property
    def _step_space(self) -> Any | None:
        """The space of steps with one number per entry, or None where only numbers will do."""
        return self.domain.real if self.separable else None

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        """Steps given part by part, shaped to multiply the parts of ``x``."""
        if not self.separable:
            raise NotSupportedError(
                f"the prox of {self} takes one step for all parts: it is no sum over them"
            )
        return steps.resolve_entries(self.domain, step, x)

    # Duality and smoothing

    @cached_property
    def convex_conjugate(self) -> Functional:
        """``p -> sup_x <x, p> - f(x)``, a functional on the same space.

        Raises
        ------
        NotSupportedError
            If no formula is known.
        """
        found: Functional = self._conjugate()
        return found

    def _conjugate(self) -> Functional:
        found: Functional = algebra.conjugate(self)
        return found

    def _conjugate_value(self, p: Array) -> Array:
        """The value of the conjugate, for functionals whose conjugate has no class of its own."""
        raise NotSupportedError(
            f"the value of the convex conjugate of {self} has no formula; its prox has"
        )

    def moreau_envelope(self, step: float) -> Functional:
        """``x -> min_u f(u) + |u - x| ** 2 / (2 * step)``: smooth, with gradient Lipschitz ``1 / step``.

        Parameters
        ----------
        step : float
            Positive; the smaller, the closer to the functional.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import functionals as fn
        >>> smooth = fn.L1(oa.Space(2, "float64")).moreau_envelope(0.5)
        >>> smooth.gradient(np.array([2.0, -0.25])).tolist(), smooth.lipschitz
        ([1.0, -0.5], 2.0)
        """
        found: Functional = algebra.envelope(self, step)
        return found

    # Algebra

    def translated(self, shift: Array) -> Functional:
        """``x -> f(x - shift)``, the graph moved by ``shift``.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import functionals as fn
        >>> f = fn.L1(oa.Space(2, "float64")).translated(np.array([1.0, 2.0]))
        >>> float(f(np.array([1.0, 5.0])))
        3.0
        """
        found: Functional = algebra.translate(self, shift)
        return found

    def perturbed(
        self, quadratic: float = 0.0, linear: Array | None = None, constant: float = 0.0
    ) -> Functional:
        """``x -> f(x) + quadratic / 2 * |x| ** 2 + <x, linear> + constant``.

        Prox and conjugate follow from those of ``f``, which a plain sum has not in general.

        Parameters
        ----------
        quadratic : float
            At least 0.
        linear : array or Blocks, optional
            Element of the domain.
        constant : float

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import functionals as fn
        >>> f = fn.L1(oa.Space(2, "float64")).perturbed(quadratic=1.0)
        >>> f.prox(1.0)(np.array([3.0, 0.5])).tolist()
        [1.0, 0.0]
        """
        found: Functional = algebra.perturb(self, quadratic, linear, constant)
        return found

    def composed(self, operator: Operator, tight: float | None = None) -> Functional:
        """``f @ operator``, with what is known of the operator.

        Parameters
        ----------
        operator : Operator
            Into the domain of this functional.
        tight : float, optional
            The number a with ``A @ A.adjoint == a * Identity`` (a is 1 for unitary operators,
            orthogonal projections onto coordinates, tight frames), from which the prox follows. It
            is verified on a random element. Without it, it is found for operators that say that
            they are unitary.

        Raises
        ------
        ArgumentError
            If ``tight`` is not true.
        """
        found: Functional = algebra.compose(self, operator, tight)
        return found

    def terms(self) -> list[Term]:
        """The functional as a sum of terms ``scale * functional @ operator``, for solvers to take apart.

        Returns
        -------
        list of Term
            Sums and multiples are resolved; ``operator`` is None where there is none.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import functionals as fn
        >>> G = oa.Gradient(oa.Grid((4, 4)))
        >>> f = 0.5 * fn.GroupL1(G.range) @ G + fn.NonNegative(G.domain)
        >>> for scale, functional, operator in f.terms():
        ...     print(scale, functional, operator)
        0.5 GroupL1 Gradient
        1.0 NonNegative None
        """
        return [Term(1.0, self, None)]

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Functional):
            return algebra.add(self, other)
        if steps.is_number(other):
            return algebra.add(self, algebra.constant(self.domain, other))
        return NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Functional):
            return algebra.add(self, algebra.scale(-1.0, other))
        return self + (-other) if steps.is_number(other) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        return algebra.scale(other, self) if steps.is_number(other) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return algebra.scale(1 / other, self) if steps.is_number(other) else NotImplemented

    def __neg__(self) -> Functional:
        found: Functional = algebra.scale(-1.0, self)
        return found

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Operator):
            return algebra.compose(self, other, None)
        if is_array(other) or isinstance(other, Blocks):
            raise NotSupportedError(
                "f @ A composes with an operator; write f(x) for the value at an array"
            )
        return NotImplemented

    # What expressions know about their parts

    def _scaled_by(self, factor: float) -> Functional | None:
        """``factor * self`` for a positive factor, where it is of the same kind."""
        return None

    def _dilated(self, factor: complex) -> Functional | None:
        """``self @ Scaling(factor)`` for a factor other than zero, where it is of the same kind."""
        return None

    def _quadratic(self) -> tuple[float, Array | None, float] | None:
        """(a, b, c) if the functional is ``a / 2 * |x| ** 2 + <x, b> + c``, else None."""
        return None

    # Printing

    def _children(self) -> tuple[Any, ...]:
        return ()

    def _words(self) -> str:
        """What stands in parentheses behind the name in print; empty for nothing."""
        return ""

    def _infix(self) -> printing.Text:
        words = self._words()
        return printing.atom(type(self).__name__ + (f"({words})" if words else ""))

    def _latex(self) -> printing.Text:
        return printing.atom(self.symbol or rf"\mathrm{{{type(self).__name__}}}")

    def _label(self) -> str:
        return self._infix().text

    def __str__(self) -> str:
        return self._infix().text

    def _repr_latex_(self) -> str:
        return f"${self._latex().text}$"

    def tree(self) -> str:
        """The expression as an indented tree with the space of each part.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import functionals as fn
        >>> print((2 * fn.L1(oa.Space(3))).tree())
        2 * _    Space (3,) float32
        └─ L1    Space (3,) float32
        """
        lines: list[tuple[str, Any]] = []
        printing._grow(self, "", "", lines)
        return "\n".join(f"{text}    {_spaces(node)}" for text, node in lines)


def _spaces(node: Any) -> str:
    if isinstance(node, Operator):
        return f"{node.domain} -> {node.range}"
    return str(node.domain)


def positive(value: Any, what: str) -> float:
    """A positive finite number, or an error that names ``what``."""
    number = float(value) if steps.is_number(value) and np.isreal(value) else math.nan
    if not (math.isfinite(number) and number > 0):
        raise ArgumentError(f"{what} must be a positive finite number, got {value!r}")
    return number
