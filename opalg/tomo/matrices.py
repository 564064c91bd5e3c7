"""Projection matrices from and to sources, or directions of rays, and detector frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.tomo.frames import FloatArray, Frames
from opalg.tomo.indexing import as_detector

__all__ = ["frames_of_affine", "frames_of_matrices", "matrices_of_frames"]


def frames_of_matrices(
    matrices: Any, detector: Any, sdd: float | None
) -> tuple[Frames, tuple[int, ...]]:
    """Frames and shape of the detector; see `ConeBeam.from_matrices`."""
    if len(as_detector(detector)) != 2:
        raise ArgumentError(f"projection matrices of cones need detector=(v, u), got {detector!r}")
    found, shape = _checked(matrices, detector)
    if sdd is not None and not (np.isfinite(sdd) and sdd > 0):
        raise ArgumentError(f"sdd must be a positive length, got {sdd!r}")
    # The last row becomes a unit vector: w is then a length.
    found = found / _lengths(found[:, 2:, :3])
    square, last = found[:, :, :3], found[:, :, 3:]
    if (np.abs(np.linalg.det(square / _lengths(square))) < 1e-12).any():
        raise ArgumentError(
            "a projection matrix has no source position: its left 3x3 part is singular; those of parallel "
            "rays are taken by ParallelBeam.from_matrices"
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


def frames_of_affine(matrices: Any, detector: Any) -> tuple[Frames, tuple[int, ...]]:
    """Frames and shape of the detector; see `ParallelBeam.from_matrices`."""
    found, shape = _checked(matrices, detector)
    scale = found[:, -1, -1:]
    if found[:, -1, :-1].any() or not scale.all():
        raise ArgumentError(
            "a projection matrix of parallel rays has 0 in its last row but for the last number; those with "
            "a source are taken by ConeBeam.from_matrices"
        )
    found = found[:, :-1] / scale[..., None]
    rows, last = found[..., :-1], found[..., -1]
    units = rows / _lengths(rows)
    if len(shape) == 1:
        across = units[:, 0]
        rays = np.stack([-across[:, 1], across[:, 0]], axis=1)
    else:
        rays = np.cross(units[:, 1], units[:, 0])
    if (np.linalg.norm(rays, axis=1) < 1e-12).any():
        raise ArgumentError(
            "a projection matrix has no direction of rays: its rows of u and v are zero or parallel"
        )
    # In columns, perpendicular to the rays.
    steps = np.asarray(np.linalg.pinv(rows), float)
    middle = (np.array(shape[::-1]) - 1) / 2
    centres = np.einsum("vij,vj->vi", steps, middle - last)
    v_steps = steps[..., 1] if len(shape) == 2 else None
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return Frames(rays, centres, steps[..., 0], v_steps, parallel=True), shape


def matrices_of_frames(frames: Frames, detector: tuple[int, ...]) -> FloatArray:
    """The projection matrix of every view; see `Geometry.to_matrices`."""
    if frames.arc_centres is not None:
        raise NotSupportedError(
            "projection matrices describe a flat detector; on a curved one lines are no lines"
        )
    steps = [frames.u_steps] if frames.v_steps is None else [frames.u_steps, frames.v_steps]
    first = frames.centres - sum(
        (n - 1) / 2 * step for n, step in zip(detector[::-1], steps, strict=True)
    )
    # A point is a pixel (u, v) and the rest of its way along a ray, or w times the way of a pixel.
    ways = frames.origins if frames.parallel else first - frames.origins
    square = np.linalg.inv(np.stack([*steps, ways], axis=-1))
    if frames.parallel:
        square[:, -1] = 0.0
        last = -square @ first[:, :, None]
        last[:, -1] = 1.0
    else:
        square /= np.linalg.norm(square[:, -1:], axis=2, keepdims=True)
        last = -square @ frames.origins[:, :, None]
    matrices: FloatArray = np.concatenate([square, last], axis=2)
    return matrices


def _lengths(rows: FloatArray) -> FloatArray:
    """Of the rows of matrices, to divide by: 1 for a row of zeros."""
    found = np.linalg.norm(rows, axis=2, keepdims=True)
    return np.where(found > 0, found, 1.0)


def _checked(matrices: Any, detector: Any) -> tuple[FloatArray, tuple[int, ...]]:
    """Matrices as an array (views, ndim, ndim + 1), and the shape of the detector."""
    shape = as_detector(detector)
    wanted = (len(shape) + 1, len(shape) + 2)
    try:
        found = np.asarray(matrices, float)
    except (TypeError, ValueError):
        found = np.empty(0)
    found = found[None] if found.shape == wanted else found
    if found.ndim != 3 or found.shape[1:] != wanted or len(found) == 0:
        raise ArgumentError(
            f"projection matrices for detector={detector!r} must have shape (views, {wanted[0]}, "
            f"{wanted[1]}), got {found.shape}"
        )
    if not np.isfinite(found).all():
        raise NonFiniteError("projection matrices must be finite, got NaN or infinity")
    return found, shape
