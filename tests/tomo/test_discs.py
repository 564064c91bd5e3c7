"""Conventions and accuracy in numbers that a person can verify: discs and their chords."""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo


def centre_of_mass(values, positions):
    return float((values * positions).sum() / values.sum())


@pytest.mark.parametrize(
    ("degrees", "u"), [(0, 12.0), (90, -7.0), (180, -12.0), (270, 7.0), (45, 5 / math.sqrt(2))]
)
@pytest.mark.parametrize("offset", [0.0, 3.25])
def test_a_disc_lands_where_the_conventions_say(degrees, u, offset):
    # At (x, y) = (12, -7): u = x cos a + y sin a. The axis 1 of an image is x, axis 0 is y.
    grid = oa.Grid((64, 80), (1.0, 0.8), "float64")
    geometry = tomo.ParallelBeam(np.deg2rad([degrees]), detector=501, pitch=0.2, offset=offset)
    image = tomo.phantoms.disc(3.0, centre=(12.0, -7.0)).sample(grid)
    y, x = grid.coordinates
    assert centre_of_mass(image, x) == pytest.approx(12.0, abs=0.01)
    assert centre_of_mass(image, y[:, None]) == pytest.approx(-7.0, abs=0.01)
    assert image[24, 54] == 1.0  # y = -7.5, x = 11.6
    projection = tomo.XrayTransform(grid, geometry)(image)[0]
    # Linear interpolation along x or y keeps centres of mass; 0.02 is a tenth of a detector pixel.
    assert centre_of_mass(projection, geometry.detector_coordinates[0]) == pytest.approx(
        u, abs=0.02
    )


def test_a_ball_lands_at_its_height():
    grid = oa.Grid((20, 32, 32), (2.0, 1.0, 1.0), "float64")
    geometry = tomo.ParallelBeam(3, detector=(30, 41), pitch=(1.5, 1.0), offset=(1.0, 0.0))
    image = tomo.phantoms.ball(5.0, centre=(3.0, 0.0, 6.0)).sample(grid)
    projection = tomo.XrayTransform(grid, geometry)(image)
    v = geometry.detector_coordinates[0]
    for view in projection:
        assert centre_of_mass(view.sum(axis=1), v) == pytest.approx(6.0, abs=0.05)


def test_a_disc_projects_to_its_chords_in_every_unit():
    for unit in (0.01, 1.0, 25.0):
        grid = oa.Grid((128, 128), 0.5 * unit, "float64")
        geometry = tomo.ParallelBeam(4, detector=65, pitch=unit)
        phantom = tomo.phantoms.disc(20.0 * unit, value=0.02 / unit)
        y = tomo.XrayTransform(grid, geometry)(phantom.sample(grid))
        # In the middle 40 units of 0.02 per unit. Both ends are blurred over a pixel, of which an
        # eighth is lost in oblique views: 0.5 / 8 * 2 of 40 units.
        np.testing.assert_allclose(y[:, 32], 0.8, rtol=4e-3)


def test_error_falls_at_the_expected_order():
    """Order 1 in the L2 norm: rays that touch the disc's edge have chords like the square root of the
    distance, so on a strip of width h the error is of size h^(1/2), and its square sums to h^2."""
    phantom = tomo.phantoms.disc(20.0, centre=(3.0, -2.0))
    geometry = tomo.ParallelBeam(31, detector=401, pitch=0.15)
    exact = phantom.project(geometry, "float64")
    errors = []
    for n in (32, 64, 128, 256):
        grid = oa.Grid((n, n), 56.0 / n, "float64")
        y = tomo.XrayTransform(grid, geometry)(phantom.sample(grid))
        errors.append(np.linalg.norm(y - exact) / np.linalg.norm(exact))
    orders = -np.diff(np.log2(errors))
    assert all(0.9 < order < 1.2 for order in orders), (errors, orders)
    assert errors[-1] < 3e-3


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.5, 0.7), (1.0, 0.5)])
@pytest.mark.parametrize("pitch", [0.25, 0.5, 0.8, 1.0])
def test_fbp_brings_back_absolute_values(spacing, pitch):
    shape = tuple(round(130 / step) for step in spacing)
    grid = oa.Grid(shape, spacing, origin=(1.0, -2.0))
    geometry = tomo.ParallelBeam(240, detector=round(190 / pitch), pitch=pitch, offset=0.3)
    y = tomo.phantoms.disc(50.0, 0.02, centre=(3.0, -5.0)).project(geometry)
    x = tomo.FBP(tomo.XrayTransform(grid, geometry))(y)
    ys, xs = grid.coordinates
    interior = np.hypot(xs - 3.0, ys[:, None] + 5.0) < 40
    # Every pixel, the rotation axis included. 0.2 % is the worst that was seen, at pitch 2 * spacing.
    np.testing.assert_allclose(x[interior], 0.02, rtol=5e-3)
    assert x[interior].mean() == pytest.approx(0.02, rel=2e-4)


@pytest.mark.parametrize(
    "angles",
    [
        np.linspace(0, 2 * np.pi, 361),  # full turn, end repeated
        np.sort(np.random.default_rng(0).uniform(0, np.pi, 400)),
        np.random.default_rng(1).uniform(0, 2 * np.pi, 500),
        np.concatenate([np.linspace(0, 1, 200), np.linspace(1.02, np.pi, 100, endpoint=False)]),
    ],
    ids=["full turn", "random", "random, unordered", "two densities"],
)
def test_fbp_with_unequal_angles(angles):
    grid = oa.Grid((128, 128))
    geometry = tomo.ParallelBeam(angles, detector=190)
    y = tomo.phantoms.disc(50.0, 0.02, centre=(3.0, -5.0)).project(geometry)
    x = tomo.FBP(tomo.XrayTransform(grid, geometry), window="hann")(y)
    ys, xs = grid.coordinates
    interior = np.hypot(xs - 3.0, ys[:, None] + 5.0) < 40
    np.testing.assert_allclose(x[interior], 0.02, rtol=1e-2)


def test_fbp_of_a_stack():
    grid = oa.Grid((16, 64, 64), (1.5, 1.0, 1.0))
    geometry = tomo.ParallelBeam(120, detector=(24, 96), pitch=(1.0, 1.0))
    y = tomo.phantoms.cylinder(25.0, 30.0, 0.02).project(geometry)
    x = tomo.FBP(tomo.XrayTransform(grid, geometry), window="hann")(y)
    np.testing.assert_allclose(x[2:-2, 24:40, 24:40], 0.02, rtol=1e-2)
