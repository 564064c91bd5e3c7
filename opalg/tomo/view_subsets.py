"""Operators whose data are views: some of them are chosen by an index, or all in interleaved parts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from opalg.errors import ArgumentError
from opalg.spaces.indexing import one_index_per_axis
from opalg.tomo.geometry import Geometry

__all__ = ["ViewSubsets"]


class ViewSubsets:
    """Base class: a subclass has a ``geometry``, and says what it is of some of the views."""

    geometry: Geometry

    def _of_views(self, keys: tuple[Any, ...]) -> Self:
        """The operator of some views and pixels, by an index for each of the first axes."""
        raise NotImplementedError

    def __getitem__(self, views: Any) -> Self:
        """The transform of some of the views: ``A[::10]`` gives the rows ``A(x)[::10]``.

        Also detector pixels, ``A[:, 64:192]`` or ``A[..., 64:192]``. The angles of a slice share the memory
        of the whole. Of interleaved views, ``A[i::k]``, it is the same object every time, so that the sums
        of its rows and columns (`opalg.operators.row_sums`) are computed once.
        """
        keys = one_index_per_axis(views, self.geometry.axes)
        subset = _interleaved(keys, self.geometry.num_views)
        known = self.__dict__.setdefault("_subsets", {})
        if subset in known:
            part: Self = known[subset]
            return part
        part = self._of_views(keys)
        # Of two threads that get here, both return the part of the first.
        return part if subset is None else known.setdefault(subset, part)

    __iter__ = None  # or A would be iterable view by view, by accident

    def subsets(self, count: int) -> tuple[Self, ...]:
        """The views in ``count`` interleaved parts: ``A[0::count], A[1::count], ...``.

        The same objects every time: the sums of their rows and columns, which solvers ask for, are computed
        once.

        Raises
        ------
        ArgumentError
            If there are fewer views than parts.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import tomo
        >>> A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(angles=10, detector=12))
        >>> [part.geometry.num_views for part in A.subsets(3)]
        [4, 3, 3]
        """
        views = self.geometry.num_views
        if not isinstance(count, (int, np.integer)) or not 1 <= count <= views:
            raise ArgumentError(
                f"{views} views can be split into 1 to {views} subsets, got {count!r}"
            )
        return tuple(self[i::count] for i in range(count))


def _interleaved(keys: tuple[Any, ...], views: int) -> tuple[int, int] | None:
    """I and k if indices are those of ``[i::k]``, every k-th view and all pixels."""
    if not all(isinstance(key, slice) for key in keys) or any(
        pixels != slice(None) for pixels in keys[1:]
    ):
        return None
    start, stop, step = keys[0].indices(views)
    return (start, step) if stop == views and 0 <= start < step <= views else None
