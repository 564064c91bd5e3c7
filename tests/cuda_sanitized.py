"""Runs every kernel on the host under sanitizers: see test_sanitized.py."""

from dataclasses import replace

import cuda_on_host
import numpy as np
from cuda_plans import NAMED, random_plan

from opalg.engines.launches import Input, Launch, Output

EXTRA = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DIRECTIONS = ("project", "backproject", "backproject_voxels", "project_voxels")


def main():
    cone, fan = NAMED["cone, more than a block"], NAMED["fan, longer than a leap"]
    near, beam = NAMED["source in the volume"], random_plan("parallel 2D", 0)
    curved = NAMED["curved"]
    # Two images share a thread; of three one is left over.
    jobs = [(cone, direction, 3, "float32", {}) for direction in DIRECTIONS[:3]]
    jobs += [
        (plan, direction, 2, "float32", {}) for plan in (fan, near) for direction in DIRECTIONS
    ]
    jobs += [(cone, "project_voxels", 2, "float32", {"weight": "magnification"})]
    jobs += [(beam, direction, 2, "float32", {}) for direction in DIRECTIONS[:2]]
    jobs += [(curved, "backproject_voxels", 2, "float32", {})]
    jobs += [
        (replace(plan, model=model), direction, 2, "float32", {})
        for plan, model in (
            (cone, "siddon"),
            (near, "siddon"),
            (near, "footprint"),
            (fan, "footprint"),
            (curved, "footprint"),
        )
        for direction in DIRECTIONS[:2]
    ]
    jobs += [
        (plan, direction, 2, "float32", {"interpolation": "texture"})
        for plan in (cone, fan)
        for direction in ("project", "backproject_voxels")
    ]
    jobs += [(cone, "backproject", 1, "float64", {}), (cone, "project", 1, "float16", {})]
    for plan, direction, batch, dtype, options in jobs:
        shapes = [plan.volume_shape, plan.projection_shape]
        source, target = shapes if direction.startswith("project") else shapes[::-1]
        x = np.ones((batch, *source), dtype)
        cuda_on_host.run(plan, direction, x, target, extra=EXTRA, **options)
    _add_into()
    print(len(jobs) + 1, "jobs are clean")


def _add_into():
    """The kernel that opalg/engines/cuda_streaming.py launches by itself."""
    sums, parts = np.ones(1000, np.float32), np.arange(1000, dtype=np.float32)
    arguments = (Output(), Input(), np.int64(sums.size))
    defines = (("OPALG_REAL", "float"),)
    launch = Launch("add_into.cu", "add_into", defines, (3, 1, 1), (256, 1, 1), 0, arguments)
    cuda_on_host.execute([launch], parts, sums, EXTRA)
    np.testing.assert_array_equal(sums, parts + 1)


if __name__ == "__main__":
    main()
