"""Stationary iterations: each step adds a fixed linear function of the residual.

They are one iteration, over one subset of the equations after the other,

    x  <-  P(x + relaxation C_i A_i.H R_i (y_i - A_i(x))) ,

with weights ``R`` of rows and ``C`` of columns and a projection ``P`` onto bounds. Landweber has neither
weights nor subsets, SIRT divides by row and column sums; SART is in
`opalg.solvers.row_action`, Kaczmarz and Cimmino are in `opalg.solvers.rows`.
"""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from opalg.arrays import Array, in_inference_mode
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.operators import LinearOperator, Operator, column_weights, row_weights
from opalg.solvers.schedules import Limits, RelaxationLimits, schedule_numbers
from opalg.solvers.solver import Schedule, Solver
from opalg.solvers.state import State
from opalg.solvers.subsets import Subset, split
from opalg.solvers.vectors import clip, length, multiply, parts, plain

__all__ = ["SIRT", "Landweber", "Stationary", "Weights"]

_SAFETY = 1.1  # on a norm that is only estimated: power sequences come within a few percent


class Weights(NamedTuple):
    """The weights of the subsets; None stands for ones."""

    rows: tuple[Array | None, ...]
    """One per subset, an element of its range."""
    columns: Array | None
    """For all subsets."""


class Stationary(Solver):
    """Base of the family: a subclass says which subsets, weights and relaxation.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every update.
    constraint : Operator, optional
        From the space of ``x`` to itself, applied after every update: a projection such as
        ``fn.Simplex(X).prox(1.0)``, or any other map that keeps what is known of ``x``.
    """

    minimum: float | None = None
    maximum: float | None = None
    constraint: Operator | None = None

    records: ClassVar[tuple[str, ...]] = ("residual", "running_residual")

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if not all(isinstance(bound, (int, float, np.number)) for bound in bounds):
            raise ArgumentError(
                f"minimum and maximum must be numbers, got {self.minimum!r} and {self.maximum!r}"
            )
        if any(math.isnan(bound) for bound in bounds) or bounds != sorted(bounds):
            raise ArgumentError(
                f"minimum must not exceed maximum, got minimum={self.minimum!r}, "
                f"maximum={self.maximum!r}"
            )
        if bounds and self.operator.domain.is_complex:
            raise ArgumentError("minimum and maximum are for real spaces; leave them out")
        P, X = self.constraint, self.operator.domain
        if P is not None and not (isinstance(P, Operator) and P.domain == X == P.range):
            given = f"{P.domain} -> {P.range}" if isinstance(P, Operator) else type(P).__name__
            raise ArgumentError(
                f"constraint of {type(self).__name__} must be an operator from {X} to itself, such as "
                f"fn.NonNegative(A.domain).prox(1.0), got {given}"
            )

    # What subclasses choose

    _subset_count: int | None = 1

    def _order(self, iteration: int) -> list[int]:
        """The subsets in the order of their turns."""
        return list(range(len(self._subsets)))

    def _variables(self) -> dict[str, Any]:
        """What else the state carries."""
        return {}

    def _relaxation(self, state: State, y: Array) -> Any:
        """The factor of this step."""
        raise NotImplementedError

    def _make_weights(self, like: Array) -> Weights:
        """Weights in the library and on the device of ``like``."""
        return Weights((None,) * len(self._subsets), None)

    # The iteration

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x``; with one subset also its residual ``r = y - A(x)``, which costs nothing at zero."""
        self._weights(y)  # made here, so that an error comes before the work
        variables = self._variables()
        if len(self._subsets) > 1:
            return self.start(y, x, **variables)
        Y = self.operator.range
        r = y if x is None else Y.lincomb(1, y, -1, self.operator(x))
        return self.start(y, x, r=r, residual=length(plain(Y), r), **variables)

    def step(self, state: State, y: Array) -> State:
        """One pass over the subsets, each of which changes ``x``."""
        if len(self._subsets) > 1:
            return self._pass(state, y)
        A, Y = self.operator, self.operator.range
        weights, relaxation = self._weights(y), self._relaxation(state, y)
        x = self._update(state, 0, state.x, state.r, y, weights, relaxation)
        # The residual at the new x, so that stop rules judge the iterate that is there.
        r = A(x, out=state.buffer("r", Y))
        r = Y.lincomb(1, y, -1, r, out=state.buffer("r", Y))
        return state.advance(x=x, r=r, residual=length(plain(Y), r))

    def _pass(self, state: State, y: Array) -> State:
        data = state.keep("subsets", y, lambda y: [subset.cut(y) for subset in self._subsets])
        weights, relaxation = self._weights(y), self._relaxation(state, y)
        x, square = state.x, 0.0
        for i in self._order(state.iteration):
            subset, name = self._subsets[i], self._names[i]
            Y = subset.operator.range
            r = subset.operator(x, out=state.buffer(name, Y))
            r = Y.lincomb(1, data[i], -1, r, out=state.buffer(name, Y))
            square = square + length(plain(Y), r) ** 2
            x = self._update(state, i, x, r, y, weights, relaxation)
        return state.advance(x=x, running_residual=square**0.5)

    def _update(
        self, state: State, i: int, x: Array, r: Array, y: Array, weights: Weights, relaxation: Any
    ) -> Array:
        """``x`` after the turn of subset ``i`` with residual ``r``, which is overwritten."""
        X, part, name = self.operator.domain, self._subsets[i].operator, self._names[i]
        R, C = weights.rows[i], weights.columns
        if R is not None:
            r = multiply(r, R, state.buffer(name, part.range))
        g = part.H(r, out=state.buffer("g", X))
        C = self._columns(state, i, y) if C is None else C
        if C is not None:
            g = multiply(g, C, state.buffer("g", X))
        x = X.lincomb(1, x, relaxation, g, out=state.buffer("x", X))
        if self.minimum is not None or self.maximum is not None:
            x = clip(x, self.minimum, self.maximum, state.buffer("x", X))
        if self.constraint is not None:
            x = self.constraint(x, out=state.buffer("x", X))
        return x

    def _columns(self, state: State, i: int, y: Array) -> Array | None:
        """Weights of columns that differ from subset to subset."""
        return None

    # What is made once

    @cached_property
    def _subsets(self) -> tuple[Subset, ...]:
        return split(self.operator, self._subset_count, type(self).__name__)

    @cached_property
    def _names(self) -> list[str]:
        many = len(self._subsets) > 1
        return [f"r {subset.name}" if many else "r" for subset in self._subsets]

    def _weights(self, like: Array) -> Weights:
        first = parts(like)[0]
        if self.trainable:
            return self._make_weights(first)
        place = (type(first), getattr(first, "device", None), in_inference_mode(first))
        if place not in self._known_weights:
            self._known_weights[place] = self._make_weights(first)
        return self._known_weights[place]

    @cached_property
    def _known_weights(self) -> dict[Any, Weights]:
        return {}


class Landweber(Stationary):
    """Landweber's iteration, gradient descent for ``|A(x) - y|^2 / 2``: ``x += step A.H(y - A(x))``.

    Parameters
    ----------
    operator : LinearOperator
    iterations : int, default 100
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every step (projected Landweber).
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.
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
    Converges for ``0 < step < 2 / |A|^2`` from x = 0 to the solution of least squares of smallest norm,
    the error along a singular vector with value s falling by ``|1 - step s^2|`` per iteration. Stopped
    early it damps the small singular values. With bounds it converges to a least squares solution that
    keeps them.

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

    _step_name = "step_size"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._schedule is not None:
            Limits(type(self).__name__, self._word).check(self._schedule)

    def _variables(self) -> dict[str, Any]:
        """The step size, if it is to be found."""
        if self._schedule is None:
            return {"step_size": self._default_step()}
        if schedule_numbers(self._schedule):
            self._limits().check(self._schedule)
        return {}

    @property
    def _schedule(self) -> Any:
        return getattr(self, self._step_name)

    @property
    def _weighted_operator(self) -> LinearOperator:
        """Whose norm limits the step."""
        return self.operator

    def _relaxation(self, state: State, y: Array) -> Any:
        if self._schedule is None:
            return state.step_size
        # For this run, so that it warns once, and bounds the operator as it is now if that is trained.
        limits = lambda: state.keep("limits", y, lambda y: self._limits())  # noqa: E731
        return state.value(self._schedule, limits)

    def _default_step(self) -> float:
        upper = self._weighted_operator.norm_bounds().upper
        if not math.isfinite(upper):
            upper = _SAFETY * self._weighted_operator.norm()
        return 1 / upper**2 if upper else 1.0

    @property
    def _word(self) -> str:
        return self._step_name.replace("_", " ")

    def _limits(self) -> Limits:
        lower, upper = self._weighted_operator.norm_bounds()
        last = 2 / lower**2 if lower > 0 else math.inf
        first = 2 / upper**2 if upper > 0 else math.inf
        return Limits(
            type(self).__name__,
            self._word,
            first,
            lambda: last,
            "it must be below 2 / |A|^2 <= {fatal}; leave it out for 1 / |A|^2",
            f"must be below 2 / |A|^2, which lies between {first:g} and {last:g}",
        )


