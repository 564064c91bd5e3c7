"""What opalg asks of the CUDA driver, call by call. Run by test_on_stand_in.py, whose driver keeps a log."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

import opalg as oa
from opalg import tomo
from opalg.engines import compiler, cuda
from opalg.errors import DeviceError, DeviceMemoryError

GRID = oa.Grid((9, 11))
GEOMETRY = tomo.FanBeam(5, 13, 1.0, sod=20.0, sdd=30.0)


def test_only_the_first_call_allocates_and_waits(log):
    A = tomo.XrayTransform(GRID, GEOMETRY)
    x = torch.rand(9, 11)
    A(x)
    assert any(line.startswith("allocate") for line in log())
    A(x)
    assert {line.split()[0] for line in log()} == {"launch"}


def test_a_call_waits_for_the_callers_stream_and_is_waited_for(log):
    A = tomo.XrayTransform(GRID, GEOMETRY)
    x = torch.rand(9, 11)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        A(x)
        log()
        A(x)
    lines = [line.split() for line in log()]
    caller = hex(side.cuda_stream)
    assert [line[0] for line in lines if line[0] != "launch"] == ["record", "wait"] * 2
    (_, event, _, recorded_on), (_, waits, _, waited_for, _, of) = lines[:2]
    assert (recorded_on, waited_for, of) == (caller, event, caller)
    launched_on = {line[3] for line in lines if line[0] == "launch"}
    assert launched_on == {waits} != {caller}
    (_, event, _, recorded_on), (_, waits_last, _, waited_for, _, of) = lines[-2:]
    assert (recorded_on, waits_last, waited_for, of) == (waits, caller, event, waits)


def test_work_runs_on_the_device_of_the_array(log, on_device):
    A = tomo.XrayTransform(GRID, GEOMETRY)
    x = np.random.default_rng(0).random((9, 11), "float32")
    for ordinal in (0, 1):
        here = on_device(x, ordinal)
        result = on_device(np.zeros(A.range.shape, "float32"), ordinal)
        log()
        cuda.project(A._plan, here, result)
        launched = [line for line in log() if line.startswith("launch")]
        assert launched
        assert all(line.endswith(f"device {ordinal}") for line in launched)
        assert np.allclose(result.get(), A(x), rtol=1e-5, atol=1e-5)


def test_arrays_on_two_devices_are_refused(on_device):
    A = tomo.XrayTransform(GRID, GEOMETRY)
    x = on_device(np.zeros((9, 11), "float32"), 0)
    y = on_device(np.zeros(A.range.shape, "float32"), 1)
    with pytest.raises(oa.errors.ArgumentError, match="input is on device 0 and out on 1"):
        cuda.project(A._plan, x, y)


def test_any_thread_may_be_the_first():
    A = tomo.XrayTransform(GRID, GEOMETRY)
    x = torch.rand(9, 11)
    results = []
    threads = [threading.Thread(target=lambda: results.append(A(x))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(torch.equal(y, results[0]) for y in results)


def test_tables_go_with_their_plan(log):
    gc.collect()
    kept = tomo.XrayTransform(GRID, GEOMETRY[1:])
    kept(torch.rand(9, 11))  # frees what plans before have left
    log()
    A = tomo.XrayTransform(GRID, GEOMETRY)
    A(torch.rand(9, 11))
    sizes = [line.split()[1].rstrip(":") for line in log() if line.startswith("allocate")]
    del A
    gc.collect()  # an operator and its adjoint know each other
    assert not log()  # nothing can be freed here: a thread need not have a context
    B = tomo.XrayTransform(GRID, GEOMETRY[::2])
    B(torch.rand(9, 11))
    freed = [line.split()[1] for line in log() if line.startswith("free")]
    assert sorted(freed) == sorted(sizes)


def test_memory_for_tables_can_run_out(monkeypatch):
    A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.FanBeam(5000, 3, 1.0, sod=20.0, sdd=30.0))
    monkeypatch.setenv("OPALG_STAND_IN_MEMORY", "100000")
    with pytest.raises(DeviceMemoryError, match=r"97.7 KiB free, and 585.9 KiB are needed"):
        A(torch.ones(8, 8))
    monkeypatch.undo()
    assert A(torch.ones(8, 8)).shape == A.range.shape


def run(code, **environment):
    """Python in a process of its own, in which warnings are errors; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


USE = """
from opalg.engines import cuda
assert cuda.try_out() == 4.0
"""


def test_the_primary_context_is_released_at_exit_and_kernels_are_compiled_once(tmp_path):
    log, cache = tmp_path / "log", tmp_path / "cache"
    run(USE, OPALG_STAND_IN_LOG=str(log), OPALG_CACHE_DIR=str(cache))
    lines = log.read_text().splitlines()
    assert lines.count("retain 0") == lines.count("release 0") == 1
    assert lines[-1] == "release 0"
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert kept
    assert all(path.suffix == ".cubin" for path in kept)  # and no scratch files
    run(USE, OPALG_CACHE_DIR=str(cache))
    assert kept == {path: path.stat().st_mtime_ns for path in cache.iterdir()}


