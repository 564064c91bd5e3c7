"""Pictures of scans as SVG text, which needs no other package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.drawing import Line, Scene
from opalg.tomo.frames import FloatArray

__all__ = ["Svg", "as_svg"]

_AXES = (("x", (1.0, 0.0, 0.0)), ("y", (0.0, 1.0, 0.0)), ("z", (0.0, 0.0, 1.0)))


class Svg(str):
    """SVG text, which notebooks display as the picture that it is."""

    def _repr_svg_(self) -> str:
        return str(self)


def as_svg(
    shown: Scene,
    title: str,
    azimuth: float,
    elevation: float,
    size: int,
    seconds: float,
) -> Svg:
    """A scene seen from far away (orthographic); see `Geometry.to_svg`.

    Raises
    ------
    ArgumentError
        If a number makes no sense.
    """
    if not all(map(math.isfinite, (azimuth, elevation))) or not size >= 1 or not seconds >= 0:
        raise ArgumentError(
            "a picture needs finite angles, a positive size and seconds that are not negative, got "
            f"azimuth={azimuth!r}, elevation={elevation!r}, size={size!r}, seconds={seconds!r}"
        )
    ndim = shown.fixed[0].points.shape[1]
    screen = np.eye(2) if ndim == 2 else _camera(azimuth, elevation)
    lines = [*shown.fixed, *(line for view in shown.views for line in view)]
    places = np.concatenate([line.points for line in lines]) @ screen.T
    low, high = places.min(axis=0), places.max(axis=0)
    scale = 0.86 * size / max(float((high - low).max()), 1e-300)
    offset = size / 2 - scale * (low + high) / 2 * (1, -1)

    def group(lines: Sequence[Line], opacity: float, animation: str = "") -> str:
        parts = "".join(
            _element(line, line.points @ screen.T * (scale, -scale) + offset) for line in lines
        )
        return f'<g opacity="{opacity:g}">{animation}{parts}</g>'

    body = [group(shown.fixed, 1.0)]
    count = len(shown.views)
    for number, view in enumerate(shown.views):
        if seconds and count > 1:
            body.append(group(view, float(number == 0), _turns(number, count, seconds)))
        else:  # rays of the first view only: those of all would hide the rest
            body.append(group(view if number == 0 else view[:2], 1.0 if number == 0 else 0.3))
    for (name, axis), _ in zip(_AXES, range(ndim), strict=False):
        along = np.array(axis[:ndim]) @ screen.T * (1, -1) * 0.05 * size
        body.append(_arrow(name, np.array([0.08, 0.92]) * size, along))
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" '
        f'height="{size}" stroke-linejoin="round" font-family="sans-serif" font-size="12">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _camera(azimuth: float, elevation: float) -> FloatArray:
    """Rows: what points to the right and upwards on the screen."""
    ca, sa, ce, se = (f(a) for a in (azimuth, elevation) for f in (math.cos, math.sin))
    return np.array([[-sa, ca, 0.0], [-se * ca, -se * sa, ce]])


def _element(line: Line, points: FloatArray) -> str:
    if len(points) == 1:
        (x, y), radius = points[0], line.width
        return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:g}" fill="{line.colour}"/>'
    places = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return (
        f'<polyline points="{places}" fill="none" stroke="{line.colour}" '
        f'stroke-width="{line.width:g}"/>'
    )


def _turns(number: int, count: int, seconds: float) -> str:
    """Visible in its turn only."""
    values = ";".join(str(int(number == k)) for k in range(count))
    return (
        f'<animate attributeName="opacity" values="{values}" calcMode="discrete" dur="{seconds:g}s" '
        'repeatCount="indefinite"/>'
    )


def _arrow(name: str, start: FloatArray, along: FloatArray) -> str:
    x, y = start + along
    label = start + 1.4 * along
    return (
        f'<path d="M{start[0]:.2f} {start[1]:.2f}L{x:.2f} {y:.2f}" stroke="#555"/>'
        f'<text x="{label[0]:.2f}" y="{label[1]:.2f}" fill="#555" text-anchor="middle" '
        f'dominant-baseline="middle">{name}</text>'
    )
