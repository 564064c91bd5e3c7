"""Operators given by a matrix: dense in any array library, or sparse in SciPy's formats."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import (
    Array,
    Constant,
    as_numpy,
    dtype_of,
    fingerprint,
    is_array,
    is_torch,
    namespace,
)
from opalg.errors import ArgumentError, DtypeError, NonFiniteError, SpaceMismatchError
from opalg.operators.costs import Cost
from opalg.operators.norms import Bounds, measured, refined
from opalg.operators.operator import LinearOperator
from opalg.spaces import Space

__all__ = ["MatrixOperator"]

_EXACT = 512  # rows or columns up to which the norm is the largest singular value, computed


class MatrixOperator(LinearOperator):
    """Multiplication by a matrix.

    Parameters
    ----------
    matrix : array or SciPy sparse matrix or array, shape (m, n)
        Real or complex. A dense torch tensor that requires a gradient is trained through.
    domain : Space, optional
        With n entries, which are taken in C order; ``Space(n)`` by default.
    range : Space, optional
        With m entries; ``Space(m)`` by default.

    Raises
    ------
    ArgumentError
        If the matrix is not two-dimensional.
    SpaceMismatchError
        If the numbers of rows and columns are not the sizes of the spaces.
    DtypeError
        If the data type of the matrix is not that of both spaces (a real matrix of the same precision
        may act on complex spaces).
    NonFiniteError
        If the matrix holds NaN or infinity.

    Notes
    -----
    The norm is exact for matrices with at most 512 rows or columns. Sparse matrices are applied by SciPy
    on the CPU and by ``torch.sparse`` on other devices.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> M = oa.MatrixOperator(np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]))
    >>> M(np.array([1.0, 1.0])).tolist(), M.H(np.array([1.0, 1.0, 1.0])).tolist()
    ([3.0, 1.0, 3.0], [4.0, 3.0])
    """

    symbol = "M"

    def __init__(
        self, matrix: Any, domain: Space | None = None, range: Space | None = None
    ) -> None:
        self.is_sparse = hasattr(matrix, "tocsr")
        if not self.is_sparse and not is_array(matrix):
            raise DtypeError(
                f"the matrix must be an array or a SciPy sparse matrix, got {type(matrix).__name__}"
            )
        if len(matrix.shape) != 2:
            raise ArgumentError(f"the matrix must have two axes, got shape {tuple(matrix.shape)}")
        rows, columns = (int(extent) for extent in matrix.shape)
        dtype = dtype_of(matrix)
        super().__init__(
            Space(columns, dtype if range is None else range.dtype) if domain is None else domain,
            Space(rows, dtype if domain is None else domain.dtype) if range is None else range,
        )
        self.shape = (rows, columns)
        self._check(dtype)
        self._held: _Dense | _Sparse = (_Sparse if self.is_sparse else _Dense)(matrix)
        values = self._held.values
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise NonFiniteError(f"the matrix holds {count} entries that are NaN or infinite")
        self._complex_matrix = dtype.kind == "c"
        self.native = not self.is_sparse
        self.trainable = self._held.trainable
        self.nonnegative = bool(
            not self._complex_matrix and not self.trainable and (values >= 0).all()
        )

    def _check(self, dtype: np.dtype[Any]) -> None:
        for side, extent, word in (
            (self.domain, self.shape[1], "columns"),
            (self.range, self.shape[0], "rows"),
        ):
            if not isinstance(side, Space):
                raise ArgumentError(f"a matrix maps between spaces of arrays, got {side}")
            if side.size != extent:
                raise SpaceMismatchError(
                    f"the matrix has {extent} {word}, but {side} has {side.size} entries"
                )
            if dtype not in {side.dtype, side.real.dtype}:
                raise DtypeError(
                    f"the matrix must have dtype {side.dtype} to act on {side}, got {dtype}; "
                    f"convert it with matrix.astype({side.dtype.name!r})"
                )
        if self.domain.dtype != self.range.dtype:
            raise DtypeError(
                f"domain and range of a matrix must have one dtype, got {self.domain.dtype} and "
                f"{self.range.dtype}; oa.ComplexEmbedding and oa.RealPart lead from one to the other"
            )

    @property
    def matrix(self) -> Any:
        """The matrix; not to be changed."""
        return self._held.matrix

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return not self._complex_matrix

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._multiply(x, out, self.domain, self.range, adjoint=False)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._multiply(y, out, self.range, self.domain, adjoint=True)

    def _multiply(
        self, x: Array, out: Array | None, source: Space, target: Space, adjoint: bool
    ) -> Array:
        batch, xp = source.batch_shape(x), namespace(x)
        flat = xp.reshape(x, (*batch, source.size))
        if type(out) is np.ndarray and out.flags.c_contiguous:
            self._held.product(flat, adjoint, out.reshape(*batch, target.size))
            return out
        value = xp.reshape(self._held.product(flat, adjoint, None), (*batch, *target.shape))
        if out is None:
            return value
        out[...] = value
        return out

    def _norm_bounds(self) -> Bounds:
        slack = 8 * float(np.finfo(self.domain.dtype).eps)
        if min(self.shape) <= _EXACT and max(self.shape) <= 16 * _EXACT:
            top = float(np.linalg.norm(self._held.dense(), 2))
            return Bounds(top * (1 - slack), top * (1 + slack))
        if self.nonnegative:
            return measured(self)
        upper = min(self._held.frobenius(), math.sqrt(math.prod(self._held.largest_sums())))
        return refined(self, 0.0, upper * (1 + slack))

    def cost(self) -> Cost:
        """Two operations per stored entry."""
        stored = int(self._held.values.size)
        itemsize = self.domain.dtype.itemsize
        return Cost(2 * stored, (stored + sum(self.shape)) * itemsize)

    def _key(self) -> tuple[Any, ...]:
        return self._held, self.domain, self.range


class _Dense:
    """A dense matrix in the array library of its operand."""

    def __init__(self, matrix: Array) -> None:
        self._constant = Constant(matrix)
        self.trainable = self._constant.trainable

    @property
    def matrix(self) -> Array:
        return self._constant.array

    @property
    def values(self) -> np.ndarray[Any, Any]:
        return as_numpy(self.matrix)

    def product(self, x: Array, adjoint: bool, out: Any) -> Array:
        """``matrix @ x`` or ``matrix.conj().T @ x`` for the vectors in the last axis of ``x``."""
        matrix = self._constant.like(x)
        if is_torch(x) and matrix.dtype != x.dtype:
            matrix = matrix.to(x.dtype)
        if type(x) is np.ndarray:
            if not adjoint:
                return np.matmul(x, matrix.T, out=out)
            if matrix.dtype.kind != "c":
                return np.matmul(x, matrix, out=out)
            # Two conjugated vectors cost less than a conjugated matrix.
            product = np.matmul(x.conj(), matrix, out=out)
            return np.conj(product, out=product)
        if not adjoint:
            return x @ matrix.T
        xp = namespace(x)
        complex_matrix = xp.isdtype(matrix.dtype, "complex floating")
        return x @ (xp.conj(matrix) if complex_matrix else matrix)

    def dense(self) -> np.ndarray[Any, Any]:
        return self.values.astype(np.result_type(self.values.dtype, np.float64))

    def frobenius(self) -> float:
        return float(np.linalg.norm(self.dense()))

    def largest_sums(self) -> tuple[float, float]:
        sizes = abs(self.dense())
        return float(sizes.sum(axis=0).max()), float(sizes.sum(axis=1).max())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Dense) and self._constant == other._constant

    def __hash__(self) -> int:
        return hash(self._constant)


class _Sparse:
    """A SciPy sparse matrix, and its conjugate transpose once that is asked for."""

    trainable = False

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr(copy=True)
        self.values = self.matrix.data
        self._on_device: dict[Any, Any] = {}

    @cached_property
    def adjoint(self) -> Any:
        return self.matrix.conj().T.tocsr()

    def product(self, x: Array, adjoint: bool, out: Any) -> Array:
        """``matrix @ x`` or ``matrix.conj().T @ x`` for the vectors in the last axis of ``x``."""
        if is_torch(x) and x.device.type != "cpu":
            return self._torch_product(x, adjoint)
        vectors = as_numpy(x)
        matrix = self.adjoint if adjoint else self.matrix
        batch = vectors.shape[:-1]
        if batch:
            columns = np.ascontiguousarray(vectors.reshape(-1, vectors.shape[-1]).T)
            found = np.ascontiguousarray((matrix @ columns).T).reshape(*batch, matrix.shape[0])
        else:
            found = matrix @ vectors
        if out is not None:
            out[...] = found
            return out
        return found if type(x) is np.ndarray else namespace(x).asarray(found)

    def _torch_product(self, x: Array, adjoint: bool) -> Array:
        import torch

        key = (adjoint, x.device, x.dtype)
        if key not in self._on_device:
            matrix = self.adjoint if adjoint else self.matrix
            # PyTorch calls its CSR form unfinished in a warning; coordinates it does not.
            entries = matrix.tocoo()
            self._on_device[key] = torch.sparse_coo_tensor(
                torch.from_numpy(np.stack([entries.row, entries.col]).astype("int64")),
                torch.from_numpy(entries.data),
                size=matrix.shape,
                dtype=x.dtype,
                device=x.device,
                check_invariants=True,
            ).coalesce()
        columns = x.reshape(-1, x.shape[-1]).T
        return (self._on_device[key] @ columns).T.reshape(*x.shape[:-1], -1)

    def dense(self) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self.matrix.toarray()
        return found.astype(np.result_type(found.dtype, np.float64))

    def frobenius(self) -> float:
        return float(
            np.linalg.norm(self.values.astype(np.result_type(self.values.dtype, np.float64)))
        )

    def largest_sums(self) -> tuple[float, float]:
        sizes = abs(self.matrix)
        return float(sizes.sum(axis=0).max()), float(sizes.sum(axis=1).max())

    def _content(self) -> tuple[Any, ...]:
        parts = (self.matrix.indptr, self.matrix.indices, self.values)
        return (self.matrix.shape, *(fingerprint(part) for part in parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Sparse) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())
