"""The C++ sources keep the rules on which the binary's portability stands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "cuda_src"

CUDA_KERNEL = """
#include "joseph.cuh"
using namespace opalg;
extern "C" __global__
void project(const float* image, float* sums, ParallelView view, int planes, int across) {
    const int ray = int(blockIdx.x * blockDim.x + threadIdx.x);
    float sum = 0;
    for (int j = 0; j < planes; ++j) {
        float part, weight;
        int lower;
        const auto whole = anchor(view.position(ray, j), -2, across, part);
        carry<float>(int(whole), part, lower, weight);
        sum += sample<float>(MemoryWindow<float>(image + j * across), lower, weight);
    }
    sums[ray] = sum;
}
"""


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


@pytest.mark.skipif(not (shutil.which("c++") and shutil.which("nm")), reason="needs c++ and nm")
@pytest.mark.parametrize("source", ["kernels.cpp", "difference_kernels.cpp"])
def test_kernels_are_plain_and_share_no_symbol(tmp_path, source):
    """Without x86 flags, without a warning; and all that one instruction set's object defines is in
    its namespace: the linker cannot mix it up with that of another."""
    target = tmp_path / "kernels.o"
    flags = [
        "-std=c++17",
        "-O3",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-DOPALG_ISA=plain",
        "-c",
    ]
    run("c++", *flags, str(SOURCES / "host" / source), "-o", str(target))
    lines = run("nm", "-C", "--defined-only", "-g", str(target)).splitlines()
    # The length of a register in a result's type is no list of arguments.
    symbols = [re.sub(r"__vector\(\d+\)", "register", line.split(" ", 2)[2]) for line in lines]
    assert symbols
    assert [name for name in symbols if "opalg::plain::" not in name.split("(")[0]] == []


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc")
def test_arithmetic_compiles_for_cuda(tmp_path):
    source = tmp_path / "project.cu"
    source.write_text(CUDA_KERNEL)
    output = run(
        "nvcc", "-std=c++17", "-I", str(SOURCES), "-ptx", str(source), "-o", f"{source}.ptx"
    )
    assert "warning" not in output
