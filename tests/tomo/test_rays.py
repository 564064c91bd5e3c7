"""The X-ray transform of fan, cone and free geometries: definition, transpose, conventions, accuracy."""

import math

import numpy as np
import pytest
from geometries import geometries
from hypothesis import given
from hypothesis import strategies as st

import opalg as oa
from opalg import tomo

FAN = {"detector": 301, "pitch": 0.4, "sod": 150.0, "sdd": 250.0}
CONE = {"detector": (121, 161), "pitch": (0.5, 0.6), "sod": 150.0, "sdd": 250.0}


@st.composite
def transforms(draw, dtype="float64"):
    """Small images of any spacing and place, seen by a geometry of any kind."""
    geometry = draw(geometries())
    length, place = st.floats(0.5, 3.0), st.floats(-1.0, 1.0)
    shape = [draw(st.integers(1, 6)) for _ in range(geometry.ndim)]
    spacing, origin = [draw(length) for _ in shape], [draw(place) for _ in shape]
    return tomo.XrayTransform(oa.Grid(shape, spacing, dtype, origin), geometry)


@given(transforms())
def test_is_the_matrix_of_the_definition(joseph_rays, A):
    x, y = A.domain.random(0), A.range.random(1)
    matrix = joseph_rays(A.domain, A.geometry)
    scale = 1e-10 * max(1.0, np.abs(matrix).sum(axis=1).max())
    if not _ambiguous(A):
        assert np.abs(A(x).ravel() - matrix @ x.ravel()).max() < scale
        assert np.abs(A.H(y).ravel() - matrix.T @ y.ravel()).max() < scale


def _ambiguous(A):
    """Whether rounding decides along which axis a ray is sampled, or whether it ends in a plane."""
    geometry, grid = A.geometry, A.domain
    pixels = geometry.frames.pixels(geometry.detector_shape)
    _, directions = geometry.rays()
    steps = np.sort(np.abs(directions / np.array(grid.spacing[::-1])), axis=-1)
    if np.any(steps[..., -1] - steps[..., -2] < 1e-9 * steps[..., -1]):
        return True
    if geometry.frames.parallel:
        return False
    ends = np.concatenate([pixels.reshape(-1, geometry.ndim), geometry.frames.origins])
    index = (ends - [a[0] for a in grid.coordinates[::-1]]) / np.array(grid.spacing[::-1])
    return bool(np.any(np.abs(index - np.round(index)) < 1e-9))


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
def test_transpose_is_exact(dtype, bound):
    @given(transforms(dtype))
    def check(A):
        x, y = A.domain.random(2), A.range.random(3)
        forward, back = A(x).astype(float), A.H(y).astype(float)
        left, right = np.vdot(forward, y.astype(float)), np.vdot(x.astype(float), back)
        scale = np.linalg.norm(forward) * np.linalg.norm(y) + 1e-300
        scale = max(scale, np.linalg.norm(x) * np.linalg.norm(back))
        assert abs(left - right) <= bound * scale

    check()


# Conventions: where one ball is seen


def centre_of_mass(values, positions):
    return float((values * positions).sum() / values.sum())


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 200])
def test_a_disc_in_a_fan(degrees, curved):
    """At angle a the point (x, y) is at u' = x cos a + y sin a, at depth sod - x sin a + y cos a."""
    a, (x, y) = math.radians(degrees), (12.0, -7.0)
    geometry = tomo.FanBeam([a], **FAN, curved=curved, offset=1.2)
    across, depth = x * math.cos(a) + y * math.sin(a), 150 - x * math.sin(a) + y * math.cos(a)
    u = 250 * math.atan(across / depth) if curved else 250 * across / depth
    grid = oa.Grid((80, 96), (0.5, 0.4), "float64")
    disc = tomo.phantoms.disc(2.0, centre=(x, y))
    for seen in (
        disc.project(geometry, "float64")[0],
        tomo.XrayTransform(grid, geometry)(disc.sample(grid))[0],
    ):
        # A tenth of a pixel.
        assert centre_of_mass(seen, geometry.detector_coordinates[0]) == pytest.approx(u, abs=0.04)


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 200])
def test_a_ball_in_a_cone(degrees, curved):
    a, (x, y, z) = math.radians(degrees), (9.0, -5.0, 6.0)
    geometry = tomo.ConeBeam([a], **CONE, curved=curved, offset=(1.0, -2.0))
    across, depth = x * math.cos(a) + y * math.sin(a), 150 - x * math.sin(a) + y * math.cos(a)
    u, v = 250 * across / depth, 250 * z / depth
    if curved:
        u, v = 250 * math.atan(across / depth), 250 * z / math.hypot(across, depth)
    grid = oa.Grid((40, 48, 56), (0.6, 0.5, 0.5), "float64")
    ball = tomo.phantoms.ball(2.0, centre=(x, y, z))
    for seen in (
        ball.project(geometry, "float64")[0],
        tomo.XrayTransform(grid, geometry)(ball.sample(grid))[0],
    ):
        vs, us = geometry.detector_coordinates
        assert centre_of_mass(seen, us) == pytest.approx(u, abs=0.06)
        assert centre_of_mass(seen, vs[:, None]) == pytest.approx(v, abs=0.06)


