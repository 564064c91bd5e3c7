"""From and to PYRO-NN's circular trajectories.

In 2D the ray to the middle runs along ``r = (cos t, sin t)`` from a source at ``-sid r``, and columns step
along ``(-sin t, cos t)``: the other way than here, seen along the ray. With a cone the source starts at +x
and runs clockwise, columns step to the left of one who looks from the source, and rows downwards.
``swap_detector_axis`` turns the sense of rotation in 2D, and the columns of a cone.

So it is in PYRO-NN's repository. In release 0.1.0, which PyPI has, the source of a cone runs
counter-clockwise, columns step to the right, and the ray to the axis meets the detector half a pixel beside
its middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.converters.lines import of_lines, regular_of_lines
from opalg.tomo.converters.parameters import (
    array,
    named,
    number,
    numbers,
    regular_form,
    turned_back,
    whole,
)
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.fan import FanBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam

__all__ = ["from_pyronn", "grid_from_pyronn", "to_pyronn"]

_KINDS = ("parallel_2d", "fan_2d", "cone_3d")
_DETECTOR = ("detector_shape", "detector_spacing")
_DISTANCES = ("source_isocenter_distance", "source_detector_distance")
# The trajectory itself, by its names in 0.1.0.
_OLDER = ("central_ray_vectors", "projection_matrices")
_RELEASES = ("repository", "0.1.0")
_RAYS = ("number_of_projections", "angular_range", "trajectory")
_OPTIONS = ("detector_origin", "swap_detector_axis")
_VOLUME = ("volume_shape", "volume_spacing", "volume_origin")
# What PYRO-NN derives from the others, and how finely it samples.
_DERIVED = (
    "sinogram_shape", "fan_angle", "cone_angle", "projection_multiplier", "step_size", "np_dtype",
)  # fmt: skip
_ALL = (*_DETECTOR, *_DISTANCES, *_RAYS, *_OPTIONS, *_VOLUME, *_DERIVED)


def from_pyronn(kind: str, parameters: Any, release: str | None = None) -> Any:
    """The geometry of PYRO-NN's circular trajectories.

    Parameters
    ----------
    kind : {"parallel_2d", "fan_2d", "cone_3d"}
    parameters : mapping or PYRO-NN's geometry
        ``detector_shape``, ``detector_spacing`` (v, u), ``number_of_projections``, ``angular_range`` (end,
        or start and end, in radians); ``source_isocenter_distance`` and ``source_detector_distance`` but for
        parallel rays; and if there are any ``detector_origin`` (of the first pixel, (v, u)),
        ``swap_detector_axis``, and ``trajectory``, which takes the place of number, range and swap: ray
        vectors (views, 2), or projection matrices (views, 3, 4).
    release : {"repository", "0.1.0"}, optional
        Whose ``circular_trajectory_3d`` a cone means that has no trajectory: that of 0.1.0, which PyPI has,
        turns the other way. Needed unless there is ``swap_detector_axis``, which only the repository's has.

    Returns
    -------
    ParallelBeam, FanBeam or ConeBeam
        A parallel beam is regular: its rays run the other way along the same lines. The others are given by
        vectors, as their columns, and the rows of a cone, run the other way than in a regular geometry.

    Raises
    ------
    ArgumentError
        If a name is missing or unknown, or ``release`` is needed.
    NotSupportedError
        For other kinds. "parallel_3d" has neither a trajectory nor a projector in PYRO-NN, and the matrices
        of ``multi_circular_trajectory_3d`` and others go into ``ConeBeam.from_matrices(matrices, detector)``.

    References
    ----------
    C. Syben et al., "PYRO-NN: Python reconstruction operators in neural networks", Medical Physics 46 (2019)
    5110; ``circular_trajectory_2d`` and ``circular_trajectory_3d`` of its repository, and of its release
    0.1.0 (April 2020).

    Examples
    --------
    >>> from opalg import tomo
    >>> views = {"detector_shape": [5], "detector_spacing": [1.0], "number_of_projections": 4}
    >>> views |= {"angular_range": 3.14159265}
    >>> views |= {"source_isocenter_distance": 100.0, "source_detector_distance": 150.0}
    >>> tomo.converters.from_pyronn("fan_2d", views).source_positions[0].round(9).tolist()
    [-100.0, -0.0]
    """
    if kind not in _KINDS:
        raise NotSupportedError(
            f"kind must be parallel_2d, fan_2d or cone_3d, got {kind!r}; projection matrices of others go "
            "into ConeBeam.from_matrices"
        )
    if release not in (None, *_RELEASES):
        raise ArgumentError(f"release must be 'repository' or '0.1.0', got {release!r}")
    parallel = kind == "parallel_2d"
    needed = _DETECTOR if parallel else (*_DETECTOR, *_DISTANCES)
    p = named(parameters, "PYRO-NN's geometry", needed, (*_ALL, *_OLDER))
    for name in _OLDER:
        if name in p:
            p["trajectory"] = p.pop(name)
    ndim = 2 if kind == "cone_3d" else 1
    shape = whole(p, "detector_shape", ndim)
    pitch = numbers(p, "detector_spacing", (ndim,))
    half = (np.array(shape) - 1) / 2 * pitch
    offset = numbers({"detector_origin": -half} | p, "detector_origin", (ndim,)) + half
    distances: dict[str, Any] = {}
    if not parallel:
        distances = {"sod": number(p, _DISTANCES[0]), "sdd": number(p, _DISTANCES[1])}
    swapped = bool(p.get("swap_detector_axis", False))
    if ndim == 2:
        if "trajectory" in p:
            cone = of_lines(ConeBeam.from_matrices(array(p, "trajectory"), shape, distances["sdd"]))
            _counted(p, cone.num_views)
            return cone
        if release is None and "swap_detector_axis" not in p:
            raise ArgumentError(
                "of a cone PYRO-NN 0.1.0 (PyPI) turns counter-clockwise, its repository clockwise: say "
                "release='0.1.0' or release='repository', or hand over the matrices as trajectory"
            )
        turns, signs = -_turns(p), (-1, 1) if swapped else (-1, -1)
        if release == "0.1.0":  # whose camera looks at pixel n / 2
            turns, signs, offset = -turns, (-1, 1), -pitch / 2
        regular: Any = regular_of_lines(
            ConeBeam, np.pi / 2 + turns, shape, pitch.tolist(), **distances,
            offset=(offset * signs).tolist(),
        )  # fmt: skip
        return _stepping(regular, *signs)
    turns = _rays(p) if "trajectory" in p else _turns(p) * (-1 if swapped else 1)
    _counted(p, len(turns))
    if parallel:
        return ParallelBeam(turns + np.pi / 2, shape[0], float(pitch[0]), float(offset[0]))
    regular = regular_of_lines(
        FanBeam, turns - np.pi / 2, shape[0], float(pitch[0]), **distances, offset=-float(offset[0])
    )
    return _stepping(regular, 1, -1)


def to_pyronn(geometry: Geometry) -> tuple[str, dict[str, Any]]:
    """Kind and parameters of PYRO-NN's geometry of the same rays.

    Parameters
    ----------
    geometry : ParallelBeam in 2D, FanBeam or ConeBeam
        Flat. Any cone; a parallel beam or fan in which source and detector turn rigidly about the origin:
        regular, or by vectors that amount to it.

    Returns
    -------
    kind : {"parallel_2d", "fan_2d", "cone_3d"}
    parameters : dict
        See `from_pyronn`. Of equally spaced angles about z a circle: ``angular_range``, ``detector_origin``
        and ``swap_detector_axis=False``, as its repository has them. Of other angles in 2D ``trajectory`` is
        the rays, of other cones the projection matrices, and distances are means.

    Notes
    -----
    Columns of a fan, and columns and rows of a cone on a circle, run the other way in PYRO-NN: hand over
    ``y[:, ::-1]``, and ``y[:, ::-1, ::-1]``. Projections of a parallel beam, and of a cone by matrices, stay
    as they are.

    Raises
    ------
    NotSupportedError
        For other geometries.

    References
    ----------
    C. Syben et al., Medical Physics 46 (2019) 5110.

    Examples
    --------
    >>> from opalg import tomo
    >>> beam = tomo.ParallelBeam(4, 5, 2.0)
    >>> kind, parameters = tomo.converters.to_pyronn(beam)
    >>> kind, parameters["detector_origin"].tolist()
    ('parallel_2d', [-4.0])
    >>> tomo.converters.from_pyronn(kind, parameters).is_close(beam)
    True
    """
    if isinstance(geometry, ParallelBeam) and geometry.ndim == 3:
        raise NotSupportedError("PYRO-NN has no projector for parallel beams in 3D")
    if isinstance(geometry, DivergentBeam) and geometry.curved:
        raise NotSupportedError("a curved detector has no counterpart in PYRO-NN")
    cone = isinstance(geometry, ConeBeam)
    try:
        regular = regular_form(geometry, "PYRO-NN")
    except NotSupportedError:
        if cone:
            return "cone_3d", _by_matrices(geometry)
        raise
    steps = np.diff(regular.angles)
    step = float(steps.mean()) if len(steps) else 0.0
    even = not len(steps) or np.abs(steps - step).max() <= 1e-9
    if cone and not even:
        return "cone_3d", _by_matrices(geometry)
    pitch, offset = np.array(regular.pitch), np.array(regular.offset)
    if isinstance(regular, ParallelBeam):
        kind, turns, sign = "parallel_2d", regular.angles - np.pi / 2, 1
    elif cone:
        kind, turns, sign = "cone_3d", np.pi / 2 - regular.angles, -1
        step = -step
    else:
        kind, turns, sign = "fan_2d", regular.angles + np.pi / 2, -1
    found: dict[str, Any] = {
        "detector_shape": np.array(regular.detector_shape),
        "detector_spacing": pitch,
        "detector_origin": sign * offset - (np.array(regular.detector_shape) - 1) / 2 * pitch,
        "number_of_projections": regular.num_views,
        "swap_detector_axis": False,
    }
    if even:
        start = float(turns[0])
        found["angular_range"] = [start, start + regular.num_views * step]
    else:
        found["trajectory"] = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    if sign < 0:
        found |= dict(zip(_DISTANCES, (regular.sod, regular.sdd), strict=True))
    return kind, found


def grid_from_pyronn(parameters: Any, dtype: str = "float32") -> Grid:
    """The grid of a PYRO-NN geometry.

    Parameters
    ----------
    parameters : mapping or PYRO-NN's geometry
        With ``volume_shape``, ``volume_spacing`` and, if it is not centred, ``volume_origin``: the place of
        the first voxel; all in the order (z, y, x) or (y, x).
    dtype : {"float32", "float64"}

    Raises
    ------
    ArgumentError
        If a name is missing or unknown.

    References
    ----------
    C. Syben et al., Medical Physics 46 (2019) 5110; ``GeometryBase``.

    Examples
    --------
    >>> from opalg import tomo
    >>> volume = {"volume_shape": (4, 6), "volume_spacing": 0.5, "volume_origin": (0.0, 0.0)}
    >>> tomo.converters.grid_from_pyronn(volume).origin
    (0.75, 1.25)
    """
    p = named(parameters, "PYRO-NN's geometry", _VOLUME[:2], _ALL)
    ndim = np.size(p["volume_shape"])
    if ndim not in (2, 3):
        raise ArgumentError(f"volume_shape must be (y, x) or (z, y, x), got {p['volume_shape']!r}")
    shape = whole(p, "volume_shape", ndim)
    spacing = numbers(p, "volume_spacing", (ndim,))
    half = (np.array(shape) - 1) / 2 * spacing
    origin = numbers({"volume_origin": -half} | p, "volume_origin", (ndim,)) + half
    return Grid(shape, spacing.tolist(), dtype, origin.tolist())


def _by_matrices(geometry: Geometry) -> dict[str, Any]:
    """A trajectory of measured matrices; the distances are of use to weights only."""
    frames = geometry.frames
    sdd = ((frames.centres - frames.origins) * frames.normals).sum(axis=1).mean()
    sod = np.linalg.norm(frames.origins, axis=1).mean()
    return {
        "detector_shape": np.array(geometry.detector_shape),
        "detector_spacing": np.array(geometry.pitch),
        "number_of_projections": geometry.num_views,
        "trajectory": geometry.to_matrices(),
        **dict(zip(_DISTANCES, (float(sod), float(sdd)), strict=True)),
    }


def _turns(p: Mapping[str, Any]) -> FloatArray:
    """Angles of a circular trajectory: the end of the range is left out."""
    missing = [name for name in _RAYS[:2] if name not in p]
    if missing:
        raise ArgumentError(f"PYRO-NN's geometry needs {', '.join(missing)}, or trajectory")
    given = p["angular_range"]
    ends = (0.0, given) if np.ndim(given) == 0 else given
    start, end = numbers({"angular_range": ends}, "angular_range", (2,)).tolist()
    (count,) = whole(p, "number_of_projections", 1)
    return turned_back(start + np.arange(count) * ((end - start) / count))


def _rays(p: Mapping[str, Any]) -> FloatArray:
    """Angles of ray vectors."""
    rays = array(p, "trajectory")
    if rays.ndim != 2 or rays.shape[1] != 2:
        raise ArgumentError(f"a 2D trajectory has shape (views, 2), got {rays.shape}")
    turns: FloatArray = np.arctan2(rays[:, 1], rays[:, 0])
    return turns


def _counted(p: Mapping[str, Any], views: int) -> None:
    count = p.get("number_of_projections", views)
    if count != views:
        raise ArgumentError(f"number_of_projections is {count}, the trajectory has {views}")


def _stepping(geometry: Any, v_sign: int, u_sign: int) -> Any:
    """The detector with the order of its rows and columns kept (1) or reversed (-1)."""
    frames = geometry.frames
    v = None if frames.v_steps is None else v_sign * frames.v_steps
    turned = replace(frames, u_steps=u_sign * frames.u_steps, v_steps=v)
    return geometry._of_frames(turned, geometry.detector_shape)
