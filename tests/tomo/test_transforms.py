"""Motions of geometries, and projection matrices."""

import math
import pickle

import numpy as np
import pytest

from opalg import tomo
from opalg.errors import ArgumentError, NonFiniteError

CONE = tomo.ConeBeam(5, detector=(4, 6), pitch=(3.0, 2.0), sod=100.0, sdd=150.0, offset=(1.0, -4.0))


def project(geometry, point):
    """Pixel indices (u, v) at which a point is seen, by solving for them; one row per view."""
    f = geometry.frames
    found = []
    for i in range(len(f)):
        columns = np.stack([f.u_steps[i], f.v_steps[i], f.origins[i] - np.asarray(point)], axis=1)
        if f.parallel:
            columns[:, 2] = f.origins[i]
        u, v, _ = np.linalg.solve(columns, np.asarray(point) - f.centres[i])
        found.append(
            (u + (geometry.detector_shape[1] - 1) / 2, v + (geometry.detector_shape[0] - 1) / 2)
        )
    return np.array(found)


def test_turning_about_z_is_a_change_of_angles():
    turned = tomo.rotate("z", 0.3) * CONE
    angles = CONE.angles + 0.3
    assert turned.is_close(CONE._replace(angles=angles), 1e-10)


@pytest.mark.parametrize(
    ("axis", "before", "after"), [("z", "x", "y"), ("x", "y", "z"), ("y", "z", "x")]
)
def test_turns_are_right_handed(axis, before, after):
    unit = dict(zip("xyz", np.eye(3), strict=True))
    turn = tomo.rotate(axis, math.pi / 2)
    np.testing.assert_allclose(turn.points(unit[before]), unit[after], atol=1e-15)
    np.testing.assert_allclose(tomo.rotate(unit[axis], math.pi / 2).matrices, turn.matrices)
    about = tomo.rotate(axis, 1.0, centre=(1.0, 2.0, 3.0))
    np.testing.assert_allclose(about.points((1.0, 2.0, 3.0)), (1, 2, 3), atol=1e-14)


def test_composition_runs_from_right_to_left():
    T, S = tomo.translate(x=5.0), tomo.rotate("z", 0.7)
    assert (T * S * CONE).is_close(T * (S * CONE), 1e-10)
    assert not (T * S * CONE).is_close(S * T * CONE, 1.0)
    both = S.inverse * T.inverse * T * S
    np.testing.assert_allclose(both.matrices, np.eye(4), atol=1e-15)
    np.testing.assert_array_equal(T[:0].matrices if T.num_views else T.matrices, T.matrices)


def test_one_view_broadcasts():
    """On either side, as views are made from one: a turn of each of seven angles makes a scan."""
    angles = np.arange(7) * 0.5
    for whole in (
        tomo.ConeBeam(angles, (4, 6), (3.0, 2.0), 100.0, 150.0, offset=(1.0, -4.0)),
        tomo.ConeBeam(angles, (4, 6), (3.0, 2.0), 100.0, 150.0, curved=True),
        tomo.FanBeam(angles, 6, 2.0, 100.0, 150.0),
        tomo.ParallelBeam(angles, (4, 6)),
    ):
        assert (tomo.rotate("z", angles) * whole[:1]).is_close(whole, 1e-10)
    single = tomo.Transform(tomo.translate(x=1.0).matrices[None])
    assert (single * CONE).is_close(tomo.translate(x=1.0) * CONE, 0)
    many = tomo.rotate("z", angles)
    for product, expected in (
        (single * many, tomo.translate(x=1.0) * many),
        (many * single, many * tomo.translate(x=1.0)),
    ):
        np.testing.assert_array_equal(product.matrices, expected.matrices)
    assert tomo.translate(x=angles, y=[1.0]).num_views == 7
    with pytest.raises(ArgumentError, match="transforms of 7 and 5 views"):
        many * tomo.rotate("z", angles[:5])
    with pytest.raises(ArgumentError, match="7 views does not fit"):
        many * CONE


def test_transforms_follow_each_other():
    turns, shift = tomo.rotate("z", [0.1, 0.2]), tomo.translate(x=1.0)
    both = tomo.trajectories.concatenate([turns, shift])
    expected = tomo.trajectories.concatenate([turns * CONE[:2], shift * CONE[2:3]])
    assert (both * CONE[:3]).is_close(expected, 0)
    with pytest.raises(ArgumentError, match="geometries, or one or more transforms"):
        tomo.trajectories.concatenate([turns, CONE])


