"""Siddon's method: voxels count with the length of the ray inside them; and the exact transpose."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from opalg.engines import cpu
from opalg.errors import ArgumentError


def ray_ends(plan):
    pixels = np.concatenate(
        [plan.pixels(v).reshape(-1, plan.sources.shape[1]) for v in range(len(plan.sources))]
    )
    sources = np.repeat(plan.sources, math.prod(plan.detector_shape), axis=0)
    if plan.parallel:  # long enough to leave any volume here
        way = 1e3 * sources / np.linalg.norm(sources, axis=1, keepdims=True)
        return pixels - way, pixels + way
    return sources, pixels


def length_matrix(plan):
    """Cut every ray where it crosses a border of voxels; a piece belongs to the voxel of its middle."""
    size = np.array(plan.volume_shape[::-1])
    strides = np.cumprod([1, *size[:-1]])
    rows, columns, values = [], [], []
    for ray, (start, end) in enumerate(zip(*ray_ends(plan), strict=True)):
        way = end - start
        cuts = [np.array([0.0, 1.0])]
        for k in range(len(size)):
            if way[k]:
                cuts.append((np.arange(size[k] + 1) - 0.5 - start[k]) / way[k])
        cuts = np.unique(np.clip(np.concatenate(cuts), 0, 1))
        middle = start + (cuts[:-1, None] + cuts[1:, None]) / 2 * way
        voxel = np.floor(middle + 0.5).astype(int)
        inside = ((voxel >= 0) & (voxel < size)).all(1)
        rows.append(np.full(inside.sum(), ray))
        columns.append(voxel[inside] @ strides)
        values.append(np.diff(cuts)[inside] * np.linalg.norm(way * plan.spacing))
    row, column, value = map(np.concatenate, (rows, columns, values))
    return sp.csr_matrix((value, (row, column)), shape=(len(rows), math.prod(size)))


@st.composite
def plans(draw, ndim):
    """Rays in general position: on a border of voxels the definition itself is ambiguous."""
    shape = tuple(
        draw(st.lists(st.integers(1, 20 if ndim == 2 else 9), min_size=ndim, max_size=ndim))
    )
    detector = tuple(draw(st.lists(st.integers(1, 20), min_size=ndim - 1, max_size=ndim - 1)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    views, reach = draw(st.integers(1, 3)), draw(st.sampled_from([3.0, 30.0, 200.0]))
    sources, detectors = np.array(shape[::-1]) / 2 + reach * rng.standard_normal((2, views, ndim))
    u, v = rng.standard_normal((2, views, ndim)) * rng.choice([0.1, 1, 4])
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), (0.5, 2.0, 0.7)]))[:ndim]
    parallel = draw(st.booleans())
    arcs = {}
    if draw(st.booleans()):
        arcs = {"arc_centres": detectors - 7 * rng.standard_normal((views, ndim)), "arc_step": 0.02}
    return cpu.DivergentPlan(
        shape, detector, sources, detectors, u, v if ndim == 3 else None,
        spacing, parallel, model="siddon", **arcs)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ndim", [2, 3])
def test_agrees_with_the_definition(ndim, dtype):
    @settings(max_examples=60, deadline=None)
    @given(plan=plans(ndim), seed=st.integers(0, 99))
    def agree(plan, seed):
        matrix = length_matrix(plan)
        start, end = ray_ends(plan)
        way, far = end - start, 10 + abs(plan.detectors).max() + abs(plan.sources).max()
        steps = abs(way).max(axis=1, keepdims=True)
        steepest = 1 + (steps / abs(way)).max()  # inverse of the least slope
        longest = (np.linalg.norm(way * plan.spacing, axis=1) / steps[:, 0]).max()
        rng = np.random.default_rng(seed)
        for run, operator, source, target in (
            (cpu.project, matrix, plan.volume_shape, plan.projection_shape),
            (cpu.backproject, matrix.T, plan.projection_shape, plan.volume_shape),
        ):
            x = rng.standard_normal(source).astype(dtype)
            out = np.full(target, np.nan, dtype)
            run(plan, x, out)
            expected = (operator @ x.ravel().astype(float)).reshape(target)
            # Where along a ray a border is crossed is known to a position's rounding, some 4e-6 or
            # 1e-13, over the slope.
            bound = 4e-6 * steepest if dtype == np.float32 else 1e-13 * steepest * far
            scale = (abs(operator) @ abs(x.ravel().astype(float))).max(initial=0)
            scale += longest * abs(x).max(initial=0)
            assert abs(out - expected).max(initial=0) <= bound * scale

    agree()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transpose(dtype):
    rng = np.random.default_rng(3)
    plan = cpu.DivergentPlan(
        (21, 33, 40), (25, 37), [[90.0, 3, 4], [20, -70, 33]], [[-60.0, 0, 0], [-5, 80, -9]],
        [[0.1, 1, 0], [1.3, 0, 0.2]], [[0, 0.1, 1], [-0.2, 0.1, 1.3]], (1.0, 0.6, 1.3), model="siddon",
    )  # fmt: skip
    x = rng.random(plan.volume_shape).astype(dtype)
    y = rng.random(plan.projection_shape).astype(dtype)
    results = []
    for threads in (1, 2, 3, 7):
        projections, volume = np.empty_like(y), np.empty_like(x)
        cpu.project(plan, x, projections, threads=threads)
        cpu.backproject(plan, y, volume, threads=threads)
        results.append((projections, volume))
    for result in results[1:]:
        for array, bits in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(array, bits)
    left = np.vdot(projections.astype(float), y)
    right = np.vdot(x.astype(float), volume)
    assert abs(left - right) <= (1e-6 if dtype == np.float32 else 1e-13) * abs(left)


def test_lengths_by_hand():
    """Along an axis, and along the diagonal of a 2 x 2 image with pixels of 3 by 4."""
    plan = cpu.DivergentPlan(
        (2, 2), (1,), [[-5.0, 0]], [[5.0, 0]], [[0, 1.0]], spacing=(3, 4), model="siddon"
    )
    image, sums = np.array([[1.0, 2], [4, 8]]), np.empty((1, 1))
    cpu.project(plan, image, sums)
    assert sums[0, 0] == pytest.approx(3 * (1 + 2))
    plan = replace(plan, sources=[[-2.0, -2]], detectors=[[3.0, 3]])
    cpu.project(plan, image, sums)
    assert sums[0, 0] == pytest.approx(5 * (1 + 8))
    # From the middle of a pixel to the middle of the next.
    plan = replace(plan, sources=[[0.0, 0]], detectors=[[1.0, 0]])
    cpu.project(plan, image, sums)
    assert sums[0, 0] == pytest.approx(3 * (0.5 * 1 + 0.5 * 2))


def test_agrees_with_astra():
    """ASTRA's `line_fanflat` is Siddon's method too; its row 0 is the one of largest y."""
    astra = pytest.importorskip("astra")
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False) + 0.01
    c, s = np.cos(angles), np.sin(angles)
    out, u = np.stack([s, -c], 1), np.stack([c, s], 1)
    size, detectors, pitch, near, far = 48, 70, 1.5, 90.0, 60.0
    middle = (size - 1) / 2
    plan = cpu.DivergentPlan(
        (size, size), (detectors,), middle + near * out,
        middle - far * out - pitch * (detectors - 1) / 2 * u, pitch * u, model="siddon")  # fmt: skip
    volume = astra.create_vol_geom(size, size)
    geometry = astra.create_proj_geom("fanflat", pitch, detectors, angles, near, far)
    projector = astra.create_projector("line_fanflat", geometry, volume)
    x = np.random.default_rng(0).random((size, size), np.float32)
    number, expected = astra.create_sino(x[::-1].copy(), projector)
    astra.data2d.delete(number)
    sums = np.empty(plan.projection_shape, np.float32)
    cpu.project(plan, x, sums)
    assert np.linalg.norm(sums - expected) <= 2e-4 * np.linalg.norm(expected)
    y = np.random.default_rng(1).random(plan.projection_shape, np.float32)
    number, expected = astra.create_backprojection(y, projector)
    astra.data2d.delete(number)
    astra.projector.delete(projector)
    image = np.empty_like(x)
    cpu.backproject(plan, y, image)
    assert np.linalg.norm(image - expected[::-1]) <= 2e-4 * np.linalg.norm(expected)


def test_unknown_model_is_told():
    with pytest.raises(ArgumentError, match="one of joseph, siddon, footprint, not 'strip'"):
        cpu.DivergentPlan((2, 2), (1,), [[0, 0]], [[1, 0]], [[0, 1]], model="strip")
