"""Work on the entries of elements: sums with the weights of a space, moduli, and functions piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array, Constant, as_numpy, copy, is_array, namespace
from opalg.errors import ArgumentError, NonFiniteError
from opalg.functionals.steps import is_number
from opalg.spaces import Blocks

__all__ = [
    "Field",
    "cumulative_sum",
    "deliver",
    "flat",
    "integral",
    "integrated",
    "leaves",
    "length",
    "modulus",
    "pairing",
    "pieces",
    "rounding",
    "unflat",
    "volume",
    "weight_of",
]

_PIECE = (
    1 << 13
)  # entries: operands, result and temporaries of a piece stay in the second-level cache


def leaves(space: Any) -> list[Any]:
    """The spaces of arrays of which a product space is made."""
    if hasattr(space, "spaces"):
        return [leaf for part in space.spaces for leaf in leaves(part)]
    return [space]


def flat(x: Array) -> list[Array]:
    """The arrays of an element."""
    return x.flatten() if isinstance(x, Blocks) else [x]


def unflat(space: Any, parts: Sequence[Array]) -> Array:
    """Arrays as an element of a space; the inverse of `flat`."""
    remaining = iter(parts)

    def build(node: Any) -> Array:
        return Blocks(build(s) for s in node.spaces) if hasattr(node, "spaces") else next(remaining)

    return build(space)


def deliver(value: Array, out: Array | None) -> Array:
    """A result in ``out``, or as it is."""
    if out is None:
        return value
    for target, part in zip(flat(out), flat(value), strict=True):
        target[...] = part
    return out


def duplicate(x: Array, out: Array | None) -> Array:
    """A copy of an element, in ``out`` if there is one."""
    if isinstance(x, Blocks):
        return Blocks(duplicate(part, None if out is None else out[i]) for i, part in enumerate(x))
    return copy(x, out)


# Sums


def weight_of(space: Any, like: Array) -> Any:
    """The weighting of a space of arrays: a number, or an array in the library of ``like``."""
    weight = space._weighting
    return weight.like(like) if isinstance(weight, Constant) else weight


def integral(space: Any, density: Array) -> Array:
    """``sum(w * density)`` over the axes of a space of arrays, one value per batch entry."""
    xp = namespace(density)
    weight = weight_of(space, density)
    axes = tuple(range(density.ndim - space.ndim, density.ndim))
    if isinstance(weight, float):
        total = xp.sum(density, axis=axes) if axes else density
        return total if weight == 1.0 else total * weight
    return xp.sum(density * weight, axis=axes)


def pairing(space: Any, x: Array, y: Array) -> Array:
    """The real part of the inner product; ``x`` or ``y`` may have no batch axes."""
    total: Any = 0
    for leaf, a, b in zip(leaves(space), flat(x), flat(y), strict=True):
        total = total + integral(leaf, _real_product(a, b))
    return total


def _real_product(a: Array, b: Array) -> Array:
    xp = namespace(a)
    if xp.isdtype(a.dtype, "complex floating") if xp is not np else a.dtype.kind == "c":
        return xp.real(a) * xp.real(b) + xp.imag(a) * xp.imag(b)
    return a * b


def length(space: Any, x: Array) -> Array:
    """The norm of an element, one per batch entry; its gradient in PyTorch is 0 at 0, not NaN."""
    first = flat(x)[0]
    xp = namespace(first)
    # NumPy's inner product makes no temporary arrays.
    square = xp.real(space.inner(x, x)) if xp is np else pairing(space, x, x)
    return xp.sqrt(xp.maximum(square, float(np.finfo(leaves(space)[0].dtype).tiny)))


def volume(space: Any) -> float:
    """The integral of one: the sum of all weights."""
    total = 0.0
    for leaf in leaves(space):
        weight = leaf.weighting
        if is_array(weight):
            total += float(np.broadcast_to(as_numpy(weight), leaf.shape).sum(dtype="float64"))
        else:
            total += weight * leaf.size
    return total


def modulus(*parts: Array) -> Array:
    """``sqrt(sum |x_k| ** 2)`` entry by entry; its gradient in PyTorch is 0 at 0, not NaN."""
    xp = namespace(parts[0])
    if len(parts) == 1:
        return xp.abs(parts[0])
    square = _real_product(parts[0], parts[0])
    if xp is np:
        for part in parts[1:]:
            square += _real_product(part, part)
        return np.sqrt(square, out=square)
    for part in parts[1:]:
        square = square + _real_product(part, part)
    square = xp.maximum(square, xp.finfo(square.dtype).smallest_normal)
    return xp.sqrt(square)


def cumulative_sum(x: Array) -> Array:
    """Cumulative sums along the last axis."""
    xp = namespace(x)
    function = (
        getattr(xp, "cumulative_sum", None) or xp.cumsum
    )  # NumPy before 2.1 has the latter only
    return function(x, axis=-1)


def rounding(space: Any) -> float:
    """Relative error that a sum over an element may have by rounding: the slack of set membership."""
    leaf = leaves(space)[0]
    return float(32 * np.finfo(leaf.dtype).eps * max(space.size, 1) ** 0.5)


# Functions of entries


def pieces(
    function: Callable[..., Any],
    parts: Sequence[Array],
    operands: Sequence[Any],
    outs: Sequence[Any],
) -> list[Array]:
    """``function(*parts, *operands)``, a list of arrays, computed piece by piece where that saves memory.

    NumPy evaluates an expression with one full-size temporary array per operation. Taken in pieces
    the temporaries stay in the cache, and with ``outs`` nothing of the size of an element is
    allocated.

    Parameters
    ----------
    function : callable
        Acts on each entry for itself; returns a list of as many new arrays as ``parts``.
    parts : list of array
        Of one shape.
    operands : list of number or array
        Broadcast with the parts: of their shape, without the batch axes, or one number per batch entry.
    outs : list of array or None
    """
    first = parts[0]
    axes = _batch_axes(first, operands) if _divisible(parts, outs) else None
    if axes is None:
        values = function(*parts, *operands)
        return [deliver(value, out) for value, out in zip(values, outs, strict=True)]
    results = [
        np.empty_like(part) if out is None else out for part, out in zip(parts, outs, strict=True)
    ]
    count, size = math.prod(first.shape[:axes]), math.prod(first.shape[axes:])
    lines = [part.reshape(count, size) for part in parts]
    others = [_by_rows(other, first.shape, axes, size) for other in operands]
    targets = [result.reshape(count, size) for result in results]
    for i in range(count):
        row = [
            other[i % len(other)] if isinstance(other, (list, np.ndarray)) else other
            for other in others
        ]
        for start in range(0, size, _PIECE):
            piece = slice(start, start + _PIECE)
            values = function(
                *(line[i, piece] for line in lines),
                *(other[piece] if np.ndim(other) else other for other in row),
            )
            for target, value in zip(targets, values, strict=True):
                target[i, piece] = value
    return results


def integrated(
    space: Any, function: Callable[..., Array], parts: Sequence[Array], operands: Sequence[Any]
) -> Array:
    """``integral(space, function(*parts, *operands))``, piece by piece where that saves memory.

    Parameters
    ----------
    space : Space
        Of the values of the function.
    function : callable
        Acts on each entry for itself; returns one new array.
    parts : list of array
        Of one shape, with batch axes in front.
    operands : list of number or array
        With or without batch axes.
    """
    weight = weight_of(space, parts[0])
    others = [*operands, weight]
    if not _summable(space, parts, others):
        return integral(space, function(*parts, *operands))
    batch, size = space.batch_shape(parts[0]), space.size
    rows = [_rows(array, size) for array in (*parts, *others)]
    totals = np.zeros(math.prod(batch))
    for i in range(totals.size):
        lines = [row if np.ndim(row) == 0 else row[i % len(row)] for row in rows]
        for start in range(0, size, _PIECE):
            piece = slice(start, start + _PIECE)
            *values, own = [line[piece] if np.ndim(line) else line for line in lines]
            density = function(*values)
            # Sums of pieces in float64: values of float32 elements are then good to their last digit.
            totals[i] += float(np.sum(density * own if np.ndim(own) else density))
    if not np.ndim(weight):
        totals *= weight
    value = totals.astype(parts[0].real.dtype).reshape(batch)
    return value if batch else value[()]


def _summable(space: Any, parts: Sequence[Array], others: Sequence[Any]) -> bool:
    """Whether all arrays are large contiguous NumPy arrays of the space, with the batch axes or without."""
    first = parts[0]
    if type(first) is not np.ndarray or first.size <= _PIECE:
        return False
    shapes = {first.shape, space.shape}
    arrays = [*parts, *(a for a in others if getattr(a, "ndim", 0))]
    return all(type(a) is np.ndarray and a.shape in shapes and a.flags.c_contiguous for a in arrays)


def _rows(array: Any, size: int) -> Any:
    return array.reshape(-1, size) if getattr(array, "ndim", 0) else array


def _divisible(parts: Sequence[Array], outs: Sequence[Any]) -> bool:
    """Whether all arrays are contiguous NumPy arrays of one shape, and large."""
    first = parts[0]
    if type(first) is not np.ndarray or first.size <= _PIECE:
        return False
    arrays = [*parts, *(out for out in outs if out is not None)]
    return all(
        type(a) is np.ndarray and a.shape == first.shape and a.flags.c_contiguous for a in arrays
    )


def _by_rows(operand: Any, shape: tuple[int, ...], axes: int, size: int) -> Any:
    """An operand as one line, or one number, for each batch entry or for all."""
    if not getattr(operand, "ndim", 0):
        return operand
    if operand.shape == shape or operand.ndim < len(shape):
        return operand.reshape(-1, size)
    return operand.reshape(-1).tolist()  # Python's numbers do not promote elements


def _batch_axes(first: Array, operands: Sequence[Any]) -> int | None:
    """How many axes of the first array count as batch axes for the operands; None if they do not fit."""
    found = set()
    for a in operands:
        if not getattr(a, "ndim", 0) or a.shape == first.shape:
            pass
        elif a.ndim < first.ndim and a.shape == first.shape[first.ndim - a.ndim :]:
            found.add(first.ndim - a.ndim)
        else:
            axes = max((k + 1 for k, extent in enumerate(a.shape) if extent != 1), default=0)
            if a.ndim != first.ndim or not axes or a.shape[:axes] != first.shape[:axes]:
                return None
            found.add(axes)
        if getattr(a, "ndim", 0) and not (type(a) is np.ndarray and a.flags.c_contiguous):
            return None
    return None if len(found) > 1 else max(found, default=0)


class Field:
    """A parameter of a functional: a number, or an element of its domain.

    Parameters
    ----------
    value : number, array or Blocks
    space : Space or ProductSpace
        In which an array must lie.
    what : str
        The name for messages.
    finite : bool, default True
        Whether infinite values are refused, too; NaN always is.

    Raises
    ------
    SpaceMismatchError, DtypeError
        If an array is no element of the space.
    NonFiniteError
        If values are NaN or infinite.
    """

    __slots__ = ("constants", "number", "space")

    def __init__(self, value: Any, space: Any, what: str, finite: bool = True) -> None:
        self.space = space
        self.number: float | None = None
        self.constants: list[Constant] = []
        if is_number(value):
            if not np.isreal(value):
                raise ArgumentError(f"{what} must be a real number or an array, got {value!r}")
            self.number = float(value)
            _refuse(math.isnan(self.number) or (finite and math.isinf(self.number)), what)
            return
        for part in flat(space.check(value, what)):
            xp = namespace(part)
            bad = xp.isnan(part) if not finite else ~xp.isfinite(part)
            _refuse(bool(xp.any(bad)), what)
            self.constants.append(Constant(part))

    def leaf(self, index: int, like: Array) -> Any:
        """The number, or the array that belongs to leaf ``index`` of the space."""
        return self.number if self.number is not None else self.constants[index].like(like)

    def element(self, like: Array) -> Array:
        """The parameter as an element of the space (an array, or `Blocks`)."""
        first = flat(like)[0]
        if self.number is not None:
            return self.space.ones(like=first) * self.number
        return unflat(self.space, [constant.like(first) for constant in self.constants])

    def arrays(self) -> list[Any]:
        """The number or the arrays, as given."""
        if self.number is not None:
            return [self.number]
        return [constant.array for constant in self.constants]

    def map(self, function: Callable[[Any], Any], what: str = "parameter") -> Field:
        """The field with a function applied to each number or array."""
        if self.number is not None:
            return Field(function(self.number), self.space, what, finite=False)
        values = [function(constant.array) for constant in self.constants]
        return Field(unflat(self.space, values), self.space, what, finite=False)

    @property
    def value(self) -> Any:
        """The number, array or `Blocks`, as a constructor takes it."""
        if self.number is not None:
            return self.number
        return unflat(self.space, [constant.array for constant in self.constants])

    def smallest(self) -> float:
        """The least value."""
        return min(float(as_numpy(a).min()) if is_array(a) else a for a in self.arrays())

    def largest(self) -> float:
        """The greatest value."""
        return max(float(as_numpy(a).max()) if is_array(a) else a for a in self.arrays())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Field)
            and self.number == other.number
            and self.constants == other.constants
        )

    def __hash__(self) -> int:
        return hash((self.number, *self.constants))


def _refuse(bad: bool, what: str) -> None:
    if bad:
        raise NonFiniteError(f"{what} holds NaN or infinite values")
