"""Kernels stay within their arrays, and do nothing that C++ leaves undefined."""

import os
import subprocess
import sys
from pathlib import Path

import cuda_sanitized

TESTS = Path(cuda_sanitized.__file__).parent


def run(code):
    library = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # Python keeps memory to its end: leaks say nothing.
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_kernel_is_clean():
    done = run("import cuda_sanitized; cuda_sanitized.main()")
    assert done.returncode == 0, done.stderr[-5000:]
    assert "jobs are clean" in done.stdout


def test_a_projection_that_is_too_short_is_noticed():
    done = run(
        "import numpy as np, cuda_on_host, cuda_sanitized as c\n"
        "plan = c.NAMED['fan, longer than a leap']\n"
        "x, y = np.ones((1, *plan.volume_shape), 'f4'), np.ones(plan.projection_shape[1:], 'f4')\n"
        "cuda_on_host.execute(cuda_on_host.ln.launches(plan, 'project', 1), x, y, c.EXTRA)"
    )
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
