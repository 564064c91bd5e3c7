"""Every phantom against its definition, written a second time: values at points, and integrals along rays."""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError
from opalg.tomo import phantoms


def turned(p, angle, axes=(0, 1)):
    """Points after a turn by minus the angle: in the frame of a body that was turned by it."""
    first, second = axes
    q = p.copy()
    q[..., first] = math.cos(angle) * p[..., first] + math.sin(angle) * p[..., second]
    q[..., second] = -math.sin(angle) * p[..., first] + math.cos(angle) * p[..., second]
    return q


def ellipse(p, half, centre, angle=0.0):
    q = turned(p - np.array(centre), angle)
    return ((q / np.array(half)) ** 2).sum(axis=-1) <= 1


def block(p, size, centre, angle=0.0):
    q = turned(p - np.array(centre), angle)
    return (np.abs(q) <= np.array(size) / 2).all(axis=-1)


def shepp_logan(p, rows):
    """The sum over the rows of a table: centre, half axes, degrees, value, in the unit of the head."""
    n = p.shape[-1]
    total = np.zeros(p.shape[:-1])
    for row in rows:
        total += row[-1] * ellipse(p, row[n : 2 * n], row[:n], math.radians(row[2 * n]))
    return total


# Toft's table B.3 (2D); Kak and Slaney's table 3.2 with the values of the planar head (3D).
FLAT_HEAD = [
    (0, 0, 0.69, 0.92, 0, 1.0),
    (0, -0.0184, 0.6624, 0.874, 0, -0.8),
    (0.22, 0, 0.11, 0.31, -18, -0.2),
    (-0.22, 0, 0.16, 0.41, 18, -0.2),
    (0, 0.35, 0.21, 0.25, 0, 0.1),
    (0, 0.1, 0.046, 0.046, 0, 0.1),
    (0, -0.1, 0.046, 0.046, 0, 0.1),
    (-0.08, -0.605, 0.046, 0.023, 0, 0.1),
    (0, -0.605, 0.023, 0.023, 0, 0.1),
    (0.06, -0.605, 0.023, 0.046, 0, 0.1),
]
DEEP_HEAD = [
    (0, 0, 0, 0.69, 0.92, 0.81, 0, 1.0),
    (0, -0.0184, 0, 0.6624, 0.874, 0.78, 0, -0.8),
    (0.22, 0, 0, 0.11, 0.31, 0.22, -18, -0.2),
    (-0.22, 0, 0, 0.16, 0.41, 0.28, 18, -0.2),
    (0, 0.35, -0.15, 0.21, 0.25, 0.41, 0, 0.1),
    (0, 0.1, 0.25, 0.046, 0.046, 0.05, 0, 0.1),
    (0, -0.1, 0.25, 0.046, 0.046, 0.05, 0, 0.1),
    (-0.08, -0.605, 0, 0.046, 0.023, 0.05, 0, 0.1),
    (0, -0.606, 0, 0.023, 0.023, 0.02, 0, 0.1),
    (0.06, -0.605, 0, 0.023, 0.046, 0.02, 0, 0.1),
]


def cylinder(p, radius, height, centre, angle):
    """Turned about x after it was made."""
    q = turned(p - np.array(centre), angle, (1, 2))
    return (np.hypot(q[..., 0], q[..., 1]) <= radius) & (np.abs(q[..., 2]) <= height / 2)


def tapered(p, base, top, height, corner):
    """Between two planes, with a width that falls from base to top; round, or with corners."""
    x, y, z = np.moveaxis(p, -1, 0)
    width = base + (top - base) * (z + height / 2) / height
    reach = np.maximum(np.abs(x), np.abs(y)) if corner else np.hypot(x, y)
    return (np.abs(z) <= height / 2) & (reach <= width)


