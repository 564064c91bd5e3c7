"""Recognises helices about z, and says how the views of a slice share its turn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opalg.errors import NotSupportedError
from opalg.tomo.circle import middle_of_circle
from opalg.tomo.cone import ConeBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.scan import TOLERANCE, angles_about

__all__ = ["REACH", "Helix", "helix_of", "turn_weights"]

_UP = np.array([0.0, 0.0, 1.0])
_SECTORS = 32  # of a turn: views of each weigh alike
_OVERLAP = 1 / 4  # of the rise in a turn: over it one turn gives way to the next
# How far a source is from slices it counts in, in rises of a turn: half of it, of the overlap, of a sector.
REACH = (1 + _OVERLAP + 1 / _SECTORS) / 2


@dataclass(frozen=True, eq=False)
class Helix:
    """A source that turns about an axis parallel to z and rises, or sinks, by the same in every turn.

    Parameters
    ----------
    angles : array, shape (views,)
        Without jumps, rising or falling.
    heights : array, shape (views,)
        Of the source, along z.
    rise : float
        By how much it rises in a turn of 2 pi; negative if that is counter-clockwise and it sinks, or
        the other way round.
    sod : float
        Distance from the source to the axis.
    centre : array, shape (3,)
        A point of the axis.
    """

    angles: FloatArray
    heights: FloatArray
    rise: float
    sod: float
    centre: FloatArray

    @property
    def pitch(self) -> float:
        """Distance of one turn from the next."""
        return abs(self.rise)

    @property
    def view_weights(self) -> FloatArray:
        """The angle that every view stands for; a slice sees one turn."""
        return np.abs(np.gradient(self.angles))

    @property
    def sector_heights(self) -> FloatArray:
        """The height of the source in the middle of the sector of a turn that a view lies in."""
        turned = np.abs(self.angles - self.angles[0]) / (2 * math.pi)
        sectors = max(1, min(_SECTORS, math.floor(len(turned[turned < 1 - 1e-9]))))
        middles = (np.floor(turned * sectors + 1e-6) + 0.5) / sectors
        sense = np.sign(self.angles[-1] - self.angles[0])
        start = (self.heights - self.rise * self.angles / (2 * math.pi)).mean()
        heights: FloatArray = start + self.rise * (self.angles[0] / (2 * math.pi) + sense * middles)
        return heights


def helix_of(geometry: Geometry) -> Helix | None:
    """The helix of a cone beam, or None if its sources lie on none, or on a circle."""
    if geometry.regular or not isinstance(geometry, ConeBeam):
        return None
    sources = geometry.frames.origins
    try:
        centre = middle_of_circle(sources, _UP)
    except NotSupportedError:
        return None
    to_axis = centre - sources
    to_axis[:, 2] = 0.0
    radii = np.linalg.norm(to_axis, axis=1)
    sod = float(radii.mean())
    angles = np.unwrap(angles_about(_UP, to_axis / radii[:, None]))
    heights = sources[:, 2]
    slope, start = np.polyfit(angles, heights, 1)
    steps = np.diff(angles)
    if (
        np.abs(radii / sod - 1).max() > TOLERANCE
        or not ((steps > 0).all() or (steps < 0).all())
        or np.ptp(angles) < math.pi
        or np.abs(heights - start - slope * angles).max() > TOLERANCE * sod
        or np.abs(heights - heights.mean()).max() <= TOLERANCE * sod
    ):
        return None
    return Helix(angles, heights, float(slope * 2 * math.pi), sod, centre)


def turn_weights(distances: FloatArray, pitch: float) -> FloatArray:
    """How much a view counts at a distance along the axis from its source; over all turns they sum to 1."""
    ramp = 0.5 + (pitch / 2 - np.abs(distances)) / (_OVERLAP * pitch)
    return np.clip(ramp, 0.0, 1.0)
