"""The CUDA engine where there is no GPU: kernels run on the host, everything around them is real.

PyCUDA is built and talks to a driver that executes launches on the host (stand_in/driver.c); PyTorch's
tensors count as tensors on a device (stand_in/torch_cuda.py). The files below run in processes of their own,
once for all their tests.
"""

import json
import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("OPALG_STAND_IN")), reason="runs the files of this folder, and not itself"
)


def test_gpu_tests_pass_on_the_stand_in(stand_in):
    output = stand_in.pytest("test_gpu.py")
    skipped = set(re.findall(r"SKIPPED \[\d+\] \S+ (.*)", output))
    assert skipped <= {
        "CuPy is not installed",
        "needs two GPUs with PyTorch tensors on both",
        "NVRTC is not installed",
    }


@pytest.mark.parametrize(
    "name", sorted(path.name for path in Path(__file__).parent.glob("check_*.py"))
)
def test_what_the_driver_is_asked(stand_in, name):
    output = stand_in.pytest(name)
    assert "skipped" not in output


def test_the_benchmark_runs(stand_in, tmp_path):
    """At toy sizes, to its end, and every case: what is wrong in a case is told in its row."""
    script = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
    report = tmp_path / "gpu.json"
    stand_in.script(script, "--quick", "--output", str(report))
    found = json.loads(report.read_text())
    assert found["machine"]["card"] == "stand-in 0"
    assert all(error < 1e-2 for error in found["differences"].values())
    assert not [row["error"] for row in found["rows"] if "error" in row]
