"""Divergent beams of packages whose rays are lines, wherever their detector stands.

Here rays end at the detector. That of a scanner stands behind the object, and is kept where it is; one on the
axis, or nearer to it than a corner of the square about the region that is seen, is *virtual*: its rays go on.
A detector farther along the same rays says so here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.frames import FloatArray, Frames

__all__ = ["of_lines", "regular_of_lines"]

Beam = TypeVar("Beam", bound=DivergentBeam)

_SQUARE = 2**0.5  # half the diagonal, of half a side
# Of the distance from source to axis: no object in front of the source reaches farther.
_BEHIND = 2.0


def regular_of_lines(
    beam: type[Beam], angles: Any, detector: Any, pitch: Any, sod: float, sdd: float, **more: Any
) -> Beam:
    """A regular fan or cone of these rays; if the detector is virtual, at twice the distance of the axis."""
    offset = more.pop("offset", 0.0)

    def at(distance: float) -> Beam:
        factor = distance / sdd
        moved = [(factor * np.asarray(a, float)).tolist() for a in (pitch, offset)]
        return beam(angles, detector, moved[0], sod=sod, sdd=distance, offset=moved[1], **more)

    if not sdd > 0:
        raise ArgumentError(f"the detector must stand before the source, at a distance, got {sdd}")
    said = at(sdd) if sdd > sod else None  # first, so that errors tell the numbers that were given
    behind = at(_BEHIND * sod)
    _, reach = _seen(behind.frames, behind.detector_shape)
    return behind if said is None or sdd < sod + _SQUARE * reach else said


def of_lines(beam: Beam) -> Beam:
    """The beam itself, or with its virtual detector moved along the rays to twice the distance of the axis.

    The axis is taken to pass where the central rays come closest to each other, and to the origin.
    """
    frames = beam.frames
    distances, reach = _seen(frames, beam.detector_shape)
    nearest = np.linalg.norm(_points(frames, beam.detector_shape), axis=-1).min(axis=1)
    if not (nearest < distances + _SQUARE * reach).any():
        return beam
    factors = np.maximum(_BEHIND * distances / nearest, 1.0)[:, None]
    sources = frames.origins

    def moved(points: FloatArray) -> FloatArray:
        return sources + factors * (points - sources)

    changes: dict[str, Any] = {
        "centres": moved(frames.centres),
        "u_steps": factors * frames.u_steps,
    }
    if frames.v_steps is not None:
        changes["v_steps"] = factors * frames.v_steps
    if frames.arc_centres is not None:
        changes["arc_centres"] = moved(frames.arc_centres)
    return beam._of_frames(replace(frames, **changes), beam.detector_shape)


def _points(frames: Frames, detector: tuple[int, ...]) -> FloatArray:
    """The middle and the corners of the detector as seen from the source, (views, points, ndim)."""
    corners = frames.corners(detector).reshape(len(frames), -1, frames.ndim)
    points = np.concatenate([frames.centres[:, None], corners], axis=1)
    return np.asarray(points - frames.origins[:, None], float)


def _seen(frames: Frames, detector: tuple[int, ...]) -> tuple[FloatArray, float]:
    """How far the source is from the axis in every view, and the radius of what all views see about it."""
    points = _points(frames, detector)
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    ahead = points[:, 0]
    # The point from which central rays pass least far away; of parallel ones that next to the origin.
    across = np.eye(frames.ndim) - ahead[:, :, None] * ahead[:, None]
    normal = (across.sum(axis=0), np.einsum("vij,vj->i", across, frames.origins))
    centre = np.linalg.lstsq(*normal, rcond=1e-6)[0]
    distances = ((centre - frames.origins) * ahead).sum(axis=1)
    cosines = np.clip((points * ahead[:, None]).sum(axis=-1), -1, 1)
    radii = np.abs(distances[:, None]) * np.sqrt(1 - cosines**2)
    return distances, float(radii.max())