def test_a_moving_volume():
    """A ball that moves while it is measured, reconstructed as one that rests: the same data."""
    views = 6
    geometry = tomo.ConeBeam(views, **CONE)
    motion = tomo.translate(x=np.linspace(0, 4, views), z=np.linspace(0, -3, views))
    ball = tomo.phantoms.ball(4.0, centre=(5.0, 0.0, 2.0))
    moving = np.concatenate(
        [
            ball.moved(*motion.matrices[i, :3, 3].tolist()).project(geometry[i], "float64")
            for i in range(views)
        ]
    )
    np.testing.assert_allclose(
        ball.project(motion.inverse * geometry, "float64"), moving, atol=1e-10
    )


# Accuracy


def balls(ndim, unit=1.0):
    if ndim == 2:
        return tomo.phantoms.disc(20.0 * unit, 0.02 / unit, (3.0 * unit, -2.0 * unit))
    return tomo.phantoms.ball(20.0 * unit, 0.02 / unit, (3.0 * unit, -2.0 * unit, 1.0 * unit))


@pytest.mark.parametrize(
    "geometry",
    [
        tomo.FanBeam(7, 201, 0.6, 150.0, 250.0),
        tomo.FanBeam(7, 201, 0.6, 150.0, 250.0, curved=True),
        tomo.ConeBeam(5, (61, 61), 2.0, 150.0, 250.0),
        tomo.ConeBeam(5, (61, 61), 2.0, 150.0, 250.0, curved=True),
        tomo.rotate("x", 0.5) * tomo.ParallelBeam(5, (61, 61)),
        tomo.rotate("y", 0.7) * tomo.ConeBeam(5, (61, 61), 2.0, 150.0, 250.0),
    ],
    ids=str,
)
def test_error_falls_at_the_expected_order(geometry):
    """Order 1 in the L2 norm, as for parallel rays: the edge of the body carries the error."""
    exact = balls(geometry.ndim).project(geometry, "float64")
    errors = []
    for n in (16, 32, 64) if geometry.ndim == 3 else (32, 64, 128, 256):
        grid = oa.Grid((n,) * geometry.ndim, 56.0 / n, "float64")
        y = tomo.XrayTransform(grid, geometry)(balls(geometry.ndim).sample(grid))
        errors.append(np.linalg.norm(y - exact) / np.linalg.norm(exact))
    orders = -np.diff(np.log2(errors))
    assert all(0.8 < order < 1.4 for order in orders), (errors, orders)


@pytest.mark.parametrize("unit", [0.01, 1.0, 25.0])
@pytest.mark.parametrize("curved", [False, True])
def test_a_ball_projects_to_its_chords_in_every_unit(unit, curved):
    geometry = tomo.ConeBeam(
        4, (41, 41), 2.0 * unit, sod=150.0 * unit, sdd=250.0 * unit, curved=curved
    )
    grid = oa.Grid((96,) * 3, 0.5 * unit, "float64")
    y = tomo.XrayTransform(grid, geometry)(balls(3, unit).sample(grid))
    exact = balls(3, unit).project(geometry, "float64")
    inner = exact > 0.5  # away from the edge, chords of 25 to 40 units of 0.02
    # The surface is blurred over a voxel; of which, in oblique rays, an eighth is lost at either end.
    np.testing.assert_allclose(y[inner], exact[inner], rtol=1e-2)


# Where source and detector stand on the axis of a column of voxels, and what of it is seen: Joseph's planes
# are in between or not, Siddon's voxels have a part there, footprints count voxels wholly before the source
# whose centre is before the detector.
ENDS = {
    "joseph": (-2.5, 1.5, 4 + 8 + 16 + 32),
    "siddon": (-2.25, 1.25, 0.75 * 4 + 8 + 16 + 0.75 * 32),
    "footprint": (-2.75, 1.25, 4 + 8 + 16 + 32),
}


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("model", list(ENDS))
def test_rays_end_at_source_and_detector(model, ndim, curved):
    """What lies behind the source or the detector is not seen, whichever way rays run."""
    start, end, expected = ENDS[model]
    source, centre, u, v = np.array([[0, start, 0], [0, end, 0], [0.01, 0, 0], [0, 0, 0.01]])[
        :, None, :ndim
    ]
    arc = {"arc_centre": source} if curved else {}
    if ndim == 2:
        ahead = tomo.FanBeam.from_vectors(source, centre, u, detector=3, **arc)
    else:
        ahead = tomo.ConeBeam.from_vectors(source, centre, v, u, detector=(3, 3), **arc)
    values = 2.0 ** np.arange(9)  # at -4 .. 4 along the ray
    quarter = math.pi / 2
    turns = [(tomo.rotate("z", k * quarter), ("y", "-x", "-y", "x")[k]) for k in range(4)]
    if ndim == 3:
        turns += [(tomo.rotate("x", quarter), "z"), (tomo.rotate("x", -quarter), "-z")]
    grid = oa.Grid((9,) * ndim, dtype="float64")
    for turn, axis in turns:
        x, column = np.zeros(grid.shape), [4] * ndim
        column["zyx"[-ndim:].index(axis[-1])] = slice(None)
        x[tuple(column)] = values[::-1] if axis[0] == "-" else values
        A = tomo.XrayTransform(grid, turn * ahead, model)
        middle = A(x)[(0, *[1] * (ndim - 1))]
        assert middle == pytest.approx(expected, rel=1e-12)


