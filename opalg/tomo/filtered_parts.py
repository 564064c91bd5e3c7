"""Filtered back projection within a limit of memory: views are filtered and back projected in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, namespace
from opalg.engines.device_arrays import library_of
from opalg.operators import Diagonal, LinearOperator, Pad, Scaling
from opalg.spaces import Space
from opalg.tomo.frequency_filter import FrequencyFilter, padded_length
from opalg.tomo.parts import InParts, nbytes
from opalg.tomo.slabs import Slabs, plan_slabs
from opalg.tomo.view_resampling import ViewResampling

__all__ = ["FilteredParts"]

_AT_ONCE = 1 << 16  # pixels, of some views at least, that are filtered at a time


@dataclass(frozen=True)
class Steps:
    """What a filtered back projection consists of.

    Parameters
    ----------
    before : sequence of LinearOperator
        On the projections, the first one first.
    back : LinearOperator
        A `VoxelBackProjection`, or the transpose of an `XrayTransform`.
    filter : LinearOperator
        The one among those before.
    after : Diagonal, optional
        On the volume.
    """

    before: Sequence[LinearOperator]
    back: LinearOperator
    filter: LinearOperator
    after: Diagonal | None = None

    @property
    def expression(self) -> LinearOperator:
        """Their product."""
        found = self.back
        for operator in reversed(self.before):
            found = found @ operator
        return found if self.after is None else self.after @ found

    def bytes(self, transposed: bool) -> int:
        """What a call at once holds at most: the caller's array, and what one step after the other needs."""
        operators = [*self.before, self.back, *([] if self.after is None else [self.after])]
        if transposed:
            operators = [operator.H for operator in reversed(operators)]
        first, *others = (operator.cost().bytes for operator in operators)
        return max(first, nbytes(operators[0].domain) + max(others))

    @property
    def cut(self) -> bool:
        """Whether it is known how the steps act on some views: a filter of other kinds may mix them."""
        return all(
            isinstance(one, (ViewResampling, Scaling, Diagonal, Pad, FrequencyFilter))
            for one in self.before
        )