def test_scaling_and_mirrors():
    doubled = tomo.scale(2.0) * CONE
    expected = tomo.ConeBeam(5, (4, 6), (6.0, 4.0), 200.0, 300.0, offset=(2.0, -8.0))
    assert doubled.is_close(expected, 1e-10)
    mirrored = tomo.reflect("x") * CONE
    np.testing.assert_allclose(mirrored.source_positions[:, 0], -CONE.source_positions[:, 0])
    assert (tomo.reflect("x") * mirrored).is_close(CONE)


def test_every_view_has_its_own_axis_centre_and_factor():
    """As the transforms of single views, one by one; a value for all goes with values for each."""
    rng = np.random.default_rng(3)
    axes, centres = rng.standard_normal((5, 3)), rng.uniform(-9, 9, (5, 3))
    angles, factors = rng.uniform(-3, 3, 5), rng.uniform(0.5, 2, (5, 3))
    point = np.array([4.0, -7.0, 5.0])

    def each(values, i):
        return values[i] if isinstance(values, np.ndarray) and len(values) == 5 else values

    for make, arguments in [
        (tomo.rotate, (axes, angles, centres)),
        (tomo.rotate, (axes, 0.7)),
        (tomo.rotate, ("x", 0.7, centres)),
        (tomo.rotate, ("x", angles, centres)),
        (tomo.scale, (factors, centres)),
        (tomo.scale, (factors, (1.0, 2.0, 3.0))),
        (tomo.scale, ((1.0, 1.1, 1.2), centres)),
        (tomo.scale, (2.0, centres)),
        (tomo.reflect, (axes, centres)),
        (tomo.reflect, (axes,)),
        (tomo.reflect, ("y", centres)),
    ]:
        T = make(*arguments)
        assert T.num_views == 5
        alone = [make(*(each(a, i) for a in arguments)) for i in range(5)]
        # Sums and products of three numbers of some ten.
        np.testing.assert_allclose(T.matrices, [t.matrices for t in alone], rtol=0, atol=1e-13)
        np.testing.assert_allclose(T.points(point), [t.points(point) for t in alone], atol=1e-13)
        moved = T * CONE
        for i in range(5):
            assert moved[i].is_close(alone[i] * CONE[i], 1e-10)
        # Lengths are all that a turn and a mirror keep; centres rest.
        if make is not tomo.scale and len(arguments) == 3:
            np.testing.assert_allclose(T.points(centres), centres, atol=1e-12)
    lengths = factors[:, :1]
    assert tomo.scale(lengths) == tomo.scale(np.tile(lengths, 3))
    assert tomo.scale(lengths[:3]) != tomo.scale(lengths[:3, 0])  # of views, and of axes
    np.testing.assert_allclose(
        tomo.reflect(axes, centres).inverse.matrices,
        tomo.reflect(axes, centres).matrices,
        atol=1e-11,
    )


def test_a_scan_breathes():
    """A fan whose every view is scaled by its own factor about its own point sees that point as before."""
    fan = tomo.FanBeam(4, 9, 1.0, 50.0, 90.0, curved=True)
    grown = tomo.scale(np.array([[1.0], [1.1], [1.2], [0.9]])) * fan
    for i, factor in enumerate((1.0, 1.1, 1.2, 0.9)):
        alone = tomo.FanBeam(
            fan.angles[i : i + 1], 9, factor, 50.0 * factor, 90.0 * factor, curved=True
        )
        assert grown[i].is_close(alone, 1e-12)


def test_a_moving_volume_is_the_inverse_motion_of_the_geometry():
    """Where a point that moves is seen: the point of the volume in the moved geometry."""
    motion = tomo.translate(x=np.linspace(0, 3, 5)) * tomo.rotate("z", np.linspace(0, 0.2, 5))
    point = np.array([4.0, -7.0, 5.0])
    moved = motion.points(point)
    seen = np.concatenate([project(CONE[i], moved[i]) for i in range(5)])
    np.testing.assert_allclose(project(motion.inverse * CONE, point), seen, atol=1e-10)
    assert motion.num_views == 5
    np.testing.assert_array_equal(motion[2:4].matrices, motion.matrices[2:4])


def test_tilted_axis():
    tilted = tomo.rotate("x", 0.4) * tomo.ParallelBeam(6, detector=(4, 5))
    axis = np.array([0.0, -math.sin(0.4), math.cos(0.4)])
    np.testing.assert_allclose(tilted.v_directions, np.tile(axis, (6, 1)), atol=1e-15)
    np.testing.assert_allclose(tilted.ray_directions @ axis, 0, atol=1e-15)


