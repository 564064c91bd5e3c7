"""Values at chosen points of an array, and their accumulation back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array, is_torch, namespace
from opalg.errors import ArgumentError
from opalg.operators.elementary import Diagonal, Identity
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator
from opalg.spaces import Space

__all__ = ["Sampling"]


class Sampling(LinearOperator):
    """The values of an array at chosen points.

    Parameters
    ----------
    space : Space
    points : array
        A boolean mask of the shape of the space, whose true entries are taken in C order; or integer
        indices of shape (n,) for a space of one axis, (n, number of axes) for others. A point may be taken
        more than once.

    Raises
    ------
    ArgumentError
        If the mask has another shape or no true entry, or an index lies outside.

    Notes
    -----
    The range is the plain space of n values. The transpose adds the values that fall on one point, always
    in the same order.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> S = oa.Sampling(oa.Space((2, 2), "float64"), np.array([[0, 1], [1, 1], [0, 1]]))
    >>> S(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [2.0, 4.0, 2.0]
    >>> S.H(np.array([1.0, 10.0, 100.0])).tolist()
    [[0.0, 101.0], [0.0, 10.0]]
    """

    nonnegative = True

    def __init__(self, space: Space, points: Array) -> None:
        if not isinstance(space, Space):
            raise ArgumentError(f"Sampling acts on a Space or Grid, got {space}")
        self.points = as_numpy(points) if is_array(points) else np.asarray(points)
        self._indices = _flat_indices(self.points, space)
        super().__init__(space, Space(self._indices.size, space.dtype.name))
        counts = np.bincount(self._indices, minlength=1)
        self._multiplicity = int(counts.max())
        self._moved: dict[Any, Any] = {}

    @property
    def is_mask(self) -> bool:
        """Whether the points were given as a boolean mask."""
        return bool(self.points.dtype == bool)

    def _gram(self) -> LinearOperator:
        counts = np.bincount(self._indices, minlength=self.domain.size)
        weight = counts.reshape(self.domain.shape).astype(self.domain.real.dtype)
        return Identity(self.domain) if (counts == 1).all() else Diagonal(weight, self.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        batch, xp = self.domain.batch_shape(x), namespace(x)
        flat = xp.reshape(x, (*batch, self.domain.size))
        if isinstance(x, np.ndarray):
            # The indices were checked at construction; "raise" would go through a buffer.
            return np.take(flat, self._indices, axis=-1, out=out, mode="clip")
        value = xp.take(flat, self._indices_like(x), axis=-1)
        if out is None:
            return value
        out[...] = value
        return out

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        batch = self.range.batch_shape(y)
        if is_torch(y):
            value = y.new_zeros((*batch, self.domain.size))
            value.index_add_(-1, self._indices_like(y), y)
        else:
            value = self._accumulated(as_numpy(y), batch)
            value = value if isinstance(y, np.ndarray) else namespace(y).asarray(value)
        value = namespace(y).reshape(value, (*batch, *self.domain.shape))
        if out is None:
            return value
        out[...] = value
        return out

    def _accumulated(self, y: Any, batch: tuple[int, ...]) -> Any:
        value = np.zeros((*batch, self.domain.size), self.domain.dtype)
        if self._multiplicity == 1:
            value[..., self._indices] = y
        else:
            where: Any = (Ellipsis, self._indices)
            np.add.at(value, where, y)
        return value

    def _indices_like(self, x: Array) -> Any:
        place = (type(x), getattr(x, "device", None))
        if place not in self._moved:
            self._moved[place] = namespace(x).asarray(self._indices.copy(), device=x.device)
        return self._moved[place]

    def _norm_bounds(self) -> Bounds:
        norm = math.sqrt(self._multiplicity)
        return Bounds(norm, norm)


def _flat_indices(points: np.ndarray[Any, Any], space: Space) -> np.ndarray[Any, Any]:
    """Checked positions in the flattened array."""
    if points.dtype == bool:
        if points.shape != space.shape:
            raise ArgumentError(f"the mask must have shape {space.shape}, got {points.shape}")
        found = np.flatnonzero(points)
    elif points.dtype.kind in "iu":
        table = points.reshape(-1, 1) if points.ndim == 1 and space.ndim == 1 else points
        if table.ndim != 2 or table.shape[1] != space.ndim:
            raise ArgumentError(
                f"the points must be a mask of shape {space.shape} or integers of shape "
                f"(n, {space.ndim}), one index per axis, got shape {points.shape}"
            )
        outside = ((table < 0) | (table >= np.array(space.shape))).any(axis=1)
        if outside.any():
            first = int(np.argmax(outside))
            raise ArgumentError(
                f"point {first}, {tuple(table[first].tolist())}, lies outside the shape {space.shape}"
            )
        found = np.ravel_multi_index(tuple(table.T), space.shape)
    else:
        raise ArgumentError(f"the points must be booleans or integers, got dtype {points.dtype}")
    if not found.size:
        raise ArgumentError("Sampling needs at least one point")
    return found.astype(np.int64)
