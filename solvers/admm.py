"""The alternating direction method of multipliers, and split Bregman, which is one of its forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError
from opalg.functionals import Term
from opalg.functionals.functional import positive
from opalg.operators import Identity
from opalg.solvers.certificates import Certificate, Piece, gradient_pieces
from opalg.solvers.objective import as_functional, squared_norm, take_apart
from opalg.solvers.quadratic_systems import QuadraticSystem, as_quadratic
from opalg.solvers.splits import (
    Split,
    blocks,
    listed,
    per_sample,
    proximal,
    pull_back,
    resolved,
    unblock,
    weighted_length,
)
from opalg.solvers.splitting import DATA_SHARE, SplitProblem, Splitting
from opalg.solvers.state import State
from opalg.solvers.vectors import parts

__all__ = ["ADMM", "SplitBregman"]

_EVERY = 10  # iterations between two looks at the residuals
_BALANCED = 200  # iterations after which the penalty rests, so that convergence is not disturbed


class ADMM(Splitting):
    """The alternating direction method of multipliers for ``fidelity(A(x)) + regularizer(x)``.

    Terms ``f(K(x))`` become ``f(z)`` with ``z = K(x)``; quadratic terms (least squares) stay in the
    problem for x, a system of equations that is solved by a few conjugate gradients from the last x, or
    exactly.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term; any with a proximal map.
    regularizer : Functional, optional
        Terms with a proximal map, with a linear operator inside or without.
    penalty : float, optional
        The weight of ``|K(x) - z|^2 / 2``, one for all terms. By default one per term, from certified
        norms, in proportion to the curvature of the data term (for Poisson data ``1 / mean(y)``).
    relaxation : float, default 1.0
        Between 0 and 2; 1.5 to 1.8 often saves a third of the iterations.
    balancing : bool, default False
        Double or halve the penalty in every tenth of the first 200 iterations where one of the residuals
        outweighs the other tenfold; each sample of a batch its own.
    inner_iterations : int, default 10
        Conjugate gradients per iteration, at most.
    exact : bool, default False
        Use the inverse of the system instead: by formula, or as a dense matrix for at most 4096 unknowns.
    tolerance : float, optional
        Stop when the primal and dual residual, relative to their terms, fall so low; looked at in every
        tenth iteration.

    Raises
    ------
    NotSupportedError
        If a term has no proximal map (the message names it); when run, if ``exact`` is not possible.
    ArgumentError
        If a parameter is out of range.

    Notes
    -----
    Converges for any positive penalty with convex terms, and with inner iterations whose errors are
    summable; warm starts make them so in practice.

    Memory beyond the data: 6 volumes, 1 sinogram, and 4 elements of the ranges of the split terms'
    operators. Cost per iteration: ``inner_iterations + 1`` applications and transposes of all operators.

    References
    ----------
    S. Boyd, N. Parikh, E. Chu, B. Peleato and J. Eckstein, "Distributed optimization and statistical
    learning via the alternating direction method of multipliers", Found. Trends Mach. Learn. 3, 2011. B.
    Wohlberg,
    "ADMM penalty parameter selection by residual balancing", arXiv:1704.06209, 2017.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> X = oa.Space(4, "float64")
    >>> tv = 0.5 * fn.GroupL1((G := oa.Gradient(X)).range) @ G
    >>> solver = solvers.ADMM(oa.Identity(X), regularizer=tv, penalty=1.0)
    >>> solver(np.array([0.0, 3.0, 3.0, 1.0])).round(4).tolist()
    [0.5, 2.5, 2.5, 1.5]
    """

    penalty: float | None = None
    relaxation: float = 1.0
    balancing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.penalty is not None:
            positive(self.penalty, f"penalty of {name}")
        if not 0 < float(self.relaxation) < 2:
            raise ArgumentError(
                f"the relaxation of {name} must lie between 0 and 2, got {self.relaxation!r}"
            )
        if self.exact and self.balancing:
            raise ArgumentError(
                f"{name} takes exact=True or balancing=True, not both: the inverse is for one penalty"
            )
        terms = [] if self.regularizer is None else self.regularizer.terms()
        rest = [as_functional(term) for term in terms if as_quadratic(term) is None]
        for own in rest:
            take_apart(own, name, proximable=True, composed=True)

    def _prepare(self, y: Array) -> SplitProblem:
        X = self.operator.domain
        quadratic, rest = self._terms(y)
        found = take_apart(rest, type(self).__name__, proximable=True, composed=True)
        splits = [Split(term) for term in found.composed]
        prox = resolved(found.prox)
        if prox is not None:
            splits.append(Split(Term(1.0, prox, Identity(X))))
        problem = SplitProblem(QuadraticSystem(X, quadratic), splits)
        problem.penalties = self._penalties(problem, y)
        if self.exact:
            problem.inverse = problem.system.inverse(splits, problem.penalties, type(self).__name__)
        return problem

    def _penalties(self, problem: SplitProblem, y: Array) -> list[Any]:
        if self.penalty is not None:
            return [float(self.penalty)] * len(problem.splits)
        curvature: Any = problem.system.curvature
        found = []
        for split in problem.splits:
            if curvature == 0 and split.K == self.operator:
                found.append(self._data_curvature(split, y))
        data = found[0] if found else None
        if data is not None:
            curvature = data * squared_norm(self.operator)
        values = []
        for split in problem.splits:
            norm = split.norm
            if data is not None and split.K == self.operator:
                values.append(data)
            else:
                values.append(DATA_SHARE * curvature / norm if norm and np.all(curvature) else 1.0)
        return values

    def _data_curvature(self, split: Split, y: Array) -> Any:
        """The typical second derivative of the data term, one per sample."""
        L = split.functional.lipschitz
        if math.isfinite(L) and L > 0:
            return L
        batch = self.domain.batch_shape(y)
        sums = sum(
            np.abs(as_numpy(part.detach() if hasattr(part, "detach") else part))
            .reshape(*batch, -1)
            .sum(axis=-1, dtype="float64")
            for part in parts(y)
        )
        mean = sums / self.operator.range.size
        value = 1 / np.where(mean > 0, mean, 1.0)
        return value if batch else float(value)

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the parts ``z = K(x)`` and the scaled multipliers ``u = 0``."""
        problem = self._prepare(y)
        start, batch = self.start(y, x).x, self.domain.batch_shape(y)
        one = np.ones(batch) if batch else 1.0
        variables: dict[str, Any] = {}
        if problem.splits:
            zero = problem.split_space.zeros(like=parts(start)[0], batch=batch)
            variables["u"] = zero
            variables["z"] = (
                zero if x is None else blocks([split.K(start) for split in problem.splits])
            )
        if self.balancing:
            variables["scale"] = one
        if self.tolerance is not None:
            variables["optimality"] = 1e300 * one
        state = State(start, **variables)
        state._kept["problem"] = (y, problem)
        return state

    def step(self, state: State, y: Array) -> State:
        """The quadratic problem for x, the proximal maps for z, then the multipliers."""
        problem = state.keep("problem", y, self._prepare)
        X, splits, count = self.operator.domain, problem.splits, len(problem.splits)
        scale = state.scale if self.balancing else 1.0
        weights = [per_sample(weight * scale, state.x) for weight in problem.penalties]
        z, u = (unblock(state.z, count), unblock(state.u, count)) if count else ([], [])
        right = problem.system.right_side(state.x, state.buffer("right", X))
        space = problem.split_space if count else None
        work = listed(state.buffer("q", space), count) if count else []
        for i, split in enumerate(splits):
            gap = split.K.range.lincomb(1.0, z[i], -1.0, u[i], out=work[i])
            memory = state.buffer("right", X)
            right = pull_back(
                [split], [gap], weights[i], right, state, memory, state.buffer("pulled", X)
            )
        if problem.inverse is not None:
            x = problem.inverse(right, out=state.buffer("x", X))
        else:
            x = problem.system.solve(
                state, state.x, right, splits, weights, int(self.inner_iterations)
            )
        if not count:
            return state.advance(x=x)
        return self._finish(problem, state, x, weights)

    def _finish(self, problem: SplitProblem, state: State, x: Array, weights: list[Any]) -> State:
        splits, count, alpha = problem.splits, len(problem.splits), float(self.relaxation)
        space = problem.split_space
        looks = self._looks(state) or self._rebalances(state)
        z, u = unblock(state.z, count), unblock(state.u, count)
        work = listed(state.buffer("q", space), count)
        target = listed(state.buffer("before" if looks else "z", space), count)
        following = listed(state.buffer("u", space), count)
        new_z, new_u = [], []
        for i, split in enumerate(splits):
            Y = split.K.range
            q = split.K(x, out=work[i])
            if alpha != 1:
                q = Y.lincomb(alpha, q, 1 - alpha, z[i], out=work[i])
            q = Y.lincomb(1.0, q, 1.0, u[i], out=work[i])
            new_z.append(proximal(split.functional, q, 1 / weights[i], target[i]))
            new_u.append(Y.lincomb(1.0, q, -1.0, new_z[i], out=following[i]))
        changed: dict[str, Any] = {"z": blocks(new_z), "u": blocks(new_u)}
        if looks:
            primal, dual = self._residuals(problem, state, x, new_z, new_u, weights)
            if self.tolerance is not None:
                worst = np.maximum(primal, dual)
                changed["optimality"] = worst if np.ndim(worst) else float(worst)
            if self._rebalances(state):
                factor = np.where(primal > 10 * dual, 2.0, np.where(dual > 10 * primal, 0.5, 1.0))
                scale = state.scale * factor
                changed["scale"] = scale if np.ndim(scale) else float(scale)
                shrink = per_sample(1 / factor, x)
                changed["u"] = space.lincomb(shrink, changed["u"], out=state.buffer("u", space))
        return state.advance(x=x, **changed)

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the multipliers; where terms of x have a proximal map, the point that it gave."""
        problem = state.keep("problem", y, self._prepare)
        count = len(problem.splits)
        z, u = (unblock(state.z, count), unblock(state.u, count)) if count else ([], [])
        scale = state.scale if self.balancing else 1.0
        x, prox, pieces = state.x, None, []
        for i, split in enumerate(problem.splits):
            if isinstance(split.K, Identity):
                x, prox = z[i], split.functional  # the last one, by _prepare
                continue
            weight = per_sample(problem.penalties[i] * scale, state.x)
            pieces.append(Piece(split, split.K.range.lincomb(weight, u[i]), False))
        pieces += gradient_pieces(problem.system.terms, x, None)
        return Certificate(x, pieces, prox)

    def _rebalances(self, state: State) -> bool:
        count = state.iteration + 1
        return self.balancing and count % _EVERY == 0 and count <= _BALANCED

    def _residuals(
        self,
        problem: SplitProblem,
        state: State,
        x: Array,
        z: list[Array],
        u: list[Array],
        weights: list[Any],
    ) -> tuple[Any, Any]:
        """``K(x) - z`` relative to both, and ``K.adjoint(z - old z)`` relative to that of the multipliers."""
        X, count = self.operator.domain, len(problem.splits)
        space = problem.split_space
        work = listed(state.buffer("q", space), count)
        old = unblock(state.z, count)
        gap2, size2, back2 = 0.0, 0.0, 0.0
        force = move = None
        for i, split in enumerate(problem.splits):
            Y, weight = split.K.range, weights[i]
            image = split.K(x, out=work[i])
            size = np.maximum(weighted_length(Y, image), weighted_length(Y, z[i]))
            gap = weighted_length(Y, Y.lincomb(1.0, image, -1.0, z[i], out=work[i]))
            gap2, size2 = np.maximum(gap2, gap / np.where(size > 0, size, 1.0)), size2
            zero = X.lincomb(0.0, x, out=state.buffer("right", X)) if move is None else move
            change = Y.lincomb(1.0, z[i], -1.0, old[i], out=work[i])
            move = pull_back(
                [split],
                [change],
                weight,
                zero,
                state,
                state.buffer("right", X),
                state.buffer("pulled", X),
            )
            start = X.lincomb(0.0, x, out=state.buffer("system", X)) if force is None else force
            force = pull_back(
                [split],
                [u[i]],
                weight,
                start,
                state,
                state.buffer("system", X),
                state.buffer("pulled", X),
            )
        size, back2 = weighted_length(X, force), weighted_length(X, move)
        return gap2, back2 / np.where(size > 0, size, 1.0)


class SplitBregman(ADMM):
    """The split Bregman method (Goldstein and Osher): `ADMM` with two inner iterations by default.

    Adding the Bregman distance's subgradient back to the data, as the method was found, is ADMM's
    multiplier: the two are the same iteration for linear operators (Esser 2009).

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
    regularizer : Functional, optional
    penalty : float, optional
        Goldstein and Osher's lambda.
    relaxation, balancing, exact, tolerance
        As for `ADMM`.
    inner_iterations : int, default 2

    Raises
    ------
    NotSupportedError
        If a term has no proximal map.
    ArgumentError
        If a parameter is out of range.

    Notes
    -----
    Converges as `ADMM` does; the few inner iterations suffice since they start from the last x.
    Memory beyond the data and cost: as for `ADMM`.

    References
    ----------
    T. Goldstein and S. Osher, "The split Bregman method for L1-regularized problems", SIAM J. Imaging Sci.
    2, 2009.
    E. Esser, "Applications of Lagrangian-based alternating direction methods and connections to split
    Bregman", CAM report 09-31, UCLA, 2009.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> X = oa.Space(4, "float64")
    >>> tv = 0.5 * fn.GroupL1((G := oa.Gradient(X)).range) @ G
    >>> solver = solvers.SplitBregman(oa.Identity(X), regularizer=tv, penalty=1.0)
    >>> solver(np.array([0.0, 3.0, 3.0, 1.0])).round(4).tolist()
    [0.5, 2.5, 2.5, 1.5]
    """

    inner_iterations = 2
