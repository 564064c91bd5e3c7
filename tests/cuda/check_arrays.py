"""Arrays of PyCUDA, and of libraries that opalg does not know. Run by test_on_stand_in.py."""

import threading

import numpy as np
import pytest
import torch
from pycuda import driver, gpuarray

import opalg as oa
from opalg import tomo
from opalg.engines import cuda, device_arrays
from opalg.errors import ArgumentError, DeviceMemoryError, DtypeError, OpalgError

A = tomo.XrayTransform(oa.Grid((9, 11)), tomo.FanBeam(5, 13, 1.0, sod=20.0, sdd=30.0))
X, Y = A.domain.random(0), A.range.random(1)


def in_a_thread(work):
    errors = []

    def caught():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


# ----------------------------------------------------------------------------------------------- memory
@pytest.mark.parametrize("kind", ["interface", "gpuarray"])
@pytest.mark.parametrize("where", [in_a_thread, lambda work: work()])
def test_scratch_and_results_are_freed_in_any_thread(kind, where, on_device, held):
    """Warnings are errors here: PyCUDA warns of what it cannot free."""
    with cuda._device(0):
        if kind == "interface":
            x, y = on_device(X), on_device(Y)
        else:
            x, y = gpuarray.to_gpu(X), gpuarray.to_gpu(Y)
    A(x), A.H(y)
    before = held()

    def work():
        for _ in range(3):
            A(x), A.H(y)
            A.H(A(x))

    where(work)
    assert held() == before
    with cuda._device(0):
        assert np.allclose(A(x).get(), A(X), atol=1e-4)
        assert np.allclose(A.H(y).get(), A.H(Y), atol=1e-4)
        x = y = None


def test_results_are_made_by_the_allocator_of_a_gpuarray():
    seen = []

    def allocate(size):
        seen.append(size)
        return driver.mem_alloc(size)

    with cuda._device(0):
        x = gpuarray.to_gpu(X, allocator=allocate)
        seen.clear()
        y = A(x)
        assert seen[0] == 4 * A.range.size
        assert np.allclose(y.get(), A(X), atol=1e-4)
        del x, y


# ------------------------------------------------------------------------------------------------ order
def streams(count):
    with cuda._device(0):
        return [driver.Stream(1) for _ in range(count)]


def order(lines):
    """What waits, and for what, in a log; launches as one."""
    found = []
    for line in map(str.split, lines):
        if line[0] == "wait":
            found.append((line[1], line[5]))
        elif line[0] == "launch" and found[-1:] != ["launch"]:
            found.append("launch")
    return found


def test_the_legacy_stream_waits_for_the_stream_that_an_array_names(on_device, log):
    """Results are GPUArrays, which are read on the legacy stream."""
    (s,) = streams(1)
    x = on_device(X, stream=s.handle)
    A(x)
    log()
    A(x)
    lines = log()
    assert order(lines) == [("(nil)", hex(s.handle)), "launch", (hex(s.handle), "(nil)")]
    assert {line.split()[3] for line in lines if line.startswith("launch")} == {"(nil)"}


def test_the_stream_that_out_names_is_worked_on(on_device, log):
    s, t = streams(2)
    x, out = on_device(X, stream=s.handle), on_device(np.zeros_like(Y), stream=t.handle)
    cuda.project(A._plan, x, out)
    log()
    cuda.project(A._plan, x, out)
    (first, before, launch, after, last) = order(log())
    assert (first, last) == ((hex(t.handle), hex(s.handle)), (hex(s.handle), hex(t.handle)))
    twin = before[0]
    assert (before, launch, after) == (
        (twin, hex(t.handle)),
        "launch",
        (hex(t.handle), twin),
    )
    assert np.allclose(out.get(), A(X), atol=1e-4)
    same = on_device(X, stream=t.handle)
    log()
    cuda.project(A._plan, same, out)
    assert order(log()) == [before, launch, after]


def test_the_stream_of_a_thread_is_another_one_in_each(on_device, log):
    """All have the handle 2."""
    x, out = on_device(X, stream=2), on_device(np.zeros_like(Y), stream=2)
    used = []

    def work():
        log()
        cuda.project(A._plan, x, out)
        used.append({line.split()[3] for line in log() if line.startswith("launch")})

    work()
    in_a_thread(work)
    work()
    assert [len(names) for names in used] == [1, 1, 1]
    assert used[0] == used[2] != used[1]


