"""Methods of single equations: Kaczmarz and Cimmino project onto the hyperplanes of rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, is_array, namespace
from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators import LinearOperator, MatrixOperator
from opalg.operators.blocks import LinearBlockOperator, diagonal_of
from opalg.operators.sums import reciprocal
from opalg.solvers.schedules import RelaxationLimits
from opalg.solvers.solver import Schedule
from opalg.solvers.state import State
from opalg.solvers.stationary import (
    Landweber,
    Stationary,
    Weights,
)
from opalg.solvers.vectors import parts
from opalg.spaces import Blocks

__all__ = ["Cimmino", "Kaczmarz", "row_norms"]


class Kaczmarz(Stationary):
    """Kaczmarz's method (ART): projects ``x`` onto the hyperplane of one equation after the other.

    Parameters
    ----------
    operator : MatrixOperator
        Dense or sparse. For projectors, whose rows are not at hand, see `SART`.
    iterations : int, default 100
        Passes over as many rows as there are.
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every row.
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.
    relaxation : float, sequence or callable, default 1.0
        Between 0 and 2, one value per pass.
    order : {"sequential", "random"}, default "sequential"
        Random rows are drawn with probabilities proportional to their squared norms, with replacement.
    seed : int, default 0
        Of the random order; each pass has its own, so that resumed runs go on as they would have.

    Raises
    ------
    ArgumentError
        If the relaxation leaves (0, 2) or the order is unknown.
    NotSupportedError
        If the operator is no matrix.

    Notes
    -----
    Converges for consistent equations to the solution nearest to the start. In random order the expected
    squared error falls at least by ``1 - 1 / (|A|_F^2 |A^-1|^2)`` per row. For inconsistent equations see
    `OSSIRT`.

    Memory beyond the data: 2 volumes and 1 sinogram (and the norms of the rows). Cost per iteration: one
    application and one transpose, row by row; each row changes a whole volume, also where the matrix is
    sparse. Residuals as for `OSSART`.

    References
    ----------
    S. Kaczmarz, "Angenäherte Auflösung von Systemen linearer Gleichungen", Bull. Acad. Polon. Sci. A35,
    1937. R. Gordon, R. Bender and G. Herman, "Algebraic reconstruction techniques (ART)", J. Theor. Biol.
    29, 1970. T. Strohmer and R. Vershynin, "A randomized Kaczmarz algorithm with exponential
    convergence", J. Fourier Anal. Appl. 15, 2009.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> solvers.Kaczmarz(A)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    relaxation: Schedule = 1.0
    order: str = "sequential"
    seed: int = 0

    _subset_count = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.operator, MatrixOperator):
            raise NotSupportedError(
                f"Kaczmarz takes a matrix by its rows, got {self.operator}; use SART, which takes views"
            )
        RelaxationLimits("Kaczmarz").check(self.relaxation)
        if self.order not in ("sequential", "random"):
            raise ArgumentError(
                f"the order of Kaczmarz is 'sequential' or 'random', got {self.order!r}"
            )

    def _relaxation(self, state: State, y: Array) -> Any:
        return state.value(self.relaxation, lambda: RelaxationLimits("Kaczmarz"))

    def _order(self, iteration: int) -> list[int]:
        count = len(self._subsets)
        if self.order == "sequential":
            return list(range(count))
        squares = np.asarray(row_norms(self.operator)).ravel().astype(np.float64)
        if not squares.any():
            return []
        rng = np.random.default_rng([self.seed, iteration])
        return rng.choice(count, size=count, p=squares / squares.sum()).tolist()

    def _make_weights(self, like: Array) -> Weights:
        squares = [self._square(subset.operator, like) for subset in self._subsets]
        return Weights(tuple(reciprocal(square, "a squared row") for square in squares), None)

    @staticmethod
    def _square(part: LinearOperator, like: Array) -> Array:
        return _like(part.range, row_norms(part), like)


