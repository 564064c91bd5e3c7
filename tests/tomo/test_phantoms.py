"""Phantoms: exact integrals against fine numerical integration, and the algebra of shapes."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, DtypeError, NonFiniteError
from opalg.tomo import phantom as sums
from opalg.tomo import phantoms

SHAPES = {
    "ellipse": phantoms.ellipse((3.0, 1.5), 2.0, (0.5, -1.0), 0.4),
    "rectangle": phantoms.rectangle((4.0, 2.5), 2.0, (0.5, -1.0), 0.4),
    "ellipsoid": phantoms.ellipsoid((3.0, 1.5, 2.0), 2.0, (0.5, -1.0, 0.3), 0.4),
    "box": phantoms.box((4.0, 2.5, 3.0), 2.0, (0.5, -1.0, 0.3), 0.4).rotated(0.3, "x"),
    "pyramid": phantoms.pyramid((4.0, 3.0), 5.0, 2.0, (0.5, -1.0, 0.3)).rotated(0.3, "y"),
    "cylinder": phantoms.cylinder(1.5, 4.0, 2.0, (0.5, -1.0, 0.3)).rotated(0.3, "y"),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_chords_are_integrals_along_rays(name):
    """By counting which of many points along a ray lie inside: the error is at most two steps."""
    (shape,) = SHAPES[name].shapes
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 2, (200, shape.ndim))
    directions = rng.standard_normal((200, shape.ndim))
    directions[:3] = np.eye(3)[:, : shape.ndim] + [0, 0, 0][: shape.ndim]
    directions[directions.any(axis=1) == 0] = np.eye(shape.ndim)[0]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    t, step = np.linspace(-10, 10, 20001, retstep=True)
    inside = shape.gauge(points[:, None] + t[:, None] * directions[:, None]) <= 1
    chords = shape.chords(points, directions)
    np.testing.assert_allclose(chords, inside.sum(axis=1) * step, atol=2 * step)
    assert (chords > 0.5).sum() > 30


@pytest.mark.parametrize("name", list(SHAPES))
def test_projections_of_samples_approach_exact_ones(name):
    phantom = SHAPES[name]
    grid = oa.Grid((64,) * phantom.ndim, 10 / 64, "float64")
    detector = 31 if phantom.ndim == 2 else (25, 31)
    geometry = tomo.ParallelBeam(5, detector=detector, pitch=0.3)
    exact = phantom.project(geometry, "float64")
    y = tomo.XrayTransform(grid, geometry)(phantom.sample(grid))
    # Oblique flat faces and sharp edges make most of the error: 4 % for the box, 7 % for the pyramid.
    bound = 0.09 if name == "pyramid" else 0.06
    assert np.linalg.norm(y - exact) < bound * np.linalg.norm(exact)


@pytest.mark.parametrize("name", list(SHAPES))
def test_samples_hold_the_mass(name):
    phantom = SHAPES[name]
    (shape,) = phantom.shapes
    unit = {"ellipse": np.pi, "ellipsoid": 4 / 3 * np.pi, "cylinder": 2 * np.pi, "pyramid": 8 / 3}
    expected = 2.0 * unit.get(name, 2.0**shape.ndim) * abs(np.linalg.det(shape.axes))
    grid = oa.Grid((40,) * phantom.ndim, 0.25, "float64", origin=0.1)
    assert phantom.sample(grid).sum() * grid.cell_volume == pytest.approx(expected, rel=5e-3)


def test_supersampling_is_the_mean_of_a_finer_sample():
    """Cells that no surface crosses are not evaluated finely; the result must not tell."""
    phantom = SHAPES["ellipse"] + SHAPES["rectangle"].rotated(0.2)
    coarse, fine = (
        oa.Grid((20, 24), (0.5, 0.4), "float64"),
        oa.Grid((80, 96), (0.125, 0.1), "float64"),
    )
    expected = phantom.sample(fine, supersampling=1).reshape(20, 4, 24, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(phantom.sample(coarse, supersampling=4), expected, atol=1e-12)


@given(st.floats(-3.0, 3.0), st.floats(-5.0, 5.0), st.floats(-5.0, 5.0), st.floats(0.2, 3.0))
def test_moving_the_phantom_moves_its_projections(angle, x, y, factor):
    phantom = SHAPES["ellipse"] + SHAPES["rectangle"]
    geometry = tomo.ParallelBeam([0.3, 1.4, 2.9], detector=21, pitch=0.4)
    before = phantom.project(geometry, "float64")
    turned = tomo.ParallelBeam(geometry.angles + angle, detector=21, pitch=0.4)
    close = {"rtol": 0, "atol": 1e-6}  # chords near an edge are the square root of a rounding error
    np.testing.assert_allclose(phantom.rotated(angle).project(turned, "float64"), before, **close)
    grown = tomo.ParallelBeam(geometry.angles, detector=21, pitch=0.4 * factor)
    np.testing.assert_allclose(
        phantom.scaled(factor).project(grown, "float64"), factor * before, **close
    )
    for view, a in enumerate(geometry.angles):
        shifted = geometry[view].shift_detector(u=x * np.cos(a) + y * np.sin(a))
        moved = phantom.moved(x, y).project(shifted, "float64")
        np.testing.assert_allclose(moved[0], before[view], **close)


def test_sums_and_multiples():
    a, b = SHAPES["ellipse"], SHAPES["rectangle"]
    geometry = tomo.ParallelBeam(4, detector=21, pitch=0.4)
    both = (3 * a + b).project(geometry)
    assert both.dtype == np.float32
    np.testing.assert_allclose(both, 3 * a.project(geometry) + b.project(geometry), rtol=1e-5)
    assert pickle.loads(pickle.dumps(a + b)) == a + b
    assert a + b != b + a


def test_chunks_of_views_do_not_show(monkeypatch):
    geometry = tomo.ParallelBeam(7, detector=21, pitch=0.4)
    whole = SHAPES["ellipse"].project(geometry)
    monkeypatch.setattr(sums, "_CHUNK", 50)
    np.testing.assert_array_equal(SHAPES["ellipse"].project(geometry), whole)


def test_shepp_logan():
    head = phantoms.shepp_logan(diameter=230.0)
    grid = oa.Grid((512, 512), 0.5)
    image = head.sample(grid)
    y, x = grid.coordinates
    inside = image > 1e-6
    assert np.ptp(y[inside.any(axis=1)]) == pytest.approx(230.0, abs=1.0)
    assert np.ptp(x[inside.any(axis=0)]) == pytest.approx(230.0 * 0.69 / 0.92, abs=1.0)
    assert image.max() == pytest.approx(0.02)
    # The grey disc in front (towards +y) is brighter than the brain at the back.
    assert image[256 + 110, 256] == pytest.approx(0.3 * 0.02)
    assert image[256 - 110, 256] == pytest.approx(0.2 * 0.02, rel=1e-3)
    standard = phantoms.shepp_logan(contrast="standard", value=1.0).sample(grid)
    assert standard[256 - 110, 256] == pytest.approx(1.02)
    # The larger ventricle lies at -x: 0.16 against 0.11 of half the diameter of the unit.
    hollow = image[256] < 1e-6
    left, right = hollow[100:256].sum(), hollow[256:412].sum()
    assert left > 1.3 * right > 0


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: phantoms.disc(-1.0), ArgumentError, "extents of a shape must be positive"),
        (lambda: phantoms.disc(1.0, np.nan), NonFiniteError, "value of a shape"),
        (lambda: phantoms.ellipse((1.0, 2.0, 3.0)), ArgumentError, "half axes must be 2 numbers"),
        (lambda: phantoms.disc(1.0).moved(1.0), ArgumentError, "the shift must be 2 numbers"),
        (lambda: phantoms.disc(1.0).rotated(1.0, "x"), ArgumentError, "cannot turn about 'x'"),
        (lambda: phantoms.disc(1.0) + phantoms.ball(1.0), ArgumentError, "of one dimension"),
        (lambda: phantoms.disc(1.0).sample(oa.Grid((4, 4, 4))), ArgumentError, "does not fit a 3D"),
        (
            lambda: phantoms.ball(1.0).project(tomo.ParallelBeam()),
            ArgumentError,
            "does not fit a 2D",
        ),
        (lambda: phantoms.shepp_logan(contrast="high"), ArgumentError, "contrast must be"),
        (lambda: phantoms.disc(1.0).scaled(0.0), ArgumentError, "positive extent"),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_what_is_no_grid_or_geometry_is_named():
    phantom = tomo.phantoms.shepp_logan()
    geometry = tomo.ParallelBeam(angles=4, detector=8)
    with pytest.raises(ArgumentError, match=r"sampled on an oa\.Grid, got ParallelBeam"):
        phantom.sample(geometry)
    with pytest.raises(
        ArgumentError, match=r"such as tomo\.ParallelBeam, got Grid; phantom\.sample"
    ):
        phantom.project(oa.Grid((8, 8)))
    for diameter in (-1.0, 0, "large", float("nan")):
        with pytest.raises(ArgumentError, match="diameter must be a positive length"):
            tomo.phantoms.shepp_logan(diameter=diameter)
    with pytest.raises(ArgumentError, match="photons must be a number or an array"):
        tomo.noise.poisson(np.zeros((2, 2)), photons="many")


def test_projections_are_of_a_real_data_type():
    geometry = tomo.ParallelBeam(angles=4, detector=8)
    for dtype in ("int32", bool, "float16", "complex64"):
        with pytest.raises(DtypeError, match="projections are float32 or float64"):
            tomo.phantoms.disc(3.0).project(geometry, dtype)


@pytest.mark.parametrize("name", ["derenzo", "shepp_logan", "shepp_logan_3d", "random_scene"])
@pytest.mark.parametrize("diameter", [-10.0, 0.0, math.nan, math.inf])
def test_phantoms_of_no_size_are_refused(name, diameter):
    with pytest.raises(ArgumentError, match="diameter must be a positive length"):
        getattr(phantoms, name)(diameter=diameter)


# Catalogue


def test_the_head_in_3d_has_the_head_in_2d_in_its_middle():
    grid = oa.Grid((128, 128), 2.0, "float64")
    volume = oa.Grid((1, 128, 128), 2.0, "float64")
    for contrast in ("modified", "standard"):
        flat = phantoms.shepp_logan(contrast=contrast).sample(grid, supersampling=1)
        deep = phantoms.shepp_logan_3d(contrast=contrast).sample(volume, supersampling=1)[0]
        # The two upper details lie above and below the middle, the frontal one reaches it smaller.
        y, x = grid.coordinates
        rest = (y[:, None] < -20) & np.ones_like(x, bool)
        assert np.mean(np.abs(deep - flat)[rest] < 1e-9) > 0.995
    mirrored = phantoms.shepp_logan_3d().sample(oa.Grid((33, 32, 32), 8.0))
    assert not np.allclose(mirrored, mirrored[::-1])  # z has a direction


def test_derenzo_rods_are_two_diameters_apart_and_stay_in_their_sectors():
    rods = (8.0, 6.0, 5.0, 4.0, 3.0, 2.0)
    shapes = phantoms.derenzo(120.0, rods).shapes
    centres = np.array([s.centre for s in shapes])
    widths = np.array([2 * np.linalg.norm(s.axes[:, 0]) for s in shapes])
    assert set(widths.round(9)) == set(rods)
    assert (np.linalg.norm(centres, axis=1) + widths / 2 <= 60.0 + 1e-9).all()
    sector = np.floor(np.mod(np.arctan2(centres[:, 1], centres[:, 0]), 2 * np.pi) / (np.pi / 3))
    for number, rod in enumerate(rods):
        own = centres[widths.round(9) == rod]
        np.testing.assert_array_equal(sector[widths.round(9) == rod], number)
        gaps = np.linalg.norm(own[:, None] - own, axis=-1)
        assert gaps[gaps > 0].min() == pytest.approx(2 * rod)
    with pytest.raises(ArgumentError, match="no rod of diameter"):
        phantoms.derenzo(20.0, (8.0, 15.0))


@pytest.mark.parametrize("ndim", [2, 3])
def test_random_scenes_stay_inside(ndim):
    scene = phantoms.random_scene(30, 100.0, 0.02, ndim, seed=3)
    grid = oa.Grid((56,) * ndim, 2.0)
    image = scene.sample(grid)
    radius = np.sqrt(sum(np.square(a) for a in np.meshgrid(*grid.coordinates, indexing="ij")))
    assert image[radius > 52].max() == 0
    assert image.min() >= 0
    assert len({shape.kind for shape in scene.shapes}) == (2 if ndim == 2 else 4)
    assert all(0.004 <= shape.value <= 0.02 for shape in scene.shapes)
    with pytest.raises(ArgumentError, match="2 or 3"):
        phantoms.random_scene(ndim=4)
