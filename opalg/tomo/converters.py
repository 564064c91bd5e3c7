"""Geometries from and to the parameters of other packages.

None of the packages is imported: what goes out are their parameters as plain arrays, numbers and
dictionaries, what comes in likewise (or an object of theirs, which is asked for its attributes). Positions
mean the same on both sides; where a package orders array axes otherwise the function says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo.cone import ConeBeam
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.fan import FanBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam

__all__ = [
    "from_astra",
    "from_leap",
    "from_odl",
    "from_pyronn",
    "from_tigre",
    "from_tomosipo",
    "to_leap",
    "to_tigre",
    "to_tomosipo",
]


# ASTRA: `Geometry.to_astra` is the other way


def from_astra(projections: Mapping[str, Any]) -> Any:
    """The geometry of an ASTRA projection geometry.

    Parameters
    ----------
    projections : dict
        Of ``astra.create_proj_geom``: "parallel", "fanflat", "parallel3d", "cone" and their "_vec" forms.

    Returns
    -------
    ParallelBeam, FanBeam or ConeBeam
        Given by vectors.

    Notes
    -----
    Rows of a 2D image run downwards in ASTRA: hand over ``x[::-1]``. 3D projections are ordered (v, view, u).

    Raises
    ------
    NotSupportedError
        For other kinds.

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
    if kind in ("fanflat_vec", "parallel_vec"):
        a, b, c = np.split(np.asarray(projections["Vectors"], float), 3, axis=1)
        columns = int(projections["DetectorCount"])
        if kind == "fanflat_vec":
            return FanBeam.from_vectors(a, b, c, columns)
        return ParallelBeam.from_vectors(a, b, None, c, columns)
    if kind in ("cone_vec", "parallel3d_vec"):
        a, b, u, v = np.split(np.asarray(projections["Vectors"], float), 4, axis=1)
        shape = int(projections["DetectorRowCount"]), int(projections["DetectorColCount"])
        beam = ConeBeam if kind == "cone_vec" else ParallelBeam
        return beam.from_vectors(a, b, v, u, shape)
    if kind not in ("parallel", "fanflat", "parallel3d", "cone"):
        raise NotSupportedError(f"ASTRA's geometry {kind!r} has no counterpart here")
    common: dict[str, Any] = {"angles": np.array(projections["ProjectionAngles"], float)}
    if kind in ("parallel3d", "cone"):
        common["detector"] = (projections["DetectorRowCount"], projections["DetectorColCount"])
        common["pitch"] = (projections["DetectorSpacingY"], projections["DetectorSpacingX"])
    else:
        common["detector"] = projections["DetectorCount"]
        common["pitch"] = projections["DetectorWidth"]
    if kind.startswith("parallel"):
        return ParallelBeam(**common)
    sod = float(projections["DistanceOriginSource"])
    beyond = float(projections["DistanceOriginDetector"])
    if beyond <= 0:  # a virtual detector on the axis: the same rays end farther away
        factor = 2 * sod / (sod + beyond)
        common["pitch"] = tuple(np.atleast_1d(common["pitch"]) * factor)
        common["pitch"] = common["pitch"] if kind == "cone" else common["pitch"][0]
        beyond = sod
    regular = FanBeam if kind == "fanflat" else ConeBeam
    return regular(**common, sod=sod, sdd=sod + beyond)


# tomosipo


