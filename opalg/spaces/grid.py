"""Uniform discretisations: a space whose axes have positions in physical units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.arrays import Array, as_numpy, is_array
from opalg.errors import ArgumentError
from opalg.spaces.indexing import chosen_cells, keep_axis, one_index_per_axis
from opalg.spaces.space import Space, as_shape

__all__ = ["Grid"]

_AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


class Grid(Space):
    """A uniform grid of cells: values sit at cell centres, the inner product carries the cell volume.

    Parameters
    ----------
    shape : int or tuple of int
        Cells along each axis, slowest axis first: ``(y, x)`` or ``(z, y, x)``.
    spacing : float or tuple of float, default 1.0
        Distance of neighbouring centres, one number or one per axis, in one physical unit (mm).
    dtype : {"float32", "float64", "complex64", "complex128"}, default "float32"
    origin : float or tuple of float, default 0.0
        Position of the centre of the whole grid, in the same unit and axis order.
    axes : tuple of str, optional
        Names; ``("y", "x")`` in 2D and ``("z", "y", "x")`` in 3D by default.
    weighting : float or array, optional
        Weight of the inner product, the cell volume by default.

    Raises
    ------
    ArgumentError
        If a spacing is not positive, or the numbers of entries differ.

    Examples
    --------
    >>> grid = Grid((4, 6), spacing=0.5)
    >>> grid.cell_volume, grid.extent
    (0.25, (2.0, 3.0))
    >>> y, x = grid.coordinates
    >>> y.tolist()
    [-0.75, -0.25, 0.25, 0.75]
    >>> grid[1:3, ::2].spacing, grid[1:3, ::2].origin
    ((0.5, 1.0), (0.0, -0.25))
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        spacing: float | Sequence[float] = 1.0,
        dtype: npt.DTypeLike = "float32",
        origin: float | Sequence[float] = 0.0,
        axes: Sequence[str] | None = None,
        weighting: float | Array | None = None,
    ) -> None:
        ndim = len(as_shape(shape))
        self.spacing = _per_axis(spacing, ndim, "spacing")
        self.origin = _per_axis(origin, ndim, "origin")
        if min(self.spacing) <= 0:
            raise ArgumentError(f"spacing must be positive, got {spacing!r}")
        if axes is None:
            axes = _AXES.get(ndim) or tuple(f"axis{i}" for i in range(ndim))
        volume = math.prod(self.spacing)
        super().__init__(shape, dtype, axes, volume if weighting is None else weighting)

    @property
    def cell_volume(self) -> float:
        """Product of the spacings."""
        return math.prod(self.spacing)

    @property
    def extent(self) -> tuple[float, ...]:
        """Length of each axis, from edge to edge."""
        return tuple(n * step for n, step in zip(self.shape, self.spacing, strict=True))

    @cached_property
    def coordinates(self) -> tuple[np.ndarray[Any, np.dtype[np.float64]], ...]:
        """Positions of the cell centres, one float64 array per axis."""
        found: list[Any] = []
        for n, step, centre in zip(self.shape, self.spacing, self.origin, strict=True):
            positions = (np.arange(n) - (n - 1) / 2) * step + centre
            positions.flags.writeable = False
            found.append(positions)
        return tuple(found)

    __iter__ = None  # a grid is no sequence, though parts of it are chosen by brackets

    def __getitem__(self, key: Any) -> Grid:
        """Some of the cells, ``grid[z, y, x]``: their centres stay where they are.

        Cells are chosen by slices with positive steps, or by indices and masks that leave equally spaced
        ones; a single number keeps its axis, ``...`` stands for all that is left out.

        Raises
        ------
        ArgumentError
            If the cells that are left are none, or not equally spaced.
        IndexError
            If a number is out of range.
        NotSupportedError
            For what is no number, slice, list or array.
        """
        axes = self.axes or ()
        keys = one_index_per_axis(key, axes)
        chosen = [chosen_cells(k, n, a) for k, n, a in zip(keys, self.shape, axes, strict=True)]
        counts, steps, middles = zip(*chosen, strict=True)
        spacing = [n * step for n, step in zip(steps, self.spacing, strict=True)]
        moved = zip(self.origin, middles, self.spacing, strict=True)
        origin = [centre + cells * step for centre, cells, step in moved]
        weight: Any = self.weighting
        if is_array(weight):
            cells = zip(keys, self.shape, axes, strict=True)
            kept = np.ix_(*(np.arange(n)[keep_axis(k, n, a)] for k, n, a in cells))
            weight = np.broadcast_to(as_numpy(weight), self.shape)[kept]
        elif weight == self.cell_volume:
            weight = None  # that of the cells that are left
        return Grid(counts, spacing, self.dtype.name, origin, axes, weight)

    def _with_dtype(self, dtype: np.dtype[Any]) -> Grid:
        weighting = super()._with_dtype(dtype).weighting
        return Grid(self.shape, self.spacing, dtype.name, self.origin, self.axes, weighting)

    def _key(self) -> tuple[Any, ...]:
        return (*super()._key(), self.spacing, self.origin)

    def __str__(self) -> str:
        steps = self.spacing
        step = f"{steps[0]:g}" if len(set(steps)) == 1 else " x ".join(f"{s:g}" for s in steps)
        return f"{super().__str__()}, spacing {step}"


def _per_axis(value: Any, ndim: int, what: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in (value if np.ndim(value) else [value] * ndim))
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != ndim or not all(math.isfinite(v) for v in numbers):
        raise ArgumentError(f"{what} must be one number, or {ndim} of them, got {value!r}")
    return numbers
