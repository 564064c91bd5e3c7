"""What stochastic methods share: the data term as a sum over subsets, drawn at random, reproducibly."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array, is_array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import Functional, Term
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.solvers.certificates import Certificate, gradient_pieces
from opalg.solvers.objective import (
    Objective,
    ObjectiveSolver,
    squared_norm,
    take_apart,
)
from opalg.solvers.schedules import Limits, schedule_numbers
from opalg.solvers.solver import Schedule
from opalg.solvers.splits import (
    proximal,
    resolved,
)
from opalg.solvers.state import State
from opalg.solvers.subsets import Subset, split
from opalg.spaces import Blocks
from opalg.spaces.parts import leaves

__all__ = ["Stochastic", "StochasticGradient", "SumOfTerms"]


class Stochastic(ObjectiveSolver):
    """Base of the stochastic methods: the data term as a sum over subsets, and the drawing of them.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer
        See `opalg.solvers.objective.ObjectiveSolver`; the operator is one that `opalg.solvers.subsets`
        knows how to split.
    subsets : int, default 10
    seed : int, default 0
        The subset of iteration k depends on ``seed`` and k only: runs are reproducible, and resume.
    """

    subsets: int = 10
    seed: int = 0

    takes: ClassVar[dict[str, bool]] = {"smooth": True, "proximable": True}

    def __post_init__(self) -> None:
        super().__post_init__()
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ArgumentError(
                f"seed of {type(self).__name__} must be a whole number from 0, got {seed!r}"
            )
        take_apart(self.regularizer, type(self).__name__, **self.takes)
        _ = self._subsets, self._scales  # what is wrong with them is said here

    @cached_property
    def _subsets(self) -> tuple[Subset, ...]:
        return split(self.operator, self.subsets, type(self).__name__)

    @cached_property
    def _scales(self) -> list[float]:
        """The factors by which functionals on the subsets' ranges add up to that on the whole range."""
        wholes = [leaf.weighting for leaf in leaves(self.operator.range)]
        found = []
        for i, subset in enumerate(self._subsets):
            own = [leaf.weighting for leaf in leaves(subset.operator.range)]
            blocks_of_whole = wholes[i :: len(self._subsets)] if len(wholes) > 1 else wholes
            pairs = [*own, *blocks_of_whole]
            if any(is_array(weight) for weight in pairs):
                raise NotSupportedError(
                    f"{type(self).__name__} takes spaces of data with a constant weighting; put "
                    f"weights that vary into "
                    "the fidelity, for example lambda space, y: fn.LeastSquares(space, y, weight)"
                )
            ratios = {float(a / b) for a, b in zip(blocks_of_whole, own, strict=False)}
            if len(ratios) != 1:
                raise NotSupportedError(
                    f"the blocks of {self.operator.range} that form one subset have different weights"
                )
            found.append(ratios.pop())
        return found

    def _data_terms(self, y: Array) -> list[Functional]:
        """The fidelity on each subset, so that the sum is that on the whole."""
        found = []
        for subset, scale in zip(self._subsets, self._scales, strict=True):
            f = self.fidelity(subset.operator.range, subset.cut(y))
            if not isinstance(f, Functional) or f.domain != subset.operator.range:
                raise ArgumentError(
                    f"the fidelity of {type(self).__name__} must make a functional on any subset of "
                    f"the data, such as "
                    f"{subset.operator.range}, got {f!r:.80}"
                )
            found.append(scale * f)
        return found

    def _draw(self, state: State, probabilities: list[float] | None = None) -> int:
        rng = np.random.default_rng([int(self.seed), state.iteration])
        count = len(self._subsets) if probabilities is None else len(probabilities)
        return int(rng.choice(count, p=probabilities))


class SumOfTerms:
    """The smooth data terms of all subsets, with the rest of the objective."""

    def __init__(self, terms: list[Functional], rest: Objective, prox: Functional | None) -> None:
        self.terms, self.rest, self.prox = terms, rest, prox
        self.step, self.limits = 1.0, Limits("", "step size")


