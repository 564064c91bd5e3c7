"""Minimisation of smooth objectives: what the methods share, gradient descent, Nesterov's method."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import Term
from opalg.functionals.functional import positive
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.operators import LinearOperator
from opalg.solvers.certificates import Certificate, gradient_pieces
from opalg.solvers.convergence import numbers, rounding
from opalg.solvers.line_search import armijo
from opalg.solvers.objective import Objective, ObjectiveSolver, is_smooth, squared_norm, take_apart
from opalg.solvers.proximal_gradient import FISTA
from opalg.solvers.schedules import Limits, schedule_numbers
from opalg.solvers.solver import Schedule
from opalg.solvers.splits import per_sample
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, length, parts

__all__ = ["Descent", "GradientDescent", "Nesterov"]

_MEMORY = 10  # values that a non-monotone search looks back on (Grippo, Lampariello, Lucidi 1986)
_IDLE = 30  # steps without effect after which a search ends


class Descent(ObjectiveSolver):
    """Base of methods that go down along directions; the state has ``x``, ``q = A(x)``, the gradient ``g``.

    Parameters
    ----------
    operator, iterations, fidelity, regularizer
        See `opalg.solvers.objective.ObjectiveSolver`.
    tolerance : float, optional
        Stop when the norm of the gradient fell to so many times that at the start.
    """

    tolerance: float | None = None

    records: ClassVar[tuple[str, ...]] = ("objective", "gradient")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tolerance is not None:
            positive(self.tolerance, f"the tolerance of {type(self).__name__}")
        self._terms  # noqa: B018 - what cannot be handled is told at once

    @property
    def _terms(self) -> tuple[Term, ...]:
        return take_apart(
            self.regularizer, type(self).__name__, smooth=True, lipschitz=False
        ).smooth

    def _problem(self, y: Array) -> Objective:
        f = self.data_term(y)
        if not is_smooth(Term(1.0, f, self.operator), lipschitz=False):
            raise NotSupportedError(
                f"{type(self).__name__} cannot handle the data term {f}, which has no gradient; PDHG and "
                "ADMM take it"
            )
        return Objective(self.operator, f, self._terms)

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``, its image, the gradient there and what the method carries along."""
        X, problem = self.operator.domain, self._problem(y)
        start = self.start(y, x)
        q = self._image(start.x, x is None)
        value = numbers(problem.value(start, start.x, q))
        if not np.isfinite(value).all():
            raise ArgumentError(
                f"the objective of {type(self).__name__} is not finite where it starts; give a start inside "
                "its domain: solve(y, initial=...)"
            )
        g = problem.gradient(start, start.x, q, None)
        size = length(X, g)
        state = State(start.x, q=q, g=g, objective=value, gradient=size, scale=size)
        state._variables |= self._more(problem, state)
        state._kept["problem"] = (y, problem)
        return state

    def _image(self, x: Array, zero: bool) -> Array:
        """``A(x)``, for which nothing has to be done where x is zero and the operator linear."""
        A = self.operator
        if zero and isinstance(A, LinearOperator):
            return A.range.zeros(like=parts(x)[0], batch=A.domain.batch_shape(x))
        return A(x)

    def _more(self, problem: Objective, state: State) -> dict[str, Any]:
        """What else the state carries."""
        return {}

    def _slack(self, state: State) -> Any:
        """The rounding of the objective."""
        return 10 * rounding(self.operator.domain) * np.abs(np.asarray(state.objective))

    def _arrive(
        self, state: State, problem: Objective, x: Array, q: Array, g_name: str = "g"
    ) -> dict[str, Any]:
        """The variables at a new ``x`` with its image; the gradient in the buffer of that name."""
        X = self.operator.domain
        value = numbers(problem.value(state, x, q))
        g = problem.gradient(state, x, q, state.buffer(g_name, X))
        return {"x": x, "q": q, "g": g, "objective": value, "gradient": length(X, g)}

    def _moved(self, state: State, step: Any, d: Array, p: Array) -> tuple[Array, Array]:
        """``x + step d`` and its image, with ``p = A(d)``; in scratch buffers."""
        X, Y = self.operator.domain, self.operator.range
        x = X.lincomb(1, state.x, per_sample(step, d), d, out=state.buffer("new x", X))
        q = Y.lincomb(1, state.q, per_sample(step, p), p, out=state.buffer("new q", Y))
        return x, q

    def certificate(self, state: State, y: Array) -> Certificate:
        """``x`` with the gradients of the terms."""
        A: Any = self.operator
        if not isinstance(A, LinearOperator):
            found: Certificate = super().certificate(state, y)
            return found
        problem = state.keep("problem", y, self._problem)
        return Certificate(state.x, gradient_pieces(problem.all_terms, state.x, state.q), None)

    def finished(self, state: State) -> str | None:
        """Whether the gradient fell to the tolerance, or no step lowers the objective any more."""
        bound = max(self.tolerance or 0.0, 10 * rounding(self.operator.domain))
        small = np.less_equal(state.gradient, bound * np.asarray(state.scale))
        stuck = np.equal(state.taken, 0) & (state.iteration > 0) if "taken" in state else False
        count = state.iteration
        after = f"after {count} iteration{'' if count == 1 else 's'}"
        if np.all(small):
            return f"the gradient fell to {bound:g} of that at the start {after}"
        if np.all(small | stuck):
            return f"no step lowers the objective by more than rounding {after}"
        return None


