"""The few vector operations of iterations, for arrays and `Blocks` of any library, with batch axes.

Solvers work with plain arrays: the conjugate transpose ``A.H`` and the sums over entries, without the
weights of the spaces. Constant weights would cancel (they scale ``A.adjoint`` and the inner products so that
steps stay the same); weights that vary belong into the problem, ``Diagonal(w) @ A``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from opalg import arrays
from opalg.arrays import Array, as_numpy, is_array, is_torch, namespace
from opalg.errors import ArgumentError, NonFiniteError
from opalg.spaces import Blocks, ProductSpace, Space
from opalg.spaces.parts import flat, leaves

__all__ = [
    "clip",
    "copy",
    "inner",
    "is_recorded",
    "length",
    "multiply",
    "number",
    "parts",
    "plain",
    "quotient",
    "ratio",
    "refuse_negative",
    "refuse_nonfinite",
]

_PIECE = 1 << 12  # entries: a piece and its temporaries stay in the first-level cache


def parts(x: Array) -> list[Array]:
    """The arrays of an element: those of `Blocks`, or the array alone."""
    return flat(x)


@lru_cache(maxsize=256)
def plain(space: Any) -> Any:
    """The space of the same arrays with the unweighted inner product."""
    if isinstance(space, ProductSpace):
        return ProductSpace(*(plain(part) for part in space))
    return Space(space.shape, space.dtype)


def inner(space: Any, x: Array, y: Array) -> Any:
    """Real part of the inner product of a plain space, one number per sample, for use in a step.

    NumPy gives a Python number, or float64 numbers for a batch, so that a sample of a batch is treated as if
    it were alone; other libraries give an array on the device of ``x``, which PyTorch can record.
    """
    value = space.inner(x, y)
    return number(value.real if space.is_complex else value)


def number(value: Any) -> Any:
    """A value per sample for use in a step: of NumPy a Python number, or float64 numbers for a batch."""
    if isinstance(value, np.ndarray) and value.ndim:
        return value.astype(np.float64)
    return float(value) if isinstance(value, (np.ndarray, np.generic)) else value


def ratio(numerator: Any, denominator: Any) -> Any:
    """``numerator / denominator`` per sample, zero where the denominator is zero."""
    if not is_array(denominator):
        return numerator / denominator if denominator else 0.0
    xp = namespace(denominator)
    empty = denominator == 0
    # Divided by one there, so that no NaN reaches a gradient.
    return xp.where(
        empty, xp.zeros_like(denominator), numerator / xp.where(empty, 1.0, denominator)
    )


def length(space: Any, x: Array) -> Any:
    """The norm in a plain space as a Python number, or a float64 NumPy array for a batch.

    For reports and decisions: it is never recorded by PyTorch.
    """
    pieces = [piece.detach() if is_torch(piece) else piece for piece in parts(x)]
    pairs = list(zip(leaves(space), pieces, strict=True))
    with np.errstate(all="ignore"):
        squares = [_square(leaf, piece) for leaf, piece in pairs]
        if not all(np.isfinite(square).all() for square in squares):
            # Either there is NaN or infinity, or float32 is too small for the square.
            squares = [
                _square(leaf.astype(np.result_type(leaf.dtype, np.float64)), _double(piece))
                for leaf, piece in pairs
            ]
        value = np.sqrt(sum(squares))
    return float(value) if value.ndim == 0 else value


def multiply(x: Array, factor: Array, out: Array | None) -> Array:
    """``x * factor`` entry by entry; ``out`` may be ``x``."""
    if isinstance(x, Blocks):
        return Blocks(
            multiply(a, b, None if out is None else out[i])
            for i, (a, b) in enumerate(zip(x, factor, strict=True))
        )
    return arrays.multiply(x, factor, out)


def quotient(x: Array, divisor: Array, out: Array | None, other: float = 0.0) -> Array:
    """``x / divisor`` entry by entry where the divisor is positive, else ``other``; ``out`` may be either.

    The divisor may lack the batch axes of ``x``.
    """
    if isinstance(x, Blocks):
        return Blocks(
            quotient(a, b, None if out is None else out[i], other)
            for i, (a, b) in enumerate(zip(x, divisor, strict=True))
        )
    if isinstance(out, np.ndarray) and out.flags.c_contiguous:
        pieces = out.reshape(-1, divisor.size) if divisor.size else out[:0]
        flat = np.broadcast_to(x, out.shape).reshape(pieces.shape), divisor.reshape(-1)
        for row, values in zip(pieces, flat[0], strict=True):
            for start in range(0, row.size, _PIECE):
                piece = slice(start, start + _PIECE)
                row[piece] = _quotient(values[piece], flat[1][piece], other)
        return out
    value = _quotient(x, divisor, other)
    return value if out is None else arrays.copy(value, out)


def _quotient(x: Array, divisor: Array, other: float) -> Array:
    xp = namespace(divisor)
    known = divisor > 0
    ones = xp.ones_like(divisor)
    # Divided by one elsewhere, so that no NaN reaches a gradient.
    return xp.where(known, x / xp.where(known, divisor, ones), other * ones)


def clip(x: Array, minimum: float | None, maximum: float | None, out: Array | None) -> Array:
    """``x`` forced between two numbers, either of which may be missing; ``out`` may be ``x``."""
    if isinstance(x, Blocks):
        return Blocks(
            clip(part, minimum, maximum, None if out is None else out[i])
            for i, part in enumerate(x)
        )
    if isinstance(out, np.ndarray):
        return np.clip(x, minimum, maximum, out=out)
    value = namespace(x).clip(x, minimum, maximum)
    return value if out is None else arrays.copy(value, out)


def copy(x: Array) -> Array:
    """A copy in new memory."""
    return Blocks(copy(part) for part in x) if isinstance(x, Blocks) else arrays.copy(x)


def is_recorded(x: Array) -> bool:
    """Whether PyTorch would differentiate what is computed from ``x``."""
    for part in parts(x):
        if arrays.in_autograd(part):
            from torch.autograd import forward_ad

            unpack_dual: Any = forward_ad.unpack_dual  # PyTorch gives it no type
            if part.requires_grad or unpack_dual(part).tangent is not None:
                return True
    return False


def refuse_negative(x: Array, what: str) -> None:
    """Raise if an entry is negative.

    Raises
    ------
    ArgumentError
        Saying how low it is.
    """
    for part in parts(x):
        lowest = float(as_numpy(part).min(initial=0.0))
        if lowest < 0:
            raise ArgumentError(
                f"{what} must be at least 0 everywhere, but is {lowest:g} somewhere; clip it first"
            )


def refuse_nonfinite(space: Any, x: Array, what: str) -> None:
    """Raise unless all entries are finite; one pass over ``x`` where they are.

    Raises
    ------
    NonFiniteError
        Saying how many entries are not, and where the first is.
    """
    if np.isfinite(length(space, x)).all():  # NaN and infinity survive a sum of squares
        return
    pieces = parts(x)
    for i, part in enumerate(pieces):
        wrong = ~np.isfinite(as_numpy(part))
        if wrong.any():
            first = tuple(int(k) for k in np.unravel_index(int(wrong.argmax()), wrong.shape))
            where = f"part {i} of {what}" if len(pieces) > 1 else what
            raise NonFiniteError(
                f"{where} must be finite, but {int(wrong.sum())} of {wrong.size} entries are NaN or "
                f"infinite, the first at index {first}; mask or interpolate them"
            )


def _square(space: Any, x: Array) -> Any:
    return np.asarray(as_numpy(space.inner(x, x))).real.astype(np.float64)


def _double(x: Array) -> Array:
    xp = namespace(x)
    kind = xp.complex128 if np.dtype(arrays.dtype_of(x)).kind == "c" else xp.float64
    return xp.astype(x, kind)
