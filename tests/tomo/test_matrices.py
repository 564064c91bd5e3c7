"""Projection matrices of cones, fans and parallel rays, and back."""

import numpy as np
import pytest
from geometries import geometries
from hypothesis import given
from hypothesis import strategies as st

from opalg import tomo
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError

CONE = tomo.ConeBeam(5, detector=(4, 6), pitch=(3.0, 2.0), sod=100.0, sdd=150.0, offset=(1.0, -4.0))
AFFINE = np.array([[2.0, 0, 0, 30], [0, 0, -2, 20], [0, 0, 0, 1]])


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


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.02, -500.0])
def test_matrices_of_either_sign_give_the_same_geometry(factor):
    geometry = tomo.rotate("x", 0.2) * (tomo.translate(x=3.0) * CONE)
    matrices = geometry.to_matrices() * factor
    assert tomo.ConeBeam.from_matrices(matrices, (4, 6), sdd=150.0).is_close(geometry, 1e-9)


def test_matrices_project_points_to_pixel_indices():
    points = np.random.default_rng(0).uniform(-20, 20, (7, 3))
    matrices = CONE.to_matrices()
    for point in points:
        u, v, w = (matrices @ np.append(point, 1.0)).T
        np.testing.assert_allclose(
            np.stack([u / w, v / w], axis=-1), project(CONE, point), atol=1e-9
        )
        assert (w > 0).all()
    # The depth is a length along the normal of the detector: of the origin the distance of the axis.
    np.testing.assert_allclose((matrices @ [0, 0, 0, 1.0])[:, 2], 100.0)


def test_without_a_distance_the_detector_is_as_far_behind_the_origin_as_the_source():
    free = tomo.ConeBeam.from_matrices(CONE.to_matrices(), (4, 6))
    np.testing.assert_allclose(free.source_positions, CONE.source_positions, atol=1e-10)
    directions, expected = free.rays()[1], CONE.rays()[1]
    np.testing.assert_allclose(directions, expected, atol=1e-12)
    np.testing.assert_allclose(
        free.frames.pixels((4, 6)),
        CONE.source_positions[:, None, None]
        + (200 / 150) * (CONE.frames.pixels((4, 6)) - CONE.source_positions[:, None, None]),
        atol=1e-9,
    )


