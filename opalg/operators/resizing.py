"""Crop and zero padding, each the transpose of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, copy, is_array
from opalg.errors import ArgumentError
from opalg.operators.elementary import Identity
from opalg.operators.norms import Bounds
from opalg.operators.operator import LinearOperator
from opalg.spaces import Grid, Space

__all__ = ["Crop", "Pad"]

Widths = int | Sequence[int | tuple[int, int]]


class Crop(LinearOperator):
    """Cuts entries off the ends of the axes.

    Parameters
    ----------
    space : Space
        The domain. The range of a `Grid` is the `Grid` of the cells that are left, at their positions.
    widths : int, or one int or pair per axis
        How many entries to cut off at both ends, or ``(before, after)``, in the order of the axes; the
        format of `numpy.pad`.

    Raises
    ------
    ArgumentError
        If a width is negative, their number does not fit, or nothing would be left.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> C = oa.Crop(oa.Grid((4, 5)), (1, (0, 3)))
    >>> C.range.shape, C(np.ones((4, 5), "float32")).sum().item(), C.H
    ((2, 2), 4.0, Pad(Grid((2, 2), (1.0, 1.0), 'float32', (0.0, -1.5), ('y', 'x'), 1.0), ((1, 1), (0, 3))))
    """

    nonnegative = True

    def __init__(self, space: Space, widths: Widths) -> None:
        _check_space(space, "Crop")
        self.widths = _as_widths(widths, space)
        shape = tuple(n - a - b for n, (a, b) in zip(space.shape, self.widths, strict=True))
        if min(shape) < 1:
            raise ArgumentError(f"cropping {space} by {widths} leaves nothing, shape {shape}")
        super().__init__(space, _resized(space, shape, self.widths, -1))
        self._window = _window(self.widths, space.shape)

    def _transposed(self) -> LinearOperator:
        if not is_array(self.range.weighting):
            padding = Pad(self.range, self.widths)
            if padding.range == self.domain:
                return padding
        return super()._transposed()

    def _apply(self, x: Array, out: Array | None) -> Array:
        return copy(x[self._window], out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return _embed(y, out, self.range, self.domain, self._window)

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)


class Pad(LinearOperator):
    """Adds zeros at the ends of the axes.

    Parameters
    ----------
    space : Space
        The domain. The range of a `Grid` is the larger `Grid` around it.
    widths : int, or one int or pair per axis
        How many zeros to add at both ends, or ``(before, after)``; the format of `numpy.pad`.

    Raises
    ------
    ArgumentError
        If a width is negative, their number does not fit, or the weighting is an array, which nobody could
        continue (write ``Crop(larger_space, widths).H``).

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> P = oa.Pad(oa.Space(2, "float64"), ((1, 2),))
    >>> P(np.array([3.0, 4.0])).tolist()
    [0.0, 3.0, 4.0, 0.0, 0.0]
    """

    nonnegative = True

    def __init__(self, space: Space, widths: Widths) -> None:
        _check_space(space, "Pad")
        if is_array(space.weighting):
            raise ArgumentError(
                f"the weighting of {space} is an array, which Pad cannot continue; write "
                "oa.Crop(larger_space, widths).H"
            )
        self.widths = _as_widths(widths, space)
        shape = tuple(n + a + b for n, (a, b) in zip(space.shape, self.widths, strict=True))
        super().__init__(space, _resized(space, shape, self.widths, 1))
        self._window = _window(self.widths, shape)

    def _transposed(self) -> LinearOperator:
        cropping = Crop(self.range, self.widths)
        return cropping if cropping.range == self.domain else super()._transposed()

    def _gram(self) -> LinearOperator:
        return Identity(self.domain)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _embed(x, out, self.domain, self.range, self._window)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return copy(y[self._window], out)

    def _norm_bounds(self) -> Bounds:
        return Bounds(1.0, 1.0)


def _embed(x: Array, out: Array | None, source: Space, target: Space, window: Any) -> Array:
    if out is None:
        out = target.zeros(like=x, batch=source.batch_shape(x))
    else:
        out[...] = 0
    out[window] = x
    return out


def _window(widths: tuple[tuple[int, int], ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The part of the larger array that the smaller one fills, behind batch axes."""
    inside = (slice(a, n - b) for (a, b), n in zip(widths, shape, strict=True))
    return (Ellipsis, *inside)


def _resized(
    space: Space, shape: tuple[int, ...], widths: tuple[tuple[int, int], ...], sign: int
) -> Space:
    weight = space.weighting
    if is_array(weight):
        whole = np.broadcast_to(as_numpy(weight), space.shape)
        weight = whole[_window(widths, space.shape)].copy()
    if not isinstance(space, Grid):
        return Space(shape, space.dtype.name, space.axes, weight)
    origin = tuple(
        centre + sign * (after - before) / 2 * step
        for centre, (before, after), step in zip(space.origin, widths, space.spacing, strict=True)
    )
    return Grid(shape, space.spacing, space.dtype.name, origin, space.axes, weight)


def _as_widths(widths: Any, space: Space) -> tuple[tuple[int, int], ...]:
    entries = [widths] * space.ndim if isinstance(widths, (int, np.integer)) else list(widths)
    pairs = [(e, e) if isinstance(e, (int, np.integer)) else tuple(e) for e in entries]
    if len(pairs) != space.ndim or any(len(pair) != 2 for pair in pairs):
        raise ArgumentError(
            f"widths must be one number, or a number or (before, after) for each of the {space.ndim} "
            f"axes, got {widths!r}"
        )
    whole = all(isinstance(n, (int, np.integer)) and n >= 0 for pair in pairs for n in pair)
    if not whole:
        raise ArgumentError(f"widths must be integers of at least 0, got {widths!r}")
    return tuple((int(before), int(after)) for before, after in pairs)


def _check_space(space: Any, name: str) -> None:
    if not isinstance(space, Space) or not space.ndim:
        raise ArgumentError(f"{name} acts on a Space or Grid with at least one axis, got {space}")
