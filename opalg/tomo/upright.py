"""Upright detectors in the place of those that are rolled or tilted against the axis of a scan.

Filtered back projection filters along detector rows, which have to be perpendicular to the axis. Where they
are not, the same rays meet another plane: the *upright* detector, whose columns are parallel to the axis and
which faces it, behind the same sources. It passes through the middle of the detector that is there.
"""

from __future__ import annotations

import numpy as np

from opalg.errors import NotSupportedError
from opalg.operators import LinearOperator
from opalg.tomo.circle import NEEDED, middle_of_circle
from opalg.tomo.frames import FloatArray, Frames
from opalg.tomo.geometry import Geometry
from opalg.tomo.matrices import matrices_of_frames
from opalg.tomo.parallel_scan import scan_of
from opalg.tomo.scan import check
from opalg.tomo.view_resampling import ViewResampling
from opalg.tomo.xray import XrayTransform

__all__ = ["upright_geometry", "upright_transform"]

_MOST = 8  # times as many pixels: beyond that a detector is all but parallel to its rays


def upright_transform(transform: XrayTransform) -> tuple[XrayTransform, list[LinearOperator]]:
    """The transform to upright detectors, and what leads to them: nothing, or a resampling.

    Raises
    ------
    NotSupportedError
        See `upright_geometry`.
    """
    geometry = transform.geometry
    upright = upright_geometry(geometry)
    if upright is geometry:
        return transform, []
    found = transform._along(upright)
    return found, [ViewResampling(transform.range, found.range, maps_between(geometry, upright))]


def upright_geometry(geometry: Geometry) -> Geometry:
    """The geometry itself if its detector is upright, as far as real ones are; else one whose detector is.

    Its pixels are as small as those of the detector appear on it anywhere, and it is as large as all of
    them in all views.

    Raises
    ------
    NotSupportedError
        If rays do not turn about one axis, a detector is curved, or no ray is perpendicular to the axis.
    """
    try:
        scan_of(geometry)
        return geometry
    except NotSupportedError:
        if geometry.regular or geometry.ndim == 2 or geometry.frames.arc_centres is not None:
            raise
    frames = geometry.frames
    axis, normals = (_about_rays if frames.parallel else _about_sources)(frames)
    steps = {"u_steps": np.cross(normals, axis), "v_steps": np.tile(axis, (len(frames), 1))}
    plane = frames._with(**steps)  # whose pixels are one unit of length wide
    corners = frames.corners(geometry.detector_shape).reshape(len(frames), -1, 3)
    places = _seen_at(matrices_of_frames(plane, (1, 1)), corners)
    if not frames.parallel:
        _check_plane_of_sources(places, (frames.centres - frames.origins) @ axis)
    sizes = _finest(_maps(geometry, plane, (1, 1)), places)
    low, high = places.min(axis=(0, 1)), places.max(axis=(0, 1))
    u, v = np.maximum(np.ceil((high - low) / sizes - 1e-6), 1).astype(int).tolist()
    if u * v > _MOST * np.prod(geometry.detector_shape):
        raise NotSupportedError(
            f"the detector is tilted so far against its rays that one which faces the axis and loses nothing "
            f"would have {v} x {u} pixels where it has {' x '.join(map(str, geometry.detector_shape))}. "
            "Solvers such as solvers.CGLS take any geometry"
        )
    middle = (low + high) / 2
    upright = plane.moved_in_plane(u=middle[0], v=middle[1]).binned(u=sizes[0], v=sizes[1])
    return geometry._of_frames(upright, (v, u))


def maps_between(geometry: Geometry, upright: Geometry) -> FloatArray:
    """See `ViewResampling`: from pixels of the upright detector to those of the other; one if all agree."""
    maps = _maps(geometry, upright.frames, upright.detector_shape)
    maps /= maps[:, 2:, 2:]
    # Up to what would move no pixel by a thousandth.
    pixel = np.array([*upright.detector_shape[::-1], 1.0])
    apart = np.abs(maps - maps[:1]) * pixel
    scale = np.array([1.0, 1.0, 1 / max(geometry.detector_shape)])[:, None]
    return maps[:1] if float((apart / scale).max()) < 1e-4 else maps