class Cimmino(Landweber):
    """Cimmino's method: the mean of the projections onto the hyperplanes of all equations.

    ``x += relaxation A.H(R (y - A(x)))``, where ``R`` divides by the squared norms of the rows and their
    number.

    Parameters
    ----------
    operator : LinearOperator
        A matrix, or a stack of matrices; others with ``row_norms``.
    iterations : int, default 100
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every step.
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.
    relaxation : float, sequence or callable, optional
        By default ``1 / |R^(1/2) A|^2`` from the certified norm, which is at least 1. 1 is the mean of
        projections, 2 that of reflections.
    row_norms : array or Blocks, optional
        The squared norms of the rows, an element of the range, for operators that are no matrices.

    Raises
    ------
    ArgumentError
        When run, if a relaxation is not positive, or so large that the iteration surely diverges.
    NotSupportedError
        If the norms of the rows are neither given nor known.

    Warns
    -----
    AccuracyWarning
        When run, if the relaxation may be too large for the norm in its bracket.

    Notes
    -----
    Converges for ``0 < relaxation < 2 / |R^(1/2) A|^2`` to a minimum of ``sum(R |A(x) - y|^2)``. Rows of
    zeros do not count.

    Memory beyond the data: 2 volumes and 2 sinograms, one of which for the weights, which the solver
    keeps (the norm, measured once per solver, takes more for a moment, and keeps 1 sinogram). Cost per
    iteration: one application and one transpose. ``residual`` is the plain norm of ``y - A(x)`` after the
    step.

    References
    ----------
    G. Cimmino, "Calcolo approssimato per le soluzioni dei sistemi di equazioni lineari", La Ricerca
    Scientifica 9, 1938.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> solvers.Cimmino(A, iterations=300)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    step_size: None = None
    relaxation: Schedule | None = None
    row_norms: Any = None

    _step_name = "relaxation"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size is not None:
            raise ArgumentError("Cimmino has a relaxation in place of a step size")
        self._squares = row_norms(self.operator) if self.row_norms is None else self.row_norms

    def _make_weights(self, like: Array) -> Weights:
        Y = self.operator.range
        weights = reciprocal(_like(Y, self._squares, like), "a squared row of Cimmino")
        return Weights((weights * (1 / Y.size),), None)

    @cached_property
    def _weighted_operator(self) -> LinearOperator:
        Y = self.operator.range
        like = parts(self._squares)[0]
        weights = self._make_weights(like if is_array(like) else np.zeros(0)).rows[0]
        return diagonal_of(_root(weights), Y) @ self.operator


def row_norms(operator: LinearOperator) -> Array:
    """The squared norms of the rows of a matrix, or of a stack of matrices.

    Raises
    ------
    NotSupportedError
        For other operators.
    """
    if isinstance(operator, LinearBlockOperator) and operator.form == "vstack":
        return Blocks(row_norms(row[0]) for row in operator.rows)  # type: ignore[arg-type]
    if not isinstance(operator, MatrixOperator):
        raise NotSupportedError(
            f"the norms of the rows of {operator} are not at hand; give their squares as row_norms=..., or "
            "use SIRT, whose weights are sums of rows"
        )
    if operator.is_sparse:
        squares = np.asarray(abs(operator.matrix).power(2).sum(axis=1)).ravel()
        return squares.astype(operator.range.real.dtype).reshape(operator.range.shape)
    xp = namespace(operator.matrix)
    squares = xp.sum(xp.abs(operator.matrix) ** 2, axis=1)
    return xp.reshape(squares, operator.range.shape)


def _like(space: Any, values: Array, like: Array) -> Array:
    """Real values per entry in the library and on the device of ``like``, in memory of their own."""
    if isinstance(values, Blocks):
        return Blocks(_like(*pair, like) for pair in zip(space, values, strict=True))
    if is_array(values) and namespace(values) is namespace(like):
        return values + 0 * values
    return space.real.asarray(np.array(values), like=like)


def _root(x: Array) -> Array:
    return Blocks(map(_root, x)) if isinstance(x, Blocks) else namespace(x).sqrt(x)
