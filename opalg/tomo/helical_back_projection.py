"""Back projection along a helix: every slice takes the views of the turn about it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.operators.costs import Cost
from opalg.tomo.frames import FloatArray
from opalg.tomo.helix import turn_weights
from opalg.tomo.parts import InParts, nbytes
from opalg.tomo.voxel_driven import VoxelBackProjection
from opalg.tomo.xray import XrayTransform

__all__ = ["HelicalBackProjection"]


class HelicalBackProjection(InParts):
    """The weighted `VoxelBackProjection`, in which a view counts by the height of a slice above its source.

    Parameters
    ----------
    transform : XrayTransform
    heights : array, shape (views,)
        From where heights are counted; views that follow each other and have the same are done together.
    pitch : float
        Distance of one turn from the next.
    """

    nonnegative = True
    symbol = "B"
    matched = False

    def __init__(self, transform: XrayTransform, heights: FloatArray, pitch: float) -> None:
        super().__init__(transform.range, transform.domain)
        self.back = VoxelBackProjection(transform, weighted=True)
        self.heights = heights
        self.pitch = pitch
        # On devices the limit is theirs, and groups are small as it is.
        self.memory_limit = None if transform._devices else transform.memory_limit

    @cached_property
    def _groups(self) -> list[tuple[slice, slice, FloatArray, VoxelBackProjection]]:
        """Views, the slices that see them, the weights there, and the back projection from these to those."""
        z = self.range.coordinates[0]
        ends = np.flatnonzero(np.diff(self.heights, append=np.inf)) + 1
        found = []
        for first, last in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            weights = turn_weights(z - self.heights[first], self.pitch)
            (seen,) = np.nonzero(weights)
            if len(seen):
                views, planes = slice(first, last), slice(int(seen[0]), int(seen[-1]) + 1)
                back = self.back._part(planes, views)
                found.append((views, planes, weights[planes, None, None], back))
        return found

    def _apply(self, x: Array, out: Array | None) -> Array:
        slabs = self._slabs(x, transposed=False)
        if slabs:
            return self._run_parts(slabs, x, out, transposed=False)
        batch = self.domain.batch_shape(x)
        result = self.range.empty(like=x, batch=batch) if out is None else out
        result[...] = 0
        for views, planes, weights, back in self._groups:
            part = back._apply(x[..., views, :, :], None)
            part *= self._like(weights, part)
            result[..., planes, :, :] += part
        return result

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        slabs = self._slabs(y, transposed=True)
        if slabs:
            return self._run_parts(slabs, y, out, transposed=True)
        batch = self.range.batch_shape(y)
        result = self.domain.empty(like=y, batch=batch) if out is None else out
        result[...] = 0
        for views, planes, weights, back in self._groups:
            part = y[..., planes, :, :]
            part = part * self._like(weights, part)
            result[..., views, :, :] = back._apply_transpose(part, None)
        return result

    def _like(self, weights: FloatArray, x: Array) -> Any:
        values = weights.astype(self.range.dtype)
        if isinstance(x, np.ndarray):
            return values
        return namespace(x).asarray(values, device=x.device)

    def _is_projection(self, transposed: bool) -> bool:
        return transposed

    def _part(self, planes: slice, views: slice) -> HelicalBackProjection:
        transform = self.back.transform._part(planes, views)
        return HelicalBackProjection(transform, self.heights[views], self.pitch)

    def _bytes(self, transposed: bool) -> int:
        parts = [back._bytes(transposed) for *_, back in self._groups]
        return nbytes(self.domain) + nbytes(self.range) + max(parts, default=0)

    def cost(self) -> Cost:
        """Ten operations per voxel and view that it takes, and the bytes that a call holds at most."""
        return self._cost(transposed=False)

    @property
    def _operations(self) -> int:
        return sum(back.cost().operations for *_, back in self._groups)
