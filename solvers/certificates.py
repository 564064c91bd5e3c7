"""What an iterate proves: optimality residuals and duality gaps, whatever method it came from.

An objective ``sum_i f_i(K_i x) + g(x)`` of convex terms has its minimum where there are dual variables with

    p_i in the subdifferential of f_i at K_i x,     -sum_i K_i.adjoint(p_i) in that of g at x,

and for any ``p`` the number ``D(p) = -sum_i f_i*(p_i) - g*(-sum_i K_i.adjoint(p_i))`` lies below it. A solver
hands over its ``x`` and ``p`` as a `Certificate`, and stop rules judge them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from opalg.arrays import Array
from opalg.errors import NotSupportedError
from opalg.functionals import Functional, LeastSquares, Term
from opalg.operators import Identity, LinearOperator
from opalg.solvers.splits import (
    Split,
    dual_prox,
    judge,
    per_sample,
    proximal,
    pull_back,
    resolved,
    weighted_length,
)
from opalg.solvers.state import State
from opalg.solvers.vectors import copy, parts
from opalg.spaces.parts import leaves

__all__ = [
    "Certificate",
    "Piece",
    "gap",
    "gradient_pieces",
    "least_squares",
    "optimality",
    "refuse_gap",
]

_BISECTIONS = 40


class Piece(NamedTuple):
    """A term ``f(K x)`` and its dual variable."""

    split: Split
    dual: Array
    exact: bool
    """Whether the dual variable is the gradient at ``K x``, so that only the condition in x is open."""


class Certificate(NamedTuple):
    """An iterate with the dual variables that belong to it.

    Attributes
    ----------
    x : array or Blocks
    pieces : list of Piece
    prox : Functional or None
        g, the terms that are used by their joint proximal map.
    """

    x: Array
    pieces: list[Piece]
    prox: Functional | None


def gradient_pieces(terms: list[Any], x: Array, image: Array | None) -> list[Piece]:
    """Smooth terms, whose dual variables are their gradients; ``image`` is that of the first."""
    found = []
    for i, term in enumerate(terms):
        K = Identity(term.functional.domain) if term.operator is None else term.operator
        split = Split(term._replace(operator=K))
        z = image if i == 0 and image is not None else K(x)
        found.append(Piece(split, split.functional.gradient(z), True))
    return found


def least_squares(
    operator: LinearOperator, x: Array, y: Array, solver: str, damp: float = 0.0, origin: Any = None
) -> Certificate:
    """That of ``|A(x) - y|^2 + damp^2 |x - origin|^2``, for solvers that count every number alike.

    Raises
    ------
    NotSupportedError
        If the spaces weigh their numbers differently: functionals would mean another sum of squares.
    """
    weights = [
        {w if isinstance(w, float) else id(w) for w in (leaf.weighting for leaf in leaves(space))}
        for space in (operator.domain, operator.range)
    ]
    numbers = [next(iter(found)) for found in weights]
    if any(len(found) > 1 for found in weights) or not all(isinstance(n, float) for n in numbers):
        raise NotSupportedError(
            f"{solver} minimises a plain sum of squares, and the spaces of {operator} weigh their numbers: "
            "use FISTA, LBFGS or PDHG, whose objectives have these weights, or solvers.Residual"
        )
    terms = [Term(1.0, LeastSquares(operator.range, y), operator)]
    if damp:
        ratio = numbers[1] / numbers[0]
        terms.append(Term(damp**2 * ratio, LeastSquares(operator.domain, origin), None))
    return Certificate(x, gradient_pieces(terms, x, None), None)


def optimality(certificate: Certificate) -> Any:
    """How far the optimality conditions are violated, a number per sample without units.

    The larger one of ``|x - prox_g(x - t v)| / |x|`` with ``v = sum_i K_i.adjoint(p_i)`` and, for the terms,
    ``|p - prox_f*(p + s K x)| / |p|``, with steps ``t = |x| / sum_i |K_i| |p_i|`` and ``s = |p| / (|K| |x|)``
    that make them comparable. Both are zero at a solution only.
    """
    x, pieces, prox = certificate
    X = pieces[0].split.K.domain if pieces else prox.domain  # type: ignore[union-attr]
    size = weighted_length(X, x)
    lengths = [weighted_length(p.split.K.range, p.dual) for p in pieces]
    norms = [p.split.norm**0.5 for p in pieces]
    force = sum(norm * length for norm, length in zip(norms, lengths, strict=True))
    step = _quotient(size, force)
    v = _pulled(pieces, x)
    z = X.lincomb(1.0, x, per_sample(-step, x), v)
    moved = X.lincomb(1.0, x, -1.0, proximal(prox, z, per_sample(step, x), None))
    worst = _quotient(weighted_length(X, moved), size, absolute=True)
    for piece, length, norm in zip(pieces, lengths, norms, strict=True):
        if piece.exact or norm == 0:
            continue
        Y, step = piece.split.K.range, _quotient(length, norm * size)
        q = Y.lincomb(1.0, piece.dual, per_sample(step, x), piece.split.K(x))
        new = dual_prox(piece.split, copy(q), per_sample(step, x), None, None)
        moved = weighted_length(Y, Y.lincomb(1.0, piece.dual, -1.0, new))
        worst = np.maximum(worst, _quotient(moved, length, absolute=True))
    return worst if np.ndim(worst) else float(worst)


def gap(certificate: Certificate) -> tuple[Any, Any]:
    """The objective at ``x``, and how much it lies above the dual value: numbers per sample.

    Dual variables that the constraints of the dual problem do not admit are scaled down until they do.
    """
    x, pieces, g = _with_prox(certificate)
    prox: Any = g
    primal = judge(prox(x))
    for piece in pieces:
        primal = primal + judge(piece.split.functional(piece.split.K(x)))
    v = _pulled(pieces, x)
    stars = [piece.split.functional.convex_conjugate for piece in pieces]
    star = prox.convex_conjugate

    def dual(scale: Any) -> Any:
        value = -judge(star(star.domain.lincomb(per_sample(-scale, x), v)))
        for piece, own in zip(pieces, stars, strict=True):
            p = own.domain.lincomb(per_sample(scale, x), piece.dual)
            value = value - judge(own(p))
        return np.asarray(value)

    low, high = np.zeros(np.shape(primal)), np.ones(np.shape(primal))
    best = dual(high)
    if not np.isfinite(best).all():
        low = np.where(np.isfinite(best), 1.0, low)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            admitted = np.isfinite(dual(middle))
            low, high = np.where(admitted, middle, low), np.where(admitted, high, middle)
        best = dual(low)
    return primal, primal - best


def refuse_gap(certificate: Certificate, solver: str) -> None:
    """An error where no gap is known, or it would stay infinite."""
    _, pieces, g = _with_prox(certificate, solver)
    prox: Any = g
    small: Any = prox.domain.random(seed=0)
    first = parts(certificate.x)[0]
    if not isinstance(first, np.ndarray):
        small = prox.domain.random(seed=0, like=first)
    try:
        star = prox.convex_conjugate
        # Zero must lie inside of where the conjugate is finite, for scaling down to help.
        inside = any(
            all(
                np.isfinite(judge(star(prox.domain.lincomb(sign * 10.0**-k, small)))).all()
                for sign in (1.0, -1.0)
            )
            for k in range(0, 16, 3)
        )
        for piece in pieces:
            own = piece.split.functional
            own(piece.split.K(certificate.x))
            own.convex_conjugate(piece.dual)
    except NotSupportedError as error:
        raise NotSupportedError(
            f"no duality gap is known for this objective of {solver}: {error}; use solvers.Optimality"
        ) from None
    if not inside:
        raise NotSupportedError(
            f"the duality gap of this objective of {solver} is infinite at almost every iterate: the "
            f"conjugate of {prox} admits one sign only; use solvers.Optimality, or bound x (fn.Box)"
        )


def _with_prox(certificate: Certificate, solver: str = "the solver") -> Certificate:
    """With g; a term of x itself takes its place where there is none."""
    x, pieces, prox = certificate
    if prox is not None:
        return certificate
    own = [piece for piece in pieces if isinstance(piece.split.K, Identity)]
    if not own:
        raise NotSupportedError(
            f"the duality gap of this objective of {solver} is infinite at almost every iterate: the dual "
            "problem has a constraint, since no term of the objective bounds x itself; use solvers.Optimality"
        )
    total: Any = resolved(_sum([piece.split.functional for piece in own]))
    return Certificate(x, [p for p in pieces if not any(p is other for other in own)], total)


def _sum(functionals: list[Functional]) -> Functional:
    total = functionals[0]
    for f in functionals[1:]:
        total = total + f
    return total


def _pulled(pieces: list[Piece], x: Array) -> Array:
    """``sum(K_i.adjoint(p_i))``."""
    zero = x * 0.0
    splits, duals = [p.split for p in pieces], [p.dual for p in pieces]
    return pull_back(splits, duals, 1.0, zero, State(x), None) if pieces else zero


def _quotient(a: Any, b: Any, absolute: bool = False) -> Any:
    """``a / b``; where b is zero the number itself, or one for a step."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    other = a if absolute else np.ones_like(a * b)
    usable = (b > 0) & (absolute | (a > 0))
    return np.where(usable, a / np.where(usable, b, 1.0), other)
