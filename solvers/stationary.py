"""Stationary iterations: each step adds a fixed linear function of the residual."""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array, namespace
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.solvers.solver import Schedule, Solver
from opalg.solvers.state import State
from opalg.solvers.vectors import clip, in_inference_mode, length, multiply, parts, plain
from opalg.spaces import Blocks

__all__ = ["SIRT", "Landweber"]

_SAFETY = 1.1  # on a norm that is only estimated: power sequences come within a few percent


class Landweber(Solver):
    """Landweber's iteration, gradient descent for ``|A(x) - y|^2 / 2``: ``x += step A.H(y - A(x))``.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    step_size : float, sequence or callable, optional
        ``1 / upper ** 2`` by default, where ``upper`` is the certified bound in ``operator.norm_bounds()``
        (where there is none, 1.1 times the estimate). A sequence has one value per step; a callable is
        asked with the number of the step.

    Raises
    ------
    ArgumentError
        When run, if a step size is not positive, or so long that the iteration surely diverges.

    Warns
    -----
    AccuracyWarning
        When run, if the step size may be too long: the norm lies in a bracket, and the step size suits only
        a part of it.

    Notes
    -----
    Converges for ``0 < step < 2 / |A|^2`` from x = 0 to the solution of least squares of smallest norm, the
    error along a singular vector with value s falling by ``|1 - step s^2|`` per iteration. Stopped
    early it damps the small singular values.

    Memory beyond the data: 2 volumes and 1 sinogram (the norm, measured once per operator, takes more for
    a moment). Cost per iteration: one application and one transpose. ``residual`` is that of the
    iterate after the step. Starting from an array costs one application more.

    References
    ----------
    L. Landweber, "An iteration formula for Fredholm integral equations of the first kind", Amer. J.
    Math. 73, 1951.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.Diagonal(np.array([1.0, 2.0]))
    >>> solvers.Landweber(A, iterations=200)(np.array([1.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    step_size: Schedule | None = None

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x`` and its residual ``r = y - A(x)``; the step size, if it is to be found."""
        step_size = self._default_step() if self.step_size is None else None
        if self.step_size is not None:
            self._check_steps()
        return _with_residual(self, y, x, **({} if step_size is None else {"step_size": step_size}))

    def step(self, state: State, y: Array) -> State:
        """``x += step * A.H(r)``, then ``r = y - A(x)``."""
        A, X = self.operator, self.operator.domain
        step = state.step_size if self.step_size is None else state.value(self.step_size)
        g = A.H(state.r, out=state.buffer("g", X))
        x = X.lincomb(1, state.x, step, g, out=state.buffer("x", X))
        return _advance_with_residual(self, state, x, y)

    def _default_step(self) -> float:
        upper = self.operator.norm_bounds().upper
        if not math.isfinite(upper):
            upper = _SAFETY * self.operator.norm()
        return 1 / upper**2 if upper else 1.0

    def _check_steps(self) -> None:
        steps = _numbers(self.step_size)
        if not all(math.isfinite(step) and step > 0 for step in steps):
            raise ArgumentError(
                f"the step size of Landweber must be positive and finite, got {self.step_size!r:.80}"
            )
        if not steps:
            return
        lower, upper = self.operator.norm_bounds()
        longest = max(steps)
        if lower > 0 and longest >= 2 / lower**2:
            raise ArgumentError(
                f"the step size {longest:g} of Landweber is too long: it must be below 2 / |A|^2 <= "
                f"{2 / lower**2:g}; leave it out for 1 / |A|^2"
            )
        if longest >= 2 / upper**2:
            warnings.warn(
                f"Landweber may diverge: its step size {longest:g} must be below 2 / |A|^2, which lies "
                f"between {2 / upper**2:g} and {2 / lower**2 if lower else math.inf:g}",
                AccuracyWarning,
                stacklevel=6,
            )