# Each with its definition; PYRO-NN has all of these but for cut bodies and cones.
CATALOGUE = {
    "disc": (phantoms.disc(7.0, 0.5, (2.0, -3.0)), lambda p: 0.5 * ellipse(p, (7, 7), (2, -3))),
    "ellipse": (
        phantoms.ellipse((8.0, 3.0), 0.5, (2.0, -3.0), 0.6),
        lambda p: 0.5 * ellipse(p, (8, 3), (2, -3), 0.6),
    ),
    "rectangle": (
        phantoms.rectangle((9.0, 5.0), 0.5, (2.0, -3.0), 0.6),
        lambda p: 0.5 * block(p, (9, 5), (2, -3), 0.6),
    ),
    "half disc": (
        phantoms.disc(7.0, 0.5, (2.0, -3.0)).cut((3.0, 4.0), -5.0),
        lambda p: 0.5 * (ellipse(p, (7, 7), (2, -3)) & (p @ np.array([0.6, 0.8]) <= -1.0)),
    ),
    "lens, turned": (
        (phantoms.disc(7.0, 0.5) & phantoms.disc(6.0, 9.0, (5.0, 0.0))).rotated(0.4),
        lambda p: (
            0.5
            * (ellipse(turned(p, 0.4), (7, 7), (0, 0)) & ellipse(turned(p, 0.4), (6, 6), (5, 0)))
        ),
    ),
    "Shepp-Logan": (
        phantoms.shepp_logan(18.4, value=0.5),
        lambda p: 0.5 * shepp_logan(p / 10, FLAT_HEAD),
    ),
    "Shepp-Logan 3D": (
        phantoms.shepp_logan_3d(18.4, value=0.5),
        lambda p: 0.5 * shepp_logan(p / 10, DEEP_HEAD),
    ),
    "ball": (
        phantoms.ball(7.0, 0.5, (2.0, -3.0, 1.0)),
        lambda p: 0.5 * ellipse(p, (7, 7, 7), (2, -3, 1)),
    ),
    "cube, turned": (
        phantoms.box((9.0, 9.0, 9.0), 0.5, (2.0, -3.0, 1.0), 0.6),
        lambda p: 0.5 * block(p, (9, 9, 9), (2, -3, 1), 0.6),
    ),
    "ellipsoid, turned": (
        phantoms.ellipsoid((8.0, 3.0, 5.0), 0.5, (2.0, -3.0, 1.0), 0.6),
        lambda p: 0.5 * ellipse(p, (8, 3, 5), (2, -3, 1), 0.6),
    ),
    "cylinder, turned": (
        phantoms.cylinder(4.0, 11.0, 0.5).rotated(0.6, "x").moved(2.0, -3.0, 1.0),
        lambda p: 0.5 * cylinder(p, 4, 11, (2, -3, 1), 0.6),
    ),
    "pyramid": (
        phantoms.pyramid(12.0, 10.0, 0.5, (1.0, 2.0, -1.0)),
        lambda p: 0.5 * tapered(p - np.array([1, 2, -1]), 6, 0, 10, corner=True),
    ),
    "cone": (
        phantoms.cone(6.0, 10.0, 0.5, (1.0, 2.0, -1.0)),
        lambda p: 0.5 * tapered(p - np.array([1, 2, -1]), 6, 0, 10, corner=False),
    ),
    "truncated cone": (
        phantoms.cone(6.0, 7.0, 0.5, (1.0, 2.0, -1.0), top_radius=2.5),
        lambda p: 0.5 * tapered(p - np.array([1, 2, -1]), 6, 2.5, 7, corner=False),
    ),
    "hollow box": (
        phantoms.box((12.0,) * 3, 0.5) + phantoms.box((10.0,) * 3, -0.5),
        lambda p: 0.5 * (block(p, (12,) * 3, (0,) * 3) ^ block(p, (10,) * 3, (0,) * 3)),
    ),
}


def geometries(ndim):
    """Rays from near and far, along the axes and not, on flat and curved detectors."""
    if ndim == 2:
        return [
            tomo.ParallelBeam([0.0, 0.7, math.pi / 2], detector=23, pitch=0.9),
            tomo.FanBeam(4, 23, 1.7, sod=40.0, sdd=80.0),
            tomo.FanBeam([0.3, 2.0], 23, 1.7, sod=40.0, sdd=80.0, curved=True),
        ]
    return [
        tomo.ParallelBeam([0.0, 0.7, math.pi / 2], detector=(9, 13), pitch=1.6),
        tomo.ConeBeam(3, (9, 13), 3.1, sod=40.0, sdd=80.0),
        tomo.ConeBeam.helical(1, 6.0, 4, (9, 13), 3.1, sod=40.0, sdd=80.0),
        tomo.rotate("x", 0.5) * tomo.ConeBeam([0.3, 2.0], (9, 13), 3.1, sod=40.0, sdd=80.0),
        # From above and from below: steeper than the sides of cones and pyramids.
        tomo.rotate("x", 1.4) * tomo.ConeBeam([0.1, 3.2], (9, 13), 3.1, sod=40.0, sdd=80.0),
        tomo.rotate("x", math.pi / 2) * tomo.ParallelBeam([0.0], detector=(9, 13), pitch=1.6),
    ]


def integral(definition, geometry, reach, count):
    """By the midpoint rule over the part of every ray that is less than ``reach`` from the origin."""
    points, directions = np.broadcast_arrays(*geometry.rays())
    nearest = points - (points * directions).sum(axis=-1, keepdims=True) * directions
    step = 2 * reach / count
    total = np.zeros(nearest.shape[:-1])
    for t in (np.arange(count) + 0.5) * step - reach:
        total += definition(nearest + t * directions)
    return total * step, step


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_projections_are_integrals_of_the_definition(name):
    phantom, definition = CATALOGUE[name]
    for geometry in geometries(phantom.ndim):
        expected, step = integral(definition, geometry, 16.0, 1000)
        # Half a step at each of two surfaces of every body, if the worst comes together.
        bound = 1.001 * step * sum(abs(shape.value) for shape in phantom.shapes)
        found = phantom.project(geometry, "float64")
        np.testing.assert_allclose(found, expected, atol=bound)
        assert found.max() > 20 * bound


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_samples_are_means_of_the_definition(name):
    phantom, definition = CATALOGUE[name]
    n, factor = (12, 3) if phantom.ndim == 3 else (24, 4)
    grid = oa.Grid((n,) * phantom.ndim, 22 / n, "float64", origin=0.13)
    fine = oa.Grid((n * factor,) * phantom.ndim, 22 / n / factor, "float64", origin=0.13)
    cells = np.stack(np.meshgrid(*fine.coordinates, indexing="ij")[::-1], axis=-1)
    values = definition(cells).reshape((n, factor) * phantom.ndim)
    expected = values.mean(axis=tuple(range(1, 2 * phantom.ndim, 2)))
    np.testing.assert_allclose(phantom.sample(grid, factor), expected, atol=1e-12)


