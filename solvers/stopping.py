"""Rules that end a run; combine them with ``|`` (either) and ``&`` (both).

A rule sees the state after every step. In a batch it is satisfied when every sample is: all samples
iterate until then, so each one reaches at least the accuracy that it would have reached alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError
from opalg.solvers.state import State
from opalg.solvers.vectors import copy, length, plain
from opalg.values import Value

__all__ = [
    "Both",
    "Either",
    "Check",
    "Discrepancy",
    "MaxIterations",
    "MaxTime",
    "RelativeChange",
    "Residual",
    "Rule",
]

Check: TypeAlias = Callable[[State], "str | None"]
"""A rule at work in one run: the reason to stop, or None."""


class Rule(Value):
    """Base class of stop rules. A new rule writes `start`.

    Examples
    --------
    >>> MaxIterations(50) | Residual(1e-3) & MaxTime(2.0)
    MaxIterations(50) | Residual(0.001) & MaxTime(2.0)
    """

    @property
    def limit(self) -> int | None:
        """The number of steps after which the rule stops at the latest; None if it has no such number."""
        return None

    @property
    def bounded(self) -> bool:
        """Whether the rule ends every run, however badly it converges."""
        return self.limit is not None

    def for_solver(self, solver: Any) -> Rule:
        """The rule for runs of one solver; itself, unless it asks the solver for more than its state.

        Parameters
        ----------
        solver : Solver
        """
        return self

    def start(self, operator: Any, y: Array, state: State) -> Check:
        """Begin to watch a run.

        Parameters
        ----------
        operator : LinearOperator
            Of the equation ``operator(x) = y``.
        y : array or Blocks
        state : State
            Before the first step of this run.

        Returns
        -------
        callable
            Given the state after a step: a sentence that says why to stop, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define start")

    def __or__(self, other: Rule) -> Rule:
        return Either(self, other) if isinstance(other, Rule) else NotImplemented

    def __and__(self, other: Rule) -> Rule:
        return Both(self, other) if isinstance(other, Rule) else NotImplemented


class Either(Rule):
    """Stops when one of two rules does; written ``a | b``.

    Parameters
    ----------
    first, second : Rule
    """

    def __init__(self, first: Rule, second: Rule) -> None:
        self.first, self.second = first, second

    @property
    def limit(self) -> int | None:
        """The smaller of the limits that there are."""
        limits = [rule.limit for rule in (self.first, self.second) if rule.limit is not None]
        return min(limits) if limits else None

    @property
    def bounded(self) -> bool:
        """Whether either rule is."""
        return self.first.bounded or self.second.bounded

    def for_solver(self, solver: Any) -> Rule:
        """Of the two rules for the solver."""
        return Either(self.first.for_solver(solver), self.second.for_solver(solver))

    def start(self, operator: Any, y: Array, state: State) -> Check:
        checks = [rule.start(operator, y, state) for rule in (self.first, self.second)]

        def check(state: State) -> str | None:
            # Both are asked: a rule may remember the step before.
            reasons = [reason for one in checks if (reason := one(state)) is not None]
            return reasons[0] if reasons else None

        return check

    def __repr__(self) -> str:
        return f"{self.first!r} | {self.second!r}"


class Both(Rule):
    """Stops when two rules do in one step; written ``a & b``.

    Parameters
    ----------
    first, second : Rule
    """

    def __init__(self, first: Rule, second: Rule) -> None:
        self.first, self.second = first, second

    @property
    def limit(self) -> int | None:
        """The larger limit if both have one."""
        limits = [rule.limit for rule in (self.first, self.second) if rule.limit is not None]
        return max(limits) if len(limits) == 2 else None

    @property
    def bounded(self) -> bool:
        """Whether both rules are."""
        return self.first.bounded and self.second.bounded

    def for_solver(self, solver: Any) -> Rule:
        """Of the two rules for the solver."""
        return Both(self.first.for_solver(solver), self.second.for_solver(solver))

    def start(self, operator: Any, y: Array, state: State) -> Check:
        checks = [rule.start(operator, y, state) for rule in (self.first, self.second)]

        def check(state: State) -> str | None:
            reasons = [one(state) for one in checks]
            if None in reasons:
                return None
            return " and ".join(str(reason) for reason in reasons)

        return check

    def __repr__(self) -> str:
        return " & ".join(
            f"({rule!r})" if isinstance(rule, Either) else repr(rule)
            for rule in (self.first, self.second)
        )


class MaxIterations(Rule):
    """Stops after so many steps of this run; a resumed run counts its own.

    Parameters
    ----------
    count : int
        At least 0.

    Examples
    --------
    >>> MaxIterations(50).limit
    50
    """

    def __init__(self, count: int) -> None:
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
            raise ArgumentError(f"MaxIterations takes a whole number of steps, got {count!r}")
        self.count = int(count)

    @property
    def limit(self) -> int:
        """The number of steps."""
        return self.count

    def start(self, operator: Any, y: Array, state: State) -> Check:
        last = state.iteration + self.count
        noun = "iteration was" if self.count == 1 else "iterations were"

        def check(state: State) -> str | None:
            return f"{self.count} {noun} done" if state.iteration >= last else None

        return check


