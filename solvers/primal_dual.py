"""Primal-dual methods: PDHG, Condat-Vu, PD3O and linearised ADMM, which share one step.

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
from opalg.solvers.objective import (
    Objective,
    ObjectiveSolver,
    is_smooth,
    take_apart,
)
from opalg.solvers.preconditioning import diagonal_steps, leading_scale
from opalg.solvers.splits import (
    Entries,
    Split,
    add_multiple,
    blocks,
    dual_prox,
    listed,
    per_sample,
    proximal,
    pull_back,
    resolved,
    unblock,
    weighted_length,
)
from opalg.solvers.state import State
from opalg.spaces import ProductSpace

__all__ = ["PDHG", "PD3O", "CondatVu", "LinearizedADMM"]

_EVERY = 10  # iterations between two looks at the optimality, which costs as much as one iteration


class _Problem:
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

    def _prepare(self, y: Array) -> _Problem:
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
        problem = _Problem(smooth, resolved(found.prox), [Split(term) for term in found.composed])
        problem.tau, problem.sigmas = self._steps(problem, y)
        return problem

    def _steps(self, problem: _Problem, y: Array) -> tuple[Any, list[Any]]:
        """The step for x and those for the dual variables, so that the condition holds."""
        norms = [split.norm for split in problem.splits]
        count, slope = max(len(norms), 1), self.weight_of_gradient * problem.lipschitz
        tau, sigma = self.primal_step, self.dual_step
        if tau is None and sigma is None:
            tau = self._default_step(problem, norms)
        if tau is None:
            total = slope + sigma * sum(norms)
            return (1 / total if total > 0 else 1.0), [sigma] * len(norms)
        room = 1 / tau - slope
        if sigma is None:
            if room <= 0:
                raise ArgumentError(self._too_long(f"primal_step {tau:g}", f"below {1 / slope:g}"))
            return tau, [room / (count * norm) if norm else 1.0 for norm in norms]
        self._check(problem, tau, sigma, slope)
        return tau, [sigma] * len(norms)

    def _default_step(self, problem: _Problem, norms: list[float]) -> float:
        if problem.lipschitz:
            return 0.5 / (self.weight_of_gradient * problem.lipschitz)
        count = len(norms)
        scale = leading_scale(problem.splits, norms)
        if scale is not None:
            return 1 / (count * scale) if scale else 1.0
        if problem.prox is not None and problem.prox.strong_convexity > 0:
            return 1 / problem.prox.strong_convexity
        return 1 / math.sqrt(sum(norms)) if sum(norms) else 1.0

    def _check(self, problem: _Problem, tau: float, sigma: float, slope: float) -> None:
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

    def _more_variables(self, problem: _Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        return {}

    def _steps_now(self, problem: _Problem, state: State) -> tuple[Any, list[Any]]:
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

    def _slope(self, problem: _Problem, state: State) -> Array | None:
        """The gradient of h at x."""
        return (
            None if problem.smooth is None else self._gradient(problem, state, state.x, "descent")
        )

    def _gradient(self, problem: _Problem, state: State, x: Array, name: str) -> Array:
        image = self.operator(x, out=state.buffer("image", self.operator.range))
        memory = state.buffer(name, self.operator.domain)
        smooth: Any = problem.smooth
        return smooth.gradient(state, x, image, memory)

    def _descend(
        self, problem: _Problem, state: State, x: Array, p: list[Array], tau: Any, slope: Any
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
        self, problem: _Problem, state: State, p: list[Array], bar: Array, sigmas: Any, keep: bool
    ) -> Array:
        """The dual variable after a step at ``bar``; in memory of its own if the old one is to be kept."""
        if not problem.splits:
            return None
        space, count = problem.dual_space, len(problem.splits)
        work = listed(state.buffer("q", space), count)
        target = listed(state.buffer("r" if keep else "p", space), count)
        values = []
        for i, split in enumerate(problem.splits):
            q = split.K(bar, out=work[i])
            q = add_multiple(split.K.range, p[i], sigmas[i], q, work[i])
            values.append(dual_prox(split, q, sigmas[i], target[i], work[i]))
        return blocks(values)

    # What the variants change

    _balances: ClassVar[bool] = False

    def _adapt(
        self, problem: _Problem, state: State, sigmas: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        """The extrapolation, the dual steps and what changes in the state."""
        return 1.0, sigmas, {}

    def _balance(
        self, problem: _Problem, state: State, new: Array, q: Array, sigmas: Any
    ) -> dict[str, Any]:
        return {}

    def _correct(
        self,
        problem: _Problem,
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
        self, problem: _Problem, state: State, new: Array, q: Array, tau: Any, sigmas: Any
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
        over = _divided(X, dx, tau, state.buffer("zero", X))
        rest = pull_back(
            problem.splits, unblock(dp, count), 1.0, over, state, state.buffer("force", X)
        )
        worst = _relative(weighted_length(X, rest), size)
        for i, split in enumerate(problem.splits):
            Y, memory = split.K.range, listed(state.buffer("q", space), count)[i]
            size = weighted_length(Y, split.K(new, out=memory))
            image = split.K(dx, out=memory)
            over = _divided(
                Y, unblock(dp, count)[i], sigmas[i], listed(state.buffer("dp", space), count)[i]
            )
            rest = Y.lincomb(1.0, image, 1.0, over, out=memory)
            worst = np.maximum(worst, _relative(weighted_length(Y, rest), size))
        return worst if np.ndim(worst) else float(worst)


def _divided(space: Any, x: Array, step: Any, out: Array | None) -> Array:
    if isinstance(step, Entries):
        return add_multiple(space, space.lincomb(0.0, x), step.inverse, x, out)
    return space.lincomb(1 / step, x, out=out)


def _relative(move: Any, size: Any) -> Any:
    # Where the size is zero the move is judged as it is: both vanish at the solution then.
    return move / np.where(np.equal(size, 0), 1.0, size)


class PDHG(PrimalDual):
    """Primal-dual hybrid gradient (Chambolle and Pock) for ``fidelity(A(x)) + regularizer(x)``.

    The terms of the objective are used one by one: a joint proximal map where there is one of ``x`` itself,
    and the proximal maps of the conjugates of terms with an operator, such as total variation.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term from a space and the data.
    regularizer : Functional, optional
        Terms with a proximal map, with a linear operator inside or without.
    primal_step, dual_step : float, optional
        By default from certified norms. If one is given the other follows.
    accelerated : bool, default True
        Lengthen the dual steps and shorten the primal ones where the part with a proximal map is strongly
        convex (as for denoising): the error then falls like ``1 / k^2``. Without effect for others.
    adaptive : bool, default False
        Balance the two steps while iterating (Goldstein et al. 2015), each sample of a batch its own.
    preconditioned : bool, default False
        One step per entry, from the sums of rows and columns (Pock and Chambolle 2011).
    tolerance : float, optional
        Stop when the optimality residual, relative to the terms in the optimality conditions, falls so low;
        looked at in every tenth iteration.

    Raises
    ------
    NotSupportedError
        If a term has no proximal map; the message names the term and a solver that takes it.
    ArgumentError
        If a step is not positive; when run, if the steps surely are too long, or two of ``accelerated``
        (explicitly), ``adaptive`` and ``preconditioned`` are combined.

    Warns
    -----
    AccuracyWarning
        If the adjoint is not exact; when run, if the steps may be too long.

    Notes
    -----
    Converges for ``primal_step * sum(dual_step * |K_i|^2) <= 1`` with convex terms, where ``K_i`` are the
    operators in the terms (A among them, unless it is the identity). The default steps give all terms equal
    shares of that. The objective's value falls like ``1 / k``.

    Memory beyond the data: 3 volumes (4 with two operators or more) and 2 elements of the ranges of the
    operators in the terms. Cost per iteration: one application and one transpose of each of them. The
    preconditioner takes one volume and one element of the ranges more, adaptive steps one of the latter.

    References
    ----------
    A. Chambolle and T. Pock, "A first-order primal-dual algorithm for convex problems with applications
    to imaging", J. Math. Imaging Vis. 40, 2011. T. Pock and A. Chambolle, "Diagonal preconditioning for
    first order primal-dual algorithms", ICCV 2011. T. Goldstein, M. Li and X. Yuan, "Adaptive primal-dual
    splitting methods for statistical learning and image processing", NIPS 2015.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> X = oa.Space(4, "float64")
    >>> tv = 0.5 * fn.GroupL1((G := oa.Gradient(X)).range) @ G
    >>> denoise = solvers.PDHG(oa.Identity(X), regularizer=tv, iterations=500)
    >>> denoise(np.array([0.0, 3.0, 3.0, 1.0])).round(4).tolist()
    [0.5, 2.5, 2.5, 1.5]
    """

    accelerated: bool = True
    adaptive: bool = False
    preconditioned: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adaptive and self.preconditioned:
            raise ArgumentError("PDHG takes adaptive or preconditioned steps, not both")
        if self.preconditioned and not (self.primal_step is None and self.dual_step is None):
            raise ArgumentError(
                "the preconditioner of PDHG finds the steps; leave primal_step and dual_step out"
            )

    @property
    def _balances(self) -> bool:  # type: ignore[override]
        return self.adaptive

    def _steps(self, problem: _Problem, y: Array) -> tuple[Any, list[Any]]:
        if self.preconditioned:
            return diagonal_steps(problem.splits, problem.prox, y)
        return super()._steps(problem, y)

    def _convexity(self, problem: _Problem) -> float:
        if not self.accelerated or self.adaptive or self.preconditioned or problem.prox is None:
            return 0.0
        return problem.prox.strong_convexity

    def _more_variables(self, problem: _Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        if self.adaptive:
            full = np.full(batch, problem.tau) if batch else problem.tau
            return {"tau": full, "pace": np.full(batch, 0.5) if batch else 0.5}
        return {"tau": problem.tau} if self._convexity(problem) > 0 else {}

    def _steps_now(self, problem: _Problem, state: State) -> tuple[Any, list[Any]]:
        if "tau" not in state:
            return problem.tau, problem.sigmas
        scale = problem.tau / state.tau
        tau = per_sample(state.tau, state.x)
        return tau, [per_sample(sigma * scale, state.x) for sigma in problem.sigmas]

    def _adapt(
        self, problem: _Problem, state: State, sigmas: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        convexity = self._convexity(problem)
        if convexity == 0.0:
            return 1.0, sigmas, {}
        theta = 1 / math.sqrt(1 + 2 * convexity * state.tau)
        return theta, [sigma / theta for sigma in sigmas], {"tau": theta * state.tau}

    def _balance(
        self, problem: _Problem, state: State, new: Array, q: Array, sigmas: Any
    ) -> dict[str, Any]:
        if not (self.adaptive and problem.splits):
            return {}
        X, space, count = self.operator.domain, problem.dual_space, len(problem.splits)
        dx = X.lincomb(1.0, state.x, -1.0, new, out=state.buffer("arg", X))
        dp = space.lincomb(1.0, q, -1.0, state.p, out=state.buffer("q", space))
        primal = weighted_length(X, dx) / state.tau
        scale, dual = problem.tau / state.tau, 0.0
        for split, part, sigma in zip(
            problem.splits, unblock(dp, count), problem.sigmas, strict=True
        ):
            # In the metric of the steps, in which the two residuals compare.
            dual = dual + weighted_length(split.K.range, part) ** 2 / (sigma * scale)
        primal, dual = primal * np.sqrt(state.tau), np.sqrt(dual)
        pace = state.pace
        longer, shorter = np.greater(primal, 1.5 * dual), np.greater(dual, 1.5 * primal)
        tau = state.tau * np.where(longer, 1 / (1 - pace), np.where(shorter, 1 - pace, 1.0))
        pace = np.where(np.logical_or(longer, shorter), 0.95 * np.asarray(pace), pace)
        if not np.ndim(state.tau):
            return {"tau": float(tau), "pace": float(pace)}
        return {"tau": tau, "pace": pace}


class CondatVu(PrimalDual):
    """Condat's and Vũ's method: PDHG with a gradient step for the smooth part of the objective.

    The data term is used by its gradient where that has a Lipschitz constant (least squares), which costs
    an application of A and its transpose like PDHG, but no dual variable in the space of the data.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
    regularizer : Functional, optional
        Any terms with a proximal map or a Lipschitz gradient, with a linear operator inside or without.
    primal_step, dual_step : float, optional
        By default from certified norms. If one is given the other follows.
    tolerance : float, optional
        As for `PDHG`.

    Raises
    ------
    NotSupportedError
        If a term has neither a proximal map nor a Lipschitz gradient.
    ArgumentError
        If a step is not positive; when run, if the steps surely are too long.

    Notes
    -----
    Converges for ``1 / primal_step - sum(dual_step * |K_i|^2) >= L / 2`` with convex terms, where L is the
    Lipschitz constant of the gradient; by default the primal step is ``1 / L``. Without a smooth part it is
    `PDHG` (neither accelerated nor adaptive).

    Memory beyond the data: 4 volumes, 2 sinograms and 2 elements of the ranges of the operators in the
    regulariser. Cost per iteration: one application and one transpose of all operators.

    References
    ----------
    L. Condat, "A primal-dual splitting method for convex optimization involving Lipschitzian, proximable
    and linear composite terms", J. Optim. Theory Appl. 158, 2013. B. C. Vũ, "A splitting algorithm for dual
    monotone inclusions involving cocoercive operators", Adv. Comput. Math. 38, 2013.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0, 2.0, 1.0]))
    >>> tv = 0.5 * fn.GroupL1((G := oa.Gradient(A.domain)).range) @ G
    >>> solvers.CondatVu(A, regularizer=tv, iterations=900)(np.array([0.0, 6.0, 6.0, 1.0])).round(
    ...     4
    ... ).tolist()
    [0.5, 2.875, 2.875, 1.5]
    """

    takes_smooth = True


class PD3O(PrimalDual):
    """Primal-dual three-operator splitting (Yan): as `CondatVu`, with longer steps.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
    regularizer : Functional, optional
        Any terms with a proximal map or a Lipschitz gradient, with a linear operator inside or without.
    primal_step, dual_step : float, optional
        By default from certified norms. If one is given the other follows.
    tolerance : float, optional
        As for `PDHG`.

    Raises
    ------
    NotSupportedError
        If a term has neither a proximal map nor a Lipschitz gradient.
    ArgumentError
        If a step is not positive; when run, if the steps surely are too long.

    Notes
    -----
    Converges for ``primal_step < 2 / L`` and ``primal_step * sum(dual_step * |K_i|^2) <= 1`` with convex
    terms; `CondatVu` has to share the primal step between the two. By default it is ``1.5 / L``.

    Memory beyond the data: 5 volumes, 2 sinograms and 2 elements of the ranges of the operators in the
    regulariser. Cost per iteration: one application and one transpose of all operators; before the first one
    of A more.

    References
    ----------
    M. Yan, "A new primal-dual algorithm for minimizing the sum of three functions with a linear operator",
    J. Sci. Comput. 76, 2018.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0, 2.0, 1.0]))
    >>> tv = 0.5 * fn.GroupL1((G := oa.Gradient(A.domain)).range) @ G
    >>> solvers.PD3O(A, regularizer=tv, iterations=900)(np.array([0.0, 6.0, 6.0, 1.0])).round(
    ...     4
    ... ).tolist()
    [0.5, 2.875, 2.875, 1.5]
    """

    takes_smooth = True
    weight_of_gradient = 0.0

    def _default_step(self, problem: _Problem, norms: list[float]) -> float:
        return (
            1.5 / problem.lipschitz if problem.lipschitz else super()._default_step(problem, norms)
        )

    def _steps(self, problem: _Problem, y: Array) -> tuple[Any, list[Any]]:
        tau, sigmas = super()._steps(problem, y)
        if problem.lipschitz and tau >= 2 / problem.lipschitz:
            if self.primal_step is not None:
                raise ArgumentError(
                    self._too_long(
                        f"primal_step {tau:g}", f"below 2 / L = {2 / problem.lipschitz:g}"
                    )
                )
            tau = 1.5 / problem.lipschitz  # shorter than the dual step asks for
        return tau, sigmas

    def _more_variables(self, problem: _Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        if problem.smooth is None:
            return {}
        return {"descent": problem.smooth.gradient(State(x), x, self.operator(x), None)}

    def _slope(self, problem: _Problem, state: State) -> Array | None:
        return None if problem.smooth is None else state.descent

    def _correct(
        self,
        problem: _Problem,
        state: State,
        bar: Array,
        new: Array,
        slope: Array,
        tau: Any,
        changed: dict[str, Any],
    ) -> Array:
        X = self.operator.domain
        bar = X.lincomb(tau, slope, 1.0, bar, out=state.buffer("arg", X))
        following = self._gradient(problem, state, new, "descent")
        changed["descent"] = following
        return X.lincomb(-1 * tau, following, 1.0, bar, out=state.buffer("arg", X))


class LinearizedADMM(PrimalDual):
    """Linearised ADMM: as `PDHG`, extrapolating the dual variable instead of x.

    ``x = prox(x - tau / mu * K.adjoint(K(x) - z + u)); z = prox(K(x) + u); u += K(x) - z`` in the usual
    letters, written with the dual variable ``p = u / mu``: no system of equations is solved.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
    regularizer : Functional, optional
        Terms with a proximal map, with a linear operator inside or without.
    primal_step, dual_step : float, optional
        ``tau`` and the penalty ``1 / mu``; by default from certified norms.
    tolerance : float, optional
        As for `PDHG`.

    Raises
    ------
    NotSupportedError
        If a term has no proximal map.
    ArgumentError
        If a step is not positive; when run, if the steps surely are too long.

    Notes
    -----
    Converges for ``primal_step * sum(dual_step * |K_i|^2) <= 1`` with convex terms: ``tau <= mu / |K|^2``.

    Memory beyond the data: 2 volumes (3 with a proximal map of x, one more with two operators or more) and 3
    elements of the ranges of the operators in the terms. Cost per iteration: one application and one
    transpose of each of them.

    References
    ----------
    N. Parikh and S. Boyd, "Proximal algorithms", Found. Trends Optim. 1, 2014, section 4.4.2. E. Esser, X.
    Zhang and T. Chan, "A general framework for a class of first order primal-dual algorithms for convex
    optimization in imaging science", SIAM J. Imaging Sci. 3, 2010.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> X = oa.Space(4, "float64")
    >>> tv = 0.5 * fn.GroupL1((G := oa.Gradient(X)).range) @ G
    >>> solver = solvers.LinearizedADMM(oa.Identity(X), regularizer=tv, iterations=500)
    >>> solver(np.array([0.0, 3.0, 3.0, 1.0])).round(4).tolist()
    [0.5, 2.5, 2.5, 1.5]
    """

    def _more_variables(self, problem: _Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        return {"bar": p} if p is not None else {}

    def step(self, state: State, y: Array) -> State:
        """A proximal step down in x at the extrapolated dual variable, and one up in that."""
        problem = state.keep("problem", y, self._prepare)
        tau, sigmas = problem.tau, problem.sigmas
        if not problem.splits:
            return super().step(state, y)
        count, space = len(problem.splits), problem.dual_space
        new = self._descend(problem, state, state.x, unblock(state.bar, count), tau, None)
        p, work = unblock(state.p, count), listed(state.buffer("bar", space), count)
        target, values = listed(state.buffer("r", space), count), []
        for i, split in enumerate(problem.splits):
            q = split.K(new, out=work[i])
            q = add_multiple(split.K.range, p[i], sigmas[i], q, work[i])
            values.append(dual_prox(split, q, sigmas[i], target[i], work[i]))
        following = blocks(values)
        changed: dict[str, Any] = {}
        if self._looks(state):
            changed["optimality"] = self._optimality(problem, state, new, following, tau, sigmas)
        bar = space.lincomb(2.0, following, -1.0, state.p, out=state.buffer("bar", space))
        return state.advance(x=new, p=following, bar=bar, **changed)
