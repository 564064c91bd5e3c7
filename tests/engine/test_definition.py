"""The engine computes Joseph's method and its exact transpose, for every geometry and dtype."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opalg.engines import cpu

DTYPES = [np.float32, np.float64]


def test_the_instruction_set_asked_for_is_active():
    wanted = os.environ.get("OPALG_ISA")
    assert cpu.active_instruction_set() == (wanted or next(iter(cpu.instruction_sets())))


# One image, too few for a stack, a full stack of any instruction set and a partial one.
@pytest.mark.parametrize("batch", [(), (2,), (19,)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_geometries(joseph, dtype, batch):
    @settings(max_examples=60)
    @given(plan=joseph.plans(), seed=st.integers(0, 99))
    def check(plan, seed):
        joseph.Definition(plan).check(*joseph.random_pair(plan, dtype, batch, seed))

    check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pitch", [0.1, 0.5, 0.7, 1.0, 1.45, 3.0, 7.0])
def test_sizes_beyond_one_band_and_one_register(joseph, dtype, pitch):
    angles = np.linspace(0, np.pi, 13)
    plan = joseph.circular_plan((67, 101), 133, angles, pitch, (0.3, -0.7))
    joseph.Definition(plan).check(*joseph.random_pair(plan, dtype))
    joseph.Definition(plan).check(*joseph.random_pair(plan, dtype, (17,)))


@pytest.mark.parametrize("detectors", [1, 8, 9])
@pytest.mark.parametrize("half", [0.0, 0.5])
def test_rays_on_pixel_centres_and_on_borders(joseph, detectors, half):
    for angles in ([0], [np.pi / 2], [np.pi], [np.pi / 4], [3 * np.pi / 4]):
        plan = joseph.circular_plan((8, 8), detectors, angles, 1.0, (half, half))
        joseph.Definition(plan).check(*joseph.random_pair(plan))


def test_along_y_and_along_x_by_hand():
    image = np.array([[1.0, 2, 3], [4, 5, 6]])
    rays = [[0, 0, 1, 0, 0, 5], [0, 0, 0, 1, -2, 0], [-0.5, 9, 1, 0, 0, 1]]
    plan = cpu.ParallelPlan((2, 3), (3,), rays, [1, 10, 1])
    out = np.empty((3, 3))
    cpu.project(plan, image, out)
    # Half a pixel outside, the border pixel still has half its weight.
    np.testing.assert_array_equal(out, [[5, 7, 9], [60, 150, 0], [2.5, 6, 8]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_digits_are_lost_far_from_the_origin(joseph, dtype):
    """A row of 2^20 pixels: float32 holds positions there to 1/16 of a pixel only."""
    nx = 2**20
    start = nx - 50.3
    plan = cpu.ParallelPlan((3, nx), (40,), [[start, 0, 1.1, 0, 0.1, 1]], [1.0])
    joseph.Definition(plan).check(*joseph.random_pair(plan, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "rows", [(0, 1), (0.25, 0.9), (10.5, -1.0), (-3, 0.4), (2, 0), (100, 1), (-4, 3.5)]
)
@pytest.mark.parametrize("nv", [1, 5, 40])
def test_stack_of_slices(joseph, dtype, rows, nv):
    flat = joseph.circular_plan((9, 12), 17, np.linspace(0, np.pi, 5), 1.1)
    plan = cpu.ParallelPlan((11, 9, 12), (nv, 17), flat.rays, flat.lengths, rows)
    for batch in ((), (3,)):
        joseph.Definition(plan).check(*joseph.random_pair(plan, dtype, batch))


def test_random_stacks(joseph):
    finite = st.floats(-20, 20)

    @settings(max_examples=60)
    @given(
        flat=joseph.plans(),
        nz=st.integers(1, 20),
        nv=st.integers(1, 24),
        rows=st.tuples(finite, finite),
    )
    def check(flat, nz, nv, rows):
        plan = cpu.ParallelPlan(
            (nz, *flat.volume_shape), (nv, *flat.detector_shape), flat.rays, flat.lengths, rows
        )
        joseph.Definition(plan).check(*joseph.random_pair(plan, np.float64))

    check()


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("batch", [(), (16,)])
def test_inner_products_agree(joseph, dtype, bound, batch):
    plan = joseph.circular_plan((128, 96), 190, np.linspace(0, np.pi, 60, endpoint=False), 0.9)
    x, y = joseph.random_pair(plan, dtype, batch)
    projected, gathered = np.empty_like(y), np.empty_like(x)
    cpu.project(plan, x, projected)
    cpu.backproject(plan, y, gathered)
    left = np.vdot(projected.astype(float), y)
    right = np.vdot(x.astype(float), gathered)
    norms = np.linalg.norm(projected) * np.linalg.norm(y)
    assert abs(left - right) <= bound * norms


@pytest.mark.parametrize("angle", [0.2, 1.4])
def test_opposite_views_see_the_same(joseph, angle):
    there = joseph.circular_plan((33, 47), 51, [angle])
    back = joseph.circular_plan((33, 47), 51, [angle + np.pi])
    x, y = joseph.random_pair(there)
    other = np.empty_like(y)
    cpu.project(there, x, y)
    cpu.project(back, x, other)
    np.testing.assert_allclose(other[:, ::-1], y, rtol=0, atol=2e-6 * 47)


@pytest.mark.parametrize("views", [0, 3])
@pytest.mark.parametrize("batch", [(), (0,), (20,)])
def test_what_no_ray_reaches_is_zero(joseph, views, batch):
    plan = joseph.circular_plan((20, 30), 40, np.linspace(0, 1, views), 1.0, (500.0, 500.0))
    x, y = joseph.random_pair(plan, np.float32, batch)
    projections, volumes = np.full_like(y, np.nan), np.full_like(x, np.nan)
    cpu.project(plan, x, projections)
    cpu.backproject(plan, y, volumes)
    assert not projections.any()
    assert not volumes.any()


@pytest.mark.parametrize(("volume", "detector"), [((0, 5), (4,)), ((5, 0), (4,)), ((5, 5), (0,))])
def test_empty_axes(volume, detector):
    plan = cpu.ParallelPlan(volume, detector, [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]], [1, 1])
    projections, volumes = np.full((2, *detector), np.nan), np.full(volume, np.nan)
    cpu.project(plan, np.ones(volume), projections)
    cpu.backproject(plan, np.ones((2, *detector)), volumes)
    assert not projections.any()
    assert not volumes.any()


def test_strided_rays_are_a_subset_of_views(joseph):
    plan = joseph.circular_plan((20, 20), 30, np.linspace(0, 3, 30))
    subset = cpu.ParallelPlan((20, 20), (30,), plan.rays[::10], plan.lengths[::10])
    assert np.shares_memory(subset.rays, plan.rays)
    x, every = joseph.random_pair(plan)
    some = np.empty((3, 30), np.float32)
    cpu.project(plan, x, every)
    cpu.project(subset, x, some)
    np.testing.assert_array_equal(some, every[::10])
