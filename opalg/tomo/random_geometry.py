"""Geometries drawn at random, for tests that are to hold for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.fan import FanBeam
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.transforms import Transform, reflect, rotate, scale, translate

__all__ = ["random_geometry", "random_grid", "random_transform"]

_KINDS = ("parallel 2D", "parallel 3D", "fan", "cone")


def random_geometry(
    kind: str, seed: int | np.random.Generator | None = None, size: float = 10.0
) -> Geometry:
    """A geometry of few views and pixels that sees an object at the origin, drawn at random.

    Parameters
    ----------
    kind : {"parallel 2D", "parallel 3D", "fan", "cone"}
        With "free" before it ("free cone") source and detector are moved and turned at random in every
        view, so that the geometry is given by vectors.
    seed : int or numpy.random.Generator, optional
    size : float, default 10.0
        Diameter of the object; source and detector stay outside of it.

    Raises
    ------
    ArgumentError
        If ``kind`` is unknown.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.random_geometry("free cone", seed=1) == tomo.random_geometry("free cone", seed=1)
    True
    """
    free, plain = kind.startswith("free "), kind.removeprefix("free ")
    if plain not in _KINDS or not np.isfinite(size) or size <= 0:
        raise ArgumentError(
            f"kind must be one of {', '.join(_KINDS)}, or 'free' and one of these, and size positive, got "
            f"{kind!r}, {size!r}"
        )
    rng = np.random.default_rng(seed)
    views = int(rng.integers(1, 6))
    rows = 2 if plain in ("parallel 3D", "cone") else 1
    detector = tuple(int(n) for n in rng.integers(1, 8, rows))
    # A quarter of the angles is special: there rays run along axes and diagonals.
    angles = np.where(
        rng.random(views) < 0.25,
        rng.integers(0, 8, views) * (np.pi / 4),
        rng.uniform(-7.0, 7.0, views),
    )
    common: dict[str, Any] = {"angles": angles, "detector": detector if rows == 2 else detector[0]}
    pitch, offset = size * rng.uniform(0.05, 0.3, rows), size * rng.uniform(-0.2, 0.2, rows)
    common["pitch"] = tuple(pitch) if rows == 2 else float(pitch[0])
    common["offset"] = tuple(offset) if rows == 2 else float(offset[0])
    if plain.startswith("parallel"):
        geometry: Geometry = ParallelBeam(**common)
    else:
        sod = size * rng.uniform(1.5, 6.0)
        common.update(sod=sod, sdd=sod + size * rng.uniform(1.5, 6.0))
        beam = FanBeam if plain == "fan" else ConeBeam
        geometry = beam(**common, curved=bool(rng.random() < 0.4))
    if not free:
        return geometry
    shift = size * rng.uniform(-0.1, 0.1, (3, views))
    if rows == 1:
        return translate(*shift[:2]) * (rotate("z", rng.uniform(-3, 3, views)) * geometry)
    turned = rotate(rng.standard_normal(3).tolist(), rng.uniform(-3, 3, views)) * geometry
    return translate(*shift) * turned


def random_grid(
    ndim: int = 3, seed: int | np.random.Generator | None = None, size: float = 10.0
) -> Grid:
    """A grid of few cells about the origin, float64, of any spacings and a little off the centre.

    Parameters
    ----------
    ndim : {2, 3}
    seed : int or numpy.random.Generator, optional
    size : float, default 10.0
        The largest extent; see `random_geometry`.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.random_grid(2, seed=1) == tomo.random_grid(2, seed=1)
    True
    """
    if ndim not in (2, 3) or not size > 0:
        raise ArgumentError(f"ndim must be 2 or 3 and size positive, got {ndim!r} and {size!r}")
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 8, ndim)
    spacing = size * rng.uniform(0.3, 0.8, ndim) / shape
    origin = size * rng.uniform(-0.1, 0.1, ndim)
    return Grid(tuple(shape.tolist()), tuple(spacing.tolist()), "float64", tuple(origin.tolist()))


def random_transform(
    views: int | None = None, seed: int | np.random.Generator | None = None, size: float = 10.0
) -> Transform:
    """A turn about any axis, a mirror or not, a change of scale and a shift, drawn at random.

    Parameters
    ----------
    views : int, optional
        How many turns and shifts; one for all by default.
    seed : int or numpy.random.Generator, optional
    size : float, default 10.0
        The longest shift along an axis is a tenth of it.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.random_transform(4, seed=1).num_views
    4
    """
    rng = np.random.default_rng(seed)
    shifts = size * rng.uniform(-0.1, 0.1, (3, *([] if views is None else [views])))
    turn = rotate(rng.standard_normal(3).tolist(), rng.uniform(-3, 3, views))
    mirror = reflect("x") if rng.random() < 0.5 else scale(1.0)
    moved: Transform = translate(*shifts) * turn * scale(rng.uniform(0.8, 1.25)) * mirror
    return moved
