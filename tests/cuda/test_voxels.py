"""The voxel-driven kernels, run on the host: one agrees with the CPU engine, the other is its transpose."""

import cuda_on_host
import numpy as np
import pytest
from cuda_plans import KINDS, NAMED, random_plan

from opalg.engines import cpu
from opalg.engines.launches import launches
from opalg.errors import ArgumentError

#: Relative to the norm of the result; most seen is 1.4e-6 and, in double, 1e-14.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}
FREE_ARC = "arc around another point"


def compare(plan, dtype, weight, batch=1):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, *plan.volume_shape)).astype(dtype)
    y = rng.standard_normal((batch, *plan.projection_shape)).astype(dtype)
    expected = np.empty(x.shape, dtype)
    cpu.backproject_voxels(plan, y, expected, weight=weight)
    back = cuda_on_host.run(plan, "backproject_voxels", y, plan.volume_shape, weight=weight)
    error, norm = np.linalg.norm(back - expected), np.linalg.norm(expected)
    assert error <= TOLERANCE[dtype] * norm, f"{error / norm:.2e} for {plan}"
    forth = cuda_on_host.run(plan, "project_voxels", x, plan.projection_shape, weight=weight)
    difference = np.vdot(forth, y.astype(float)) - np.vdot(x, back.astype(float))
    assert abs(difference) <= TOLERANCE[dtype] * np.linalg.norm(forth) * np.linalg.norm(y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_geometries(kind, dtype):
    for seed in range(6):
        plan = random_plan(kind, seed)
        if plan.arc_centres is None or not kind.startswith("free"):
            # Every combination is a kernel to compile; test_named_geometries has both weights.
            weight = "magnification" if dtype == "float32" else "none"
            compare(plan, dtype, weight, batch=1 if seed else 3)


@pytest.mark.parametrize("name", [name for name in NAMED if name != FREE_ARC])
def test_named_geometries(name):
    for weight in ("none", "magnification"):
        compare(NAMED[name], "float64", weight)


def test_an_arc_around_another_point_is_refused():
    with pytest.raises(ArgumentError, match="use backproject"):
        launches(NAMED[FREE_ARC], "backproject_voxels", 1)
