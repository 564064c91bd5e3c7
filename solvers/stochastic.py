"""Stochastic gradients: each iteration sees one subset of the data. SGD, SAGA and SVRG."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array
from opalg.functionals.functional import positive
from opalg.solvers.state import State
from opalg.solvers.stochastic_step import StochasticGradient, SumOfTerms
from opalg.spaces import Blocks

__all__ = ["SAGA", "SGD", "SVRG"]


class SGD(StochasticGradient):
    """Stochastic (proximal) gradient descent over subsets of the data.

    Parameters
    ----------
    operator : LinearOperator
        One that can be split into subsets: an X-ray transform, a vstack, a matrix.
    iterations : int, default 100
        Each sees one subset.
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term of a subset; its gradient must have a Lipschitz constant.
    regularizer : Functional, optional
        Terms with a Lipschitz gradient, and others whose sum has a proximal map.
    subsets : int, default 10
    seed : int, default 0
        The subset of iteration k depends on ``seed`` and k only.
    step_size : float, sequence or callable, optional
        By default ``s / (1 + k / (10 n))`` with ``s = 1 / (n max L_i)`` and n subsets: steps must shrink
        for convergence.

    Raises
    ------
    NotSupportedError
        If the operator cannot be split, or a term has neither a Lipschitz gradient nor a proximal map.
    ArgumentError
        If a parameter is out of range; when run, if a step is so long that the mean of the iterates diverges.

    Warns
    -----
    AccuracyWarning
        When run, if a step is longer than the longest that is known to converge, ``1 / (n max L_i)``.

    Notes
    -----
    The error falls fast at first, and then like the steps; with constant steps below ``1 / (n max L_i)`` it
    stays at a level in proportion to the step (Needell et al.). `SVRG` and `SAGA` converge with constant
    steps.

    Memory beyond the data: 3 volumes, one copy of the data and 2 subsets of a sinogram. Cost per
    iteration: one application and one transpose of a subset.

    References
    ----------
    H. Robbins and S. Monro, "A stochastic approximation method", Ann. Math. Statist. 22, 1951. L. Bottou,
    F. Curtis and J. Nocedal, "Optimization methods for large-scale machine learning", SIAM Rev. 60, 2018.
    D. Needell, N. Srebro and R. Ward, "Stochastic gradient descent, weighted sampling, and the randomized
    Kaczmarz algorithm", Math. Program. 155, 2016.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]]))
    >>> solvers.SGD(A, subsets=3, iterations=2000)(np.array([1.0, 4.0, 5.0])).round(3).tolist()
    [1.0, 2.0]
    """

    def _step_now(self, problem: SumOfTerms, state: State) -> Any:
        if self.step_size is not None:
            return super()._step_now(problem, state)
        return problem.step / (1 + state.iteration / (10 * len(problem.terms)))

    def step(self, state: State, y: Array) -> State:
        """A step along n times the gradient of one subset."""
        problem = state.keep("problem", y, self._prepare)
        X, i = self.operator.domain, self._draw(state)
        slope = self._slope(problem, state, i, state.x)
        g = self._subsets[i].operator.adjoint(slope, out=state.buffer("g", X))
        g = X.lincomb(float(len(problem.terms)), g, out=state.buffer("g", X))
        return state.advance(x=self._move(problem, state, g))


class SAGA(StochasticGradient):
    """SAGA: stochastic gradients whose variance vanishes, by remembering the last one of each subset.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer, subsets, seed
        As for `SGD`.
    step_size : float, sequence or callable, optional
        ``1 / (3 n max L_i)`` by default, with n subsets and their Lipschitz constants.

    Raises
    ------
    NotSupportedError
        If the operator cannot be split, or a term has neither a Lipschitz gradient nor a proximal map.
    ArgumentError
        If a parameter is out of range; when run, if a step is so long that the mean of the iterates diverges.

    Warns
    -----
    AccuracyWarning
        When run, if a step is longer than the longest that is known to converge, ``1 / (3 n max L_i)``.

    Notes
    -----
    Converges with the constant step, linearly for strongly convex objectives. Instead of n gradients, which
    are volumes, the derivatives in the space of the data are remembered: one sinogram.

    Memory beyond the data: 4 volumes, 1 sinogram, one copy of the data and 2 subsets of a sinogram. Cost
    per iteration: one application and one transpose of a subset; before the first one of each of all.

    References
    ----------
    A. Defazio, F. Bach and S. Lacoste-Julien, "SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives", NIPS 2014.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]]))
    >>> solvers.SAGA(A, subsets=3, iterations=2000)(np.array([1.0, 4.0, 5.0])).round(6).tolist()
    [1.0, 2.0]
    """

    longest = 1 / 3

    def _memory(self, problem: SumOfTerms, x: Array) -> dict[str, Any]:
        return self._full(problem, x)

    def step(self, state: State, y: Array) -> State:
        """A step along the corrected gradient of one subset, whose memory is refreshed."""
        problem = state.keep("problem", y, self._prepare)
        X, i = self.operator.domain, self._draw(state)
        subset = self._subsets[i]
        Y, count = subset.operator.range, float(len(problem.terms))
        slope = self._slope(problem, state, i, state.x)
        memory = state.buffer(f"q {subset.name}", Y)
        change = Y.lincomb(1.0, slope, -1.0, state.slopes[i], out=memory)
        d = subset.operator.adjoint(change, out=state.buffer("d", X))
        g = X.lincomb(count, d, 1.0, state.total, out=state.buffer("g", X))
        x = self._move(problem, state, g)
        return state.advance(x=x, **self._remember(state, i, slope, d))

    def _remember(self, state: State, i: int, slope: Array, d: Array) -> dict[str, Any]:
        X, Y = self.operator.domain, self._subsets[i].operator.range
        table = state.buffer("slopes", None) if state.in_place else None
        own = Y.lincomb(1.0, slope, out=None if table is None else table[i])
        total = X.lincomb(1.0, d, 1.0, state.total, out=state.buffer("total", X))
        if table is not None:
            return {"total": total}
        slopes = Blocks(own if j == i else part for j, part in enumerate(state.slopes))
        return {"total": total, "slopes": slopes}


class SVRG(SAGA):
    """Stochastic variance-reduced gradient: the full gradient now and then, corrected by subsets between.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer, subsets, seed
        As for `SGD`.
    step_size : float, sequence or callable, optional
        ``1 / (3 n max L_i)`` by default.
    period : int, optional
        Iterations between two full gradients; twice the number of subsets by default.

    Raises
    ------
    NotSupportedError
        If the operator cannot be split, or a term has neither a Lipschitz gradient nor a proximal map.
    ArgumentError
        If a parameter is out of range; when run, if a step is so long that the mean of the iterates diverges.

    Warns
    -----
    AccuracyWarning
        When run, if a step is longer than the longest that is known to converge, ``1 / (3 n max L_i)``.

    Notes
    -----
    `SAGA` with a memory that is refreshed for all subsets at once. Converges with the constant step,
    linearly for strongly convex objectives. (The theorem of Johnson and Zhang asks for steps below
    ``1 / (4 n max L_i)``, long periods and means over them; the default is the step of `SAGA`'s theorem.)

    Memory beyond the data: 4 volumes, 1 sinogram, one copy of the data and 2 subsets of a sinogram. Cost
    per iteration: one application and one transpose of a subset, and in each period of all of them once
    more.

    References
    ----------
    R. Johnson and T. Zhang, "Accelerating stochastic gradient descent using predictive variance reduction",
    NIPS 2013.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]]))
    >>> solvers.SVRG(A, subsets=3, iterations=2000)(np.array([1.0, 4.0, 5.0])).round(6).tolist()
    [1.0, 2.0]
    """

    period: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period is not None:
            positive(self.period, "period of SVRG")

    def step(self, state: State, y: Array) -> State:
        """As `SAGA`, with the memory refreshed at the end of a period."""
        problem = state.keep("problem", y, self._prepare)
        state = super().step(state, y)
        period = 2 * len(problem.terms) if self.period is None else int(self.period)
        if state.iteration % period:
            return state
        return self._refresh(problem, state)

    def _remember(self, state: State, i: int, slope: Array, d: Array) -> dict[str, Any]:
        return {}

    def _refresh(self, problem: SumOfTerms, state: State) -> State:
        X, total, slopes = self.operator.domain, None, []
        for i, subset in enumerate(self._subsets):
            slope = self._slope(problem, state, i, state.x)
            memory = state.buffer("total" if total is None else "d", X)
            own = subset.operator.adjoint(slope, out=memory)
            total = (
                own
                if total is None
                else X.lincomb(1.0, own, 1.0, total, out=state.buffer("total", X))
            )
            target = state.slopes[i] if state.in_place else None
            slopes.append(subset.operator.range.lincomb(1.0, slope, out=target))
        # The same step, not a further one: the variables are replaced where they are.
        state._variables |= {
            "total": total,
            "slopes": state.slopes if state.in_place else Blocks(slopes),
        }
        return state
