"""Equations in subsets: parts of an operator with the parts of the data that belong to them.

Solvers with ordered subsets (OS-SART, Kaczmarz, OSEM, stochastic gradients) ask `split` for them. It knows

- operators with a method ``subsets(count)`` that gives the transforms to ``y[0::count], y[1::count], ...``
  along the first axis of the data, as `opalg.tomo.XrayTransform` has it for its views;
- ``oa.vstack([...])``, whose blocks are never cut;
- `opalg.MatrixOperator`, by rows.

A class of your own joins by defining ``subsets(count)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from opalg.arrays import Array, copy, namespace
from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators import LinearOperator, MatrixOperator, vstack
from opalg.operators.blocks import LinearBlockOperator
from opalg.spaces import Blocks, Space

__all__ = ["KEPT", "Subset", "golden_order", "split"]

KEPT = 16
"""Up to so many subsets an operator keeps their column sums, a volume each; of more they are computed anew
in each turn, one transpose of three that a pass then costs."""


@dataclass(frozen=True)
class Subset:
    """A part of an equation ``operator(x) = y``.

    Attributes
    ----------
    operator : LinearOperator
        From the whole unknown to a part of the data.
    cut : callable
        From the data to that part: an array with memory of its own, or one shared with the data.
    name : str
        For buffers; subsets with data of one shape share them.
    """

    operator: LinearOperator
    cut: Callable[[Array], Array]

    @property
    def name(self) -> str:
        """What subsets with data of one shape have in common."""
        return str(getattr(self.operator.range, "shape", self.operator.range))


def split(operator: LinearOperator, count: int | None, solver: str) -> tuple[Subset, ...]:
    """An equation in interleaved subsets.

    Parameters
    ----------
    operator : LinearOperator
    count : int or None
        How many subsets; None for as many as there can be. 1 is the operator itself.
    solver : str
        Its name, for errors.

    Raises
    ------
    ArgumentError
        If there are fewer rows (views, blocks) than subsets.
    NotSupportedError
        If the operator cannot be split.

    Examples
    --------
    >>> import opalg as oa
    >>> A = oa.MatrixOperator(np.arange(6.0).reshape(3, 2))
    >>> first, second = split(A, 2, "SART")
    >>> first.operator.matrix.tolist(), second.cut(np.array([5.0, 6.0, 7.0])).tolist()
    ([[0.0, 1.0], [4.0, 5.0]], [6.0])
    """
    if count == 1:
        return (Subset(operator, lambda y: y),)
    if isinstance(operator, LinearBlockOperator) and operator.form == "vstack":
        return _of_stack(operator, _checked(count, len(operator.rows), "blocks", solver))
    if isinstance(operator, MatrixOperator):
        return _of_matrix(operator, _checked(count, operator.shape[0], "rows", solver))
    if callable(getattr(operator, "subsets", None)):
        number = _checked(count, operator.range.shape[0], "views", solver)
        parts = operator.subsets(number)  # type: ignore[attr-defined]
        axes = operator.range.ndim
        return tuple(Subset(part, _cutter(i, number, axes)) for i, part in enumerate(parts))
    raise NotSupportedError(
        f"{solver} takes {operator} in subsets, but it has no method subsets(count); use "
        "oa.vstack([...]) of operators that are to be the subsets, or subsets=1 where the solver allows it"
    )


def golden_order(count: int) -> list[int]:
    """An order of ``count`` subsets in which consecutive ones are far apart.

    Multiples, modulo ``count``, of the number without a common factor that is nearest to the golden
    section.

    Examples
    --------
    >>> golden_order(8)
    [0, 3, 6, 1, 4, 7, 2, 5]
    """
    target = count * (3 - math.sqrt(5)) / 2
    steps = [step for step in range(1, max(count, 2)) if math.gcd(step, count) == 1]
    stride = min(steps, key=lambda step: abs(step - target))
    return [stride * i % count for i in range(count)]


def _checked(count: int | None, available: int, noun: str, solver: str) -> int:
    if count is None:
        return available
    if (
        isinstance(count, bool)
        or not isinstance(count, (int, np.integer))
        or not 1 <= count <= available
    ):
        raise ArgumentError(
            f"subsets of {solver} must be a whole number from 1 to {available} (the number of {noun}), "
            f"got {count!r}"
        )
    return int(count)


def _of_stack(operator: LinearBlockOperator, count: int) -> tuple[Subset, ...]:
    found = []
    for i in range(count):
        rows: Any = [row[0] for row in operator.rows[i::count]]
        if len(rows) == 1:
            found.append(Subset(rows[0], lambda y, i=i: y[i]))  # type: ignore[misc]
        else:
            stack: Any = vstack(rows)
            found.append(Subset(stack, lambda y, i=i: Blocks(y[i::count])))  # type: ignore[misc]
    return tuple(found)


def _of_matrix(operator: MatrixOperator, count: int) -> tuple[Subset, ...]:
    found, size = [], operator.range.size
    axes = operator.range.ndim
    matrix = operator.matrix.tocsr() if operator.is_sparse else operator.matrix
    for i in range(count):
        rows = matrix[i::count]
        part = MatrixOperator(
            rows, operator.domain, Space(int(rows.shape[0]), operator.range.dtype)
        )

        def cut(y: Array, i: int = i) -> Array:
            batch = tuple(y.shape[: y.ndim - axes])
            flat = namespace(y).reshape(y, (*batch, size))
            return copy(flat[..., i::count])

        found.append(Subset(part, cut))
    return tuple(found)


def _cutter(i: int, count: int, axes: int) -> Callable[[Array], Array]:
    def cut(y: Array) -> Array:
        where = (Ellipsis, slice(i, None, count)) + (slice(None),) * (axes - 1)
        return copy(y[where])

    return cut
