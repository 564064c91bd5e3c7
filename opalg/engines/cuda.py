"""Projectors on CUDA devices, through PyCUDA: the only module that imports it.

Arrays are those of PyTorch, CuPy, PyCUDA and others (`opalg.engines.device_arrays`), in float32, float64,
or in float16 or bfloat16 with sums in float32. They are used where they lie: on the caller's device, in its
primary context, ordered on its current stream. A call neither synchronises nor allocates, but for the
first one of its kind, which compiles and uploads.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import math
import os
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.engines import compiler
from opalg.engines.cuda_device import Device
from opalg.engines.cuda_streaming import run_on_devices
from opalg.engines.device_arrays import Library, library_of
from opalg.engines.divergent import DivergentPlan
from opalg.engines.launches import Input, Output, Scratch
from opalg.engines.parallel import ParallelPlan
from opalg.errors import (
    ArgumentError,
    DeviceError,
    DtypeError,
    MissingExtraError,
)

__all__ = [
    "backproject",
    "backproject_voxels",
    "contiguous",
    "devices",
    "empty",
    "project",
    "project_voxels",
    "run_on_host",
    "try_out",
    "why_not",
]

Plan = ParallelPlan | DivergentPlan

_DTYPES = ("float32", "float64", "float16", "bfloat16")


def project(plan: Plan, x: Array, out: Array, *, interpolation: str = "software") -> None:
    """Integrate volumes along the rays.

    Parameters
    ----------
    plan
        The geometry.
    x
        Volumes, ``[..., *volume_shape]``.
    out
        Projections, ``[..., views, *detector_shape]``, of the same dtype and on the same device, overwritten;
        C-contiguous.
    interpolation : {"software", "texture"}
        Texture units are quick and round the weights of interpolation to 1/256; the volume is copied
        for them.

    Raises
    ------
    ArgumentError
        If shapes do not fit the plan, ``out`` is not contiguous, or they lie on different devices.
    DtypeError
        If an array is not float32, float64, float16 or bfloat16, or the two differ.
    DeviceError
        If the device, its driver or its compiler fails; after a fork.
    DeviceMemoryError
        If the device has too little free memory.
    """
    _run("project", plan, x, plan.volume_shape, out, plan.projection_shape,
         **_unless_default(interpolation=interpolation))  # fmt: skip


def backproject(plan: Plan, y: Array, out: Array) -> None:
    """Apply the exact transpose of `project` (with interpolation in software); arguments as there."""
    _run("backproject", plan, y, plan.projection_shape, out, plan.volume_shape)


def backproject_voxels(
    plan: Plan,
    y: Array,
    out: Array,
    *,
    weight: str = "none",
    interpolation: str = "software",
) -> None:
    """Sum over views what every voxel's shadow falls on; see `opalg.engines.cpu.backproject_voxels`."""
    _run("backproject_voxels", plan, y, plan.projection_shape, out, plan.volume_shape,
         **_unless_default(weight=weight, interpolation=interpolation))  # fmt: skip


def project_voxels(plan: Plan, x: Array, out: Array, *, weight: str = "none") -> None:
    """Apply the exact transpose of `backproject_voxels` (with interpolation in software)."""
    _run("project_voxels", plan, x, plan.volume_shape, out, plan.projection_shape,
         **_unless_default(weight=weight))  # fmt: skip


def run_on_host(
    direction: str,
    plan: Plan,
    x: np.ndarray[Any, Any],
    out: np.ndarray[Any, Any],
    devices: Sequence[int] = (0,),
    memory_limit: int | None = None,
    **options: str,
) -> None:
    """Compute with arrays of the host on CUDA devices, in parts that fit into their memory.

    Parameters
    ----------
    direction : {"project", "backproject", "backproject_voxels", "project_voxels"}
    plan
        The geometry.
    x, out
        As of the function of that name, but NumPy arrays, float32 or float64, C-contiguous.
    devices
        Ordinals; they share the work.
    memory_limit
        Bytes that may be taken on each; by default four fifths of what is free.
    options
        Of the function of that name.

    Raises
    ------
    ArgumentError
        If the smallest parts need more than the limit.
    MissingExtraError, DeviceError, DeviceMemoryError
        As `project`.
    """
    _pycuda()
    chosen = [_device(ordinal) for ordinal in devices]
    run_on_devices(direction, plan, x, out, chosen, memory_limit, **_unless_default(**options))


