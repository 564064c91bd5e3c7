"""From and to tomosipo: vectors (z, y, x), at angle 0 as ASTRA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.converters.lines import of_lines
from opalg.tomo.converters.parameters import array, flat_vectors, named, numbers, whole
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam

__all__ = ["from_tomosipo", "grid_from_tomosipo", "to_tomosipo"]

_DETECTOR = ("shape", "det_pos", "det_v", "det_u")


def to_tomosipo(geometry: Geometry) -> dict[str, Any]:
    """Arguments of ``tomosipo.cone_vec``, or of ``parallel_vec``; all vectors (z, y, x).

    Parameters
    ----------
    geometry : Geometry
        Any with a flat detector. A 2D geometry becomes one of a single row at z = 0 of height 1.

    Returns
    -------
    dict
        ``shape``, and arrays of shape (views, 3): ``src_pos`` or ``ray_dir``, ``det_pos``, ``det_v`` and
        ``det_u``.

    Notes
    -----
    tomosipo orders projections (v, view, u).

    Raises
    ------
    NotSupportedError
        For a curved detector.

    References
    ----------
    A. Hendriksen et al., "Tomosipo: fast, flexible, and convenient 3D tomography for complex scanning
    geometries in Python", Optics Express 29 (2021) 40494.

    Examples
    --------
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam([0.0], (4, 5), 1.0, 100.0, 150.0)
    >>> arguments = tomo.converters.to_tomosipo(cone)
    >>> sorted(arguments), arguments["det_pos"].tolist()
    (['det_pos', 'det_u', 'det_v', 'shape', 'src_pos'], [[0.0, 50.0, 0.0]])
    """
    frames = flat_vectors(geometry, "tomosipo")
    first = "ray_dir" if geometry.frames.parallel else "src_pos"
    origins, centres, u, v = (a[:, ::-1].copy() for a in frames)
    shape = (1, *geometry.detector_shape)[-2:]
    return {"shape": shape, first: origins, "det_pos": centres, "det_v": v, "det_u": u}


def from_tomosipo(geometry: Any) -> ParallelBeam | ConeBeam:
    """The geometry of a tomosipo projection geometry, of any form, or of the arguments of a "_vec" form.

    Parameters
    ----------
    geometry : tomosipo geometry or dict
        With ``det_shape`` (of a dictionary "shape"), ``det_pos``, ``det_v``, ``det_u`` and ``src_pos`` or
        ``ray_dir``, in the order (z, y, x).

    Returns
    -------
    ParallelBeam or ConeBeam
        In 3D, given by vectors.

    Raises
    ------
    ArgumentError
        If names are missing or unknown, or both ``src_pos`` and ``ray_dir`` are given.

    References
    ----------
    A. Hendriksen et al., Optics Express 29 (2021) 40494.

    Examples
    --------
    >>> from opalg import tomo
    >>> beam = tomo.ParallelBeam([0.0, 0.5], (4, 5), 2.0)
    >>> arguments = tomo.converters.to_tomosipo(beam)
    >>> tomo.converters.from_tomosipo(arguments).is_close(beam)
    True
    """
    if isinstance(geometry, Mapping):
        values = named(geometry, "tomosipo's geometry", _DETECTOR, ("src_pos", "ray_dir"))
        cone = "src_pos" in values
        if cone == ("ray_dir" in values):
            raise ArgumentError("tomosipo's geometry has either src_pos (a cone) or ray_dir")
    else:
        cone = type(geometry).__name__.startswith("Cone")
        names = ("det_pos", "det_v", "det_u", "src_pos" if cone else "ray_dir")
        try:
            values = {"shape": geometry.det_shape} | {n: getattr(geometry, n) for n in names}
        except AttributeError as error:
            raise ArgumentError(f"not a projection geometry of tomosipo: {error}") from None
    vectors = {name: array(values, name)[..., ::-1] for name in values if name != "shape"}
    origins = vectors["src_pos" if cone else "ray_dir"]
    frame = (vectors["det_pos"], vectors["det_v"], vectors["det_u"], whole(values, "shape", 2))
    if cone:
        return of_lines(ConeBeam.from_vectors(origins, *frame))
    return ParallelBeam.from_vectors(origins, *frame)


def grid_from_tomosipo(volume: Any, dtype: str = "float32") -> Grid:
    """The grid of a tomosipo volume, or of the arguments of ``tomosipo.volume``.

    Parameters
    ----------
    volume : tomosipo volume or dict
        With ``shape`` and, as there, ``pos`` and ``size`` or ``extent``; in the order (z, y, x).
    dtype : {"float32", "float64"}

    Raises
    ------
    ArgumentError
        If names are missing or unknown, or ``extent`` is given beside ``pos`` or ``size``.
    NotSupportedError
        For a ``volume_vec``, which may move and turn: move the geometry instead.

    References
    ----------
    A. Hendriksen et al., Optics Express 29 (2021) 40494.

    Examples
    --------
    >>> from opalg import tomo
    >>> grid = tomo.converters.grid_from_tomosipo({"shape": (2, 4, 4), "size": (1.0, 2.0, 2.0)})
    >>> grid.spacing, grid.origin
    ((0.5, 0.5, 0.5), (0.0, 0.0, 0.0))
    """
    if isinstance(volume, Mapping):
        p = named(volume, "tomosipo's volume", ["shape"], ("pos", "size", "extent"))
    elif "Vector" in type(volume).__name__:
        raise NotSupportedError("tomosipo's volume_vec may turn: move the geometry by the inverse")
    else:
        p = {"shape": volume.shape, "pos": np.reshape(volume.pos, 3), "size": volume.size}
    shape = whole(p, "shape", 3)
    if "extent" in p:
        if "pos" in p or "size" in p:
            raise ArgumentError("tomosipo's volume takes either extent, or pos and size")
        low, high = numbers(p, "extent", (3, 2)).T
        p = {"pos": (low + high) / 2, "size": high - low}
    size = numbers({"size": shape} | p, "size", (3,))
    origin = numbers(p, "pos", (3,))
    return Grid(shape, (size / shape).tolist(), dtype, origin.tolist())
