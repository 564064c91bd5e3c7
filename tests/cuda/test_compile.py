"""Kernels compile for every architecture, without warnings and spills, into known numbers of registers."""

import json

import cuda_compile
import pytest

pytestmark = pytest.mark.skipif(
    cuda_compile.nvcc() is None, reason="there is no nvcc: pip install 'cuda-toolkit[nvcc]==13.0.*'"
)


def test_registers_are_as_in_the_table():
    """A change must be seen: ``python tests/cuda_compile.py`` writes the table anew."""
    found, expected = cuda_compile.registers(), json.loads(cuda_compile.TABLE.read_text())
    assert set(found) == set(expected["registers"])
    for kernel, counts in found.items():
        # 65536 registers of a multiprocessor hold two blocks of 256 threads or more; but see kBlocks in
        # backproject_rays.cu.
        most = 255 if "rays model=1 curved" in kernel else 128
        assert max(counts.values()) <= most, kernel
    if expected["nvcc"] == cuda_compile.version():  # another compiler has other ideas
        assert found == expected["registers"]


@pytest.mark.parametrize(("first", "other"), [(75, 90), (100, 120)])
def test_intermediate_code_is_shared(first, other):
    """As cuda_compile.py takes for granted: it differs by the name of its target only."""
    launch = cuda_compile.collect()["backproject_voxels depth=16 upright=1"]
    code = cuda_compile.intermediate(launch, first)
    target = f".target sm_{first}"
    assert target in code
    expected = code.replace(target, f".target sm_{other}")
    assert cuda_compile.intermediate(launch, other) == expected
