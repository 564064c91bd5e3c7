"""Rays in any direction: the engine computes Joseph's method and its exact transpose."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from opalg.engines import cpu

DTYPES = [np.float32, np.float64]


def ray_ends(plan):
    """Source (or None), pixel and direction of every ray, ``[rays, ndim]``, in index coordinates."""
    views, ndim = plan.sources.shape
    pixels = np.zeros((views, *plan.detector_shape, ndim))
    for view in range(views):
        pixels[view] = plan.pixels(view)
    pixels = pixels.reshape(-1, ndim)
    sources = np.repeat(plan.sources, math.prod(plan.detector_shape), axis=0)
    return sources, pixels, (sources if plan.parallel else pixels - sources)


def joseph_matrix(plan):
    """Matrix [rays, voxels] from the definition: one sample per plane of the dominant index axis
    between source and pixel, interpolated between neighbours, times the length between planes; and
    the same with every weight one."""
    sources, pixels, directions = ray_ends(plan)
    ndim, shape = pixels.shape[1], plan.volume_shape
    strides = [math.prod(shape[ndim - k :]) for k in range(ndim)]  # of x, y, z
    starts = pixels if plan.parallel else sources
    order = np.array((1, 0, 2)[:ndim])  # whose first is taken among equals
    dominant = order[np.argmax(abs(directions[:, order]), axis=1)]
    rows, columns, values, lengths = [], [], [], []
    for axis in range(ndim):
        rays = np.flatnonzero((dominant == axis) & directions.any(axis=1))
        start, direction = starts[rays], directions[rays]
        length = np.linalg.norm(direction * plan.spacing, axis=1) / abs(direction[:, axis])
        planes = np.arange(shape[ndim - 1 - axis])
        slope = (direction / direction[:, [axis]])[:, None]
        point = start[:, None] + (planes[:, None] - start[:, None, [axis]]) * slope
        met = np.ones(point.shape[:2])
        if not plan.parallel:
            ends = sources[rays, axis, None], pixels[rays, axis, None]
            met[(planes < np.minimum(*ends)) | (planes > np.maximum(*ends))] = np.nan
        cells = [(np.broadcast_to(planes * strides[axis], met.shape), met)]
        for k in range(ndim):
            if k == axis:
                continue
            below = np.floor(point[..., k])
            part, size = point[..., k] - below, shape[ndim - 1 - k]
            grown = []
            for index, weight in cells:
                for step, share in ((0, 1 - part), (1, part)):
                    voxel = below + step
                    inside = (voxel >= 0) & (voxel < size)
                    grown.append(
                        (
                            index + np.where(inside, voxel, 0).astype(int) * strides[k],
                            np.where(inside, weight * share, np.nan),
                        )
                    )
            cells = grown
        for index, weight in cells:
            keep = ~np.isnan(weight)
            ray = np.nonzero(keep)[0]
            rows.append(rays[ray])
            columns.append(index[keep])
            values.append(length[ray] * weight[keep])
            lengths.append(length[ray])
    join = lambda parts, dtype: np.concatenate([np.zeros(0, dtype), *parts])  # noqa: E731
    where = (join(rows, int), join(columns, int))
    size = (len(pixels), math.prod(shape))
    return (
        sp.csr_matrix((join(values, float), where), shape=size),
        sp.csr_matrix((join(lengths, float), where), shape=size),
    )


def tolerance(plan, dtype):
    """Relative to the sum of |values| with weight one. float32: positions within a band of planes
    are below 32 and rounded to 2e-6; float64: as large as the geometry."""
    if dtype == np.float32:
        return 4e-6
    extent = max(abs(a).max(initial=1) for a in ray_ends(plan))
    return 16 * np.finfo(np.float64).eps * (extent + max(plan.volume_shape))


def check(plan, dtype, batch=(), seed=0, **options):
    matrix, touched = joseph_matrix(plan)
    rng = np.random.default_rng(seed)
    volumes, projections = batch + plan.volume_shape, batch + plan.projection_shape
    results = []
    for run, matrices, shape, out_shape in (
        (cpu.project, (matrix, touched), volumes, projections),
        (cpu.backproject, (matrix.T, touched.T), projections, volumes),
    ):
        x = rng.standard_normal(shape).astype(dtype)
        flat = x.reshape(math.prod(batch), matrices[0].shape[1]).T.astype(float)
        expected, scale = matrices[0] @ flat, matrices[1] @ abs(flat)
        out = np.full(out_shape, np.nan, dtype)
        run(plan, x, out, **options)
        error = abs(out.reshape(expected.T.shape).T - expected).max(initial=0)
        bound = tolerance(plan, dtype) * scale.max(initial=0)
        assert error <= bound, f"{run.__name__}: {error:.2e} > {bound:.2e} for {plan}"
        results.append(out)
    return results


def cone_plan(
    shape, detector, angles, pitch=1.0, distance=(60.0, 40.0), tilt=0.0, offset=0.0, **more
):
    """Source and detector on circles around the middle of a volume, perhaps tilted."""
    angles = np.atleast_1d(np.asarray(angles, float))
    middle = (np.array(shape[::-1]) - 1) / 2
    c, s, z = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    out, across = np.stack([s, -c, z], 1), np.stack([c, s, z], 1)
    up = np.broadcast_to([0.0, 0, 1], out.shape)
    across, up = (
        math.cos(tilt) * across + math.sin(tilt) * up,
        math.cos(tilt) * up - math.sin(tilt) * across,
    )
    ndim = len(shape)
    u_steps, v_steps = pitch * across[:, :ndim], pitch * up[:, :ndim]
    sources = middle + distance[0] * out[:, :ndim] + offset
    detectors = middle - distance[1] * out[:, :ndim] - (detector[-1] - 1) / 2 * u_steps + offset
    if ndim == 3:
        detectors = detectors - (detector[0] - 1) / 2 * v_steps
    if more.get("parallel"):
        sources = -out[:, :ndim]
    return cpu.DivergentPlan(
        shape, detector, sources, detectors, u_steps, v_steps if ndim == 3 else None, **more
    )


@st.composite
def plans(draw, ndim):
    """Everything a geometry may be: circular and wild, flat and curved, ends inside the volume."""
    shape = tuple(
        draw(st.lists(st.integers(1, 24 if ndim == 2 else 11), min_size=ndim, max_size=ndim))
    )
    detector = (
        (draw(st.integers(1, 40)),)
        if ndim == 2
        else draw(st.tuples(st.integers(1, 7), st.integers(1, 20)))
    )
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), (0.5, 2.0, 1.0), (1.7, 1.0, 0.3)]))[:ndim]
    parallel, curved = draw(st.booleans()), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    views = draw(st.integers(0, 4))
    arcs = {}
    if draw(st.booleans()):
        plan = cone_plan(
            shape,
            detector,
            rng.uniform(-4, 4, views),
            rng.choice([0.3, 0.7, 1.0, 1.6, 4.0]),
            rng.choice([(60, 40), (8, 50), (6, 3), (300, 300)]),
            rng.choice([0.0, 0.0, 0.4, 1.5]),
            rng.choice([0.0, 3.0]),
            spacing=spacing,
            parallel=parallel,
        )
        sources, detectors, u, v = plan.sources, plan.detectors, plan.u_steps, plan.v_steps
    else:
        middle, reach = np.array(shape[::-1]) / 2, rng.choice([3.0, 30.0, 400.0])
        sources, detectors = middle + reach * rng.standard_normal((2, views, ndim))
        u, v = rng.standard_normal((2, views, ndim)) * rng.choice([0.1, 1, 5])
        if draw(
            st.booleans()
        ):  # on the grid: samples on voxels, ends on planes, directions along axes
            sources, detectors, u, v = map(np.round, (sources, detectors, u, v))
    if parallel:
        sources = np.where(sources.any(1, keepdims=True), sources, 1.0)
    if curved:
        arcs = {"arc_centres": detectors - 7 * rng.standard_normal((views, ndim)), "arc_step": 0.02}
    return cpu.DivergentPlan(
        shape, detector, sources, detectors, u, v if ndim == 3 else None, spacing, parallel, **arcs
    )


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_random_geometries(ndim, dtype, batch):
    @settings(max_examples=60, deadline=None)
    @given(plan=plans(ndim), seed=st.integers(0, 99))
    def agree(plan, seed):
        check(plan, dtype, batch, seed)

    agree()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "plan",
    [
        cone_plan((70, 50), (90,), np.linspace(0, 6, 9), 1.7, (150.0, 90.0)),
        cone_plan((19, 33, 40), (21, 37), [0, 0.3, 0.8, 2.2, 4.0], 1.4, (80.0, 40.0)),
        cone_plan((40, 13, 14), (70, 17), [0, 0.3, 0.8, 2.2], 0.75, (80.0, 40.0)),
        cone_plan((70, 13, 14), (21, 17), [0, 0.3, 0.8, 2.2], 4.0, (80.0, 40.0)),
        cone_plan((19, 33, 40), (21, 37), [0, 0.3, 0.8, 2.2], 1.4, (80.0, 40.0), tilt=0.3),
        cone_plan((40, 21, 22), (35, 18), [0, 0.7, 2.3], 1.2, (30.0, 20.0), tilt=0.8),
        cone_plan((9, 31, 33), (5, 64), [0.75, 2.4], 1.4, (80.0, 40.0), tilt=0.2),
        cone_plan((19, 23, 20), (5, 37), [0.2, 0.8], 1.0, (30.0, 4.0), tilt=0.2),
        cone_plan((19, 23, 20), (5, 37), [0.2, 0.8], 0.5, (3.0, 40.0), tilt=0.2),
        cone_plan((33, 2, 3), (7, 33), [0, 0.7, 1.5], 0.9, (30.0, 20.0), tilt=0.7),
        cone_plan((17, 30, 1), (1, 45), [0, 0.7, 1.5], 0.9, (30.0, 20.0), tilt=0.3),
        cone_plan((12, 31, 33), (4, 35), [0.1, 1.4], 3.5, (80.0, 40.0), tilt=0.2),
        cone_plan((19, 23, 20), (6, 40), [0.3, 0.8], 0.9, tilt=0.4, parallel=True),
    ],
    ids=[
        "fan", "cone", "fine", "coarse", "tilted", "steep", "diagonal", "ends inside", "starts inside",
        "thin", "one row", "few rays", "parallel",
    ],
)  # fmt: skip
def test_sizes_beyond_one_band_and_one_register(plan, dtype):
    check(plan, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parallel", [False, True])
def test_detector_rows_along_z(dtype, parallel):
    """Circular and helical scans, which take their own way: either sign, off centre, curved, laminar."""

    @settings(max_examples=60, deadline=None)
    @given(
        shape=st.tuples(st.integers(4, 40), st.integers(1, 9), st.integers(1, 9)),
        detector=st.tuples(st.integers(4, 40), st.integers(1, 12)),
        pitch=st.sampled_from([0.5, 0.6, 0.8, 1.0, 1.3, 2.0, 5.0]),
        sign=st.sampled_from([1, -1]),
        curved=st.booleans(),
        seed=st.integers(0, 10**6),
    )
    def agree(shape, detector, pitch, sign, curved, seed):
        rng = np.random.default_rng(seed)
        distance = [(60.0, 40.0), (12.0, 10.0), (3.0, 2.0)][seed % 3]
        plan = cone_plan(shape, detector, rng.uniform(-4, 4, 3), pitch, distance, parallel=parallel)
        sources, detectors = plan.sources.copy(), plan.detectors.copy()
        sources[:, 2] += rng.uniform(-0.9, 0.9, 3) * (1 if parallel else 5)
        detectors[:, 2] += rng.uniform(-9, 9, 3)
        v_steps = plan.v_steps * [0, 0, sign]
        if sign < 0:
            detectors[:, 2] += (detector[0] - 1) * pitch
        arcs = {"arc_centres": sources * [1, 1, 0] + detectors * [0, 0, 1], "arc_step": 0.02}
        plan = cpu.DivergentPlan(
            shape, detector, sources, detectors, plan.u_steps, v_steps, (1.0, 0.7, 1.4), parallel,
            **(arcs if curved and not parallel else {}),
        )  # fmt: skip
        check(plan, dtype, seed=seed)

    agree()


@pytest.mark.parametrize("tilt", [None, 0.0, 0.5])
def test_same_bits_for_any_number_of_threads(tilt):
    shape, detector = ((90, 70), (120,)) if tilt is None else ((20, 33, 40), (30, 37))
    plan = cone_plan(shape, detector, np.linspace(0, 6, 9), 1.4, (150.0, 90.0), tilt or 0.0)
    rng = np.random.default_rng(0)
    x = rng.random((2, *plan.volume_shape), np.float32)
    y = rng.random((2, *plan.projection_shape), np.float32)
    results = []
    for threads in (1, 2, 3, 7):
        projections, volumes = np.empty_like(y), np.empty_like(x)
        cpu.project(plan, x, projections, threads=threads)
        cpu.backproject(plan, y, volumes, threads=threads)
        results.append((projections, volumes))
    for projections, volumes in results[1:]:
        np.testing.assert_array_equal(projections, results[0][0])
        np.testing.assert_array_equal(volumes, results[0][1])


@pytest.mark.parametrize("model", ["joseph", "siddon"])
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_ray_does_not_depend_on_its_neighbours(dtype, parallel, model):
    """Rays close to each other are followed together, those far from each other one by one."""
    shape, middle = (21, 40, 37), np.array([18.0, 19.5, 10.0])
    out = np.array([[0.3, -0.9, 0.1], [0.72, 0.69, -0.2]])
    u, v = (
        np.array([[0.9, 0.3, 0.1], [-0.5, 0.6, 0.3]]),
        np.array([[0.0, 0.1, 0.9], [0.3, 0.1, 0.8]]),
    )
    sources = out if parallel else middle + 70 * out
    corners = middle - 50 * out - 80 * u - 4 * v
    more = {"parallel": parallel, "model": model, "spacing": (1.0, 0.6, 1.3)}
    dense = cpu.DivergentPlan(shape, (9, 161), sources, corners, u, v, **more)
    sparse = cpu.DivergentPlan(shape, (9, 9), sources, corners, 20 * u, v, **more)
    volume = np.random.default_rng(0).random(shape).astype(dtype)
    projections = []
    for plan in (dense, sparse):
        projections.append(np.empty(plan.projection_shape, dtype))
        cpu.project(plan, volume, projections[-1])
    rounding = 2e-6 if dtype == np.float32 else 1e-13
    # A border of voxels is crossed where the slope says: a factor, as in the tests of Siddon's method.
    rounding *= 40 if model == "siddon" else 1
    expected = projections[0][:, :, ::20]
    assert expected.max() > 10
    np.testing.assert_allclose(projections[1], expected, rtol=0, atol=rounding * expected.max())


def test_source_and_detector_inside_the_volume_by_hand():
    """A ray from (0, 0) to (0, 3) has the samples of its ends and what is between, and no more."""
    plan = cpu.DivergentPlan(
        (6, 2), (2,), [[0.0, 0.0]], [[0.0, 3.0]], [[0.0, -1.0]], spacing=(1, 2)
    )
    image = np.arange(12.0).reshape(6, 2)
    sums = np.empty((1, 2))
    cpu.project(plan, image, sums)
    np.testing.assert_array_equal(sums, [[2 * (0 + 2 + 4 + 6), 2 * (0 + 2 + 4)]])


def test_agrees_with_the_plan_for_parallel_rays():
    angles = np.linspace(0, 6, 11)
    plan = cone_plan((40, 33), (50,), angles, 0.9, parallel=True)
    lengths = 1 / abs(plan.sources).max(axis=1)
    rays = np.concatenate([plan.detectors, plan.u_steps, plan.sources], axis=1)
    same = cpu.ParallelPlan(plan.volume_shape, plan.detector_shape, rays, lengths)
    image = np.random.default_rng(0).random(plan.volume_shape)
    sums, expected = np.empty((2, *plan.projection_shape))
    cpu.project(plan, image, sums)
    cpu.project(same, image, expected)
    np.testing.assert_allclose(sums, expected, rtol=1e-12)


def ball_error(size, model="joseph"):
    """Root mean square error of chords well inside a ball, relative to its radius."""
    plan = cone_plan((size,) * 3, (2 * size + 1,) * 2, [0.1, 0.9], 0.7, (2.5 * size, 1.5 * size))
    k, j, i = np.ogrid[:size, :size, :size]
    centre, radius = np.array([0.45, 0.52, 0.47]) * size, 0.3 * size
    depth = radius - np.sqrt((i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (k - centre[2]) ** 2)
    volume = np.clip(depth + 0.5, 0, 1)  # a voxel of the surface is filled in part
    sums = np.empty(plan.projection_shape)
    cpu.project(plan, volume, sums)
    sources, _, directions = ray_ends(plan)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    nearest = np.linalg.norm(np.cross(centre - sources, unit), axis=1)
    inner = nearest < 0.7 * radius
    errors = sums.ravel()[inner] - 2 * np.sqrt(radius**2 - nearest[inner] ** 2)
    return np.sqrt(np.mean(errors**2)) / radius


def test_chords_of_a_ball_converge():
    """Of rays that do not graze it. A smooth object would give order 2; the voxels of the surface
    take some of it."""
    coarse, fine = ball_error(16), ball_error(32)
    assert fine < 0.01
    assert np.log2(coarse / fine) > 1.4