class SIRT(Solver):
    """Simultaneous iterative reconstruction technique: ``x += relaxation C A.H(R (y - A(x)))``.

    ``R`` and ``C`` divide by the row sums ``A(1)`` and the column sums ``A.H(1)``. Rows and columns that sum
    to zero (rays that miss the volume, voxels that no ray hits) have weight zero: such voxels keep
    their value.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries.
    iterations : int, default 100
    relaxation : float, sequence or callable, default 1.0
        Between 0 and 2. A sequence has one value per step; a callable is asked with the number of the step.
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every step: ``minimum=0`` for attenuation.

    Raises
    ------
    ArgumentError
        If the relaxation leaves (0, 2), the bounds are in the wrong order or the space is complex; when
        run, if a row or column of the operator has a negative sum.

    Warns
    -----
    AccuracyWarning
        If the operator does not say that its entries are non-negative.

    Notes
    -----
    Converges, for a relaxation in (0, 2) and non-negative entries, to a minimum of ``sum(R |A(x) - y|^2)``
    (with bounds: among the x that keep them), because ``R`` and ``C`` give ``C A.H R A`` the norm 1.

    Memory beyond the data: 3 volumes and 2 sinograms, one of each for the weights, which the solver
    keeps for its next run. Cost per iteration: one application and one transpose; before the first
    run one more of each. ``residual`` is the plain norm of ``y - A(x)`` after the step. Starting from an
    array costs one application more. If the operator is trained the weights are made anew in each step.

    References
    ----------
    J. Gregor and T. Benson, "Computational analysis and improvement of SIRT", IEEE Trans. Med. Imaging 27,
    2008. P. Gilbert, "Iterative methods for the three-dimensional reconstruction of an object from
    projections", J. Theor. Biol. 36, 1972.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> solvers.SIRT(A, iterations=300)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    relaxation: Schedule = 1.0
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0 < value < 2 for value in _numbers(self.relaxation)):
            raise ArgumentError(
                f"the relaxation of SIRT must lie between 0 and 2, got {self.relaxation!r:.80}"
            )
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if any(math.isnan(bound) for bound in bounds) or bounds != sorted(bounds):
            raise ArgumentError(
                f"minimum must not exceed maximum, got minimum={self.minimum!r}, "
                f"maximum={self.maximum!r}"
            )
        if self.operator.domain.is_complex or self.operator.range.is_complex:
            raise ArgumentError("SIRT is for real spaces; use Landweber or CGLS for complex ones")
        if not (self.operator.nonnegative or self.operator.trainable):
            warnings.warn(
                f"SIRT converges for operators with non-negative entries; {self.operator} does not say that "
                "it is one (nonnegative = True in its class does)",
                AccuracyWarning,
                stacklevel=4,
            )

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x`` and its residual ``r = y - A(x)``."""
        self._weights(y)  # made here, so that an error comes before the work
        return _with_residual(self, y, x)

    def step(self, state: State, y: Array) -> State:
        """``x += relaxation * C A.H(R r)``, forced between the bounds, then ``r = y - A(x)``."""
        A, X, Y = self.operator, self.operator.domain, self.operator.range
        R, C = self._weights(y)
        weighted = multiply(state.r, R, state.buffer("r", Y))
        g = A.H(weighted, out=state.buffer("g", X))
        g = multiply(g, C, state.buffer("g", X))
        relaxation = state.value(self.relaxation)
        x = X.lincomb(1, state.x, relaxation, g, out=state.buffer("x", X))
        if self.minimum is not None or self.maximum is not None:
            x = clip(x, self.minimum, self.maximum, state.buffer("x", X))
        return _advance_with_residual(self, state, x, y)

    def _weights(self, y: Array) -> tuple[Array, Array]:
        """``R`` and ``C`` in the library and on the device of the data."""
        first = parts(y)[0]
        if self.trainable:
            return self._make_weights(first)
        place = (type(first), getattr(first, "device", None), in_inference_mode(first))
        if place not in self._known_weights:
            self._known_weights[place] = self._make_weights(first)
        return self._known_weights[place]

    @cached_property
    def _known_weights(self) -> dict[Any, tuple[Array, Array]]:
        return {}

    def _make_weights(self, like: Array) -> tuple[Array, Array]:
        A = self.operator
        rows = _reciprocal(A(A.domain.ones(like=like)), f"a row of {A}")
        return rows, _reciprocal(A.H(A.range.ones(like=like)), f"a column of {A}")


def _with_residual(solver: Solver, y: Array, x: Array | None, **variables: Any) -> State:
    """The state at ``x`` with ``r = y - A(x)``, which costs nothing at zero."""
    Y = solver.operator.range
    r = y if x is None else Y.lincomb(1, y, -1, solver.operator(x))
    return solver.start(y, x, r=r, residual=length(plain(Y), r), **variables)


def _advance_with_residual(solver: Solver, state: State, x: Array, y: Array) -> State:
    """The state at a new ``x`` with its residual, so that stop rules judge the iterate that is there."""
    Y = solver.operator.range
    r = solver.operator(x, out=state.buffer("r", Y))
    r = Y.lincomb(1, y, -1, r, out=state.buffer("r", Y))
    return state.advance(x=x, r=r, residual=length(plain(Y), r))


def _numbers(schedule: Any) -> list[float]:
    """The numbers in a schedule that are known before it runs."""
    if is_array(schedule):
        return [float(value) for value in np.ravel(as_numpy(schedule))]
    values = schedule if isinstance(schedule, tuple) else (schedule,)
    return [float(value) for value in values if isinstance(value, (int, float, np.number))]


def _reciprocal(sums: Array, what: str) -> Array:
    """``1 / sums``, zero where a sum is zero to rounding, in the memory of ``sums`` where possible."""
    if isinstance(sums, Blocks):
        return Blocks(_reciprocal(part, what) for part in sums)
    values = as_numpy(sums)
    top = float(abs(values).max())
    nothing = top * float(np.finfo(values.dtype).eps)
    if float(values.min()) < -nothing:
        raise ArgumentError(
            f"SIRT needs an operator with non-negative entries, but {what} sums to {values.min():g}"
        )
    if isinstance(sums, np.ndarray):
        seen = sums > nothing
        np.divide(1, sums, out=sums, where=seen)
        sums[~seen] = 0
        return sums
    xp = namespace(sums)
    seen = sums > nothing
    divisor = xp.where(seen, sums, xp.ones_like(sums))
    return xp.where(seen, 1 / divisor, xp.zeros_like(sums))
