"""Geometries drawn at random, for tests that are to hold for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.cone import ConeBeam
from opalg.tomo.fan import FanBeam
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.transforms import rotate, translate

__all__ = ["random_geometry"]

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
