"""Methods of Gauss and Newton, for operators that are not linear: each step solves a linearised problem."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.functionals import Functional, LeastSquares, Term
from opalg.functionals.functional import positive
from opalg.solvers.convergence import numbers
from opalg.solvers.line_search import armijo
from opalg.solvers.objective import Objective, as_functional
from opalg.solvers.quadratic_systems import as_quadratic
from opalg.solvers.smooth import Descent
from opalg.solvers.splits import per_sample, select
from opalg.solvers.state import State
from opalg.solvers.vectors import inner, ratio

__all__ = ["GaussNewton", "LevenbergMarquardt"]

_FIRST_DAMPING = 1e-3  # times the curvature along the gradient (Nielsen 1999 calls it tau)


class _Row(NamedTuple):
    """A term of the objective, linearised: its slope is ``force``, its curvature ``curve`` of an image."""

    operator: Any
    """The derivative of the operator inside."""
    functional: Functional
    scale: float
    curve: Any
    """The second derivative of the functional there: a number, or an operator."""


class Linearising(Descent):
    """Base of the methods of Gauss and Newton.

    Parameters
    ----------
    operator : Operator
        With a ``derivative``.
    iterations, fidelity, regularizer, tolerance
        See `opalg.solvers.smooth.Descent`.
    inner_iterations : int, default 20
    inner_tolerance : float, default 1e-2
    """

    inner_iterations: int = 20
    inner_tolerance: float = 1e-2

    differentiable: ClassVar[bool] = False
    takes_nonlinear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        name, count = type(self).__name__, self.inner_iterations
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ArgumentError(
                f"inner_iterations of {name} must be a positive whole number, got {count!r}"
            )
        if not positive(self.inner_tolerance, f"inner_tolerance of {name}") < 1:
            raise ArgumentError(
                f"inner_tolerance of {name} must be below 1, got {self.inner_tolerance!r}"
            )
        for term in self._terms:
            self._refuse_concave(term)

    def _problem(self, y: Array) -> Objective:
        problem = super()._problem(y)
        self._refuse_concave(Term(1.0, problem.fidelity, self.operator))
        return problem

    def _refuse_concave(self, term: Term) -> None:
        if not (term.functional.convex and term.scale >= 0):
            raise NotSupportedError(
                f"{type(self).__name__} cannot handle the term {as_functional(term)}: the functional before "
                "the operator must be convex, so that the linearised problem has a minimum"
            )

    def _more(self, problem: Objective, state: State) -> dict[str, Any]:
        self._rows(problem, state)  # an unknown second derivative is told before the work
        return {"taken": np.ones(np.shape(state.objective))}

    def _rows(self, problem: Objective, state: State) -> list[_Row]:
        """The terms of the objective, linearised at ``x``."""
        terms = [Term(1.0, problem.fidelity, self.operator), *problem.terms]
        rows = []
        for i, term in enumerate(terms):
            K, f, scale = term.operator, term.functional, term.scale
            J = None if K is None else K.derivative(state.x)
            curve: Any = _constant_curvature(f)
            if curve is None:
                image = state.q if i == 0 else (state.x if K is None else K(state.x))
                curve = f.gradient.derivative(image)
            rows.append(_Row(J, f, scale, curve))
        return rows

    def _forces(self, rows: list[_Row], state: State) -> list[Array]:
        """Minus the slopes of the terms at their images, in scratch buffers."""
        forces = []
        for i, row in enumerate(rows):
            Y, memory = row.functional.domain, f"force {i}"
            K = self.operator if i == 0 else self._terms[i - 1].operator
            if i == 0:
                image = state.q
            else:
                image = state.x if K is None else K(state.x, out=state.buffer(f"image {i}", Y))
            slope = row.functional.gradient(image, out=state.buffer(memory, Y))
            forces.append(Y.lincomb(-row.scale, slope, out=state.buffer(memory, Y)))
        return forces

    def _direction(
        self, state: State, problem: Objective, damping: Any
    ) -> tuple[Array, Any, list[_Row]]:
        """CGLS for the linearised problem with ``damping / 2 |h|^2`` added.

        Returns ``h``, what the linearised objective loses along it, and the linearisation. The forces
        (residuals, for least squares) are recurred and the gradient is formed from them, so that rounding
        grows with the condition of the derivative, not with its square.
        """
        X = self.operator.domain
        rows = self._rows(problem, state)
        forces = self._forces(rows, state)
        h = X.lincomb(0.0, state.g, out=state.buffer("h", X))
        # Free until the next point is looked at.
        s = X.lincomb(-1.0, state.g, out=state.buffer("new g", X))
        p = X.lincomb(1.0, s, out=state.buffer("new x", X))
        gamma = first = numbers(inner(X, s, s))
        lost = np.zeros(np.shape(gamma))
        for _ in range(self.inner_iterations):
            going = np.greater(gamma, self.inner_tolerance**2 * first)
            if not np.any(going):
                break
            curvature = damping * numbers(inner(X, p, p))
            curved = []
            for i, row in enumerate(rows):
                q, c = self._curved(state, i, row, p)
                curvature = curvature + numbers(inner(row.functional.domain, q, c))
                curved.append(c)
            alpha = np.where(going, ratio(np.asarray(gamma), np.asarray(curvature)), 0.0)
            lost = lost + 0.5 * alpha * gamma
            h = X.lincomb(1.0, h, per_sample(alpha, h), p, out=state.buffer("h", X))
            for i, (row, c) in enumerate(zip(rows, curved, strict=True)):
                Y, memory = row.functional.domain, state.buffer(f"force {i}", row.functional.domain)
                forces[i] = Y.lincomb(1.0, forces[i], per_sample(-alpha, h), c, out=memory)
            s = self._pulled(state, rows, forces, h, damping)
            following = numbers(inner(X, s, s))
            beta = np.where(going, ratio(np.asarray(following), np.asarray(gamma)), 0.0)
            p = X.lincomb(1.0, s, per_sample(beta, h), p, out=state.buffer("new x", X))
            gamma = np.where(going, following, gamma)
        # The loss with damping counted is the sum; without, as much more.
        lost = lost + 0.5 * damping * numbers(inner(X, h, h))
        return h, lost, rows

    def _curved(self, state: State, i: int, row: _Row, p: Array) -> tuple[Array, Array]:
        """The image of ``p``, and the curvature applied to it."""
        Y = row.functional.domain
        names = ("new q", "data slope") if i == 0 else (f"image {i}", f"slope {i}")
        q = p if row.operator is None else row.operator(p, out=state.buffer(names[0], Y))
        memory = state.buffer(names[1], Y)
        if isinstance(row.curve, float):
            return q, Y.lincomb(row.scale * row.curve, q, out=memory)
        c = row.curve(q, out=memory)
        return q, Y.lincomb(row.scale, c, out=memory) if row.scale != 1.0 else c

    def _pulled(
        self, state: State, rows: list[_Row], forces: list[Array], h: Array, damping: Any
    ) -> Array:
        """Minus the gradient of the linearised objective at ``h``."""
        X, total = self.operator.domain, None
        for i, (row, force) in enumerate(zip(rows, forces, strict=True)):
            memory = state.buffer("new g" if i == 0 else "part", X)
            own = force if row.operator is None else row.operator.adjoint(force, out=memory)
            total = (
                own if total is None else X.lincomb(1.0, total, 1.0, own, out=_own(state, total))
            )
        if np.any(damping):
            total = X.lincomb(1.0, total, per_sample(-damping, h), h, out=_own(state, total))
        return total

    def _at(self, state: State, step: Any, h: Array) -> tuple[Array, Array]:
        """``x + step h`` and its image, in scratch buffers."""
        A, X = self.operator, self.operator.domain
        x = X.lincomb(1, state.x, per_sample(step, h), h, out=state.buffer("new x", X))
        return x, A(x, out=state.buffer("new q", A.range))


class GaussNewton(Linearising):
    """The Gauss-Newton method for ``fidelity(A(x)) + regularizer(x)`` with an operator that is not linear.

    Each step replaces ``A`` by its derivative at ``x``, minimises what that makes of the objective by CGLS,
    and goes along the way there until the objective itself has fallen enough.

    Parameters
    ----------
    operator : Operator
        With a ``derivative(x)``; linear or not.
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term, which must be convex and have a second derivative: least squares (weighted or
        not), `PoissonLikelihood`, `Huber`.
    regularizer : Functional, optional
        All of whose terms are convex and have a second derivative, such as ``0.1 * fn.SquaredL2(X)`` or
        ``0.1 * fn.Huber(G.range, 0.01) @ G``.
    tolerance : float, optional
        Stop when the norm of the gradient fell to so many times that at the start.
    inner_iterations : int, default 20
        Steps of CGLS, at most.
    inner_tolerance : float, default 1e-2
        Where CGLS stops: the gradient of the linearised objective relative to its first.

    Raises
    ------
    ArgumentError
        If a parameter is out of range; when run, if the objective is not finite at the start.
    NotSupportedError
        If a term is not convex or has no gradient; when run, if it has no second derivative, the operator
        has no derivative, or PyTorch is to record the steps.

    Notes
    -----
    Stops nowhere but at stationary points of the objective, if the linearised problems have a unique
    minimum (a derivative of full rank, or a strictly convex term in the regulariser); without that, use
    `LevenbergMarquardt`. Near a solution the error falls by about ``inner_tolerance`` per step where the
    data are fitted well, or ``A`` is nearly linear. Each sample of a batch has its own steps.

    Memory beyond the data: 5 volumes and 5 sinograms, with a regulariser one volume more and 3 images of
    each of its terms, and what the derivative of ``A`` holds. Cost per iteration: one derivative, one
    application of ``A`` for each step that is tried, and one application and one transpose of the
    derivative per inner iteration.

    References
    ----------
    J. Nocedal and S. J. Wright, "Numerical Optimization", Springer, 2006, section 10.3. N. Schraudolph,
    "Fast curvature matrix-vector products for second-order gradient descent", Neural Comput. 14, 2002.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> I = oa.Identity(oa.Space(2, "float64"))
    >>> square = I * I
    >>> result = solvers.GaussNewton(square).solve(np.array([4.0, 9.0]), initial=np.ones(2))
    >>> result.x.round(6).tolist()
    [2.0, 3.0]
    """

    def step(self, state: State, y: Array) -> State:
        """The linearised problem, and a search along the way to its solution."""
        problem = state.keep("problem", y, self._problem)
        h, _, _ = self._direction(state, problem, 0.0)
        slope = numbers(inner(self.operator.domain, state.g, h))
        last: list[Any] = []

        def evaluate(step: Any) -> Any:
            last[:] = [np.copy(step), *self._at(state, step, h)]
            return numbers(problem.value(state, last[1], last[2]))

        with np.errstate(all="ignore"):
            step = armijo(
                evaluate, state.objective, slope, np.ones(np.shape(slope)), self._slack(state)
            )
        x, q = last[1:] if last and np.array_equal(last[0], step) else self._at(state, step, h)
        return state.advance(taken=step, **self._arrive(state, problem, x, q, "new g"))


class LevenbergMarquardt(Linearising):
    """The Levenberg-Marquardt method: Gauss-Newton steps that are damped as far as the model is wrong.

    ``h`` minimises the linearised objective plus ``damping / 2 |h|^2``. A step is taken if the objective
    falls; the damping then shrinks by how well the linearised objective foretold it, else it grows.

    Parameters
    ----------
    operator : Operator
        With a ``derivative(x)``; linear or not.
    iterations : int, default 100
        Steps that were refused count, too.
    fidelity, regularizer, tolerance, inner_iterations, inner_tolerance
        As for `GaussNewton`.
    damping : float, optional
        The first one; by default a thousandth of the curvature along the first gradient.

    Raises
    ------
    ArgumentError
        If a parameter is out of range; when run, if the objective is not finite at the start.
    NotSupportedError
        As for `GaussNewton`.

    Notes
    -----
    Every limit of the iterates is a stationary point of the objective, whatever the rank of the derivative.
    Near a solution whose linearised problem has a unique minimum it converges as `GaussNewton` does. Each
    sample of a batch has its own damping. ``history`` has the damping beside objective and gradient.

    Memory beyond the data and cost: as for `GaussNewton`, with one application of ``A`` per iteration.

    References
    ----------
    D. W. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", SIAM J. Appl.
    Math. 11, 1963. H. B. Nielsen, "Damping parameter in Marquardt's method", report IMM-REP-1999-05,
    Technical University of Denmark, 1999.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> I = oa.Identity(oa.Space(2, "float64"))
    >>> square = I * I
    >>> solver = solvers.LevenbergMarquardt(square, iterations=30)
    >>> solver.solve(np.array([4.0, 9.0]), initial=np.ones(2)).x.round(6).tolist()
    [2.0, 3.0]
    """

    damping: float | None = None

    records: ClassVar[tuple[str, ...]] = ("objective", "gradient", "damping")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.damping is not None:
            positive(self.damping, "damping of LevenbergMarquardt")

    def _more(self, problem: Objective, state: State) -> dict[str, Any]:
        X, rows = self.operator.domain, self._rows(problem, state)
        one = np.ones(np.shape(state.objective))
        if self.damping is not None:
            damping = self.damping * one
        else:
            curvature: Any = 0.0
            for i, row in enumerate(rows):
                q, c = self._curved(state, i, row, state.g)
                curvature = curvature + numbers(inner(row.functional.domain, q, c))
            square = np.asarray(numbers(inner(X, state.g, state.g)))
            along = ratio(np.asarray(curvature), square)
            damping = np.where(along > 0, _FIRST_DAMPING * along, 1.0)
        return {"damping": damping, "growth": 2.0 * one, "taken": one}

    def step(self, state: State, y: Array) -> State:
        """The damped linearised problem; its solution is taken if the objective falls."""
        X, Y = self.operator.domain, self.operator.range
        problem = state.keep("problem", y, self._problem)
        h, foretold, _ = self._direction(state, problem, state.damping)
        with np.errstate(all="ignore"):
            x, q = self._at(state, 1.0, h)
            value = numbers(problem.value(state, x, q))
            loss = np.asarray(state.objective) - value
            slack = self._slack(state)
            # Values tell nothing below their rounding: there the model is believed.
            tiny = np.less_equal(foretold, slack)
            good = np.asarray((foretold > 0) & np.where(tiny, loss >= -slack, loss > 0))
            gain = np.where(tiny, 1.0, loss / np.where(foretold > 0, foretold, 1.0))
            gain = np.where(good, gain, 0.0)
        if not good.all():
            # Not scratch that `_arrive` writes to.
            x = select(X, good, x, state.x, state.buffer("h", X))
            q = select(Y, good, q, state.q, state.buffer("force 0", Y))
        shrink = np.maximum(1 / 3, 1 - (2 * np.minimum(gain, 1.0) - 1) ** 3)
        damping = np.clip(state.damping * np.where(good, shrink, state.growth), 1e-290, 1e290)
        growth = np.where(good, 2.0, np.minimum(2.0 * state.growth, 1e30))
        # A step that is refused though the model foretells no more than rounding: nothing is left to gain.
        taken = np.where(good | ~tiny, 1.0, 0.0)
        found = self._arrive(state, problem, x, q, "new g")
        return state.advance(damping=damping, growth=growth, taken=taken, **found)


def _constant_curvature(f: Functional) -> float | None:
    """The number by which the second derivative multiplies, if it is one everywhere."""
    if isinstance(f, LeastSquares):
        return f._weight.number  # without a multiple of the data
    found = as_quadratic(Term(1.0, f, None))
    return None if found is None else found[0]


def _own(state: State, scratch: Array) -> Array | None:
    return scratch if state.in_place else None
