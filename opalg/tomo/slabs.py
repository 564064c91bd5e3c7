"""Calls in parts where memory does not hold them whole: slabs of the volume times groups of views.

Projection and back projection are sums, so that any part of the volume and any views can be done by
themselves: ``y[views] = sum over slabs of A[views, slab](x[slab])``, and the transpose likewise. What is
decided here is which parts; who computes them, and what memory that takes, is told by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opalg.engines.parts import split
from opalg.errors import ArgumentError

__all__ = ["Slabs", "plan_slabs", "run_parts"]

Needs = Callable[[slice, slice], int]

_FEW = 64  # parts that are all looked at: some milliseconds each


@dataclass(frozen=True)
class Slabs:
    """Parts of a call.

    Parameters
    ----------
    planes : tuple of slice
        Slabs of the volume, along its first axis.
    views : tuple of slice
        Groups of views.
    bytes : int
        What the part that needs most needs.
    """

    planes: tuple[slice, ...]
    views: tuple[slice, ...]
    bytes: int

    @property
    def whole(self) -> bool:
        """Whether there is one part only."""
        return len(self.planes) == len(self.views) == 1


def plan_slabs(planes: int, views: int, needs: Needs, limit: int, name: str) -> Slabs:
    """As few parts as a limit of memory allows; among equally many, those with the fewest slabs.

    Parameters
    ----------
    planes, views : int
        Lengths of the first axes of volume and projections.
    needs : callable
        Bytes that a slab (slice of planes) with some views (slice) needs; less for fewer of either.
    limit : int
        Bytes.
    name : str
        Of the call, for the error.

    Raises
    ------
    ArgumentError
        If one plane and one view need more; the message names the least limit that works.

    Examples
    --------
    >>> def needs(slab, views):  # a byte per plane, two per view
    ...     return (slab.stop - slab.start) + 2 * (views.stop - views.start)
    >>> plan_slabs(4, 6, needs, 12, "a call").views
    (slice(0, 3, None), slice(3, 6, None))
    >>> plan_slabs(4, 6, needs, 3, "a call").bytes
    3
    """
    needs = _once(needs)

    def parts(slabs: int, groups: int) -> Slabs:
        found = tuple(split(planes, slabs)), tuple(split(views, groups))
        return Slabs(*found, _most(needs, *found))

    tightened = limit
    while tightened > 0 and (counts := _fewest(planes, views, needs, tightened)) is not None:
        found = parts(*counts)
        if found.bytes <= limit:
            return found
        # Parts need not be equally expensive: leave room for the worst.
        tightened = min(int(tightened * limit / found.bytes), int(0.95 * tightened))
    least = min((parts(a, b) for a in {1, planes} for b in {1, views}), key=lambda p: p.bytes)
    if least.bytes <= limit:
        return least
    raise ArgumentError(
        f"memory_limit={limit} bytes is too little for {name}, which takes {least.bytes} in the smallest "
        "parts: the least that works"
    )


def run_parts(
    part: Callable[[slice, slice, Any, Any], object],
    source: Any,
    target: Any,
    source_slabs: Sequence[slice],
    target_slabs: Sequence[slice],
    empty_like: Callable[[Any], Any],
) -> None:
    """Write ``target``, slab by slab, as the sum of what the slabs of ``source`` contribute.

    Parameters
    ----------
    part : callable
        ``part(source_slab, target_slab, operand, result)`` overwrites ``result``, a slab of ``target``, by
        what a slab of ``source``, ``operand``, contributes.
    source, target : array
        Of any kind, on disk too: of each, one slab at a time is touched.
    source_slabs, target_slabs : sequence of slice
    empty_like : callable
        Makes an array for the contributions after the first.
    """
    for target_slab in target_slabs:
        result, more = target[target_slab, ...], None
        for number, source_slab in enumerate(source_slabs):
            if number == 0:
                part(source_slab, target_slab, source[source_slab, ...], result)
                continue
            more = empty_like(result) if more is None else more
            part(source_slab, target_slab, source[source_slab, ...], more)
            result += more


def _fewest(planes: int, views: int, needs: Needs, limit: int) -> tuple[int, int] | None:
    """How many slabs and groups; judged by the parts at the ends and in the middle."""

    def fits(slabs: int, groups: int) -> bool:
        return all(
            needs(slab, group) <= limit
            for slab in _some(split(planes, slabs))
            for group in _some(split(views, groups))
        )

    best: tuple[int, int] | None = None
    slabs = 1
    while slabs <= planes and (best is None or slabs < best[0] * best[1]):
        groups = None
        if fits(slabs, 1):  # then nothing is added up, which would need room as well
            groups = 1
        elif fits(slabs, views):
            groups = _least(views, lambda groups, slabs=slabs: fits(slabs, groups))  # type: ignore[misc]
        if groups and (best is None or slabs * groups < best[0] * best[1]):
            best = slabs, groups
        slabs = min(max(slabs + 1, slabs * 3 // 2), planes) if slabs < planes else planes + 1
    return best


def _most(needs: Needs, slabs: tuple[slice, ...], groups: tuple[slice, ...]) -> int:
    """What the part that needs most needs; of many parts, found along the slabs, then along the groups."""
    if len(slabs) * len(groups) <= _FEW:
        return max(needs(slab, group) for slab in slabs for group in groups)
    slabs, groups = (a[:: -(-len(a) // _FEW)] for a in (slabs, groups))
    slab = max(slabs, key=lambda slab: needs(slab, groups[len(groups) // 2]))
    return max(needs(slab, group) for group in groups)


def _once(needs: Needs) -> Needs:
    """The same function, which is asked once for every part."""
    known: dict[tuple[int, int, int, int], int] = {}

    def asked(slab: slice, group: slice) -> int:
        key = (slab.start, slab.stop, group.start, group.stop)
        if key not in known:
            known[key] = needs(slab, group)
        return known[key]

    return asked


def _some(slices: list[slice]) -> list[slice]:
    """Those in the middle and at the ends."""
    return [slices[i] for i in sorted({len(slices) // 2, 0, len(slices) - 1})]


def _least(most: int, holds: Callable[[int], bool]) -> int:
    """The least number from which on a condition holds, which holds for ``most`` and not for 1."""
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
