"""The step that PDHG, Condat-Vu, PD3O and linearised ADMM share.

They minimise ``h(x) + g(x) + sum(f_i(K_i(x)))`` with a gradient of h, a proximal map of g and proximal maps
of the conjugates of the ``f_i``: no system of equations is solved. All norms and adjoints are those of the
inner products of the spaces.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.functionals import Functional, Term
from opalg.functionals.functional import positive
from opalg.solvers.certificates import Certificate, Piece, gradient_pieces
from opalg.solvers.objective import (
    Objective,
    ObjectiveSolver,
    is_smooth,
    take_apart,
)
from opalg.solvers.preconditioning import leading_scale
from opalg.solvers.splits import (
    Entries,
    Split,
    add_multiple,
    ascend,
    blocks,
    dual_prox,
    listed,
    proximal,
    pull_back,
    resolved,
    unblock,
    weighted_length,
)
from opalg.solvers.state import State
from opalg.spaces import ProductSpace

__all__ = ["PrimalDual", "Problem", "divided"]

_EVERY = 10  # iterations between two looks at the optimality, which costs as much as one iteration


class Problem:
    """The objective for given data, taken apart, with the steps."""

    def __init__(
        self,
        smooth: Objective | None,
        prox: Functional | None,
        splits: list[Split],
    ) -> None:
        self.smooth, self.prox, self.splits = smooth, prox, splits
        self.lipschitz = 0.0 if smooth is None else smooth.lipschitz
        self.tau: Any = 1.0
        self.sigmas: list[Any] = []

    @property
    def dual_space(self) -> Any:
        """Of the dual variable: the range of the one operator, or the product of all."""
        ranges = [split.K.range for split in self.splits]
        return ranges[0] if len(ranges) == 1 else ProductSpace(*ranges)


class PrimalDual(ObjectiveSolver):
    """Base of the primal-dual methods: how objectives are taken apart, and steps found and checked.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer
        See `opalg.solvers.objective.ObjectiveSolver`.
    primal_step, dual_step : float, optional
    tolerance : float, optional
    """

    primal_step: float | None = None
    dual_step: float | None = None
    tolerance: float | None = None

    records: ClassVar[tuple[str, ...]] = ("optimality",)
    takes_smooth: ClassVar[bool] = False
    weight_of_gradient: ClassVar[float] = 0.5
    """The condition on steps is ``1 / primal - sum(dual * |K|^2) >= weight * L``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("primal_step", "dual_step", "tolerance"):
            value = getattr(self, name)
            if value is not None:
                positive(value, f"{name} of {type(self).__name__}")
        self._regularizer_parts()
        if not self.operator.exact_adjoint:
            warnings.warn(
                f"{type(self).__name__} needs the exact adjoint, that of {self.operator} is not: "
                "the iteration may stall or diverge; use the matched pair",
                AccuracyWarning,
                stacklevel=4,
            )

    # The objective

    def _regularizer_parts(self) -> Any:
        name = type(self).__name__
        kinds = {"proximable": True, "composed": True, "smooth": self.takes_smooth}
        return take_apart(self.regularizer, name, **kinds)

    def _prepare(self, y: Array) -> Problem:
        data = Term(1.0, self.data_term(y), self.operator)
        if self.takes_smooth and is_smooth(data, lipschitz=True):
            found = self._regularizer_parts()
            smooth = Objective(self.operator, data.functional, found.smooth)
        else:
            # The data term has a proximal map of its own if the operator is the identity or tight.
            whole = data.functional @ self.operator
            if self.regularizer is not None:
                whole = whole + self.regularizer
            found = take_apart(
                whole, type(self).__name__, proximable=True, composed=True, smooth=False
            )
            smooth = None
        problem = Problem(smooth, resolved(found.prox), [Split(term) for term in found.composed])
        problem.tau, problem.sigmas = self._steps(problem, y)
        return problem

    def _steps(self, problem: Problem, y: Array) -> tuple[Any, list[Any]]:
        """The step for x and those for the dual variables, so that the condition holds."""
        norms = [split.norm for split in problem.splits]
        count, slope = max(len(norms), 1), self.weight_of_gradient * problem.lipschitz
        tau, sigma = self.primal_step, self.dual_step
        if tau is None and sigma is None:
            tau = self._default_step(problem, norms)
        if tau is None:
            assert sigma is not None
            total = slope + sigma * sum(norms)
            return (1 / total if total > 0 else 1.0), [sigma] * len(norms)
        room = 1 / tau - slope
        if sigma is None:
            if room <= 0:
                raise ArgumentError(self._too_long(f"primal_step {tau:g}", f"below {1 / slope:g}"))
            return tau, [room / (count * norm) if norm else 1.0 for norm in norms]
        self._check(problem, tau, sigma, slope)
        return tau, [sigma] * len(norms)

    def _default_step(self, problem: Problem, norms: list[float]) -> float:
        if problem.lipschitz:
            return 0.5 / (self.weight_of_gradient * problem.lipschitz)
        count = len(norms)
        scale = leading_scale(problem.splits, norms)
        if scale is not None:
            return 1 / (count * scale) if scale else 1.0
        if problem.prox is not None and problem.prox.strong_convexity > 0:
            return 1 / problem.prox.strong_convexity
        return 1 / math.sqrt(sum(norms)) if sum(norms) else 1.0

    def _check(self, problem: Problem, tau: float, sigma: float, slope: float) -> None:
        upper = sum(split.norm for split in problem.splits)
        lower = max((split.least_norm for split in problem.splits), default=0.0)
        given = f"primal_step {tau:g} and dual_step {sigma:g}"
        # The smallest products that are known to fail: He, Ma, Xu and Yuan (2022) for h = 0.
        if 1 / tau <= 0.75 * sigma * lower or (slope and tau * slope > 1):
            bound = f"at most {1 / (slope + sigma * lower):g} for this dual_step"
            raise ArgumentError(self._too_long(given, bound))
        if tau * (slope + sigma * upper) > 1 + 1e-9:
            warnings.warn(
                f"{type(self).__name__} may diverge with {given}: its condition {self._condition} holds for "
                f"primal_step up to {1 / (slope + sigma * upper):g}",
                AccuracyWarning,
                stacklevel=6,
            )

    @property
    def _condition(self) -> str:
        gradient = f" - {self.weight_of_gradient:g} * L" if self.takes_smooth else ""
        return f"primal_step * dual_step * sum(|K_i|^2) <= 1{gradient and f' - primal_step{gradient[2:]}'}"

    def _too_long(self, given: str, bound: str) -> str:
        return (
            f"{given} of {type(self).__name__} is too long: the primal step must be {bound}, so that "
            f"{self._condition}; leave the steps out for safe ones"
        )

    # The iteration

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the dual variable ``p = 0`` and the step for x."""
        problem = self._prepare(y)
        state = self.start(y, x)
        batch = self.domain.batch_shape(y)
        variables: dict[str, Any] = {"optimality": self._unknown(batch)} if self.tolerance else {}
        if problem.splits:
            variables["p"] = problem.dual_space.zeros(like=state.x, batch=batch)
        variables |= self._more_variables(problem, state.x, variables.get("p"), batch)
        state = State(x=state.x, **variables)
        state._kept["problem"] = (y, problem)
        return state

    def _more_variables(self, problem: Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        return {}

    def _steps_now(self, problem: Problem, state: State) -> tuple[Any, list[Any]]:
        return problem.tau, problem.sigmas

    def step(self, state: State, y: Array) -> State:
        """A proximal step down in x, and one up in the dual variable at the extrapolated x."""
        problem = state.keep("problem", y, self._prepare)
        X = self.operator.domain
        tau, sigmas = self._steps_now(problem, state)
        x, p = state.x, unblock(state.p, len(problem.splits)) if problem.splits else []
        slope = self._slope(problem, state)
        new = self._descend(problem, state, x, p, tau, slope)
        theta, sigmas, changed = self._adapt(problem, state, sigmas)
        bar = X.lincomb(1 + theta, new, -1 * theta, x, out=state.buffer("arg", X))
        if slope is not None:
            bar = self._correct(problem, state, bar, new, slope, tau, changed)
        keep = self._looks(state) or self._balances
        q = self._ascend(problem, state, p, bar, sigmas, keep)
        if self.tolerance is not None and self._looks(state):
            changed["optimality"] = self._optimality(problem, state, new, q, tau, sigmas)
        changed |= self._balance(problem, state, new, q, sigmas)
        if problem.splits:
            changed["p"] = q
        return state.advance(x=new, **changed)

    def _slope(self, problem: Problem, state: State) -> Array | None:
        """The gradient of h at x."""
        return (
            None if problem.smooth is None else self._gradient(problem, state, state.x, "descent")
        )

    def _gradient(self, problem: Problem, state: State, x: Array, name: str) -> Array:
        image = self.operator(x, out=state.buffer("image", self.operator.range))
        memory = state.buffer(name, self.operator.domain)
        smooth: Any = problem.smooth
        return smooth.gradient(state, x, image, memory)

    def _descend(
        self, problem: Problem, state: State, x: Array, p: list[Array], tau: Any, slope: Any
    ) -> Array:
        X = self.operator.domain
        name = "new" if problem.prox is None else "arg"
        memory = state.buffer(name, X)
        factor = tau.negative if isinstance(tau, Entries) else -1 * tau
        arg = pull_back(problem.splits, p, factor, x, state, memory)
        if slope is not None:
            arg = X.lincomb(-1 * tau, slope, 1.0, arg, out=memory)
        if problem.prox is None:
            return arg
        return proximal(problem.prox, arg, tau, state.buffer("new", X))

    def _ascend(
        self, problem: Problem, state: State, p: list[Array], bar: Array, sigmas: Any, keep: bool
    ) -> Array:
        """The dual variable after a step at ``bar``; in memory of its own if the old one is to be kept."""
        if not problem.splits:
            return None
        space, count = problem.dual_space, len(problem.splits)
        target = listed(state.buffer("r" if keep else "p", space), count)
        values = []
        for i, split in enumerate(problem.splits):
            if not ascend(split, bar, p[i], sigmas[i], target[i]):
                work = listed(state.buffer("q", space), count)[i]
                q = split.K(bar, out=work)
                q = add_multiple(split.K.range, p[i], sigmas[i], q, work)
                target[i] = dual_prox(split, q, sigmas[i], target[i], work)
            values.append(target[i])
        return blocks(values)

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with its dual variables, and the gradient of the smooth part."""
        problem = state.keep("problem", y, self._prepare)
        duals = unblock(state.p, len(problem.splits)) if problem.splits else []
        pieces = [Piece(s, p, False) for s, p in zip(problem.splits, duals, strict=True)]
        if problem.smooth is not None:
            pieces += gradient_pieces(problem.smooth.all_terms, state.x, None)
        return Certificate(state.x, pieces, problem.prox)

    # What the variants change

    _balances: ClassVar[bool] = False

    def _adapt(
        self, problem: Problem, state: State, sigmas: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        """The extrapolation, the dual steps and what changes in the state."""
        return 1.0, sigmas, {}

    def _balance(
        self, problem: Problem, state: State, new: Array, q: Array, sigmas: Any
    ) -> dict[str, Any]:
        return {}

    def _correct(
        self,
        problem: Problem,
        state: State,
        bar: Array,
        new: Array,
        slope: Array,
        tau: Any,
        changed: dict[str, Any],
    ) -> Array:
        return bar

    # Stopping

    def finished(self, state: State) -> str | None:
        """Whether the optimality residual fell below the tolerance."""
        if self.tolerance is None or not np.all(np.less_equal(state.optimality, self.tolerance)):
            return None
        return (
            f"the optimality residual fell to {self.tolerance:g} after {state.iteration} iterations"
        )

    @staticmethod
    def _unknown(batch: tuple[int, ...]) -> Any:
        # Large but finite: nothing has diverged before the first look.
        return np.full(batch, 1e300) if batch else 1e300

    def _looks(self, state: State) -> bool:
        return self.tolerance is not None and (state.iteration + 1) % _EVERY == 0

    def _optimality(
        self, problem: Problem, state: State, new: Array, q: Array, tau: Any, sigmas: Any
    ) -> Any:
        """How far the new point violates the optimality conditions, relative to their terms.

        The proximal maps certify ``(x - x') / tau + K.adjoint(p' - p)`` as an element of the
        subdifferential of the objective's Lagrangian in x, and alike in p.
        """
        X = self.operator.domain
        dx = X.lincomb(1.0, state.x, -1.0, new, out=state.buffer("dx", X))
        if not problem.splits:
            move = weighted_length(X, dx)
            return _relative(move, weighted_length(X, new))
        space, count = problem.dual_space, len(problem.splits)
        dp = space.lincomb(1.0, q, -1.0, state.p, out=state.buffer("dp", space))
        zero = X.lincomb(0.0, dx, out=state.buffer("zero", X))
        force = pull_back(
            problem.splits, unblock(q, count), 1.0, zero, state, state.buffer("force", X)
        )
        size = weighted_length(X, force)
        over = divided(X, dx, tau, state.buffer("zero", X))
        rest = pull_back(
            problem.splits, unblock(dp, count), 1.0, over, state, state.buffer("force", X)
        )
        worst = _relative(weighted_length(X, rest), size)
        for i, split in enumerate(problem.splits):
            Y, memory = split.K.range, listed(state.buffer("q", space), count)[i]
            size = weighted_length(Y, split.K(new, out=memory))
            image = split.K(dx, out=memory)
            over = divided(
                Y, unblock(dp, count)[i], sigmas[i], listed(state.buffer("dp", space), count)[i]
            )
            rest = Y.lincomb(1.0, image, 1.0, over, out=memory)
            worst = np.maximum(worst, _relative(weighted_length(Y, rest), size))
        return worst if np.ndim(worst) else float(worst)


def divided(space: Any, x: Array, step: Any, out: Array | None) -> Array:
    """``x / step``, for a number, one number per sample, or one per entry."""
    if isinstance(step, Entries):
        return add_multiple(space, space.lincomb(0.0, x), step.inverse, x, out)
    return space.lincomb(1 / step, x, out=out)


def _relative(move: Any, size: Any) -> Any:
    # Where the size is zero the move is judged as it is: both vanish at the solution then.
    return move / np.where(np.equal(size, 0), 1.0, size)
