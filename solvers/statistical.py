"""Expectation maximisation for counts: MLEM, OSEM with ordered subsets, MAP-EM with a prior."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any, ClassVar

from opalg.arrays import Array, as_numpy, copy
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.functionals import Functional
from opalg.functionals.entries import Field
from opalg.functionals.metric import meet
from opalg.operators import LinearOperator, column_sums, row_sums
from opalg.solvers.objective import Objective, take_apart
from opalg.solvers.solver import Solver
from opalg.solvers.state import State
from opalg.solvers.subsets import KEPT, Subset, golden_order, split
from opalg.solvers.vectors import (
    length,
    multiply,
    parts,
    plain,
    quotient,
    refuse_negative,
)

__all__ = ["MAPEM", "MLEM", "OSEM"]


class MLEM(Solver):
    """Maximum likelihood for Poisson counts by expectation maximisation: ``x *= A.H(y / A(x)) / A.H(1)``.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries: the expected counts are ``A(x) + background``.
    iterations : int, default 100
        The noise grows with them: stop early, or use `MAPEM`.
    background : float or array, default 0.0
        Expected counts that do not come from ``x`` (scatter, randoms); at least 0.

    Raises
    ------
    ArgumentError
        If space or background are not real and at least 0; when run, if data or start are negative, or a
        column of the operator has a negative sum.

    Warns
    -----
    AccuracyWarning
        If the operator does not say that its entries are non-negative.

    Notes
    -----
    Converges from any positive start (ones by default) to a maximum of the likelihood, which grows in
    every step; ``x`` stays at least 0. Without background the counts are preserved: ``sum(A(x)) =
    sum(y)``. Voxels that no ray meets are 0 (or keep the value of a given start), and rays whose
    expectation is 0 do not count.

    Memory beyond the data: 3 volumes and 2 sinograms, one volume of which is the sensitivity ``A.H(1)``,
    which the operator keeps for all solvers. Cost per iteration: one application and one transpose; before
    the first one more of each. ``residual`` is the plain norm of ``A(x) + background - y`` after the step.

    References
    ----------
    L. A. Shepp and Y. Vardi, "Maximum likelihood reconstruction for emission tomography", IEEE Trans.
    Med. Imaging 1, 1982. K. Lange and R. Carson, "EM reconstruction algorithms for emission and
    transmission tomography", J. Comput. Assist. Tomogr. 8, 1984.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> solvers.MLEM(A, iterations=200)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    background: Any = 0.0

    _subset_count: int | None = 1

    records: ClassVar[tuple[str, ...]] = ("residual", "running_residual")

    def __post_init__(self) -> None:
        super().__post_init__()
        name, A = type(self).__name__, self.operator
        if A.domain.is_complex or A.range.is_complex:
            raise ArgumentError(f"{name} is for real spaces, where counts live; got {A}")
        if not (A.nonnegative or A.trainable):
            warnings.warn(
                f"{name} needs an operator with non-negative entries; {A} does not say that it is one "
                "(nonnegative = True in its class does)",
                AccuracyWarning,
                stacklevel=4,
            )
        self._background = Field(self.background, A.range, f"the background of {name}")
        if self._background.smallest() < 0:
            raise ArgumentError(f"the background of {name} must be at least 0 everywhere")

    # The protocol

    def _checked(self, y: Array) -> Array:
        y = super()._checked(y)
        refuse_negative(y, f"the data of {self}")
        return y

    def initial(self, y: Array, x: Array | None = None) -> State:
        """``x`` (ones, if it is not given); with one subset also the expected counts ``q``."""
        X, like = self.operator.domain, parts(y)[0]
        sums = self._sensitivity(y)
        refuse_negative(sums, f"the sensitivity of {self.operator}, its column sums,")
        if x is None:
            x = X.empty(like=like, batch=self.operator.range.batch_shape(y))
            x = quotient(sums, sums, x)  # one where a ray passes, zero elsewhere
        else:
            refuse_negative(x, f"the start of {self}")
        if len(self._subsets) > 1:
            return self.start(y, x)
        q = self._expected(0, x, None, self._background_parts(y))
        Y = self.operator.range
        scratch = Y.empty(like=like, batch=Y.batch_shape(y))
        return self.start(y, x, q=q, residual=self._distance(y, q, scratch))

    def step(self, state: State, y: Array) -> State:
        """``x *= A.H(y / q) / A.H(1)``, then ``q = A(x) + background``; or a pass over the subsets."""
        background = state.keep("background", y, self._background_parts)
        if len(self._subsets) > 1:
            return self._pass(state, y, background)
        Y = self.operator.range
        ratio = quotient(y, state.q, state.buffer("ratio", Y))
        x = self._corrected(state, 0, state.x, ratio, self._denominator(state, y))
        q = self._expected(0, x, state.buffer("q", Y), background)
        return state.advance(x=x, q=q, residual=self._distance(y, q, state.buffer("ratio", Y)))

    def _pass(self, state: State, y: Array, background: list[Array | None]) -> State:
        data = state.keep("subsets", y, lambda y: [subset.cut(y) for subset in self._subsets])
        x, square = state.x, 0.0
        for i in golden_order(len(self._subsets)):
            subset = self._subsets[i]
            Y = plain(subset.operator.range)
            q_name, ratio_name = f"q {subset.name}", f"ratio {subset.name}"
            q = self._expected(i, x, state.buffer(q_name, Y), background)
            d = Y.lincomb(1, data[i], -1, q, out=state.buffer(ratio_name, Y))
            square = square + length(Y, d) ** 2
            ratio = quotient(data[i], q, state.buffer(ratio_name, Y))
            x = self._corrected(state, i, x, ratio, self._turn_sensitivity(state, i, y))
        return state.advance(x=x, running_residual=square**0.5)

    def _expected(
        self, i: int, x: Array, out: Array | None, background: list[Array | None]
    ) -> Array:
        A, more = self._subsets[i].operator, background[i]
        q = A(x, out=out)
        return q if more is None else A.range.lincomb(1, q, 1, more, out=out)

    def _corrected(self, state: State, i: int, x: Array, ratio: Array, denominator: Array) -> Array:
        """``x`` times the back projection of the ratio over the denominator, where that is positive."""
        X = self.operator.domain
        g = self._back(i)(ratio, out=state.buffer("g", X))
        g = quotient(g, denominator, state.buffer("g", X), other=1.0)
        return multiply(x, g, state.buffer("x", X))

    def _back(self, i: int) -> LinearOperator:
        return self._subsets[i].operator.H

    def _denominator(self, state: State, y: Array) -> Array:
        return self._sensitivity(y)

    def _distance(self, y: Array, q: Array, out: Array | None) -> Any:
        Y = plain(self.operator.range)
        return length(Y, Y.lincomb(1, y, -1, q, out=out))

    # What is made once

    @cached_property
    def _subsets(self) -> tuple[Subset, ...]:
        return split(self.operator, self._subset_count, type(self).__name__)

    def _background_parts(self, y: Array) -> list[Array | None]:
        """The background in subsets, with the batch axes of the data."""
        if self._background.number == 0:
            return [None] * len(self._subsets)
        Y = self.operator.range
        zero = Y.zeros(like=parts(y)[0], batch=Y.batch_shape(y))
        whole = zero + self._background.element(zero)
        return [subset.cut(whole) for subset in self._subsets]

    def _sensitivity(self, y: Array) -> Array:
        """``A.H(1)`` in the library of the data, which the operator keeps."""
        return column_sums(self.operator, parts(y)[0])

    def _turn_sensitivity(self, state: State, i: int, y: Array) -> Array:
        """``A_i.H(1)`` for one subset."""
        A, X, like = self._subsets[i].operator, self.operator.domain, parts(y)[0]
        if len(self._subsets) <= KEPT:
            return column_sums(A, like)
        if not state.in_place:
            return A.H(A.range.ones(like=like))
        # No buffers of the state, which have the batch axes of the data.
        ones = state.keep(f"ones {self._subsets[i].name}", y, lambda y: A.range.ones(like=like))
        return A.H(ones, out=state.keep("turn", y, lambda y: X.empty(like=like)))


