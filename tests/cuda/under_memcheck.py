"""Every kernel once, on a GPU, for compute-sanitizer to watch: run by test_gpu.py.

Without PyTorch's cache of memory, so that whatever lies beside an array is nobody's.
"""

import os

os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"

import conftest  # noqa: F401  (a stand-in for the GPU, if that is asked for)
import torch
from test_gpu import CASES, ON_STAND_IN, QUICK, plan_of

from opalg.engines import cuda

DIRECTIONS = ("project", "backproject", "backproject_voxels", "project_voxels")


def main():
    calls = 0
    for case in QUICK if ON_STAND_IN else CASES:
        for model in ("joseph",) if ON_STAND_IN else ("joseph", "siddon", "footprint"):
            plan = plan_of(case, model)
            for dtype in (torch.float32, torch.float64, torch.float16)[: 1 if ON_STAND_IN else 3]:
                for direction in DIRECTIONS[: 4 if model == "joseph" else 2]:
                    shapes = [plan.volume_shape, plan.projection_shape]
                    source, target = shapes if direction.startswith("project") else shapes[::-1]
                    x = torch.ones(3, *source, device="cuda", dtype=dtype)
                    out = torch.empty(3, *target, device="cuda", dtype=dtype)
                    getattr(cuda, direction)(plan, x, out)
                    assert torch.isfinite(out).all()
                    calls += 1
    torch.cuda.synchronize()
    print(calls, "calls")


if __name__ == "__main__":
    main()
