"""The FORBILD head phantom, in 2D and 3D: low contrast beside bone, and fine details in the ears."""

from __future__ import annotations

import itertools
import math
from functools import reduce
from operator import add

import numpy as np

from opalg.errors import ArgumentError
from opalg.tomo.bodies import ball, cone, cylinder, ellipse, ellipsoid
from opalg.tomo.phantom import Phantom
from opalg.tomo.shapes import Shape

__all__ = ["forbild_head", "forbild_head_3d"]

_LENGTH = 24.0  # of the head from front to back, in the cm of the definition
_BONE, _BRAIN = 1.8, 1.05  # densities, in g/cm^3

# The planar head. Centre, half axes (cm), angle (degrees), what is added to the density; then lines,
# each the direction (degrees) of its normal and its distance from the ellipse's centre.
_TIP = -14.294530834372887
_PLANAR = (
    ((-4.7, 4.3), (1.79989, 1.79989), 0.0, 0.010, ()),  # eyes
    ((4.7, 4.3), (1.79989, 1.79989), 0.0, 0.010, ()),
    ((-1.08, -9.0), (0.4, 0.4), 0.0, 0.0025, ()),  # details of low contrast
    ((1.08, -9.0), (0.4, 0.4), 0.0, -0.0025, ()),
    ((0.0, 0.0), (9.6, 12.0), 0.0, _BONE, ()),  # skull
    ((0.0, 8.4), (1.8, 3.0), 0.0, -_BRAIN, ()),  # frontal sinus, and bone beside it
    ((1.9, 5.4), (0.41633, 1.17425), -31.07698, 0.750, ()),
    ((-1.9, 5.4), (0.41633, 1.17425), 31.07698, 0.750, ()),
    ((-4.3, 6.8), (1.8, 0.24), -30.0, 0.750, ()),
    ((4.3, 6.8), (1.8, 0.24), 30.0, 0.750, ()),
    ((0.0, -3.6), (1.8, 3.6), 0.0, -0.005, ()),  # ventricle
    ((6.39395, -6.39395), (1.2, 0.42), 58.1, 0.005, ()),  # haematoma
    (
        (0.0, 3.6),
        (2.0, 2.0),
        0.0,
        0.750,
        ((0, 1.2), (180, 1.2), (90, 0.27884), (270, 0.27884)),
    ),
    (
        (0.0, 9.6),
        (1.8, 3.0),
        0.0,
        _BONE,
        ((90, 0.60687), (270, 0.60687), (0, 0.2), (180, 0.2)),
    ),
    # The bone at the back, in two parts.
    (
        (0.0, 0.0),
        (9.0, 11.4),
        0.0,
        0.750,
        ((15, -2.605), (165, -2.605), (90, -10.71177)),
    ),
    (
        (0.0, _TIP),
        (0.443194085308632, 3.892760834372886),
        0.0,
        0.750,
        ((270, _TIP + 10.71177),),
    ),
)
_EAR_EDGE = 8.88740  # where the bone of the right ear joins the skull
_EAR = 9.1

# Number of air cells in a row of the right ear, by the row's distance from the middle along y and z.
_CELLS = ((9, 8, 8, 6), (8, 8, 7, 6), (8, 7, 7, 5), (6, 6, 5, 4))
_CELL_ROW = 0.2 * math.sqrt(3)

# Resolution pattern of the left ear: widths across and along z, and the distances between groups.
_WIDTHS = (0.0357, 0.0312, 0.0278, 0.0250)
_HEIGHTS = (0.4, 0.2, 0.1, 0.05)
_PATTERN = (-7.0, -1.0)
_GROUP = 0.04


