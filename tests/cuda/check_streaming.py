"""How arrays of the host go through a device: streams, order and errors. Run by test_on_stand_in.py."""

import time

import pytest
import torch

import opalg as oa
from opalg import tomo
from opalg.engines import cuda
from opalg.engines.cuda_schedule import plan_schedule
from opalg.errors import ArgumentError, DeviceError, DeviceMemoryError

SCAN = oa.Grid((32, 48, 48)), tomo.ConeBeam(24, (40, 56), 1.7, sod=90.0, sdd=150.0)


def test_uploads_kernels_and_downloads_are_on_three_streams(log):
    """So a result travels, and the first part of the next, while kernels run."""
    A = tomo.XrayTransform(*SCAN, device="cuda", memory_limit=400_000)
    x = A.domain.random(0)
    A(x)
    log()
    A(x)
    lines = [line.split() for line in log()]
    kinds = [line[0] for line in lines]
    assert kinds.count("download") > 1
    assert kinds.count("upload") > kinds.count("download")  # several sources for each target
    (uploads,), (kernels,), (downloads,) = (
        {line[3] for line in lines if line[0] == kind} for kind in ("upload", "launch", "download")
    )
    assert len({uploads, kernels, downloads}) == 3
    # Who waits for whom, but for the first uses of a buffer: its event is then that of no stream.
    waits = {(line[1], line[5]) for line in lines if line[0] == "wait" and line[5] != "(nil)"}
    assert waits == {
        (kernels, uploads),  # for the source
        (uploads, kernels),  # until a source is no longer read
        (downloads, kernels),  # for the result
        (kernels, downloads),  # until a result is no longer read
    }


@pytest.mark.parametrize("interpolation", ["software", "texture"])
def test_a_limit_that_is_too_small_is_refused_at_once(interpolation):
    grid, cone = oa.Grid((256,) * 3), tomo.ConeBeam(360, (256, 256), 2.0, sod=1000.0, sdd=2000.0)
    plan = tomo.XrayTransform(grid, cone)._plan
    start = time.perf_counter()
    with pytest.raises(ArgumentError, match=r"memory_limit is 1,000 bytes, and the smallest"):
        plan_schedule("project", plan, "float32", 1000, interpolation=interpolation)
    assert time.perf_counter() - start < 10  # a minute, when all parts were made first


def test_a_limit_beyond_what_is_free_is_told(monkeypatch):
    A = tomo.XrayTransform(*SCAN, device="cuda", memory_limit=1 << 20)
    x = A.domain.random(0)
    monkeypatch.setenv("OPALG_STAND_IN_MEMORY", str(100_000))
    with pytest.raises(DeviceMemoryError, match=r"of 97.7 KiB free.*: pass a smaller memory_limit"):
        A(x)
    monkeypatch.undo()
    assert A(x).shape == A.range.shape


def test_errors_of_the_driver_are_told(monkeypatch):
    A = tomo.XrayTransform(*SCAN, device="cuda")
    x = A.domain.random(0)
    A(x)

    def fail(*arguments):
        raise driver.LogicError("an illegal memory access was encountered")

    driver = cuda._pycuda()
    monkeypatch.setattr("opalg.engines.cuda_prepared.Prepared.launch", fail)
    with pytest.raises(DeviceError, match=r"^device 0 fails: an illegal memory access") as raised:
        A(x)
    assert not isinstance(raised.value, DeviceMemoryError)
    with pytest.raises(DeviceError, match=r"^device 0 fails: an illegal memory access"):
        tomo.XrayTransform(*SCAN)(torch.from_numpy(x))
    monkeypatch.undo()

    def none_left(*arguments):
        raise driver.MemoryError("out of memory")

    monkeypatch.setattr(driver, "pagelocked_empty", none_left)
    monkeypatch.setattr(cuda._device(0), "_staging", [])
    with pytest.raises(
        DeviceError, match="the host has no 288 KiB of page-locked memory"
    ) as raised:
        A(x)
    assert not isinstance(raised.value, DeviceMemoryError)
