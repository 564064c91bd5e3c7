"""The step that the proximal gradient methods share: ``x = prox(v - step * gradient(v))``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import Functional, Term
from opalg.functionals.functional import positive
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.solvers.certificates import Certificate, gradient_pieces
from opalg.solvers.objective import (
    Objective,
    ObjectiveSolver,
    is_smooth,
    take_apart,
)
from opalg.solvers.schedules import Limits, schedule_numbers
from opalg.solvers.solver import Schedule
from opalg.solvers.splits import (
    judge,
    pairing,
    per_sample,
    proximal,
    resolved,
    weighted_length,
)
from opalg.solvers.state import State

__all__ = ["ProximalGradient", "ProximalProblem", "is_schedule"]

_SHRINK = 0.5  # of the step, where backtracking finds it too long
_SEARCHES = 60  # 0.5 ** 60: what is not short enough then never will be


class ProximalProblem:
    """The objective for given data: a smooth part, and a functional with a proximal map or None."""

    def __init__(self, smooth: Objective, prox: Functional | None) -> None:
        self.smooth, self.prox = smooth, prox


class ProximalGradient(ObjectiveSolver):
    """Base of the proximal gradient methods: ``x = prox(v - step * gradient(v))``.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer
        See `opalg.solvers.objective.ObjectiveSolver`.
    step_size : float, sequence or callable, optional
    backtracking : bool, default False
    tolerance : float, optional
    """

    step_size: Schedule | None = None
    backtracking: bool = False
    tolerance: float | None = None

    records: ClassVar[tuple[str, ...]] = ("optimality",)
    longest: ClassVar[float] = 2.0
    """Steps below this over the Lipschitz constant converge."""
    momentum: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tolerance is not None:
            positive(self.tolerance, f"tolerance of {type(self).__name__}")
        steps = self._known_steps
        Limits(type(self).__name__, "step size").check(steps)
        if self.backtracking and not (self.step_size is None or len(steps) == 1):
            raise ArgumentError("with backtracking step_size is the first step: a single number")
        self._regularizer_parts()

    @property
    def _known_steps(self) -> tuple[float, ...]:
        return () if self.step_size is None else tuple(schedule_numbers(self.step_size))

    # The objective

    def _regularizer_parts(self) -> Any:
        return take_apart(
            self.regularizer,
            type(self).__name__,
            smooth=True,
            proximable=True,
            lipschitz=not self.backtracking,
        )

    def _prepare(self, y: Array) -> ProximalProblem:
        name, f = type(self).__name__, self.data_term(y)
        if not is_smooth(Term(1.0, f, self.operator), lipschitz=not self.backtracking):
            if f.differentiable:
                raise NotSupportedError(
                    f"{name} cannot handle the data term {f}, whose gradient has no known Lipschitz "
                    f"constant; {name}(..., backtracking=True) searches its steps, PDHG and ADMM "
                    f"take it by its prox"
                )
            raise NotSupportedError(
                f"{name} cannot handle the data term {f}, which has no gradient; PDHG and ADMM take it"
            )
        found = self._regularizer_parts()
        return ProximalProblem(Objective(self.operator, f, found.smooth), resolved(found.prox))

    def _first_step(self, problem: ProximalProblem) -> float:
        bound = problem.smooth.lipschitz
        if self.step_size is not None:
            steps = self._known_steps
            if steps and not self.backtracking:
                self._limits(problem).check(steps)
            return steps[0] if steps else 1.0
        if self.backtracking and not math.isfinite(bound):
            return 1.0 / max(norm_in_spaces(self.operator).lower ** 2, 1e-30)
        return 1 / bound if bound else 1.0

    def _limits(self, problem: ProximalProblem) -> Limits:
        name, bound, limit = type(self).__name__, problem.smooth.lipschitz, self.longest
        if not bound:
            return Limits(name, "step size")

        def fatal() -> float:
            # What the data term alone surely has: a quadratic with this curvature in some direction.
            convexity = problem.smooth.fidelity.strong_convexity
            least = convexity * norm_in_spaces(self.operator).lower ** 2
            return 2 / least if least else math.inf

        return Limits(
            name,
            "step size",
            limit / bound * (1 + 1e-9),
            fatal,
            f"it must be below {limit:g} / L = {limit / bound:g}; leave it out for 1 / L, or use "
            "backtracking=True",
            f"must be below {limit:g} / L, where L <= {bound:g}, so below {limit / bound:g}",
        )

    # The iteration

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, the step and what momentum needs."""
        problem = self._prepare(y)
        start = self.start(y, x).x
        batch = self.domain.batch_shape(y)
        one = np.ones(batch) if batch else 1.0
        variables: dict[str, Any] = {"step_size": self._first_step(problem) * one}
        if self.tolerance is not None:
            variables["optimality"] = 1e300 * one
        if self.momentum:
            variables |= {"v": start, "t": one}
        state = State(start, **variables, **self._more_variables(problem, start))
        state._kept["problem"] = (y, problem)
        return state

    def _more_variables(self, problem: ProximalProblem, x: Array) -> dict[str, Any]:
        return {}

    def _point(self, state: State) -> Array:
        return state.v if self.momentum else state.x

    def step(self, state: State, y: Array) -> State:
        """A gradient step in the smooth part, then the proximal map of the rest."""
        problem = state.keep("problem", y, self._prepare)
        v, X = self._point(state), self.operator.domain
        q = self.operator(v, out=state.buffer("image", self.operator.range))
        g = problem.smooth.gradient(state, v, q, state.buffer("g", X))
        if self.backtracking:
            new, step = self._search(problem, state, v, g, q)
        else:
            known = self.step_size is None or not (is_schedule(self.step_size))
            limits = lambda: state.keep("limits", y, lambda y: self._limits(problem))  # noqa: E731
            step = state.step_size if known else state.value(self.step_size, limits)
            new = self._move(problem, state, v, g, step)
        changed: dict[str, Any] = {"step_size": step} if self.backtracking else {}
        if self.tolerance is not None:
            # (v - new) / step is a subgradient of the objective at new, up to gradient(new) - gradient(v).
            d = X.lincomb(1.0, v, -1.0, new, out=state.buffer("g", X))
            size = weighted_length(X, new)
            changed["optimality"] = weighted_length(X, d) / np.where(np.equal(size, 0), 1.0, size)
            if not np.ndim(size):
                changed["optimality"] = float(changed["optimality"])
        return self._finish(problem, state, new, changed)

    def _move(self, problem: ProximalProblem, state: State, v: Array, g: Array, step: Any) -> Array:
        X = self.operator.domain
        step = per_sample(step, v) if isinstance(step, (float, np.ndarray)) else step
        if problem.prox is None:
            return X.lincomb(-1 * step, g, 1.0, v, out=state.buffer("new", X))
        arg = X.lincomb(-1 * step, g, 1.0, v, out=state.buffer("arg", X))
        return proximal(problem.prox, arg, step, state.buffer("new", X))

    def _search(
        self, problem: ProximalProblem, state: State, v: Array, g: Array, q: Array
    ) -> tuple[Array, Any]:
        """The step shortened until the quadratic model lies above the smooth part at the new point."""
        X, Y = self.operator.domain, self.operator.range
        at_v, step = judge(problem.smooth.value(state, v, q)), state.step_size
        for _ in range(_SEARCHES):
            new = self._move(problem, state, v, g, step)
            at_new = judge(
                problem.smooth.value(state, new, self.operator(new, out=state.buffer("image", Y)))
            )
            d = X.lincomb(1.0, new, -1.0, v, out=state.buffer("arg", X))
            slope, square = judge(pairing(X, g, d)), judge(pairing(X, d, d))
            # Values of float32 sums are no better than their rounding.
            slack = 1e-12 + _rounding(X) * np.abs(at_v)
            enough = at_new <= at_v + slope + square / (2 * np.asarray(step)) + slack
            if np.all(enough):
                return new, step
            step = np.where(enough, step, _SHRINK * np.asarray(step))
            step = step if np.ndim(step) else float(step)
        raise ArgumentError(
            f"{type(self).__name__} found no step short enough in iteration {state.iteration + 1}: is the "
            f"gradient of {problem.smooth.fidelity} right, and the start in its domain?"
        )

    def _finish(
        self, problem: ProximalProblem, state: State, new: Array, changed: dict[str, Any]
    ) -> State:
        return state.advance(x=new, **changed)

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the gradients of the smooth terms."""
        problem = state.keep("problem", y, self._prepare)
        pieces = gradient_pieces(problem.smooth.all_terms, state.x, None)
        return Certificate(state.x, pieces, problem.prox)

    def finished(self, state: State) -> str | None:
        """Whether the optimality residual fell below the tolerance."""
        if self.tolerance is None or not np.all(np.less_equal(state.optimality, self.tolerance)):
            return None
        return (
            f"the optimality residual fell to {self.tolerance:g} after {state.iteration} iterations"
        )


def is_schedule(step: Any) -> bool:
    """Whether a step is to be asked of the state, since it changes or is trained."""
    return not isinstance(step, (int, float, np.number))


def _rounding(space: Any) -> float:
    while hasattr(space, "spaces"):
        space = space[0]
    return 4 * float(np.finfo(space.dtype).eps)
