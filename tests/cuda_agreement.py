"""Compares kernels that run on the host with the CPU engine."""

import cuda_on_host
import numpy as np

from opalg.engines import cpu

#: Relative to the norm of the result. Positions are formed in double and rounded once: most seen is
#: 1.6e-6 and, in double, 2e-14. Weights of footprints are differences of numbers of up to 1.
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