class OSEM(MLEM):
    """Expectation maximisation with ordered subsets: `MLEM` on one subset after the other.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries, and in subsets (see `opalg.solvers.subsets`).
    iterations : int, default 100
        Passes over all subsets.
    background : float or array, default 0.0
        Expected counts that do not come from ``x``; at least 0.
    subsets : int, default 10
        How many. View i belongs to subset ``i % subsets``; consecutive subsets are far apart.

    Raises
    ------
    ArgumentError, NotSupportedError
        As `MLEM`; when run, if the operator cannot be split.

    Notes
    -----
    At first about as many times faster than `MLEM` as there are subsets. It does not converge, except for
    consistent data, but cycles near the maximum of the likelihood. Voxels that a subset does not see keep
    their value in its turn.

    Memory beyond the data: 3 volumes and 1 sinogram (the data in subsets; the background once more), and
    three arrays of a subset. The operator keeps the sensitivity of the whole, for the start, and those of
    up to 16 subsets, a volume each; of more they are computed anew in each turn, in 1 volume and the memory
    of a subset. Cost per iteration: one application and one transpose, with more than 16 subsets two.
    ``running_residual`` gathers the residuals that the pass met.

    References
    ----------
    H. M. Hudson and R. S. Larkin, "Accelerated image reconstruction using ordered subsets of projection
    data", IEEE Trans. Med. Imaging 13, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> solvers.OSEM(A, subsets=2)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    subsets: int = 10

    @property  # type: ignore[misc]
    def _subset_count(self) -> int | None:  # type: ignore[override]
        return self.subsets


class MAPEM(MLEM):
    """Maximum a posteriori for Poisson counts: expectation maximisation with a prior, one step late.

    ``x *= A.adjoint(y / q) / (A.adjoint(1) + R.gradient(x))`` with ``q = A(x) + background`` climbs
    towards the minimum of ``PoissonLikelihood(A.range, y)(A(x) + background) + R(x)``.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries.
    iterations : int, default 100
    background : float or array, default 0.0
        Expected counts that do not come from ``x``; at least 0.
    regularizer : Functional
        R, all of whose terms have a gradient: ``0.1 * fn.Huber(G.range, 0.01) @ G``.

    Raises
    ------
    NotSupportedError
        If a term has no gradient; the message names it and solvers that take it.
    ArgumentError
        As `MLEM`; when run, if the denominator is not positive: the prior is too strong for this method.

    Notes
    -----
    The gradient of the prior is that at the iterate before, hence "one step late". Fixed points are where
    the optimality conditions hold. Convergence is proved for weak priors only: the denominator must stay
    positive, which is checked in every step. `ADMM` or `PDHG` with ``fidelity=fn.PoissonLikelihood`` have
    no such condition. The objective is that of the weighted spaces; see `opalg.solvers.objective`.

    Memory beyond the data: 5 volumes and 2 sinograms, and what the prior needs. Cost per iteration: one
    application, one transpose and one gradient of the prior. ``residual`` as for `MLEM`.

    References
    ----------
    P. J. Green, "Bayesian reconstructions from emission tomography data using a modified EM algorithm",
    IEEE Trans. Med. Imaging 9, 1990. K. Lange, "Convergence of EM image reconstruction algorithms with
    Gibbs smoothing", ibid.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> from opalg import functionals as fn, solvers
    >>> A = oa.Identity(oa.Space(2, "float64"))
    >>> solvers.MAPEM(A, regularizer=0.5 * fn.SquaredL2(A.domain))(np.array([2.0, 6.0])).round(
    ...     6
    ... ).tolist()
    [1.0, 2.0]
    """

    regularizer: Functional | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        f = self.regularizer
        if not isinstance(f, Functional):
            raise ArgumentError(
                f"MAPEM needs a regularizer such as 0.1 * fn.SquaredL2(grid), got {f!r:.80}; without one "
                "use MLEM"
            )
        meet(self.operator.domain, f.domain, f"the space of the unknown and that of {f}")
        terms = take_apart(f, "MAPEM", smooth=True, lipschitz=False).smooth
        self._prior = Objective(self.operator, f, terms)

    def _back(self, i: int) -> LinearOperator:
        return self.operator.adjoint

    def _sensitivity(self, y: Array) -> Array:
        return row_sums(self.operator.adjoint, parts(y)[0])

    def _denominator(self, state: State, y: Array) -> Array:
        X, sums = self.operator.domain, self._sensitivity(y)
        found = state.buffer("denominator", X)
        if found is None:
            found = sums + X.zeros(like=parts(y)[0], batch=X.batch_shape(state.x))
        else:
            for target, value in zip(parts(found), parts(sums), strict=True):
                copy(value, target)
        found = self._prior.add_gradients(state, state.x, found, state.buffer("denominator", X))
        relative = quotient(found, sums, state.buffer("g", X), other=1.0)
        lowest = min(float(as_numpy(part).min(initial=1.0)) for part in parts(relative))
        if not lowest > 0:
            raise ArgumentError(
                f"the denominator of MAPEM fell to {lowest:g} times the sensitivity in iteration "
                f"{state.iteration + 1}: the prior is too strong for one step late; make it weaker, or use "
                "PDHG or ADMM"
            )
        return found
