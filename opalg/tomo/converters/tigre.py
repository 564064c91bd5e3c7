"""From and to TIGRE: the source starts at +x, and moves counter-clockwise about z.

Its projector places them by Euler angles per view. Let E turn about z by the first angle, after about y by
the second, after about z by the third; and R about z, after y, after x by ``rotDetector`` read backwards. The
source is at ``E (DSO, 0, 0)``, the middle of the detector at ``E (DSO - DSD, off_u, off_v)``, its columns
step along ``E R y`` and its rows along ``E R z``; COR moves all of them along y turned by the first angle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.converters.lines import of_lines, regular_of_lines
from opalg.tomo.converters.parameters import (
    array,
    flat_vectors,
    named,
    numbers,
    regular_form,
    turned_back,
    whole,
)
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.transforms import rotate

__all__ = ["from_tigre", "grid_from_tigre", "to_tigre"]

_RAYS = ("DSO", "DSD", "nDetector", "dDetector")
_OPTIONS = ("angles", "sDetector", "offDetector", "rotDetector", "COR", "mode")
_VOLUME = ("nVoxel", "dVoxel", "sVoxel", "offOrigin")
# How finely TIGRE samples, what it filters with, and what it counted itself: none moves a ray.
_OTHERS = ("accuracy", "filter", "n_proj")


def from_tigre(parameters: Any, angles: npt.ArrayLike | None = None) -> ConeBeam | ParallelBeam:
    """The geometry of a TIGRE geometry, an object or a dictionary of its attributes.

    Parameters
    ----------
    parameters : object or mapping
        With DSO, DSD, nDetector, dDetector, and if there are any offDetector, rotDetector and COR, one for
        all views or one per view; lengths in one unit, angles in radians. ``mode`` is "cone" or "parallel".
    angles : array, shape (views,) or (views, 3), optional
        Radians about z, or Euler angles about z, y, z; by default ``parameters["angles"]``.

    Returns
    -------
    ConeBeam or ParallelBeam
        Regular if source and detector only turn about z, else given by vectors.

    Notes
    -----
    ``offOrigin`` moves the volume: it is the origin of `grid_from_tigre`. If it varies between views the
    geometry moves the other way, from the place of the first view. With parallel rays TIGRE's projector
    moves only the end of a ray by offDetector, so that rays slant; so they do here.

    Raises
    ------
    ArgumentError
        If a name is missing or unknown, or numbers contradict each other.
    NotSupportedError
        For Euler angles of parallel rays (TIGRE ignores two of them), and other modes.

    References
    ----------
    A. Biguri et al., "TIGRE: a MATLAB-GPU toolbox for CBCT image reconstruction", Biomed. Phys. Eng. Express
    2 (2016) 055010; ``computeDeltas_Siddon`` in ``Common/CUDA/Siddon_projection.cu``.

    Examples
    --------
    >>> import math
    >>> from opalg import tomo
    >>> theirs = {"DSO": 100.0, "DSD": 150.0, "nDetector": (4, 5), "dDetector": (1.0, 1.0)}
    >>> cone = tomo.ConeBeam([math.pi / 2], (4, 5), 1.0, sod=100.0, sdd=150.0)
    >>> tomo.converters.from_tigre(theirs, [0.0]).is_close(cone)
    True
    >>> tomo.converters.from_tigre({**theirs, "COR": 2.0}, [0.0]).source_positions.tolist()
    [[100.0, 2.0, 0.0]]
    """
    p = named(parameters, "TIGRE's geometry", _RAYS, (*_OPTIONS, *_VOLUME, *_OTHERS))
    if angles is None and "angles" not in p:
        raise ArgumentError("TIGRE's geometry needs angles")
    mode = p.get("mode", "cone")
    if mode not in ("cone", "parallel"):
        raise NotSupportedError(f"TIGRE's mode {mode!r} has no counterpart here")
    turns = _euler(p if angles is None else {"angles": angles})
    if mode == "parallel" and turns[:, 1:].any():
        raise NotSupportedError("TIGRE ignores the second and third of angles if mode is parallel")
    views = len(turns)
    shape = whole(p, "nDetector", 2)
    pitch = numbers(p, "dDetector", (2,))
    _same(p, "sDetector", pitch * shape)
    sod, sdd, moved = (numbers(p, name, (views,)) for name in ("DSO", "DSD", "COR"))
    off = numbers(p, "offDetector", (views, 2))
    rolled = numbers(p, "rotDetector", (views, 3))
    origin = numbers(p, "offOrigin", (views, 3))
    origin = origin - origin[:1]
    if not any(a.any() for a in (turns[:, 1:], rolled, moved, origin)):
        # TIGRE's angle 0 is ours a quarter turn later.
        common: dict[str, Any] = {
            "angles": turned_back(turns[:, 0]) + np.pi / 2,
            "detector": shape,
            "pitch": pitch.tolist(),
        }
        if mode == "parallel" and not off.any():
            return ParallelBeam(**common)
        if mode == "cone" and not any(np.ptp(a, axis=0).any() for a in (sod, sdd, off)):
            common |= {"sod": float(sod[0]), "sdd": float(sdd[0])}
            return regular_of_lines(ConeBeam, **common, offset=off[0].tolist())
    euler = _turn("z", turns[:, 0]) @ _turn("y", turns[:, 1]) @ _turn("z", turns[:, 2])
    plane = _turn("z", rolled[:, 2]) @ _turn("y", rolled[:, 1]) @ _turn("x", rolled[:, 0])
    steps = euler @ plane
    sideways = np.stack([-np.sin(turns[:, 0]), np.cos(turns[:, 0]), np.zeros(views)], axis=1)
    shift = moved[:, None] * sideways - origin[:, ::-1]
    end = np.stack([sod - sdd, off[:, 1], off[:, 0]], axis=1)
    centres = (euler @ end[:, :, None])[..., 0] + shift
    u, v = pitch[1] * steps[:, :, 1], pitch[0] * steps[:, :, 2]
    if mode == "parallel":
        end[:, 0] = -sdd
        return ParallelBeam.from_vectors((euler @ end[:, :, None])[..., 0], centres, v, u, shape)
    sources = sod[:, None] * euler[:, :, 0] + shift
    return of_lines(ConeBeam.from_vectors(sources, centres, v, u, shape))


def to_tigre(geometry: Geometry) -> dict[str, Any]:
    """The attributes of a TIGRE geometry that tell where rays run, and ``angles``.

    Parameters
    ----------
    geometry : ConeBeam or ParallelBeam
        A cone regular, or given by vectors; flat, with perpendicular rows and columns. A parallel beam in 3D
        that turns rigidly about z, its detector moved along u only.

    Returns
    -------
    dict
        Numbers and ``angles`` of shape (views,) of a regular geometry; else ``angles`` (views, 3), and all
        but the size of the detector per view. ``mode`` is "parallel" for parallel beams; then COR moves the
        detector along u (offDetector would slant the rays), and DSO and DSD are some lengths.

    Raises
    ------
    NotSupportedError
        For other beams, curved detectors, and vectors that TIGRE's numbers cannot tell.

    References
    ----------
    A. Biguri et al., Biomed. Phys. Eng. Express 2 (2016) 055010.

    Examples
    --------
    >>> import math
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam([math.pi / 2], (4, 5), 1.0, 100.0, 150.0)
    >>> tomo.converters.to_tigre(cone)["angles"].tolist()
    [0.0]
    >>> tilted = tomo.converters.to_tigre(tomo.rotate("y", 0.2) * cone)
    >>> tilted["angles"].round(9).tolist()
    [[-0.0, 0.2, 0.0]]
    """
    if isinstance(geometry, ParallelBeam) and geometry.ndim == 3:
        return _parallel(geometry)
    if not isinstance(geometry, ConeBeam):
        raise NotSupportedError(
            f"TIGRE's geometry is a cone beam or a parallel beam in 3D, got {geometry}"
        )
    sources, centres, u, v = flat_vectors(geometry, "TIGRE")
    found: dict[str, Any] = {"mode": "cone", "nDetector": np.array(geometry.detector_shape)}
    if geometry.regular:
        return found | {
            "DSO": geometry.sod,
            "DSD": geometry.sdd,
            "dDetector": np.array(geometry.pitch),
            "sDetector": np.array(geometry.pitch) * geometry.detector_shape,
            "offDetector": np.array(geometry.offset),
            "angles": geometry.angles - np.pi / 2,  # its source starts at +x
        }
    lengths = [np.linalg.norm(steps, axis=1) for steps in (v, u)]
    if any(np.ptp(a) > 1e-9 * a[0] for a in lengths):
        raise NotSupportedError("TIGRE takes pixels of one size in all views")
    if (np.abs((u * v).sum(axis=1)) > 1e-9 * lengths[0] * lengths[1]).any():
        raise NotSupportedError("TIGRE's detectors have perpendicular rows and columns")
    sod = np.linalg.norm(sources, axis=1)
    if not sod.all():
        raise NotSupportedError("in TIGRE the source is never at the origin")
    first = np.arctan2(sources[:, 1], sources[:, 0])
    second = -np.arcsin(sources[:, 2] / sod)
    turns = np.stack([first, second, np.zeros_like(first)], axis=1)
    euler = _turn("z", first) @ _turn("y", second)
    end = (centres[:, None] @ euler)[:, 0]
    rows = (u[:, None] @ euler)[:, 0] / lengths[1][:, None]
    columns = (v[:, None] @ euler)[:, 0] / lengths[0][:, None]
    normals = np.cross(rows, columns)
    roll = np.arctan2(normals[:, 1], normals[:, 0])
    pitch = -np.arcsin(np.clip(normals[:, 2], -1, 1))
    yaw = np.arctan2(rows[:, 2], columns[:, 2])
    size = np.array([lengths[0][0], lengths[1][0]])
    return found | {
        "DSO": sod,
        "DSD": sod - end[:, 0],
        "dDetector": size,
        "sDetector": size * geometry.detector_shape,
        "offDetector": end[:, :0:-1].copy(),
        "rotDetector": np.stack([yaw, pitch, roll], axis=1),
        "angles": turns,
    }


def grid_from_tigre(parameters: Any, dtype: str = "float32") -> Grid:
    """The grid of a TIGRE geometry, an object or a dictionary of its attributes.

    Parameters
    ----------
    parameters : object or mapping
        With nVoxel, dVoxel or sVoxel, and offOrigin if there is one (that of the first view if there are
        several, see `from_tigre`); all in the order (z, y, x).
    dtype : {"float32", "float64"}

    Raises
    ------
    ArgumentError
        If a name is missing or unknown, or numbers contradict each other.

    References
    ----------
    A. Biguri et al., Biomed. Phys. Eng. Express 2 (2016) 055010.

    Examples
    --------
    >>> from opalg import tomo
    >>> volume = {"nVoxel": (2, 4, 4), "dVoxel": (1.0, 0.5, 0.5), "offOrigin": (0.0, 0.0, 3.0)}
    >>> grid = tomo.converters.grid_from_tigre(volume)
    >>> grid.shape, grid.origin
    ((2, 4, 4), (0.0, 0.0, 3.0))
    """
    p = named(parameters, "TIGRE's geometry", ["nVoxel"], (*_RAYS, *_OPTIONS, *_VOLUME, *_OTHERS))
    shape = whole(p, "nVoxel", 3)
    if "dVoxel" not in p:
        if "sVoxel" not in p:
            raise ArgumentError("TIGRE's volume needs dVoxel or sVoxel")
        p["dVoxel"] = numbers(p, "sVoxel", (3,)) / shape
    spacing = numbers(p, "dVoxel", (3,))
    _same(p, "sVoxel", spacing * shape)
    origin = array({"offOrigin": 0.0} | p, "offOrigin")
    first = {"offOrigin": origin[0] if origin.ndim == 2 else origin}
    return Grid(shape, spacing.tolist(), dtype, numbers(first, "offOrigin", (3,)).tolist())


def _parallel(geometry: ParallelBeam) -> dict[str, Any]:
    regular = regular_form(geometry, "TIGRE")
    v, u = regular.offset
    if v:
        raise NotSupportedError(
            f"TIGRE's parallel beams are centred along v, here v is moved by {v:g}: move geometry and grid"
        )
    size = np.array(regular.pitch) * regular.detector_shape
    far = float(np.linalg.norm(size))  # in front of and behind all that is seen
    return {
        "mode": "parallel",
        "nDetector": np.array(regular.detector_shape),
        "dDetector": np.array(regular.pitch),
        "sDetector": size,
        "DSO": far,
        "DSD": 2 * far,
        "COR": u,
        "angles": regular.angles - np.pi / 2,
    }


def _euler(given: Mapping[str, Any]) -> FloatArray:
    """Three angles per view."""
    found = array(given, "angles")
    if found.ndim == 1:
        found = np.stack([found, 0 * found, 0 * found], axis=1)
    if found.ndim != 2 or found.shape[1] != 3 or len(found) == 0:
        raise ArgumentError(
            f"angles must have shape (views,) or (views, 3), got {np.shape(given['angles'])}"
        )
    return found


def _turn(axis: str, angles: FloatArray) -> FloatArray:
    matrices: FloatArray = rotate(axis, angles).matrices[..., :3, :3]
    return matrices


def _same(given: dict[str, Any], name: str, expected: FloatArray) -> None:
    """A size that repeats what numbers and pixels say already must agree with them."""
    if name in given and not np.allclose(given[name], expected, rtol=1e-5, atol=0):
        raise ArgumentError(f"{name} must be {expected.tolist()}, got {given[name]!r:.60}")
