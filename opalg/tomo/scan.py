"""What filtered back projection needs to know of a scan about one axis, whatever its rays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opalg.errors import NotSupportedError
from opalg.tomo.angles import angle_weights, measured_ranges, scanned_range
from opalg.tomo.frames import FloatArray

__all__ = ["TOLERANCE", "Scan", "across", "angles_about", "check", "once", "vectors_in_space"]

# Of the distance from source to axis, or in radians: by so much a real scanner may be misaligned.
TOLERANCE = 2e-3
# A detector whose longer side exceeds the other by more of the whole is one that was moved on purpose. In
# less than a full turn many are aligned worse than that, and see the object from both sides all the same.
_MOVED, _MOVED_BY_MUCH = 0.01, 0.1


@dataclass(frozen=True, eq=False)
class Scan:
    """Views about one axis, which the detector's columns run along.

    Parameters
    ----------
    angles : array, shape (views,)
        About the axis, counter-clockwise.
    u : array, shape (1 or views, columns)
        Positions on the detector, from the point that faces the axis, rising as in a regular scan. One row
        if all views agree.
    centre, axis : array, shape (3,)
        A point on the axis, and a unit vector along it.
    normals : array, shape (views, 3)
        Unit vectors along the ray of every view that meets the axis.
    """

    angles: FloatArray
    u: FloatArray
    centre: FloatArray
    axis: FloatArray
    normals: FloatArray

    @property
    def positions(self) -> FloatArray:
        """What tells columns apart; that of a ray run the other way has the other sign."""
        return self.u

    @property
    def reach(self) -> tuple[float, float]:
        """The position that all views reach on the side of falling and of rising u; may be negative."""
        ordered = np.sort(self.positions, axis=1)
        return -float(ordered[:, 0].max()), float(ordered[:, -1].min())

    @property
    def is_full_turn(self) -> bool:
        """Whether no range of the full turn is missing."""
        return scanned_range(self.angles) is None

    @property
    def moved(self) -> bool:
        """Whether one side of the detector sees what the other side sees half a turn later only in part.

        Less than half a turn tells nothing of the other side.
        """
        found = scanned_range(self.angles)
        if found is None:
            return self._apart(_MOVED)
        return found[1] > math.pi and self.moved_by_much

    @property
    def moved_by_much(self) -> bool:
        """Whether the sides of the detector differ by more than a misalignment makes them."""
        return self._apart(_MOVED_BY_MUCH)

    def _apart(self, part: float) -> bool:
        below, above = self.reach
        return min(below, above) > 0 and abs(above - below) > part * (above + below)

    @property
    def period(self) -> float:
        """After which angle views repeat."""
        return 2 * math.pi

    @property
    def view_weights(self) -> FloatArray:
        """The part of the period that every view stands for.

        Beside a range that is missing between others also for half of it: weights tell whether it counts.
        """
        return angle_weights(self.angles, self.period, several=self.period > math.pi)

    @property
    def range(self) -> tuple[float, float] | None:
        """First angle and length of what was scanned, from the first range to the last; None for all."""
        return scanned_range(self.angles, self.period)

    @property
    def ranges(self) -> FloatArray:
        """First angle and length of all ranges that were scanned; none if all of the period was."""
        return measured_ranges(self.angles, self.period)

    @property
    def relative_pitch(self) -> FloatArray:
        """Distance of neighbouring columns in every view, over its mean; shape (1 or views,)."""
        widths = np.ptp(self.u, axis=1)
        return widths / widths.mean() if self.u.shape[1] > 1 else np.ones(1)

    @property
    def missing_columns(self) -> tuple[int, int]:
        """How many columns before the first and behind the last a detector as wide on both sides has."""
        u = self.u
        width = float(np.abs(u).max())
        first, last = u[:, 0], u[:, -1]
        side = np.where(last >= first, 1.0, -1.0)
        pitch = np.abs(last - first) / max(u.shape[1] - 1, 1)
        before, after = (width + side * first) / pitch, (width - side * last) / pitch
        return tuple(math.ceil(float(n.max()) - 1e-6) for n in (before, after))  # type: ignore[return-value]


def vectors_in_space(arrays: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Vectors of frames as (x, y, z); detector columns of 2D run along z."""
    space = {name: np.pad(a, ((0, 0), (0, 3 - a.shape[1]))) for name, a in arrays.items()}
    views = len(space["origins"])
    space.setdefault("v_steps", np.tile([0.0, 0.0, 1.0], (views, 1)))
    return space


def angles_about(axis: FloatArray, normals: FloatArray) -> FloatArray:
    """The angles of views whose central rays run along ``normals``; about z as they are counted elsewhere."""
    # Two directions across the axis; about z they are y and -x.
    first = np.array([0.0, 1.0, 0.0]) if abs(axis[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    first -= (first @ axis) * axis
    angles: FloatArray = np.arctan2(normals @ np.cross(axis, first), normals @ first)
    return angles


def across(vectors: FloatArray, axis: FloatArray) -> FloatArray:
    """Lengths of vectors across an axis."""
    lengths: FloatArray = np.linalg.norm(vectors - np.outer(vectors @ axis, axis), axis=1)
    return lengths


def check(deviation: FloatArray, what: str, needed: str) -> None:
    """Raise `NotSupportedError` if a scan deviates by more than a real scanner does."""
    worst = float(np.abs(deviation).max())
    if not worst <= TOLERANCE:
        raise NotSupportedError(
            f"{needed}; here the {what} vary by {worst:.2g}, relative or in radians, where {TOLERANCE:g} is "
            "taken. Solvers such as solvers.CGLS take any geometry"
        )


def once(rows: FloatArray) -> FloatArray:
    """One row if all are equal up to rounding."""
    spread = float(np.ptp(rows, axis=0).max())
    return rows[:1] if spread <= 1e-9 * float(np.abs(rows).max()) else rows