class SIRT(Stationary):
    """Simultaneous iterative reconstruction technique: ``x += relaxation C A.H(R (y - A(x)))``.

    ``R`` and ``C`` divide by the row sums ``A(1)`` and the column sums ``A.H(1)``. Rows and columns that
    sum to zero (rays that miss the volume, voxels that no ray hits) have weight zero: such voxels keep
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
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.

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

    Memory beyond the data: 3 volumes and 2 sinograms, one of each for the weights, which the operator
    keeps for all solvers. Cost per iteration: one application and one transpose; before the first
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

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        RelaxationLimits(name).check(self.relaxation)
        if self.operator.domain.is_complex or self.operator.range.is_complex:
            raise ArgumentError(
                f"{name} is for real spaces; use Landweber or CGLS for complex ones"
            )
        if not (self.operator.nonnegative or self.operator.trainable):
            warnings.warn(
                f"{name} converges for operators with non-negative entries; {self.operator} does not say "
                "that it is one (nonnegative = True in its class does)",
                AccuracyWarning,
                stacklevel=4,
            )

    def _relaxation(self, state: State, y: Array) -> Any:
        return state.value(self.relaxation, lambda: RelaxationLimits(type(self).__name__))

    def _make_weights(self, like: Array) -> Weights:
        A = self.operator
        return Weights((row_weights(A, like),), column_weights(A, like))
