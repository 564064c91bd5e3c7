"""What every model of the X-ray transform promises in every geometry."""

import pickle
from functools import cache

import numpy as np
import pytest
from geometries import geometries
from hypothesis import given
from hypothesis import strategies as st

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError

MODELS = ("joseph", "siddon", "footprint")


@st.composite
def transforms(draw, model, dtype="float64"):
    """Small images of any spacing and place, seen by a geometry of any kind."""
    geometry = draw(geometries())
    length, place = st.floats(0.5, 3.0), st.floats(-1.0, 1.0)
    shape = [draw(st.integers(1, 6)) for _ in range(geometry.ndim)]
    spacing, origin = [draw(length) for _ in shape], [draw(place) for _ in shape]
    return tomo.XrayTransform(oa.Grid(shape, spacing, dtype, origin), geometry, model)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("model", MODELS)
def test_transpose_is_exact(model, dtype, bound):
    @given(transforms(model, dtype))
    def check(A):
        x, y = A.domain.random(2), A.range.random(3)
        forward, back = A(x).astype(float), A.H(y).astype(float)
        left, right = np.vdot(forward, y.astype(float)), np.vdot(x.astype(float), back)
        scale = max(
            np.linalg.norm(forward) * np.linalg.norm(y), np.linalg.norm(x) * np.linalg.norm(back)
        )
        assert abs(left - right) <= bound * scale

    check()


@pytest.mark.parametrize("model", MODELS)
def test_is_kept_by_parts_pickles_and_prints(model):
    @given(transforms(model))
    def check(A):
        assert A[::2].model == A.subsets(1)[0].model == model
        copy = pickle.loads(pickle.dumps(A))
        assert copy == A
        assert hash(copy) == hash(A)
        assert copy.model == model
        assert (repr(model) in repr(A)) == (model in A._arguments[0])
        x = A.domain.random(0)
        np.testing.assert_allclose(A[::2](x), A(x)[::2], atol=1e-11)
        assert A(np.ones_like(x)).min() >= 0

    check()


def test_models_differ():
    grid, geometry = oa.Grid((8, 8)), tomo.FanBeam(4, 9, 1.0, 20.0, 30.0)
    transforms = [tomo.XrayTransform(grid, geometry, model) for model in MODELS]
    assert len(set(transforms)) == len(MODELS)
    assert transforms[0] == tomo.XrayTransform(grid, geometry)
    x = grid.random(0)
    results = [A(x) for A in transforms]
    for i, one in enumerate(results):
        for other in results[:i]:
            assert not np.allclose(one, other, rtol=1e-3)
            assert np.linalg.norm(one - other) < 0.5 * np.linalg.norm(one)


@pytest.mark.parametrize("name", ["fan", "cone", "tilted parallel"])
def test_cost_of_footprints_counts_pixels(name):
    geometry = GEOMETRIES[name]
    grid = oa.Grid((6,) * geometry.ndim, 4.0, "float64")
    A = tomo.XrayTransform(grid, geometry, "footprint")
    touched = 0
    for unit in np.eye(grid.size).reshape(-1, *grid.shape):
        touched += np.count_nonzero(A(unit))
    assert A.cost().operations == pytest.approx(4 * touched, rel=0.25)


def test_an_unknown_model_is_told():
    with pytest.raises(ArgumentError, match=r"one of joseph, siddon, footprint.*not 'strip'"):
        tomo.XrayTransform(oa.Grid((4, 4)), tomo.ParallelBeam(3, 5), "strip")


GEOMETRIES = {
    "parallel 2D": tomo.ParallelBeam(7, 81, 0.75),
    "fan": tomo.FanBeam(7, 81, 1.2, 150.0, 250.0),
    "curved fan": tomo.FanBeam(7, 81, 1.2, 150.0, 250.0, curved=True),
    "parallel 3D": tomo.ParallelBeam(5, (31, 41), 1.57),
    "cone": tomo.ConeBeam(5, (31, 41), 2.4, 150.0, 250.0),
    "curved cone": tomo.ConeBeam(5, (31, 41), 2.4, 150.0, 250.0, curved=True),
    "tilted cone": tomo.rotate("x", 0.5) * tomo.ConeBeam(5, (31, 41), 2.4, 150.0, 250.0),
    "tilted parallel": tomo.rotate("x", 0.5) * tomo.ParallelBeam(5, (31, 41), 1.5),
}


@cache
def ball(name, unit):
    """Geometry, grid, samples of a ball and its exact projections, which are the same for all models."""
    geometry = tomo.scale(unit) * GEOMETRIES[name]
    ndim = geometry.ndim
    centre = (3.0 * unit, -2.0 * unit, unit)[:ndim]
    body = (tomo.phantoms.disc if ndim == 2 else tomo.phantoms.ball)(20 * unit, 0.02 / unit, centre)
    grid = oa.Grid((64,) * ndim, 0.75 * unit, "float64")
    return geometry, grid, body.sample(grid), body.project(geometry, "float64")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("unit", [0.01, 1.0])
def test_a_ball_projects_to_its_chords(model, name, unit):
    """In every unit; bounds of the norm hold."""
    geometry, grid, x, exact = ball(name, unit)
    A = tomo.XrayTransform(grid, geometry, model)
    y, inner = A(x), exact > 0.5
    # Chords of 25 to 40 units. Single rays of Siddon's method gain or lose up to a voxel at either end.
    np.testing.assert_allclose(y[inner], exact[inner], atol=2 * 0.75 * 0.02)
    assert np.linalg.norm((y - exact)[inner]) < 8e-3 * np.linalg.norm(exact[inner])
    assert np.linalg.norm(y) <= A.norm_bounds().upper * np.linalg.norm(x)
