"""The kernels of the footprint model, run on the host, agree with the CPU engine and are each other's transpose."""

from dataclasses import replace

import cuda_on_host
import numpy as np
import pytest
from cuda_plans import KINDS, NAMED, random_plan

from opalg.engines import cpu
from opalg.errors import ArgumentError

#: Relative to the norm of the result. Weights are differences of numbers of up to 1, formed in another order.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}


def compare(plan, dtype, batch=1):
    """Both directions against the CPU engine, and as transposes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, *plan.volume_shape)).astype(dtype)
    y = rng.standard_normal((batch, *plan.projection_shape)).astype(dtype)
    results = []
    for direction, source, shape in (
        ("project", x, plan.projection_shape),
        ("backproject", y, plan.volume_shape),
    ):
        expected = np.empty((batch, *shape), dtype)
        getattr(cpu, direction)(plan, source, expected)
        result = cuda_on_host.run(plan, direction, source, shape)
        error, norm = np.linalg.norm(result - expected), np.linalg.norm(expected)
        assert error <= TOLERANCE[dtype] * norm, f"{direction}: {error / norm:.2e} for {plan}"
        results.append(result.astype(np.float64))
    difference = np.vdot(results[0], y) - np.vdot(x, results[1])
    assert abs(difference) <= TOLERANCE[dtype] * np.linalg.norm(results[0]) * np.linalg.norm(y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_geometries(kind, dtype):
    for seed in range(6):
        try:
            plan = random_plan(kind, seed, "footprint")
        except ArgumentError:
            print(kind, seed, 'arc')
            continue
        compare(plan, dtype)


@pytest.mark.parametrize("name", NAMED)
def test_named_geometries(name):
    plan = NAMED[name]
    if not plan.arcs_around_sources: pytest.skip("")
    plan = replace(plan, model="footprint")
    compare(plan, "float64")
    compare(plan, "float32")
