"""Proximal gradient methods: ISTA, FISTA and projected gradient are one iteration."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import numpy as np

from opalg.arrays import Array, as_numpy, is_array
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError
from opalg.functionals import Functional, Term
from opalg.functionals.functional import positive
from opalg.functionals.indicators import Indicator
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.solvers.certificates import Certificate, gradient_pieces
from opalg.solvers.objective import (
    Objective,
    ObjectiveSolver,
    Parts,
    as_functional,
    is_smooth,
    take_apart,
)
from opalg.solvers.solver import Schedule
from opalg.solvers.splits import (
    judge,
    pairing,
    per_sample,
    proximal,
    resolved,
    select,
    weighted_length,
)
from opalg.solvers.state import State

__all__ = ["FISTA", "ISTA", "ProjectedGradient"]

_SHRINK = 0.5  # of the step, where backtracking finds it too long
_SEARCHES = 60  # 0.5 ** 60: what is not short enough then never will be


class _Problem:
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
        steps = _numbers(self.step_size)
        if not all(math.isfinite(step) and step > 0 for step in steps):
            raise ArgumentError(
                f"the step size of {type(self).__name__} must be positive and finite, "
                f"got {self.step_size!r:.80}"
            )
        if self.backtracking and not (self.step_size is None or len(steps) == 1):
            raise ArgumentError("with backtracking step_size is the first step: a single number")
        self._regularizer_parts()

    # The objective

    def _regularizer_parts(self) -> Any:
        return take_apart(
            self.regularizer,
            type(self).__name__,
            smooth=True,
            proximable=True,
            lipschitz=not self.backtracking,
        )

    def _prepare(self, y: Array) -> _Problem:
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
        return _Problem(Objective(self.operator, f, found.smooth), resolved(found.prox))

    def _first_step(self, problem: _Problem) -> float:
        bound = problem.smooth.lipschitz
        if self.step_size is not None:
            steps = _numbers(self.step_size)
            if steps and not self.backtracking:
                self._check(problem, max(steps))
            return steps[0] if steps else 1.0
        if self.backtracking and not math.isfinite(bound):
            return 1.0 / max(norm_in_spaces(self.operator).lower ** 2, 1e-30)
        return 1 / bound if bound else 1.0

    def _check(self, problem: _Problem, step: float) -> None:
        name, bound, limit = type(self).__name__, problem.smooth.lipschitz, self.longest
        if not bound or step < limit / bound * (1 + 1e-9):
            return
        # What the data term alone surely has: a quadratic with this curvature in some direction.
        least = problem.smooth.fidelity.strong_convexity * norm_in_spaces(self.operator).lower ** 2
        if least and step >= 2 / least:
            raise ArgumentError(
                f"the step size {step:g} of {name} is too long: it must be below "
                f"{limit:g} / L = {limit / bound:g}; leave it out for 1 / L, or use backtracking=True"
            )
        warnings.warn(
            f"{name} may diverge: its step size {step:g} must be below {limit:g} / L, where L <= "
            f"{bound:g}, so "
            f"below {limit / bound:g}",
            AccuracyWarning,
            stacklevel=6,
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

    def _more_variables(self, problem: _Problem, x: Array) -> dict[str, Any]:
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
            step = state.step_size if known else state.value(self.step_size)
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

    def _move(self, problem: _Problem, state: State, v: Array, g: Array, step: Any) -> Array:
        X = self.operator.domain
        step = per_sample(step, v) if isinstance(step, (float, np.ndarray)) else step
        if problem.prox is None:
            return X.lincomb(-1 * step, g, 1.0, v, out=state.buffer("new", X))
        arg = X.lincomb(-1 * step, g, 1.0, v, out=state.buffer("arg", X))
        return proximal(problem.prox, arg, step, state.buffer("new", X))

    def _search(
        self, problem: _Problem, state: State, v: Array, g: Array, q: Array
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
        self, problem: _Problem, state: State, new: Array, changed: dict[str, Any]
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


class ISTA(ProximalGradient):
    """Iterative shrinkage-thresholding, the proximal gradient method (forward-backward splitting).

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term; it must have a gradient.
    regularizer : Functional, optional
        Terms with a Lipschitz gradient, and others whose sum has a proximal map (`L1`, constraints,
        `TotalVariation`).
    step_size : float, sequence or callable, optional
        ``1 / L`` by default, from certified norms.
    backtracking : bool, default False
        Begin with ``step_size`` and halve it where the smooth part rises above its quadratic model: for
        gradients without a known Lipschitz constant. Each sample of a batch has its own.
    tolerance : float, optional
        Stop when ``|v - x| / |x|`` falls so low for the proximal gradient step from v to x: an optimality
        residual.

    Raises
    ------
    NotSupportedError
        If a term has neither a Lipschitz gradient nor a proximal map in the sum; the message names it.
    ArgumentError
        If a step is not positive, or when run surely too long.

    Warns
    -----
    AccuracyWarning
        When run, if the step may be too long.

    Notes
    -----
    Converges for steps below ``2 / L`` with convex terms, where L is the Lipschitz constant of the
    gradient of the smooth part; with ``1 / L`` the objective lies below ``L |x_0 - x|^2 / (2 k)`` above
    the minimum.

    Memory beyond the data: 4 volumes and 2 sinograms. Cost per iteration: one application and one
    transpose; with backtracking one application more for each step that is tried.

    References
    ----------
    I. Daubechies, M. Defrise and C. De Mol, "An iterative thresholding algorithm for linear inverse
    problems with a sparsity constraint", Comm. Pure Appl. Math. 57, 2004. P. L. Combettes and V. R. Wajs,
    "Signal
    recovery by proximal forward-backward splitting", Multiscale Model. Simul. 4, 2005.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solvers.ISTA(A, regularizer=fn.L1(A.domain), iterations=100)(np.array([3.0, 0.4])).round(
    ...     6
    ... ).tolist()
    [2.0, 0.0]
    """


class ProjectedGradient(ISTA):
    """The projected gradient method: `ISTA` whose proximal map is the projection onto a convex set.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
    regularizer : Functional
        The indicator of a convex set, such as `NonNegative`, `Box`, `L2Ball`; beside it terms with a
        Lipschitz gradient.
    step_size : float, sequence or callable, optional
        ``1 / L`` by default, from certified norms.
    backtracking : bool, default False
        As for `ISTA`.
    tolerance : float, optional
        As for `ISTA`.

    Raises
    ------
    ArgumentError
        If the regulariser holds no indicator of a set.
    NotSupportedError
        If a term has neither a Lipschitz gradient nor a projection.

    Notes
    -----
    Converges for steps below ``2 / L``. Memory beyond the data: 4 volumes and 2 sinograms. Cost per
    iteration:
    one application and one transpose.

    References
    ----------
    D. P. Bertsekas, "Nonlinear Programming", Athena Scientific, 1999, section 2.3.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> box = fn.Box(A.domain, 0, 1)
    >>> solvers.ProjectedGradient(A, regularizer=box)(np.array([3.0, -0.4])).round(6).tolist()
    [1.0, 0.0]
    """

    def _regularizer_parts(self) -> Any:
        # What has a gradient is used by it, also where a joint proximal map would be known: the projection
        # is to remain one.
        name, smooth, total = type(self).__name__, [], None
        for term in [] if self.regularizer is None else self.regularizer.terms():
            if is_smooth(term, lipschitz=not self.backtracking):
                smooth.append(term)
            else:
                own = as_functional(term)
                total = own if total is None else total + own
        return Parts(tuple(smooth), take_apart(total, name, proximable=True).prox, ())

    def __post_init__(self) -> None:
        super().__post_init__()
        prox = self._regularizer_parts().prox
        if not isinstance(prox, Indicator):
            raise ArgumentError(
                f"ProjectedGradient needs the indicator of a set, such as fn.NonNegative(X), in the "
                f"regularizer, got {prox}; ISTA and FISTA take any functional with a proximal map"
            )


class FISTA(ProximalGradient):
    """The fast proximal gradient method (Beck and Teboulle): `ISTA` with Nesterov's momentum.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    fidelity : callable, default `opalg.functionals.LeastSquares`
        Makes the data term; it must have a gradient.
    regularizer : Functional, optional
        Terms with a Lipschitz gradient, and others whose sum has a proximal map (`L1`, constraints,
        `TotalVariation`).
    step_size : float, sequence or callable, optional
        ``1 / L`` by default, from certified norms.
    backtracking : bool, default False
        As for `ISTA`.
    monotone : bool, default False
        Accept a new point only if the objective falls (MFISTA).
    restart : bool, default False
        Drop the momentum when it points uphill (O'Donoghue and Candès): linear convergence for strongly
        convex objectives of unknown modulus. Each sample of a batch decides for itself.
    tolerance : float, optional
        As for `ISTA`.

    Raises
    ------
    NotSupportedError
        If a term has neither a Lipschitz gradient nor a proximal map in the sum; the message names it.
    ArgumentError
        If a step is not positive, or when run surely too long.

    Warns
    -----
    AccuracyWarning
        When run, if the step may be too long.

    Notes
    -----
    Converges for steps up to ``1 / L`` with convex terms; the objective then lies at most
    ``2 L |x_0 - x|^2 / (k + 1)^2`` above the minimum, and no first-order method is better in general.

    Memory beyond the data: 5 volumes and 2 sinograms. Cost per iteration: one application and one
    transpose; monotone one application more, with backtracking one more for each step that is tried.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
    SIAM J. Imaging Sci. 2, 2009; "Fast gradient-based algorithms for constrained total variation image
    denoising and deblurring problems", IEEE Trans. Image Process. 18, 2009. B. O'Donoghue and E. Candès,
    "Adaptive
    restart for accelerated gradient schemes", Found. Comput. Math. 15, 2015.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solvers.FISTA(A, regularizer=fn.L1(A.domain), iterations=200)(np.array([3.0, 0.4])).round(
    ...     4
    ... ).tolist()
    [2.0, 0.0]
    """

    monotone: bool = False
    restart: bool = False
    longest = 1.0
    momentum = True

    def _more_variables(self, problem: _Problem, x: Array) -> dict[str, Any]:
        if not self.monotone:
            return {}
        return {"objective": judge(self._value(problem, State(x), x))}

    def _value(self, problem: _Problem, state: State, x: Array) -> Any:
        q = self.operator(x, out=state.buffer("image", self.operator.range))
        value = judge(problem.smooth.value(state, x, q))
        if problem.prox is not None:
            value = value + judge(problem.prox(x))
        return value

    def _finish(
        self, problem: _Problem, state: State, new: Array, changed: dict[str, Any]
    ) -> State:
        X, x, v = self.operator.domain, state.x, state.v
        t = 0.5 * (1 + np.sqrt(1 + 4 * np.asarray(state.t) ** 2))
        beta, gamma = (np.asarray(state.t) - 1) / t, np.zeros_like(t)
        following = new
        if self.monotone:
            value = self._value(problem, state, new)
            worse = np.greater(value, state.objective)
            changed["objective"] = np.where(worse, state.objective, value)
            if not np.ndim(value):
                changed["objective"] = float(changed["objective"])
            if np.any(worse):
                # The better of the two is kept, while the momentum goes on towards the new point.
                following = select(X, worse, x, new, state.buffer("arg", X))
                gamma = np.where(worse, np.asarray(state.t) / t, 0.0)
                beta = np.where(worse, 0.0, beta)
        if self.restart:
            uphill = self._uphill(state, v, new, x)
            t, beta = np.where(uphill, 1.0, t), np.where(uphill, 0.0, beta)
        moved = X.lincomb(
            per_sample(1 + beta, x), following, per_sample(-beta, x), x, out=state.buffer("v", X)
        )
        if np.any(gamma):
            moved = X.lincomb(per_sample(gamma, x), new, 1.0, moved, out=state.buffer("v", X))
            moved = X.lincomb(
                per_sample(-gamma, x), following, 1.0, moved, out=state.buffer("v", X)
            )
        t = t if np.ndim(t) else float(t)
        return state.advance(x=following, v=moved, t=t, **changed)

    def _uphill(self, state: State, v: Array, new: Array, x: Array) -> Any:
        """Whether ``<v - new, new - x>`` is positive: the step goes against the momentum."""
        X = self.operator.domain
        back = X.lincomb(1.0, v, -1.0, new, out=state.buffer("g", X))
        along = X.lincomb(1.0, new, -1.0, x, out=state.buffer("v", X))
        return np.greater(judge(pairing(X, back, along)), 0)


def is_schedule(step: Any) -> bool:
    """Whether a step is to be asked of the state, since it changes or is trained."""
    return not isinstance(step, (int, float, np.number))


def _numbers(schedule: Any) -> list[float]:
    """The numbers in a schedule that are known before it runs."""
    if schedule is None or (callable(schedule) and not is_array(schedule)):
        return []
    if is_array(schedule):
        return [float(value) for value in np.ravel(as_numpy(schedule))]
    values = schedule if isinstance(schedule, tuple) else (schedule,)
    return [float(value) for value in values if isinstance(value, (int, float, np.number))]


def _rounding(space: Any) -> float:
    while hasattr(space, "spaces"):
        space = space[0]
    return 4 * float(np.finfo(space.dtype).eps)
