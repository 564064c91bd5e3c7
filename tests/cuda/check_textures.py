"""Copies for texture units: whose they are, how many, how long. Run by test_on_stand_in.py."""

import ctypes
import sys
import threading

import numpy as np
import pytest
import torch

import opalg as oa
from opalg import tomo
from opalg.engines import cuda, textures
from opalg.engines.launches import Input, Texture
from opalg.engines.textures import TextureCopies
from opalg.errors import DeviceError, DeviceMemoryError, DtypeError

SLICE = oa.Grid((37, 43)), tomo.FanBeam(23, 61, 1.7, sod=60.0, sdd=110.0)
VOLUME = oa.Grid((32, 48, 48)), tomo.ConeBeam(24, (40, 56), 1.7, sod=90.0, sdd=150.0)
DRIVER = ctypes.CDLL("libcuda.so.1")
DRIVER.stand_in_most_in_use.restype = ctypes.c_size_t


def transform(scan, **options):
    return tomo.XrayTransform(*scan, interpolation="texture", **options)


@pytest.fixture(autouse=True)
def nothing_is_kept(held):
    """Copies go with their operators."""
    yield
    held()
    assert not cuda._device(0)._textures._kept


def unexpected(size):
    return AssertionError(f"{size} bytes are not there")


@pytest.mark.parametrize("layered", [False, True])
def test_they_hold_their_source(layered, on_device):
    class Seen(ctypes.Structure):  # what a handle of the stand-in points to
        _fields_ = (("data", ctypes.POINTER(ctypes.c_float)), ("sizes", ctypes.c_int64 * 4))

    class User:
        pass

    x = np.arange(30, dtype=np.float32)
    source = on_device(x)
    address = source.__cuda_array_interface__["data"][0]
    driver, user = cuda._pycuda(), User()
    with cuda._device(0):
        copies = TextureCopies(driver, unexpected)
        for stream in (None, driver.Stream(1)):
            texture = Texture(Input(), (2, 3, 4), layered, offset=5)
            seen = Seen.from_address(copies.fill(texture, "float32", address, stream, user))
            assert seen.data[:24] == x[5:29].tolist()
            assert list(seen.sizes) == [4, 3, 2, int(layered)]
        with pytest.raises(DtypeError, match="texture units do not interpolate float64"):
            copies.fill(texture, "float64", address, None, user)
        del copies


@pytest.mark.parametrize("scan", [SLICE, VOLUME])
def test_half_precision_is_half_the_memory(scan, held):
    A, S = transform(scan), tomo.XrayTransform(*scan)
    x = torch.from_numpy(A.domain.random(0)).half()
    expected, y = S(x), A(x)
    assert y.dtype is torch.float16
    assert 0 < float((y - expected).abs().max()) < float(expected.abs().max()) / 128
    before = held()
    with torch.cuda.stream(torch.cuda.Stream()):
        assert torch.equal(A(x), y)
    assert held() - before == 2 * A.domain.size
    B, C = tomo.VoxelBackProjection(A), tomo.VoxelBackProjection(S)
    assert float((B(y) - C(y)).abs().max()) < float(C(y).abs().max()) / 128


def in_threads(work, count):
    """Call ``work(k)`` in `count` threads that take turns as often as can be."""
    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)


def test_threads_may_share_a_stream():
    A = transform(SLICE)
    images = [torch.full(A.domain.shape, value) for value in (1.0, 100.0)]
    expected = [A(x) for x in images]
    wrong = []

    def work(k):
        for _ in range(300):
            if not torch.equal(A(images[k]), expected[k]):
                wrong.append(k)

    in_threads(work, 2)
    assert not wrong


def test_threads_that_come_first_make_one_copy(log):
    A = transform(SLICE)
    x = torch.ones(A.domain.shape)
    key = ("project", 1, "float32", ("interpolation", "texture"))
    cuda._device(0).prepared(A._plan, key, 0)
    ready = threading.Barrier(3)
    log()

    def work(_):
        ready.wait()
        A(x)

    in_threads(work, 3)
    assert sum(line.startswith("array") for line in log()) == 1