class GradientDescent(Descent):
    """Gradient descent: ``x -= step * gradient(x)``.

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
    step_size : float, sequence, callable, "armijo" or "barzilai-borwein", optional
        ``1 / L`` by default, from certified norms. "armijo" begins with twice the step before and halves
        it until the objective falls enough. "barzilai-borwein" takes the step that best repeats the last
        change of the gradient, and halves it if the objective exceeds the largest of the last 10.

    Raises
    ------
    ArgumentError
        If a step size is not positive; when run, if it is so long that the iteration surely diverges, or
        the objective is not finite at the start.
    NotSupportedError
        If a term has no gradient (for a fixed step: no Lipschitz constant); the message says which solver
        takes it.

    Warns
    -----
    AccuracyWarning
        When run, if a step may be too long.

    Notes
    -----
    With a step below ``2 / L`` the objective falls in every iteration, and if it is convex lies at most
    ``L |x_0 - x|^2 / (2 k)`` above the minimum for ``1 / L``. The gradient is that of the weighted space;
    see `opalg.solvers.objective`. ``history`` has the objective and the norm of the gradient.

    Memory beyond the data: 2 volumes and 3 sinograms, 2 volumes and 1 sinogram more with a search, and the
    images of the terms of the regulariser.
    Cost per iteration: one application and one transpose; trial steps cost no application. With a fixed
    step PyTorch can record the steps.

    References
    ----------
    L. Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives", Pacific
    J. Math. 16, 1966. J. Barzilai and J. M. Borwein, "Two-point step size gradient methods", IMA J.
    Numer. Anal. 8, 1988. M. Raydan, "The Barzilai and Borwein gradient method for the large scale
    unconstrained minimization problem", SIAM J. Optim. 7, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solver = solvers.GradientDescent(A, step_size="barzilai-borwein", iterations=20)
    >>> solver(np.array([1.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    step_size: Schedule | str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.step_size, str) and self.step_size not in _SEARCHES:
            raise ArgumentError(
                f"step_size of GradientDescent is a number, a schedule or one of "
                f"{', '.join(map(repr, _SEARCHES))}, got {self.step_size!r}"
            )
        Limits("GradientDescent", "step size").check(self._known_steps)

    @property
    def _known_steps(self) -> tuple[float, ...]:
        given = self.step_size
        return () if given is None or isinstance(given, str) else tuple(schedule_numbers(given))

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the step is fixed: PyTorch does not see a search."""
        return self.step_size not in _SEARCHES if isinstance(self.step_size, str) else True

    def _more(self, problem: Objective, state: State) -> dict[str, Any]:
        L = problem.lipschitz
        if isinstance(self.step_size, str):
            first = 1 / L if 0 < L < math.inf else 1 / (squared_norm(self.operator) or 1.0)
            size = np.asarray(state.gradient)
            return {
                "trial": first,
                "values": (state.objective,),
                "taken": first,
                "lowest": np.asarray(state.objective, np.float64),  # objective and
                "least": size,  # gradient so far
                "idle": np.zeros(size.shape),
            }
        if self.step_size is None:
            if not math.isfinite(L):
                raise NotSupportedError(
                    f"the gradient of {problem.fidelity} or of a term of the regularizer has no known "
                    "Lipschitz constant; use step_size='armijo' or a step size of your own"
                )
            return {"step_size": 1 / L if L else 1.0}
        if self._known_steps:
            self._limits(problem).check(self._known_steps)
        return {}

    def _limits(self, problem: Objective) -> Limits:
        L = problem.lipschitz
        if not 0 < L < math.inf:
            return Limits("GradientDescent", "step size")

        def fatal() -> float:
            # What the data term alone surely has: so much curvature in some direction.
            least = problem.fidelity.strong_convexity * norm_in_spaces(self.operator).lower ** 2
            return 2 / least if problem.convex and least else math.inf

        return Limits(
            "GradientDescent",
            "step size",
            2 / L * (1 + 1e-9),
            fatal,
            f"it must be below 2 / L = {2 / L:g}; leave it out for 1 / L, or use step_size='armijo'",
            f"must be below 2 / L, where L <= {L:g}",
        )

    def step(self, state: State, y: Array) -> State:
        """One step down the gradient."""
        problem = state.keep("problem", y, self._problem)
        if isinstance(self.step_size, str):
            return self._searched(state, problem)
        A, X = self.operator, self.operator.domain
        if self.step_size is None:
            step = state.step_size
        else:
            limits = lambda: state.keep("limits", y, lambda y: self._limits(problem))  # noqa: E731
            step = state.value(self.step_size, limits)
        x = X.lincomb(1, state.x, -1 * step, state.g, out=state.buffer("x", X))
        q = A(x, out=state.buffer("q", A.range))
        return state.advance(**self._arrive(state, problem, x, q))

    def _searched(self, state: State, problem: Objective) -> State:
        A, X = self.operator, self.operator.domain
        # The image of the direction shares its memory with that of gradients before A.adjoint.
        p = A(state.g, out=state.buffer("data slope", A.range))

        def evaluate(step: Any) -> Any:
            return numbers(problem.value(state, *self._moved(state, -step, state.g, p)))

        square = numbers(inner(X, state.g, state.g))
        step = armijo(
            evaluate, np.max(state.values, axis=0), -square, state.trial, self._slack(state)
        )
        x, q = self._moved(state, -step, state.g, p)
        found = self._arrive(state, problem, x, q, "new g")
        change = square - numbers(inner(X, state.g, found["g"]))  # <s, y> / step
        if self.step_size == "armijo":
            trial, values = 2 * step, (found["objective"],)
        else:
            bent = change > 0
            ratio = step * square / np.where(bent, change, 1.0)
            trial = np.where(bent, np.clip(ratio, 1e-6 * step, 1e6 * step), 2 * step)
            values = (*state.values, found["objective"])[-_MEMORY:]
        trial = np.where(step > 0, trial, state.trial)
        # Below the rounding of values steps go to and fro: ended when neither these nor the gradient fall.
        falls = found["objective"] < state.lowest - 0.1 * self._slack(state)
        idle = np.where(falls | np.less(found["gradient"], state.least), 0, state.idle + 1)
        return state.advance(
            trial=trial,
            values=values,
            lowest=np.minimum(state.lowest, found["objective"]),
            least=np.minimum(state.least, found["gradient"]),
            idle=idle,
            taken=np.where(idle < _IDLE, step, 0.0),
            **found,
        )


