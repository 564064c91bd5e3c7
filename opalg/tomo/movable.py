"""How geometries place their detector anew: shifts, turns, and the column of the rotation axis."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.tomo.frames import Frames

__all__ = ["MovableDetector"]


class MovableDetector:
    """The methods of `Geometry` that move or turn the detector; what they need, the geometry writes."""

    detector_shape: tuple[int, ...]
    pitch: tuple[float, ...]
    offset: tuple[float, ...]
    regular: bool

    @property
    def frames(self) -> Frames:
        raise NotImplementedError

    @property
    def num_views(self) -> int:
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        raise NotImplementedError

    def _replace(self, **changes: Any) -> Self:
        raise NotImplementedError

    @classmethod
    def _of_frames(cls, frames: Frames, detector: tuple[int, ...]) -> Self:
        raise NotImplementedError

    def shift_detector(self, u: npt.ArrayLike = 0.0, v: npt.ArrayLike = 0.0) -> Self:
        """The geometry with the detector moved along its axes, in physical units.

        Parameters
        ----------
        u, v : float, or array of shape (views,)
            Added to the positions of all pixels, of every view its own if they are arrays; along a
            curved detector u is arc length. ``v`` needs detector rows.

        Examples
        --------
        >>> from opalg import tomo
        >>> tomo.ParallelBeam(4, detector=3).shift_detector(u=0.25).detector_coordinates[0].tolist()
        [-0.75, 0.25, 1.25]
        """
        if self.ndim == 2 and np.any(v):
            raise ArgumentError("a detector of a single row (2D) cannot be shifted along v")
        shifts = [np.asarray(a, float) for a in (v, u)]
        if any(a.shape not in ((), (self.num_views,)) for a in shifts):
            raise ArgumentError(
                f"shifts must be one number or {self.num_views}, one per view, got shapes "
                f"u {shifts[1].shape} and v {shifts[0].shape}"
            )
        if not all(np.isfinite(a).all() for a in shifts):
            raise NonFiniteError("shifts of the detector must be finite, got NaN or infinity")
        if self.regular and all(a.shape == () for a in shifts):
            own = zip(self.offset, shifts[-len(self.offset) :], strict=True)
            return self._replace(offset=tuple(offset + float(step) for offset, step in own))
        frames, pixels = self.frames, {}
        for name, steps, shift in (
            ("v", frames.v_steps, shifts[0]),
            ("u", frames.u_steps, shifts[1]),
        ):
            if steps is not None:
                pixels[name] = shift / np.linalg.norm(steps, axis=1)
        return self._of_frames(frames.moved_in_plane(**pixels), self.detector_shape)

    def rotate_detector(
        self, roll: npt.ArrayLike = 0.0, tilt: npt.ArrayLike = 0.0, slant: npt.ArrayLike = 0.0
    ) -> Self:
        """The geometry with the detector turned about its middle, while the source stays where it is.

        Parameters
        ----------
        roll : float, or array of shape (views,)
            In its plane, u towards v; radians, of every view its own if it is an array.
        tilt : float, or array of shape (views,)
            About u, v towards the normal, which points away from the source.
        slant : float, or array of shape (views,)
            About v, u towards the normal; the only one of a detector of one row (2D). Several turns
            follow each other in the order slant, tilt, roll, about the axes that the detector had.

        Examples
        --------
        >>> import numpy as np
        >>> from opalg import tomo
        >>> cone = tomo.ConeBeam(4, (5, 6), 1.0, sod=100.0, sdd=150.0)
        >>> cone.rotate_detector(roll=np.pi / 2).u_directions[0].round(9).tolist()
        [0.0, 0.0, 1.0]
        """
        turns = {"roll": roll, "tilt": tilt, "slant": slant}
        angles = {name: np.asarray(value, float) for name, value in turns.items()}
        if self.ndim == 2 and (angles["roll"].any() or angles["tilt"].any()):
            raise ArgumentError("a detector of a single row (2D) turns by its slant only")
        for name, value in angles.items():
            if value.shape not in ((), (self.num_views,)):
                raise ArgumentError(
                    f"{name} must be one angle or {self.num_views}, one per view, got {value.shape}"
                )
            if not np.isfinite(value).all():
                raise NonFiniteError(f"the {name} of the detector must be finite")
        return self._of_frames(self.frames.turned_in_place(**angles), self.detector_shape)

    def with_axis_at(self, column: float) -> Self:
        """The geometry with the detector placed such that the rotation axis meets a given column.

        Parameters
        ----------
        column : float
            Index along u, pixel centres being whole numbers: what `find_rotation_axis` returns.

        Raises
        ------
        NotSupportedError
            For a geometry that is given by vectors: its detector need not face an axis.

        Examples
        --------
        >>> from opalg import tomo
        >>> tomo.ParallelBeam(4, detector=5).with_axis_at(1.5).detector_coordinates[0].tolist()
        [-1.5, -0.5, 0.5, 1.5, 2.5]
        """
        if not self.regular:
            raise NotSupportedError("a geometry given by vectors: use shift_detector(u=...)")
        if not math.isfinite(column):
            raise NonFiniteError(f"the column of the rotation axis must be finite, got {column!r}")
        u = ((self.detector_shape[-1] - 1) / 2 - float(column)) * self.pitch[-1]
        return self._replace(offset=(*self.offset[:-1], u))
