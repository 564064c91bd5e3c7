"""Elements of product spaces, and linear combinations that make no temporary arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import SpaceMismatchError

__all__ = ["Blocks", "expand", "lincomb"]

_CHUNK = 1 << 14  # entries per piece: a piece and its temporary stay in the first-level cache


class Blocks(tuple[Any, ...]):
    """An element of a product space: a tuple of arrays with arithmetic.

    ``+ - * /`` act part by part, with another `Blocks` of the same structure or with a number;
    ``+=`` and its like change the parts in place. Iteration and indexing are those of a tuple.

    Raises
    ------
    SpaceMismatchError
        By arithmetic, if the numbers of parts differ.

    Examples
    --------
    >>> u = Blocks((np.ones(2), np.zeros(3)))
    >>> v = 2 * u + u
    >>> v[0], len(v)
    (array([3., 3.]), 2)
    """

    __slots__ = ()
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    @property
    def first(self) -> Array:
        """The first array, for its library and device."""
        return self[0].first if isinstance(self[0], Blocks) else self[0]

    def flatten(self) -> list[Array]:
        """All arrays, depth first."""
        parts: list[Array] = []
        for part in self:
            parts.extend(part.flatten() if isinstance(part, Blocks) else [part])
        return parts

    def _map(self, function: Any, other: Any) -> Blocks:
        if not isinstance(other, tuple) and getattr(other, "__array_ufunc__", self) is None:
            return NotImplemented  # an operator: it knows what to do with this element
        if isinstance(other, tuple):
            if len(other) != len(self):
                raise SpaceMismatchError(
                    f"Blocks of {len(self)} and of {len(other)} parts cannot be combined; they must be "
                    "elements of one space"
                )
            return Blocks(function(a, b) for a, b in zip(self, other, strict=True))
        return Blocks(function(a, other) for a in self)

    def __add__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: a + b, other)

    def __sub__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: a - b, other)

    def __mul__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: a * b, other)

    def __truediv__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: a / b, other)

    def __radd__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: b + a, other)

    def __rsub__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: b - a, other)

    def __rmul__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: b * a, other)

    def __rtruediv__(self, other: Any) -> Blocks:
        return self._map(lambda a, b: b / a, other)

    def __neg__(self) -> Blocks:
        return Blocks(-a for a in self)

    def __iadd__(self, other: Any) -> Blocks:
        return self._map(_iadd, other)

    def __isub__(self, other: Any) -> Blocks:
        return self._map(_isub, other)

    def __imul__(self, other: Any) -> Blocks:
        return self._map(_imul, other)

    def __itruediv__(self, other: Any) -> Blocks:
        return self._map(_itruediv, other)

    def __eq__(self, other: object) -> bool:
        raise TypeError(
            "compare the arrays of Blocks one by one; space.norm(x - y) gives a distance"
        )

    def __repr__(self) -> str:
        return f"Blocks({', '.join(map(repr, self))})"


def _iadd(a: Any, b: Any) -> Any:
    a += b
    return a


def _isub(a: Any, b: Any) -> Any:
    a -= b
    return a


def _imul(a: Any, b: Any) -> Any:
    a *= b
    return a


def _itruediv(a: Any, b: Any) -> Any:
    a /= b
    return a


def lincomb(a: Any, x: Array, b: Any, y: Array | None, out: Array | None, ndim: int) -> Array:
    """``a * x + b * y`` for arrays whose last ``ndim`` axes are the space's; see `opalg.Space.lincomb`."""
    if out is None and type(x) is np.ndarray and (np.ndim(a) or np.ndim(b)):
        out = np.empty(x.shape, x.dtype)  # numbers of higher precision must not promote the element
    if isinstance(out, np.ndarray):
        if not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray):
            _combine(a, x, b, y, out)
            return out
        batch = out.shape[: out.ndim - ndim]
        a, b = np.broadcast_to(a, batch), np.broadcast_to(0.0 if b is None else b, batch)
        for i in np.ndindex(batch):
            _combine(a[i].item(), x[i], b[i].item(), None if y is None else y[i], out[i])
        return out
    a, b = expand(a, ndim), expand(b, ndim)
    value = a * x if y is None else a * x + b * y
    if out is None:
        return value
    out[...] = value
    return out


def expand(factor: Any, ndim: int) -> Any:
    """A number per batch entry, shaped to multiply an element."""
    return factor[(...,) + (None,) * ndim] if getattr(factor, "ndim", 0) else factor


def _combine(a: Any, x: Array, b: Any, y: Array | None, out: np.ndarray[Any, Any]) -> None:
    if y is None:
        np.multiply(x, a, out=out)
    elif not (x.flags.c_contiguous and y.flags.c_contiguous and out.flags.c_contiguous):
        np.add(a * x, b * y, out=out)
    else:
        x, y, out = x.reshape(-1), y.reshape(-1), out.reshape(-1)
        for start in range(0, out.size, _CHUNK):
            piece = slice(start, start + _CHUNK)
            second = y[piece] if b == 1 else y[piece] * b
            np.add(x[piece] * a, second, out=out[piece])
