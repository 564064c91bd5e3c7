"""Voxels and detector pixels divided into smaller ones."""

import numpy as np
import pytest
from geometries import geometries
from hypothesis import given

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError
from opalg.tomo.supersampling import divided


@given(geometries())
def test_pixels_are_divided_in_place(geometry):
    n = geometry.detector_shape
    pixels = divided(geometry, 3).frames.pixels(tuple(3 * k for k in n))
    middles = pixels[(slice(None), *[slice(1, None, 3)] * len(n))]
    np.testing.assert_allclose(middles, geometry.frames.pixels(n), atol=1e-12 * abs(pixels).max())


@given(geometries())
def test_repeats_voxels_and_takes_means_of_pixels(geometry):
    """The definition, by a loop over finer voxels and pixels."""
    grid = oa.Grid((2, 3, 2)[-geometry.ndim :], 2.0, "float64", 0.3)
    finer_grid = oa.Grid(tuple(2 * n for n in grid.shape), 1.0, "float64", 0.3)
    A = tomo.supersampled(grid, geometry, voxels=2, detector=3, model="siddon")
    finer = tomo.XrayTransform(finer_grid, divided(geometry, 3), "siddon")
    x = grid.random(0)
    repeated = np.zeros(finer_grid.shape)
    for index in np.ndindex(*finer_grid.shape):
        repeated[index] = x[tuple(k // 2 for k in index)]
    expected = np.zeros(geometry.shape)
    parts = 3 ** len(geometry.detector_shape)
    values = finer(repeated)
    for view, *pixel in np.ndindex(*values.shape):
        expected[(view, *(k // 3 for k in pixel))] += values[(view, *pixel)] / parts
    np.testing.assert_allclose(A(x), expected, atol=1e-11)
    y = A.range.random(1)
    assert np.vdot(A(x), y) == pytest.approx(np.vdot(x, A.H(y)), abs=1e-10)


def test_finer_pixels_measure_areas():
    """The mean over an area, exact by many rays: a disc in a fan of wide pixels."""
    fan = tomo.FanBeam(7, 30, 4.0, 150.0, 250.0)
    grid = oa.Grid((160, 160), 0.3, "float64")
    disc = tomo.phantoms.disc(20.0, 0.02, (3.0, -2.0))
    exact = disc.project(divided(fan, 64), "float64").reshape(7, 30, 64).mean(-1)
    error = {
        name: np.linalg.norm(A(disc.sample(grid)) - exact) / np.linalg.norm(exact)
        for name, A in (
            ("ray", tomo.supersampled(grid, fan)),
            ("rays", tomo.supersampled(grid, fan, detector=8)),
            ("area", tomo.supersampled(grid, fan, model="footprint")),
        )
    }
    assert error["rays"] < error["ray"] / 5
    assert error["area"] < error["ray"] / 5


def test_without_division_it_is_the_transform():
    grid, fan = oa.Grid((4, 4)), tomo.FanBeam(3, 5, 1.0, 20.0, 30.0)
    assert tomo.supersampled(grid, fan, model="siddon") == tomo.XrayTransform(grid, fan, "siddon")


@pytest.mark.parametrize("parts", [{"voxels": 0}, {"detector": 1.5}])
def test_parts_are_positive_integers(parts):
    with pytest.raises(ArgumentError, match="must be a positive integer"):
        tomo.supersampled(oa.Grid((4, 4)), tomo.ParallelBeam(3, 5), **parts)
