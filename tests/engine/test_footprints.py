"""The footprint model: areas of voxels on the detector, and the exact transpose."""

import math
from dataclasses import replace

import numpy as np
import pytest
from footprint_twin import footprint_matrix
from geometries import geometries
from hypothesis import given
from hypothesis import strategies as st

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.errors import ArgumentError
from opalg.tomo.plans import general_plan


@st.composite
def plans(draw):
    """Small volumes of any spacing and place, in geometries of every kind."""
    geometry = draw(geometries())
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = tuple(draw(st.integers(1, 20 if k == 0 else 5)) for k in range(geometry.ndim))[::-1]
    if draw(st.booleans()):
        shape = shape[::-1]  # long along z
    grid = oa.Grid(
        shape, rng.uniform(0.3, 3, geometry.ndim), "float64", rng.uniform(-1, 1, geometry.ndim)
    )
    return replace(general_plan(geometry, grid), model="footprint")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_definition(dtype):
    # float32: places within a group of lanes are rounded to some 4e-6 of a pixel. float64: the twin's
    # central differences.
    bound = 1e-5 if dtype == np.float32 else 1e-8

    @given(plan=plans(), seed=st.integers(0, 99))
    def agree(plan, seed):
        matrix = footprint_matrix(plan)
        rng = np.random.default_rng(seed)
        for run, operator, source, target in (
            (cpu.project, matrix, plan.volume_shape, plan.projection_shape),
            (cpu.backproject, matrix.T, plan.projection_shape, plan.volume_shape),
        ):
            x = rng.standard_normal(source).astype(dtype)
            out = np.full(target, np.nan, dtype)
            run(plan, x, out)
            scale = operator.sum(axis=1).max(initial=0) + matrix.max(initial=0)
            expected = (operator @ x.ravel().astype(float)).reshape(target)
            assert abs(out - expected).max() <= bound * scale * abs(x).max()

    agree()


WAYS = {  # by which views are computed
    "upright": tomo.ConeBeam(3, (31, 37), 2.0, 90.0, 150.0),
    "curved": tomo.ConeBeam(3, (31, 37), 2.0, 90.0, 150.0, curved=True),
    "tilted": tomo.rotate("x", 0.4) * tomo.ConeBeam(3, (31, 37), 2.0, 90.0, 150.0),
    "slice": tomo.FanBeam(5, 70, 1.1, 90.0, 150.0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WAYS)
def test_transpose_and_threads(name, dtype):
    geometry = WAYS[name]
    grid = oa.Grid((29, 33, 35)[-geometry.ndim :], 1.0, dtype)
    plan = replace(general_plan(geometry, grid), model="footprint")
    rng = np.random.default_rng(0)
    x, y = (
        rng.random((2, *grid.shape)).astype(dtype),
        rng.random((2, *geometry.shape)).astype(dtype),
    )
    results = []
    for threads in (1, 2, 3, 7):
        projections, volumes = np.empty_like(y), np.empty_like(x)
        cpu.project(plan, x, projections, threads=threads)
        cpu.backproject(plan, y, volumes, threads=threads)
        results.append((projections, volumes))
    for result in results[1:]:
        for array, bits in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(array, bits)
    left, right = np.vdot(projections.astype(float), y), np.vdot(x.astype(float), volumes)
    assert abs(left - right) <= (1e-6 if dtype == np.float32 else 1e-13) * abs(left)
    single = np.empty_like(y[1])
    cpu.project(plan, x[1], single)
    np.testing.assert_array_equal(single, projections[1])


def test_parallel_strips_are_exact():
    """In 2D the share of a pixel in a strip is an area: that of a polygon, cut by two lines."""
    plan = replace(
        general_plan(tomo.ParallelBeam([0.0, 0.3, math.pi / 4, 1.2], 9, 0.8), oa.Grid((3, 2))),
        model="footprint",
    )
    matrix = np.empty((6, 4, 9))
    cpu.project(plan, np.eye(6).reshape(6, 3, 2), matrix)
    for view, (u_step, corner) in enumerate(zip(plan.u_steps, plan.detectors, strict=True)):
        across = u_step / np.linalg.norm(u_step)
        for voxel in range(6):
            y, x = divmod(voxel, 2)
            square = np.array([x, y]) + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
            for pixel in range(9):
                place = (corner + pixel * u_step) @ across
                strip = clip(clip(square, across, place - 0.4), -across, -place - 0.4)
                assert matrix[voxel, view, pixel] == pytest.approx(area(strip) / 0.8, abs=1e-12)


def clip(polygon, normal, level):
    """The part of a convex polygon on which `normal` rises above a level."""
    kept = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        over_a, over_b = a @ normal - level, b @ normal - level
        if over_a >= 0:
            kept.append(a)
        if over_a * over_b < 0:
            kept.append(a + (b - a) * over_a / (over_a - over_b))
    return np.array(kept).reshape(-1, 2)


def area(polygon):
    x, y = polygon.T
    return abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2 if len(polygon) else 0.0


def test_ends_of_rays():
    """Voxels count that lie wholly before the source, and whose centre is not behind the detector."""
    plan = cpu.DivergentPlan((9, 1), (1,), [[0, 1.6]], [[0, 6.2]], [[500, 0]], model="footprint")
    seen = np.empty((9, 1, 1))
    cpu.project(plan, np.eye(9).reshape(9, 9, 1), seen)
    assert (seen[:, 0, 0] > 0).tolist() == [False] * 3 + [True] * 4 + [False] * 2


def test_curved_detectors_are_around_the_source():
    arcs = {"arc_centres": [[0.0, 1.0]], "arc_step": 0.1}
    with pytest.raises(ArgumentError, match="arc is around the source; 'joseph' and 'siddon'"):
        cpu.DivergentPlan((3, 3), (3,), [[0, -9]], [[0, 9]], [[1, 0]], **arcs, model="footprint")
