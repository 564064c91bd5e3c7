"""Filtered back projection of detectors that are rolled or tilted: what an upright one would measure."""

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NotSupportedError
from opalg.testing import check_operator
from opalg.tomo.upright import maps_between, upright_geometry
from opalg.tomo.view_resampling import ViewResampling

CENTRE, RADIUS = (6.0, -9.0, 2.0), 20.0
CONE = {"detector": (96, 120), "pitch": 1.75, "sod": 250.0, "sdd": 400.0}
SCAN = tomo.ConeBeam(120, **CONE)
STACK = tomo.ParallelBeam(120, (60, 90), 1.0)


def wobble(seed, size):
    return np.random.default_rng(seed).normal(0.0, size, 120)


def skew(geometry, v_by_u=0.0, u_by_v=0.0, pitch=0.0):
    """Steps that are neither perpendicular nor of one length, each view with another sign."""
    f = geometry.frames
    signs = np.resize([1.0, -1.0], (len(geometry), 1))
    vectors = {"direction": f.origins, "detector_centre": f.centres}
    vectors["v_step"] = f.v_steps + v_by_u * signs * f.u_steps
    vectors["u_step"] = (1 + pitch * signs) * f.u_steps + u_by_v * signs * f.v_steps
    return tomo.ParallelBeam.from_vectors(**vectors, detector=geometry.detector_shape)


def turned(geometry):
    return tomo.translate(3.0, -2.0, 1.0) * (tomo.rotate((1.0, 2.0, 0.0), 0.2) * geometry)


JITTER = {"roll": wobble(0, 0.03), "tilt": wobble(1, 0.03), "slant": wobble(2, 0.03)}
SCANS = {
    **{
        f"roll of {degrees}": SCAN.rotate_detector(roll=np.deg2rad(degrees))
        for degrees in (0.3, 1, 5, 20, -70, 90, 180)
    },
    "tilt": SCAN.rotate_detector(tilt=0.2),
    "slant": SCAN.rotate_detector(slant=0.3),
    "all turns": SCAN.rotate_detector(roll=0.3, tilt=0.3, slant=-0.2),
    "turns per view": SCAN.rotate_detector(**JITTER),
    "turns and shifts per view": SCAN.rotate_detector(**JITTER).shift_detector(
        u=wobble(3, 2.0), v=wobble(4, 2.0)
    ),
    "tilted axis": turned(SCAN.rotate_detector(roll=0.2, tilt=0.1)),
    "pixels of another shape": tomo.ConeBeam(
        120, (150, 100), (1.1, 2.0), 250.0, 400.0
    ).rotate_detector(roll=0.5),
    "clockwise": tomo.ConeBeam(-SCAN.angles, **CONE).rotate_detector(roll=0.2),
    "short scan": tomo.ConeBeam(np.deg2rad(np.arange(0, 222, 2)), **CONE).rotate_detector(roll=0.2),
    "moved detector": tomo.ConeBeam(240, **CONE, offset=60.0).rotate_detector(roll=0.05),
    "matrices": tomo.ConeBeam.from_matrices(
        SCAN.rotate_detector(**JITTER).to_matrices(), CONE["detector"], sdd=400.0
    ),
    "parallel, rolled": STACK.rotate_detector(roll=0.3),
    "parallel, on its side": STACK.rotate_detector(roll=np.pi / 2),
    "parallel, skew columns": skew(STACK, v_by_u=0.3),
    "parallel, skew rows": skew(STACK, u_by_v=0.3),
    "parallel, pitches per view": skew(STACK, pitch=0.2),
    "parallel, turns per view": turned(STACK.rotate_detector(**JITTER)),
}


@pytest.mark.parametrize("scan", list(SCANS))
def test_a_ball_comes_back_with_its_value(scan):
    geometry = SCANS[scan]
    grid = oa.Grid((9, 44, 44), 1.1, origin=CENTRE[::-1])
    y = tomo.phantoms.ball(RADIUS, 0.02, CENTRE).project(geometry)
    A = tomo.XrayTransform(grid, geometry)
    x = (tomo.FDK if isinstance(geometry, tomo.ConeBeam) else tomo.FBP)(A)(y)
    z, ys, xs = grid.coordinates
    away = np.hypot(ys[:, None] - CENTRE[1], xs - CENTRE[0])
    inside = np.hypot(away, z[:, None, None] - CENTRE[2]) < RADIUS - 4
    error = x[inside] / 0.02 - 1
    # As without any turn.
    assert np.abs(error).max() < 0.01
    assert abs(error.mean()) < 0.002


