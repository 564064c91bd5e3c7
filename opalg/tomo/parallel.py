"""Parallel beam: all rays of a view have one direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.tomo.geometry import FloatArray, Geometry, as_angles

__all__ = ["ParallelBeam"]

# Views nearer than this (radians) are one direction seen twice, and share its weight.
_SAME_DIRECTION = 1e-6
# A gap this many times wider than any other is a range that was not measured.
_MISSING = 4.0


class ParallelBeam(Geometry):
    """Parallel rays in 2D, or in 3D a stack of slices (rays perpendicular to the rotation axis z).

    Parameters
    ----------
    angles : int or array, default 360
        So many views, equally spaced over half a turn [0, pi); or the angles in radians, any set.
    detector : int or (int, int), default 768
        Number of pixels: ``u`` in 2D, ``(v, u)`` in 3D.
    pitch : float or (float, float), default 1.0
        Distance of neighbouring pixel centres, in the unit of the grid (mm); one number, or ``(v, u)``.
    offset : float or (float, float), default 0.0
        Position of the detector's centre; a single number is that of u. With an offset *o* the
        rotation axis meets the detector at distance *-o* from its centre; see `with_axis_at`.

    Raises
    ------
    ArgumentError
        If a number makes no sense, for example angles in degrees or a pitch of zero.
    NonFiniteError
        If angles are NaN or infinite.

    Notes
    -----
    At angle *a* rays run along ``(-sin a, cos a)`` and u along ``(cos a, sin a)``, v along z.

    Examples
    --------
    >>> from opalg import tomo
    >>> geometry = tomo.ParallelBeam(angles=360, detector=768, pitch=0.5)
    >>> geometry.shape, geometry[::4].num_views, geometry[:, 64:192].detector_shape
    ((360, 768), 90, (128,))
    >>> geometry
    ParallelBeam(angles=360, detector=768, pitch=0.5)
    """

    def __init__(
        self,
        angles: int | npt.ArrayLike = 360,
        detector: int | Sequence[int] = 768,
        pitch: float | Sequence[float] = 1.0,
        offset: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__(as_angles(angles, math.pi), detector, pitch, offset)
        # The arguments are kept in their final form: an array of the caller may change later.
        kept: dict[str, Any] = {
            "angles": int(angles) if isinstance(angles, (int, np.integer)) else self.angles,
            "detector": _short(self.detector_shape),
            "pitch": _short(self.pitch),
        }
        if any(self.offset):
            kept["offset"] = _short(self.offset) if self.ndim == 2 else self.offset
        self.__dict__["_arguments"] = ((), kept)

    def _key(self) -> tuple[Any, ...]:
        return self.angles.tobytes(), self.detector_shape, self.pitch, self.offset

    def _replace(self, **changes: Any) -> ParallelBeam:
        own = {"detector": self.detector_shape, "pitch": self.pitch, "offset": self.offset}
        return ParallelBeam(**{**self._arguments[1], **own, **changes})

    @cached_property
    def ray_directions(self) -> FloatArray:
        """Unit vectors along the rays, order (x, y) or (x, y, z); shape (views, ndim)."""
        return self._vectors(-np.sin(self.angles), np.cos(self.angles))

    @cached_property
    def u_directions(self) -> FloatArray:
        """Unit vectors along detector rows, in which u rises; shape (views, ndim)."""
        return self._vectors(np.cos(self.angles), np.sin(self.angles))

    def _vectors(self, x: FloatArray, y: FloatArray) -> FloatArray:
        vectors = np.stack([x, y, np.zeros_like(x)][: self.ndim], axis=-1)
        vectors.flags.writeable = False
        return vectors

    def rays(self, views: slice = slice(None)) -> tuple[FloatArray, FloatArray]:
        """Points on the rays (where they meet the detector's plane through the axis) and directions."""
        u_axis, directions = self.u_directions[views], self.ray_directions[views]
        points = self.detector_coordinates[-1][:, None] * u_axis[:, None, :]
        if self.ndim == 2:
            return points, directions[:, None, :]
        rows = self.detector_coordinates[0][:, None] * np.array([0.0, 0.0, 1.0])
        return points[:, None] + rows[None, :, None], directions[:, None, None, :]

    @cached_property
    def view_weights(self) -> FloatArray:
        """The part of the half turn that every view stands for, in radians; shape (views,).

        Half the distance to the next view on either side, directions being equal modulo half a turn.
        Views of one direction (180 degrees apart, in a scan over a full turn) share its weight.
        Where a range of directions is missing (a gap more than four times wider than any other) the
        views beside it count as if it were of the usual width. The weights of a complete scan sum to pi.
        """
        turned = np.mod(self.angles, math.pi)
        order = np.argsort(turned, kind="stable")
        ordered = turned[order]
        starts = np.concatenate([[True], np.diff(ordered) > _SAME_DIRECTION])
        group = np.cumsum(starts) - 1
        directions = ordered[starts]
        if len(directions) > 1 and directions[0] + math.pi - ordered[-1] <= _SAME_DIRECTION:
            # pi and 0 are one direction; rounding put them at either end.
            last = group[-1]
            directions, group = directions[:-1], np.where(group == last, 0, group)
        gaps = np.diff(directions, append=directions[0] + math.pi)
        if len(gaps) > 1:
            widest = int(gaps.argmax())
            others = np.delete(gaps, widest)
            if gaps[widest] > _MISSING * others.max():
                gaps[widest] = np.median(others)
        widths = (gaps + np.roll(gaps, 1)) / 2
        weights = np.empty_like(turned)
        weights[order] = (widths / np.bincount(group))[group]
        weights.flags.writeable = False
        return weights


def _short(values: tuple[Any, ...]) -> Any:
    """A single number without its tuple."""
    return values[0] if len(values) == 1 else values