class StochasticGradient(Stochastic):
    """Base of `SGD`, `SAGA` and `SVRG`: proximal gradient steps with an estimate of the gradient."""

    step_size: Schedule | None = None

    longest: ClassVar[float] = 1.0
    """The default step over the reciprocal of ``n max L_i``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Limits(type(self).__name__, "step size").check(self._known_steps)

    @property
    def _known_steps(self) -> tuple[float, ...]:
        return () if self.step_size is None else tuple(schedule_numbers(self.step_size))

    def _prepare(self, y: Array) -> SumOfTerms:
        name = type(self).__name__
        terms = self._data_terms(y)
        for f in terms:
            if not f.differentiable or not math.isfinite(f.lipschitz):
                raise NotSupportedError(
                    f"{name} cannot handle the data term {f}, whose gradient has no known Lipschitz "
                    f"constant; SPDHG "
                    "takes it by its proximal map"
                )
        found = take_apart(self.regularizer, name, **self.takes)
        rest = Objective(self.operator, 0.0 * terms[0], found.smooth)
        problem = SumOfTerms(terms, rest, resolved(found.prox))
        slopes = [
            f.lipschitz * squared_norm(subset.operator)
            for f, subset in zip(terms, self._subsets, strict=True)
        ]
        smooth = sum(
            abs(scale) * f.lipschitz * (1.0 if K is None else squared_norm(K))
            for scale, f, K in found.smooth
        )
        total = len(terms) * max(slopes) + smooth
        problem.step = self.longest / total if total else 1.0
        problem.limits = self._limits(problem, y) if total else Limits(name, "step size")
        problem.limits.check(self._known_steps)
        return problem

    def _limits(self, problem: SumOfTerms, y: Array) -> Limits:
        def fatal() -> float:
            # Estimates are right in the mean, so the mean of the iterates follows the steps of the whole
            # gradient; of a quadratic with so much curvature in some direction it goes away.
            least = self.data_term(y).strong_convexity * norm_in_spaces(self.operator).lower ** 2
            known = problem.prox is None and problem.rest.convex and least > 0
            return 2 / least if known else math.inf

        safe = f"at most {problem.step:g} is safe"
        return Limits(
            type(self).__name__,
            "step size",
            problem.step * (1 + 1e-9),
            fatal,
            f"from {{fatal}} on the mean of the iterates diverges, and {safe}",
            f"is longer than those that are known to converge: {safe}",
        )

    def _step_now(self, problem: SumOfTerms, state: State) -> Any:
        if self.step_size is None:
            return problem.step
        return state.value(self.step_size, lambda: problem.limits)

    def _move(self, problem: SumOfTerms, state: State, g: Array) -> Array:
        """The proximal gradient step along ``g``, scratch memory, with the smooth regulariser added."""
        X = self.operator.domain
        g = problem.rest.add_gradients(state, state.x, g, state.buffer("g", X))
        step = self._step_now(problem, state)
        if problem.prox is None:
            return X.lincomb(-1 * step, g, 1.0, state.x, out=state.buffer("x", X))
        arg = X.lincomb(-1 * step, g, 1.0, state.x, out=state.buffer("g", X))
        return proximal(problem.prox, arg, step, state.buffer("x", X))

    def _slope(self, problem: SumOfTerms, state: State, i: int, x: Array) -> Array:
        """The derivative of the i-th data term at ``A_i(x)``, in scratch memory."""
        subset = self._subsets[i]
        Y = subset.operator.range
        q = subset.operator(x, out=state.buffer(f"q {subset.name}", Y))
        return problem.terms[i].gradient(q, out=state.buffer(f"slope {subset.name}", Y))

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, and what the estimate of the gradient needs."""
        problem = self._prepare(y)
        start = self.start(y, x).x
        state = State(start, **self._memory(problem, start))
        state._kept["problem"] = (y, problem)
        return state

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the gradients of the data terms of all subsets, and of the smooth regulariser."""
        problem = state.keep("problem", y, self._prepare)
        data = [
            Term(1.0, f, subset.operator)
            for f, subset in zip(problem.terms, self._subsets, strict=True)
        ]
        terms = [*data, *problem.rest.terms]
        return Certificate(state.x, gradient_pieces(terms, state.x, None), problem.prox)

    def _memory(self, problem: SumOfTerms, x: Array) -> dict[str, Any]:
        return {}

    def _full(self, problem: SumOfTerms, x: Array) -> dict[str, Any]:
        """The derivatives of all data terms at ``x``, and the sum of the gradients."""
        slopes, total = [], None
        for i, subset in enumerate(self._subsets):
            slope = self._slope(problem, State(x), i, x)
            slopes.append(slope)
            own = subset.operator.adjoint(slope)
            total = own if total is None else total + own
        return {"slopes": Blocks(slopes), "total": total}
