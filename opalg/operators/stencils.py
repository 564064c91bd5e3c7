"""Weighted sums of neighbours along one axis, with any boundary, and their exact transposes.

A stencil is three weights and, for the edges, a list of single entries. The transpose has the mirrored
weights and the mirrored list: one rule gives both.
"""

from __future__ import annotations

from functools import cached_property
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from opalg.arrays import Array
from opalg.engines.differences import AxisRule

__all__ = ["Stencil", "first_difference", "second_difference"]

_PIECE = 1 << 15  # entries: operand and result of a piece stay in the second-level cache


class Entry(NamedTuple):
    """One entry of a matrix."""

    row: int
    column: int
    value: float


class Stencil:
    """``out[i] = before * x[i - 1] + centre * x[i] + after * x[i + 1]`` along one axis, plus entries.

    Values outside are zero; ``entries`` add what the boundary asks for.

    Parameters
    ----------
    size : int
        Samples along the axis.
    behind : int
        Number of axes behind this one; batch axes may stand in front.
    before, centre, after : float
    entries : tuple of Entry
    """

    def __init__(
        self,
        size: int,
        behind: int,
        weights: tuple[float, float, float],
        entries: tuple[Entry, ...] = (),
    ) -> None:
        self.size, self.behind, self.weights, self.entries = size, behind, weights, entries
        self._prepare()

    def transposed(self) -> Stencil:
        """The stencil of the transposed matrix."""
        before, centre, after = self.weights
        entries = tuple(Entry(e.column, e.row, e.value) for e in self.entries)
        return Stencil(self.size, self.behind, (after, centre, before), entries)

    def _prepare(self) -> None:
        """Split the matrix into rows that are all alike and a few others."""
        offsets = [k - 1 for k, weight in enumerate(self.weights) if weight]
        first, last = max(0, -min(offsets)), self.size - max(0, *offsets)
        last = max(last, first)
        rows: dict[int, dict[int, float]] = {
            i: {} for i in range(self.size) if not first <= i < last
        }
        for row, columns in rows.items():
            for k in offsets:
                if 0 <= row + k < self.size:
                    columns[row + k] = self.weights[k + 1]
        extra = []
        for row, column, value in self.entries:
            if row in rows:
                rows[row][column] = rows[row].get(column, 0.0) + value
            else:
                extra.append((self._at(row), self._at(column), value))
        self._first, self._last = first, last
        self._terms = [(k, self.weights[k + 1]) for k in offsets]
        self._edges = [
            (self._at(row), [(self._at(j), value) for j, value in columns.items() if value])
            for row, columns in rows.items()
        ]
        self._extra = extra
        self._whole = self._interior(first, last)

    def _at(self, start: int, stop: int | None = None) -> tuple[Any, ...]:
        rest = (slice(None),) * self.behind
        return (Ellipsis, slice(start, start + 1 if stop is None else stop), *rest)

    def _interior(self, start: int, stop: int) -> tuple[Any, list[tuple[Any, float]]]:
        """Indices of rows start to stop in the result and, per weight, in the operand."""
        return self._at(start, stop), [(self._at(start + k, stop + k), w) for k, w in self._terms]

    @cached_property
    def rule(self) -> AxisRule:
        """The same matrix as sums of differences, as the engine takes it; weights are multiples of one."""
        unit = min(abs(weight) for weight in self.weights if weight)
        # Where an entry is added, or a sample lies outside, a row is listed alone: those near an end.
        special = {entry.row for entry in self.entries}
        special |= {
            i
            for k, _ in self._terms
            for i in (range(-k) if k < 0 else range(self.size - k, self.size))
            if 0 <= i < self.size
        }
        first = max((i + 1 for i in special if 2 * i < self.size), default=0)
        last = min((i for i in special if 2 * i >= self.size), default=self.size)
        listed = [*range(first), *range(last, self.size)]
        outer = tuple(_pairs(self._row(i), unit) for i in listed)
        return AxisRule(self.size, first, unit, _pairs(dict(self._terms), unit), outer)

    def _row(self, i: int) -> dict[int, float]:
        """Row ``i`` of the matrix, column by column."""
        columns = {i + k: weight for k, weight in self._terms if 0 <= i + k < self.size}
        for row, column, value in self.entries:
            if row == i:
                columns[column] = columns.get(column, 0.0) + value
        return columns

    def write(self, x: Array, out: Array) -> Array:
        """The sums, written to ``out``, which shares no memory with ``x``."""
        return self._sweep(x, out, None)

    def add(self, x: Array, out: Array, scale: Any = 1) -> Array:
        """``out`` plus ``scale`` times the sums, in the memory of ``out``."""
        return self._sweep(x, out, scale)

    def _sweep(self, x: Array, out: Array, scale: Any) -> Array:
        if type(out) is np.ndarray and out.size > 2 * _PIECE:
            self._in_pieces(x, out, scale)
            return out
        self._rows(x, out, scale, self._whole)
        self._boundary(x, out, scale)
        return out

    def _in_pieces(self, x: Array, out: Array, scale: Any) -> None:
        """Piece by piece, so that what is written is still in the cache when it is read again."""
        length = out.shape[0]
        step = max(1, _PIECE // (out.size // length))
        if out.ndim > self.behind + 1:
            for i in range(0, length, step):
                piece = i if step == 1 else slice(i, i + step)
                self._sweep(x[piece], out[piece], scale)
            return
        for i in range(self._first, self._last, step):
            self._rows(x, out, scale, self._interior(i, min(i + step, self._last)))
        self._boundary(x, out, scale)

    def _rows(self, x: Array, out: Array, scale: Any, where: Any) -> None:
        if self._first == self._last:
            return
        target, terms = where
        if type(out) is np.ndarray and scale is None:
            _combine_into(x, out[target], terms)
        elif type(out) is np.ndarray:
            value = _combine(x, terms)
            if scale != 1:
                value *= scale
            view = out[target]
            view += value
        else:
            value = _combine(x, terms)
            out[target] = value if scale is None else out[target] + value * scale

    def _boundary(self, x: Array, out: Array, scale: Any) -> None:
        for target, terms in self._edges:
            if scale is None:
                out[target] = _combine(x, terms) if terms else 0
            elif terms:
                out[target] += _combine(x, terms) * scale
        for target, source, value in self._extra:
            out[target] += x[source] * (value if scale is None else value * scale)


def _pairs(columns: dict[int, float], unit: float) -> tuple[tuple[int, int], ...]:
    """Entries that are multiples of ``unit`` as differences of two samples, or of one and zero (-1)."""
    counts = {column: round(value / unit) for column, value in columns.items()}
    plus = [column for column, count in counts.items() for _ in range(count)]
    minus = [column for column, count in counts.items() for _ in range(-count)]
    return tuple(zip_longest(plus, minus, fillvalue=-1))


def _combine(x: Array, terms: list[tuple[Any, float]]) -> Array:
    """The weighted sum of views of ``x``, in new memory."""
    (first, a), *rest = terms
    if len(rest) == 1 and a == -rest[0][1]:
        value = x[rest[0][0]] - x[first]
        return value if a == -1 else value * -a
    value = x[first] * a
    for where, weight in rest:
        value = value + (x[where] if weight == 1 else x[where] * weight)
    return value


def _combine_into(x: Any, out: Any, terms: list[tuple[Any, float]]) -> None:
    """The same for NumPy arrays, in the memory of ``out``."""
    (first, a), *rest = terms
    if len(rest) == 1 and a == -rest[0][1]:
        # Differences: one pass when the spacing is 1, and exactly zero where neighbours are equal.
        if a < 0:
            np.subtract(x[rest[0][0]], x[first], out=out)
        else:
            np.subtract(x[first], x[rest[0][0]], out=out)
        if abs(a) != 1:
            np.multiply(out, abs(a), out=out)
        return
    if len(terms) == 3 and a == rest[1][1]:
        # Second differences: (x[i - 1] + x[i + 1]) * a + centre * x[i]
        np.add(x[first], x[rest[1][0]], out=out)
        if a != 1:
            np.multiply(out, a, out=out)
        out += x[rest[0][0]] * rest[0][1]
        return
    np.multiply(x[first], a, out=out)
    for where, weight in rest:
        out += x[where] * weight


_OFFSETS = {"forward": (0, 1), "backward": (-1, 0), "central": (-1, 1)}


def first_difference(size: int, behind: int, scheme: str, boundary: str, spacing: float) -> Stencil:
    """``(x[i + up] - x[i + down]) / ((up - down) h)``; see `opalg.operators.differences`."""
    down, up = _OFFSETS[scheme]
    factor = 1 / (spacing * (up - down))
    weights = [0.0, 0.0, 0.0]
    weights[down + 1], weights[up + 1] = -factor, factor
    return _with_boundary(size, behind, (weights[0], weights[1], weights[2]), boundary)


def second_difference(size: int, behind: int, boundary: str, spacing: float) -> Stencil:
    """``(x[i + 1] - 2 x[i] + x[i - 1]) / h ** 2``; see `opalg.operators.differences`."""
    factor = 1 / spacing**2
    return _with_boundary(size, behind, (factor, -2 * factor, factor), boundary)


def _with_boundary(
    size: int, behind: int, weights: tuple[float, float, float], boundary: str
) -> Stencil:
    mirrored = min(1, size - 1)
    outside = {  # which samples stand for x[-1] and x[size]
        "zero": None,
        "replicate": (0, size - 1),
        "reflect": (mirrored, size - 1 - mirrored),
        "periodic": (size - 1, 0),
    }[boundary]
    entries = []
    if outside is not None:
        if weights[0]:
            entries.append(Entry(0, outside[0], weights[0]))
        if weights[2]:
            entries.append(Entry(size - 1, outside[1], weights[2]))
    return Stencil(size, behind, weights, tuple(entries))