def _maps(geometry: Geometry, plane: Frames, detector: tuple[int, ...]) -> FloatArray:
    """From pixels (u, v, 1) of a plane to those of the detector, times any factor; shape (views, 3, 3)."""
    assert plane.v_steps is not None
    first = plane.centres - sum(
        (n - 1) / 2 * step
        for n, step in zip(detector[::-1], (plane.u_steps, plane.v_steps), strict=True)
    )
    points = np.stack([plane.u_steps, plane.v_steps, first], axis=-1)
    found = geometry.to_matrices()
    maps: FloatArray = found[:, :, :3] @ points
    maps[:, :, 2] += found[:, :, 3]
    return maps


def _about_sources(frames: Frames) -> tuple[FloatArray, FloatArray]:
    """The axis of the circle of the sources, and the directions from them to it."""
    away = frames.origins - frames.origins.mean(axis=0)
    axis = _upwards(np.linalg.svd(away)[2][2])
    to_axis = middle_of_circle(frames.origins, axis) - frames.origins
    heights = to_axis @ axis
    to_axis -= np.outer(heights, axis)
    sod = np.linalg.norm(to_axis, axis=1)
    check((heights - heights.mean()) / sod.mean(), "heights of the source", NEEDED)
    check(sod / sod.mean() - 1, "distances to the axis", NEEDED)
    return axis, to_axis / sod[:, None]


def _about_rays(frames: Frames) -> tuple[FloatArray, FloatArray]:
    """The axis that is perpendicular to parallel rays, and their directions."""
    rays = frames.origins / np.linalg.norm(frames.origins, axis=1, keepdims=True)
    _, sizes, directions = np.linalg.svd(rays)
    if len(rays) < 2 or sizes[1] < 1e-6 * sizes[0]:
        raise NotSupportedError("from views of one direction no rotation axis can be told")
    axis = _upwards(directions[2])
    normals = rays - np.outer(rays @ axis, axis)
    return axis, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _upwards(axis: FloatArray) -> FloatArray:
    """Of both directions the one along x, y or z."""
    return axis * np.sign(axis[np.argmax(np.abs(axis))])


def _seen_at(matrices: FloatArray, points: FloatArray) -> FloatArray:
    """Where points are seen, shape (views, points, 2)."""
    seen = np.einsum("vij,vpj->vpi", matrices[:, :, :3], points) + matrices[:, None, :, 3]
    if not (seen[..., 2] > 0).all():
        raise NotSupportedError(
            "a part of the detector is not in front of the source, as seen along the ray to the axis. "
            "Solvers such as solvers.CGLS take any geometry"
        )
    found: FloatArray = seen[..., :2] / seen[..., 2:]
    return found


def _check_plane_of_sources(places: FloatArray, middles: FloatArray) -> None:
    """Raise if a view has no rays in the plane of the circle."""
    heights = places[..., 1] + middles[:, None]
    aside = np.maximum(heights.min(axis=1), -heights.max(axis=1))
    if aside.max() > 0:
        raise NotSupportedError(
            "FDK is for scans that see the plane in which the sources run; here the detector ends "
            f"{aside.max():.4g} beside it, so that all rays cross it: this is laminography. What such rays "
            "do not measure is a cone of frequencies about the axis, without which no values are right. "
            "Solvers such as solvers.CGLS take any geometry"
        )


def _finest(maps: FloatArray, places: FloatArray) -> FloatArray:
    """Which steps along u and v, at any of the places, lead no further than one pixel of the detector."""
    points = np.concatenate([places, np.ones((*places.shape[:2], 1))], axis=2)
    seen = np.einsum("vij,vpj->vpi", maps, points)
    pixel, way = seen[..., :2, None] / seen[..., 2:, None], seen[..., 2:, None]
    # Of a map p / w the derivative is (dp - (p / w) dw) / w.
    change = (maps[:, None, :2, :2] - pixel * maps[:, None, 2:, :2]) / way
    sizes: FloatArray = 1 / np.linalg.norm(change, axis=2).max(axis=(0, 1))
    return sizes