def forbild_head(
    diameter: float = 240.0, ear: bool = True, resolution: bool = False, value: float = 0.02
) -> Phantom:
    """The FORBILD head phantom in 2D, forehead towards +y.

    Parameters
    ----------
    diameter : float, default 240.0
        Length of the head from front to back (mm): the 24 cm of the definition.
    ear : bool, default True
        Whether the right ear (towards +x) has its bone with 53 air cells.
    resolution : bool, default False
        Whether there is the pattern of 80 fine dots in the left ear, 0.25 to 0.357 mm wide.
    value : float, default 0.02
        What a density of 1 g/cm^3 stands for, per unit of length; about that of water at 70 keV. Then the
        brain (1.05) is 0.021 / mm and bone (1.8) 0.036 / mm; details differ from the brain by a quarter
        of a percent.

    Notes
    -----
    The table is that of [1]_, a section through the middle of the phantom in 3D [2]_, in which ellipses cut
    by lines stand for cylinders and a cone. (There, and here, the part of the skull beside the right ear is
    filled by the ear.)

    References
    ----------
    .. [1] Z. Yu, F. Noo, F. Dennerlein, A. Wunderlich, G. Lauritsch and J. Hornegger, "Simulation tools for
       two-dimensional experiments in x-ray computed tomography using the FORBILD head phantom", Physics in
       Medicine and Biology 57(13), N237-N252, 2012.
    .. [2] G. Lauritsch and H. Bruder, "Head phantom", FORBILD phantom group, 1998.

    Examples
    --------
    >>> import opalg as oa
    >>> image = forbild_head(value=1.0).sample(
    ...     oa.Grid((256, 256), dtype="float64"), supersampling=1
    ... )
    >>> image[[128, 92, 128], [100, 128, 33]].round(4).tolist()  # brain, ventricle, skull
    [1.05, 1.045, 1.8]
    """
    parts = [
        _cut_ellipse(centre, half, angle, density, lines)
        for centre, half, angle, density, lines in _PLANAR
    ]
    inside = ((0, _EAR_EDGE),) if ear else ()
    parts.append(_cut_ellipse((0.0, 0.0), (9.0, 11.4), 0.0, _BRAIN - _BONE, inside))
    if ear:
        bone = ((0, _EAR_EDGE - _EAR),)
        parts.append(_cut_ellipse((_EAR, 0.0), (4.2, 1.8), 0.0, _BONE - _BRAIN, bone))
        parts += [ellipse((0.15, 0.15), -_BONE, (x, y)) for x, y in _cells(0)]
    if resolution:
        for column, row in itertools.product(range(4), range(4)):
            x, y = _PATTERN[0] + 2 * column * _GROUP, _PATTERN[1] + 12 * row * _GROUP
            width = _WIDTHS[column]
            parts += [
                ellipse((width / 2, width / 2), _BONE - _BRAIN, (x, y + 2 * k * width))
                for k in range(5)
            ]
    return value * _sized(parts, diameter)


def forbild_head_3d(
    diameter: float = 240.0, ear: bool = True, resolution: bool = False, value: float = 0.02
) -> Phantom:
    """The FORBILD head phantom in 3D, forehead towards +y, z from neck to crown.

    Parameters
    ----------
    diameter : float, default 240.0
        Length of the head from front to back (mm): the 24 cm of the definition.
    ear : bool, default True
        Whether the right ear (towards +x) has its bone with 317 air cells.
    resolution : bool, default False
        Whether there is the pattern of 144 fine dots in the left ear.
    value : float, default 0.02
        What a density of 1 g/cm^3 stands for, per unit of length; see `forbild_head`.

    Notes
    -----
    In the definition [1]_ a body takes the place of those listed before. That is written as a sum here, so
    that line integrals are exact: what bone replaces is the brain, so bodies that reach into the skull or
    into each other are added within the brain, and what two of them share is counted once.

    References
    ----------
    .. [1] G. Lauritsch and H. Bruder, "Head phantom", FORBILD phantom group, 1998,
       http://www.imp.uni-erlangen.de/phantoms.

    Examples
    --------
    >>> import opalg as oa
    >>> grid = oa.Grid((65, 65, 65), 4.0, "float64")
    >>> head = forbild_head_3d(value=1.0).sample(grid, supersampling=1)
    >>> head[32, [32, 23, 53], [27, 32, 32]].round(4).tolist()  # brain, ventricle, sinus
    [1.05, 1.045, 0.0]
    """
    brain = ellipsoid((9.0, 11.4, 11.9), _BRAIN - _BONE)
    bone = [*_frontal_bones(), *_occipital_bones()]
    if ear:
        bone.append(ellipsoid((4.2, 1.8, 1.8), 1.0, (_EAR, 0.0, 0.0)).cut((1.0, 0.0, 0.0), _EAR))
    parts = [
        ellipsoid((9.6, 12.0, 12.5), _BONE),
        brain,
        ellipsoid((1.8, 3.6, 3.6), -0.005, (0.0, -3.6, 0.0)),
        ellipsoid((1.8, 3.0, 3.0), -_BRAIN, (0.0, 8.4, 0.0)),
        ball(2.0, 0.010, (-4.7, 4.3, 0.872)),
        ball(2.0, 0.010, (4.7, 4.3, 0.872)),
        ball(0.4, 0.0025, (-1.08, -9.0, 0.0)),
        ball(0.4, -0.0025, (1.08, -9.0, 0.0)),
        _turned(
            ellipsoid((1.2, 0.42, 1.2), 0.005),
            (_cos(58.1), _sin(58.1), 0.0),
            (0.0, 0.0, 1.0),
            (6.393945, -6.393945, 0.0),
        ),
        # A plate in the sinus, where there is air.
        _BONE
        * _turned(
            cylinder(1.0, 0.4).scaled((0.525561, 2.0, 1.0)),
            (0.0, _cos(30), _sin(30)),
            (1.0, 0.0, 0.0),
            (0.0, 9.6, 0.0),
        ),
        *((_BONE - _BRAIN) * (one & brain) for one in bone),
        *((_BRAIN - _BONE) * (one & other & brain) for one, other in _sharing(bone)),
    ]
    if ear:
        parts += [
            ball(0.15, -_BONE, (x, y, level * _CELL_ROW))
            for level in range(-3, 4)
            for x, y in _cells(level)
        ]
    if resolution:
        parts += _dots()
    return value * _sized(parts, diameter)


