"""Operators between volumes and projections that work within a limit of memory, part by part."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.engines.device_arrays import library_of
from opalg.errors import ArgumentError
from opalg.operators.costs import Cost
from opalg.spaces import Space
from opalg.tomo.projector import Projector
from opalg.tomo.slabs import Slabs, plan_slabs, run_parts

__all__ = ["InParts", "as_limit", "nbytes"]


class InParts(Projector):
    """Base class: a subclass says what a part is and what memory a call takes.

    ``memory_limit`` bounds what a call holds at a time: the part of the operand and of the result, and
    what the engine needs besides.
    """

    memory_limit: int | None = None

    def _part(self, planes: slice, views: slice) -> InParts:
        """The operator for some planes of the volume and some views, without a limit."""
        raise NotImplementedError

    def _bytes(self, transposed: bool) -> int:
        """What a call holds that is not split."""
        raise NotImplementedError

    @property
    def _operations(self) -> int:
        """What a call computes, either way."""
        raise NotImplementedError

    def _cost(self, transposed: bool) -> Cost:
        return Cost(self._operations, self._most_bytes(transposed))

    def _transpose_cost(self) -> Cost:
        return self._cost(transposed=True)

    def _is_projection(self, transposed: bool) -> bool:
        """Whether the operand of a call is a volume."""
        return not transposed

    def _slabs(self, x: Array | None, transposed: bool) -> Slabs | None:
        """The parts of a call; None if it is done at once, as with all that is on a CUDA device."""
        if self.memory_limit is None or (x is not None and library_of(x) is not None):
            return None
        found = self._planned[transposed]
        return None if found.whole else found

    def _most_bytes(self, transposed: bool) -> int:
        """What a call holds at a time."""
        slabs = self._slabs(None, transposed)
        return self._bytes(transposed) if slabs is None else slabs.bytes

    @cached_property
    def _planned(self) -> _Plans:
        return _Plans(self)

    def _run_parts(self, slabs: Slabs, x: Array, out: Array | None, transposed: bool) -> Array:
        source, target = (self.range, self.domain) if transposed else (self.domain, self.range)
        batch = source.batch_shape(x)
        result = target.empty(like=x, batch=batch) if out is None else out
        projection = self._is_projection(transposed)
        slices = (slabs.planes, slabs.views) if projection else (slabs.views, slabs.planes)

        def part(a: slice, b: slice, operand: Array, target: Array) -> None:
            operator = self._part(a, b) if projection else self._part(b, a)
            apply = operator._apply_transpose if transposed else operator._apply
            apply(operand, target)

        for index in np.ndindex(*batch):
            run_parts(part, x[(*index, ...)], result[(*index, ...)], *slices, _empty_like)
        return result


class _Plans(dict[bool, Slabs]):
    """Slabs of both directions, each found when it is first asked for."""

    def __init__(self, operator: InParts) -> None:
        self.operator = operator

    def __missing__(self, transposed: bool) -> Slabs:
        operator = self.operator
        assert operator.memory_limit is not None
        volume, projections = operator.domain, operator.range
        if not operator._is_projection(False):
            volume, projections = projections, volume
        projection = operator._is_projection(transposed)

        def needs(planes: slice, views: slice) -> int:
            part = operator._part(planes, views)
            bytes_of_part = part._bytes(transposed)
            split = planes if projection else views
            whole = volume.shape[0] if projection else projections.shape[0]
            if split.stop - split.start < whole:  # contributions are added up
                bytes_of_part += nbytes(part.domain if transposed else part.range)
            return bytes_of_part

        name = f"the {'transpose' if transposed else 'application'} of {operator}"
        found = plan_slabs(
            volume.shape[0], projections.shape[0], needs, operator.memory_limit, name
        )
        return self.setdefault(transposed, found)


def as_limit(value: Any) -> int | None:
    """A number of bytes, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 1:
        raise ArgumentError(f"memory_limit must be a positive number of bytes, got {value!r}")
    return int(value)


def nbytes(space: Space) -> int:
    """Bytes of an element."""
    return int(space.size) * int(space.dtype.itemsize)


def _empty_like(x: Array) -> Array:
    # A slab of an array on disk is on disk; what is added up is not.
    return np.empty(x.shape, x.dtype) if isinstance(x, np.ndarray) else namespace(x).empty_like(x)
