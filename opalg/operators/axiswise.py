"""Sparse matrices along single axes of arrays, and the operators that are made of one per axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, copy, is_torch, namespace
from opalg.errors import ArgumentError, DtypeError, SpaceMismatchError
from opalg.operators.costs import Cost
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator
from opalg.spaces import Space

__all__ = ["AxisMatrix", "Separable"]

_EXACT = 512  # extent up to which singular values are computed
_SQUARINGS = 5
_DENSE = 400  # entries per row


class AxisMatrix:
    """A real sparse matrix, applied along one axis of arrays of any library and precision.

    Parameters
    ----------
    matrix : SciPy sparse matrix or array, or NumPy array, shape (m, n)
    """

    def __init__(self, matrix: Any) -> None:
        import scipy.sparse

        found = scipy.sparse.csr_array(matrix, dtype=np.float64)
        found.sum_duplicates()
        found.eliminate_zeros()
        self.matrix = found
        self._variants: dict[Any, Any] = {}

    @cached_property
    def transposed(self) -> AxisMatrix:
        """The transpose."""
        found = AxisMatrix(self.matrix.T)
        found.__dict__["transposed"] = self
        return found

    @cached_property
    def norm_bounds(self) -> Bounds:
        """Bounds of the norm: the largest singular value where the matrix is small."""
        if min(self.matrix.shape) <= _EXACT:
            top = float(np.linalg.norm(self.matrix.toarray(), 2))
            return Bounds(top * (1 - 1e-12), top * (1 + 1e-12))
        rows, columns = self.matrix.shape
        gram = self.matrix.T @ self.matrix if columns <= rows else self.matrix @ self.matrix.T
        return Bounds(math.sqrt(_largest_rayleigh(gram)), math.sqrt(_spectral_radius(gram)))

    def apply(self, x: Array, axis: int) -> Array:
        """The products with the vectors along ``axis`` (counted from the back), in new memory."""
        if is_torch(x) and x.device.type != "cpu":
            return self._torch(x, axis)
        # Elsewhere the memory of the array is used where it can be shared.
        values = as_numpy(x)
        moved = np.ascontiguousarray(np.moveaxis(values, axis, 0))
        vectors = math.prod(moved.shape[1:])
        columns = moved.reshape(moved.shape[0], vectors).view(values.real.dtype)
        product = self._typed(columns.dtype) @ columns
        found = product.view(values.dtype).reshape(self.matrix.shape[0], *moved.shape[1:])
        found = np.moveaxis(found, 0, axis)
        return (
            found
            if isinstance(x, np.ndarray)
            else namespace(x).asarray(np.ascontiguousarray(found))
        )

    def _typed(self, dtype: np.dtype[Any]) -> Any:
        if dtype not in self._variants:
            self._variants[dtype] = self.matrix.astype(dtype)
        return self._variants[dtype]

    def _torch(self, x: Array, axis: int) -> Array:
        import torch

        moved = x.movedim(axis, 0).contiguous()
        numbers = torch.view_as_real(moved) if x.is_complex() else moved
        columns = numbers.reshape(moved.shape[0], math.prod(numbers.shape[1:]))
        key = (columns.dtype, x.device)
        if key not in self._variants:
            entries = self.matrix.tocoo()
            self._variants[key] = torch.sparse_coo_tensor(
                torch.from_numpy(np.stack([entries.row, entries.col]).astype("int64")),
                torch.from_numpy(entries.data),
                size=entries.shape,
                dtype=columns.dtype,
                device=x.device,
                check_invariants=True,  # says so explicitly, or PyTorch warns
                is_coalesced=True,
            )
        product = (self._variants[key] @ columns).reshape(self.matrix.shape[0], *numbers.shape[1:])
        found = torch.view_as_complex(product) if x.is_complex() else product
        return found.movedim(0, axis)


def _spectral_radius(gram: Any) -> float:
    """An upper bound: the root of order p of the largest row sum of ``abs(G ** p)``."""
    best, logarithm, power = math.inf, 0.0, 1
    for _ in range(_SQUARINGS + 1):
        top = float(abs(gram).sum(axis=1).max())
        if top == 0.0:
            return 0.0
        best = min(best, math.exp((math.log(top) + logarithm) / power))
        if gram.nnz > _DENSE * gram.shape[0]:  # no longer a band: squaring would cost too much
            break
        gram = gram / top
        gram, logarithm, power = gram @ gram, 2 * (logarithm + math.log(top)), 2 * power
    return best * (1 + 1e-12)


def _largest_rayleigh(gram: Any) -> float:
    """A lower bound of the largest eigenvalue, by the power method."""
    x = np.random.default_rng(0).standard_normal(gram.shape[0])
    best = 0.0
    for _ in range(50):
        length = float(np.linalg.norm(x))
        if length == 0.0:
            break
        x = x / length
        y = gram @ x
        best = max(best, float(x @ y))
        x = y
    return best * (1 - 1e-12)


class Separable(LinearOperator):
    """One real matrix along each axis: the Kronecker product of small matrices.

    Parameters
    ----------
    domain, range : Space
        Of one dtype.
    matrices : sequence
        For each axis a NumPy array or SciPy sparse matrix of shape (range extent, domain extent), or None for
        the identity.

    Raises
    ------
    ArgumentError
        If there is not one matrix for each axis.
    SpaceMismatchError
        If a matrix does not fit the extents of the spaces.
    DtypeError
        If the dtypes of the spaces differ, or a matrix is complex.

    Notes
    -----
    The norm is the product of the norms of the matrices, and ``A.gram`` is of the same kind.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> sums = np.kron(np.eye(2), np.ones((1, 2)))  # adds neighbours
    >>> A = oa.Separable(oa.Space((4, 3), "float64"), oa.Space((2, 3), "float64"), [sums, None])
    >>> A(np.ones((4, 3))).tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    >>> type(A.gram).__name__, round(A.norm(), 6)
    ('Separable', 1.414214)
    """

    def __init__(self, domain: Space, range: Space, matrices: Sequence[Any]) -> None:
        super().__init__(domain, range)
        if not (domain.ndim == range.ndim == len(matrices)):
            raise ArgumentError(
                f"Separable needs one matrix for each axis of {domain} and {range}, got {len(matrices)}"
            )
        if domain.dtype != range.dtype:
            raise DtypeError(
                f"domain and range must have one dtype, got {domain.dtype}, {range.dtype}"
            )
        self._factors: list[AxisMatrix | None] = []
        for axis, matrix in enumerate(matrices):
            extents = (range.shape[axis], domain.shape[axis])
            if matrix is not None and np.dtype(matrix.dtype).kind == "c":
                raise DtypeError(
                    f"the matrices of Separable must be real, that of axis {axis} is not"
                )
            shape = (extents[1],) * 2 if matrix is None else tuple(matrix.shape)
            if shape != extents:
                raise SpaceMismatchError(
                    f"the matrix along axis {axis} must have shape {extents} to lead from {domain} to "
                    f"{range}, got {shape}"
                )
            self._factors.append(None if matrix is None else AxisMatrix(matrix))
        entries = [f.matrix.data for f in self._factors if f is not None]
        self.nonnegative = all(bool((data >= 0).all()) for data in entries)

    @property
    def real(self) -> bool:
        return True

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._run(self._factors, x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._run([None if f is None else f.transposed for f in self._factors], y, out)

    @staticmethod
    def _run(factors: list[AxisMatrix | None], x: Array, out: Array | None) -> Array:
        value = x
        for axis, factor in enumerate(factors, start=-len(factors)):
            if factor is not None:
                value = factor.apply(value, axis)
        return copy(value, out)

    def _gram(self) -> LinearOperator:
        grams = [None if f is None else f.matrix.T @ f.matrix for f in self._factors]
        return Separable(self.domain, self.domain, grams)

    def _norm_bounds(self) -> Bounds:
        lower = upper = 1.0
        for factor in self._factors:
            if factor is not None:
                bounds = factor.norm_bounds
                lower, upper = lower * bounds.lower, upper * bounds.upper
        slack = 8 * float(np.finfo(self.domain.dtype).eps)
        return Bounds(lower * (1 - slack), upper * (1 + slack))

    def cost(self) -> Cost:
        """Two operations per stored entry and vector along its axis."""
        shape, operations = list(self.domain.shape), 0
        for axis, factor in enumerate(self._factors):
            if factor is not None:
                vectors = int(np.prod(shape)) // shape[axis]
                operations += 2 * factor.matrix.nnz * vectors
                shape[axis] = factor.matrix.shape[0]
        return Cost(operations, super().cost().bytes)
