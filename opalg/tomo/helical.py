"""Filtered back projection along a helix: what of it is that of a circle, and what the detector has to see.

Projections are weighted and filtered as those of a circle behind whose plane the detector stands: the helix
whose views were all moved to the height of the first source. Only the back projection knows of heights.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from opalg.errors import AccuracyWarning, NotSupportedError
from opalg.tomo.angles import MISSING
from opalg.tomo.circle import CircularScan
from opalg.tomo.frames import FloatArray
from opalg.tomo.helical_back_projection import HelicalBackProjection
from opalg.tomo.helix import REACH, Helix
from opalg.tomo.xray import XrayTransform

__all__ = ["check_helix", "flattened", "helical_back_projection"]


def flattened(transform: XrayTransform, helix: Helix) -> XrayTransform:
    """The transform of the circle on which all views lie that are moved along z to height 0."""
    return _moved(transform, -helix.heights)


def helical_back_projection(flat: XrayTransform, helix: Helix) -> HelicalBackProjection:
    """Of views that were flattened, with as many columns as they have there."""
    transform = _moved(flat, helix.heights)
    return HelicalBackProjection(transform, helix.sector_heights, helix.pitch)


def check_helix(transform: XrayTransform, helix: Helix, scan: CircularScan) -> None:
    """Refuse detectors too low for the pitch, and warn of slices that less than a turn sees, and of gaps.

    Parameters
    ----------
    transform : XrayTransform
        Of the helix.
    helix : Helix
    scan : CircularScan
        Of the circle.
    """
    pitch, grid = helix.pitch, transform.domain
    assert scan.v is not None
    v = np.sort(scan.v, axis=1)
    seen = min(float(v[:, -1].min()), -float(v[:, 0].max()))  # to both sides of the source's height
    y, x = grid.coordinates[1:]
    corner = np.hypot(x - helix.centre[0], y[:, None] - helix.centre[1]).max()
    view = helix.sod * math.sin(min(float(np.abs(scan.fan_angles).max()), math.pi / 2))
    # Voxels are seen highest next to the source.
    near = max(helix.sod - min(float(corner), view), 1e-6 * helix.sod)
    scale = float(scan.sdd.max()) / near
    if seen < REACH * pitch * scale:
        raise NotSupportedError(
            f"the detector is too low for a helix that rises by {pitch:.4g} in a turn: between its outermost "
            f"rows, with the height of the source in the middle, it needs {2 * REACH * pitch * scale:.4g} "
            f"and has {2 * max(seen, 0.0):.4g}, which is enough for a rise of "
            f"{max(seen, 0.0) / (REACH * scale):.4g}. Solvers such as solvers.CGLS take any geometry"
        )
    low, high = _complete(helix)
    if high < low:
        raise NotSupportedError(
            f"FDK along a helix needs {2 * REACH:.3g} turns or more for a slice that a full turn sees, got "
            f"{np.ptp(helix.angles) / (2 * math.pi):.3g}. Solvers such as solvers.CGLS take any geometry"
        )
    z, rounding = grid.coordinates[0], 1e-6 * pitch
    if z[0] < low - rounding or z[-1] > high + rounding:
        warnings.warn(
            f"a full turn of the helix sees slices from z = {low:.4g} to {high:.4g} only, the volume has "
            f"some from {z[0]:.4g} to {z[-1]:.4g}: beyond, values come out too low",
            AccuracyWarning,
            stacklevel=5,
        )
    missing, low, high = _gap(helix)
    if missing and z[0] < high and z[-1] > low:
        warnings.warn(
            f"the views of the helix leave out {math.degrees(missing):.1f} degrees at once, which slices "
            f"from z = {low:.4g} to {high:.4g} need: values come out wrong there",
            AccuracyWarning,
            stacklevel=5,
        )


def _gap(helix: Helix) -> tuple[float, float, float]:
    """The widest range of angles that was not measured, or 0, and the heights of slices that need it."""
    steps = np.abs(np.diff(helix.angles))
    at = int(steps.argmax())
    if steps[at] <= MISSING * np.median(steps):
        return 0.0, 0.0, 0.0
    beside, reach = helix.heights[at : at + 2], REACH * helix.pitch
    return float(steps[at]), float(beside.min()) - reach, float(beside.max()) + reach


def _complete(helix: Helix) -> tuple[float, float]:
    """Between which heights slices see a full turn."""
    heights = np.sort(helix.heights)
    half_step = np.diff(heights).mean() / 2
    reach = REACH * helix.pitch
    return float(heights[0] - half_step + reach), float(heights[-1] + half_step - reach)


def _moved(transform: XrayTransform, heights: FloatArray) -> XrayTransform:
    geometry = transform.geometry
    shift = np.zeros((len(heights), 3))
    shift[:, 2] = heights
    moved = geometry._of_frames(geometry.frames.mapped(np.eye(3), shift), geometry.detector_shape)
    return transform._along(moved)
