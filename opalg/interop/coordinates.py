"""Positions of the entries of arrays, as packages with labelled axes keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.spaces import Grid, Space

__all__ = ["labels_of", "space_of"]

_UNIFORM = 1e-4  # of a step: coordinates in single precision are uniform to this


def labels_of(space: Space, coordinates: Any) -> dict[str, np.ndarray[Any, Any] | None]:
    """Name of each axis of a space, with the positions of its entries where they are known.

    ``coordinates`` is a mapping from names of axes to positions, a geometry, or None.
    """
    names = space.axes or tuple(f"axis{i}" for i in range(space.ndim))
    found: dict[str, Any] = dict.fromkeys(names)
    if isinstance(space, Grid):
        found.update(zip(names, space.coordinates, strict=True))
    if coordinates is None:
        return found
    known = coordinates if isinstance(coordinates, Mapping) else _of_geometry(coordinates)
    for name, extent in zip(names, space.shape, strict=True):
        if name in known:
            values = np.asarray(known[name])
            if values.shape != (extent,):
                raise ArgumentError(
                    f"axis {name!r} has {extent} entries, got coordinates of shape {values.shape}"
                )
            found[name] = values
    unknown = set(known) - set(names)
    if unknown:
        raise ArgumentError(f"{space} has the axes {names}, got coordinates for {sorted(unknown)}")
    return found


def _of_geometry(geometry: Any) -> dict[str, Any]:
    try:
        found = dict(zip(geometry.detector_axes, geometry.detector_coordinates, strict=True))
        return {"view": geometry.angles, **found}
    except AttributeError:
        raise ArgumentError(
            "coordinates are a mapping from names of axes to positions, or a geometry, got "
            f"{type(geometry).__name__}"
        ) from None


def space_of(
    values: np.ndarray[Any, Any], names: Sequence[str], positions: Sequence[Any]
) -> tuple[np.ndarray[Any, Any], Space]:
    """The values and the space that belongs to labelled axes: a `Grid` where all positions are uniform.

    Names and positions are those of the last axes, those in front are batch axes. Axes whose positions fall
    are turned round. Axes of one entry have spacing 1.
    """
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    names = tuple(str(name) for name in names)
    shape = values.shape[values.ndim - len(names) :]
    found = [_step(points) for points in positions]
    steps = [step for step in found if step is not None]
    if len(steps) < len(found):
        return values, Space(shape, values.dtype.name, names)
    falling = [axis - len(names) for axis, step in enumerate(steps) if step < 0]
    values = np.ascontiguousarray(np.flip(values, tuple(falling)))
    centres = [(float(points[0]) + float(points[-1])) / 2 for points in positions]
    return values, Grid(shape, [abs(step) for step in steps], values.dtype.name, centres, names)


def _step(points: Any) -> float | None:
    """The distance of neighbours if it is the same everywhere, else None."""
    points = None if points is None else np.asarray(points)
    if points is None or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
        return None
    if len(points) == 1:
        return 1.0
    step = float(points[-1] - points[0]) / (len(points) - 1)
    uniform = points[0] + step * np.arange(len(points))
    return step if step and abs(points - uniform).max() <= _UNIFORM * abs(step) else None
