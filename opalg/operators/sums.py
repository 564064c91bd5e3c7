"""Sums over rows and columns of operators, and their reciprocals: the weights of SIRT and its relatives.

They cost an application each, and many solvers ask for them. So an operator keeps what was found, for every
array library and device; nothing of it is pickled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, in_inference_mode, namespace
from opalg.errors import ArgumentError
from opalg.operators.operator import LinearOperator
from opalg.spaces import Blocks
from opalg.spaces.parts import flat

__all__ = [
    "column_sums",
    "column_weights",
    "reciprocal",
    "remembered",
    "row_sums",
    "row_weights",
]


def row_sums(operator: LinearOperator, like: Array | None = None) -> Array:
    """``A(1)``, the sum of every row; computed once per operator, array library and device.

    Parameters
    ----------
    operator : LinearOperator
    like : array, optional
        Whose library and device the result has; NumPy by default.

    Returns
    -------
    array or Blocks
        An element of ``operator.range`` that others use too; of NumPy it is read-only.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> A = oa.MatrixOperator(np.array([[1.0, 2.0], [0.0, 0.0]]))
    >>> oa.operators.row_sums(A).tolist(), oa.operators.column_sums(A).tolist()
    ([3.0, 0.0], [1.0, 2.0])
    >>> oa.operators.row_sums(A) is oa.operators.row_sums(A)
    True
    """
    return remembered(operator, "sums", like, lambda: _sums(operator, like))


def column_sums(operator: LinearOperator, like: Array | None = None) -> Array:
    """``A.H(1)``, the sum of every column; see `row_sums`."""
    return row_sums(operator.H, like)


def row_weights(operator: LinearOperator, like: Array | None = None) -> Array:
    """``1 / A(1)``, zero where a row sums to zero to rounding; kept as `row_sums` are.

    Parameters
    ----------
    operator : LinearOperator
        With non-negative entries.
    like : array, optional
        Whose library and device the result has; NumPy by default.

    Raises
    ------
    ArgumentError
        If a row has a negative sum.

    Examples
    --------
    >>> import numpy as np
    >>> import opalg as oa
    >>> A = oa.MatrixOperator(np.array([[1.0, 3.0], [0.0, 0.0]]))
    >>> oa.operators.row_weights(A).tolist(), oa.operators.column_weights(A).round(3).tolist()
    ([0.25, 0.0], [1.0, 0.333])
    """
    return remembered(operator, "weights", like, lambda: _weights(operator, like, "row"))


def column_weights(operator: LinearOperator, like: Array | None = None) -> Array:
    """``1 / A.H(1)``, zero where a column sums to zero to rounding; see `row_weights`."""
    found = operator.H
    return remembered(found, "weights", like, lambda: _weights(found, like, "column"))


def reciprocal(sums: Array, what: str) -> Array:
    """``1 / sums``, zero where a sum is zero to rounding, in the memory of ``sums`` where possible.

    Raises
    ------
    ArgumentError
        If ``what`` has a negative sum.
    """
    if isinstance(sums, Blocks):
        return Blocks(reciprocal(part, what) for part in sums)
    values = as_numpy(sums)
    top = max(float(values.max()), -float(values.min()))
    nothing = top * float(np.finfo(values.dtype).eps)
    if float(values.min()) < -nothing:
        raise ArgumentError(
            f"an operator with non-negative entries is needed, but {what} sums to {values.min():g}"
        )
    if isinstance(sums, np.ndarray):
        seen = sums > nothing
        out = sums if sums.flags.writeable else np.empty_like(sums)
        np.divide(1, sums, out=out, where=seen)
        np.copyto(out, 0, where=np.logical_not(seen, out=seen))
        return out
    xp = namespace(sums)
    seen = sums > nothing
    divisor = xp.where(seen, sums, xp.ones_like(sums))
    return xp.where(seen, 1 / divisor, xp.zeros_like(sums))


class _Memory:
    """What an operator remembers. Threads that ask for the same wait for the first."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.found: dict[Any, Array] = {}


def remembered(
    operator: LinearOperator, question: Any, like: Array | None, answer: Callable[[], Array]
) -> Array:
    """``answer()``, kept on the operator for the library and device of ``like``.

    Trainable operators change in place, and are asked anew. Arrays of NumPy are closed for writing, as
    others will use them.
    """
    if operator.trainable:
        return answer()
    key = (question, *_place(like))
    memory = operator.__dict__.setdefault("_memory", _Memory())
    with memory.lock:
        if key not in memory.found:
            memory.found[key] = _closed(answer())
        return memory.found[key]


def _sums(operator: LinearOperator, like: Array | None) -> Array:
    return operator(operator.domain.ones(like=like))


def _weights(operator: LinearOperator, like: Array | None, name: str) -> Array:
    memory = operator.__dict__.get("_memory")
    known = memory.found.get(("sums", *_place(like))) if memory else None
    what = f"a {name} of {operator if name == 'row' else operator.H}"
    return reciprocal(_sums(operator, like) if known is None else known, what)


def _place(like: Array | None) -> tuple[Any, ...]:
    if like is None:
        return (np.ndarray, "cpu", False)
    first = flat(like)[0]
    kind = np.ndarray if isinstance(first, np.ndarray) else type(first)
    return kind, str(getattr(first, "device", "cpu")), in_inference_mode(first)


def _closed(value: Array) -> Array:
    for part in flat(value):
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return value