@given(geometries(), st.integers(0, 10))
def test_integrals_of_boxes_are_those_of_their_voxels(geometry, seed):
    """Source and detector stand among the voxels: exact rays end where Siddon's do."""
    rng, ndim = np.random.default_rng(seed), geometry.ndim
    spacing = rng.uniform(8.0, 12.0, ndim)
    grid = oa.Grid((8,) * ndim, tuple(spacing[::-1]), "float64")
    size, place = rng.integers(1, 9, ndim), rng.integers(0, 8, ndim)
    size = np.minimum(size, 8 - place)
    body = tomo.phantoms.rectangle if ndim == 2 else tomo.phantoms.box
    phantom = body(size * spacing, 0.02, (place + size / 2 - 4) * spacing)
    x = phantom.sample(grid, supersampling=1)
    assert np.count_nonzero(x) == size.prod()
    y = tomo.XrayTransform(grid, geometry, "siddon")(x)
    # Lengths of some 100, each the difference of positions with an error of 1e-14 or so; rays in the
    # face of a box may count or not.
    differs = np.abs(phantom.project(geometry, "float64") - y) > 1e-10
    assert not differs.any() or _ambiguous(tomo.XrayTransform(grid, geometry))


def test_bodies_behind_source_or_detector_are_not_projected():
    fan = tomo.FanBeam.from_vectors([[0, -20]], [[0, 20]], [[1, 0]], detector=3)
    cone = tomo.ConeBeam.from_vectors(
        [[0, -20, 0]], [[0, 20, 0]], [[0, 0, 1]], [[1, 0, 0]], detector=(3, 3)
    )
    rays = tomo.ParallelBeam([0.0], detector=3)
    for y, seen in ((-26, 0), (-20, 5), (0, 10), (20, 5), (26, 0)):
        disc, ball = tomo.phantoms.disc(5.0, centre=(0, y)), tomo.phantoms.ball(5.0, 1.0, (0, y, 0))
        assert disc.project(fan, "float64")[0, 1] == pytest.approx(seen, abs=1e-12)
        assert ball.project(cone, "float64")[0, 1, 1] == pytest.approx(seen, abs=1e-12)
        assert disc.project(rays, "float64")[0, 1] == pytest.approx(10, abs=1e-12)
        # A cut body, of which the ray enters the half that is left in the middle.
        half = disc.cut((0.0, -1.0), -y).project(fan, "float64")[0, 1]
        assert half == pytest.approx({-20: 5, 0: 5}.get(y, 0), abs=1e-12)


# Views, pixels, batches


@given(geometries(), st.integers(0, 10))
def test_parts_give_parts(geometry, seed):
    grid = oa.Grid((4, 5, 6)[-geometry.ndim :], 1.5, "float64")
    A = tomo.XrayTransform(grid, geometry)
    x = grid.random(seed)
    np.testing.assert_allclose(A[::2](x), A(x)[::2], atol=1e-11)
    last = (slice(None),) * len(geometry.detector_shape) + (slice(0, None, 2),)
    np.testing.assert_allclose(A[last](x), A(x)[last], atol=1e-11)
    batch = grid.random(seed, batch=(2,))
    np.testing.assert_allclose(A(batch)[1], A(batch[1]), atol=1e-11)


def test_gradients_of_tensors():
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(
        oa.Grid((2, 3, 4), 2.0, "float64"), tomo.ConeBeam(3, (3, 4), 2.5, 20.0, 40.0)
    )
    x = torch.rand(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(A, x)
    assert torch.autograd.gradgradcheck(A, x)


def test_cost_counts_samples_inside_the_volume(joseph_rays):
    # Each sample meets four voxels; rays that pass by cost nothing.
    grid = oa.Grid((8, 9, 10))
    for geometry in (
        tomo.ConeBeam(6, (30, 31), 0.6, 40.0, 80.0),
        tomo.rotate("x", 0.3) * tomo.ParallelBeam(6, (20, 20)),
    ):
        samples = np.count_nonzero(joseph_rays(grid, geometry)) / 4
        A = tomo.XrayTransform(grid, geometry)
        assert A.cost().operations == pytest.approx(4 * samples, rel=0.15)
