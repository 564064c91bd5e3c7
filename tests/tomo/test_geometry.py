import math
import pickle

import numpy as np
import pytest

from opalg import tomo
from opalg.errors import ArgumentError, NonFiniteError


def degrees(geometry):
    return np.rad2deg(geometry.angles).round(9).tolist()


def test_a_number_of_views_covers_half_a_turn_without_its_end():
    assert degrees(tomo.ParallelBeam(angles=4)) == [0, 45, 90, 135]


def test_directions_follow_the_conventions():
    geometry = tomo.ParallelBeam(np.deg2rad([0, 90, 180, 30]), detector=(3, 5))
    ray, u = geometry.ray_directions, geometry.u_directions
    half, root = 0.5, math.sqrt(3) / 2
    expected = [[0, 1, 0], [-1, 0, 0], [0, -1, 0], [-half, root, 0]]
    np.testing.assert_allclose(ray, expected, atol=1e-15)
    np.testing.assert_allclose(u, [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [root, half, 0]], atol=1e-15)
    # u, ray and z are right-handed: u x ray = z.
    np.testing.assert_allclose(np.cross(u, ray), [[0, 0, 1]] * 4, atol=1e-15)


def test_positions_are_those_of_pixel_centres():
    geometry = tomo.ParallelBeam(1, detector=(2, 4), pitch=(3.0, 0.5), offset=(1.0, 0.25))
    v, u = geometry.detector_coordinates
    assert v.tolist() == [-0.5, 2.5]
    assert u.tolist() == [-0.5, 0.0, 0.5, 1.0]


def test_rays_pass_through_their_points():
    geometry = tomo.ParallelBeam(np.array([0.3]), detector=(2, 3), pitch=(2.0, 1.0), offset=0.5)
    points, directions = geometry.rays()
    assert points.shape == (1, 2, 3, 3)
    c, s = math.cos(0.3), math.sin(0.3)
    np.testing.assert_allclose(points[0, 1, 2], [1.5 * c, 1.5 * s, 1.0])
    np.testing.assert_allclose(np.broadcast_to(directions, points.shape)[0, 0, 0], [-s, c, 0])


def test_slices_choose_views_and_keep_pixel_centres():
    geometry = tomo.ParallelBeam(12, detector=(6, 10), pitch=(2.0, 0.5), offset=(0.0, 0.3))
    part = geometry[1::4, 1:5:2, 3:9:3]
    assert part.shape == (3, 2, 2)
    np.testing.assert_array_equal(part.angles, geometry.angles[1::4])
    v, u = geometry.detector_coordinates
    np.testing.assert_allclose(part.detector_coordinates[0], v[1:5:2], atol=1e-14)
    np.testing.assert_allclose(part.detector_coordinates[1], u[3:9:3], atol=1e-14)
    assert np.shares_memory(part.angles, geometry.angles)


def test_dots_stand_for_what_is_left_out():
    stack, row = tomo.ParallelBeam(12, detector=(6, 10)), tomo.FanBeam(4, 10, 1.0, 20.0, 40.0)
    assert stack[...] == stack
    assert stack[..., ::3] == stack[:, :, ::3]
    assert stack[::2, ..., 3] == stack[::2, :, 3]
    assert stack[1, 2:4, 5, ...] == stack[1, 2:4, 5]
    assert stack[1, 2:4, ..., 5] == stack[1, 2:4, 5]
    assert row[..., 2:7] == row[:, 2:7]
    chosen = np.arange(10) % 2 == 0
    assert row[..., chosen] == row[:, chosen]


def test_views_are_chosen_by_number_mask_and_list():
    geometry = tomo.ParallelBeam(6, detector=4)
    assert degrees(geometry[2]) == [60]
    assert degrees(geometry[-1]) == [150]
    assert degrees(geometry[geometry.angles > 1.6]) == [120, 150]
    assert degrees(geometry[[3, 0]]) == [90, 0]


def test_value_semantics():
    by_count = tomo.ParallelBeam(8, detector=16, pitch=0.5)
    by_angles = tomo.ParallelBeam(np.arange(8) * np.pi / 8, detector=(16,), pitch=[0.5])
    assert by_count == by_angles
    assert hash(by_count) == hash(by_angles)
    assert by_count != by_count.shift_detector(u=0.1)
    assert by_count[:] == by_count
    assert pickle.loads(pickle.dumps(by_count[1::3])) == by_count[1::3]
    assert eval(repr(by_count), {"ParallelBeam": tomo.ParallelBeam}) == by_count
    part = by_count[::2].shift_detector(u=0.25)
    assert eval(repr(part), vars(np) | {"ParallelBeam": tomo.ParallelBeam}) == part