def test_2d_geometries_stay_in_their_plane():
    fan = tomo.FanBeam(3, 5, 1.0, 10.0, 20.0)
    moved = tomo.translate(x=1.0, y=2.0) * fan
    np.testing.assert_allclose(moved.source_positions, fan.source_positions + np.array([1, 2]))
    for transform in (tomo.rotate("x", 0.1), tomo.translate(z=1.0)):
        with pytest.raises(ArgumentError, match="stays in its plane"):
            transform * fan
    mirrored = tomo.reflect("z") * fan  # leaves the plane as it is
    assert mirrored.is_close(fan)


def test_curved_detectors_keep_their_shape():
    curved = tomo.ConeBeam(3, (4, 5), 2.0, 100.0, 150.0, curved=True)
    big = tomo.scale(2.0) * curved
    assert big.is_close(tomo.ConeBeam(3, (4, 5), 4.0, 200.0, 300.0, curved=True), 1e-10)
    with pytest.raises(ArgumentError, match="curved detector cannot be scaled"):
        tomo.scale((1.0, 1.0, 2.0)) * curved


@pytest.mark.parametrize("kind", ["parallel", "fan", "curved fan"])
def test_views_stand_for_the_same_angles_in_every_frame_of_the_plane(kind):
    angles = [0.1, 0.2, 0.5, 1.4, 1.5, 3.0]
    scan = tomo.ParallelBeam(angles, 9)
    if kind != "parallel":
        scan = tomo.FanBeam(angles, 9, 1.0, 20.0, 30.0, kind == "curved fan", offset=2.0)
    assert np.ptp(scan.view_weights) > 0.1
    for T in (tomo.translate(500.0, 3.0), tomo.rotate("z", 2.0), tomo.reflect("x")):
        np.testing.assert_allclose((T * scan).view_weights, scan.view_weights, atol=1e-9)


