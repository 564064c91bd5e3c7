"""Splitting with a quadratic problem in each iteration: what its methods share, and Douglas-Rachford."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError
from opalg.functionals import Functional, Term
from opalg.functionals.functional import positive
from opalg.operators import Identity
from opalg.solvers.certificates import Certificate, Piece, gradient_pieces
from opalg.solvers.objective import ObjectiveSolver, as_functional, take_apart
from opalg.solvers.quadratic_systems import QuadraticSystem, as_quadratic
from opalg.solvers.splits import (
    Split,
    proximal,
    resolved,
    weighted_length,
)
from opalg.solvers.state import State
from opalg.spaces import ProductSpace

__all__ = ["DATA_SHARE", "DouglasRachford", "SplitProblem", "Splitting"]

_EVERY = 10  # iterations between two looks at the residuals
DATA_SHARE = (
    0.1  # of the data term's curvature in the default penalty; found on parallel-beam tomography
)


class SplitProblem:
    """The objective for given data: a quadratic part and terms that are split off, with their penalties."""

    def __init__(self, system: QuadraticSystem, splits: list[Split]) -> None:
        self.system, self.splits = system, splits
        self.penalties: list[Any] = []
        self.inverse: Any = None

    @property
    def split_space(self) -> Any:
        """The product of the ranges of the terms that are split off."""
        ranges = [split.K.range for split in self.splits]
        return ranges[0] if len(ranges) == 1 else ProductSpace(*ranges)


class Splitting(ObjectiveSolver):
    """Base of methods that treat quadratic terms by a system of equations and others by proximal maps."""

    inner_iterations: int = 10
    exact: bool = False
    tolerance: float | None = None

    records: ClassVar[tuple[str, ...]] = ("optimality",)

    def __post_init__(self) -> None:
        super().__post_init__()
        name, count = type(self).__name__, self.inner_iterations
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ArgumentError(
                f"inner_iterations of {name} must be a positive whole number, got {count!r}"
            )
        if self.tolerance is not None:
            positive(self.tolerance, f"tolerance of {name}")
        if not self.operator.exact_adjoint:
            warnings.warn(
                f"{name} needs the exact adjoint, that of {self.operator} is not: the iteration may "
                f"stall; use the "
                "matched pair",
                AccuracyWarning,
                stacklevel=4,
            )

    def _terms(self, y: Array) -> tuple[list[Term], Functional | None]:
        """Quadratic terms, and the rest of the objective."""
        data = Term(1.0, self.data_term(y), self.operator)
        terms = [data] + ([] if self.regularizer is None else self.regularizer.terms())
        quadratic = [term for term in terms if as_quadratic(term) is not None]
        rest: Functional | None = None
        for term in terms:
            if not any(term is other for other in quadratic):
                own = as_functional(term)
                rest = own if rest is None else rest + own
        return quadratic, rest

    def finished(self, state: State) -> str | None:
        """Whether the optimality residual fell below the tolerance."""
        if self.tolerance is None or not np.all(np.less_equal(state.optimality, self.tolerance)):
            return None
        return (
            f"the optimality residual fell to {self.tolerance:g} after {state.iteration} iterations"
        )

    def _looks(self, state: State) -> bool:
        return self.tolerance is not None and (state.iteration + 1) % _EVERY == 0


class DouglasRachford(Splitting):
    """Douglas-Rachford splitting: the proximal maps of two parts of the objective in turn.

    One part are the quadratic terms (least squares with the operator), whose proximal map is a system of
    equations, solved by a few conjugate gradients or exactly; the other all remaining terms, which need a
    joint proximal map. A data term with a proximal map (the operator the identity) may be the first part,
    too.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
    regularizer : Functional, optional
        Quadratic terms, and others whose sum has a proximal map.
    step_size : float, optional
        By default ``1 / (0.1 L)`` with the largest eigenvalue L of the quadratic part, or 1.
    relaxation : float, default 1.0
        Between 0 and 2.
    inner_iterations, exact
        As for `ADMM`.
    tolerance : float, optional
        Stop when ``|w - x| / |w|`` falls so low for the two proximal points; looked at in every tenth
        iteration.

    Raises
    ------
    NotSupportedError
        If a term has no proximal map by itself; `PDHG` and `ADMM` take terms with operators.
    ArgumentError
        If a parameter is out of range.

    Notes
    -----
    Converges for any positive step with convex terms. ``x`` is the point behind the second proximal map: it
    keeps constraints exactly.

    Memory beyond the data: 7 volumes and 2 sinograms. Cost per iteration: ``inner_iterations + 1``
    applications and transposes.

    References
    ----------
    P. L. Lions and B. Mercier, "Splitting algorithms for the sum of two nonlinear operators", SIAM J. Numer.
    Anal. 16, 1979. J. Eckstein and D. Bertsekas, "On the Douglas-Rachford splitting method and the
    proximal point
    algorithm for maximal monotone operators", Math. Program. 55, 1992.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solver = solvers.DouglasRachford(A, regularizer=fn.L1(A.domain))
    >>> solver(np.array([3.0, 0.4])).round(6).tolist()
    [2.0, 0.0]
    """

    step_size: float | None = None
    relaxation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size is not None:
            positive(self.step_size, "step_size of DouglasRachford")
        if not 0 < float(self.relaxation) < 2:
            raise ArgumentError(
                f"the relaxation of DouglasRachford must lie between 0 and 2, got {self.relaxation!r}"
            )
        terms = [] if self.regularizer is None else self.regularizer.terms()
        for term in terms:
            if as_quadratic(term) is None:
                take_apart(as_functional(term), "DouglasRachford", proximable=True)

    def _prepare(self, y: Array) -> Any:
        X, name = self.operator.domain, "DouglasRachford"
        quadratic, rest = self._terms(y)
        first = None
        data = Term(1.0, self.data_term(y), self.operator)
        if as_quadratic(data) is None:
            first = as_functional(data)
            if not first.proximable:
                raise NotSupportedError(
                    f"{name} cannot handle the data term {first}, which is neither quadratic nor "
                    f"has a proximal "
                    "map; PDHG and ADMM take it"
                )
            rest = self.regularizer
            quadratic = []
        prox = resolved(take_apart(rest, name, proximable=True).prox)
        problem = SplitProblem(
            QuadraticSystem(X, quadratic), [Split(Term(1.0, data.functional, Identity(X)))]
        )
        step = self.step_size
        if step is None:
            step = 1 / (DATA_SHARE * problem.system.curvature) if quadratic else 1.0
        problem.penalties = [1 / step]
        if self.exact and first is None:
            problem.inverse = problem.system.inverse(problem.splits, problem.penalties, name)
        return problem, resolved(first), prox, float(step)

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the governing point ``s`` and the first proximal point ``v``."""
        start, batch = self.start(y, x).x, self.domain.batch_shape(y)
        one = np.ones(batch) if batch else 1.0
        more = {} if self.tolerance is None else {"optimality": 1e300 * one}
        return State(start, s=start, v=start, **more)

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the gradients of the quadratic terms, or the subgradient behind the first map."""
        problem, first, prox, step = state.keep("problem", y, self._prepare)
        X = self.operator.domain
        if first is None:
            return Certificate(state.x, gradient_pieces(problem.system.terms, state.x, None), prox)
        # The governing point has moved on: v belongs to the one before.
        s = X.lincomb(1.0, state.s, -float(self.relaxation), X.lincomb(1.0, state.x, -1.0, state.v))
        p = X.lincomb(1 / step, s, -1 / step, state.v)
        return Certificate(state.x, [Piece(Split(Term(1.0, first, Identity(X))), p, False)], prox)

    def step(self, state: State, y: Array) -> State:
        """``v = prox_f(s); x = prox_g(2 v - s); s += relaxation * (x - v)``."""
        problem, first, prox, step = state.keep("problem", y, self._prepare)
        X = self.operator.domain
        if first is not None:
            v = proximal(first, state.s, step, state.buffer("v", X))
        else:
            right = problem.system.right_side(state.x, state.buffer("right", X))
            right = X.lincomb(1 / step, state.s, 1.0, right, out=state.buffer("right", X))
            if problem.inverse is not None:
                v = problem.inverse(right, out=state.buffer("v", X))
            else:
                v = problem.system.solve(
                    state,
                    state.v,
                    right,
                    problem.splits,
                    problem.penalties,
                    int(self.inner_iterations),
                    name="v",
                )
        arg = X.lincomb(2.0, v, -1.0, state.s, out=state.buffer("arg", X))
        x = arg if prox is None else proximal(prox, arg, step, state.buffer("x", X))
        if prox is None:
            x = X.lincomb(1.0, arg, out=state.buffer("x", X))
        gap = X.lincomb(1.0, x, -1.0, v, out=state.buffer("arg", X))
        changed: dict[str, Any] = {}
        if self._looks(state):
            size = weighted_length(X, x)
            worst = weighted_length(X, gap) / np.where(size > 0, size, 1.0)
            changed["optimality"] = worst if np.ndim(worst) else float(worst)
        s = X.lincomb(float(self.relaxation), gap, 1.0, state.s, out=state.buffer("s", X))
        return state.advance(x=x, v=v, s=s, **changed)