def test_angles_of_the_caller_may_change_later():
    angles = np.array([0.0, 1.0])
    geometry = tomo.ParallelBeam(angles, detector=4)
    angles[0] = 0.5
    assert geometry.angles.tolist() == [0.0, 1.0]
    assert pickle.loads(pickle.dumps(geometry)) == geometry
    with pytest.raises(ValueError, match="read-only"):
        geometry.angles[0] = 2.0


def test_axis_and_shift():
    geometry = tomo.ParallelBeam(2, detector=640, pitch=0.5).with_axis_at(296.0)
    assert geometry.detector_coordinates[0][296] == 0.0
    assert geometry.shift_detector(u=0.25).detector_coordinates[0][296] == 0.25
    stack = tomo.ParallelBeam(2, detector=(4, 6)).shift_detector(u=1.0, v=-2.0)
    assert stack.offset == (-2.0, 1.0)


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        (range(0, 180, 20), [20] * 9),
        (range(0, 181, 20), [10] + [20] * 8 + [10]),  # 0 and 180 are one direction
        (range(0, 360, 20), [10] * 18),  # each direction twice
        (range(0, 90, 10), [10] * 9),  # a missing range does not count
        (range(-90, 90, 30), [30] * 6),
        ([0, 30, 50, 120], [45, 25, 45, 65]),
        ([50, 120, 0, 30], [45, 65, 45, 25]),
        ([77], [180]),
    ],
)
def test_view_weights(angles, expected):
    geometry = tomo.ParallelBeam(np.deg2rad(list(angles)), detector=4)
    np.testing.assert_allclose(np.rad2deg(geometry.view_weights), expected, rtol=1e-9)


def test_space_carries_angle_step_and_pixel_size():
    space = tomo.ParallelBeam(10, detector=(3, 4), pitch=(2.0, 0.5)).space("float64")
    assert space.axes == ("view", "v", "u")
    assert space.weighting == pytest.approx(np.pi / 10)
    unequal = tomo.ParallelBeam(np.deg2rad([0, 30, 50, 120]), detector=4, pitch=0.5).space()
    assert unequal.weighting.shape == (4, 1)
    np.testing.assert_allclose(
        np.rad2deg(unequal.weighting[:, 0]), np.array([45, 25, 45, 65]) / 2, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: tomo.ParallelBeam(np.arange(0, 180)), ArgumentError, "in degrees"),
        (lambda: tomo.ParallelBeam(0), ArgumentError, "positive number of views"),
        (lambda: tomo.ParallelBeam([]), ArgumentError, "list of angles"),
        (lambda: tomo.ParallelBeam([0.0, np.nan]), NonFiniteError, "angles must be finite"),
        (lambda: tomo.ParallelBeam(4, detector=(2, 3, 4)), ArgumentError, r"u or \(v, u\)"),
        (lambda: tomo.ParallelBeam(4, detector=0), ArgumentError, "detector must be positive"),
        (lambda: tomo.ParallelBeam(4, pitch=0.0), ArgumentError, "pitch must be positive"),
        (lambda: tomo.ParallelBeam(4, pitch=(1.0, 1.0)), ArgumentError, "pitch must be one number"),
        (lambda: tomo.ParallelBeam(4)[9:], ArgumentError, "leaves no views of 4"),
        (lambda: tomo.ParallelBeam(4)[4], IndexError, "out of range"),
        (lambda: tomo.ParallelBeam(4)[:, ::-1], ArgumentError, "positive steps"),
        (lambda: tomo.ParallelBeam(4)[:, :, 1:], ArgumentError, "take no index"),
        (lambda: tomo.ParallelBeam(4)[..., 1:, ...], ArgumentError, "take no index"),
        (lambda: tomo.ParallelBeam(4)[:, 1:, ..., 1:], ArgumentError, "take no index"),
        (lambda: tomo.ParallelBeam(4).shift_detector(v=1.0), ArgumentError, "along v"),
        (lambda: tomo.ParallelBeam(4).with_axis_at(np.nan), NonFiniteError, "finite"),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()