def test_a_textbook_camera():
    """K [R | t] with focal length and principal point in pixels, y of the image downwards."""
    focal, u0, v0, distance = 500.0, 30.0, 20.0, 80.0
    K = np.array([[focal, 0, u0], [0, focal, v0], [0, 0, 1]])
    R = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # looks along +y, z upwards
    P = K @ np.concatenate([R, np.array([[0], [0], [distance]])], axis=1)
    cone = tomo.ConeBeam.from_matrices(P, detector=(41, 61), sdd=160.0)
    np.testing.assert_allclose(cone.source_positions, [[0, -distance, 0]], atol=1e-12)
    np.testing.assert_allclose(cone.u_directions, [[1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(cone.v_directions, [[0, 0, -1]], atol=1e-12)
    assert cone.pitch == pytest.approx((160 / focal, 160 / focal))
    np.testing.assert_allclose(cone.detector_positions, [[0, 80, 0]], atol=1e-12)


def test_matrices_of_a_part_of_the_detector():
    part = CONE[1:3, 1:3, 2:6:2]
    for i, view in enumerate((1, 2)):
        u, v, w = part.to_matrices()[i] @ [1.0, 2.0, 3.0, 1.0]
        whole = project(CONE[view], (1.0, 2.0, 3.0))[0]
        assert (2 + 2 * u / w, 1 + v / w) == pytest.approx(tuple(whole))


# Parallel rays, and any number of dimensions


@given(geometries(), st.floats(-20.0, 20.0))
def test_points_on_a_ray_are_seen_by_its_pixel(geometry, way):
    """Of every kind of beam: points before the detector, on it, and behind it."""
    if getattr(geometry, "curved", False):
        with pytest.raises(NotSupportedError, match="flat detector"):
            geometry.to_matrices()
        return
    shape, parallel = geometry.detector_shape, geometry.frames.parallel
    pixels, directions = geometry.frames.pixels(shape), geometry.rays()[1]
    points = pixels + way * directions
    P = geometry.to_matrices()
    assert P.shape == (geometry.num_views, geometry.ndim, geometry.ndim + 1)
    seen = np.einsum("aij,a...j->a...i", P[..., :-1], points)
    seen += P[..., -1].reshape(-1, *[1] * len(shape), geometry.ndim)
    w = seen[..., -1]
    # At the source, some 30 away, every pixel is seen: errors grow towards it.
    near = np.abs(w) > 1e-3
    for axis, index in enumerate(np.indices(shape)[::-1]):  # u, then v
        found = seen[..., axis] / np.where(near, w, 1.0)
        assert np.abs(found - index)[near].max(initial=0.0) < 1e-8
    if parallel:
        assert (w == 1).all()
    else:  # the depth is a length along the normal
        normals = geometry.frames.normals.reshape(-1, *[1] * len(shape), geometry.ndim)
        origins = geometry.frames.origins.reshape(-1, *[1] * len(shape), geometry.ndim)
        np.testing.assert_allclose(w, ((points - origins) * normals).sum(axis=-1), atol=1e-9)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.02, -500.0])
@pytest.mark.parametrize(
    "kind", ["parallel 2D", "parallel 3D", "free parallel 2D", "free parallel 3D"]
)
def test_matrices_of_parallel_rays_give_the_same_rays(kind, factor):
    for seed in range(5):
        geometry = tomo.random_geometry(kind, seed)
        P = geometry.to_matrices()
        again = tomo.ParallelBeam.from_matrices(factor * P, geometry.detector_shape)
        np.testing.assert_allclose(again.to_matrices(), P, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(again.ray_directions, geometry.ray_directions, atol=1e-9)
        np.testing.assert_allclose(again.frames.u_steps, geometry.frames.u_steps, atol=1e-9)
        # A matrix does not tell how far along the rays the detector is: here beside the origin.
        along = (again.detector_positions * again.ray_directions).sum(axis=1)
        np.testing.assert_allclose(along, 0, atol=1e-9)


def test_parallel_rays_on_a_detector_that_leans():
    """Its pixels lie elsewhere on the same rays, so a phantom is projected to the same numbers."""
    leaning = (tomo.rotate("x", 0.4) * tomo.ParallelBeam(5, (4, 6), 3.0)).rotate_detector(
        roll=0.2, tilt=0.3, slant=-0.4
    )
    upright = tomo.ParallelBeam.from_matrices(leaning.to_matrices(), (4, 6))
    assert not upright.is_close(leaning, 0.1)
    np.testing.assert_allclose(upright.frames.normals, leaning.ray_directions, atol=1e-12)
    ball = tomo.phantoms.ball(6.0, 1.0, (1.0, 2.0, -1.0))
    # Chords near an edge are the square root of a rounding error.
    np.testing.assert_allclose(
        ball.project(upright, "float64"), ball.project(leaning, "float64"), atol=1e-6
    )


def test_a_textbook_camera_far_away():
    """Orthographic s [R | t], 2 pixels per mm and v downwards, seen along +y (Hartley and Zisserman 6.3)."""
    beam = tomo.ParallelBeam.from_matrices(AFFINE, detector=(41, 61))
    np.testing.assert_allclose(beam.frames.u_steps, [[0.5, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(beam.frames.v_steps, [[0, 0, -0.5]], atol=1e-12)
    np.testing.assert_allclose(beam.detector_positions, [[0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(np.abs(beam.ray_directions), [[0, 1, 0]], atol=1e-12)
    row = tomo.ParallelBeam.from_matrices([[[2.0, 0, 30], [0, 0, 1]]], detector=61)
    assert row.is_close(tomo.ParallelBeam([0.0], 61, 0.5), 1e-12)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: tomo.ConeBeam.from_matrices(np.ones((2, 3)), (4, 5)), ArgumentError, "3, 4"),
        (lambda: tomo.ConeBeam.from_matrices(np.ones((3, 4)), (4, 5)), ArgumentError, "singular"),
        (lambda: tomo.ConeBeam.from_matrices(CONE.to_matrices(), 5), ArgumentError, r"\(v, u\)"),
        (
            lambda: tomo.ConeBeam.from_matrices(np.eye(3, 4), (4, 5)),
            ArgumentError,
            "beside the source",
        ),
        (
            lambda: tomo.ConeBeam.from_matrices(CONE.to_matrices(), (4, 6), sdd=-1),
            ArgumentError,
            "sdd",
        ),
        (
            lambda: tomo.ConeBeam.from_matrices(np.full((3, 4), np.nan), (4, 6)),
            NonFiniteError,
            "finite",
        ),
        (
            lambda: tomo.ConeBeam(3, (4, 5), 1.0, 10.0, 20.0, curved=True).to_matrices(),
            NotSupportedError,
            "flat detector",
        ),
        (lambda: tomo.ConeBeam.from_matrices(AFFINE, (4, 5)), ArgumentError, "ParallelBeam.from_m"),
        (
            lambda: tomo.ParallelBeam.from_matrices(CONE.to_matrices(), (4, 6)),
            ArgumentError,
            "ConeBeam.from_m",
        ),
        (lambda: tomo.ParallelBeam.from_matrices(AFFINE, 5), ArgumentError, r"\(views, 2, 3\)"),
        (lambda: tomo.ParallelBeam.from_matrices("P", (4, 5)), ArgumentError, r"\(views, 3, 4\)"),
        (
            lambda: tomo.ParallelBeam.from_matrices(AFFINE[[0, 0, 2]], (4, 5)),
            ArgumentError,
            "zero or parallel",
        ),
        (
            lambda: tomo.ParallelBeam.from_matrices([[[0, 0, 1], [0, 0, 1]]], 5),
            ArgumentError,
            "zero or parallel",
        ),
        (
            lambda: tomo.ParallelBeam.from_matrices(np.full((3, 4), np.inf), (4, 6)),
            NonFiniteError,
            "finite",
        ),
    ],
)
def test_matrix_errors(build, error, words):
    with pytest.raises(error, match=words):
        build()