def test_results_may_be_alive_at_the_end_and_in_a_child():
    code = """
import numpy as np, torch, opalg as oa
from opalg import tomo
from opalg.engines import cuda
from pycuda import gpuarray
A = tomo.XrayTransform(oa.Grid((9, 11)), tomo.FanBeam(5, 13, 1.0, sod=20.0, sdd=30.0))
with cuda._device(0):
    x = gpuarray.to_gpu(np.ones((9, 11), "float32"))
    y = A(x)
    del x
import os
child = os.fork()
if not child:
    raise SystemExit(17)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
"""
    run(code)


def test_a_forked_child_is_told_and_ends_in_peace():
    code = """
import os, pytest
from opalg.errors import DeviceError
child = os.fork()
if not child:
    with pytest.raises(DeviceError, match="before this process was forked"):
        cuda.try_out()
    raise SystemExit(17)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
assert cuda.try_out() == 4.0
"""
    run(USE + code)


def test_a_forked_child_is_told_though_its_parent_only_asked():
    code = """
import os, pytest
from opalg.engines import cuda
from opalg.errors import DeviceError
assert len(cuda.devices()) == 2
child = os.fork()
if not child:
    with pytest.raises(DeviceError, match="before this process was forked"):
        cuda.devices()
    assert "before this process was forked" in cuda.why_not()
    raise SystemExit(17)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
assert not cuda.why_not()
"""
    run(code)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPALG_CACHE_DIR", str(tmp_path / "file" / "cache"))
    (tmp_path / "empty.cu").write_text('extern "C" __global__ void empty() {}')
    assert compiler.compile_kernel(str(tmp_path / "empty.cu"), (), "sm_90").startswith(b"\x7fELF")


def test_a_broken_file_in_the_cache_is_compiled_anew(tmp_path):
    cache = tmp_path / "cache"
    run(USE, OPALG_CACHE_DIR=str(cache))
    whole = {path: path.read_bytes() for path in cache.iterdir()}
    for path in whole:
        path.write_bytes(b"")
    run(USE, OPALG_CACHE_DIR=str(cache))
    assert whole == {path: path.read_bytes() for path in cache.iterdir()}


def test_modules_that_do_not_load_are_told(monkeypatch):
    device = cuda._device(0)
    driver = device.driver

    def fail(error):
        def load(binary):
            raise error

        monkeypatch.setattr(driver, "module_from_buffer", load)

    fail(driver.LogicError("no binary for this GPU"))
    with device, pytest.raises(DeviceError, match=r"does not load .* add_into.cu: no binary for"):
        device.module("add_into.cu", (("OPALG_REAL", "double"),))
    fail(driver.MemoryError("out of memory"))
    with device, pytest.raises(DeviceMemoryError, match=r"KiB are needed at once"):
        device.module("add_into.cu", (("OPALG_REAL", "double"),))


def test_a_compiler_must_be_named_rightly(monkeypatch):
    monkeypatch.setenv("OPALG_CUDA_COMPILER", "gcc")
    with pytest.raises(
        DeviceError, match='must be "nvcc", "nvrtc" or the path of an nvcc, not \'gcc\''
    ):
        compiler.find_compiler()


def test_a_kernel_that_does_not_compile_is_shown(tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text('extern "C" __global__ void wrong() { return missing; }')
    with pytest.raises(DeviceError, match=r"does not compile wrong.cu for sm_90(.|\n)*missing"):
        compiler.compile_kernel(str(source), (), "sm_90")


def test_numpy_arrays_need_nothing_of_cuda():
    code = """
import sys, numpy as np, opalg as oa
from opalg import tomo
A = tomo.XrayTransform(oa.Grid((9, 11)), tomo.FanBeam(5, 13, 1.0, sod=20.0, sdd=30.0))
A(np.ones((9, 11), "float32"))
assert not any(name.startswith("pycuda") for name in sys.modules)
"""
    run(code)


def test_what_a_graph_cannot_hold_is_seen_by_the_stand_in():
    """The tests of captures prove something only if the stand-in refuses what a driver would."""
    driver = cuda._pycuda()
    graph = torch.cuda.CUDAGraph()
    for forbidden in (lambda: driver.mem_alloc(8), driver.Context.synchronize):
        with cuda._device(0), torch.cuda.graph(graph), pytest.raises(driver.Error):
            forbidden()


def test_error_of_memory_is_a_memory_error():
    assert issubclass(DeviceMemoryError, MemoryError)
