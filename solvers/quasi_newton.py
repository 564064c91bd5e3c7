"""Nonlinear conjugate gradients and L-BFGS: directions from what the last gradients tell of the curvature."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.solvers.convergence import numbers
from opalg.solvers.line_search import wolfe
from opalg.solvers.objective import Objective, squared_norm
from opalg.solvers.smooth import Descent
from opalg.solvers.splits import per_sample
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, ratio

__all__ = ["LBFGS", "NonlinearCG"]


class _Searching(Descent):
    """Methods with a search along ``d`` for Wolfe's conditions.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer, tolerance
        See `opalg.solvers.smooth.Descent`.
    """

    differentiable: ClassVar[bool] = False

    _curvature: ClassVar[float]
    _secant: ClassVar[bool]

    def _search(
        self, state: State, problem: Objective, d: Array, slope: Any, first: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The step along ``d``, and the variables where it leads, the gradient in "new g"."""
        A = self.operator
        p = A(d, out=state.buffer("p", A.range))

        def evaluate(step: Any) -> tuple[Any, Any]:
            x, q = self._moved(state, step, d, p)
            with np.errstate(all="ignore"):
                value = numbers(problem.value(state, x, q))
                return value, numbers(problem.slope(state, x, q, d, p))

        step = wolfe(
            evaluate,
            np.asarray(state.objective),
            slope,
            first + np.zeros(np.shape(slope)),
            self._slack(state),
            self._curvature,
            self._secant,
        )
        x, q = self._moved(state, step, d, p)
        return step, self._arrive(state, problem, x, q, "new g")

    def _first_step(self, problem: Objective) -> float:
        L = problem.lipschitz
        return 1 / L if 0 < L < math.inf else 1 / (squared_norm(self.operator) or 1.0)


class NonlinearCG(_Searching):
    """Nonlinear conjugate gradients: the direction is the gradient plus a multiple of the one before.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term from a space and the data; it must have a gradient.
    regularizer : Functional, optional
        All of whose terms have a gradient.
    tolerance : float, optional
        Stop when the norm of the gradient fell to so many times that at the start.
    beta : {"polak-ribiere", "fletcher-reeves", "hestenes-stiefel", "dai-yuan"}, default "polak-ribiere"
        The formula of the multiple; Polak-Ribière's is cut off at 0.

    Raises
    ------
    ArgumentError
        If the formula is unknown; when run, if the objective is not finite at the start.
    NotSupportedError
        If a term has no gradient, or when run inside PyTorch's autograd.

    Notes
    -----
    Steps satisfy the strong conditions of Wolfe; for quadratic objectives they are exact, and the
    iterates those of `CGLS`. Where the direction does not point down the method restarts from the
    gradient. Each sample of a batch has its own steps.

    Memory beyond the data: 5 volumes and 5 sinograms, and the images of the terms of the regulariser.
    Cost per iteration: one application and one transpose; trial steps cost no application.

    References
    ----------
    R. Fletcher and C. M. Reeves, "Function minimization by conjugate gradients", Comput. J. 7, 1964. E.
    Polak and G. Ribière, "Note sur la convergence de méthodes de directions conjuguées", RAIRO 3, 1969.
    J. Nocedal and S. J. Wright, "Numerical Optimization", Springer, 2006, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solver = solvers.NonlinearCG(A, regularizer=fn.Huber(A.domain, 0.1), iterations=20)
    >>> solver(np.array([3.0, 0.0])).round(6).tolist()
    [2.0, 0.0]
    """

    beta: str = "polak-ribiere"

    _curvature = 0.1
    _secant = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta not in _BETAS:
            raise ArgumentError(
                f"beta of NonlinearCG must be one of {', '.join(map(repr, _BETAS))}, got {self.beta!r}"
            )

    def _more(self, problem: Objective, state: State) -> dict[str, Any]:
        X = self.operator.domain
        slope = -numbers(inner(X, state.g, state.g))
        d = X.lincomb(-1.0, state.g)
        return {"d": d, "slope": slope, "taken": self._first_step(problem) + 0 * slope}

    def step(self, state: State, y: Array) -> State:
        """A search along ``d``, then the next direction."""
        X = self.operator.domain
        problem = state.keep("problem", y, self._problem)
        first = np.where(np.greater(state.taken, 0), state.taken, 1.0)
        step, found = self._search(state, problem, state.d, state.slope, first)
        g, new = state.g, found["g"]
        square, after = numbers(inner(X, g, g)), numbers(inner(X, new, new))
        cross, along = numbers(inner(X, new, g)), numbers(inner(X, new, state.d))
        beta = _BETAS[self.beta](square, after, cross, along, state.slope)
        # Where the next direction would not point down: restart.
        down = np.less(-after + beta * along, 0)
        beta = np.where(down, beta, 0.0)
        d = X.lincomb(-1.0, new, per_sample(beta, new), state.d, out=state.buffer("d", X))
        return state.advance(d=d, slope=-after + beta * along, taken=step, **found)


def _hestenes_stiefel(square: Any, after: Any, cross: Any, along: Any, slope: Any) -> Any:
    return ratio_of(after - cross, along - slope)


