"""PyTorch without CUDA, made to look as if it had two devices: host tensors count as tensors on device 0.

For tests on the stand-in driver, whose "device" memory is host memory. Streams are the stand-in's, so that
what opalg asks of the driver is real; what PyTorch itself computes is done at once, on the host, whatever the
stream.
"""

import contextlib
import ctypes
import os
import time
from types import SimpleNamespace

import torch
from torch.overrides import TorchFunctionMode

from opalg.engines import device_arrays

driver = ctypes.CDLL("libcuda.so.1")
_current = [0]
_kept = []  # memory handed out during a capture, which its replays use again
_limit = [int(os.environ.get("OPALG_STAND_IN_MEMORY", 4 << 30))]


class HostTensors(type(device_arrays.LIBRARIES[0])):
    """PyTorch's library, for which every tensor is on device 0."""

    def owns(self, x):
        return isinstance(x, torch.Tensor)

    def device(self, x):
        return 0

    def stream(self, x):
        return _current[-1]

    def empty(self, x, shape, dtype, allocate):
        tensor = torch.empty(shape, dtype=getattr(torch, dtype))
        if tensor.nbytes > _limit[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if _kept:
            _kept.append(tensor)
        return tensor


class CudaIsHost(TorchFunctionMode):
    """Takes ``device="cuda"`` for the host."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = {name: _host(value) for name, value in (kwargs or {}).items()}
        if function is torch.Tensor.cuda:
            return args[0].clone()
        if function is torch.Tensor.cpu:
            return args[0].clone()
        return function(*map(_host, args), **kwargs)


def _host(value):
    if isinstance(value, (str, torch.device)) and str(value).startswith("cuda"):
        return torch.device("cpu")
    return value


class Stream:
    def __init__(self, device=None):
        context, handle = ctypes.c_void_p(), ctypes.c_void_p()
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        driver.cuCtxPushCurrent_v2(context)
        driver.cuStreamCreate(ctypes.byref(handle), 1)
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        driver.cuDevicePrimaryCtxRelease_v2(0)
        self.cuda_stream = handle.value

    def wait_stream(self, other):
        pass

    def synchronize(self):
        pass


@contextlib.contextmanager
def stream(chosen):
    _current.append(chosen.cuda_stream)
    try:
        yield
    finally:
        _current.pop()


class Event:
    def __init__(self, enable_timing=False):
        self.time = 0.0

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return 1e3 * (end.time - self.time)


class CUDAGraph:
    memory = ()

    def replay(self):
        self.launches = driver.stand_in_replay()


@contextlib.contextmanager
def graph(captured, stream=None):
    stream = stream or Stream()
    driver.stand_in_begin_capture(ctypes.c_void_p(stream.cuda_stream))
    _kept.append(None)
    _current.append(stream.cuda_stream)
    try:
        yield
    finally:
        _current.pop()
        captured.memory = _kept[1:]
        _kept.clear()
        code = driver.stand_in_end_capture()
    if code:
        raise RuntimeError(f"the capture failed with CUDA error {code}")


def set_per_process_memory_fraction(fraction, device=None):
    _limit[0] = int(fraction * (4 << 30))


def install():
    """Change PyTorch in this process."""
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "stand-in 0",
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_properties": lambda device=None: SimpleNamespace(
            name="stand-in 0", multi_processor_count=2, total_memory=4 << 30, L2_cache_size=1 << 20
        ),
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "current_stream": lambda device=None: SimpleNamespace(
            cuda_stream=_current[-1], wait_stream=lambda other: None
        ),
        "_sleep": lambda cycles: None,
        "Stream": Stream,
        "stream": stream,
        "Event": Event,
        "CUDAGraph": CUDAGraph,
        "graph": graph,
        "set_per_process_memory_fraction": set_per_process_memory_fraction,
        "mem_get_info": lambda device=None: (4 << 30, 4 << 30),
        "max_memory_allocated": lambda device=None: 0,
        "reset_peak_memory_stats": lambda device=None: None,
    }.items():
        setattr(torch.cuda, name, value)
    device_arrays.LIBRARIES[0] = HostTensors()
    CudaIsHost().__enter__()