def _frontal_bones() -> list[Phantom]:
    """Bones around the sinus and the eyes, of value 1."""
    tilt, shrink = _sin(15), _cos(15)
    return [
        _turned(
            cylinder(1.0, 0.5 * shrink).scaled((1.2, 4.0, 1.0)),
            (-1.0, 0.0, 0.0),
            (0.0, -_cos(30), _sin(30)),
            (0.0, 3.6, 0.0),
        ),
        _turned(
            ellipsoid((1.206483 * shrink, 0.420276 * shrink, 3.0)),
            (shrink * _cos(120), _sin(120), -tilt * _cos(120)),
            (tilt, 0.0, shrink),
            (-1.9, 5.4, 0.0),
        ),
        _turned(
            ellipsoid((1.2 * shrink, 0.42 * shrink, 3.0)),
            (shrink * _cos(60), _sin(60), tilt * _cos(60)),
            (-tilt, 0.0, shrink),
            (1.9, 5.4, 0.0),
        ),
        *(
            cylinder(1.0, 4.0)
            .scaled((1.8, 0.24, 1.0))
            .rotated(math.radians(angle))
            .moved(x, 6.8, -1.0)
            for x, angle in ((-4.3, 150.0), (4.3, 30.0))
        ),
    ]


def _occipital_bones() -> list[Phantom]:
    """Two cones at the back, of value 1, with their axes along y."""
    body = cone(0.5, 1.5, top_radius=0.2).rotated(-math.pi / 2, "x")  # z to y
    return [body.moved(0.0, -11.15, z) for z in (-0.2, 0.2)]


def _sharing(bone: list[Phantom]) -> list[tuple[Phantom, Phantom]]:
    """The pairs that overlap: the long bones with those behind and before them, and the cones."""
    plate, left, right, left_brow, right_brow, low, high, *_ = bone
    pairs = [(left, plate), (right, plate), (left, left_brow), (right, right_brow)]
    return [*pairs, (low, high)]


def _cells(level: int) -> list[tuple[float, float]]:
    """Centres (x, y) of the air cells of the right ear at a level along z."""
    return [
        (8.8 - 0.2 * ((level + row) % 2) - 0.4 * k, row * _CELL_ROW)
        for row in range(-3, 4)
        for k in range(_CELLS[abs(level)][abs(row)])
    ]


def _dots() -> list[Phantom]:
    """The pattern of the left ear: rows along y and along z for each width and height."""
    found = []
    for (column, width), (row, height) in itertools.product(
        enumerate(_WIDTHS), enumerate(_HEIGHTS)
    ):
        x, y = _PATTERN[0] + 2 * column * _GROUP, _PATTERN[1] + 12 * row * _GROUP
        places = [(y + 2 * k * width, 0.0) for k in range(5)]
        places += [(y, 2 * k * height) for k in range(1, 5)]
        half = (width / 2, width / 2, height / 2)
        found += [ellipsoid(half, _BONE - _BRAIN, (x, y, z)) for y, z in places]
    return found


def _cut_ellipse(
    centre: tuple[float, float],
    half: tuple[float, float],
    angle: float,
    density: float,
    lines: tuple[tuple[float, float], ...],
) -> Phantom:
    body = ellipse(half, density, angle=math.radians(angle))
    for direction, distance in lines:
        body = body.cut((_cos(direction), _sin(direction)), distance)
    return body.moved(*centre)


def _turned(
    body: Phantom,
    x_axis: tuple[float, float, float],
    z_axis: tuple[float, float, float],
    centre: tuple[float, float, float],
) -> Phantom:
    """A body whose own x and z axes point along two orthogonal unit vectors."""
    matrix = np.stack([x_axis, np.cross(z_axis, x_axis), z_axis], axis=1)
    shapes: list[Shape] = [shape.mapped(matrix, np.array(centre)) for shape in body.shapes]
    return Phantom(shapes)


def _sized(parts: list[Phantom], diameter: float) -> Phantom:
    if not isinstance(diameter, (int, float, np.number)) or not 0 < diameter < math.inf:
        raise ArgumentError(f"diameter must be a positive length, got {diameter!r}")
    return reduce(add, parts).scaled(diameter / _LENGTH)


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def _sin(degrees: float) -> float:
    return math.sin(math.radians(degrees))
