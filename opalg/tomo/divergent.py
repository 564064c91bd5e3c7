"""What fan and cone beams share: rays from a source to a flat or curved detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo.angles import as_angles
from opalg.tomo.frames import FloatArray, Frames
from opalg.tomo.geometry import Geometry

__all__ = ["DivergentBeam"]


class DivergentBeam(Geometry):
    """Base class of `FanBeam` and `ConeBeam`; see there for the arguments."""

    def __init__(
        self,
        angles: int | npt.ArrayLike,
        detector: int | Sequence[int],
        pitch: float | Sequence[float],
        sod: float,
        sdd: float,
        curved: bool,
        offset: float | Sequence[float],
    ) -> None:
        self._sod, self._sdd = _length(sod, "sod"), _length(sdd, "sdd")
        if self._sdd <= self._sod:
            raise ArgumentError(
                f"sdd={sdd!r} must exceed sod={sod!r}: rays end at the detector, which stands behind the "
                "rotation axis. A virtual detector on the axis is the same as one at twice the distance: "
                "sdd=2 * sod with 2 * pitch"
            )
        self._curved = bool(curved)
        super().__init__(as_angles(angles, 2 * math.pi), detector, pitch, offset)
        if curved and self.detector_shape[-1] * self.pitch[-1] / self._sdd >= math.pi:
            raise ArgumentError(
                "a curved detector must span less than half a turn seen from the source"
            )
        self._keep_arguments(angles)

    def _numbers(self) -> dict[str, Any]:
        curved = {"curved": True} if self._curved else {}
        return {"sod": self._sod, "sdd": self._sdd, **curved}

    def _regular_frames(self) -> Frames:
        cos, sin, zero = np.cos(self.angles), np.sin(self.angles), np.zeros_like(self.angles)
        along = np.stack([-sin, cos, zero][: self.ndim], axis=-1)
        across = np.stack([cos, sin, zero][: self.ndim], axis=-1)
        sources = -self._sod * along
        pitch, offset = self.pitch[-1], self.offset[-1]
        arc_centres, arc_step = None, 0.0
        if self._curved:
            arc_step, middle = pitch / self._sdd, offset / self._sdd
            arc_centres = sources
            centres = sources + self._sdd * (math.cos(middle) * along + math.sin(middle) * across)
            steps = pitch * (math.cos(middle) * across - math.sin(middle) * along)
        else:
            centres = (self._sdd - self._sod) * along + offset * across
            steps = pitch * across
        rows = None
        if self.ndim == 3:
            rows = np.zeros_like(along)
            rows[:, 2] = self.pitch[0]
            height = np.array([0.0, 0.0, self.offset[0]])
            centres = centres + height
            arc_centres = None if arc_centres is None else arc_centres + height
        return Frames(sources, centres, steps, rows, False, arc_centres, arc_step)

    @property
    def source_positions(self) -> FloatArray:
        """Where the source is in every view, order (x, y) or (x, y, z); shape (views, ndim)."""
        return self.frames.origins

    @property
    def curved(self) -> bool:
        """Whether the detector lies on an arc (2D) or a cylinder (3D)."""
        return self._curved if self.regular else self.frames.arc_centres is not None

    @property
    def sod(self) -> float:
        """Distance from the source to the rotation axis, of a regular geometry."""
        return self._sod if self.regular else self._no_distance("sod")

    @property
    def sdd(self) -> float:
        """Distance from the source to the detector, of a regular geometry."""
        return self._sdd if self.regular else self._no_distance("sdd")

    def _no_distance(self, name: str) -> float:
        raise NotSupportedError(
            f"a geometry given by vectors has no {name}: see source_positions and detector_positions"
        )


def _length(value: Any, name: str) -> float:
    try:
        length = float(value)
    except (TypeError, ValueError):
        length = math.nan
    if not (math.isfinite(length) and length > 0):
        raise ArgumentError(f"{name} must be a positive length, got {value!r}")
    return length
