"""Quadratic parts of objectives, and the systems of equations that splitting methods solve for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import NotSupportedError
from opalg.functionals import LeastSquares, Term
from opalg.operators import Identity, LinearOperator, MatrixOperator
from opalg.solvers.objective import squared_norm
from opalg.solvers.splits import Split, pairing, per_sample
from opalg.solvers.state import State
from opalg.solvers.vectors import parts, ratio

__all__ = ["QuadraticSystem", "as_quadratic"]

_DENSE = 4096  # unknowns up to which the exact inverse is formed as a matrix
_ENOUGH = 1e-12  # of the squared residual, where further inner iterations are rounding


def as_quadratic(term: Term) -> tuple[float, Array | None] | None:
    """(a, b) if the term is ``a / 2 * |K(x)|^2 + <K(x), b>`` up to a constant, with a number a > 0."""
    f, K = term.functional, term.operator
    if term.scale <= 0 or (K is not None and not isinstance(K, LinearOperator)):
        return None
    if isinstance(f, LeastSquares):
        # Not asked of the functional, since the data may be a batch.
        if f._weight.number is None or f._weight.number == 0:
            return None
        a, data = term.scale * f._weight.number, f.data
        return a, None if isinstance(data, float) else data * (-a)
    found = f._quadratic()
    if found is None or found[0] <= 0:
        return None
    a, b, _ = found
    return term.scale * a, None if b is None else b * term.scale


class QuadraticSystem:
    """Minimises ``sum(a_j / 2 |K_j x|^2 + <K_j x, b_j>) + sum(r_i / 2 |L_i x - v_i|^2)``.

    Parameters
    ----------
    space : Space or ProductSpace
    terms : list of Term
        The first sum, which `as_quadratic` knows.
    """

    def __init__(self, space: Any, terms: list[Term]) -> None:
        self.space, self.terms = space, terms
        self.splits, self.factors = [], []
        self.target: Array | None = None
        for term in terms:
            a, b = as_quadratic(term)  # type: ignore[misc]
            K: Any = Identity(space) if term.operator is None else term.operator
            split = Split(Term(1.0, term.functional, K))
            self.splits.append(split)
            self.factors.append(a)
            if b is not None:
                own = -1 * K.adjoint(b)
                self.target = own if self.target is None else self.target + own

    @property
    def curvature(self) -> float:
        """An upper bound of the largest eigenvalue of the first sum."""
        return sum(a * squared_norm(s.K) for a, s in zip(self.factors, self.splits, strict=True))

    def right_side(self, x: Array, out: Array | None) -> Array:
        """A copy of the fixed part of the right-hand side."""
        if self.target is None:
            return self.space.lincomb(0.0, x, out=out)
        target = self.target
        if self.space.batch_shape(target) != self.space.batch_shape(x):
            target = target + self.space.zeros(like=parts(x)[0], batch=self.space.batch_shape(x))
        return self.space.lincomb(1.0, target, out=out)

    def apply(
        self, state: State, x: Array, others: list[Split], weights: list[Any], out: Array | None
    ) -> Array:
        """The Hessian at ``x``: of the first sum, and of the second with operators and weights r."""
        total, X = None, self.space
        for split, weight in zip([*self.splits, *others], [*self.factors, *weights], strict=True):
            factor = weight * split.factor
            if isinstance(split.K, Identity):
                part, memory = x, None
            else:
                image = split.K(x, out=state.buffer(f"system {split.K.range}", split.K.range))
                memory = state.buffer("pulled", X)
                part = split.back(image, out=memory)
            if total is None:
                total = X.lincomb(factor, part, out=out)
            else:
                total = X.lincomb(factor, part, 1.0, total, out=out)
        return total

    def solve(
        self,
        state: State,
        x: Array,
        right: Array,
        others: list[Split],
        weights: list[Any],
        iterations: int,
        name: str = "x",
    ) -> Array:
        """Conjugate gradients for the minimum from ``x``, the variable ``name``, in its memory.

        ``right`` is scratch memory that is used up. Each sample of a batch has its own steps.
        """
        X = self.space
        image = self.apply(state, x, others, weights, state.buffer("system", X))
        r = X.lincomb(1.0, right, -1.0, image, out=_same(state, right))
        d = X.lincomb(1.0, r, out=state.buffer("direction", X))
        gamma = pairing(X, r, r)
        floor = _ENOUGH * np.asarray(_plain(gamma))
        for _ in range(iterations):
            if np.all(np.asarray(_plain(gamma)) <= floor * (1e-6 if _double(X) else 1.0)):
                break
            image = self.apply(state, d, others, weights, state.buffer("system", X))
            alpha = _factor(ratio(gamma, pairing(X, d, image)), x)
            x = X.lincomb(1.0, x, alpha, d, out=state.buffer(name, X))
            r = X.lincomb(1.0, r, -1 * alpha, image, out=_same(state, r))
            following = pairing(X, r, r)
            d = X.lincomb(
                1.0, r, _factor(ratio(following, gamma), x), d, out=state.buffer("direction", X)
            )
            gamma = following
        return x

    def inverse(self, others: list[Split], weights: list[float], solver: str) -> LinearOperator:
        """The exact inverse of the Hessian: by formula, or as a matrix for few unknowns.

        Raises
        ------
        NotSupportedError
            If there is neither.
        """
        X = self.space
        total: Any = None
        for split, weight in zip([*self.splits, *others], [*self.factors, *weights], strict=True):
            part = weight * (split.K.adjoint @ split.K)
            total = part if total is None else total + part
        try:
            found: LinearOperator = total.inverse
            return found
        except NotSupportedError:
            pass
        if X.size > _DENSE or hasattr(X, "spaces"):
            raise NotSupportedError(
                f"{solver} knows no exact inverse of {total}; leave exact=True out for inner "
                f"conjugate gradients"
            )
        unit = np.eye(X.size, dtype=X.dtype).reshape(X.size, *X.shape)
        dense = total(unit).reshape(X.size, X.size).T
        return MatrixOperator(np.linalg.inv(dense).astype(X.dtype), X, X)


def _same(state: State, buffer: Array) -> Array | None:
    return buffer if state.in_place else None


def _factor(value: Any, like: Array) -> Any:
    """A number per sample of a step as a factor; NumPy's float64 ones in the precision of the elements."""
    return per_sample(value, like) if isinstance(value, (float, np.ndarray)) else value


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _double(space: Any) -> bool:
    while hasattr(space, "spaces"):
        space = space[0]
    return bool(np.finfo(space.dtype).eps < 1e-10)
