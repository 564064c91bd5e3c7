"""Which compiler is taken for kernels, and that each makes the same of them."""

from types import SimpleNamespace

import pytest

from opalg.engines import compiler
from opalg.errors import DeviceError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """One with nothing but what is put on it: programs in a folder on the PATH, and perhaps NVRTC."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("CUDA_HOME", "CUDA_PATH", "NVCC_CCBIN", "OPALG_CUDA_COMPILER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(programs))
    found = SimpleNamespace(nvrtc=[])

    def install(name, folder=programs, release="13.0"):
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(
            f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.1'\n"
        )
        path.chmod(0o755)
        return str(path)

    def no_wheels(pattern):
        return []

    # Only what is beside the PATH of this machine: it may have a toolkit.
    which = compiler.shutil.which
    monkeypatch.setattr(compiler, "_in_wheels", no_wheels)
    monkeypatch.setattr(
        compiler.shutil,
        "which",
        lambda name, path: which(name, path=path.replace("/usr/local/cuda", "/none")),
    )
    monkeypatch.setattr(compiler, "_nvrtc_candidates", lambda: found.nvrtc)
    monkeypatch.setattr(compiler, "_load_nvrtc", _Library)
    compiler._find_compiler.cache_clear()
    found.install = install
    yield found
    compiler._find_compiler.cache_clear()


class _Library:
    """NVRTC as far as it is asked for its version."""

    def __init__(self, path):
        if "broken" in path:
            raise OSError(path)

    def nvrtcVersion(self, major, minor):
        major._obj.value, minor._obj.value = 13, 1


def test_nvcc_is_taken_where_a_host_compiler_is_beside_it(machine):
    nvcc = machine.install("nvcc")
    machine.install("g++")
    machine.nvrtc.append("libnvrtc.so.13")
    found = compiler.find_compiler()
    assert (found.kind, found.path, str(found)) == ("nvcc", nvcc, "nvcc 13.0")


@pytest.mark.parametrize("missing", ["nvcc", "g++"])
def test_nvrtc_is_taken_where_one_of_both_is_missing(machine, missing):
    machine.install("g++" if missing == "nvcc" else "nvcc")
    machine.nvrtc += ["broken/libnvrtc.so.13", "whole/libnvrtc.so.13"]
    found = compiler.find_compiler()
    assert found == ("nvrtc", "whole/libnvrtc.so.13", "NVRTC 13.1")


def test_a_host_compiler_may_be_named_to_nvcc(machine, monkeypatch):
    machine.install("nvcc")
    monkeypatch.setenv("NVCC_CCBIN", "/opt/bin/g++-12")
    assert compiler.find_compiler().kind == "nvcc"


def test_nvcc_is_found_in_the_toolkit(machine, monkeypatch, tmp_path):
    (tmp_path / "toolkit").mkdir()
    nvcc = machine.install("nvcc", tmp_path / "toolkit" / "bin")
    machine.install("c++")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    assert compiler.find_compiler().path == nvcc


def test_the_environment_chooses(machine, monkeypatch, tmp_path):
    machine.install("nvcc")
    machine.install("g++")
    other = machine.install("nvcc-12", tmp_path / "other", release="12.9")
    machine.nvrtc.append("libnvrtc.so.13")
    for wanted, kind, version in (
        ("nvcc", "nvcc", "nvcc 13.0"),
        ("nvrtc", "nvrtc", "NVRTC 13.1"),
        (other, "nvcc", "nvcc 12.9"),
    ):
        monkeypatch.setenv("OPALG_CUDA_COMPILER", wanted)
        found = compiler.find_compiler()
        assert (found.kind, str(found)) == (kind, version)


def test_what_is_asked_for_and_is_not_there_is_told(machine, monkeypatch):
    with pytest.raises(DeviceError, match="no compiler for CUDA kernels was found"):
        compiler.find_compiler()
    for wanted, message in (
        ("nvcc", "OPALG_CUDA_COMPILER is 'nvcc', and no nvcc was found"),
        ("nvrtc", "no compiler for CUDA kernels was found"),
        ("gcc", 'must be "nvcc", "nvrtc" or the path of an nvcc, not \'gcc\''),
        ("/nowhere/nvcc", "/nowhere/nvcc was found and does not run"),
    ):
        monkeypatch.setenv("OPALG_CUDA_COMPILER", wanted)
        with pytest.raises(DeviceError, match=message):
            compiler.find_compiler()


@pytest.mark.parametrize("kind", ["nvcc", "nvrtc"])
@pytest.mark.parametrize(
    ("source", "store"),
    [
        ("project_rays.cu", "opalg::Half"),
        ("backproject_voxels.cu", "float"),
        ("backproject_rays.cu", "double"),
    ],
)
def test_both_compile_kernels(kind, source, store, monkeypatch, tmp_path):
    """By the way that leads to a device; which none of this needs."""
    monkeypatch.setenv("OPALG_CUDA_COMPILER", kind)
    monkeypatch.setenv("OPALG_CACHE_DIR", str(tmp_path))
    try:
        compiler.find_compiler()
    except DeviceError:
        pytest.skip(f"there is no {kind}")
    real = "double" if store == "double" else "float"
    macros = (("OPALG_REAL", real), ("OPALG_STORE", store), ("OPALG_UPRIGHT", "1"))
    binary = compiler.compile_kernel(source, macros, "sm_90")
    assert binary.startswith(b"\x7fELF")
    assert source.removesuffix(".cu").encode() in binary
    assert len(list(tmp_path.iterdir())) == 1
    assert compiler.compile_kernel(source, macros, "sm_90") == binary