@pytest.mark.parametrize("interpolation", ["software", "texture"])
@pytest.mark.parametrize("limit", [400_000, 1_500_000])
def test_arrays_of_the_host_leave_none_and_keep_the_limit(limit, interpolation, held):
    A = tomo.XrayTransform(*VOLUME, interpolation=interpolation, device="cuda", memory_limit=limit)
    B = tomo.VoxelBackProjection(A)
    x, y = A.domain.random(0), A.range.random(1)
    A(x), B(y)  # tables are kept, and not counted
    before = held()
    for operator, operand in ((A, x), (B, y)):
        DRIVER.stand_in_most_in_use(0)
        operator(operand)
        assert DRIVER.stand_in_most_in_use(0) - before <= limit
        assert held() == before


def test_images_of_a_batch_share_one(held):
    A = transform(VOLUME)
    volume = 4 * A.domain.size
    A(torch.rand(8, *A.domain.shape))
    before = held()
    for batch in (7, 6, 8):
        A(torch.rand(batch, *A.domain.shape))
        assert held() - before < volume / 10  # tables
    B = tomo.VoxelBackProjection(A)
    B(torch.rand(3, *A.range.shape))
    assert held() - before < 4 * A.range.size + volume / 10


def test_operators_share_one_and_it_goes_with_the_last(held):
    before = held()
    A, B = transform(VOLUME), transform((VOLUME[0], VOLUME[1][::2]))
    x = torch.rand(A.domain.shape)
    A(x), B(x)
    assert held() - before < 1.2 * 4 * A.domain.size
    del A
    assert held() - before > 4 * B.domain.size
    del B
    assert held() - before < 4 * x.numel()


def test_they_are_few_however_many_streams(held):
    A = transform(SLICE)
    x = torch.rand(A.domain.shape)
    expected = A(x)
    before = held()
    for _ in range(80):
        with torch.cuda.stream(torch.cuda.Stream()):
            assert torch.equal(A(x), expected)
    device = cuda._device(0)
    assert held() - before == 7 * 4 * A.domain.size
    assert len(device._textures._kept) == 8
    assert len(device.streams._twins) <= 64


def test_they_make_room_for_one_another(monkeypatch, held):
    A = transform(VOLUME)
    x = torch.rand(A.domain.shape)
    expected = A(x)
    monkeypatch.setenv("OPALG_STAND_IN_MEMORY", str(held() + 4 * A.domain.size))
    for _ in range(3):
        with torch.cuda.stream(torch.cuda.Stream()):
            assert torch.equal(A(x), expected)
    B = transform((oa.Grid((64, 48, 96)), VOLUME[1]))
    monkeypatch.setenv("OPALG_STAND_IN_MEMORY", "1000000")
    with pytest.raises(DeviceMemoryError, match=r"and 1.1 MiB are needed at once"):
        B(torch.rand(B.domain.shape))


def test_calls_are_captured_on_a_stream_that_has_one():
    A = transform(SLICE)
    x = torch.rand(A.domain.shape)
    A(x)
    graph = torch.cuda.CUDAGraph()
    with (
        pytest.raises(DeviceError, match=r"torch.cuda.graph\(graph, stream=s\)"),
        torch.cuda.graph(graph),
    ):
        A(x)
    s = torch.cuda.Stream()
    with torch.cuda.stream(s):
        A(x)
    with torch.cuda.graph(graph, stream=s):
        y = A(x)
    for _ in range(20):  # more than are kept: the graph's stays
        with torch.cuda.stream(torch.cuda.Stream()):
            A(x)
    for seed in (1, 2):
        x.copy_(torch.from_numpy(A.domain.random(seed)))
        graph.replay()
        assert torch.equal(y, A(x))
    del A, graph


def test_the_lock_is_for_textures_only():
    """Calls by arithmetic do not wait for one another."""
    A = tomo.XrayTransform(*SLICE)
    x = torch.rand(A.domain.shape)
    A(x)
    thread = threading.Thread(target=A, args=(x,))
    with cuda._device(0)._textures.lock:
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert textures.texture_bytes(Texture(Input(), (2, 3, 4), False), "float16") == 48