@pytest.mark.parametrize("scan", list(SCANS))
def test_the_same_rays_meet_the_upright_detector(scan):
    """From the definition: a pixel of the upright detector, and where its ray meets the other's plane."""
    geometry = SCANS[scan]
    upright = upright_geometry(geometry)
    maps = np.broadcast_to(maps_between(geometry, upright), (len(geometry), 3, 3))
    frames, (rows, columns) = geometry.frames, geometry.detector_shape
    points = upright.frames.pixels(upright.detector_shape)
    v, u = upright.detector_shape
    for view in (0, 17, 60):
        for row, column in ((0, 0), (v - 1, 3), (v // 2, u // 3)):
            point = points[view, row, column]
            ray = frames.origins[view] if frames.parallel else point - frames.origins[view]
            steps = [frames.u_steps[view], frames.v_steps[view], ray]
            place = np.linalg.solve(np.stack(steps, axis=1), point - frames.centres[view])[:2]
            seen = maps[view] @ [column, row, 1.0]
            middle = np.array([columns - 1, rows - 1]) / 2
            np.testing.assert_allclose(seen[:2] / seen[2], place + middle, atol=2e-3)
    # Nothing is lost: every corner lies inside, and pixels are as small.
    corners = frames.corners(geometry.detector_shape).reshape(len(geometry), -1, 3)
    matrices = upright.to_matrices()
    seen = np.einsum("vij,vpj->vpi", matrices[:, :, :3], corners) + matrices[:, None, :, 3]
    places = seen[..., :2] / seen[..., 2:]
    assert places.min() > -0.5 - 1e-6
    assert (places.max(axis=(0, 1)) < np.array([u, v]) - 0.5 + 1e-6).all()
    assert max(upright.pitch) < max(geometry.pitch) + 1e-9


def test_a_rigid_detector_has_one_map():
    rigid = turned(SCAN.rotate_detector(roll=0.2, tilt=0.1, slant=0.3))
    assert maps_between(rigid, upright_geometry(rigid)).shape == (1, 3, 3)
    assert upright_geometry(SCAN) is SCAN
    nearly = SCAN.rotate_detector(roll=1e-3)  # as real ones are: taken as it stands
    assert upright_geometry(nearly) is nearly
    back = SCAN.rotate_detector(roll=np.pi / 2)
    assert upright_geometry(back).detector_shape == CONE["detector"][::-1]


def keys(t):
    """The kernel of Keys' interpolation with a = -1/2."""
    t = np.abs(t)
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


@pytest.mark.parametrize("number", [1, 2])
def test_resampling_is_its_definition(number):
    rng = np.random.default_rng(number)
    maps = np.eye(3) + rng.normal(0, [[0.1], [0.1], [0.02]], (number, 3, 3))
    R = ViewResampling(oa.Space((2, 4, 5), "float64"), oa.Space((2, 5, 6), "float64"), maps)
    matrix = np.zeros((2, 5, 6, 2, 4, 5))
    for view, row, column in np.ndindex(2, 5, 6):
        u, v, w = maps[view % number] @ [column, row, 1.0]
        tents = keys(np.arange(4) - v / w), keys(np.arange(5) - u / w)
        matrix[view, row, column, view] = np.multiply.outer(*tents)
    matrix = matrix.reshape(60, 40)
    x, y = R.domain.random(0), R.range.random(1)
    np.testing.assert_allclose(R(x).ravel(), matrix @ x.ravel(), atol=1e-13)
    np.testing.assert_allclose(R.H(y).ravel(), matrix.T @ y.ravel(), atol=1e-13)
    np.testing.assert_allclose(R.of_views(slice(1, 2))(x[1:]), R(x)[1:], atol=1e-13)
    check_operator(R)


def test_maps_have_to_fit():
    with pytest.raises(ArgumentError, match="do not fit together"):
        ViewResampling(oa.Space((3, 4, 5)), oa.Space((3, 4, 5)), np.zeros((2, 3, 3)))


def test_filter_and_weights_are_those_of_the_upright_detector():
    A = tomo.XrayTransform(oa.Grid((4, 16, 16), 2.0), SCAN.rotate_detector(roll=0.2))
    fdk = tomo.FDK(A, "hann")
    y = A.range.random(0)
    space = fdk.filter.domain
    assert space.shape[1] > 96
    same = tomo.FDK(A, filter=tomo.RampFilter(space, upright_geometry(A.geometry).pitch[1], "hann"))
    np.testing.assert_allclose(same(y), fdk(y), atol=1e-5)
    half = tomo.FDK(A, "hann", redundancy=np.full((1, 1, space.shape[2]), 0.5))
    np.testing.assert_allclose(half(y), fdk(y), atol=1e-5)


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (
            tomo.ConeBeam(9, (400, 120), 1.75, 250.0, 400.0).rotate_detector(tilt=1.3),
            "tilted so far",
        ),
        (
            tomo.ConeBeam(9, (480, 120), 1.75, 250.0, 400.0).rotate_detector(tilt=1.5),
            "not in front",
        ),
        (
            SCAN.rotate_detector(roll=0.1).shift_detector(v=120.0),
            r"ends 2\d\.\d+ beside .* laminography",
        ),
        (tomo.trajectories.saddle(20, 30.0, (8, 8), 9.0, 100.0, 150.0), "heights of the source"),
        (tomo.rotate("x", 0.4) * tomo.ConeBeam(9, **CONE, curved=True), "parallel to z"),
        (tomo.ConeBeam(9, **CONE, curved=True).rotate_detector(roll=0.2), "directions of columns"),
        (SCAN[:2].rotate_detector(roll=0.2), "no circle can be told"),
        (
            tomo.ParallelBeam([0.3, 0.3 + np.pi], (4, 5)).rotate_detector(roll=[0.0, 0.2]),
            "one direction",
        ),
        (tomo.rotate("x", 0.4) * tomo.ParallelBeam(9, (4, 5)), None),
    ],
)
def test_others_are_refused_with_the_reason(geometry, words):
    A = tomo.XrayTransform(oa.Grid((4, 5, 6)), geometry)
    method = tomo.FDK if isinstance(geometry, tomo.ConeBeam) else tomo.FBP
    if words is None:  # a tilted axis is an axis
        method(A)
        return
    with pytest.raises(NotSupportedError, match=words):
        method(A)


def test_laminography_of_parallel_rays_is_refused():
    rays = tomo.ParallelBeam(9, (4, 5)).frames
    tilted = tomo.ParallelBeam.from_vectors(
        np.add(rays.origins, [0, 0, 0.5]), rays.centres, rays.v_steps, rays.u_steps, (4, 5)
    )
    with pytest.raises(NotSupportedError, match=r"laminography.*cone of frequencies.*CGLS"):
        tomo.FBP(tomo.XrayTransform(oa.Grid((4, 5, 6)), tilted))
