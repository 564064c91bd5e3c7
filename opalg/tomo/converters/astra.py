"""From ASTRA; `Geometry.to_astra` is the other way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.converters.lines import of_lines, regular_of_lines
from opalg.tomo.converters.parameters import array, named, number, turned_back, whole
from opalg.tomo.fan import FanBeam
from opalg.tomo.frames import FloatArray, units
from opalg.tomo.parallel import ParallelBeam

__all__ = ["from_astra", "grid_from_astra"]

_ROWS = ("DetectorRowCount", "DetectorColCount")
_SPACINGS = ("DetectorSpacingY", "DetectorSpacingX")
_DISTANCES = ("DistanceOriginSource", "DistanceOriginDetector")
_NAMES: dict[str, tuple[str, ...]] = {
    "parallel": ("DetectorCount", "DetectorWidth", "ProjectionAngles"),
    "fanflat": ("DetectorCount", "DetectorWidth", "ProjectionAngles", *_DISTANCES),
    "parallel3d": (*_ROWS, *_SPACINGS, "ProjectionAngles"),
    "cone": (*_ROWS, *_SPACINGS, "ProjectionAngles", *_DISTANCES),
    "parallel_vec": ("DetectorCount", "Vectors"),
    "fanflat_vec": ("DetectorCount", "Vectors"),
    "parallel3d_vec": (*_ROWS, "Vectors"),
    "cone_vec": (*_ROWS, "Vectors"),
    "cyl_cone_vec": (*_ROWS, "Vectors"),
}


def from_astra(projections: Mapping[str, Any]) -> Any:
    """The geometry of an ASTRA projection geometry.

    Parameters
    ----------
    projections : dict
        Of ``astra.create_proj_geom``: "parallel", "fanflat", "parallel3d", "cone" and their "_vec" forms,
        and "cyl_cone_vec", a detector on a cylinder.

    Returns
    -------
    ParallelBeam, FanBeam or ConeBeam
        Regular for the first four, given by vectors for a "_vec" form.

    Raises
    ------
    ArgumentError
        If a name is missing, or one is there that the kind does not have.
    NotSupportedError
        For other kinds.

    Notes
    -----
    A detector on the axis, or near it, becomes one behind the object, on the same rays: see
    `opalg.tomo.converters`. Rows of a 2D image run downwards in ASTRA: hand over ``x[::-1]``. 3D projections
    are ordered (v, view, u).

    References
    ----------
    ASTRA Toolbox, "2D Geometries" and "3D Geometries", https://astra-toolbox.com/docs/geom3d.html.

    Examples
    --------
    >>> import numpy as np
    >>> from opalg import tomo
    >>> views = {
    ...     "type": "fanflat",
    ...     "DetectorWidth": 2.0,
    ...     "DetectorCount": 5,
    ...     "ProjectionAngles": np.array([0.0]),
    ...     "DistanceOriginSource": 100.0,
    ...     "DistanceOriginDetector": 50.0,
    ... }
    >>> tomo.converters.from_astra(views).is_close(tomo.FanBeam([0.0], 5, 2.0, 100.0, 150.0))
    True
    """
    kind = str(projections.get("type"))
    if kind not in _NAMES:
        raise NotSupportedError(f"ASTRA's geometry {kind!r} has no counterpart here")
    p = named(projections, f"ASTRA's geometry {kind!r}", ("type", *_NAMES[kind]))
    if kind in ("fanflat_vec", "parallel_vec"):
        a, b, c = np.split(_vectors(p, 6), 3, axis=1)
        columns = whole(p, "DetectorCount", 1)[0]
        if kind == "fanflat_vec":
            return of_lines(FanBeam.from_vectors(a, b, c, columns))
        return ParallelBeam.from_vectors(a, b, None, c, columns)
    if kind in ("cone_vec", "parallel3d_vec"):
        a, b, u, v = np.split(_vectors(p, 12), 4, axis=1)
        shape = whole(p, "DetectorRowCount", 1) + whole(p, "DetectorColCount", 1)
        if kind == "cone_vec":
            return of_lines(ConeBeam.from_vectors(a, b, v, u, shape))
        return ParallelBeam.from_vectors(a, b, v, u, shape)
    if kind == "cyl_cone_vec":
        return of_lines(_cylinder(_vectors(p, 13), [whole(p, name, 1)[0] for name in _ROWS]))
    common: dict[str, Any] = {"angles": turned_back(array(p, "ProjectionAngles"))}
    if kind in ("parallel3d", "cone"):
        common["detector"] = (p["DetectorRowCount"], p["DetectorColCount"])
        common["pitch"] = (p["DetectorSpacingY"], p["DetectorSpacingX"])
    else:
        common["detector"] = p["DetectorCount"]
        common["pitch"] = p["DetectorWidth"]
    if kind.startswith("parallel"):
        return ParallelBeam(**common)
    sod = number(p, "DistanceOriginSource")
    beyond = number(p, "DistanceOriginDetector")
    if not sod + beyond > 0:
        raise ArgumentError(f"the detector must stand before the source, got {sod} and {beyond}")
    regular = FanBeam if kind == "fanflat" else ConeBeam
    return regular_of_lines(regular, **common, sod=sod, sdd=sod + beyond)


def _vectors(given: Mapping[str, Any], length: int) -> FloatArray:
    found = array(given, "Vectors")
    if found.ndim != 2 or found.shape[1] != length:
        raise ArgumentError(f"Vectors must have shape (views, {length}), got {found.shape}")
    return found


def _cylinder(vectors: FloatArray, shape: list[int]) -> ConeBeam:
    """A detector that bends towards the source; the last number of each view is its radius."""
    sources, centres, u, v = np.split(vectors[:, :12], 4, axis=1)
    normals = units(np.cross(u, v))
    normals = normals * np.where(((centres - sources) * normals).sum(axis=1) > 0, 1, -1)[:, None]
    return ConeBeam.from_vectors(sources, centres, v, u, shape, centres - vectors[:, 12:] * normals)


def grid_from_astra(volume: Mapping[str, Any], dtype: str = "float32") -> Grid:
    """The grid of an ASTRA volume geometry, 2D or 3D.

    Parameters
    ----------
    volume : dict
        Of ``astra.create_vol_geom``.
    dtype : {"float32", "float64"}

    Notes
    -----
    Row 0 of a 2D image lies at the largest y in ASTRA: hand over ``x[::-1]``.

    Raises
    ------
    ArgumentError
        If a name is missing or unknown.

    References
    ----------
    ASTRA Toolbox, "2D Geometries" and "3D Geometries", https://astra-toolbox.com/docs/geom3d.html.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> grid = oa.Grid((4, 6), 0.5, origin=(1.0, 2.0))
    >>> _, volume = tomo.ParallelBeam(3).to_astra(grid)
    >>> tomo.converters.grid_from_astra(volume) == grid
    True
    """
    p = named(
        volume, "ASTRA's volume", ("GridRowCount", "GridColCount", "option"), ["GridSliceCount"]
    )
    axes = "ZYX" if "GridSliceCount" in p else "YX"
    names = ("GridSliceCount", "GridRowCount", "GridColCount")[-len(axes) :]
    edges = [f"Window{end}{axis}" for axis in axes for end in ("Min", "Max")]
    window = named(p["option"], "the window of ASTRA's volume", edges)
    low, high = (
        np.array([number(window, f"Window{end}{axis}") for axis in axes]) for end in ("Min", "Max")
    )
    shape = tuple(whole(p, name, 1)[0] for name in names)
    return Grid(shape, ((high - low) / shape).tolist(), dtype, ((low + high) / 2).tolist())
