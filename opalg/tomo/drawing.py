"""Pictures of scans: sources, detectors and the volume."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.spaces import Grid
from opalg.tomo.frames import FloatArray, Frames

__all__ = ["draw"]

_SOURCE, _DETECTOR, _VOLUME = "#d1495b", "#2e6f95", "#6a994e"


def draw(
    frames: Frames, detector: tuple[int, ...], grid: Grid | None, views: int, title: str
) -> Any:
    """A figure; see `Geometry.show`."""
    if grid is not None and grid.ndim != frames.ndim:
        raise ArgumentError(f"a {grid.ndim}D grid does not fit a {frames.ndim}D geometry")
    if not isinstance(views, (int, np.integer)) or views < 1:
        raise ArgumentError(f"views must be a positive number, got {views!r}")
    from opalg.plotting.images import _figure_class  # Matplotlib is optional, and heavy

    figure = _figure_class()(figsize=(6.5, 6.0), layout="constrained")
    projection = {"projection": "3d"} if frames.ndim == 3 else {}
    axes = figure.add_subplot(**projection)
    box = _edges(*_extent(grid)) if grid is not None else _edges(*_seen(frames, detector))
    for edge in box:
        axes.plot(*edge.T, color=_VOLUME, linewidth=1.2)
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(views, len(frames))).round().astype(int))
    reach = max(float(np.abs(edge).max()) for edge in box)
    for number, view in enumerate(chosen):
        _draw_view(axes, frames, detector, int(view), reach, strong=number == 0)
    if not frames.parallel:
        axes.plot(*frames.origins.T, ".", color=_SOURCE, markersize=3)
    axes.set_title(title, fontsize=10)
    for name in "xyz"[: frames.ndim]:
        getattr(axes, f"set_{name}label")(name)
    axes.set_aspect("equal")
    return figure


def _draw_view(
    axes: Any, frames: Frames, detector: tuple[int, ...], view: int, reach: float, strong: bool
) -> None:
    """The outline of the detector and the rays to its corners."""
    part = frames.take(slice(view, view + 1))
    pixels = part.pixels(detector)[0]
    if frames.parallel:  # whose detector has no place along the rays: it is drawn behind the volume
        ray = frames.origins[view] / np.linalg.norm(frames.origins[view])
        middle = (frames.centres[view] * ray).sum()
        pixels = pixels + (max(2 * reach, middle) - middle) * ray
        origins = pixels - 4 * reach * ray
    else:
        origins = np.broadcast_to(frames.origins[view], pixels.shape)
    if frames.ndim == 2:
        outline, corners = pixels, pixels[[0, -1]]
        starts = origins[[0, -1]]
    else:
        outline = np.concatenate([pixels[0], pixels[:, -1], pixels[-1, ::-1], pixels[::-1, 0]])
        corners, starts = (
            a[:: len(a) - 1 or 1, :: a.shape[1] - 1 or 1].reshape(-1, 3) for a in (pixels, origins)
        )
    alpha = 1.0 if strong else 0.3
    axes.plot(*outline.T, color=_DETECTOR, linewidth=1.5, alpha=alpha)
    first = pixels[(0,) * len(detector)]
    axes.plot(*first[:, None], "o", color=_DETECTOR, markersize=4, alpha=alpha)  # pixel 0
    if strong:
        for start, corner in zip(starts, corners, strict=True):
            axes.plot(*np.stack([start, corner]).T, color=_SOURCE, linewidth=0.8)


def _extent(grid: Grid) -> tuple[FloatArray, FloatArray]:
    centre, half = np.array(grid.origin[::-1]), np.array(grid.extent[::-1]) / 2
    return centre - half, centre + half


def _seen(frames: Frames, detector: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """A box about the origin as large as the first detector appears there."""
    pixels = frames.pixels(detector, slice(0, 1)).reshape(-1, frames.ndim)
    size = np.ptp(pixels, axis=0).max() / 2
    if not frames.parallel:
        source = frames.origins[0]
        size *= np.linalg.norm(source) / np.linalg.norm(frames.centres[0] - source)
    half = np.full(frames.ndim, max(float(size), 1e-9))
    return -half / np.sqrt(2), half / np.sqrt(2)


def _edges(low: FloatArray, high: FloatArray) -> list[FloatArray]:
    corners = [np.array(c) for c in itertools.product(*zip(low, high, strict=True))]
    pairs = itertools.combinations(corners, 2)
    return [np.stack(pair) for pair in pairs if np.count_nonzero(pair[0] != pair[1]) == 1]
