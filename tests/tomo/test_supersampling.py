"""Voxels and detector pixels divided into smaller ones."""

import numpy as np
import pytest
from geometries import geometries
from hypothesis import given

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import ArgumentError
from opalg.operators import column_sums, row_sums
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


FAN = tomo.FanBeam(7, 9, 1.5, sod=40.0, sdd=60.0)
CONE = tomo.ConeBeam(5, (4, 6), 2.0, sod=40.0, sdd=60.0)


@pytest.mark.parametrize("geometry", [FAN, CONE], ids=["fan", "cone"])
@pytest.mark.parametrize("voxels", [1, 2])
def test_views_and_pixels_are_chosen(geometry, voxels):
    grid = oa.Grid((3, 5, 4)[-geometry.ndim :], 2.0, "float64")
    rng = np.random.default_rng(0)
    seen = rng.random(geometry.shape) < 0.7
    A = tomo.supersampled(grid, geometry, voxels, 3, model="siddon", detector_mask=seen)
    x = grid.random(1)
    whole = A(x)
    for views in (slice(1, None, 3), [0, 3], 2):
        kept = slice(views, views + 1) if isinstance(views, int) else views
        np.testing.assert_allclose(A[views](x), whole[kept], atol=1e-12)
        assert A[views].geometry == geometry[views]
    np.testing.assert_allclose(A[:, 1:3](x), whole[:, 1:3], atol=1e-12)
    parts = A.subsets(3)
    assert parts[1] is A.subsets(3)[1]
    assert parts[1] is A[1::3]
    with pytest.raises(ArgumentError, match="can be split into 1 to"):
        A.subsets(99)
    with pytest.raises(TypeError):
        iter(A)


def test_sums_of_subsets_are_kept_and_solvers_take_them():
    A = tomo.supersampled(oa.Grid((6, 6), 2.0), FAN, detector=2)
    part = A.subsets(2)[0]
    assert row_sums(part) is row_sums(A.subsets(2)[0])
    assert column_sums(part) is column_sums(A.subsets(2)[0])
    np.testing.assert_allclose(row_sums(part), row_sums(A)[::2], rtol=1e-5)
    y = A(A.domain.ones())
    x = solvers.OSSART(A, subsets=3, iterations=20)(y)
    by_hand = solvers.OSSART(oa.vstack([A[i::3] for i in range(3)]), subsets=3, iterations=20)
    np.testing.assert_allclose(x, by_hand(oa.Blocks([y[i::3] for i in range(3)])), atol=1e-4)


@pytest.mark.parametrize("every_view", [False, True])
def test_masks(every_view):
    """Hidden voxels and pixels are exactly zero, whatever the values in their places."""
    grid = oa.Grid((3, 5, 4), 2.0, "float64")
    rng = np.random.default_rng(0)
    inside = rng.random(grid.shape) < 0.7
    seen = rng.random(CONE.shape if every_view else CONE.detector_shape) < 0.7
    plain = tomo.supersampled(grid, CONE, 2, 3)
    A = tomo.supersampled(grid, CONE, 2, 3, volume_mask=inside, detector_mask=seen)
    seen = np.broadcast_to(seen, CONE.shape)
    x, y = grid.random(1), A.range.random(2)
    np.testing.assert_allclose(A(x), np.where(seen, plain(np.where(inside, x, 0)), 0), atol=1e-12)
    back = plain.H(np.where(seen, y, 0))
    np.testing.assert_allclose(A.H(y), np.where(inside, back, 0), atol=1e-12)
    assert not A(x)[~seen].any()
    assert not A.H(y)[~inside].any()
    x[~inside], y[~seen] = np.nan, np.nan
    assert np.isfinite(A(x)).all()
    assert np.isfinite(A.H(y)).all()
    with pytest.raises(ArgumentError, match="volume_mask must be a boolean array"):
        tomo.supersampled(grid, CONE, 2, volume_mask=np.ones((6, 10, 8), bool))