class FilteredParts:
    """The calls of a filtered back projection whose transform has a ``memory_limit``, part by part.

    Parameters
    ----------
    steps : Steps
    name : str
        Of the operator, for errors.
    """

    def __init__(self, steps: Steps, name: str) -> None:
        # Whether the back projection is the transpose of `back`.
        self.transposed = not isinstance(steps.back, InParts)
        back = steps.back.H if self.transposed else steps.back
        assert isinstance(back, InParts)
        self.back = back
        self.before = steps.before
        self.after = steps.after
        self.name = name
        self.measured, self.volume = steps.before[0].domain, steps.back.range
        self.projections = steps.back.domain  # what is back projected

    def takes(self, x: Array) -> bool:
        """Whether a call with this argument is done in parts: not on CUDA devices."""
        return library_of(x) is None

    @cached_property
    def forward(self) -> Slabs:
        """The parts of a call."""
        return self._plan(False)

    @cached_property
    def backward(self) -> Slabs:
        """The parts of the transpose."""
        return self._plan(True)

    def _plan(self, adjoint: bool) -> Slabs:
        volume, projections = self.volume, self.projections
        views, planes = projections.shape[0], volume.shape[0]

        def needs(slab: slice, group: slice) -> int:
            part = self.back._part(slab, group)
            total = part._bytes(self.transposed != adjoint) + self._filtering(group)
            added, number, whole = (
                (_some(projections, group), slab, planes)
                if adjoint
                else (volume[slab], group, views)
            )
            if number.stop - number.start < whole:  # contributions are added up
                total += nbytes(added)
            if adjoint and self.after is not None:
                total += nbytes(volume[slab])  # multiplied by it
            return total

        limit = self.back.memory_limit
        assert limit is not None
        what = f"the {'transpose' if adjoint else 'application'} of {self.name}"
        return plan_slabs(planes, views, needs, limit, what)

    def _chunks(self, views: slice) -> list[slice]:
        """The views that are filtered at a time."""
        step = max(1, _AT_ONCE // int(np.prod(self.projections.shape[1:])))
        return [slice(k, min(k + step, views.stop)) for k in range(views.start, views.stop, step)]

    def _filtering(self, views: slice) -> int:
        """Bytes of a chunk, after each step, and those of its transforms: padded, spectrum, result."""
        chunk = _some(self.projections, self._chunks(views)[0])
        padded = padded_length(chunk.shape[-1]) + 2
        rows = int(chunk.size) // chunk.shape[-1]
        total = (len(self.before) + 2) * nbytes(chunk) + 3 * rows * padded * chunk.dtype.itemsize
        first = self.before[0]
        return total + (first.scratch_bytes() if isinstance(first, ViewResampling) else 0)

    def _filter(self, x: Array, views: slice, out: Array, adjoint: bool) -> None:
        """Write ``before`` (or its transpose) of some views, which ``x`` consists of, to ``out``."""
        for chunk in self._chunks(views):
            here = slice(chunk.start - views.start, chunk.stop - views.start)
            values = x[here, ...]
            for operator in reversed(self.before) if adjoint else self.before:
                part = _of_views(operator, chunk)
                values = (
                    part._apply_transpose(values, None) if adjoint else part._apply(values, None)
                )
            out[here, ...] = values

    def apply(self, x: Array, out: Array | None) -> Array:
        """The call."""
        batch = self.measured.batch_shape(x)
        result = self.volume.empty(like=x, batch=batch) if out is None else out
        slabs = self.forward
        for index in np.ndindex(*batch):
            measured, volume = x[(*index, ...)], result[(*index, ...)]
            for number, views in enumerate(slabs.views):
                filtered = _empty(measured, _some(self.projections, views))
                self._filter(measured[views, ...], views, filtered, False)
                for planes in slabs.planes:
                    target = volume[planes, ...]
                    more = target if number == 0 else _empty(target, self.volume[planes])
                    self._run(self.back._part(planes, views), filtered, more, False)
                    if number:
                        target += more
            if self.after is not None:
                for planes in slabs.planes:
                    target = volume[planes, ...]
                    target *= _weights(self.after, planes, target)
        return result

    def apply_transpose(self, y: Array, out: Array | None) -> Array:
        """The transpose of the call."""
        batch = self.volume.batch_shape(y)
        result = self.measured.empty(like=y, batch=batch) if out is None else out
        slabs = self.backward
        for index in np.ndindex(*batch):
            volume, measured = y[(*index, ...)], result[(*index, ...)]
            for views in slabs.views:
                space = _some(self.projections, views)
                target = _empty(volume, space)
                for number, planes in enumerate(slabs.planes):
                    operand = volume[planes, ...]
                    if self.after is not None:
                        operand = operand * _weights(self.after, planes, operand)
                    more = target if number == 0 else _empty(volume, space)
                    self._run(self.back._part(planes, views), operand, more, True)
                    if number:
                        target += more
                self._filter(target, views, measured[views, ...], True)
        return result

    def _run(self, part: InParts, x: Array, out: Array, adjoint: bool) -> None:
        apply = part._apply_transpose if self.transposed != adjoint else part._apply
        apply(x, out)


def _some(space: Space, views: slice) -> Space:
    """That of some views."""
    return Space((views.stop - views.start, *space.shape[1:]), space.dtype)


def _of_views(operator: LinearOperator, views: slice) -> LinearOperator:
    """What an operator on projections does to some of the views."""
    if isinstance(operator, ViewResampling):
        return operator.of_views(views)
    space = _some(operator.domain, views)
    if isinstance(operator, Scaling):
        return Scaling(space, operator.factor)
    if isinstance(operator, Pad):  # along the detector
        return Pad(space, operator.widths)
    if isinstance(operator, Diagonal):
        return Diagonal(_cut(operator.weight, views, space.ndim), space)
    assert isinstance(operator, FrequencyFilter)
    return FrequencyFilter(space, _cut(operator._response.array, views, space.ndim))


def _cut(values: Array, views: slice, ndim: int) -> Array:
    """Those of some views, of an array that broadcasts to all."""
    return values[views, ...] if values.ndim == ndim and values.shape[0] > 1 else values


def _weights(diagonal: Diagonal, planes: slice, target: Array) -> Any:
    """Of some planes, as an array of the library of ``target``."""
    weight = as_numpy(diagonal.weight)[planes, ...]
    return weight if isinstance(target, np.ndarray) else namespace(target).asarray(weight)


def _empty(like: Array, space: Space) -> Array:
    """An element; never on disk, where ``like`` may be."""
    if isinstance(like, np.ndarray):
        return np.empty(space.shape, space.dtype)
    return space.empty(like=like)