def to_tomosipo(geometry: Geometry) -> dict[str, Any]:
    """Arguments of ``tomosipo.cone_vec``, or of ``parallel_vec``; all vectors (z, y, x).

    A 2D geometry becomes one of a single row at z = 0 of height 1. Projections are ordered (v, view, u).

    Examples
    --------
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam([0.0], (4, 5), 1.0, 100.0, 150.0)
    >>> arguments = tomo.converters.to_tomosipo(cone)
    >>> sorted(arguments), arguments["det_pos"].tolist()
    (['det_pos', 'det_u', 'det_v', 'shape', 'src_pos'], [[0.0, 50.0, 0.0]])
    """
    frames = _flat(geometry, "tomosipo")
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
    """
    if isinstance(geometry, Mapping):
        values = dict(geometry)
        cone = "src_pos" in values
    else:
        cone = type(geometry).__name__.startswith("Cone")
        names = ("det_pos", "det_v", "det_u", "src_pos" if cone else "ray_dir")
        values = {"shape": geometry.det_shape} | {name: getattr(geometry, name) for name in names}
    vectors = {
        name: np.asarray(value, float)[..., ::-1]
        for name, value in values.items()
        if name != "shape"
    }
    origins = vectors["src_pos" if cone else "ray_dir"]
    beam = ConeBeam if cone else ParallelBeam
    shape = tuple(int(n) for n in np.broadcast_to(values["shape"], (2,)))
    return beam.from_vectors(origins, vectors["det_pos"], vectors["det_v"], vectors["det_u"], shape)


# LEAP


def to_leap(geometry: Geometry) -> dict[str, Any]:
    """Arguments of LEAP's ``set_modularbeam``, which takes any cone beam with a flat detector.

    Examples
    --------
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam([0.0], (4, 5), (2.0, 1.0), 100.0, 150.0)
    >>> tomo.converters.to_leap(cone)["pixelHeight"]
    2.0
    """
    if not isinstance(geometry, ConeBeam):
        raise NotSupportedError(f"LEAP's modular beam is a cone, got a {type(geometry).__name__}")
    sources, centres, u, v = _flat(geometry, "LEAP")
    height, width = (np.linalg.norm(steps, axis=1) for steps in (v, u))
    if np.ptp(height) > 1e-9 * height[0] or np.ptp(width) > 1e-9 * width[0]:
        raise NotSupportedError("LEAP takes pixels of one size in all views")
    rows, columns = geometry.detector_shape
    return {
        "numAngles": geometry.num_views,
        "numRows": rows,
        "numCols": columns,
        "pixelHeight": float(height[0]),
        "pixelWidth": float(width[0]),
        "sourcePositions_in": sources.copy(),
        "moduleCenters_in": centres.copy(),
        "rowVectors_in": v / height[:, None],
        "colVectors_in": u / width[:, None],
    }


def from_leap(parameters: Mapping[str, Any]) -> ConeBeam:
    """The geometry of the arguments of LEAP's ``set_modularbeam`` or ``set_conebeam``, by name.

    Angles are degrees there; ``centerRow`` and ``centerCol`` the pixel indices that face source and axis.
    """
    p = dict(parameters)
    shape = (int(p["numRows"]), int(p["numCols"]))
    pitch = (float(p["pixelHeight"]), float(p["pixelWidth"]))
    if "sourcePositions_in" in p:
        rows, columns = (np.asarray(p[f"{n}Vectors_in"], float) for n in ("row", "col"))
        return ConeBeam.from_vectors(
            p["sourcePositions_in"],
            p["moduleCenters_in"],
            pitch[0] * rows,
            pitch[1] * columns,
            shape,
        )
    middle = [(n - 1) / 2 for n in shape]
    offset = tuple(
        (m - float(p.get(name, m))) * step
        for m, name, step in zip(middle, ("centerRow", "centerCol"), pitch, strict=True)
    )
    angles = np.deg2rad(np.asarray(p["phis"], float))
    return ConeBeam(angles, shape, pitch, float(p["sod"]), float(p["sdd"]), offset=offset)


# TIGRE


def to_tigre(geometry: ConeBeam) -> dict[str, Any]:
    """The attributes of a TIGRE cone geometry that tell where rays run, and ``angles``.

    Examples
    --------
    >>> import math
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam([math.pi / 2], (4, 5), 1.0, 100.0, 150.0)
    >>> tomo.converters.to_tigre(cone)["angles"].tolist()
    [0.0]
    """
    if not isinstance(geometry, ConeBeam) or not geometry.regular or geometry.curved:
        raise NotSupportedError("TIGRE's geometry is a regular cone beam with a flat detector")
    return {
        "DSO": geometry.sod,
        "DSD": geometry.sdd,
        "nDetector": np.array(geometry.detector_shape),
        "dDetector": np.array(geometry.pitch),
        "offDetector": np.array(geometry.offset),
        "angles": geometry.angles - np.pi / 2,  # its source starts at +x
    }


def from_tigre(parameters: Any, angles: Any = None) -> ConeBeam:
    """The geometry of a TIGRE cone geometry, an object or a dictionary of its attributes.

    Parameters
    ----------
    parameters : object or mapping
        With DSO, DSD, nDetector, dDetector and offDetector, lengths in one unit.
    angles : array, shape (views,), optional
        Radians, about z; by default ``parameters["angles"]``.
    """
    p = parameters if isinstance(parameters, Mapping) else vars(parameters)
    views = np.asarray(p["angles"] if angles is None else angles, float)
    return ConeBeam(
        views + np.pi / 2,
        tuple(int(n) for n in p["nDetector"]),
        tuple(float(d) for d in p["dDetector"]),
        float(p["DSO"]),
        float(p["DSD"]),
        offset=tuple(float(o) for o in np.broadcast_to(p.get("offDetector", 0.0), (2,))),
    )


# ODL


def from_odl(geometry: Any) -> Any:
    """The geometry of an ODL tomography geometry with a flat detector, 2D or 3D; asked view by view.

    Arrays are ordered (x, y, z) and (angle, u, v) there.
    """
    motion = np.atleast_1d(np.asarray(geometry.angles, float))
    axes = [np.asarray(v, float) for v in geometry.det_partition.coord_vectors]
    steps = geometry.det_partition.cell_sides
    middle = np.array([a.mean() for a in axes])

    def places(shift: FloatArray) -> FloatArray:
        at = middle + shift
        where = at if len(axes) == 2 else float(at[0])
        return np.array([geometry.det_point_position(a, where) for a in motion], float)

    centres = places(0 * middle)
    unit = np.diag(np.asarray(steps, float))
    u = places(unit[0]) - centres
    v = places(unit[1]) - centres if len(axes) == 2 else None
    detector = tuple(len(a) for a in axes[::-1])
    if hasattr(geometry, "src_position"):
        sources = np.array([geometry.src_position(a) for a in motion], float)
        if v is None:
            return FanBeam.from_vectors(sources, centres, u, detector)
        return ConeBeam.from_vectors(sources, centres, v, u, detector)
    # From the detector towards the source there; rays run the other way.
    facing = middle if len(axes) == 2 else float(middle[0])
    rays = -np.array([geometry.det_to_src(a, facing) for a in motion], float)
    return ParallelBeam.from_vectors(rays, centres, v, u, detector)


# PYRO-NN


def from_pyronn(kind: str, parameters: Mapping[str, Any]) -> Any:
    """The geometry of PYRO-NN's circular trajectories.

    Parameters
    ----------
    kind : {"parallel_2d", "fan_2d", "cone_3d"}
    parameters : mapping
        ``detector_shape``, ``detector_spacing`` (v, u), ``number_of_projections``, ``angular_range`` (end,
        or start and end, in radians), ``source_isocenter_distance`` and ``source_detector_distance``.

    Notes
    -----
    2D: the first ray runs along +x, u along +y, counter-clockwise. Cone: the source starts at +x and runs
    *clockwise*, u and v are reversed. For other cones use ``ConeBeam.from_matrices(matrices, detector)``.
    """
    p = dict(parameters)
    start, end = (
        np.broadcast_to(p["angular_range"], 2)
        if np.ndim(p["angular_range"])
        else (0.0, p["angular_range"])
    )
    count = int(p["number_of_projections"])
    theta = start + np.arange(count) * (float(end - start) / count)
    shape = np.atleast_1d(p["detector_shape"])
    pitch = np.broadcast_to(np.asarray(p["detector_spacing"], float), shape.shape)
    if kind == "parallel_2d":
        regular: Any = ParallelBeam(theta - np.pi / 2, int(shape[-1]), float(pitch[-1]))
        return _reversed(regular)
    distances: dict[str, Any] = {
        "sod": float(p["source_isocenter_distance"]),
        "sdd": float(p["source_detector_distance"]),
    }
    if kind == "fan_2d":
        return _reversed(FanBeam(theta - np.pi / 2, int(shape[-1]), float(pitch[-1]), **distances))
    if kind == "cone_3d":
        detector = tuple(int(n) for n in shape)
        return _reversed(ConeBeam(np.pi / 2 - theta, detector, tuple(pitch.tolist()), **distances))
    raise ArgumentError(f"kind must be parallel_2d, fan_2d or cone_3d, got {kind!r}")


def _reversed(geometry: Any) -> Any:
    """The detector with its columns, and rows if it has some, in reverse order."""
    frames = geometry.frames
    v = None if frames.v_steps is None else -frames.v_steps
    turned = replace(frames, u_steps=-frames.u_steps, v_steps=v)
    return geometry._of_frames(turned, geometry.detector_shape)


def _flat(
    geometry: Geometry, package: str
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Origins, centres, u and v steps in space; a row of a 2D geometry has height 1."""
    frames = geometry.frames
    if isinstance(geometry, DivergentBeam) and geometry.curved:
        raise NotSupportedError(f"a curved detector has no counterpart in {package}'s vector form")

    def in_space(vectors: FloatArray) -> FloatArray:
        return np.pad(vectors, ((0, 0), (0, 3 - frames.ndim)))

    v = frames.v_steps
    if v is None:
        v = np.tile([0.0, 0.0, 1.0], (len(frames), 1))
    return in_space(frames.origins), in_space(frames.centres), in_space(frames.u_steps), v