_SEARCHES = ("armijo", "barzilai-borwein")


class Nesterov(FISTA):
    """Nesterov's accelerated gradient method: `FISTA` for objectives all of whose terms are smooth.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term; it must have a gradient.
    regularizer : Functional, optional
        All of whose terms have a Lipschitz gradient.
    step_size : float, sequence or callable, optional
        ``1 / L`` by default, from certified norms.
    backtracking : bool, default False
        Begin with ``step_size`` and halve it where the objective rises above its quadratic model.
    monotone : bool, default False
        Accept a new point only if the objective falls.
    restart : bool, default False
        Drop the momentum when it points uphill: linear convergence for strongly convex objectives.
    tolerance : float, optional
        Stop when ``|v - x| / |x|`` falls so low for the gradient step from v to x.

    Raises
    ------
    NotSupportedError
        If a term has no Lipschitz gradient; the message names it.
    ArgumentError
        If a step is not positive, or when run surely too long.

    Notes
    -----
    For convex objectives and steps up to ``1 / L`` the objective lies at most ``2 L |x_0 - x|^2 / (k +
    1)^2`` above the minimum, which is the best possible order.

    Memory beyond the data: 4 volumes and 2 sinograms. Cost per iteration: one application and one
    transpose, and what `FISTA` states for its options.

    References
    ----------
    Y. Nesterov, "A method for solving the convex programming problem with convergence rate O(1/k^2)",
    Dokl. Akad. Nauk SSSR 269, 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solvers.Nesterov(A, restart=True)(np.array([1.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    def _regularizer_parts(self) -> Any:
        return take_apart(
            self.regularizer, type(self).__name__, smooth=True, lipschitz=not self.backtracking
        )
