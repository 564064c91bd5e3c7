"""Primal-dual methods: PDHG, Condat-Vu, PD3O and linearised ADMM, thin names over one shared step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.solvers.preconditioning import diagonal_steps, leading_scale
from opalg.solvers.primal_dual_step import PrimalDual, Problem
from opalg.solvers.splits import (
    add_multiple,
    blocks,
    dual_prox,
    listed,
    per_sample,
    unblock,
    weighted_length,
)
from opalg.solvers.state import State

__all__ = ["PDHG", "PD3O", "CondatVu", "LinearizedADMM"]


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
    operators in the terms; 1 for total variation on CPUs, whose dual step is done in one pass. Cost per
    iteration: one application and one transpose of each of them. The preconditioner takes one volume and
    one element of the ranges more, adaptive steps one of the latter.

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
    >>> denoise = solvers.PDHG(oa.Identity(X), regularizer=tv, iterations=500, accelerated=False)
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

    def _steps(self, problem: Problem, y: Array) -> tuple[Any, list[Any]]:
        if self.preconditioned:
            return diagonal_steps(problem.splits, problem.prox, y)
        return super()._steps(problem, y)

    def _convexity(self, problem: Problem) -> float:
        if not self.accelerated or self.adaptive or self.preconditioned or problem.prox is None:
            return 0.0
        return problem.prox.strong_convexity

    def _default_step(self, problem: Problem, norms: list[float]) -> float:
        # The accelerated steps fall like 1 / k: they may begin long (10 was as good as any for denoising).
        step = super()._default_step(problem, norms)
        leads = leading_scale(problem.splits, norms) is not None
        return step if leads or self._convexity(problem) == 0 else 10 * step

    def _more_variables(self, problem: Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        if self.adaptive:
            full = np.full(batch, problem.tau) if batch else problem.tau
            return {"tau": full, "pace": np.full(batch, 0.5) if batch else 0.5}
        return {"tau": problem.tau} if self._convexity(problem) > 0 else {}

    def _steps_now(self, problem: Problem, state: State) -> tuple[Any, list[Any]]:
        if "tau" not in state:
            return problem.tau, problem.sigmas
        scale = problem.tau / state.tau
        tau = per_sample(state.tau, state.x)
        return tau, [per_sample(sigma * scale, state.x) for sigma in problem.sigmas]

    def _adapt(
        self, problem: Problem, state: State, sigmas: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        convexity = self._convexity(problem)
        if convexity == 0.0:
            return 1.0, sigmas, {}
        theta = 1 / math.sqrt(1 + 2 * convexity * state.tau)
        return theta, [sigma / theta for sigma in sigmas], {"tau": theta * state.tau}

    def _balance(
        self, problem: Problem, state: State, new: Array, q: Array, sigmas: Any
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
    regulariser. Cost per iteration: one application and one transpose of all operators; before the first
    one of A more.

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

    def _default_step(self, problem: Problem, norms: list[float]) -> float:
        return (
            1.5 / problem.lipschitz if problem.lipschitz else super()._default_step(problem, norms)
        )

    def _steps(self, problem: Problem, y: Array) -> tuple[Any, list[Any]]:
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

    def _more_variables(self, problem: Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
        if problem.smooth is None:
            return {}
        return {"descent": problem.smooth.gradient(State(x), x, self.operator(x), None)}

    def _slope(self, problem: Problem, state: State) -> Array | None:
        return None if problem.smooth is None else state.descent

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

    Memory beyond the data: 2 volumes (3 with a proximal map of x, one more with two operators or more)
    and 3 elements of the ranges of the operators in the terms. Cost per iteration: one application and
    one transpose of each of them.

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

    def _more_variables(self, problem: Problem, x: Array, p: Any, batch: Any) -> dict[str, Any]:
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
