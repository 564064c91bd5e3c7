"""Single bodies, from which phantoms are made: discs, boxes, balls, cylinders, cones, pyramids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.phantom import Phantom, as_vector
from opalg.tomo.shapes import Shape

__all__ = [
    "ball",
    "box",
    "cone",
    "cylinder",
    "disc",
    "ellipse",
    "ellipsoid",
    "pyramid",
    "rectangle",
]


def disc(radius: float, value: float = 1.0, centre: Sequence[float] = (0.0, 0.0)) -> Phantom:
    """A disc."""
    return ellipse((radius, radius), value, centre)


def ellipse(
    half_axes: Sequence[float],
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0),
    angle: float = 0.0,
) -> Phantom:
    """An ellipse.

    Parameters
    ----------
    half_axes : (float, float)
        Along x and y before it is turned.
    value : float
    centre : (float, float)
    angle : float
        Radians by which it is turned about its centre.
    """
    return _body("ball", half_axes, value, centre, angle, 2)


def rectangle(
    size: Sequence[float],
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0),
    angle: float = 0.0,
) -> Phantom:
    """A rectangle with sides ``size`` along x and y before it is turned; see `ellipse`."""
    half = as_vector(size, 2, "size") / 2
    return _body("box", half, value, centre, angle, 2)


def ball(radius: float, value: float = 1.0, centre: Sequence[float] = (0.0, 0.0, 0.0)) -> Phantom:
    """A ball."""
    return ellipsoid((radius,) * 3, value, centre)


def ellipsoid(
    half_axes: Sequence[float],
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
    angle: float = 0.0,
) -> Phantom:
    """An ellipsoid with half axes along x, y and z, turned about its own z axis by ``angle``."""
    return _body("ball", half_axes, value, centre, angle, 3)


def box(
    size: Sequence[float],
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
    angle: float = 0.0,
) -> Phantom:
    """A box with sides ``size`` along x, y and z, turned about its own z axis by ``angle``."""
    half = as_vector(size, 3, "size") / 2
    return _body("box", half, value, centre, angle, 3)


def cylinder(
    radius: float,
    height: float,
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
) -> Phantom:
    """A cylinder whose axis is parallel to z; `Phantom.rotated` tilts it."""
    return _body("cylinder", (radius, radius, height / 2), value, centre, 0.0, 3)


def cone(
    radius: float,
    height: float,
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
    top_radius: float = 0.0,
) -> Phantom:
    """A cone on a disc, its axis parallel to z, its tip above; truncated if ``top_radius`` is given.

    Parameters
    ----------
    radius : float
        Of the base.
    height : float
        From the base to the tip or to the upper face.
    value : float
    centre : (float, float, float)
        Half way between them.
    top_radius : float
        Of the upper face; less than ``radius``.

    Examples
    --------
    >>> import math
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> image = tomo.phantoms.cone(20.0, 30.0).sample(oa.Grid((64, 64, 64)))
    >>> round(float(image.sum()) / (math.pi * 20**2 * 30 / 3), 2)  # its volume
    1.0
    """
    if not 0 <= top_radius < radius:
        raise ArgumentError(
            f"the upper radius must be less than that of the base, got {top_radius!r} and {radius!r}"
        )
    whole = height * radius / (radius - top_radius)  # up to where its sides meet
    middle = (whole - height) / 2
    body = _body("cone", (radius, radius, whole / 2), value, (0.0, 0.0, middle), 0.0, 3)
    if top_radius:
        body = body.cut((0.0, 0.0, 1.0), height / 2)
    return body.moved(*as_vector(centre, 3, "centre"))


def pyramid(
    base: float | Sequence[float],
    height: float,
    value: float = 1.0,
    centre: Sequence[float] = (0.0, 0.0, 0.0),
) -> Phantom:
    """A pyramid on a rectangle, its top above.

    Parameters
    ----------
    base : float or (float, float)
        Sides along x and y.
    height : float
    value : float
    centre : (float, float, float)
        Half way between base and top.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> image = tomo.phantoms.pyramid(40.0, 30.0).sample(oa.Grid((64, 64, 64)))
    >>> round(float(image.sum()) / (40 * 40 * 30 / 3), 2)  # its volume
    1.0
    """
    sides = as_vector(base if np.ndim(base) else [base] * 2, 2, "base")
    return _body("pyramid", (*(sides / 2), height / 2), value, centre, 0.0, 3)


def _body(kind: str, half: Any, value: float, centre: Any, angle: float, ndim: int) -> Phantom:
    extents = as_vector(half, ndim, "half axes")
    if not (extents > 0).all():
        raise ArgumentError(f"the extents of a shape must be positive, got {tuple(half)}")
    axes = tuple(tuple(row) for row in np.diag(extents).tolist())
    shape = Shape(kind, (0.0,) * ndim, axes, value)
    return Phantom([shape]).rotated(angle).moved(*as_vector(centre, ndim, "centre"))
