"""To and from ``scipy.sparse.linalg.LinearOperator``, which acts on flat vectors.

An element of a space becomes a vector in C order; the parts of a product space follow each other.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array, namespace
from opalg.errors import ArgumentError, DtypeError, NotSupportedError, SpaceMismatchError
from opalg.operators import LinearOperator, MatrixOperator
from opalg.spaces import Blocks, ProductSpace, Space
from opalg.spaces.parts import leaves

__all__ = ["ScipyOperator", "from_scipy", "to_scipy"]


def to_scipy(operator: LinearOperator) -> Any:
    """An operator as a ``scipy.sparse.linalg.LinearOperator``; also ``A.to_scipy()``.

    Parameters
    ----------
    operator : LinearOperator

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Of shape (range.size, domain.size). Vectors of another data type are converted; a complex vector
        goes through a real operator as real and imaginary part. Several columns go through as one batch.

    Raises
    ------
    NotSupportedError
        If the operator is not linear over the complex numbers (`RealPart`), or not linear.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> G = oa.Gradient(oa.Grid((3, 4)))
    >>> S = G.to_scipy()
    >>> S.shape, (S @ np.ones(12)).any().item(), oa.from_scipy(S) is G
    ((24, 12), False, True)
    """
    if not isinstance(operator, LinearOperator) or not operator.complex_linear:
        raise NotSupportedError(
            f"SciPy knows operators that are linear over the complex numbers; {operator} is not"
        )
    if isinstance(operator, ScipyOperator):
        return operator.operator
    return _view()(operator)


def from_scipy(operator: Any, domain: Any = None, range: Any = None) -> LinearOperator:
    """A ``scipy.sparse.linalg.LinearOperator`` (or matrix) as an operator of this library.

    Parameters
    ----------
    operator : scipy.sparse.linalg.LinearOperator, sparse or dense matrix
        Its ``rmatvec`` is the transpose.
    domain, range : Space or ProductSpace, optional
        Spaces of as many entries as the operator has columns and rows; by default plain spaces of one
        axis, of the operator's data type.

    Returns
    -------
    LinearOperator
        The original one if ``operator`` came from `to_scipy` and no other spaces are asked for.

    Raises
    ------
    ArgumentError
        If ``operator`` is neither.
    SpaceMismatchError
        If the spaces have other sizes.
    DtypeError
        If the data type is not a float or complex of 32 or 64 bits.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> A = oa.from_scipy(aslinearoperator(np.array([[1.0, 2.0]])))
    >>> A(np.array([1.0, 1.0])).tolist(), A.H(np.array([1.0])).tolist()
    ([3.0], [1.0, 2.0])
    """
    if hasattr(operator, "tocsr") or is_array(operator):
        return MatrixOperator(operator, domain, range)
    if not (hasattr(operator, "matvec") and hasattr(operator, "shape")):
        raise ArgumentError(
            "from_scipy takes a scipy.sparse.linalg.LinearOperator or a matrix, "
            f"got {type(operator).__name__}"
        )
    original = getattr(operator, "operator", None)
    if (
        isinstance(original, LinearOperator)
        and domain in (None, original.domain)
        and range in (None, original.range)
    ):
        return original
    return ScipyOperator(operator, domain, range)


class ScipyOperator(LinearOperator):
    """A ``scipy.sparse.linalg.LinearOperator`` between spaces; made by `from_scipy`.

    Parameters
    ----------
    operator : scipy.sparse.linalg.LinearOperator
    domain, range : Space or ProductSpace, optional

    Raises
    ------
    SpaceMismatchError, DtypeError
        As for `from_scipy`.
    """

    def __init__(self, operator: Any, domain: Any = None, range: Any = None) -> None:
        rows, columns = operator.shape
        dtype = _dtype(operator)
        super().__init__(
            Space(columns, dtype) if domain is None else domain,
            Space(rows, dtype) if range is None else range,
        )
        for side, extent, word in ((self.domain, columns, "columns"), (self.range, rows, "rows")):
            if side.size != extent:
                raise SpaceMismatchError(
                    f"the SciPy operator has {extent} {word}, but {side} has {side.size} entries"
                )
        if dtype.kind == "c" and not (self.domain.is_complex and self.range.is_complex):
            raise DtypeError(
                f"a complex SciPy operator needs complex spaces, got {self.domain} and {self.range}"
            )
        self.operator = operator

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._through(self.operator.matvec, self.operator.matmat, x, out, False)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        try:
            return self._through(self.operator.rmatvec, self.operator.rmatmat, y, out, True)
        except (NotImplementedError, TypeError) as error:
            raise NotSupportedError(
                f"{self.operator!r} has no transpose; give its LinearOperator an rmatvec"
            ) from error

    def _through(self, one: Any, many: Any, x: Array, out: Array | None, back: bool) -> Array:
        source, target = (self.range, self.domain) if back else (self.domain, self.range)
        batch = source.batch_shape(x)
        vectors = flatten(x, source)
        if 0 in batch:  # foreign operators may refuse a matrix without columns
            found = np.zeros((0, target.size))
        elif batch:
            found = many(vectors.reshape(math.prod(batch), source.size).T).T
        else:
            found = one(vectors)
        # A view of the argument may come back, for example from the identity.
        return unflatten(np.array(found).reshape(*batch, target.size), target, x, out)


def flatten(x: Array, space: Any) -> np.ndarray[Any, Any]:
    """An element as a NumPy vector behind its batch axes."""
    batch = space.batch_shape(x)
    if isinstance(space, ProductSpace):
        parts = [flatten(part, own) for own, part in zip(space, x, strict=True)]
        return np.concatenate(parts, axis=-1)
    return as_numpy(x).reshape(*batch, space.size)


def unflatten(vectors: Any, space: Any, like: Array, out: Array | None = None) -> Array:
    """The inverse of `flatten`, in the library of ``like``, in the data types of the space."""
    if isinstance(space, ProductSpace):
        ends = np.cumsum([part.size for part in space])[:-1]
        pieces = np.split(vectors, ends, axis=-1)
        return Blocks(
            unflatten(piece, own, like, None if out is None else out[i])
            for i, (own, piece) in enumerate(zip(space, pieces, strict=True))
        )
    if vectors.dtype.kind == "c" and not space.is_complex:
        raise DtypeError(f"complex values do not fit into {space}; build it with a complex dtype")
    value = np.ascontiguousarray(vectors, dtype=space.dtype)
    value = value.reshape(*vectors.shape[:-1], *space.shape)
    if out is not None:
        out[...] = value if isinstance(out, np.ndarray) else namespace(out).asarray(value)
        return out
    return space.asarray(value, like=like)


def _dtype(operator: Any) -> np.dtype[Any]:
    """The data type of a SciPy operator; integers act as float64."""
    dtype = np.dtype(operator.dtype or np.float64)
    if dtype.kind in "iub":
        return np.dtype(np.float64)
    if dtype.name not in {"float32", "float64", "complex64", "complex128"}:
        raise DtypeError(f"SciPy operators of dtype {dtype} are not supported")
    return dtype


@cache
def _view() -> Any:
    # scipy.sparse.linalg takes longer to import than this whole library.
    from scipy.sparse import linalg

    class OperatorView(linalg.LinearOperator):  # type: ignore[misc]
        """An operator of this library in SciPy's clothes."""

        def __init__(self, operator: LinearOperator) -> None:
            self.operator = operator
            dtypes = [leaf.dtype for leaf in leaves(operator.domain) + leaves(operator.range)]
            super().__init__(np.result_type(*dtypes), (operator.range.size, operator.domain.size))

        def _matvec(self, x: Any) -> Any:
            return _apply_to_vectors(self.operator, np.asarray(x).reshape(-1))

        def _rmatvec(self, y: Any) -> Any:
            return _apply_to_vectors(self.operator.H, np.asarray(y).reshape(-1))

        def _matmat(self, x: Any) -> Any:
            return _apply_to_vectors(self.operator, np.asarray(x).T).T

        def _rmatmat(self, y: Any) -> Any:
            return _apply_to_vectors(self.operator.H, np.asarray(y).T).T

        def _adjoint(self) -> Any:
            return to_scipy(self.operator.H)

        def __reduce__(self) -> Any:
            return to_scipy, (self.operator,)

    return OperatorView


def _apply_to_vectors(operator: LinearOperator, vectors: Any) -> Any:
    if vectors.dtype.kind == "c" and not operator.domain.is_complex:
        real = _apply_to_vectors(operator, np.ascontiguousarray(vectors.real))
        return real + 1j * _apply_to_vectors(operator, np.ascontiguousarray(vectors.imag))
    return flatten(operator(unflatten(vectors, operator.domain, vectors)), operator.range)
