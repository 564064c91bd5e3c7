"""What the converters share: reading parameters by name, and vectors that a package can take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    "ROUNDING",
    "array",
    "flat_vectors",
    "named",
    "number",
    "numbers",
    "regular_form",
    "turned_back",
    "whole",
]

# Of the distance between source and detector: rounding, and the float32 of some packages.
ROUNDING = 1e-6


def named(
    parameters: Any, what: str, needed: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """Parameters by name, of a mapping or an object's attributes; those that are None are left out.

    Raises
    ------
    ArgumentError
        If one is needed that is not there, or one is there that nobody knows: it may move rays.
    """
    found = parameters if isinstance(parameters, Mapping) else getattr(parameters, "__dict__", None)
    if found is None:
        raise ArgumentError(f"{what} must be given by names, got {parameters!r:.60}")
    given = {str(name): value for name, value in found.items() if value is not None}
    needed = tuple(needed)
    known = (*needed, *optional)
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise ArgumentError(
            f"{what} has no parameters {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    missing = [name for name in needed if name not in given]
    if missing:
        raise ArgumentError(f"{what} needs {', '.join(missing)}")
    return given


def numbers(
    given: Mapping[str, Any], name: str, shape: tuple[int, ...], default: float = 0.0
) -> FloatArray:
    """A parameter that broadcasts to ``shape``: one for all views, or one for each."""
    value = given.get(name, default)
    try:
        return np.broadcast_to(np.asarray(value, float), shape)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must broadcast to shape {shape}, got {value!r:.60}") from None


def number(given: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    """A parameter that is one number."""
    return float(numbers(given, name, (), default))


def array(given: Mapping[str, Any], name: str) -> FloatArray:
    """A parameter of numbers, in the shape that it has."""
    try:
        return np.array(given[name], float)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be numbers, got {given[name]!r:.60}") from None


def whole(given: Mapping[str, Any], name: str, count: int) -> tuple[int, ...]:
    """A parameter of ``count`` positive whole numbers."""
    found = numbers(given, name, (count,))
    if not (np.isfinite(found).all() and (found == np.round(found)).all() and (found > 0).all()):
        raise ArgumentError(f"{name} must be positive whole numbers, got {given[name]!r:.60}")
    return tuple(int(n) for n in found)


def turned_back(angles: FloatArray) -> FloatArray:
    """Angles of many turns as those of one: scans may have more turns than constructors take for radians."""
    found: FloatArray = np.mod(angles, 2 * np.pi) if np.ptp(angles) > 8 * np.pi else angles
    return found


def flat_vectors(
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


def regular_form(geometry: Geometry, package: str) -> Any:
    """The geometry itself if it is regular, or the regular one that has its vectors up to rounding.

    Raises
    ------
    NotSupportedError
        If source and detector do not turn rigidly about the z axis.
    """
    if geometry.regular:
        return geometry
    frames = geometry.frames
    found: Any = None
    arcs = frames.arc_centres
    size = float(np.abs(frames.centres).max() + np.abs(frames.origins).max())
    if arcs is None or np.abs(arcs - frames.origins)[:, :2].max() <= ROUNDING * size:
        angles = frames.angles
        zeros = np.zeros_like(angles)
        along = np.stack([-np.sin(angles), np.cos(angles), zeros][: frames.ndim], axis=1)
        across = np.stack([np.cos(angles), np.sin(angles), zeros][: frames.ndim], axis=1)
        ahead = (frames.centres * along).sum(axis=1)
        aside = (frames.centres * across).sum(axis=1)
        if arcs is not None:  # unrolled: the middle of the flat row that has the same columns
            ways = ((frames.centres - frames.origins) * along).sum(axis=1)
            radius = np.hypot(ways, aside)
            ahead, aside = ahead - ways + radius, np.arctan2(aside, ways) * radius
        offset: Any = float(aside.mean())
        if frames.ndim == 3:
            offset = (float(frames.centres[:, 2].mean()), offset)
        shape: Any = geometry.detector_shape if frames.ndim == 3 else geometry.detector_shape[0]
        pitch: Any = geometry.pitch if frames.ndim == 3 else geometry.pitch[0]
        if frames.parallel:
            found = ParallelBeam(angles, shape, pitch, offset)
            # Rays end nowhere: the regular detector stands beside the axis, and directions are units.
            lengths = np.linalg.norm(frames.origins, axis=1, keepdims=True)
            frames = frames._with(
                origins=frames.origins / lengths, centres=frames.centres - ahead[:, None] * along
            )
        else:
            sod = -float((frames.origins * along).sum(axis=1).mean())
            beam = FanBeam if frames.ndim == 2 else ConeBeam
            if sod > 0 and ahead.mean() > 0:
                sdd = sod + float(ahead.mean())
                found = beam(angles, shape, pitch, sod, sdd, arcs is not None, offset)
    if found is None or not found.frames.is_close(frames, ROUNDING * size):
        raise NotSupportedError(
            f"{package} takes source and detector that turn rigidly about the z axis, got a "
            f"{type(geometry).__name__} given by vectors that do not"
        )
    return found
