"""How a call is split into parts that fit into the memory of a CUDA device.

What is computed is split into targets (views of a projection, slabs of a volume) and what it is computed
from into sources.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from opalg.engines.divergent import DivergentPlan
from opalg.engines.launches import Scratch, Texture, launches
from opalg.engines.parallel import ParallelPlan
from opalg.engines.parts import part_of, split
from opalg.engines.textures import texture_bytes
from opalg.errors import ArgumentError

__all__ = ["Plan", "Schedule", "plan_schedule"]

Plan = ParallelPlan | DivergentPlan

_PIECE = 1 << 28  # bytes of results that travel while the next are computed
_FROM_VOLUME = ("project", "project_voxels")


class Schedule(NamedTuple):
    """How a call is split, and what it takes."""

    sources: list[slice]
    targets: list[slice]
    parts: dict[tuple[int, int], Plan]
    """The plan of each pair of source and target."""
    largest: tuple[int, int]
    """Bytes of the largest source and target."""
    bytes: int
    """Memory on a device, but for constant data of plans."""


def plan_schedule(
    direction: str, plan: Plan, dtype: str, limit: int, devices: int = 1, **options: Any
) -> Schedule:
    """Split a call such that what a device holds at a time stays below a limit.

    Parameters
    ----------
    direction
        As in `opalg.engines.launches.launches`, whose options follow.
    plan
        The geometry.
    dtype
        Of the arrays.
    limit
        Bytes on each device.
    devices
        How many there are; there are at least as many targets, where possible.

    Raises
    ------
    ArgumentError
        If one view and one layer of the volume are more than the limit already.
    """
    views, layers = plan.projection_shape[0], plan.volume_shape[0]
    most = (layers, views) if direction in _FROM_VOLUME else (views, layers)
    splitting = _Splitting(direction, plan, dtype, options)
    pieces = math.ceil(splitting.largest(1, 1)[1] / _PIECE)
    sources, targets = 1, max(1, min(most[1], max(devices, pieces)))
    needed = splitting.bytes(sources, targets)
    if needed > limit and (smallest := splitting.bytes(*most)) > limit:
        raise ArgumentError(
            f"memory_limit is {limit:,} bytes, and the smallest parts need {smallest:,} on a device"
        )
    while needed > limit:
        # Targets cost nothing but launches as long as there is one source; then both shrink together.
        source, target = splitting.largest(sources, targets)
        if (target >= source and targets < most[1]) or sources == most[0]:
            targets = min(most[1], max(targets + 1, math.ceil(targets * 1.5)))
        else:
            sources = min(most[0], max(sources + 1, math.ceil(sources * 1.5)))
        needed = splitting.bytes(sources, targets)
    return splitting.schedule(sources, targets, needed)


class _Splitting:
    """What a call takes in so many parts."""

    def __init__(self, direction: str, plan: Plan, dtype: str, options: dict[str, Any]) -> None:
        self._plan = plan
        self._launches = (direction, 1, dtype), options
        self._dtype = dtype
        self._from_volume = direction in _FROM_VOLUME
        shapes = plan.volume_shape, plan.projection_shape
        self._shapes = shapes if self._from_volume else shapes[::-1]

    def largest(self, *counts: int) -> tuple[int, int]:
        """Bytes of the largest source and target."""
        item = np.dtype(self._dtype).itemsize
        source, target = (
            max(1, -(-shape[0] // count) * math.prod(shape[1:]) * item)
            for shape, count in zip(self._shapes, counts, strict=True)
        )
        return source, target

    def bytes(self, sources: int, targets: int) -> int:
        """Of buffers, and of what lies between operand and result."""
        source, target = self.largest(sources, targets)
        buffers = source * min(2, sources) + target * (min(2, targets) + (sources > 1))
        scratch, textures = 0, dict[Any, int]()
        source_parts, target_parts = self._split(sources, targets)
        # The first parts are the longest; the last may be shorter by one, and have other textures.
        ends = min(2, sources) if "texture" in self._launches[1].values() else 1
        for a in (source_parts[0], source_parts[-1])[:ends]:
            for b in target_parts:
                needed, found = self._between(self._part(a, b))
                scratch = max(scratch, needed)
                textures |= found
        return buffers + scratch + sum(textures.values())

    def schedule(self, sources: int, targets: int, needed: int) -> Schedule:
        """The parts themselves."""
        source_parts, target_parts = self._split(sources, targets)
        parts = {
            (s, t): self._part(a, b)
            for s, a in enumerate(source_parts)
            for t, b in enumerate(target_parts)
        }
        return Schedule(source_parts, target_parts, parts, self.largest(sources, targets), needed)

    def _split(self, *counts: int) -> tuple[list[slice], list[slice]]:
        first, second = (
            split(shape[0], count) for shape, count in zip(self._shapes, counts, strict=True)
        )
        return first, second

    def _part(self, source: slice, target: slice) -> Plan:
        return part_of(self._plan, *((target, source) if self._from_volume else (source, target)))

    def _between(self, part: Plan) -> tuple[int, dict[Any, int]]:
        """Bytes of scratch memory, and of the copies for texture units: one of each shape."""
        arguments, options = self._launches
        scratch, textures = dict[int, int](), dict[Any, int]()
        for launch in launches(part, *arguments, **options):
            for argument in launch.arguments:
                if isinstance(argument, Scratch):
                    scratch[id(argument)] = -(-argument.bytes // 256) * 256
                elif isinstance(argument, Texture):
                    key = (argument.shape, argument.layered)
                    textures[key] = texture_bytes(argument, self._dtype)
        return sum(scratch.values()), textures
