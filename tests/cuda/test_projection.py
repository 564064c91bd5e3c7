"""The projection kernels, run on the host, agree with the CPU engine."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.engines.launches import launches
from opalg.engines.parallel import ParallelPlan
from opalg.errors import ArgumentError, DtypeError
from opalg.tomo.plans import general_plan, make_plan

KINDS = [
    *("parallel 2D", "parallel 3D", "fan", "cone"),
    *("free parallel 2D", "free parallel 3D", "free fan", "free cone"),
]
#: Relative to the norm of the result. Positions are formed in double and rounded once.
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}


def random_plan(kind, seed, model):
    """A random geometry before a volume of odd size, some axes of length one."""
    geometry = tomo.random_geometry(kind, seed)
    shape = np.random.default_rng(seed).integers(1, 12, geometry.ndim)
    grid = oa.Grid(tuple(map(int, shape)), spacing=tuple(10 / shape))
    return replace(general_plan(geometry, grid), model=model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", ["joseph", "siddon"])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_cpu(kind, model, dtype):
    for seed in range(6):
        plan = random_plan(kind, seed, model)
        x = np.random.default_rng(seed).standard_normal((1, *plan.volume_shape)).astype(dtype)
        expected = np.empty((1, *plan.projection_shape), dtype)
        cpu.project(plan, x, expected)
        result = cuda_on_host.run(plan, "project", x, plan.projection_shape)
        error = np.linalg.norm(result - expected)
        assert error <= TOLERANCE[dtype] * np.linalg.norm(expected), (kind, seed)


@pytest.mark.parametrize("kind", ["fan", "cone"])
def test_images_of_a_batch_are_projected_alike(kind):
    plan = random_plan(kind, 3, "joseph")
    x = np.random.default_rng(0).standard_normal((7, *plan.volume_shape)).astype(np.float32)
    together = cuda_on_host.run(plan, "project", x, plan.projection_shape)
    alone = [cuda_on_host.run(plan, "project", one[None], plan.projection_shape)[0] for one in x]
    np.testing.assert_array_equal(together, alone)


def test_what_is_unknown_is_named():
    plan = random_plan("fan", 0, "joseph")
    with pytest.raises(DtypeError, match="float16"):
        launches(plan, "project", 1, "int8")
    with pytest.raises(ArgumentError, match="direction must be one of project"):
        launches(plan, "sideways", 1)


@pytest.mark.parametrize("kind", ["parallel 2D", "parallel 3D"])
def test_plans_of_slices_agree_with_the_cpu(kind):
    geometry = tomo.random_geometry(kind, 0)
    grid = oa.Grid((3, 5, 7)[-geometry.ndim :], spacing=(2.0, 0.8, 1.3)[-geometry.ndim :])
    plan = make_plan(geometry, grid)
    assert isinstance(plan, ParallelPlan)
    x = np.random.default_rng(0).standard_normal((1, *plan.volume_shape))
    expected, result = np.empty((2, 1, *plan.projection_shape))
    cpu.project(plan, x, expected)
    cuda_on_host.execute(launches(plan, "project", 1, "float64"), x, result)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 * abs(expected).max())


def test_lengths_of_no_common_spacing_are_refused():
    plan = ParallelPlan((4, 4), (4,), [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 0, 1]], [1.0, 2.0])
    with pytest.raises(ArgumentError, match="no common spacing"):
        launches(plan, "project", 1)
