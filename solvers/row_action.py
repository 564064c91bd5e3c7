"""Row-action methods: the stationary iteration over single views, or subsets of views."""

from __future__ import annotations

from functools import cached_property

from opalg.arrays import Array, namespace
from opalg.errors import ArgumentError
from opalg.operators import column_weights, row_weights
from opalg.operators.sums import reciprocal, remembered
from opalg.solvers.state import State
from opalg.solvers.stationary import (
    SIRT,
    Weights,
)
from opalg.solvers.subsets import KEPT, golden_order
from opalg.solvers.vectors import parts
from opalg.spaces import Blocks

__all__ = ["OSSART", "OSSIRT", "SART"]


class OSSART(SIRT):
    """Simultaneous algebraic reconstruction with ordered subsets: `SIRT` on one subset after the other.

    Each subset of the views has row and column sums of its own. One iteration is a pass over all.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries, and in subsets: `opalg.tomo.XrayTransform`, `opalg.MatrixOperator` or
        ``oa.vstack([...])``; see `opalg.solvers.subsets`.
    iterations : int, default 100
    relaxation : float, sequence or callable, default 1.0
        Between 0 and 2, one value per pass. With noise let it fall: ``lambda k: 1 / (1 + k)``.
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every update.
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.
    subsets : int, default 10
        How many. View i belongs to subset ``i % subsets``; consecutive subsets are far apart
        (`opalg.solvers.subsets.golden_order`).

    Raises
    ------
    ArgumentError, NotSupportedError
        As `SIRT`; when run, if the operator cannot be split.

    Notes
    -----
    The weights of columns are those of the classical SART, made anew for each subset: each update is one of
    `SIRT`, of norm 1 in an inner product of its own. One subset is SIRT, which converges (Jiang and Wang).
    For more no theorem covers all non-negative matrices. With subsets that see the voxels alike, as whole
    views do, the inner products nearly agree; in practice it then goes to the solution of consistent
    equations for a relaxation in (0, 2), and for others to a cycle over the subsets, as `OSSIRT` does. With
    subsets whose column sums differ it may stall or, with relaxations above 1 in particular, diverge: a
    single row without zeros moves x along ``(1, ..., 1)`` only. There use `OSSIRT`, which shares one weight
    of columns and converges, or `Kaczmarz`. At first it is about as many times faster than `SIRT` as there
    are subsets.

    Memory beyond the data: 2 volumes and 2 sinograms (the data in subsets, and the weights of rows), the
    residual of a subset and, in the first pass, as many ones. The operator keeps the weights for all
    solvers, those of columns too, a volume for each of up to 16 subsets; of more they are computed anew in
    each turn, in 1 volume and the memory of a subset. Cost per iteration: one application and one transpose,
    with more than 16 subsets two.
    ``running_residual`` gathers the residuals that the pass met: to know that of the iterate would cost
    one application more (rules that need it apply the operator).

    References
    ----------
    A. H. Andersen and A. C. Kak, "Simultaneous algebraic reconstruction technique (SART)", Ultrasonic
    Imaging 6, 1984. M. Jiang and G. Wang, "Convergence of the simultaneous algebraic reconstruction
    technique (SART)", IEEE Trans. Image Process. 12, 2003. F. Xu et al., "On the efficiency of iterative
    ordered subset reconstruction algorithms for acceleration on GPUs", Comput. Methods Programs Biomed. 98,
    2010.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]]))
    >>> solvers.OSSART(A, subsets=2)(np.array([3.0, 4.0, 1.0])).round(6).tolist()
    [1.0, 2.0]
    """

    subsets: int = 10

    @property  # type: ignore[misc]
    def _subset_count(self) -> int | None:  # type: ignore[override]
        return self.subsets

    def _order(self, iteration: int) -> list[int]:
        return self._golden

    @cached_property
    def _golden(self) -> list[int]:
        return golden_order(len(self._subsets))

    def _row_weights(self, like: Array) -> tuple[Array, ...]:
        return tuple(row_weights(subset.operator, like) for subset in self._subsets)

    def _make_weights(self, like: Array) -> Weights:
        if len(self._subsets) == 1:
            return super()._make_weights(like)
        return Weights(self._row_weights(like), None)

    def _columns(self, state: State, i: int, y: Array) -> Array | None:
        A, X, like = self._subsets[i].operator, self.operator.domain, parts(y)[0]
        if len(self._subsets) <= KEPT:
            return column_weights(A, like)
        if not state.in_place:
            return reciprocal(A.H(A.range.ones(like=like)), f"a column of {self.operator}")
        # No buffers of the state, which have the batch axes of the data.
        ones = state.keep(f"ones {self._names[i]}", y, lambda y: A.range.ones(like=like))
        sums = A.H(ones, out=state.keep("columns", y, lambda y: X.empty(like=like)))
        return reciprocal(sums, f"a column of {self.operator}")