def empty(x: Array, shape: tuple[int, ...], dtype: str | None = None) -> Array:
    """An array on the device of ``x``, by the allocator of its library.

    Raises
    ------
    DeviceMemoryError
        If there is not enough memory.
    """
    library = _library(x)
    return _allocate(library, x, shape, dtype or library.dtype(x))


def contiguous(x: Array) -> Array:
    """``x``, or a C-contiguous copy by its library if it is none.

    Raises
    ------
    ArgumentError
        If its library makes none.
    DeviceMemoryError
        If there is not enough memory.
    """
    library = _library(x)
    try:
        return library.contiguous(x)
    except Exception as error:
        _raise_if_of_memory(error, library, x, math.prod(x.shape) * _itemsize(library.dtype(x)))
        raise


def why_not() -> str:
    """Why kernels cannot run here, in one sentence; empty if they can."""
    try:
        if not devices():
            return "there is no CUDA device"
        compiler.find_compiler()
    except (DeviceError, MissingExtraError) as error:
        return str(error)
    return ""


def devices() -> list[str]:
    """The CUDA devices in words: name, architecture, memory, and the version of their driver.

    Raises
    ------
    MissingExtraError
        Without PyCUDA.
    DeviceError
        Without a driver.
    """
    driver = _pycuda()
    number = driver.get_driver_version()
    version = f"{number // 1000}.{number % 1000 // 10}"
    found = [driver.Device(ordinal) for ordinal in range(driver.Device.count())]
    return [
        "{}, sm_{}{}, {:.0f} GiB, driver for CUDA {}".format(
            device.name(), *device.compute_capability(), device.total_memory() / 2**30, version
        )
        for device in found
    ]


def try_out() -> float:
    """Compile a kernel and project a column of four ones on device 0; gives 4.0 if all is well.

    Raises
    ------
    MissingExtraError, DeviceError
        If something does not work.
    """
    plan = ParallelPlan((4, 1), (1,), np.array([[0, 0, 1, 0, 0, 1.0]]), np.ones(1))
    driver, result = _pycuda(), np.zeros((1, 1), np.float32)
    with _device(0):
        gpuarray = sys.modules["pycuda.gpuarray"]
        x, y = gpuarray.to_gpu(np.ones((4, 1), np.float32)), gpuarray.to_gpu(result)
        try:
            project(plan, x, y)
            return float(y.get()[0, 0])
        except driver.Error as error:
            raise DeviceError(f"a kernel failed: {error}") from None


# ---------------------------------------------------------------------------------------------------- a call
def _run(
    direction: str,
    plan: Plan,
    source: Array,
    source_shape: tuple[int, ...],
    target: Array,
    target_shape: tuple[int, ...],
    **options: Any,
) -> None:
    library, other = _library(source), _library(target)
    dtype = library.dtype(source)
    if dtype not in _DTYPES:
        raise DtypeError(f"input must be one of {', '.join(_DTYPES)}, not {dtype}")
    if other.dtype(target) != dtype:
        raise DtypeError(f"input is {dtype} and out is {other.dtype(target)}: they must agree")
    batch = _batch("input", source, source_shape)
    if _batch("out", target, target_shape) != batch:
        raise ArgumentError(
            f"input and out differ in their leading axes: {tuple(source.shape)} and "
            f"{tuple(target.shape)}"
        )
    if contiguous(target) is not target:
        raise ArgumentError("out must be C-contiguous")
    if not other.writable(target):
        raise ArgumentError("out is read-only")
    count = math.prod(batch)
    if not count or not math.prod(target_shape):
        return
    device, stream = _device(other.device(target)), other.stream(target)
    if not math.prod(source_shape):
        size = count * math.prod(target_shape) * _itemsize(dtype)
        device.set_to_zero(other.pointer(target), size, stream)
        return
    if library.device(source) != device.ordinal:
        raise ArgumentError(
            f"input is on device {library.device(source)} and out on {device.ordinal}"
        )
    source = contiguous(source)
    key = (direction, count, dtype, *sorted(options.items()))
    prepared = device.prepared(plan, key, stream)
    pointers: dict[type, Any] = {Input: library.pointer(source), Output: other.pointer(target)}
    with _context_of(library, device):  # until scratch memory has gone
        scratch = None
        if prepared.scratch:
            # Comes and goes by the caller's allocator, in the order of its stream; in one piece.
            scratch = _allocate(library, source, (prepared.scratch[-1].stop,), "uint8")
            start = _library(scratch).pointer(scratch)
            pointers[Scratch] = [start + part.start for part in prepared.scratch]
        device.launch(prepared, pointers, stream, library.stream(source))
        del scratch