def test_a_first_call_in_another_thread_does_not_spoil_a_capture(on_device):
    B = tomo.VoxelBackProjection(A[1:])
    (s,) = streams(1)
    other, out = on_device(Y[1:], stream=s.handle), on_device(np.zeros_like(X), stream=s.handle)
    x, graph = torch.from_numpy(X), torch.cuda.CUDAGraph()
    expected = A(x)
    with torch.cuda.graph(graph):
        y = A(x)
        in_a_thread(lambda: cuda.backproject_voxels(B._plan, other, out))
    graph.replay()
    assert torch.equal(y, expected)
    assert np.allclose(out.get(), B(Y[1:]), atol=1e-4)


# --------------------------------------------------------------------------------------------- never misread
def test_interfaces_that_would_be_misread_are_refused(on_device):
    out = on_device(np.zeros_like(Y))
    with pytest.raises(DtypeError, match="float32 in the byte order of another machine"):
        cuda.project(A._plan, on_device(X.astype(">f4")), out)
    mask = on_device(np.ones(X.shape, bool))
    with pytest.raises(ArgumentError, match="has a mask, which would be ignored"):
        cuda.project(A._plan, on_device(X, mask=mask), out)
    out.__cuda_array_interface__["data"] = (out.__cuda_array_interface__["data"][0], True)
    with pytest.raises(ArgumentError, match="out is read-only"):
        cuda.project(A._plan, on_device(X), out)
    assert not out.get().any()


def test_what_does_not_fit_is_described(on_device):
    with pytest.raises(DtypeError, match=r"got OnDevice of shape \(11, 9\) and dtype float32$"):
        A(on_device(np.ascontiguousarray(X.T)))
    with pytest.raises(DtypeError, match=r"got OnDevice of shape \(9, 11\) and dtype float64$"):
        A(on_device(X.astype("float64")))


def test_what_computes_with_arrays_itself_says_what_it_takes(on_device):
    with pytest.raises(DtypeError, match=r"got OnDevice; torch.as_tensor\(x, device=\"cuda\"\)"):
        tomo.FBP(A)(on_device(Y))
    for operator in (A, A.gram, A[::2], tomo.VoxelBackProjection(A).H):
        with cuda._device(0):
            assert np.allclose(operator(on_device(X)).get(), operator(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_projectors_only_take_half_precision(dtype):
    x, y = torch.from_numpy(X).to(dtype), torch.from_numpy(Y).to(dtype)
    B = tomo.VoxelBackProjection(A)
    for operator, operand in ((A, x), (A.H, y), (A[::2], x), (B, y), (B.H, x)):
        assert operator(operand).dtype is dtype
    for operator, operand in ((2 * A, x), (A.gram, x), (A + A, x), (tomo.FBP(A), y)):
        with pytest.raises(DtypeError):
            operator(operand)


def test_batches_without_images_give_empty_results(on_device):
    nothing = np.zeros((2, 0, *A.domain.shape), "float32")
    x = on_device(nothing)
    x.__cuda_array_interface__["data"] = (0, False)
    with cuda._device(0):
        for empty in (x, gpuarray.empty(nothing.shape, np.float32)):
            y = A(empty)
            assert isinstance(y, gpuarray.GPUArray)
            assert y.shape == (2, 0, *A.range.shape)
            assert A.H(y).shape == nothing.shape


# ------------------------------------------------------------------------------------------- lack of memory
def fail(monkeypatch, method, error):
    def raising(*arguments):
        raise error

    monkeypatch.setattr(type(device_arrays.LIBRARIES[0]), method, raising)


def test_lack_of_memory_is_told_and_nothing_else_is_taken_for_it(monkeypatch):
    x = torch.from_numpy(X)
    A(x)
    fail(monkeypatch, "empty", RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access") as raised:
        A(x)
    assert not isinstance(raised.value, OpalgError)
    for error in (
        torch.OutOfMemoryError("Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: out of memory"),
    ):
        fail(monkeypatch, "empty", error)
        with pytest.raises(DeviceMemoryError, match=r"of 4 GiB free, and 260 bytes are needed"):
            A(x)
    monkeypatch.undo()
    fail(monkeypatch, "contiguous", torch.OutOfMemoryError("Tried to allocate 1 GiB"))
    with pytest.raises(DeviceMemoryError, match=r"and 396 bytes are needed"):
        cuda.contiguous(x)