def _dai_yuan(square: Any, after: Any, cross: Any, along: Any, slope: Any) -> Any:
    return ratio_of(after, along - slope)


def _fletcher_reeves(square: Any, after: Any, cross: Any, along: Any, slope: Any) -> Any:
    return ratio_of(after, square)


def _polak_ribiere(square: Any, after: Any, cross: Any, along: Any, slope: Any) -> Any:
    return np.maximum(ratio_of(after - cross, square), 0.0)


def ratio_of(a: Any, b: Any) -> Any:
    """``a / b``, zero where b is."""
    return ratio(np.asarray(a, np.float64), np.asarray(b, np.float64))


_BETAS = {
    "polak-ribiere": _polak_ribiere,
    "fletcher-reeves": _fletcher_reeves,
    "hestenes-stiefel": _hestenes_stiefel,
    "dai-yuan": _dai_yuan,
}


class LBFGS(_Searching):
    """L-BFGS: Newton's method with a Hessian made of the last changes of the gradient.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term from a space and the data; it must have a gradient.
    regularizer : Functional, optional
        All of whose terms have a gradient.
    tolerance : float, optional
        Stop when the norm of the gradient fell to so many times that at the start.
    memory : int, default 10
        How many changes are kept.

    Raises
    ------
    ArgumentError
        If ``memory`` is no positive number; when run, if the objective is not finite at the start.
    NotSupportedError
        If a term has no gradient, or when run inside PyTorch's autograd.

    Notes
    -----
    Steps satisfy the strong conditions of Wolfe; the first trial is the full step. All inner products are
    those of the weighted space. Each sample of a batch has its own curvature and steps.

    Memory beyond the data: 5 volumes and 5 sinograms, two volumes for each of the ``memory`` last steps,
    and the images of the terms of the regulariser. Cost per iteration: one application and one transpose;
    trial steps cost no application.

    References
    ----------
    D. C. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization", Math.
    Program. 45, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solver = solvers.LBFGS(A, regularizer=fn.Huber(A.domain, 0.1), iterations=20)
    >>> solver(np.array([3.0, 0.0])).round(6).tolist()
    [2.0, 0.0]
    """

    memory: int = 10

    _curvature = 0.9
    _secant = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            isinstance(self.memory, bool)
            or not isinstance(self.memory, (int, np.integer))
            or self.memory < 1
        ):
            raise ArgumentError(
                f"memory of LBFGS must be a positive whole number, got {self.memory!r}"
            )

    def _more(self, problem: Objective, state: State) -> dict[str, Any]:
        one = np.ones(self.operator.domain.batch_shape(state.x))
        # The inverse Hessian to begin with, and 1 / <s, y> of each pair.
        return {"diagonal": self._first_step(problem) * one, "inverses": (), "taken": one}

    def step(self, state: State, y: Array) -> State:
        """A search along the direction of the approximate Hessian, then one change more in it."""
        X = self.operator.domain
        problem = state.keep("problem", y, self._problem)
        d = self._direction(state)
        slope = numbers(inner(X, state.g, d))
        step, found = self._search(state, problem, d, slope, 1.0)
        i = state.iteration % self.memory
        s = X.lincomb(per_sample(step, d), d, out=state.buffer(f"s{i}", X))
        change = X.lincomb(1, found["g"], -1, state.g, out=state.buffer(f"y{i}", X))
        product, square = numbers(inner(X, s, change)), numbers(inner(X, change, change))
        # A pair without positive curvature does not count for its sample.
        useful = np.greater(product, 1e-10 * numbers(inner(X, s, s)) ** 0.5 * square**0.5)
        inverse = np.where(useful, 1 / np.where(useful, product, 1.0), 0.0)
        diagonal = np.where(useful, ratio_of(product, square), state.diagonal)
        inverses = list(state.inverses)
        inverses[i : i + 1] = [inverse]
        return state.advance(
            diagonal=diagonal,
            inverses=tuple(inverses),
            taken=step,
            **{f"s{i}": s, f"y{i}": change},
            **found,
        )

    def _direction(self, state: State) -> Array:
        """Minus the approximate inverse Hessian times the gradient, by two loops over the pairs."""
        X = self.operator.domain
        count = len(state.inverses)
        newest = [(state.iteration - 1 - j) % self.memory for j in range(count)]
        d = X.lincomb(-1.0, state.g, out=state.buffer("d", X))
        weights: dict[int, Any] = {}
        for i in newest:
            weights[i] = state.inverses[i] * numbers(inner(X, getattr(state, f"s{i}"), d))
            change = getattr(state, f"y{i}")
            d = X.lincomb(1, d, per_sample(-weights[i], d), change, out=state.buffer("d", X))
        d = X.lincomb(per_sample(state.diagonal, d), d, out=state.buffer("d", X))
        for i in reversed(newest):
            back = state.inverses[i] * numbers(inner(X, getattr(state, f"y{i}"), d))
            s = getattr(state, f"s{i}")
            d = X.lincomb(1, d, per_sample(weights[i] - back, d), s, out=state.buffer("d", X))
        return d
