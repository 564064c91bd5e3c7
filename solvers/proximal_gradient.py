"""Proximal gradient methods: ISTA, FISTA and projected gradient, thin names over one shared step."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.functionals.indicators import Indicator
from opalg.solvers.objective import Parts, as_functional, is_smooth, take_apart
from opalg.solvers.proximal_gradient_step import ProximalGradient, ProximalProblem
from opalg.solvers.splits import judge, pairing, per_sample, select
from opalg.solvers.state import State

__all__ = ["FISTA", "ISTA", "ProjectedGradient"]


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

    def _more_variables(self, problem: ProximalProblem, x: Array) -> dict[str, Any]:
        if not self.monotone:
            return {}
        return {"objective": judge(self._value(problem, State(x), x))}

    def _value(self, problem: ProximalProblem, state: State, x: Array) -> Any:
        q = self.operator(x, out=state.buffer("image", self.operator.range))
        value = judge(problem.smooth.value(state, x, q))
        if problem.prox is not None:
            value = value + judge(problem.prox(x))
        return value

    def _finish(
        self, problem: ProximalProblem, state: State, new: Array, changed: dict[str, Any]
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