def _unless_default(**options: str) -> dict[str, str]:
    return {name: value for name, value in options.items() if value not in ("none", "software")}


def _library(x: Array) -> Library:
    library = library_of(x)
    if library is None:
        raise ArgumentError(f"a {type(x).__name__} is not in the memory of a CUDA device")
    _pycuda()
    return library


def _batch(name: str, array: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes in front of ``shape``."""
    split = len(array.shape) - len(shape)
    if split < 0 or tuple(array.shape[split:]) != shape:
        axes = ", ".join(map(str, shape))
        raise ArgumentError(f"{name} must have shape (..., {axes}), not {tuple(array.shape)}")
    return tuple(array.shape[:split])


def _allocate(library: Library, x: Array, shape: tuple[int, ...], dtype: str) -> Array:
    device = _device(library.device(x))
    try:
        with _context_of(library, device):
            return library.empty(x, shape, dtype, device.allocate)
    except Exception as error:
        _raise_if_of_memory(error, library, x, math.prod(shape) * _itemsize(dtype))
        raise


def _context_of(library: Library, device: Device) -> contextlib.AbstractContextManager[None]:
    # Others activate contexts by themselves.
    return device if library.needs_context else contextlib.nullcontext()


def _raise_if_of_memory(error: Exception, library: Library, x: Array, needed: int) -> None:
    """Turn a library's error of too little memory into one that says what is needed."""
    # Every library has a class of its own for this, or only words.
    if type(error).__name__ in ("MemoryError", "OutOfMemoryError") or (
        "out of memory" in str(error).lower()
    ):
        raise _device(library.device(x)).out_of_memory(needed) from error


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


# --------------------------------------------------------------------------------- devices and their driver
_devices: dict[int, Device] = {}
_lock = threading.RLock()


def _device(ordinal: int) -> Device:
    driver = _pycuda()
    device = _devices.get(ordinal)
    if device is None:
        with _lock:
            if ordinal not in _devices:
                _devices[ordinal] = Device(driver, ordinal)
            device = _devices[ordinal]
    return device


_driver: ModuleType | None = None
_process = 0  # the one that has initialised the driver


def _pycuda() -> Any:
    """``pycuda.driver``, loaded and initialised at the first use."""
    global _driver, _process
    if _driver is None:
        with _lock:
            _driver, _process = _load(), os.getpid()
    if _process != os.getpid():
        raise DeviceError(
            "CUDA was used before this process was forked, and cannot be used in the child: start "
            'processes with multiprocessing.get_context("spawn")'
        )
    return _driver


def _load() -> ModuleType:
    try:
        importlib.import_module("pycuda")
    except ModuleNotFoundError:
        raise MissingExtraError(
            "arrays on CUDA devices need PyCUDA: pip install opalg[cuda]"
        ) from None
    try:
        driver = importlib.import_module("pycuda.driver")
        importlib.import_module("pycuda.gpuarray")
    except ImportError as error:
        raise DeviceError(f"PyCUDA is installed and finds no CUDA driver: {error}") from None
    try:
        driver.init()
    except driver.Error as error:
        raise DeviceError(f"the CUDA driver does not start: {error}") from None
    os.register_at_fork(after_in_child=_keep_after_fork)
    return driver


def _keep_after_fork() -> None:
    """In a forked child nothing of CUDA may be called, destructors included: keep it all for ever."""
    for device in _devices.values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(device))
