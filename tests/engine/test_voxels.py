"""The voxel-driven back projection: every voxel looks at the pixel that its shadow falls on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opalg.engines import cpu
from opalg.errors import ArgumentError


def shadows(plan, view, points):
    """u, v and magnification of points [n, 3] from the definition: by linear equations, or angles."""
    source = plan.sources[view]
    if plan.parallel:
        columns = np.stack([plan.u_steps[view], plan.v_steps[view], -source], 1)
        u, v, _ = np.linalg.solve(columns, (points - plan.detectors[view]).T)
        return u, v, np.ones_like(u)
    if plan.arc_centres is None:
        # source + m (p - source) = detector + u u_step + v v_step, divided by m
        columns = np.stack(
            [plan.detectors[view] - source, plan.u_steps[view], plan.v_steps[view]], 1
        )
        w, u, v = np.linalg.solve(columns, (points - source).T)
        return u / w, v / w, 1 / w
    across = plan.detectors[view] - plan.arc_centres[view]
    along = plan.u_steps[view] / plan.arc_step
    cosine, sine = np.linalg.solve(np.stack([across[:2], along[:2]], 1), (points - source)[:, :2].T)
    u, m = np.arctan2(sine, cosine) / plan.arc_step, 1 / np.hypot(sine, cosine)
    u = u + np.round((plan.detector_shape[-1] / 2 - u) / (2 * np.pi / plan.arc_step)) * (
        2 * np.pi / plan.arc_step
    )
    height = source[2] + m * (points - source)[:, 2] - plan.detectors[view, 2]
    return u, height / plan.v_steps[view, 2], m


def definition(plan, y, weight):
    nz, ny, nx = plan.volume_shape
    k, j, i = np.meshgrid(np.arange(nz), np.arange(ny), np.arange(nx), indexing="ij")
    points = np.stack([i, j, k], -1).reshape(-1, 3).astype(float)
    total, scale = np.zeros(len(points)), np.zeros(len(points))
    rows, columns = plan.detector_shape
    for view in range(len(plan.sources)):
        u, v, m = shadows(plan, view, points)
        padded = np.pad(y[view].astype(float), 2)
        seen = (m > 0) & (u > -1) & (u < columns) & (v > -1) & (v < rows)
        u, v = (np.where(seen, place, -2) for place in (u, v))
        u, v = np.clip(u, -2, columns), np.clip(v, -2, rows)
        below_u, below_v = np.floor(u).astype(int), np.floor(v).astype(int)
        factor = m**2 if weight == "magnification" else 1.0
        for row, share_v in ((0, 1 - (v - below_v)), (1, v - below_v)):
            for column, share_u in ((0, 1 - (u - below_u)), (1, u - below_u)):
                value = padded[below_v + row + 2, below_u + column + 2]
                total += np.where(seen, factor * share_u * share_v * value, 0)
                scale += np.where(seen, factor * abs(value), 0)
    return total.reshape(plan.volume_shape), scale.max(initial=1e-300)


@st.composite
def plans(draw):
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 12), st.integers(1, 20)))
    rows, columns = draw(st.tuples(st.integers(1, 12), st.integers(1, 20)))
    kind = draw(st.sampled_from(["along z", "tilted", "curved", "parallel"]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    views = draw(st.integers(1, 3))
    angle = rng.uniform(0, 7, views)
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros(views)
    out, u = np.stack([s, -c, zero], 1), np.stack([c, s, zero], 1)
    v = np.broadcast_to([0.0, 0, rng.choice([-1.0, 1.0])], (views, 3))
    if kind in {"tilted", "parallel"} and draw(st.booleans()):
        u, v = u + 0.3 * rng.standard_normal(u.shape), v + 0.3 * rng.standard_normal(u.shape)
    u, v = u * rng.choice([0.5, 1, 2.5]), v * rng.choice([0.5, 1, 2.5])
    middle = (np.array(shape[::-1]) - 1) / 2
    sources = middle + rng.choice([9.0, 60.0]) * out + rng.uniform(-2, 2, (views, 3))
    detectors = middle - 40 * out - columns / 2 * u - rows / 2 * v
    arcs = {}
    if kind == "curved":
        middles = sources * [1, 1, 0] + detectors * [0, 0, 1]
        radius = np.linalg.norm((detectors - middles)[:, :2], axis=1, keepdims=True)
        tangent = np.stack([-(detectors - middles)[:, 1], (detectors - middles)[:, 0], zero], 1)
        arcs = {"arc_centres": middles, "arc_step": 0.03}
        u = rng.choice([-1, 1]) * 0.03 * radius * tangent / radius
    if kind == "parallel":
        sources = -out + 0.1 * rng.standard_normal(out.shape)
    return cpu.DivergentPlan(
        shape, (rows, columns), sources, detectors, u, v, parallel=kind == "parallel", **arcs
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", ["none", "magnification"])
def test_agrees_with_the_definition(dtype, weight):
    @settings(max_examples=80, deadline=None)
    @given(plan=plans(), seed=st.integers(0, 99))
    def agree(plan, seed):
        y = np.random.default_rng(seed).standard_normal(plan.projection_shape).astype(dtype)
        out = np.full(plan.volume_shape, np.nan, dtype)
        cpu.backproject_voxels(plan, y, out, weight=weight)
        expected, scale = definition(plan, y, weight)
        # float32: places within a group of lanes are below 64 and rounded to 4e-6
        bound = 1e-5 if dtype == np.float32 else 1e-11
        assert abs(out - expected).max() <= bound * scale

    agree()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", ["none", "magnification"])
def test_project_voxels_is_the_transpose_of_the_definition(dtype, weight):
    @settings(max_examples=80, deadline=None)
    @given(plan=plans(), seed=st.integers(0, 99))
    def agree(plan, seed):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(plan.volume_shape).astype(dtype)
        # One pixel in five, so that a voxel that went to the wrong one is seen.
        y = np.where(rng.random(plan.projection_shape) < 0.2, 1, 0).astype(dtype)
        out = np.full(plan.projection_shape, np.nan, dtype)
        cpu.project_voxels(plan, x, out, weight=weight)
        expected, scale = definition(plan, y, weight)
        bound = 1e-5 if dtype == np.float32 else 1e-11
        error = np.vdot(out.astype(float), y) - np.vdot(x.astype(float), expected)
        assert abs(error) <= bound * scale * np.abs(x).sum()

    agree()


def tilted_plan(near, pitch, detector, shift=0.0):
    """Five views of a cone with a turned detector; sources `near` the middle of 11 x 18 x 75 voxels."""
    angle = np.linspace(0.2, 6, 5)
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros(5)
    out, u = np.stack([s, -c, zero], 1), np.stack([c, s, zero], 1)
    u, v = np.cos(0.3) * u + [0, 0, np.sin(0.3)], [0, 0, np.cos(0.3)] - np.sin(0.3) * u
    middle = np.array([37.0, 8.5, 5.0])
    corners = middle - near * out - pitch * (detector[1] / 2 * u + detector[0] / 2 * v) + shift * u
    return cpu.DivergentPlan(
        (11, 18, 75), detector, middle + near * out, corners, pitch * u, pitch * v
    )


@pytest.mark.parametrize(
    ("plan", "reach"),
    [
        (tilted_plan(300, 2.0, (90, 120)), 8),  # all voxels have a shadow
        (tilted_plan(300, 2.0, (9, 40)), 8),  # some lie beside the detector
        (tilted_plan(300, 2.0, (90, 120), shift=500.0), 8),  # all do
        (tilted_plan(300, 0.04, (300, 900)), 32),  # pixels are small
        (tilted_plan(30, 2.0, (60, 120)), 32),  # sources are in the volume
    ],
    ids=["inside", "rim", "beside", "small pixels", "source inside"],
)
def test_places_in_float_are_good(plan, reach):
    """They are formed within `reach` pixels from the middle of a group of lanes, else in double."""
    y = np.random.default_rng(0).uniform(-1, 1, plan.projection_shape).astype(np.float32)
    out = np.empty(plan.volume_shape, np.float32)
    cpu.backproject_voxels(plan, y, out)
    expected, _ = definition(plan, y, "none")
    # Five views; neighbours differ by 2 at most, across and along; what they are rounded to is 1.
    bound = 5 * (2 * 2 * reach + 4) * 2.0**-23
    assert abs(out - expected).max() <= bound


def test_same_bits_for_any_number_of_threads_and_every_batch():
    angle = np.linspace(0, 6, 9)
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros(9)
    u = np.stack([c, s, zero], 1)
    for v in (np.tile([0.0, 0, 1], (9, 1)), np.stack([-0.2 * s, 0.2 * c, zero + 1], 1)):
        out = np.stack([s, -c, zero], 1)
        plan = cpu.DivergentPlan(
            (40, 30, 35), (50, 60), 20 + 90 * out, 20 - 50 * out - 30 * u - 25 * v, u, v
        )
        y = np.random.default_rng(0).random((2, *plan.projection_shape), np.float32)
        results = []
        for threads in (1, 2, 3, 7):
            results.append(np.empty((2, *plan.volume_shape), np.float32))
            cpu.backproject_voxels(plan, y, results[-1], threads=threads)
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])
        x, results = results[0], []
        for threads in (1, 2, 3, 7):
            results.append(np.empty((2, *plan.projection_shape), np.float32))
            cpu.project_voxels(plan, x, results[-1], threads=threads)
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])
        results = [x]
        single = np.empty(plan.volume_shape, np.float32)
        cpu.backproject_voxels(plan, y[1], single)
        np.testing.assert_array_equal(single, results[0][1])


def test_fan_and_parallel_stack_are_special_cases():
    """A slice is seen as the central plane of a cone is; a stack by its own plan as by general rays."""
    angle = np.linspace(0, 3, 8)
    c, s = np.cos(angle), np.sin(angle)
    source, u = 7 + 50 * np.stack([s, -c], 1), np.stack([c, s], 1)
    pixel = 7 - 40 * np.stack([s, -c], 1) - 9 * u
    fan = cpu.DivergentPlan((15, 16), (19,), source, pixel, u)
    pad = lambda a: np.pad(a, ((0, 0), (0, 1)))  # noqa: E731
    cone = cpu.DivergentPlan(
        (1, 15, 16), (1, 19), pad(source), pad(pixel), pad(u), np.tile([0.0, 0, 1], (8, 1))
    )
    y = np.random.default_rng(0).random(fan.projection_shape)
    image, volume = np.empty((15, 16)), np.empty((1, 15, 16))
    cpu.backproject_voxels(fan, y, image, weight="magnification")
    cpu.backproject_voxels(cone, y[:, None], volume, weight="magnification")
    np.testing.assert_allclose(image, volume[0], rtol=1e-12)

    rays = np.concatenate([pixel, u, np.stack([-s, c], 1)], 1)
    stack = cpu.ParallelPlan((5, 15, 16), (5, 19), rays, np.ones(8), (0.0, 1.0))
    slices = np.empty((5, 15, 16))
    y = np.random.default_rng(0).random(stack.projection_shape)
    cpu.backproject_voxels(stack, y, slices)
    single = cpu.ParallelPlan((15, 16), (19,), rays, np.ones(8))
    cpu.backproject_voxels(single, np.ascontiguousarray(y[:, 3]), image)
    np.testing.assert_allclose(slices[3], image, rtol=1e-12)


def test_what_is_not_possible_is_told():
    plan = cpu.DivergentPlan((1, 1), (3,), [[0, -4]], [[-2, 4]], [[1, 0]])
    y, out = np.ones(plan.projection_shape), np.empty((1, 1))
    with pytest.raises(ArgumentError, match='"none" or "magnification", not \'fdk\''):
        cpu.backproject_voxels(plan, y, out, weight="fdk")
    curved = cpu.DivergentPlan(
        (1, 1), (3,), [[0, -4]], [[-2, 4]], [[1, 0]], arc_centres=[[0, 0]], arc_step=0.1
    )
    with pytest.raises(ArgumentError, match="around the source"):
        cpu.backproject_voxels(curved, y, out)
