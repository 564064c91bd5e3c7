"""From and to LEAP: degrees, the source of angle 0 at -y, rows rise with z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.converters.lines import of_lines, regular_of_lines
from opalg.tomo.converters.parameters import (
    ROUNDING,
    array,
    flat_vectors,
    named,
    number,
    regular_form,
    turned_back,
    whole,
)
from opalg.tomo.converters.turning import turning
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.fan import FanBeam
from opalg.tomo.frames import FloatArray, as_vectors
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.transforms import translate

__all__ = ["from_leap", "grid_from_leap", "to_leap"]

_DETECTOR = ("numAngles", "numRows", "numCols", "pixelHeight", "pixelWidth")
_CENTRE = ("centerRow", "centerCol")
_VECTORS = ("sourcePositions", "moduleCenters", "rowVectors", "colVectors")
_ONLY_CONE = ("helicalPitch", "tiltAngle", "pitchAngle")
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "conebeam": (("phis", "sod", "sdd"), (*_CENTRE, "tau", *_ONLY_CONE, "detectorType")),
    "fanbeam": (("phis", "sod", "sdd"), (*_CENTRE, "tau")),
    "parallelbeam": (("phis",), _CENTRE),
    "modularbeam": (_VECTORS, ()),
}


def from_leap(
    parameters: Mapping[str, Any], kind: str | None = None
) -> ConeBeam | FanBeam | ParallelBeam:
    """The geometry of the arguments of one of LEAP's setters, by name.

    Parameters
    ----------
    parameters : mapping
        Of ``set_conebeam``, ``set_fanbeam``, ``set_parallelbeam`` or ``set_modularbeam``; the names of the
        vectors may end in "_in". Angles are degrees, ``helicalPitch`` mm per radian, ``centerRow`` and
        ``centerCol`` the pixel indices that face source and axis, by default the middle. ``detectorType``,
        "FLAT" or "CURVED", is what ``get_detectorType`` says: CURVED after ``set_curvedDetector()``.
    kind : {"conebeam", "fanbeam", "parallelbeam", "modularbeam"}, optional
        Needed where the names alone do not tell: for a cone without helicalPitch and tiltAngle, and a fan.

    Returns
    -------
    ConeBeam, FanBeam or ParallelBeam
        Regular if source and detector only turn about z; a parallel beam is 3D, a fan 2D.

    Raises
    ------
    ArgumentError
        If a name is missing or unknown, or ``kind`` is needed.
    NotSupportedError
        For ``pitchAngle``, for curved detectors with ``tiltAngle``, and for fans of several rows: those are
        one `FanBeam`, and slices are a batch.

    Notes
    -----
    On a curved detector a column of LEAP is ``atan(pixelWidth / sdd)`` wide.

    References
    ----------
    H. Kim and K. Champley, "Differentiable forward projector for X-ray computed tomography",
    arXiv:2307.05801; LEAP's manual, ``tomographicModels.set_conebeam``.

    Examples
    --------
    >>> import numpy as np
    >>> from opalg import tomo
    >>> views = {"numAngles": 4, "numRows": 3, "numCols": 5, "pixelHeight": 1.0, "pixelWidth": 1.0}
    >>> views |= {"phis": np.arange(4) * 90.0, "sod": 100.0, "sdd": 150.0}
    >>> cone = tomo.converters.from_leap(views, "conebeam")
    >>> cone.is_close(tomo.ConeBeam(4, (3, 5), 1.0, 100.0, 150.0))
    True
    >>> helix = tomo.converters.from_leap({**views, "helicalPitch": 2.0})
    >>> helix.source_positions[:, 2].round(3).tolist()
    [-4.712, -1.571, 1.571, 4.712]
    """
    given = {str(name).removesuffix("_in"): value for name, value in parameters.items()}
    kind = _kind(given) if kind is None else kind
    if kind not in _KINDS:
        raise NotSupportedError(
            f"LEAP's {kind!r} has no counterpart here, only {', '.join(_KINDS)}"
        )
    needed, optional = _KINDS[kind]
    p = named(given, f"LEAP's {kind}", (*_DETECTOR, *needed), optional)
    (views,), (rows,), (columns,) = (whole(p, name, 1) for name in _DETECTOR[:3])
    pitch = (number(p, "pixelHeight"), number(p, "pixelWidth"))
    if kind == "modularbeam":
        vectors = [as_vectors(p[name], 3, name) for name in _VECTORS]
        _count(views, *vectors)
        places, centres, v, u = vectors
        return of_lines(
            ConeBeam.from_vectors(places, centres, pitch[0] * v, pitch[1] * u, (rows, columns))
        )
    angles = np.deg2rad(array(p, "phis"))
    _count(views, np.atleast_1d(angles))
    turns, angles = angles, turned_back(angles)
    middle = zip((rows, columns), _CENTRE, pitch, strict=True)
    offset = [((n - 1) / 2 - number(p, at, (n - 1) / 2)) * step for n, at, step in middle]
    if kind == "parallelbeam":
        return ParallelBeam(angles, (rows, columns), pitch, offset)
    sod, sdd = number(p, "sod"), number(p, "sdd")
    tau, rise, tilt, slope = (number(p, name) for name in ("tau", *_ONLY_CONE))
    curved = _is_curved(p)
    if curved:
        if tilt:
            raise NotSupportedError("LEAP's curved detectors have no tiltAngle")
        arc = sdd * np.arctan(pitch[1] / sdd)  # of a column
        pitch, offset = (pitch[0], arc), [offset[0], offset[1] / pitch[1] * arc]
    if slope:
        raise NotSupportedError(
            "LEAP does not document the sense of pitchAngle; use set_modularbeam"
        )
    # tau moves source and detector to the side on which columns fall.
    aside = translate(x=-tau * np.cos(angles), y=-tau * np.sin(angles))
    if kind == "fanbeam":
        if rows != 1:
            raise NotSupportedError(
                f"numRows={rows}: a stack of fans is one FanBeam (numRows=1) with slices as a batch"
            )
        fan = regular_of_lines(FanBeam, angles, columns, pitch[1], sod, sdd, offset=offset[1])
        return aside * fan if tau else fan
    cone = regular_of_lines(
        ConeBeam, angles, (rows, columns), pitch, sod, sdd, offset=offset, curved=curved
    )
    if not (tau or rise or tilt):
        return cone
    # The detector turns about the pixel that faces the axis, in the middle before it is shifted.
    up, right = cone.offset
    centred = cone.shift_detector(u=-right, v=-up)
    if tilt:
        centred = centred.rotate_detector(roll=np.deg2rad(tilt))
    turned = centred.shift_detector(u=right, v=up)
    heights = rise * (turns - (turns[0] + turns[-1]) / 2)
    return translate(z=heights) * (aside * turned)


def to_leap(geometry: Geometry) -> dict[str, Any]:
    """Arguments of ``set_modularbeam``, ``set_conebeam``, ``set_fanbeam`` or ``set_parallelbeam``.

    Parameters
    ----------
    geometry : ConeBeam, FanBeam or ParallelBeam
        Any cone or fan with a flat detector of perpendicular rows and columns; a cone with a detector on a
        cylinder about the source, and a parallel beam (of 2D one row of square pixels), that turn rigidly
        about z, the cone also along a helix.

    Returns
    -------
    dict
        Arguments by name; angles in degrees, vectors of shape (views, 3). Flat cones, and fans that do not
        turn rigidly about z, are modular beams, those fans of one row of height 1. A curved cone is one of
        ``set_conebeam``, with one name that is no argument: ``detectorType``, which is "CURVED", stands for
        a call of ``set_curvedDetector()``.

    Raises
    ------
    NotSupportedError
        For other geometries.

    References
    ----------
    H. Kim and K. Champley, arXiv:2307.05801.

    Examples
    --------
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam([0.0], (4, 5), (2.0, 1.0), 100.0, 150.0)
    >>> tomo.converters.to_leap(cone)["pixelHeight"]
    2.0
    """
    if isinstance(geometry, DivergentBeam) and not geometry.curved:
        if isinstance(geometry, ConeBeam):
            return _modular(geometry)
        try:
            regular_form(geometry, "LEAP")
        except NotSupportedError:
            return _modular(geometry)
    elif isinstance(geometry, FanBeam):
        raise NotSupportedError("LEAP's fans have flat detectors, got a curved one")
    found = turning(geometry, "LEAP")
    if not found.about_z:
        raise NotSupportedError("LEAP takes curved cones and parallel beams about the z axis only")
    regular = found.regular
    rows, columns = (1, *regular.detector_shape)[-2:]
    height, width = (regular.pitch[0], regular.pitch[-1])
    v, u = (0.0, *regular.offset)[-2:]
    arguments: dict[str, Any] = {
        "numAngles": regular.num_views,
        "numRows": rows,
        "numCols": columns,
        "pixelHeight": height,
        "pixelWidth": width,
        "centerRow": (rows - 1) / 2 - v / height,
        "centerCol": (columns - 1) / 2 - u / width,
        "phis": np.rad2deg(found.angles),
    }
    if not isinstance(regular, ParallelBeam):
        arguments |= {"sod": regular.sod, "sdd": regular.sdd}
    if isinstance(regular, ConeBeam):
        middle = found.height + found.rise * (found.angles[0] + found.angles[-1]) / 2
        if abs(middle) > ROUNDING * regular.sod:
            raise NotSupportedError(
                f"the middle of a scan is at z = 0 in LEAP, here at {middle:g}: move geometry and grid"
            )
        arguments["pixelWidth"] = regular.sdd * float(np.tan(width / regular.sdd))
        arguments |= {"helicalPitch": found.rise, "detectorType": "CURVED"}
    return arguments


def grid_from_leap(parameters: Mapping[str, Any], dtype: str = "float32") -> Grid:
    """The grid of the arguments of LEAP's ``set_volume``, by name.

    Parameters
    ----------
    parameters : mapping
        ``numX``, ``numY``, ``numZ``, ``voxelWidth`` and, as there, ``voxelHeight``, ``offsetX``, ...
    dtype : {"float32", "float64"}

    Notes
    -----
    Of fans and parallel beams LEAP reads slice k as detector row k, wherever the volume is said to be.

    Raises
    ------
    ArgumentError
        If a name is missing or unknown.

    References
    ----------
    LEAP's manual, ``tomographicModels.set_volume``.

    Examples
    --------
    >>> from opalg import tomo
    >>> volume = {"numX": 4, "numY": 5, "numZ": 6, "voxelWidth": 0.5, "offsetX": 2.0}
    >>> grid = tomo.converters.grid_from_leap(volume)
    >>> grid.shape, grid.origin
    ((6, 5, 4), (0.0, 0.0, 2.0))
    """
    axes = "ZYX"
    counts, offsets = ([f"{what}{axis}" for axis in axes] for what in ("num", "offset"))
    p = named(parameters, "LEAP's volume", (*counts, "voxelWidth"), ("voxelHeight", *offsets))
    width = number(p, "voxelWidth")
    spacing = (number(p, "voxelHeight", width), width, width)
    origin = [number(p, name) for name in offsets]
    return Grid(tuple(whole(p, name, 1)[0] for name in counts), spacing, dtype, origin)


def _kind(given: Mapping[str, Any]) -> str:
    if given.keys() & set(_VECTORS):
        return "modularbeam"
    if "sod" not in given and "sdd" not in given:
        return "parallelbeam"
    if given.keys() & {*_ONLY_CONE, "detectorType"}:
        return "conebeam"
    raise ArgumentError(
        "LEAP's fans and cones have the same names: say kind='conebeam' or kind='fanbeam'"
    )


def _is_curved(given: Mapping[str, Any]) -> bool:
    kind = str(given.get("detectorType", "FLAT")).upper()
    if kind not in ("FLAT", "CURVED"):
        raise ArgumentError(f"detectorType must be 'FLAT' or 'CURVED', got {kind!r}")
    return kind == "CURVED"


def _count(views: int, *arrays: FloatArray) -> None:
    if any(len(array) != views for array in arrays):
        raise ArgumentError(f"numAngles is {views}, got {[len(a) for a in arrays]} entries")


def _modular(geometry: Geometry) -> dict[str, Any]:
    sources, centres, u, v = flat_vectors(geometry, "LEAP")
    height, width = (np.linalg.norm(steps, axis=1) for steps in (v, u))
    if np.ptp(height) > 1e-9 * height[0] or np.ptp(width) > 1e-9 * width[0]:
        raise NotSupportedError("LEAP takes pixels of one size in all views")
    if (np.abs((u * v).sum(axis=1)) > 1e-9 * height * width).any():
        raise NotSupportedError("LEAP's detectors have perpendicular rows and columns")
    rows, columns = (1, *geometry.detector_shape)[-2:]
    return {
        "numAngles": geometry.num_views,
        "numRows": rows,
        "numCols": columns,
        "pixelHeight": float(height[0]),
        "pixelWidth": float(width[0]),
        "sourcePositions": sources.copy(),
        "moduleCenters": centres.copy(),
        "rowVectors": v / height[:, None],
        "colVectors": u / width[:, None],
    }
