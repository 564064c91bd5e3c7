"""Scans about any axis, and along it, in the numbers that packages have for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from opalg.errors import NotSupportedError
from opalg.tomo.converters.parameters import ROUNDING, regular_form
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.transforms import perspective, translate

__all__ = ["Turning", "turning"]


@dataclass(frozen=True, eq=False)
class Turning:
    """A regular scan about an axis of its own, rising evenly along it.

    Parameters
    ----------
    regular : ParallelBeam, FanBeam or ConeBeam
        Source and detector as seen from the axis.
    angles : array, shape (views,)
        Those of ``regular``, going on from turn to turn.
    rise, height : float
        Along the axis, per radian, and at angle 0.
    axes : array, shape (3, 3)
        In columns where the axes x, y and z of ``regular`` point; z is the axis.
    centre : array, shape (3,)
        Where its origin is.
    """

    regular: Any
    angles: FloatArray
    rise: float
    height: float
    axes: FloatArray
    centre: FloatArray

    @property
    def about_z(self) -> bool:
        """Whether the axis is the z axis."""
        return np.array_equal(self.axes, np.eye(3)) and not self.centre.any()


def turning(geometry: Geometry, package: str) -> Turning:
    """The scan as one about an axis.

    Raises
    ------
    NotSupportedError
        If source and detector do not turn rigidly about an axis that the detector's columns run along, or
        do not rise evenly.
    """
    still: tuple[Any, ...] = (0.0, 0.0, np.eye(3), np.zeros(3))
    if geometry.regular or geometry.ndim == 2:
        regular = regular_form(geometry, package)
        return Turning(regular, _going_on(regular), *still)
    for axes, centre in ((still[2], still[3]), _axis(geometry)):
        own = perspective(centre, *axes.T).inverse * geometry
        heights = np.zeros(len(own))
        if not own.frames.parallel:
            heights = own.frames.origins[:, 2]
        try:
            regular = regular_form(translate(z=-heights) * own, package)
        except NotSupportedError:
            continue
        angles = _going_on(regular)
        rise = np.polyfit(angles, heights, 1)[0] if np.ptp(heights) else 0.0
        height = float((heights - rise * angles).mean())
        size = float(np.abs(own.frames.origins).max())
        if np.abs(heights - rise * angles - height).max() > ROUNDING * size:
            raise NotSupportedError(f"{package} takes sources that rise evenly with the angle")
        return Turning(regular, angles, float(rise), height, axes, centre)
    raise NotSupportedError(
        f"{package} takes source and detector that turn rigidly about an axis, which the detector's columns "
        f"run along, got a {type(geometry).__name__} given by vectors that do not"
    )


def _going_on(regular: Geometry) -> FloatArray:
    """Angles that were counted modulo a turn, from view to view the short way."""
    angles = regular.angles
    return angles if (np.diff(angles) > 0).all() else np.unwrap(angles)


def _axis(geometry: Geometry) -> tuple[FloatArray, FloatArray]:
    """Axes and origin of the frame about whose z axis the views turn, if they do."""
    frames = geometry.frames
    assert frames.v_steps is not None
    ahead = frames.origins if frames.parallel else frames.centres - frames.origins
    views = np.stack([frames.u_steps, ahead, frames.v_steps], axis=-1)
    turns = views @ np.linalg.inv(views[0])  # from the first view to each
    away = np.eye(3) - turns
    _, sizes, directions = np.linalg.svd(away.reshape(-1, 3))
    along = frames.v_steps[0] if sizes[1] < ROUNDING else directions[2]
    axis = along / np.linalg.norm(along) * np.sign(along @ frames.v_steps[0])
    places = frames.centres if frames.parallel else frames.origins
    across = (places - places[0] @ np.swapaxes(turns, 1, 2)) @ (np.eye(3) - np.outer(axis, axis))
    centre = np.linalg.lstsq(away.reshape(-1, 3), across.reshape(-1), rcond=ROUNDING)[0]
    # The shortest turn from z to the axis, as in ODL; the opposite axis is half a turn about x.
    cross = np.cross([0.0, 0.0, 1.0], axis)
    if axis[2] < -1 + ROUNDING**2:
        return np.diag([1.0, -1.0, -1.0]), centre
    skew = np.cross(np.eye(3), cross)
    axes = np.eye(3) + skew + skew @ skew / (1 + axis[2])
    return axes.round(15), centre  # that axes along x, y or z are so exactly
