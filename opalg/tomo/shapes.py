"""Bodies with exact line integrals: balls, boxes, cylinders and pyramids under any affine map.

A body is the image of a unit body under ``q -> axes @ q + centre``. Points and rays are taken back to the
unit body, where insides and chord lengths have closed forms.
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
    kind : {"ball", "box", "cylinder", "pyramid"}
        The unit body: ``|q| <= 1``, ``max |q_i| <= 1``, ``hypot(q_x, q_y) <= 1 and |q_z| <= 1``, or
        ``q_z >= -1 and 2 max(|q_x|, |q_y|) + q_z <= 1``.
    centre : tuple of float
        Order (x, y) or (x, y, z).
    axes : tuple of tuples of float
        Matrix whose columns are the half axes.
    value : float
        Added to the image inside the body.
    """

    def __init__(
        self,
        kind: str,
        centre: tuple[float, ...],
        axes: tuple[tuple[float, ...], ...],
        value: float,
    ) -> None:
        self.kind = kind
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
        )

    def gauge(self, points: FloatArray) -> FloatArray:
        """How far out points lie: 1 on the surface, less inside; shape ``points.shape[:-1]``.

        Moving a point by ``d`` changes the gauge by at most ``|inverse(axes) @ d|``.
        """
        q = (points - self.centre) @ self._inverse.T
        if self.kind == "ball":
            return np.linalg.norm(q, axis=-1)
        if self.kind == "box":
            return np.abs(q).max(axis=-1)
        if self.kind == "pyramid":
            return (q @ _FACES.T - _HEIGHTS).max(axis=-1) + 1
        return np.maximum(np.hypot(q[..., 0], q[..., 1]), np.abs(q[..., 2]))

    def reach(self, spacing: FloatArray) -> float:
        """By how much the gauge can change within a cell, from its centre to a corner."""
        corners = itertools.product((-0.5, 0.5), repeat=self.ndim)
        return max(
            float(np.linalg.norm(self._inverse @ (np.array(corner) * spacing)))
            for corner in corners
        )

    def half_widths(self) -> FloatArray:
        """Half of the extent of the bounding box along each axis."""
        if self.kind == "ball":
            return np.linalg.norm(self.axes, axis=1)
        if self.kind in ("box", "pyramid"):
            return np.abs(self.axes).sum(axis=1)
        return np.linalg.norm(self.axes[:, :2], axis=1) + np.abs(self.axes[:, 2])

    def chords(self, points: FloatArray, directions: FloatArray) -> FloatArray:
        """Lengths of the parts of rays inside the body.

        Parameters
        ----------
        points, directions : array
            Broadcast together to ``(..., ndim)``; directions are unit vectors.

        Returns
        -------
        array
            Of the broadcast shape without the last axis, in the unit of the shape.
        """
        q = (points - self.centre) @ self._inverse.T
        e = directions @ self._inverse.T
        if self.kind == "ball":
            enter, leave = _ball(q, e)
        elif self.kind == "box":
            enter, leave = _slabs(q, e)
        elif self.kind == "pyramid":
            enter, leave = _half_spaces(_HEIGHTS - q @ _FACES.T, e @ _FACES.T)
        else:
            disc, slab = _ball(q[..., :2], e[..., :2]), _slabs(q[..., 2:], e[..., 2:])
            enter, leave = np.maximum(disc[0], slab[0]), np.minimum(disc[1], slab[1])
        return np.maximum(leave - enter, 0.0)


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
