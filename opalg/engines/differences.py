"""Finite differences along axes, and shrinking of vectors, by the compiled engine.

What total variation needs in every iteration, each in one pass over memory: gradients, divergences and
Laplacians, and the step of a dual variable ``p <- project(p + sigma * grad(x))``. Results do not depend
on the number of threads, to the last bit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from opalg.engines import cpu

__all__ = ["AxisRule", "DifferenceTerm", "Differences", "Shrinkage", "takes"]

Shrinkage = Literal["into_ball", "into_box", "by_length", "by_entry"]
_SHRINKAGES = ("into_ball", "into_box", "by_length", "by_entry")
_REAL = (np.dtype(np.float32), np.dtype(np.float64))
_COMPLEX = {np.dtype(np.complex64): np.float32, np.dtype(np.complex128): np.float64}
_MOST_PARTS = 8


class AxisRule(NamedTuple):
    """A sparse matrix along an axis: each row is ``weight`` times a sum of differences of two samples."""

    size: int
    """Samples along the axis."""
    first: int
    """Of the rows that follow ``inner``; those before it, and the last ones, are listed in ``outer``."""
    weight: float
    inner: tuple[tuple[int, int], ...]
    """Pairs of samples, the second subtracted from the first, counted from the row."""
    outer: tuple[tuple[tuple[int, int], ...], ...]
    """For each other row in turn its pairs of samples; -1 stands for a zero outside."""


class DifferenceTerm(NamedTuple):
    """Result ``target`` gets ``rule`` along ``axis`` of field ``source``."""

    rule: AxisRule
    axis: int
    source: int
    target: int


class Differences:
    """Sums of differences of fields with up to three axes.

    Parameters
    ----------
    shape : tuple of int
        Of the fields, three extents; axes in front are batch axes.
    terms : sequence of DifferenceTerm

    Examples
    --------
    Along two samples the difference, and a zero where there is no further one:

    >>> rule = AxisRule(2, 0, 0.5, ((1, 0),), ((),))
    >>> half = Differences((1, 1, 2), [DifferenceTerm(rule, 2, 0, 0)])
    >>> out = np.empty(2)
    >>> half.sum([np.array([1.0, 4.0])], [out])
    >>> out.tolist()
    [1.5, 0.0]
    """

    def __init__(self, shape: tuple[int, int, int], terms: Sequence[DifferenceTerm]) -> None:
        self.shape, self.terms = shape, tuple(terms)

    @cached_property
    def _compiled(self) -> Any:
        cpu.active_instruction_set()  # a wrong OPALG_ISA is told here, in words
        found = cpu._extension().Differences()
        for rule, axis, source, target in self.terms:
            found.add(*rule, axis, source, target)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"shape": self.shape, "terms": self.terms}

    def sum(
        self,
        sources: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        bases: Sequence[np.ndarray] = (),
        factor: float = 1.0,
        scale: float = 1.0,
        threads: int | None = None,
    ) -> None:
        """Write ``factor * base + scale * (the terms of the target)`` to every target.

        Parameters
        ----------
        sources, targets : sequence of ndarray
            Arrays that the engine `takes`. Targets share no memory with sources.
        bases : sequence of ndarray, optional
            One per target, which it may be; without them the sums alone are written.
        factor, scale : float
        threads : int, optional
            By default `opalg.engines.cpu.get_num_threads`. Small work is done by fewer.
        """
        batch, shape, unit = self._layout(targets[0])
        self._compiled.sum(
            batch, shape, unit, _numbers(sources), _numbers(bases), factor, scale, _numbers(targets),
            *_workers(threads),
        )  # fmt: skip

    def shrink(
        self,
        source: np.ndarray | None,
        fields: Sequence[np.ndarray],
        scales: Any,
        radii: Any,
        how: Shrinkage,
        targets: Sequence[np.ndarray],
        threads: int | None = None,
    ) -> None:
        """Write the shrunk vectors of ``fields + scale * (the terms of source)`` to the targets.

        Parameters
        ----------
        source : ndarray or None
            Of which differences are taken, one per target; without it nothing is added.
        fields : sequence of ndarray
            At each position these real arrays form a vector.
        scales, radii : float or array
            One number, or one for each entry of the batch.
        how : {"into_ball", "into_box", "by_length", "by_entry"}
            ``into_ball``: vectors longer than the radius get that length; ``into_box``: entries are cut at
            plus and minus the radius; ``by_length``: vectors get shorter by the radius, to zero at least;
            ``by_entry``: so do their entries.
        targets : sequence of ndarray
            May be the fields.
        threads : int, optional
        """
        batch, shape, unit = self._layout(targets[0])
        self._compiled.shrink(
            batch, shape, unit, [] if source is None else [source], list(fields), _spread(scales, batch),
            _spread(radii, batch), _SHRINKAGES.index(how), list(targets), *_workers(threads),
        )  # fmt: skip

    def _layout(self, x: np.ndarray) -> tuple[int, tuple[int, int, int], int]:
        size = math.prod(self.shape)
        return x.size // size if size else 0, self.shape, 2 if x.dtype.kind == "c" else 1


def takes(
    inputs: Sequence[Any], outputs: Sequence[Any], complex: bool = True, fit: bool = False
) -> bool:
    """Whether all are NumPy arrays of one shape and dtype in a layout that the engine works on.

    Parameters
    ----------
    inputs, outputs : sequence of array
    complex : bool, default True
        Whether complex numbers will do.
    fit : bool, default False
        Whether the arrays form the vectors of a field: then there may not be too many.
    """
    first = outputs[0]
    if type(first) is not np.ndarray or (fit and len(outputs) > _MOST_PARTS):
        return False
    dtype, shape = first.dtype, first.shape
    if dtype not in _REAL and not (complex and dtype in _COMPLEX):
        return False
    for array in outputs:
        if type(array) is not np.ndarray or array.dtype != dtype or array.shape != shape:
            return False
        if not array.flags.carray:  # contiguous, aligned, writable
            return False
    for array in inputs:
        if type(array) is not np.ndarray or array.dtype != dtype or array.shape != shape:
            return False
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned):
            return False
    return True


def _numbers(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Complex arrays as real ones with twice as many entries along the last axis."""
    if not arrays or arrays[0].dtype not in _COMPLEX:
        return list(arrays)
    return [array.reshape(-1).view(_COMPLEX[array.dtype]) for array in arrays]


def _workers(threads: int | None) -> tuple[int, bool]:
    count = cpu.get_num_threads() if threads is None else cpu._thread_count(threads)
    return count, threading.current_thread() is threading.main_thread()


def _spread(values: Any, batch: int) -> list[float]:
    if isinstance(values, (int, float)):
        return [float(values)] * batch
    return np.broadcast_to(np.asarray(values, np.float64).reshape(-1), batch).tolist()
