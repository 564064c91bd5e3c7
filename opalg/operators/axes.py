"""The axes of an array in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, copy, is_array, namespace
from opalg.errors import ArgumentError
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator
from opalg.spaces import Grid, Space

__all__ = ["Transposition"]


class Transposition(LinearOperator):
    """Reorders the axes; names, spacing, origin and weighting go along.

    Parameters
    ----------
    space : Space
    axes : sequence of int or str, optional
        The axes of the domain in the order of the range; reversed by default.

    Raises
    ------
    ArgumentError
        If the axes are not those of the space, each once.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> P = oa.Transposition(oa.Grid((2, 3, 4)), ("x", "z", "y"))
    >>> P.range.shape, P.range.axes, P(np.ones((5, 2, 3, 4), "float32")).shape
    ((4, 2, 3), ('x', 'z', 'y'), (5, 4, 2, 3))
    >>> P.inverse is P.H
    True
    """

    native = True
    unitary = True
    nonnegative = True

    def __init__(self, space: Space, axes: Sequence[int | str] | None = None) -> None:
        if not isinstance(space, Space):
            raise ArgumentError(f"Transposition acts on a Space or Grid, got {space}")
        self.axes = _as_permutation(axes, space)
        super().__init__(space, _permuted(space, self.axes))
        self._back = tuple(int(i) for i in np.argsort(self.axes))

    @property
    def inverse(self) -> LinearOperator:
        """The transpose."""
        return self.H

    def _transposed(self) -> LinearOperator:
        return Transposition(self.range, self._back)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _permute(x, self.axes, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return _permute(y, self._back, out)

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)

    def _key(self) -> tuple[Any, ...]:
        return self.domain, self.axes


def _permute(x: Array, axes: tuple[int, ...], out: Array | None) -> Array:
    batch = x.ndim - len(axes)
    order = (*range(batch), *(batch + axis for axis in axes))
    return copy(namespace(x).permute_dims(x, order), out)


def _permuted(space: Space, axes: tuple[int, ...]) -> Space:
    def ordered(values: Any) -> Any:
        return None if values is None else tuple(values[axis] for axis in axes)

    weight = space.weighting
    if is_array(weight):
        weight = np.broadcast_to(as_numpy(weight), space.shape).transpose(axes).copy()
    shape, names, dtype = ordered(space.shape), ordered(space.axes), space.dtype.name
    if isinstance(space, Grid):
        return Grid(shape, ordered(space.spacing), dtype, ordered(space.origin), names, weight)
    return Space(shape, dtype, names, weight)


def _as_permutation(axes: Any, space: Space) -> tuple[int, ...]:
    if axes is None:
        return tuple(reversed(range(space.ndim)))
    names = space.axes or ()
    found = [names.index(a) if isinstance(a, str) and a in names else a for a in axes]
    whole = all(isinstance(a, (int, np.integer)) and -space.ndim <= a < space.ndim for a in found)
    if whole:
        found = [int(a) % space.ndim for a in found]
    if not whole or sorted(found) != list(range(space.ndim)):
        own: Any = space.axes or tuple(range(space.ndim))
        raise ArgumentError(f"the axes {own} of {space} are needed, each once, got {tuple(axes)}")
    return tuple(found)