class Residual(Rule):
    """Stops when ``|A(x) - y| <= tolerance * |y|``, in plain norms of arrays.

    The solvers of opalg know their residual. For one that does not (its state has no variable
    ``residual``) the rule applies the operator once more after each step.

    Parameters
    ----------
    tolerance : float
        Positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0, 3.0]))
    >>> result = solvers.CGLS(A).solve(np.ones(3), stop=solvers.Residual(1e-6))
    >>> result.reason
    'the residual fell to 1e-06 of the data after 3 iterations'
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = _positive(tolerance, "the tolerance of Residual")

    def start(self, operator: Any, y: Array, state: State) -> Check:
        bound = self.tolerance * length(plain(operator.range), y)

        def check(state: State) -> str | None:
            if not np.all(residual(operator, y, state) <= bound):
                return None
            return f"the residual fell to {self.tolerance:g} of the data {_after(state)}"

        return check


class Discrepancy(Rule):
    """Morozov's discrepancy principle: stops when ``|A(x) - y| <= factor * noise``.

    To fit noisy data more closely than their noise only fits the noise.

    Parameters
    ----------
    noise : float or array of the batch shape
        Norm of the noise in the data; for white noise ``deviation * sqrt(number of measurements)``.
    factor : float, default 1.1
        Above 1, for the uncertainty of ``noise``.

    References
    ----------
    V. A. Morozov, "On the solution of functional equations by the method of regularization", Soviet Math.
    Dokl. 7, 1966.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> y = np.array([1.0, 2.0]) + 0.1
    >>> result = solvers.Landweber(oa.Identity(oa.Space(2, "float64")), step_size=0.5).solve(
    ...     y, stop=solvers.Discrepancy(noise=0.1 * 2**0.5)
    ... )
    >>> result.reason
    'the residual fell to 1.1 times the noise after 4 iterations'
    """

    def __init__(self, noise: Any, factor: float = 1.1) -> None:
        self.noise = as_numpy(noise).astype(np.float64) if np.ndim(noise) else float(noise)
        if not (np.isfinite(self.noise).all() and np.all(np.greater(self.noise, 0))):
            raise ArgumentError(
                f"the noise of Discrepancy must be positive and finite, got {noise!r}"
            )
        self.factor = _positive(factor, "the factor of Discrepancy")

    def start(self, operator: Any, y: Array, state: State) -> Check:
        def check(state: State) -> str | None:
            if not np.all(residual(operator, y, state) <= self.factor * self.noise):
                return None
            return f"the residual fell to {self.factor:g} times the noise {_after(state)}"

        return check


class RelativeChange(Rule):
    """Stops when one step changed ``x`` by at most ``tolerance * |x|``, in plain norms of arrays.

    Keeps the iterate before: one volume more than the solver needs. A small change is no proof of
    convergence: slow methods take small steps far from the solution.

    Parameters
    ----------
    tolerance : float
        Positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solvers.Landweber(A).solve(np.ones(2), stop=solvers.RelativeChange(1e-3)).reason
    'x changed by less than 0.001 of itself in iteration 20'
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = _positive(tolerance, "the tolerance of RelativeChange")

    def start(self, operator: Any, y: Array, state: State) -> Check:
        space = plain(operator.domain)
        before, steps = (copy(state.x) if state.in_place else state.x), state.iteration

        def check(state: State) -> str | None:
            nonlocal before, steps
            if state.iteration == steps:
                return None  # nothing was done yet
            steps = state.iteration
            out = before if state.in_place else None
            change = length(space, space.lincomb(1, state.x, -1, before, out=out))
            before = space.lincomb(1, state.x, out=out) if state.in_place else state.x
            if not np.all(change <= self.tolerance * length(space, state.x)):
                return None
            return f"x changed by less than {self.tolerance:g} of itself in iteration {steps}"

        return check


class MaxTime(Rule):
    """Stops after the first step that ends later than so many seconds after the start of the run.

    Parameters
    ----------
    seconds : float
        Positive.

    Examples
    --------
    >>> MaxTime(0.5).bounded
    True
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = _positive(seconds, "the time of MaxTime")

    @property
    def bounded(self) -> bool:
        """True: time always passes."""
        return True

    def start(self, operator: Any, y: Array, state: State) -> Check:
        begin = time.monotonic()

        def check(state: State) -> str | None:
            if time.monotonic() - begin < self.seconds:
                return None
            return f"the time of {self.seconds:g} s was over {_after(state)}"

        return check


def residual(operator: Any, y: Array, state: State) -> Any:
    """``|A(x) - y|`` per sample: what the solver knows, or one application of the operator."""
    if "residual" in state:
        return state.residual
    space = plain(operator.range)
    return length(space, space.lincomb(1, y, -1, operator(state.x)))


def _positive(value: float, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ArgumentError(f"{what} must be positive and finite, got {value!r}")
    return number


def _after(state: State) -> str:
    return f"after {state.iteration} iteration{'' if state.iteration == 1 else 's'}"
