"""Pictures of scans: what of sources, detectors and the volume is drawn, and by Matplotlib."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from opalg.errors import ArgumentError
from opalg.spaces import Grid
from opalg.tomo.frames import FloatArray, Frames

__all__ = ["Line", "Scene", "draw", "scene"]

SOURCE, DETECTOR, VOLUME = "#d1495b", "#2e6f95", "#6a994e"


class Line(NamedTuple):
    """Points (x, y) or (x, y, z) that are joined; a single one is a dot."""

    points: FloatArray
    colour: str
    width: float


class Scene(NamedTuple):
    """What is drawn."""

    fixed: list[Line]
    """The volume, and all positions of the source."""
    views: list[list[Line]]
    """Of the chosen views the outline of the detector, its pixel 0, then the rays to its corners."""


def scene(frames: Frames, detector: tuple[int, ...], grid: Grid | None, views: int) -> Scene:
    """Lines in space; without a grid the volume is a box that the first view sees, roughly.

    Raises
    ------
    ArgumentError
        If the grid is of another dimension, or no view is to be drawn.
    """
    if grid is not None and grid.ndim != frames.ndim:
        raise ArgumentError(f"a {grid.ndim}D grid does not fit a {frames.ndim}D geometry")
    if not isinstance(views, (int, np.integer)) or views < 1:
        raise ArgumentError(f"views must be a positive number, got {views!r}")
    box = _edges(*(_extent(grid) if grid is not None else _seen(frames, detector)))
    fixed = [Line(edge, VOLUME, 1.2) for edge in box]
    if not frames.parallel:
        fixed += [Line(origin[None], SOURCE, 1.5) for origin in frames.origins]
    reach = max(float(np.abs(edge).max()) for edge in box)
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(views, len(frames))).round().astype(int))
    return Scene(fixed, [_view(frames, detector, int(view), reach) for view in chosen])


def draw(
    frames: Frames, detector: tuple[int, ...], grid: Grid | None, views: int, title: str
) -> Any:
    """A figure of Matplotlib; see `Geometry.show`."""
    shown = scene(frames, detector, grid, views)
    from opalg.plotting.images import _figure_class  # Matplotlib is optional, and heavy

    figure = _figure_class()(figsize=(6.5, 6.0), layout="constrained")
    projection = {"projection": "3d"} if frames.ndim == 3 else {}
    axes = figure.add_subplot(**projection)
    _plot(axes, shown.fixed, 1.0)
    for number, lines in enumerate(shown.views):
        # Rays of the first view only: those of all would hide the rest.
        _plot(axes, lines if number == 0 else lines[:2], 1.0 if number == 0 else 0.3)
    axes.set_title(title, fontsize=10)
    for name in "xyz"[: frames.ndim]:
        getattr(axes, f"set_{name}label")(name)
    axes.set_aspect("equal")
    return figure


def _plot(axes: Any, lines: Sequence[Line], alpha: float) -> None:
    dots: dict[tuple[str, float], list[FloatArray]] = {}
    for line in lines:
        if len(line.points) == 1:
            dots.setdefault((line.colour, line.width), []).append(line.points)
        else:
            axes.plot(*line.points.T, color=line.colour, linewidth=line.width, alpha=alpha)
    for (colour, width), points in dots.items():
        axes.plot(*np.concatenate(points).T, "o", color=colour, markersize=2 * width, alpha=alpha)


def _view(frames: Frames, detector: tuple[int, ...], view: int, reach: float) -> list[Line]:
    """The outline of the detector, its pixel 0, and the rays to its corners."""
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
    first = pixels[(0,) * len(detector)]
    rays = [np.stack(ends) for ends in zip(starts, corners, strict=True)]
    if frames.arc_centres is None:  # straight: its corners say it all
        outline = _corners_of(outline, detector)
    return [
        Line(outline, DETECTOR, 1.5),
        Line(first[None], DETECTOR, 2.0),
        *(Line(ray, SOURCE, 0.8) for ray in rays),
    ]


def _corners_of(outline: FloatArray, detector: tuple[int, ...]) -> FloatArray:
    if len(detector) == 1:
        return outline[[0, -1]]
    v, u = detector
    return outline[[0, u - 1, u + v - 1, 2 * u + v - 1, 0]]


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
