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
        # 65536 registers of a multiprocessor hold two blocks of 256 threads or more.
        assert max(counts.values()) <= 128, kernel
    if expected["nvcc"] == cuda_compile.version():  # another compiler has other ideas
        assert found == expected["registers"]
