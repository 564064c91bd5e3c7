"""Checks the vectors from which a geometry can be made."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.frames import FloatArray, Frames, as_vectors
from opalg.tomo.indexing import as_detector

__all__ = ["frames_of_vectors"]

_FLAT = 1e-9  # sine of an angle below which two directions count as one


def frames_of_vectors(
    origins: Any,
    detector_centre: Any,
    v_step: Any,
    u_step: Any,
    detector: Any,
    parallel: bool = False,
    arc_centre: Any = None,
) -> tuple[Frames, tuple[int, ...]]:
    """Frames and shape of the detector from a user's arrays, one vector or one per view each."""
    shape = as_detector(detector)
    ndim = len(shape) + 1
    if (v_step is None) != (ndim == 2):
        raise ArgumentError(
            "v_step belongs to a detector of several rows: detector=(v, u) with it, detector=u "
            f"with None; got detector={detector!r}"
        )
    origin_name = "direction" if parallel else "source"
    given = {
        origin_name: origins,
        "detector_centre": detector_centre,
        "v_step": v_step,
        "u_step": u_step,
        "arc_centre": arc_centre,
    }
    vectors = {n: as_vectors(value, ndim, n) for n, value in given.items() if value is not None}
    views = max(map(len, vectors.values()))
    for name, array in vectors.items():
        if len(array) not in (1, views):
            raise ArgumentError(f"{name} has {len(array)} views where others have {views}")
        vectors[name] = np.array(np.broadcast_to(array, (views, ndim)))
    origins, centres, u = (vectors[n] for n in (origin_name, "detector_centre", "u_step"))
    v = vectors.get("v_step")
    rays = origins if parallel else centres - origins
    if (_volume([u, v, rays] if v is not None else [u, rays]) <= _FLAT).any():
        raise ArgumentError(
            "in some view the detector cannot see: its steps are zero or parallel to each other, or "
            f"the {origin_name} lies in its plane"
        )
    arc_step = 0.0
    if "arc_centre" in vectors:
        arc_step = _arc_step(centres - vectors["arc_centre"], u, v)
    frames = Frames(origins, centres, u, v, parallel, vectors.get("arc_centre"), arc_step)
    return frames, shape


def _volume(vectors: list[FloatArray]) -> FloatArray:
    """Of the boxes that unit vectors along the given ones span; 0 where one is zero."""
    matrix = np.stack(vectors, axis=1)
    lengths = np.linalg.norm(matrix, axis=-1, keepdims=True)
    return np.abs(np.linalg.det(matrix / np.where(lengths > 0, lengths, 1.0)))


def _arc_step(radius: FloatArray, u: FloatArray, v: FloatArray | None) -> float:
    pairs = [(radius, u)] if v is None else [(radius, u), (radius, v), (u, v)]
    if (
        any(
            (
                np.abs((a * b).sum(axis=1))
                > 1e-6 * np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            ).any()
            for a, b in pairs
        )
        or not radius.any(axis=1).all()
    ):
        raise ArgumentError(
            "arc_centre must be the point of the detector's axis at the height of detector_centre: u_step "
            "is a tangent, perpendicular to the radius, and v_step parallel to the axis"
        )
    angles = np.linalg.norm(u, axis=1) / np.linalg.norm(radius, axis=1)
    if np.ptp(angles) > 1e-9 * angles[0]:
        raise ArgumentError(
            "the angle between columns of a curved detector must be one in all views"
        )
    return float(angles[0])
