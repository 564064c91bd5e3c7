"""The general form of every geometry: for each view a source and a frame of the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NonFiniteError

__all__ = ["FloatArray", "Frames", "as_vectors", "frozen", "units"]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Frames:
    """Source, detector position and detector axes of every view, float64, order (x, y) or (x, y, z).

    The centre of a pixel that lies ``u`` and ``v`` pixels from the middle of the detector is at
    ``centres + u * u_steps + v * v_steps``. On a curved detector the first two terms become a turn by
    ``u * arc_step`` about ``arc_centres``::

        (
            arc_centres
            + cos(u * arc_step) * (centres - arc_centres)
            + sin(u * arc_step) / arc_step * u_steps
        )

    Parameters
    ----------
    origins : array, shape (views, ndim)
        Positions of the source; if ``parallel``, directions of the rays.
    centres : array, shape (views, ndim)
        The middle of the detector.
    u_steps : array, shape (views, ndim)
        From one pixel to the next in a row; on a curved detector the tangent in the middle.
    v_steps : array, shape (views, 3), or None in 2D
        From one detector row to the next.
    parallel : bool
    arc_centres : array, shape (views, ndim), or None for a flat detector
        Where the axis of a curved detector passes, at the height of ``centres``.
    arc_step : float
        Angle between neighbouring columns of a curved detector, seen from its axis.
    """

    origins: FloatArray
    centres: FloatArray
    u_steps: FloatArray
    v_steps: FloatArray | None = None
    parallel: bool = False
    arc_centres: FloatArray | None = None
    arc_step: float = 0.0

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.origins.shape[1]

    @property
    def angles(self) -> FloatArray:
        """Angles of the views about z as regular geometries count them: of the rays, or of the source."""
        x, y = self.origins[:, 0], self.origins[:, 1]
        return np.mod(np.arctan2(-x, y) if self.parallel else np.arctan2(x, -y), 2 * np.pi)

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The arrays that there are, by name."""
        names = ("origins", "centres", "u_steps", "v_steps", "arc_centres")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal frames; hashable."""
        parts = tuple((name, array.tobytes()) for name, array in self.arrays.items())
        return (self.parallel, self.arc_step, *parts)

    def is_close(self, other: Frames, tolerance: float) -> bool:
        """Whether no vector differs by more than ``tolerance``."""
        mine, its = self.arrays, other.arrays
        return (
            self.parallel == other.parallel
            and mine.keys() == its.keys()
            and abs(self.arc_step - other.arc_step) <= tolerance
            and all(
                mine[name].shape == its[name].shape
                and float(np.abs(mine[name] - its[name]).max(initial=0.0)) <= tolerance
                for name in mine
            )
        )

    # Others like them

    def take(self, views: Any) -> Frames:
        """The frames of some views."""
        return self._with(**{name: array[views] for name, array in self.arrays.items()})

    def along_row(self, u: Any) -> tuple[FloatArray, FloatArray]:
        """Positions ``u`` pixels from the middle of the row, and the steps (tangents) there.

        ``u`` broadcasts against ``(views, ...)``; vectors are on the last axis of the results.
        """
        u = np.asarray(u, float)[..., None]
        lift = (slice(None), *[None] * (u.ndim - 2))
        centres, steps = self.centres[lift], self.u_steps[lift]
        if self.arc_centres is None:
            return centres + u * steps, np.broadcast_to(
                steps, np.broadcast_shapes(u.shape, steps.shape)
            )
        axis, angle = self.arc_centres[lift], u * self.arc_step
        radius = centres - axis
        across = np.sinc(angle / np.pi) * u * steps  # sin(angle) / arc_step, also at 0
        points = axis + np.cos(angle) * radius + across
        return points, np.cos(angle) * steps - np.sin(angle) * self.arc_step * radius

    def moved_in_plane(self, u: Any = 0.0, v: Any = 0.0) -> Frames:
        """The detector moved along its axes by numbers of pixels, one for all views or one for each."""
        u, v = (np.broadcast_to(np.asarray(a, float), (len(self),)) for a in (u, v))
        centres, steps = self.along_row(u)
        changes = {"centres": centres, "u_steps": np.array(steps)}
        if self.v_steps is not None:
            shift = v[:, None] * self.v_steps
            changes["centres"] = centres + shift
            if self.arc_centres is not None:
                changes["arc_centres"] = self.arc_centres + shift
        return self._with(**changes)

    def turned_in_place(self, roll: Any = 0.0, tilt: Any = 0.0, slant: Any = 0.0) -> Frames:
        """The detector turned about its middle by angles; see `Geometry.rotate_detector`."""
        normals = np.zeros((len(self), 3))
        normals[:, : self.ndim] = self.normals
        u = np.zeros((len(self), 3))
        u[:, : self.ndim] = units(self.u_steps)
        v = (
            np.tile([0.0, 0.0, 1.0], (len(self), 1))
            if self.v_steps is None
            else units(self.v_steps)
        )
        # The sense of each turn is that from the first to the second of two axes.
        turns = (_turn(u, v, roll), _turn(v, normals, tilt), _turn(u, normals, slant))
        matrix = (turns[0] @ turns[1] @ turns[2])[:, : self.ndim, : self.ndim]
        changes = {"u_steps": np.einsum("vij,vj->vi", matrix, self.u_steps)}
        if self.v_steps is not None:
            changes["v_steps"] = np.einsum("vij,vj->vi", matrix, self.v_steps)
        if self.arc_centres is not None:
            arms = np.einsum("vij,vj->vi", matrix, self.arc_centres - self.centres)
            changes["arc_centres"] = self.centres + arms
        return self._with(**changes)

    def binned(self, u: float = 1, v: float = 1) -> Frames:
        """Steps u and v times as long, about the same middle: every u-th column, or parts of pixels."""
        changes = {"u_steps": self.u_steps * u}
        if self.v_steps is not None:
            changes["v_steps"] = self.v_steps * v
        return replace(self._with(**changes), arc_step=self.arc_step * u)

    def mapped(self, matrix: FloatArray, shift: FloatArray) -> Frames:
        """The frames after ``p -> matrix @ p + shift``; ``(ndim, ndim)`` and ``(ndim,)``, or one per view."""

        def turn(vectors: FloatArray) -> FloatArray:
            return np.einsum("...ij,...j->...i", matrix, vectors)

        changes = {name: turn(array) for name, array in self.arrays.items()}
        for name in ("centres", "arc_centres", *([] if self.parallel else ["origins"])):
            if name in changes:
                changes[name] = changes[name] + shift
        return self._with(**changes)

    def _with(self, **arrays: FloatArray) -> Frames:
        return replace(self, **{name: frozen(array) for name, array in arrays.items()})  # type: ignore[arg-type]

    # Points and rays

    @property
    def normals(self) -> FloatArray:
        """Unit normals of the detector in its middle, on the side that rays leave; shape (views, ndim)."""
        if self.v_steps is None:
            across = np.stack([-self.u_steps[:, 1], self.u_steps[:, 0]], axis=1)
        else:
            across = np.cross(self.v_steps, self.u_steps)
        along = self.origins if self.parallel else self.centres - self.origins
        return units(across * np.sign((across * along).sum(axis=1, keepdims=True)))

    def corners(self, detector: tuple[int, ...]) -> FloatArray:
        """Outer corners of the detector, half a pixel beyond the centres of its last pixels.

        In 2D ``[view, u]``, else ``[view, v, u]``, each 0 or 1; coordinates are on the last axis.
        """
        u, _ = self.along_row(np.array([[-0.5, 0.5]]) * detector[-1])
        if self.v_steps is None:
            return u
        v = np.array([-0.5, 0.5]) * detector[0]
        return u[:, None] + v[:, None, None] * self.v_steps[:, None, None]

    def pixels(self, detector: tuple[int, ...], views: Any = slice(None)) -> FloatArray:
        """Centres of all pixels, shape ``(views, *detector, ndim)``."""
        part = self.take(views)
        rows, _ = part.along_row((np.arange(detector[-1]) - (detector[-1] - 1) / 2)[None])
        if part.v_steps is None:
            return rows
        v = np.arange(detector[0]) - (detector[0] - 1) / 2
        return rows[:, None] + v[:, None, None] * part.v_steps[:, None, None]

    def rays(
        self, detector: tuple[int, ...], views: Any = slice(None)
    ) -> tuple[FloatArray, FloatArray]:
        """Points on the rays and unit directions; both broadcast to ``(views, *detector, ndim)``."""
        points, directions, _, _ = self.segments(detector, views)
        return points, directions

    def segments(
        self, detector: tuple[int, ...], views: Any = slice(None)
    ) -> tuple[FloatArray, FloatArray, float, FloatArray | float]:
        """As `rays`, and the way from the points to where rays start and end.

        Rays of a source start there, at zero, and end at their pixel; parallel ones run from minus to
        plus infinity.
        """
        pixels = self.pixels(detector, views)
        origins = self.origins[views].reshape(-1, *[1] * len(detector), self.ndim)
        if self.parallel:
            unit = origins / np.linalg.norm(origins, axis=-1, keepdims=True)
            return pixels, unit, -np.inf, np.inf
        directions = pixels - origins
        lengths = np.linalg.norm(directions, axis=-1)
        return origins, directions / lengths[..., None], 0.0, lengths


def _turn(start: FloatArray, end: FloatArray, angle: Any) -> FloatArray:
    """Matrices of turns in the planes of two vectors each, from one towards the other (Rodrigues)."""
    axis = np.cross(start, end)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.broadcast_to(np.asarray(angle, float), (len(axis),))[:, None, None]
    cross = np.cross(axis[:, None], np.eye(3))  # rows: what becomes of the unit vectors
    across: FloatArray = (
        np.cos(angle) * np.eye(3)
        + np.sin(angle) * np.swapaxes(cross, 1, 2)
        + (1 - np.cos(angle)) * axis[:, :, None] * axis[:, None]
    )
    return across


def as_vectors(value: Any, ndim: int, what: str) -> FloatArray:
    """One vector per view as an array (views, ndim), checked; a single vector is one view."""
    try:
        found = np.array(value, float)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape == (ndim,):
        found = found[None]
    if found.ndim != 2 or found.shape[1] != ndim or len(found) == 0:
        order = "(x, y, z)" if ndim == 3 else "(x, y)"
        shape = getattr(value, "shape", None)
        raise ArgumentError(
            f"{what} must hold one vector {order} per view, shape (views, {ndim}), got "
            + (f"shape {tuple(shape)}" if shape is not None else f"{value!r:.60}")
        )
    if not np.isfinite(found).all():
        raise NonFiniteError(f"{what} must be finite, got NaN or infinity")
    return found


def frozen(values: Any) -> FloatArray:
    """The array, closed for writing."""
    array = np.asarray(values, float)
    array.flags.writeable = False
    return array


def units(vectors: FloatArray) -> FloatArray:
    """Vectors of length 1, closed for writing."""
    return frozen(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
