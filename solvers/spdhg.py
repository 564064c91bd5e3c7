"""The stochastic primal-dual hybrid gradient method: one term of the objective at a time."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from opalg.arrays import Array
from opalg.functionals import Term
from opalg.functionals.functional import positive
from opalg.solvers.certificates import Certificate, Piece
from opalg.solvers.objective import (
    as_functional,
    take_apart,
)
from opalg.solvers.splits import (
    Split,
    add_multiple,
    dual_prox,
    proximal,
    resolved,
)
from opalg.solvers.state import State
from opalg.solvers.stochastic_step import Stochastic
from opalg.spaces import Blocks

__all__ = ["SPDHG"]

_SHARE = 0.5  # of the Lipschitz constant in a dual step, as in PDHG


class SPDHG(Stochastic):
    """Stochastic PDHG: each iteration updates the dual variable of one subset of the data, drawn at random.

    Parameters
    ----------
    operator : LinearOperator
        One that can be split into subsets: an X-ray transform, a vstack, a matrix.
    iterations : int, default 100
        Each sees one subset or one term of the regulariser.
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term of a subset; any with a proximal map.
    regularizer : Functional, optional
        Terms with a proximal map, with a linear operator inside or without. Those with an operator (total
        variation) are drawn in half of the iterations.
    subsets : int, default 10
    seed : int, default 0
        What is drawn in iteration k depends on ``seed`` and k only.
    primal_step : float, optional
        By default from certified norms; the dual steps follow.

    Raises
    ------
    NotSupportedError
        If the operator cannot be split, or a term has no proximal map.
    ArgumentError
        If a parameter is out of range.

    Notes
    -----
    Converges almost surely for ``primal_step * dual_step_i * |K_i|^2 <= p_i`` with convex terms, where
    ``p_i`` is
    the probability of block i; here with equality (but for rounding).

    Memory beyond the data: 5 volumes, 2 elements of the ranges of all operators, one copy of the data.
    Cost per iteration: one application and one transpose of a subset or of an operator in the
    regulariser.

    References
    ----------
    A. Chambolle, M. Ehrhardt, P. Richtárik and C.-B. Schönlieb, "Stochastic primal-dual hybrid gradient
    algorithm
    with arbitrary sampling and imaging applications", SIAM J. Optim. 28, 2018.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]]))
    >>> solver = solvers.SPDHG(A, regularizer=fn.NonNegative(A.domain), subsets=3, iterations=3000)
    >>> solver(np.array([1.0, 4.0, 5.0])).round(4).tolist()
    [1.0, 2.0]
    """

    primal_step: float | None = None

    takes: ClassVar[dict[str, bool]] = {"proximable": True, "composed": True}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.primal_step is not None:
            positive(self.primal_step, "primal_step of SPDHG")

    def _prepare(self, y: Array) -> Any:
        name = type(self).__name__
        data = [
            Term(1.0, f, subset.operator)
            for f, subset in zip(self._data_terms(y), self._subsets, strict=True)
        ]
        for term in data:
            take_apart(as_functional(term), name, composed=True)
        found = take_apart(self.regularizer, name, **self.takes)
        splits = [Split(term) for term in [*data, *found.composed]]
        number, more = len(data), len(found.composed)
        share = 0.5 if more else 1.0
        probabilities = [share / number] * number + [share / max(more, 1)] * more
        norms = [block.norm for block in splits]
        tau = self.primal_step
        if tau is None:
            scales = [
                _SHARE * block.functional.lipschitz * norm / p
                for block, norm, p in zip(splits, norms, probabilities, strict=True)
                if math.isfinite(block.functional.lipschitz) and block.functional.lipschitz > 0
            ]
            roots = [math.sqrt(norm) / p for norm, p in zip(norms, probabilities, strict=True)]
            tau = 1 / max(scales) if scales else (1 / max(roots) if max(roots) else 1.0)
        sigmas = [
            p / (tau * norm) if norm else 1.0 for norm, p in zip(norms, probabilities, strict=True)
        ]
        return splits, resolved(found.prox), probabilities, float(tau), sigmas

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the dual variables ``p``, their sum ``z`` in the space of x and its extrapolation."""
        run = self._prepare(y)
        start, batch = self.start(y, x).x, self.domain.batch_shape(y)
        like = start.first if isinstance(start, Blocks) else start
        duals = Blocks(block.K.range.zeros(like=like, batch=batch) for block in run[0])
        zero = self.operator.domain.zeros(like=like, batch=batch)
        state = State(start, p=duals, z=zero, bar=zero)
        state._kept["problem"] = (y, run)
        return state

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the dual variables of all blocks."""
        splits, prox, *_ = state.keep("problem", y, self._prepare)
        pieces = [Piece(s, p, False) for s, p in zip(splits, state.p, strict=True)]
        return Certificate(state.x, pieces, prox)

    def step(self, state: State, y: Array) -> State:
        """A proximal step in x, then one in the dual variable of one block."""
        splits, prox, probabilities, tau, sigmas = state.keep("problem", y, self._prepare)
        X, i = self.operator.domain, self._draw(state, probabilities)
        block, sigma, p = splits[i], sigmas[i], state.p[i]
        Y = block.K.range
        label = str(getattr(Y, "shape", Y))
        arg = X.lincomb(-tau, state.bar, 1.0, state.x, out=state.buffer("bar", X))
        if prox is None:
            x = X.lincomb(1.0, arg, out=state.buffer("x", X))
        else:
            x = proximal(prox, arg, tau, state.buffer("x", X))
        q = block.K(x, out=state.buffer(f"q {label}", Y))
        q = add_multiple(Y, p, sigma, q, state.buffer(f"q {label}", Y))
        new = dual_prox(
            block, q, sigma, state.buffer(f"r {label}", Y), state.buffer(f"q {label}", Y)
        )
        change = Y.lincomb(1.0, new, -1.0, p, out=state.buffer(f"q {label}", Y))
        d = block.back(change, out=state.buffer("d", X))
        z = X.lincomb(block.factor, d, 1.0, state.z, out=state.buffer("z", X))
        bar = X.lincomb(block.factor / probabilities[i], d, 1.0, z, out=state.buffer("bar", X))
        if state.in_place:
            Y.lincomb(1.0, new, out=p)
            return state.advance(x=x, z=z, bar=bar)
        duals = Blocks(new if j == i else part for j, part in enumerate(state.p))
        return state.advance(x=x, z=z, bar=bar, p=duals)