def test_transforms_are_values():
    T = tomo.rotate("x", [0.1, 0.2])
    assert pickle.loads(pickle.dumps(T)) == T
    assert str(T) == "Transform of 2 views"
    assert T != T.inverse


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: tomo.rotate("w", 0.1), ArgumentError, "'x', 'y', 'z' or a vector"),
        (lambda: tomo.rotate((0, 0, 0), 0.1), ArgumentError, "'x', 'y', 'z' or a vector"),
        (lambda: tomo.rotate("x", np.nan), NonFiniteError, "finite"),
        (lambda: tomo.translate(x="far"), ArgumentError, "x must be made of numbers"),
        (lambda: tomo.translate(y=[[1.0]]), ArgumentError, "y must be a number, or an array"),
        (lambda: tomo.scale(-1.0), ArgumentError, "positive"),
        (
            lambda: tomo.scale([1.0] * 5),
            ArgumentError,
            r"its own, in an array of shape \(views, 1\)",
        ),
        (lambda: tomo.scale(np.ones((5, 2))), ArgumentError, r"got shape \(5, 2\)"),
        (lambda: tomo.scale([[1.0], [0.0]]), ArgumentError, "positive"),
        (lambda: tomo.scale("two"), ArgumentError, "factor must be made of numbers"),
        (lambda: tomo.scale(np.inf), NonFiniteError, "factor must be finite"),
        (
            lambda: tomo.scale(np.ones((3, 1)), np.ones((2, 3))),
            ArgumentError,
            "factor has 3, centre",
        ),
        (lambda: tomo.rotate(np.eye(3)[:2], [1.0] * 3), ArgumentError, "axis has 2, angle has 3"),
        (
            lambda: tomo.rotate("x", [1.0] * 4, np.ones((5, 3))),
            ArgumentError,
            "angle has 4, centre",
        ),
        (
            lambda: tomo.rotate(np.ones((2, 2)), 1.0),
            ArgumentError,
            r"\(views, 3\), got shape \(2, 2\)",
        ),
        (lambda: tomo.rotate([[1, 0, 0], [0, 0, 0]], 1.0), ArgumentError, "not zero"),
        (lambda: tomo.rotate((1, 0, np.inf), 1.0), NonFiniteError, "axis must be finite"),
        (lambda: tomo.rotate("x", 1.0, (1.0, 2.0)), ArgumentError, "centre must be a point"),
        (
            lambda: tomo.reflect(np.eye(3), np.ones((2, 3))),
            ArgumentError,
            "axis has 3, centre has 2",
        ),
        (lambda: tomo.translate([1.0, 2.0], [1.0] * 3), ArgumentError, "x has 2, y has 3"),
        (lambda: tomo.rotate("x", [0.1, 0.2]) * CONE, ArgumentError, "2 views does not fit"),
        (
            lambda: tomo.rotate("x", [0.1, 0.2]) * tomo.rotate("x", [0.1] * 3),
            ArgumentError,
            "2 and 3",
        ),
        (lambda: tomo.Transform(np.ones((4, 4))), ArgumentError, "last row"),
        (lambda: tomo.Transform(np.diag([1, 1, 0, 1])), ArgumentError, "invertible"),
        (lambda: tomo.Transform(np.ones((3, 4))), ArgumentError, "shape"),
        (lambda: tomo.rotate("x", 0.1)[0], ArgumentError, "one for all views"),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_observers():
    """The camera's own coordinates, of one camera or one for each view."""
    T = tomo.transforms.perspective(
        [[1, 2, 3], [0, 0, 0]], x=[0, 2, 0], y=[[-1, 0, 0], [0, 0, 1]], z=[[0, 0, 1], [1, 0, 0]]
    )
    np.testing.assert_allclose(T.points([[1.0, 1.0, 1.0]] * 2), [[0, 4, 4], [1, 2, 1]])
    np.testing.assert_allclose((T.inverse * T).matrices, [np.eye(4)] * 2, atol=1e-12)
    tiny = tomo.scale(1e-5)  # whose determinant is 1e-15
    np.testing.assert_allclose(tiny.inverse.points((1e-5, 0.0, 0.0)), (1.0, 0.0, 0.0))
    with pytest.raises(ArgumentError, match="determinant is zero"):
        tomo.transforms.perspective([0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0])
    with pytest.raises(ArgumentError, match=r"vectors \(x, y, z\)"):
        tomo.transforms.perspective([0, 0], [1, 0], [0, 1], [1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_random_grids_and_transforms(seed):
    T = tomo.random_transform(4, seed)
    assert T.num_views == 4
    assert T == tomo.random_transform(4, seed)
    assert tomo.random_transform(seed=seed).num_views is None
    # A similarity: all lengths change by one factor.
    gram = np.swapaxes(T.matrices[:, :3, :3], 1, 2) @ T.matrices[:, :3, :3]
    np.testing.assert_allclose(gram, [gram[0, 0, 0] * np.eye(3)] * 4, atol=1e-12)
    for ndim in (2, 3):
        grid = tomo.random_grid(ndim, seed)
        geometry = tomo.random_geometry("cone" if ndim == 3 else "fan", seed)
        assert max(grid.extent) <= 10
        A = tomo.XrayTransform(grid, geometry)
        x, y = grid.random(0), A.range.random(1)
        assert np.vdot(A(x), y) == pytest.approx(np.vdot(x, A.H(y)), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("curved", [False, True])
def test_normals_and_corners(curved):
    cone = tomo.ConeBeam(3, (4, 6), (2.0, 1.0), 100.0, 150.0, curved=curved, offset=(1.0, 0.0))
    frames = (tomo.rotate("x", 0.3) * cone).frames
    turn = tomo.rotate("x", 0.3).matrices[:3, :3]
    a = cone.angles
    ahead = np.stack([-np.sin(a), np.cos(a), 0 * a], axis=1)
    np.testing.assert_allclose(frames.normals, ahead @ turn.T, atol=1e-12)
    corners = frames.corners((4, 6))
    assert corners.shape == (3, 2, 2, 3)
    height = 2.0 * 4
    np.testing.assert_allclose(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=-1), height)
    width = 2 * 150.0 * np.sin(3.0 / 150.0) if curved else 6.0  # chord of the arc
    np.testing.assert_allclose(np.linalg.norm(corners[:, :, 1] - corners[:, :, 0], axis=-1), width)
    middle = corners.mean(axis=(1, 2))
    sag = 150.0 * (1 - np.cos(3.0 / 150.0)) if curved else 0.0
    np.testing.assert_allclose(middle, frames.centres - sag * frames.normals, atol=1e-9)
    fan = tomo.FanBeam(3, 6, 1.0, 100.0, 150.0)
    np.testing.assert_allclose(fan.frames.normals, ahead[:, :2], atol=1e-12)
    np.testing.assert_allclose(fan.frames.corners((6,))[0], [[-3, 50], [3, 50]], atol=1e-12)
    rays = (tomo.rotate("x", 0.3) * tomo.ParallelBeam(3, (4, 6))).frames
    np.testing.assert_allclose(rays.normals, rays.origins, atol=1e-12)
