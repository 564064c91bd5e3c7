"""Runs every kernel on the host under sanitizers: see test_sanitized.py."""

from dataclasses import replace

import cuda_on_host
import numpy as np
from cuda_plans import NAMED, random_plan

EXTRA = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DIRECTIONS = ("project", "backproject", "backproject_voxels", "project_voxels")


def main():
    cone, fan = NAMED["cone, more than a block"], NAMED["fan, longer than a leap"]
    near, beam = NAMED["source in the volume"], random_plan("parallel 2D", 0)
    jobs = [(plan, direction, {}) for plan in (cone, fan, near) for direction in DIRECTIONS]
    jobs += [(beam, direction, {}) for direction in DIRECTIONS[:2]]
    jobs += [(NAMED["curved"], "backproject_voxels", {})]
    jobs += [
        (replace(plan, model=model), direction, {})
        for plan, model in (
            (cone, "siddon"),
            (near, "siddon"),
            (near, "footprint"),
            (fan, "footprint"),
            (NAMED["curved"], "footprint"),
        )
        for direction in DIRECTIONS[:2]
    ]
    jobs += [
        (plan, direction, {"interpolation": "texture"})
        for plan in (cone, fan)
        for direction in ("project", "backproject_voxels")
    ]
    for plan, direction, options in jobs:
        shapes = [plan.volume_shape, plan.projection_shape]
        source, target = shapes if direction.startswith("project") else shapes[::-1]
        x = np.ones((1, *source), np.float32)
        cuda_on_host.run(plan, direction, x, target, extra=EXTRA, **options)
    print(len(jobs), "jobs are clean")


if __name__ == "__main__":
    main()
