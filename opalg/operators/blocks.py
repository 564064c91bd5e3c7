"""Operators made of blocks: stacks, diagonals, matrices with missing blocks, parts of product spaces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NotSupportedError, SpaceMismatchError
from opalg.operators import norms, printing
from opalg.operators.costs import Cost
from opalg.operators.elementary import Diagonal, Identity, _copy
from opalg.operators.operator import LinearOperator, Operator
from opalg.spaces import Blocks, ProductSpace
from opalg.spaces.compatibility import join, remedy

__all__ = [
    "BlockOperator",
    "Component",
    "Embedding",
    "LinearBlockOperator",
    "block_diagonal",
    "block_matrix",
    "diagonal_of",
    "hstack",
    "replicate",
    "vstack",
]

_Rows = Sequence[Sequence[Operator | None]]


def vstack(operators: Sequence[Operator]) -> Operator:
    """The operator ``x -> (A(x), B(x), ...)``.

    Parameters
    ----------
    operators : sequence of Operator
        With one domain.

    Returns
    -------
    Operator
        From that domain to the product of the ranges; a `LinearOperator` if all are.

    Examples
    --------
    >>> import opalg as oa
    >>> I = oa.Identity(oa.Space(2))
    >>> u, v = oa.vstack([I, 3 * I])(np.ones(2, "float32"))
    >>> v.tolist()
    [3.0, 3.0]
    """
    return _build("vstack", [[operator] for operator in _sequence(operators, "vstack")])


def hstack(operators: Sequence[Operator]) -> Operator:
    """The operator ``(x, y, ...) -> A(x) + B(y) + ...``.

    Parameters
    ----------
    operators : sequence of Operator
        With one range.

    Returns
    -------
    Operator
        From the product of the domains to that range; a `LinearOperator` if all are.

    Examples
    --------
    >>> import opalg as oa
    >>> I = oa.Identity(oa.Space(2))
    >>> x = np.ones(2, "float32")
    >>> oa.hstack([I, 3 * I])((x, x)).tolist()
    [4.0, 4.0]
    """
    return _build("hstack", [_sequence(operators, "hstack")])


def block_diagonal(operators: Sequence[Operator]) -> Operator:
    """The operator ``(x, y, ...) -> (A(x), B(y), ...)`` between product spaces.

    Examples
    --------
    >>> import opalg as oa
    >>> I = oa.Identity(oa.Space(1))
    >>> [part.tolist() for part in oa.block_diagonal([I, 2 * I])((np.ones(1, "float32"),) * 2)]
    [[1.0], [2.0]]
    """
    parts = _sequence(operators, "block_diagonal")
    return _build(
        "block_diagonal",
        [[part if i == j else None for j in range(len(parts))] for i, part in enumerate(parts)],
    )


def block_matrix(rows: _Rows) -> Operator:
    """An operator between product spaces, given as a matrix of operators; None stands for zero.

    Parameters
    ----------
    rows : sequence of sequences of Operator or None
        Every row and every column needs at least one operator; use `Zero` where a space is not
        determined by others.

    Raises
    ------
    ArgumentError
        If rows have different lengths, a row or column has no operator, or something is none.
    SpaceMismatchError
        If the domains in a column, or the ranges in a row, differ.

    Examples
    --------
    >>> import opalg as oa
    >>> G = oa.Gradient(oa.Grid((4, 4)))
    >>> M = oa.block_matrix([[G, None], [None, 2 * G.H]])
    >>> M.domain == G.domain * G.range
    True
    """
    return _build("block_matrix", rows)


def replicate(operator: Operator, count: int) -> Operator:
    """The same operator on each part of a power space: ``A.domain ** n -> A.range ** n``.

    Examples
    --------
    >>> import opalg as oa
    >>> D = oa.Gradient(oa.Grid((4, 4)))
    >>> oa.replicate(D, 3).domain == D.domain**3
    True
    """
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ArgumentError(f"replicate needs a positive number of copies, got {count!r}")
    return block_diagonal([operator] * int(count))


def diagonal_of(weight: Array, space: Any) -> LinearOperator:
    """Pointwise multiplication by an element of ``space``, which may be a product space or a batch."""
    if isinstance(weight, Blocks):
        parts = [diagonal_of(part, s) for part, s in zip(weight, space, strict=True)]
        found: Any = block_diagonal(parts)
        return found
    return _Multiplication(weight, space) if space.batch_shape(weight) else Diagonal(weight, space)


def _sequence(operators: Any, name: str) -> list[Operator]:
    found = list(operators) if isinstance(operators, (list, tuple)) else []
    if not found or not all(isinstance(operator, Operator) for operator in found):
        raise ArgumentError(f"{name} takes a list of one or more operators, got {operators!r}")
    return found


def _build(form: str, rows: _Rows) -> Operator:
    if not isinstance(rows, (list, tuple)) or not all(
        isinstance(row, (list, tuple)) for row in rows
    ):
        raise ArgumentError(f"{form} takes a list of rows, each a list of operators, got {rows!r}")
    table = tuple(tuple(row) for row in rows)
    for part in (part for row in table for part in row):
        if not (part is None or isinstance(part, Operator)):
            raise ArgumentError(f"{form} holds operators, and None for zero, got {part!r}")
    linear = all(isinstance(part, (LinearOperator, type(None))) for row in table for part in row)
    return (LinearBlockOperator if linear else BlockOperator)(form, table)


class BlockOperator(Operator):
    """Rows and columns of operators; made by `vstack`, `hstack`, `block_diagonal` and `block_matrix`.

    Parameters
    ----------
    form : {"vstack", "hstack", "block_diagonal", "block_matrix"}
        A vstack's domain and an hstack's range are the space itself, not a product of one.
    rows : tuple of tuples of Operator or None
    """

    def __init__(self, form: str, rows: tuple[tuple[Operator | None, ...], ...]) -> None:
        if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
            raise ArgumentError(
                f"{form} needs rows of one length with at least one operator, "
                f"got lengths {[len(row) for row in rows]}"
            )
        ranges = [_common(row, "range", f"row {i}") for i, row in enumerate(rows)]
        columns = list(zip(*rows, strict=True))
        domains = [_common(column, "domain", f"column {j}") for j, column in enumerate(columns)]
        super().__init__(
            domains[0] if form == "vstack" else ProductSpace(*domains),
            ranges[0] if form == "hstack" else ProductSpace(*ranges),
        )
        self.form, self.rows = form, rows
        self.trainable = any(part.trainable for part in self._children())

    def _children(self) -> tuple[Operator, ...]:
        return tuple(part for row in self.rows for part in row if part is not None)

    def _apply(self, x: Array, out: Array | None) -> Array:
        x = (x,) if self.form == "vstack" else x
        if self.form == "hstack":
            return self._row(self.rows[0], x, out)
        return Blocks(
            self._row(row, x, None if out is None else out[i]) for i, row in enumerate(self.rows)
        )

    @staticmethod
    def _row(row: tuple[Operator | None, ...], x: Array, out: Array | None) -> Array:
        started = False
        for part, operand in zip(row, x, strict=True):
            if part is not None:
                out = part._accumulate(operand, out) if started else part._apply(operand, out)
                started = True
        return out

    def _trace(self, x: Array) -> Array:
        x = (x,) if self.form == "vstack" else x
        values = []
        for row in self.rows:
            terms = [p._trace(u) for p, u in zip(row, x, strict=True) if p is not None]
            values.append(sum(terms[1:], terms[0]))
        return values[0] if self.form == "hstack" else Blocks(values)

    def _derivative(self, x: Array) -> LinearOperator:
        points = (x,) if self.form == "vstack" else x
        rows = tuple(
            tuple(None if p is None else p._derivative(u) for p, u in zip(row, points, strict=True))
            for row in self.rows
        )
        return LinearBlockOperator(self.form, rows)

    @property
    def inverse(self) -> Operator:
        """The block diagonal of the inverses, for a block diagonal."""
        if self.form != "block_diagonal":
            raise NotSupportedError(
                f"the inverse of {self} has no formula; only that of a block diagonal"
            )
        return block_diagonal([row[i].inverse for i, row in enumerate(self.rows)])  # type: ignore[union-attr]

    def cost(self) -> Cost:
        """What the parts cost together."""
        total = Cost(0, 0)
        for part in self._children():
            total = total + part.cost()
        return total

    def _arguments_text(self, show: Any) -> str:
        if self.form == "block_matrix":
            rows = [", ".join("None" if p is None else show(p) for p in row) for row in self.rows]
            return ", ".join(f"[{row}]" for row in rows)
        return ", ".join(show(part) for part in self._children())

    def _infix(self) -> printing.Text:
        return printing.atom(f"{self.form}([{self._arguments_text(str)}])")

    def __repr__(self) -> str:
        return f"{self.form}([{self._arguments_text(repr)}])"

    def _latex(self) -> printing.Text:
        cells = [["0" if p is None else p._latex().text for p in row] for row in self.rows]
        body = r" \\ ".join(" & ".join(row) for row in cells)
        return printing.atom(rf"\begin{{pmatrix}} {body} \end{{pmatrix}}")

    def _label(self) -> str:
        return self.form


class LinearBlockOperator(BlockOperator, LinearOperator):
    """Rows and columns of linear operators; see `BlockOperator`."""

    rows: tuple[tuple[LinearOperator | None, ...], ...]

    def __init__(self, form: str, rows: tuple[tuple[Any, ...], ...]) -> None:
        super().__init__(form, rows)
        parts: Any = self._children()
        self.exact_adjoint = all(part.exact_adjoint for part in parts)
        # Between real spaces nothing is asked of the parts, which may pass through complex ones.
        self.complex_linear = self.complex_linear and (
            not self.domain.is_complex or all(part.complex_linear for part in parts)
        )
        self.nonnegative = all(part.nonnegative for part in parts)
        if form == "block_diagonal":
            self.self_adjoint = all(part.self_adjoint for part in parts)
            self.unitary = all(part.unitary for part in parts)

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return all(part.real for part in self._children())  # type: ignore[attr-defined]

    def _transposed(self) -> LinearOperator:
        form = {"vstack": "hstack", "hstack": "vstack"}.get(self.form, self.form)
        columns = zip(*self.rows, strict=True)
        return LinearBlockOperator(
            form, tuple(tuple(None if p is None else p.H for p in column) for column in columns)
        )

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.H._apply(y, out)

    def _gram(self) -> LinearOperator:
        if self.form == "vstack":
            first, *rest = [row[0].gram for row in self.rows]  # type: ignore[union-attr]
            for part in rest:
                first = first + part
            return first
        if self.form == "block_diagonal":
            grams: Any = block_diagonal([row[i].gram for i, row in enumerate(self.rows)])  # type: ignore[union-attr]
            return grams
        return super()._gram()

    def _norm_bounds(self) -> norms.Bounds:
        cells = [
            [norms.Bounds(0.0, 0.0) if p is None else p.norm_bounds() for p in row]
            for row in self.rows
        ]
        lower = max(cell.lower for row in cells for cell in row)
        if self.form == "block_diagonal":
            return norms.Bounds(lower, max(cell.upper for row in cells for cell in row))
        if self.nonnegative and self.exact_adjoint:
            return norms.measured(self)
        upper = np.array([[cell.upper for cell in row] for row in cells])
        if not np.isfinite(upper).all():
            return norms.refined(self, lower, math.inf)
        # The norm of a block matrix is at most that of the matrix of norms.
        top = float(np.linalg.norm(upper, 2)) * (1 + 1e-12)
        return norms.refined(self, lower, top)


def _common(parts: Sequence[Operator | None], side: str, place: str) -> Any:
    space = None
    for part in parts:
        if part is None:
            continue
        own = getattr(part, side)
        both = own if space is None else join(space, own)
        if both is None:
            raise SpaceMismatchError(
                f"the {side}s in {place} must be equal; {part} has {own}, those before it {space}; "
                f"{remedy(own, space)}"
            )
        space = both
    if space is None:
        raise ArgumentError(
            f"{place} has no operator; put oa.Zero(domain, range) where its space is meant"
        )
    return space


class Component(LinearOperator):
    """The part ``index`` of an element of a product space.

    Parameters
    ----------
    space : ProductSpace
    index : int

    Examples
    --------
    >>> import opalg as oa
    >>> P = oa.Space(2) * oa.Space(3)
    >>> oa.Component(P, 1)(P.ones()).shape
    (3,)
    """

    native = True

    def __init__(self, space: ProductSpace, index: int) -> None:
        super().__init__(space, _part(space, index))
        self.index = int(index) % len(space)

    nonnegative = True

    def _transposed(self) -> LinearOperator:
        return Embedding(self.domain, self.index)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _copy(x[self.index], out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.H._apply(y, out)

    def _norm_bounds(self) -> norms.Bounds:
        return norms.Bounds(1.0, 1.0)


class Embedding(LinearOperator):
    """An array as part ``index`` of an element of a product space, the other parts being zero.

    Parameters
    ----------
    space : ProductSpace
    index : int

    Examples
    --------
    >>> import opalg as oa
    >>> P = oa.Space(2) * oa.Space(1)
    >>> [part.tolist() for part in oa.Embedding(P, 0)(np.ones(2, "float32"))]
    [[1.0, 1.0], [0.0]]
    """

    native = True
    nonnegative = True

    def __init__(self, space: ProductSpace, index: int) -> None:
        super().__init__(_part(space, index), space)
        self.index = int(index) % len(space)

    def _transposed(self) -> LinearOperator:
        return Component(self.range, self.index)

    def _gram(self) -> LinearOperator:
        return Identity(self.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        if out is None:
            batch = self.domain.batch_shape(x)
            parts = [
                _copy(x, None) if i == self.index else space.zeros(like=x, batch=batch)
                for i, space in enumerate(self.range)
            ]
            return Blocks(parts)
        for i, part in enumerate(out):
            if i == self.index:
                _copy(x, part)
            else:
                for array in part.flatten() if isinstance(part, Blocks) else [part]:
                    array[...] = 0
        return out

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.H._apply(y, out)

    def _norm_bounds(self) -> norms.Bounds:
        return norms.Bounds(1.0, 1.0)


def _part(space: Any, index: int) -> Any:
    if not isinstance(space, ProductSpace):
        raise ArgumentError(f"the parts of a product space are meant, got {space}")
    if not isinstance(index, (int, np.integer)) or not -len(space) <= index < len(space):
        raise ArgumentError(f"{space} has parts 0 to {len(space) - 1}, got index {index!r}")
    return space[index]


class _Multiplication(LinearOperator):
    """Multiplication by a batch of arrays: the derivative of a product at a batch of points."""

    native = True

    def __init__(self, weight: Array, space: Any) -> None:
        super().__init__(space, space)
        self._weight = weight

    def _apply(self, x: Array, out: Array | None) -> Array:
        value = x * self._weight
        return value if out is None else _copy(value, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        value = y * (self._weight.conj() if self.domain.is_complex else self._weight)
        return value if out is None else _copy(value, out)
