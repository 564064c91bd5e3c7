"""3x4 projection matrices from and to sources and detector frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.tomo.frames import FloatArray, Frames
from opalg.tomo.indexing import as_detector

__all__ = ["frames_of_matrices", "matrices_of_frames"]


def frames_of_matrices(
    matrices: Any, detector: Any, sdd: float | None
) -> tuple[Frames, tuple[int, ...]]:
    """Frames and shape of the detector; see `ConeBeam.from_matrices`."""
    shape = as_detector(detector)
    if len(shape) != 2:
        raise ArgumentError(f"projection matrices need detector=(v, u), got {detector!r}")
    found = np.asarray(matrices, float)
    found = found[None] if found.shape == (3, 4) else found
    if found.ndim != 3 or found.shape[1:] != (3, 4) or len(found) == 0:
        raise ArgumentError(f"matrices must have shape (views, 3, 4), got {found.shape}")
    if not np.isfinite(found).all():
        raise NonFiniteError("projection matrices must be finite, got NaN or infinity")
    if sdd is not None and not (np.isfinite(sdd) and sdd > 0):
        raise ArgumentError(f"sdd must be a positive length, got {sdd!r}")
    # The last row becomes a unit vector: w is then a length.
    found = found / np.maximum(np.linalg.norm(found[:, 2:, :3], axis=2, keepdims=True), 1e-300)
    square, last = found[:, :, :3], found[:, :, 3:]
    rows = np.maximum(np.linalg.norm(square, axis=2, keepdims=True), 1e-300)
    if (np.abs(np.linalg.det(square / rows)) < 1e-12).any():
        raise ArgumentError(
            "a projection matrix has no source position: its left 3x3 part is singular"
        )
    inverse = np.linalg.inv(square)
    sources = -(inverse @ last)[..., 0]
    depth = last[:, 2, 0]  # of the origin, which lies before the source where w has this sign
    if (np.abs(depth) <= 1e-9 * np.linalg.norm(sources, axis=1)).any():
        raise ArgumentError(
            "in some view the origin lies beside the source, parallel to the detector: nothing tells on "
            "which side the detector is"
        )
    distance = (2 * depth if sdd is None else np.sign(depth) * sdd)[:, None]
    v, u = ((n - 1) / 2 for n in shape)
    centres = sources + distance * (inverse @ np.array([u, v, 1.0]))
    return Frames(sources, centres, distance * inverse[..., 0], distance * inverse[..., 1]), shape


def matrices_of_frames(frames: Frames, detector: tuple[int, ...]) -> FloatArray:
    """The projection matrix of every view; see `ConeBeam.to_matrices`."""
    if frames.arc_centres is not None or frames.v_steps is None or frames.parallel:
        raise NotSupportedError("projection matrices describe cone beams with a flat detector")
    v, u = ((n - 1) / 2 for n in detector)
    first = frames.centres - u * frames.u_steps - v * frames.v_steps
    square = np.linalg.inv(
        np.stack([frames.u_steps, frames.v_steps, first - frames.origins], axis=-1)
    )
    square /= np.linalg.norm(square[:, 2:], axis=2, keepdims=True)
    last = -square @ frames.origins[:, :, None]
    matrices: FloatArray = np.concatenate([square, last], axis=2)
    return matrices