class SART(OSSART):
    """Simultaneous algebraic reconstruction technique: `OSSART` with one view per subset.

    Parameters
    ----------
    operator : LinearOperator
        As for `OSSART`; subsets are single views, rows of a matrix or blocks of a stack.
    iterations : int, default 100
        Passes over all views. A few are enough where SIRT needs hundreds.
    relaxation : float, sequence or callable, default 1.0
        Between 0 and 2, one value per pass.
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every update.
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.

    Notes
    -----
    Everything said of `OSSART` holds; for a dense matrix, whose rows are the subsets, take `OSSIRT` or
    `Kaczmarz`. Views come in an order in which consecutive ones are far apart
    (`opalg.solvers.subsets.golden_order`).

    Memory beyond the data: 3 volumes and 2 sinograms, and two views (with up to 16 views as `OSSART`). Cost
    per iteration: one application and two transposes, view by view, which parallelises less well than whole
    sinograms.

    References
    ----------
    A. H. Andersen and A. C. Kak, 1984 (see `OSSART`).

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> solvers.SART(A)(np.array([3.0, 4.0])).round(6).tolist()
    [1.0, 2.0]
    """

    subsets: None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.subsets is not None:
            raise ArgumentError(
                f"SART takes single views; use OSSART(A, subsets={self.subsets!r}) for subsets"
            )
        super().__post_init__()


class OSSIRT(OSSART):
    """SIRT with ordered subsets, which share one weight of columns: `OSSART` at the cost of `SIRT`.

    Parameters
    ----------
    operator : LinearOperator
        As for `OSSART`.
    iterations : int, default 100
        Passes over all subsets.
    relaxation : float, sequence or callable, default 1.0
        Between 0 and 2, one value per pass.
    minimum, maximum : float, optional
        Bounds for the values of ``x``, kept after every update.
    constraint : Operator, optional
        Applied after every update, for example ``fn.Simplex(A.domain).prox(1.0)``; from the domain to itself.
    subsets : int, default 10
        As for `OSSART`; 1 is SIRT, to the bit.

    Notes
    -----
    ``C`` divides by the largest of the column sums of the subsets, voxel by voxel. So every update is one
    of SIRT with norm at most 1 in one and the same inner product: converges for consistent equations and a
    relaxation in (0, 2), whatever the subsets (Censor and Elfving). For others it ends in a cycle over the
    subsets, the smaller the relaxation the nearer to a weighted solution of least squares. Where subsets
    see the voxels evenly `OSSART` differs little.

    Memory beyond the data: 3 volumes and 2 sinograms (the data in subsets, the weights of rows, and one
    volume of weights; the operator keeps the weights), and the residual of a subset. Cost per iteration:
    one application and one transpose. Residuals as for `OSSART`.

    References
    ----------
    Y. Censor and T. Elfving, "Block-iterative algorithms with diagonally scaled oblique projections for
    the linear feasibility problem", SIAM J. Matrix Anal. Appl. 24, 2002. F. Xu et al., 2010 (see
    `OSSART`).

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import solvers
    >>> A = oa.MatrixOperator(np.array([[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]]))
    >>> solvers.OSSIRT(A, subsets=2)(np.array([3.0, 4.0, 1.0])).round(6).tolist()
    [1.0, 2.0]
    """

    def _make_weights(self, like: Array) -> Weights:
        if len(self._subsets) == 1:
            return SIRT._make_weights(self, like)
        question = f"weights of {len(self._subsets)} subsets"
        columns = remembered(self.operator, question, like, lambda: self._least_weights(like))
        return Weights(self._row_weights(like), columns)

    def _least_weights(self, like: Array) -> Array:
        largest = None
        for subset in self._subsets:
            sums = subset.operator.H(subset.operator.range.ones(like=like))
            largest = sums if largest is None else _maximum(largest, sums)
        return reciprocal(largest, f"a column of {self.operator}")


def _maximum(a: Array, b: Array) -> Array:
    if isinstance(a, Blocks):
        return Blocks(_maximum(*pair) for pair in zip(a, b, strict=True))
    return namespace(a).maximum(a, b)
