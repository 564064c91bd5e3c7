import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import ArgumentError

DETECTOR = {"detector": (24, 30), "pitch": 2.0}
FAR = {**DETECTOR, "sod": 100.0, "sdd": 150.0}


@pytest.mark.parametrize(
    "geometry",
    [
        tomo.trajectories.saddle(30, 20.0, **FAR),
        tomo.trajectories.sphere(30, **FAR),
        tomo.trajectories.circles([-0.4, 0.0, 0.4], 10, **FAR),
    ],
    ids=["saddle", "sphere", "circles"],
)
def test_every_detector_faces_the_centre(geometry):
    assert geometry.num_views == 30
    ahead = geometry.detector_positions - geometry.source_positions
    np.testing.assert_allclose(np.linalg.norm(ahead, axis=1), 150.0)
    for steps in (geometry.frames.u_steps, geometry.frames.v_steps):
        np.testing.assert_allclose((steps * ahead).sum(axis=1), 0, atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 2.0)
    # u, rays and v are right-handed, as in a circle.
    cross = np.cross(geometry.u_directions, ahead / 150.0)
    np.testing.assert_allclose(cross, geometry.v_directions, atol=1e-12)
    # The centre is seen in the middle.
    miss = np.cross(geometry.source_positions, ahead)
    np.testing.assert_allclose(miss, 0, atol=1e-9)


def test_a_circle_of_facing_sources_is_the_circle():
    cone = tomo.ConeBeam(12, **FAR)
    assert tomo.trajectories.facing(cone.source_positions, **DETECTOR, sdd=150.0).is_close(cone)
    assert tomo.trajectories.circles(0.0, 12, **FAR).is_close(cone)
    flat = tomo.trajectories.saddle(12, 0.0, **FAR)
    assert flat.is_close(cone)


def test_sources_on_a_sphere_are_spread_evenly():
    directions = tomo.trajectories.sphere(500, **FAR).source_positions / 100.0
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    # The second moments of the uniform distribution.
    np.testing.assert_allclose(directions.T @ directions / 500, np.eye(3) / 3, atol=1e-3)
    closest = np.sort(np.linalg.norm(directions[:, None] - directions, axis=-1), axis=1)[:, 1]
    assert closest.min() > 0.6 * np.sqrt(4 * np.pi / 500)


def test_views_one_after_the_other():
    cone = tomo.ConeBeam(5, **FAR)
    both = tomo.trajectories.concatenate([cone, tomo.translate(z=3.0) * cone])
    assert both[:5] == cone
    assert both[5:].is_close(tomo.translate(z=3.0) * cone)
    assert tomo.trajectories.concatenate([cone]) is cone
    with pytest.raises(ArgumentError, match="of one class"):
        tomo.trajectories.concatenate([cone, cone[:, 2:]])
    with pytest.raises(ArgumentError, match="one or more"):
        tomo.trajectories.concatenate([])


def test_a_sphere_of_sources_reconstructs():
    geometry = tomo.trajectories.sphere(40, **FAR)
    A = tomo.XrayTransform(oa.Grid((16, 16, 16), 1.5), geometry)
    phantom = tomo.phantoms.ball(7.0, 0.02, centre=(1.0, -2.0, 1.5))
    x = solvers.CGLS(A, iterations=12)(phantom.project(geometry))
    truth = phantom.sample(A.domain)
    # Five voxels across: most of what is wrong is at the edge.
    assert np.linalg.norm(x - truth) < 0.3 * np.linalg.norm(truth)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: tomo.trajectories.facing([[0, 0, 0]], (4, 4), 1.0, 150.0), "off the centre"),
        (lambda: tomo.trajectories.facing([[0, -200, 0]], (4, 4), 1.0, 150.0), "nearer to it"),
        (lambda: tomo.trajectories.facing([[0, -20, 0]], 4, 1.0, 150.0), r"\(v, u\)"),
        (lambda: tomo.trajectories.sphere(0, **FAR), "positive number"),
        (lambda: tomo.trajectories.circles([np.nan], 4, **FAR), "angles in radians"),
    ],
)
def test_errors_say_what_is_wrong(build, words):
    with pytest.raises(ArgumentError, match=words):
        build()
