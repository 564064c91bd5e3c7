"""Bodies with exact line integrals: balls, boxes, cylinders, cones, pyramids under any affine map.

A body is the image of a unit body under ``q -> axes @ q + centre``. Points and rays are taken back to the
unit body, where insides and chord lengths have closed forms. What several bodies have in common is a body
again: all are convex, so a ray is inside of it from the last entry to the first exit.
"""

from __future__ import annotations

import itertools
import math
from functools import cached_property
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NonFiniteError
from opalg.values import Value

__all__ = ["Shape"]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

# Unit normals of the pyramid's faces, and their distances from the origin.
_FACES = np.array([[0, 0, -1], [2, 0, 1], [-2, 0, 1], [0, 2, 1], [0, -2, 1]], float)
_HEIGHTS = 1 / np.linalg.norm(_FACES, axis=1)
_FACES = _FACES * _HEIGHTS[:, None]


class Shape(Value):
    """A body of constant value in 2D or 3D; made by the functions of `opalg.tomo.phantoms`.

    Parameters
    ----------
    kind : {"ball", "box", "cylinder", "pyramid", "cone", "half-space"}
        The unit body: ``|q| <= 1``, ``max |q_i| <= 1``, ``hypot(q_x, q_y) <= 1 and |q_z| <= 1``,
        ``q_z >= -1 and 2 max(|q_x|, |q_y|) + q_z <= 1``, ``q_z >= -1 and 2 hypot(q_x, q_y) + q_z <= 1``,
        or ``q_x <= 0``, which is only of use to cut another.
    centre : tuple of float
        Order (x, y) or (x, y, z).
    axes : tuple of tuples of float
        Matrix whose columns are the half axes.
    value : float
        Added to the image inside the body.
    others : tuple of Shape
        What lies outside of one of these does not belong to the body; their values do not count.
    """

    def __init__(
        self,
        kind: str,
        centre: tuple[float, ...],
        axes: tuple[tuple[float, ...], ...],
        value: float,
        others: tuple[Shape, ...] = (),
    ) -> None:
        self.kind = kind
        self.others = tuple(others)
        self.centre = np.array(centre, float)
        self.axes = np.array(axes, float)
        self.value = float(value)
        if not (np.isfinite(self.axes).all() and np.isfinite(self.centre).all()):
            raise NonFiniteError(
                f"position and size of a shape must be finite, got {centre}, {axes}"
            )
        if not math.isfinite(self.value):
            raise NonFiniteError(f"the value of a shape must be finite, got {value}")
        if abs(np.linalg.det(self.axes)) == 0:
            raise ArgumentError("a shape needs a positive extent along every axis")

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.centre)

    @cached_property
    def _inverse(self) -> FloatArray:
        return np.linalg.inv(self.axes)

    def mapped(self, matrix: FloatArray, shift: FloatArray, factor: float = 1.0) -> Shape:
        """The body after ``p -> matrix @ p + shift``, its value multiplied by ``factor``."""
        axes, centre = matrix @ self.axes, matrix @ self.centre + shift
        return Shape(
            self.kind,
            tuple(centre.tolist()),
            tuple(tuple(row) for row in axes.tolist()),
            factor * self.value,
            tuple(other.mapped(matrix, shift) for other in self.others),
        )

    def extruded(self, height: float) -> Shape:
        """The planar body as a column of a height about the plane z = 0."""
        kinds = {"ball": "cylinder", "box": "box", "half-space": "half-space"}
        axes = np.zeros((3, 3))
        axes[:2, :2], axes[2, 2] = self.axes, height / 2
        return Shape(
            kinds[self.kind],
            (*self.centre.tolist(), 0.0),
            tuple(tuple(row) for row in axes.tolist()),
            self.value,
            tuple(other.extruded(height) for other in self.others),
        )

    def within(self, *others: Shape) -> Shape:
        """What the body has in common with others, with the value of the first."""
        parts = tuple(part for other in others for part in (other.without_others(), *other.others))
        return Shape(
            self.kind,
            tuple(self.centre.tolist()),
            tuple(tuple(row) for row in self.axes.tolist()),
            self.value,
            self.others + parts,
        )

    def without_others(self) -> Shape:
        """The body before it was cut."""
        axes = tuple(tuple(row) for row in self.axes.tolist())
        return Shape(self.kind, tuple(self.centre.tolist()), axes, self.value)

    def gauge(self, points: FloatArray) -> FloatArray:
        """How far out points lie: 1 on the surface, less inside; shape ``points.shape[:-1]``.

        Moving a point by ``d`` changes the gauge by at most ``|inverse(axes) @ d|``.
        """
        found = self._own_gauge((points - self.centre) @ self._inverse.T)
        for other in self.others:
            found = np.maximum(found, other.gauge(points))
        return found

    def _own_gauge(self, q: FloatArray) -> FloatArray:
        if self.kind == "ball":
            return np.linalg.norm(q, axis=-1)
        if self.kind == "box":
            return np.abs(q).max(axis=-1)
        if self.kind == "pyramid":
            return (q @ _FACES.T - _HEIGHTS).max(axis=-1) + 1
        if self.kind == "half-space":
            return q[..., 0] + 1
        aside = np.hypot(q[..., 0], q[..., 1])
        if self.kind == "cone":
            return np.maximum((2 * aside + q[..., 2] - 1) / math.sqrt(5), -1 - q[..., 2]) + 1
        return np.maximum(aside, np.abs(q[..., 2]))

    def reach(self, spacing: FloatArray) -> float:
        """By how much the gauge can change within a cell, from its centre to a corner."""
        corners = itertools.product((-0.5, 0.5), repeat=self.ndim)
        own = max(
            float(np.linalg.norm(self._inverse @ (np.array(corner) * spacing)))
            for corner in corners
        )
        return max([own, *(other.reach(spacing) for other in self.others)])

    def half_widths(self) -> FloatArray:
        """Half of the extent along each axis of a box about the centre that holds the body."""
        if self.kind == "ball":
            return np.linalg.norm(self.axes, axis=1)
        if self.kind in ("box", "pyramid"):
            return np.abs(self.axes).sum(axis=1)
        return np.linalg.norm(self.axes[:, :2], axis=1) + np.abs(self.axes[:, 2])

    def chords(
        self,
        points: FloatArray,
        directions: FloatArray,
        start: FloatArray | float = -np.inf,
        end: FloatArray | float = np.inf,
    ) -> FloatArray:
        """Lengths of the parts of rays inside the body.

        Parameters
        ----------
        points, directions : array
            Broadcast together to ``(..., ndim)``; directions are unit vectors.
        start, end : float or array
            Distances from ``points`` between which there is a ray; by default it has no ends.

        Returns
        -------
        array
            Of the broadcast shape without the last axis, in the unit of the shape.
        """
        enter, leave = self._interval(points, directions)
        for other in self.others:
            first, last = other._interval(points, directions)
            enter, leave = np.maximum(enter, first), np.minimum(leave, last)
        return np.maximum(np.minimum(leave, end) - np.maximum(enter, start), 0.0)

    def _interval(
        self, points: FloatArray, directions: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Ray parameters of entry and exit, the others left aside; an empty interval is reversed."""
        q = (points - self.centre) @ self._inverse.T
        e = directions @ self._inverse.T
        if self.kind == "ball":
            return _ball(q, e)
        if self.kind == "box":
            return _slabs(q, e)
        if self.kind == "pyramid":
            return _half_spaces(_HEIGHTS - q @ _FACES.T, e @ _FACES.T)
        if self.kind == "half-space":
            return _half_spaces(-q[..., :1], e[..., :1])
        slab = _slabs(q[..., 2:], e[..., 2:])
        sides = _cone(q, e) if self.kind == "cone" else _ball(q[..., :2], e[..., :2])
        return np.maximum(sides[0], slab[0]), np.minimum(sides[1], slab[1])


def _ball(q: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ray parameters between which ``|q + t e| <= 1``; an empty interval is reversed."""
    square = (e * e).sum(axis=-1)
    moving = square > 0
    square = np.where(moving, square, 1.0)
    middle = -(q * e).sum(axis=-1) / square
    # From the nearest point, not from q: the discriminant would lose digits far away.
    nearest = q + middle[..., None] * e
    rest = 1 - (nearest * nearest).sum(axis=-1)
    half = np.sqrt(np.maximum(rest, 0.0) / square)
    half = np.where(moving, half, np.where(rest >= 0, np.inf, 0.0))
    return middle - half, middle + half


def _slabs(q: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ray parameters between which all ``|q_i + t e_i| <= 1``; an empty interval is reversed."""
    moving = np.abs(e) > 1e-300
    slope = np.where(moving, e, 1.0)
    near, far = (-1 - q) / slope, (1 - q) / slope
    inside = np.abs(q) <= 1
    enter = np.where(moving, np.minimum(near, far), np.where(inside, -np.inf, np.inf))
    leave = np.where(moving, np.maximum(near, far), np.where(inside, np.inf, -np.inf))
    return enter.max(axis=-1), leave.min(axis=-1)


def _half_spaces(room: FloatArray, approach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ray parameters between which no face is crossed: ``t * approach <= room`` for all."""
    moving = np.abs(approach) > 1e-300
    meet = room / np.where(moving, approach, 1.0)
    outside = ~moving & (room < 0)
    enter = np.where(moving & (approach < 0), meet, np.where(outside, np.inf, -np.inf))
    leave = np.where(moving & (approach > 0), meet, np.where(outside, -np.inf, np.inf))
    return enter.max(axis=-1), leave.min(axis=-1)


def _cone(q: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ray parameters between which ``2 hypot(q_x, q_y) <= 1 - q_z``, where ``q_z <= 1``."""
    q, e = np.broadcast_arrays(q, e)
    # From the point nearest to the middle: the discriminant would lose digits far away.
    middle = -(q * e).sum(axis=-1) / (e * e).sum(axis=-1)
    q = q + middle[..., None] * e
    # a t^2 + 2 b t + c <= 0 is the double cone; below the tip one of its halves.
    a = e[..., 0] ** 2 + e[..., 1] ** 2 - e[..., 2] ** 2 / 4
    b = q[..., 0] * e[..., 0] + q[..., 1] * e[..., 1] + (1 - q[..., 2]) * e[..., 2] / 4
    c = q[..., 0] ** 2 + q[..., 1] ** 2 - (1 - q[..., 2]) ** 2 / 4
    square = b * b - a * c
    # The larger root in modulus first, the other from the product of both: no difference of near equals.
    sum_ = -b - np.copysign(np.sqrt(np.maximum(square, 0.0)), b)
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([sum_ / a, c / sum_])
    roots = np.where(np.isnan(roots), 0.0, roots)
    low, high = roots.min(axis=0), roots.max(axis=0)
    # A ray steeper than the sides leaves the lower half at one end only.
    steep, up = a < 0, e[..., 2] > 0
    enter = np.where(steep, np.where(up, -np.inf, high), np.where(square < 0, np.inf, low))
    leave = np.where(steep, np.where(up, low, np.inf), np.where(square < 0, -np.inf, high))
    return middle + enter, middle + leave
