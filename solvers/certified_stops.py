"""Rules that stop at a certificate: optimality conditions that nearly hold, or a small duality gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, is_torch
from opalg.errors import ArgumentError, NotSupportedError
from opalg.solvers.certificates import Certificate, gap, optimality, refuse_gap
from opalg.solvers.state import State
from opalg.solvers.stopping import Check, Rule, _after, _positive
from opalg.solvers.vectors import parts

__all__ = ["DualityGap", "Optimality"]


class Certified(Rule):
    """Base of rules that ask the solver for dual variables.

    Parameters
    ----------
    tolerance : float
    every : int
    """

    def __init__(self, tolerance: float, every: int = 10) -> None:
        self.tolerance = _positive(tolerance, f"the tolerance of {type(self).__name__}")
        if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
            raise ArgumentError(
                f"every of {type(self).__name__} must be a positive whole number, got {every!r}"
            )
        self.every = int(every)

    def for_solver(self, solver: Any) -> Rule:
        """The rule with the solver that it asks."""
        return _Asking(self, solver)

    def start(self, operator: Any, y: Array, state: State) -> Check:
        """Not without a solver."""
        raise NotSupportedError(f"{self!r} asks a solver: call rule.for_solver(solver) before")

    def _begin(self, certificate: Certificate, solver: str) -> None:
        """An error if the rule can never hold."""

    def _holds(self, certificate: Certificate) -> bool:
        raise NotImplementedError

    def _reason(self) -> str:
        raise NotImplementedError


class Optimality(Certified):
    """Stops when the optimality conditions of the objective hold up to a tolerance.

    For an objective ``sum_i f_i(K_i x) + g(x)`` with dual variables ``p_i`` of the solver the largest one of
    ``|x - prox_g(x - t sum_i K_i.adjoint(p_i))| / |x|`` and ``|p_i - prox_f_i*(p_i + s_i K_i x)| / |p_i|``,
    with steps that make them numbers without units: both vanish at a minimiser only. The same measure for
    every method, unlike the ``tolerance`` of a solver, which follows from its own steps.

    Parameters
    ----------
    tolerance : float
        Positive.
    every : int, default 10
        Iterations between two looks, each of which costs an application and a transpose of every operator
        in the objective, and arrays that are given back.

    Raises
    ------
    ArgumentError
        If a number is out of range.
    NotSupportedError
        When run, if the solver has no certificate: those of smooth and proximal objectives have.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solver = solvers.FISTA(A, regularizer=fn.L1(A.domain))
    >>> solver.solve(np.array([3.0, 4.0]), stop=solvers.Optimality(1e-6)).x.round(4).tolist()
    [2.0, 1.75]
    """

    def _holds(self, certificate: Certificate) -> bool:
        return bool(np.all(np.less_equal(optimality(certificate), self.tolerance)))

    def _reason(self) -> str:
        return f"the optimality conditions hold up to {self.tolerance:g}"


class DualityGap(Certified):
    """Stops when the objective lies at most ``tolerance`` times itself above its minimum, for certain.

    The dual objective at the solver's dual variables is a lower bound of the minimum. Where the dual problem
    does not admit them they are scaled down until it does.

    Parameters
    ----------
    tolerance : float
        Positive; times the larger modulus of objective and dual objective.
    every : int, default 10
        Iterations between two looks, each of which costs an application and a transpose of every operator
        in the objective, and arrays that are given back.

    Raises
    ------
    ArgumentError
        If a number is out of range.
    NotSupportedError
        When run, if the solver has no certificate, a conjugate has no known value, or the gap would be
        infinite: some term of x itself must bound it (a norm, a box, a denoiser's data term).

    References
    ----------
    R. T. Rockafellar, "Convex Analysis", Princeton University Press, 1970, section 31. E. Ndiaye, O. Fercoq,
    A. Gramfort and J. Salmon, "Gap safe screening rules for sparsity enforcing penalties", J. Mach. Learn.
    Res. 18, 2017, for the scaling.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solver = solvers.FISTA(A, regularizer=fn.L1(A.domain))
    >>> rule = solvers.DualityGap(1e-6) | solvers.MaxIterations(500)
    >>> solver.solve(np.array([3.0, 4.0]), stop=rule).reason
    'the duality gap fell to 1e-06 of the objective after 60 iterations'
    """

    def _begin(self, certificate: Certificate, solver: str) -> None:
        refuse_gap(certificate, solver)

    def _holds(self, certificate: Certificate) -> bool:
        primal, distance = gap(certificate)
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(primal), np.abs(primal - distance))
            return bool(np.all(np.less_equal(distance, self.tolerance * size)))

    def _reason(self) -> str:
        return f"the duality gap fell to {self.tolerance:g} of the objective"


class _Asking(Rule):
    """A certified rule with the solver that it asks."""

    def __init__(self, rule: Certified, solver: Any) -> None:
        self.rule, self.solver = rule, solver

    def start(self, operator: Any, y: Array, state: State) -> Check:
        rule, first = self.rule, state.iteration
        _unrecorded(state, lambda: rule._begin(self._ask(state, y), type(self.solver).__name__))

        def check(state: State) -> str | None:
            if (state.iteration - first) % rule.every:
                return None
            if not _unrecorded(state, lambda: rule._holds(self._ask(state, y))):
                return None
            return f"{rule._reason()} {_after(state)}"

        return check

    def _ask(self, state: State, y: Array) -> Certificate:
        found: Certificate = self.solver.certificate(state, y)
        return found

    def __repr__(self) -> str:
        return repr(self.rule)


def _unrecorded(state: State, ask: Callable[[], Any]) -> Any:
    """The answer, off PyTorch's record."""
    if not any(is_torch(part) for part in parts(state.x)):
        return ask()
    import torch

    with torch.no_grad():
        return ask()
