"""Objectives ``fidelity(A(x)) + regularizer(x)``: what solvers that minimise one have in common.

An objective is an expression. Here it is taken apart into what an iteration can use:

- *smooth* terms ``a * f @ K`` have a gradient, with a Lipschitz constant where steps come from one;
- *proximable* terms ``a * f`` of ``x`` itself are added up to one functional with a proximal map;
- *composed* terms ``a * f @ K`` have a proximal map before ``K``, hence one for the conjugate of ``f``.

A term may be several of these; a solver says which kinds it takes, and a term that is none of them is named
in the error, together with solvers that take it.

Everything is meant in the inner products of the spaces, as functionals are: the data term is that of
``A.range``, the gradient ``A.adjoint(f.gradient(A(x)))`` with the weighted adjoint, norms are those of maps
between weighted spaces. So the weights of the spaces (cell volumes, angle steps) count, and the result does
not depend on the sampling; for constant weights only their ratio matters, and only beside a regulariser.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import Functional, LeastSquares, Term
from opalg.functionals.metric import meet
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.operators import Identity, LinearOperator, Operator
from opalg.solvers.solver import Solver
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, number
from opalg.spaces import Blocks

__all__ = [
    "Objective",
    "ObjectiveSolver",
    "Parts",
    "as_functional",
    "is_smooth",
    "squared_norm",
    "take_apart",
]

_SAFETY = 1.1  # on a norm that is only estimated: power sequences come within a few percent

_ABLE = {
    "smooth": "GradientDescent, Nesterov or LBFGS",
    "proximable": "FISTA, PDHG or ADMM",
    "composed": "PDHG or ADMM",
}


class Parts(NamedTuple):
    """A regulariser taken apart; see `take_apart`."""

    smooth: tuple[Term, ...]
    """Terms with a gradient."""
    prox: Functional | None
    """The sum of the terms that are used by their proximal map; None if there is none."""
    composed: tuple[Term, ...]
    """Terms whose functional has a proximal map, each with a linear operator (maybe the identity)."""


def take_apart(
    regularizer: Functional | None,
    solver: str,
    *,
    smooth: bool = False,
    proximable: bool = False,
    composed: bool = False,
    lipschitz: bool = True,
) -> Parts:
    """The terms of a regulariser by the use that a solver makes of them.

    Each term goes where it costs least: to the proximal map if it has one, in a joint one if the sum has a
    rule; then to the composed terms; then to the smooth ones.

    Parameters
    ----------
    regularizer : Functional or None
        On the space of the unknown.
    solver : str
        Its name, for errors.
    smooth, proximable, composed : bool
        The kinds that the solver takes.
    lipschitz : bool, default True
        Whether smooth terms need a Lipschitz constant (methods with a line search do not).

    Raises
    ------
    NotSupportedError
        If a term is of no kind that the solver takes; the message says which solver takes it.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> G = oa.Gradient(oa.Grid((4, 4)))
    >>> f = 0.5 * fn.GroupL1(G.range) @ G + fn.NonNegative(G.domain)
    >>> parts = take_apart(f, "PDHG", proximable=True, composed=True)
    >>> print(parts.prox, [str(as_functional(term)) for term in parts.composed])
    NonNegative ['0.5 * GroupL1 @ Gradient']
    """
    first: list[Term] = []
    second: list[Term] = []
    total: Functional | None = None
    terms = [] if regularizer is None else regularizer.terms()
    # What only a proximal map can handle has the first claim on it.
    for term in sorted(terms, key=lambda term: is_smooth(term, lipschitz)):
        own = as_functional(term)
        if proximable and own.proximable:
            joint = own if total is None else total + own
            if joint.proximable:
                total = joint
                continue
        if composed and _is_composed(term):
            K = Identity(term.functional.domain) if term.operator is None else term.operator
            second.append(Term(term.scale, term.functional, K))
        elif smooth and is_smooth(term, lipschitz):
            first.append(term)
        else:
            raise NotSupportedError(_refusal(term, solver, total))
    return Parts(tuple(first), total, tuple(second))


def as_functional(term: Term) -> Functional:
    """A term as one functional, ``scale * functional @ operator``."""
    own = term.scale * term.functional
    return own if term.operator is None else own @ term.operator


def squared_norm(operator: Operator) -> float:
    """An upper bound of ``|A|^2`` in the inner products of the spaces of a linear operator.

    Certified where `opalg.LinearOperator.norm_bounds` is; else an estimate with a margin.
    """
    upper = norm_in_spaces(operator).upper  # type: ignore[arg-type]
    if math.isfinite(upper):
        return float(upper**2)
    product: Any = operator.adjoint @ operator  # type: ignore[attr-defined]
    return float(_SAFETY**2 * product.norm())


def is_smooth(term: Term, lipschitz: bool) -> bool:
    """Whether a term has a gradient, with a known Lipschitz constant if that is asked for."""
    f, K = term.functional, term.operator
    if not f.differentiable:
        return False
    return not lipschitz or (
        math.isfinite(f.lipschitz) and (K is None or isinstance(K, LinearOperator))
    )


def _is_composed(term: Term) -> bool:
    f, K = term.functional, term.operator
    return (
        term.scale > 0
        and f.convex
        and f.proximable
        and (K is None or isinstance(K, LinearOperator))
    )


def _refusal(term: Term, solver: str, total: Functional | None) -> str:
    own = as_functional(term)
    have = f"{solver} cannot handle the term {own}"
    if own.proximable and total is not None:
        return f"{have} beside {total}: their sum has no proximal map by rule; {_ABLE['composed']} take both"
    if own.proximable:
        lack = (
            "Lipschitz constant of the gradient" if term.functional.differentiable else "gradient"
        )
        return (
            f"{have}, which has a proximal map but no {lack}; {_ABLE['proximable']} take it (or use its "
            "smooth approximation, f.moreau_envelope(step))"
        )
    if _is_composed(term):
        return f"{have}, whose proximal map is known before the operator only; {_ABLE['composed']} take it"
    if is_smooth(term, lipschitz=True):
        return f"{have}, which has a gradient but no proximal map; {_ABLE['smooth']} take it"
    if is_smooth(term, lipschitz=False):
        return (
            f"{have}, whose gradient has no known Lipschitz constant; LBFGS, NonlinearCG and "
            "GradientDescent(step_size='armijo') search their steps and take it"
        )
    return (
        f"{have}: it has neither a gradient nor a proximal map, and no solver takes it; "
        f"{term.functional._no_prox()}"
    )


class Objective:
    """The objective for given data, with the values and gradients that iterations need.

    Parameters
    ----------
    operator : Operator
        A; linear, except for methods of Gauss and Newton.
    fidelity : Functional
        On ``operator.range``, with the data inside.
    terms : tuple of Term
        The smooth part of the regulariser; all of it for `value` to be the objective.
    """

    def __init__(self, operator: Operator, fidelity: Functional, terms: tuple[Term, ...]) -> None:
        self.operator, self.fidelity, self.terms = operator, fidelity, terms

    @property
    def all_terms(self) -> list[Term]:
        """The data term, then those of the regulariser."""
        return [Term(1.0, self.fidelity, self.operator), *self.terms]

    def value(self, state: State, x: Array, q: Array) -> Any:
        """The objective at ``x`` with ``q = A(x)``: a number per sample."""
        total = number(self.fidelity(q))
        for i, (scale, f, K) in enumerate(self.terms):
            z = x if K is None else K(x, out=state.buffer(f"image {i}", K.range))
            total = total + scale * number(f(z))
        return total

    def gradient(self, state: State, x: Array, q: Array, out: Array | None) -> Array:
        """The gradient at ``x`` with ``q = A(x)``, in the inner product of the space of ``x``.

        Uses scratch buffers of the state; ``out`` must not be ``x``.
        """
        A = self.operator
        slope = self.fidelity.gradient(q, out=state.buffer("data slope", A.range))
        adjoint = A.adjoint if isinstance(A, LinearOperator) else A.derivative(x).adjoint
        return self.add_gradients(state, x, adjoint(slope, out=out), out)

    def add_gradients(self, state: State, x: Array, g: Array, out: Array | None) -> Array:
        """``g`` plus the gradients of the terms of the regulariser at ``x``."""
        X = self.operator.domain
        for i, (scale, f, K) in enumerate(self.terms):
            part = state.buffer("part", X)
            if K is None:
                h = f.gradient(x, out=part)
            elif isinstance(K, LinearOperator):
                z = K(x, out=state.buffer(f"image {i}", K.range))
                h = f.gradient(z, out=state.buffer(f"slope {i}", K.range))
                h = K.adjoint(h, out=part)
            else:
                h = (f @ K).gradient(x, out=part)
            g = X.lincomb(1, g, scale, h, out=out)
        return g

    def slope(self, state: State, x: Array, q: Array, d: Array, p: Array) -> Any:
        """The derivative at ``x`` with ``q = A(x)`` along ``d`` with ``p = A(d)``: a number per sample.

        It costs no application of A or its adjoint.
        """
        X, Y = self.operator.domain, self.operator.range
        total = inner(Y, self.fidelity.gradient(q, out=state.buffer("data slope", Y)), p)
        for i, (scale, f, K) in enumerate(self.terms):
            if isinstance(K, LinearOperator):
                z = K(x, out=state.buffer(f"image {i}", K.range))
                h = f.gradient(z, out=state.buffer(f"slope {i}", K.range))
                along = K(d, out=state.buffer(f"image {i}", K.range))
                total = total + scale * inner(K.range, h, along)
            else:
                own = f if K is None else f @ K
                h = own.gradient(x, out=state.buffer("part", X))
                total = total + scale * inner(X, h, d)
        return total

    @cached_property
    def lipschitz(self) -> float:
        """A Lipschitz constant of the gradient, infinite where none is known."""
        total = _lipschitz(Term(1.0, self.fidelity, self.operator))
        return total + sum(_lipschitz(term) for term in self.terms)

    @cached_property
    def convex(self) -> bool:
        """Whether all terms are convex by what they declare."""
        return self.fidelity.convex and all(as_functional(term).convex for term in self.terms)


def _lipschitz(term: Term) -> float:
    scale, f, K = term
    if f.lipschitz == 0.0 or not math.isfinite(f.lipschitz):
        return f.lipschitz
    if K is not None and not isinstance(K, LinearOperator):
        return math.inf
    return abs(scale) * f.lipschitz * (1.0 if K is None else squared_norm(K))


class ObjectiveSolver(Solver):
    """Base of solvers that minimise ``fidelity(A.range, y)(A(x)) + regularizer(x)``.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term from a space and the data: a class such as `PoissonLikelihood`, or a function
        such as ``lambda space, data: fn.Huber(space, 0.1).translated(data)``.
    regularizer : Functional, optional
        On the space of the unknown, weighted: ``0.05 * fn.GroupL1(G.range) @ G + fn.NonNegative(grid)``.

    Raises
    ------
    ArgumentError
        If the regulariser is no functional, or the fidelity makes none on the space of the data.
    SpaceMismatchError
        If the regulariser lives on another space.
    """

    fidelity: Callable[[Any, Array], Functional] = LeastSquares
    regularizer: Functional | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        name, f = type(self).__name__, self.regularizer
        if f is not None:
            if not isinstance(f, Functional):
                raise ArgumentError(
                    f"the regularizer of {name} must be a functional such as 0.1 * fn.L1(grid), got {f!r:.80}"
                )
            meet(self.operator.domain, f.domain, f"the space of the unknown and that of {f}")
        fidelity: Any = self.fidelity  # whatever a caller without a type checker gave
        if not callable(fidelity) or isinstance(fidelity, Functional):
            given = "a functional" if isinstance(fidelity, Functional) else f"{self.fidelity!r:.80}"
            raise ArgumentError(
                f"the fidelity of {name} makes a functional from a space and data, as fn.LeastSquares does, "
                f"got {given}"
            )

    def data_term(self, y: Array) -> Functional:
        """The fidelity for data ``y``, on ``operator.range``."""
        Y = self.operator.range
        f = self.fidelity(Y, _closed(y))
        if not isinstance(f, Functional) or f.domain != Y:
            what = f"a functional on {f.domain}" if isinstance(f, Functional) else f"{f!r:.80}"
            raise ArgumentError(
                f"the fidelity of {type(self).__name__} must make a functional on {Y}, got {what}"
            )
        return f


def _closed(y: Array) -> Array:
    """The same memory, closed for writing, so that a functional keeps it without a copy."""
    if isinstance(y, Blocks):
        return Blocks(_closed(part) for part in y)
    if isinstance(y, np.ndarray) and y.flags.writeable:
        y = y.view()
        y.flags.writeable = False
    return y
