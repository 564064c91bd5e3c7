"""Phantoms: sums of simple bodies, with sampled images and exact line integrals.

Data made from a phantom do not come from the projector that reconstructs them, so errors of the
discretisation show. Vectors have the order (x, y) or (x, y, z), angles are radians counter-clockwise,
lengths are in the unit of the grid (mm) and values per that unit.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.bodies import (
    ball,
    box,
    cone,
    cylinder,
    disc,
    ellipse,
    ellipsoid,
    pyramid,
    rectangle,
)
from opalg.tomo.forbild import forbild_head, forbild_head_3d
from opalg.tomo.phantom import Phantom

__all__ = [
    "Phantom",
    "ball",
    "box",
    "cone",
    "cylinder",
    "derenzo",
    "disc",
    "ellipse",
    "ellipsoid",
    "forbild_head",
    "forbild_head_3d",
    "pyramid",
    "random_scene",
    "rectangle",
    "shepp_logan",
    "shepp_logan_3d",
]

# Centre x, y; half axes along x, y; angle in degrees; values: standard (1974), modified (Toft).
_SHEPP_LOGAN = (
    (0.00, 0.0000, 0.6900, 0.920, 0, 2.00, 1.0),
    (0.00, -0.0184, 0.6624, 0.874, 0, -0.98, -0.8),
    (0.22, 0.0000, 0.1100, 0.310, -18, -0.02, -0.2),
    (-0.22, 0.0000, 0.1600, 0.410, 18, -0.02, -0.2),
    (0.00, 0.3500, 0.2100, 0.250, 0, 0.01, 0.1),
    (0.00, 0.1000, 0.0460, 0.046, 0, 0.01, 0.1),
    (0.00, -0.1000, 0.0460, 0.046, 0, 0.01, 0.1),
    (-0.08, -0.6050, 0.0460, 0.023, 0, 0.01, 0.1),
    (0.00, -0.6050, 0.0230, 0.023, 0, 0.01, 0.1),
    (0.06, -0.6050, 0.0230, 0.046, 0, 0.01, 0.1),
)


def shepp_logan(
    diameter: float = 230.0, contrast: str = "modified", value: float = 0.02
) -> Phantom:
    """The Shepp-Logan head phantom: ten ellipses, forehead towards +y.

    Parameters
    ----------
    diameter : float, default 230.0
        Length of the head from front to back (mm).
    contrast : {"modified", "standard"}
        The values of Toft [2]_, in which the soft tissue is visible (skull 1, brain 0.2), or those of
        the original [1]_, as in a head (skull 2, brain 1.02, details 0.01).
    value : float, default 0.02
        What one unit of those values stands for, per unit of length. 0.02 / mm is about that of water
        at 70 keV: with it the skull is 0.02 / mm and the brain 0.004 / mm in the modified contrast,
        0.04 / mm and 0.0204 / mm in the standard one.

    References
    ----------
    .. [1] L. A. Shepp and B. F. Logan, "The Fourier reconstruction of a head section", IEEE
       Transactions on Nuclear Science 21(3), 21-43, 1974.
    .. [2] P. Toft, "The Radon transform: theory and implementation", PhD thesis, Technical
       University of Denmark, 1996, table B.3.

    Examples
    --------
    >>> import opalg as oa
    >>> image = shepp_logan(diameter=230.0).sample(oa.Grid((256, 256)))
    >>> round(float(image.max()), 6), round(float(image[128, 128]), 6)
    (0.02, 0.004)
    """
    if contrast not in ("modified", "standard"):
        raise ArgumentError(f"contrast must be 'modified' or 'standard', got {contrast!r}")
    _check_diameter(diameter)
    column = 6 if contrast == "modified" else 5
    unit = diameter / (2 * 0.92)
    head = None
    for row in _SHEPP_LOGAN:
        part = ellipse(row[2:4], value * row[column], row[:2], math.radians(row[4]))
        head = part if head is None else head + part
    assert head is not None
    return head.scaled(unit)


# Centre x, y, z; half axes; angle about z in degrees; values: standard, modified.
_SHEPP_LOGAN_3D = (
    (0.00, 0.0000, 0.00, 0.6900, 0.920, 0.810, 0, 2.00, 1.0),
    (0.00, -0.0184, 0.00, 0.6624, 0.874, 0.780, 0, -0.98, -0.8),
    (0.22, 0.0000, 0.00, 0.1100, 0.310, 0.220, -18, -0.02, -0.2),
    (-0.22, 0.0000, 0.00, 0.1600, 0.410, 0.280, 18, -0.02, -0.2),
    (0.00, 0.3500, -0.15, 0.2100, 0.250, 0.410, 0, 0.01, 0.1),
    (0.00, 0.1000, 0.25, 0.0460, 0.046, 0.050, 0, 0.01, 0.1),
    (0.00, -0.1000, 0.25, 0.0460, 0.046, 0.050, 0, 0.01, 0.1),
    (-0.08, -0.6050, 0.00, 0.0460, 0.023, 0.050, 0, 0.01, 0.1),
    (0.00, -0.6060, 0.00, 0.0230, 0.023, 0.020, 0, 0.01, 0.1),
    (0.06, -0.6050, 0.00, 0.0230, 0.046, 0.020, 0, 0.01, 0.1),
)


def shepp_logan_3d(
    diameter: float = 230.0, contrast: str = "modified", value: float = 0.02
) -> Phantom:
    """The Shepp-Logan head as ten ellipsoids, forehead towards +y, z from neck to crown.

    Parameters
    ----------
    diameter : float, default 230.0
        Length of the head from front to back (mm).
    contrast : {"modified", "standard"}
        As of `shepp_logan`.
    value : float, default 0.02
        What one unit of those values stands for, per unit of length.

    Notes
    -----
    Ellipsoids are turned about z only, as the ellipses of the 2D phantom are.

    References
    ----------
    A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging", IEEE Press, 1988, table 3.2;
    half axes and values as in M. Schabel's phantom3d, 2006.

    Examples
    --------
    >>> import opalg as oa
    >>> head = shepp_logan_3d(diameter=230.0)
    >>> round(float(head.sample(oa.Grid((65, 65, 65), 4.0))[32, 32, 32]), 6)
    0.004
    """
    _check_diameter(diameter)
    column = 8 if _modified(contrast) else 7
    parts = [
        ellipsoid(row[3:6], value * row[column], row[:3], math.radians(row[6]))
        for row in _SHEPP_LOGAN_3D
    ]
    return reduce(add, parts).scaled(diameter / (2 * 0.92))


def derenzo(
    diameter: float = 100.0,
    rods: tuple[float, ...] = (8.0, 6.5, 5.5, 4.5, 3.5, 2.5),
    value: float = 0.02,
) -> Phantom:
    """A Derenzo phantom: sectors full of rods (discs), two diameters apart in triangles, to see a resolution.

    In 3D, with rods along z: ``derenzo().extruded(height)``.

    Parameters
    ----------
    diameter : float, default 100.0
        Of the circle that holds all rods.
    rods : tuple of float
        Diameter of the rods in each sector, counter-clockwise from the x axis.
    value : float, default 0.02

    Raises
    ------
    ArgumentError
        If a rod is no smaller than its sector, or the diameter no positive length.

    References
    ----------
    S. E. Derenzo, T. F. Budinger, J. L. Cahoon, R. H. Huesman and H. G. Jackson, "High resolution computed
    tomography of positron emitters", IEEE Transactions on Nuclear Science 24(1), 544-558, 1977.

    Examples
    --------
    >>> len(derenzo().shapes) > 60
    True
    """
    _check_diameter(diameter)
    half = math.pi / max(len(rods), 1)
    found = []
    for sector, rod in enumerate(rods):
        places = _rods_of_a_sector(diameter / 2, rod, half)
        if not places:
            raise ArgumentError(f"no rod of diameter {rod!r} fits into one of {len(rods)} sectors")
        found += [disc(rod / 2, value, place).rotated((2 * sector + 1) * half) for place in places]
    if not found:
        raise ArgumentError("rods must hold one diameter or more")
    return reduce(add, found)


def _rods_of_a_sector(radius: float, rod: float, half: float) -> list[tuple[float, float]]:
    """Centres in triangles of side ``2 * rod``, in a sector of ``2 * half`` about the x axis."""
    if not rod > 0:
        raise ArgumentError(f"diameters of rods must be positive, got {rod!r}")
    start = (0.75 * rod) / math.sin(min(half, math.pi / 2))
    places = []
    for row in range(int(radius / (math.sqrt(3) * rod)) + 1):
        x = start + row * math.sqrt(3) * rod
        for place in range(row + 1):
            y = (2 * place - row) * rod
            inside = math.hypot(x, y) + rod / 2 <= radius
            # As far from the sector's straight edges as half a rod.
            if inside and x * math.sin(half) - abs(y) * math.cos(half) >= rod / 2:
                places.append((x, y))
    return places


def random_scene(
    count: int = 8,
    diameter: float = 100.0,
    value: float = 0.02,
    ndim: int = 3,
    seed: int | np.random.Generator | None = None,
) -> Phantom:
    """Bodies of all kinds, of random size, place, direction and value, within a ball.

    Parameters
    ----------
    count : int, default 8
        Number of bodies; they may overlap, and values add.
    diameter : float, default 100.0
        Of the ball (3D) or disc (2D) that holds them.
    value : float, default 0.02
        Values are drawn between a fifth of it and it.
    ndim : {3, 2}
    seed : int or numpy.random.Generator, optional
        The same seed gives the same scene.

    Examples
    --------
    >>> scene = random_scene(5, seed=1)
    >>> len(scene.shapes), scene == random_scene(5, seed=1), scene == random_scene(5, seed=2)
    (5, True, False)
    """
    if not isinstance(count, (int, np.integer)) or count < 1 or ndim not in (2, 3):
        raise ArgumentError(f"count must be positive and ndim 2 or 3, got {count!r} and {ndim!r}")
    _check_diameter(diameter)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        reach = diameter / 2 * rng.uniform(0.1, 0.4)  # of the body, about its centre
        amount = value * rng.uniform(0.2, 1.0)
        # Half axes such that the farthest corner lies within the reach.
        half = reach * rng.uniform(0.4, 1.0, ndim) / math.sqrt(ndim)
        sides = (2 * half).tolist()
        kind = rng.integers(0, 2 if ndim == 2 else 4)
        if ndim == 2:
            body = ellipse(half.tolist(), amount) if kind else rectangle(sides, amount)
            body = body.rotated(rng.uniform(0, 2 * math.pi))
        else:
            body = (
                ellipsoid(half.tolist(), amount),
                box(sides, amount),
                cylinder(float(half[0]), sides[2], amount),
                pyramid(sides[:2], sides[2], amount),
            )[kind]
            for axis in "zxz":
                body = body.rotated(rng.uniform(0, 2 * math.pi), axis)
        direction = rng.standard_normal(ndim)
        away = (diameter / 2 - reach) * rng.uniform() ** (1 / ndim)
        found.append(body.moved(*(away * direction / np.linalg.norm(direction)).tolist()))
    return reduce(add, found)


def _check_diameter(diameter: Any) -> None:
    if not isinstance(diameter, (int, float, np.number)) or not 0 < diameter < math.inf:
        raise ArgumentError(f"diameter must be a positive length, got {diameter!r}")


def _modified(contrast: str) -> bool:
    if contrast not in ("modified", "standard"):
        raise ArgumentError(f"contrast must be 'modified' or 'standard', got {contrast!r}")
    return contrast == "modified"