PLANAR = {
    "Derenzo": phantoms.derenzo(24.0, (4.0, 3.0, 2.0)),
    "turned": phantoms.ellipse((8.0, 3.0), 0.5, (2.0, -3.0), 0.6)
    + phantoms.rectangle((9.0, 5.0), -0.3, (2.0, 3.0), 0.4),
    "half disc": phantoms.disc(7.0, 0.5, (2.0, -3.0)).cut((3.0, 4.0), -5.0),
    "lens": phantoms.disc(7.0, 0.5) & phantoms.disc(6.0, 9.0, (5.0, 0.0)),
}


@pytest.mark.parametrize("name", list(PLANAR))
def test_extruded_phantoms_are_planar_ones_in_every_plane(name):
    planar = PLANAR[name]
    deep = planar.extruded(10.0)
    image = planar.sample(oa.Grid((20, 24), (1.3, 1.1), "float64"))
    planes = deep.sample(oa.Grid((7, 20, 24), (2.0, 1.3, 1.1), "float64"))  # z = -6, -4, ..., 6
    np.testing.assert_allclose(planes[1:-1], [image] * 5, atol=1e-12)
    # The cells at 6 have their lowest points at 5.25, above the end at 5.
    assert not planes[[0, -1]].any()
    assert (planar + planar).extruded(10.0) == deep + deep

    views = [0.3, 2.0]
    row = planar.project(tomo.ParallelBeam(views, 23), "float64")
    rows = deep.project(tomo.ParallelBeam(views, (7, 23), (2.0, 1.0)), "float64")
    np.testing.assert_allclose(rows[:, 1:-1], np.repeat(row[:, None], 5, axis=1), atol=1e-12)
    assert not rows[:, [0, -1]].any()
    # A cone that stays between the ends sees each chord as long as its ray is steep.
    fan = tomo.FanBeam(views, 23, 1.5, sod=40.0, sdd=80.0)
    cone = tomo.ConeBeam(views, (5, 23), (4.0, 1.5), sod=40.0, sdd=80.0)
    v, u = cone.detector_coordinates
    flat = np.hypot(80.0, u)
    longer = np.hypot(flat, v[:, None]) / flat
    found = planar.extruded(40.0).project(cone, "float64")
    expected = planar.project(fan, "float64")[:, None] * longer
    np.testing.assert_allclose(found, expected, atol=1e-6)  # roots of rounding errors at edges


def test_random_scenes_are_sums_of_their_bodies():
    scene = phantoms.random_scene(6, 20.0, 0.5, seed=5)
    one_by_one = [tomo.phantoms.Phantom([shape]) for shape in scene.shapes]
    for geometry in geometries(3):
        y = sum(part.project(geometry, "float64") for part in one_by_one)
        np.testing.assert_allclose(scene.project(geometry, "float64"), y, rtol=1e-12, atol=1e-12)


def test_cuts_move_with_their_bodies():
    half = phantoms.disc(7.0).cut((1.0, 0.0), 0.0).moved(2.0, 0.0).rotated(math.pi / 2)
    found = half.sample(oa.Grid((40, 40), 0.5), supersampling=1)
    y, x = oa.Grid((40, 40), 0.5).coordinates
    expected = (np.hypot(x, y[:, None] - 2) <= 7) & (y[:, None] <= 2)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: phantoms.disc(1.0).cut((0.0, 0.0), 1.0), "a cut needs a finite normal"),
        (lambda: phantoms.disc(1.0).cut((1.0, 0.0, 0.0), 1.0), "the normal must be 2 numbers"),
        (lambda: phantoms.disc(1.0) & phantoms.ball(1.0), "one body in 2D"),
        (lambda: phantoms.disc(1.0) & phantoms.derenzo(), "one body in 2D"),
        (lambda: phantoms.ball(1.0).extruded(2.0), "this one is in 3D"),
        (lambda: phantoms.disc(1.0).extruded(0.0), "height must be a positive length"),
        (lambda: phantoms.disc(1.0).extruded("high"), "height must be a positive length"),
        (lambda: phantoms.cone(1.0, 2.0, top_radius=1.0), "upper radius must be less"),
        (lambda: phantoms.forbild_head(diameter=0.0), "diameter must be a positive length"),
    ],
)
def test_errors_say_what_is_wrong(build, words):
    with pytest.raises(ArgumentError, match=words):
        build()
