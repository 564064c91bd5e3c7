"""ASTRA's dictionaries for projection and volume geometries."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.frames import Frames

__all__ = ["projection_dictionary", "volume_dictionary"]


def projection_dictionary(frames: Frames, detector: tuple[int, ...]) -> dict[str, Any]:
    """What ``astra.create_proj_geom`` returns for the vectors of a geometry.

    A cylinder of ASTRA has a radius, and bends towards the source (``getCylConeAxes`` in its sources).
    """
    parts = [frames.origins, frames.centres, frames.u_steps]
    if frames.arc_centres is not None:
        if frames.v_steps is None:
            raise NotSupportedError("a curved detector of one row has no counterpart in ASTRA")
        arms = frames.centres - frames.arc_centres
        if ((frames.origins - frames.centres) * arms).sum(axis=1).max() > 0:
            raise NotSupportedError("ASTRA's curved detectors bend towards the source")
        radii = np.linalg.norm(arms, axis=1, keepdims=True)
        return {
            "type": "cyl_cone_vec",
            "DetectorRowCount": detector[0],
            "DetectorColCount": detector[1],
            "Vectors": np.concatenate([*parts, frames.v_steps, radii], axis=1),
        }
    if frames.v_steps is None:
        kind = "parallel_vec" if frames.parallel else "fanflat_vec"
        return {
            "type": kind,
            "DetectorCount": detector[0],
            "Vectors": np.concatenate(parts, axis=1),
        }
    return {
        "type": "parallel3d_vec" if frames.parallel else "cone_vec",
        "DetectorRowCount": detector[0],
        "DetectorColCount": detector[1],
        "Vectors": np.concatenate([*parts, frames.v_steps], axis=1),
    }


def volume_dictionary(grid: Grid, ndim: int) -> dict[str, Any]:
    """What ``astra.create_vol_geom`` returns for a grid."""
    if not isinstance(grid, Grid) or grid.ndim != ndim:
        raise ArgumentError(f"a {ndim}D geometry needs a {ndim}D Grid, got {grid!r:.60}")
    names = ("Slice", "Row", "Col")[-ndim:]
    found: dict[str, Any] = {
        f"Grid{name}Count": n for name, n in zip(names, grid.shape, strict=True)
    }
    edges = zip("ZYX"[-ndim:], grid.origin, grid.extent, strict=True)
    found["option"] = {}
    for axis, middle, length in edges:
        found["option"][f"WindowMin{axis}"] = middle - length / 2
        found["option"][f"WindowMax{axis}"] = middle + length / 2
    return found
