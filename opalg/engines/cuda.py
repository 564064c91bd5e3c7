"""Projectors on CUDA devices, through PyCUDA: the only module that imports it.

Arrays are those of PyTorch, CuPy, PyCUDA and others (`opalg.engines.device_arrays`), in float32, float64, or in
float16 or bfloat16 with sums in float32, and are used where they lie: on the caller's device, in its primary
context, ordered on its current stream. A call neither synchronises nor allocates, but for the first one of its
kind, which compiles and uploads.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import hashlib
import importlib
import math
import os
import threading
import weakref
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.engines import compiler, libcuda
from opalg.engines.device_arrays import Library, library_of
from opalg.engines.divergent import DivergentPlan
from opalg.engines.launches import Input, Launch, Output, Scratch, Table, Texture, launches
from opalg.engines.parallel import ParallelPlan
from opalg.errors import (
    ArgumentError,
    DeviceError,
    DeviceMemoryError,
    DtypeError,
    MissingExtraError,
)

__all__ = [
    "backproject",
    "backproject_voxels",
    "device_count",
    "empty",
    "project",
    "project_voxels",
    "why_not",
]

Plan = ParallelPlan | DivergentPlan

_DTYPES = ("float32", "float64", "float16", "bfloat16")
_LEGACY = (0, 1)  # two names of the stream that waits for all others
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING


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
        Texture units are quick and round the weights of interpolation to 1/256; the volume is copied for them.

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


def empty(x: Array, shape: tuple[int, ...], dtype: str | None = None) -> Array:
    """An array on the device of ``x``, by the allocator of its library.

    Raises
    ------
    DeviceMemoryError
        If there is not enough memory.
    """
    library = _library(x)
    return _allocate(library, x, shape, dtype or library.dtype(x))


def why_not() -> str:
    """Why kernels cannot run here, in one sentence; empty if they can."""
    try:
        if not device_count():
            return "there is no CUDA device"
        compiler.find_compiler()
    except (DeviceError, MissingExtraError) as error:
        return str(error)
    return ""


def device_count() -> int:
    """The number of CUDA devices.

    Raises
    ------
    MissingExtraError
        Without PyCUDA.
    DeviceError
        Without a driver.
    """
    return int(_pycuda().Device.count())


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
    source = library.contiguous(source)
    if other.contiguous(target) is not target:
        raise ArgumentError("out must be C-contiguous")
    ordinal = library.device(source)
    if other.device(target) != ordinal:
        raise ArgumentError(f"input is on device {ordinal} and out on {other.device(target)}")
    count = math.prod(batch)
    if not count or not math.prod(target_shape):
        return
    device = _device(ordinal)
    key = (direction, count, dtype, *sorted(options.items()))
    stream = library.stream(source)
    prepared = device.prepared(plan, key, stream)
    # Memory for intermediate results comes and goes by the caller's allocator, in the order of its stream.
    scratch = [_allocate(library, source, (n,), "uint8") for n in prepared.scratch]
    pointers = {
        Input: library.pointer(source),
        Output: other.pointer(target),
        Scratch: [library.pointer(part) for part in scratch],
    }
    device.launch(prepared, pointers, stream)


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
    # Others activate contexts by themselves.
    context = _device(library.device(x)) if library.needs_context else contextlib.nullcontext()
    try:
        with context:
            return library.empty(x, shape, dtype)
    except Exception as error:  # every library has a class of its own for this
        if "memory" not in f"{type(error).__name__} {error}".lower():
            raise
        raise _out_of_memory(library.device(x), math.prod(shape) * _itemsize(dtype)) from error


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _out_of_memory(ordinal: int, needed: int) -> DeviceMemoryError:
    with _device(ordinal):
        free, total = _pycuda().mem_get_info()
    return DeviceMemoryError(
        f"device {ordinal} has {free / 2**20:,.0f} MiB of {total / 2**20:,.0f} free and {needed / 2**20:,.0f} "
        "more are needed: pass fewer images at once, or NumPy arrays to an "
        'XrayTransform(..., device="cuda", memory_limit=...), which takes them through the device in parts'
    )


# --------------------------------------------------------------------------------------------------- devices
class _Prepared:
    """Launches with everything that can be done beforehand: functions, constant data, argument formats."""

    def __init__(self, needed: Sequence[Launch], device: _Device, owner: _PlanData) -> None:
        self.scratch: list[int] = []
        self.steps: list[tuple[Any, tuple[int, ...], tuple[int, ...], int, list[Any]]] = []
        places: dict[int, int] = {}
        for launch in needed:
            function = device.module(launch.source, launch.defines).get_function(launch.kernel)
            letters, values = [], []
            for argument in launch.arguments:
                letter, value = "P", argument
                if isinstance(argument, Table):
                    value = owner.upload(argument.array)
                elif isinstance(argument, Scratch):
                    # One object in several launches is one piece of memory.
                    if id(argument) not in places:
                        places[id(argument)] = len(self.scratch)
                        self.scratch.append(argument.bytes)
                    value = (Scratch, places[id(argument)])
                elif isinstance(argument, Texture):
                    letter = "Q"
                elif isinstance(argument, np.void):
                    # Structures start where their most demanding member may stand.
                    letter = f"0{ {1: 'b', 2: 'h', 4: 'i', 8: 'q'}[argument.dtype.alignment] }"
                    letter, value = f"{letter}{argument.dtype.itemsize}s", argument.tobytes()
                elif isinstance(argument, np.generic):
                    letter = argument.dtype.char
                elif not isinstance(argument, (Input, Output)):
                    raise TypeError(f"a launch cannot have the argument {argument!r}")
                letters.append(letter)
                values.append(value)
            function.prepare("".join(letters))
            self.steps.append((function, launch.grid, launch.block, launch.shared, values))
        self.launches = needed  # keeps what places are named by


class _PlanData:
    """What a device holds for one plan."""

    def __init__(self, device: _Device) -> None:
        self.device = device
        self.tables: dict[bytes, Any] = {}
        self.prepared: dict[Any, _Prepared] = {}

    def upload(self, array: np.ndarray[Any, Any]) -> int:
        """The address of constant data; the same data are there once."""
        array = np.ascontiguousarray(array)
        digest = hashlib.blake2b(
            repr((array.dtype, array.shape)).encode() + array.tobytes()
        ).digest()
        if digest not in self.tables:
            drv = _pycuda()
            try:
                memory = drv.mem_alloc(max(array.nbytes, 1))
            except drv.MemoryError:
                raise _out_of_memory(self.device.ordinal, array.nbytes) from None
            if array.nbytes:
                drv.memcpy_htod(memory, array)
            self.tables[digest] = memory
        return int(self.tables[digest])


class _Twin:
    """A stream of PyCUDA's that stands for one of the caller's: it waits for it, and is waited for.

    PyCUDA cannot launch on streams that it did not make.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.stream = _pycuda().Stream(_NON_BLOCKING)
        self._own = self.stream.handle
        self._before, self._after = libcuda.create_event(), libcuda.create_event()

    def fork(self) -> None:
        """Let the twin wait for what is on the caller's stream."""
        libcuda.let_wait(self._own, self._before, self.handle)

    def join(self) -> None:
        """Let the caller's stream wait for the twin."""
        libcuda.let_wait(self.handle, self._after, self._own)


class _Device:
    """A device of this process with its primary context, in which `with device:` runs."""

    def __init__(self, ordinal: int) -> None:
        drv = _pycuda()
        if ordinal >= drv.Device.count():
            raise DeviceError(f"there is no CUDA device {ordinal}, only {drv.Device.count()}")
        self.ordinal = ordinal
        self.process = os.getpid()
        device = drv.Device(ordinal)
        self.architecture = "sm_{}{}".format(*device.compute_capability())
        self.context = device.retain_primary_context()
        self.lock = threading.RLock()
        self._modules: dict[Any, Any] = {}
        self._twins: dict[int, _Twin] = {}
        self._plans: dict[int, _PlanData] = {}
        self._gone: list[_PlanData] = []
        atexit.register(self.close)

    def __enter__(self) -> None:
        self.context.push()

    def __exit__(self, *_: object) -> None:
        _pycuda().Context.pop()

    def close(self) -> None:
        """Release the primary context, at exit: PyCUDA would detach it, which the driver refuses."""
        if self.process != os.getpid():
            return
        with self:
            for kept in (self._plans, self._modules, self._twins, self._gone):
                kept.clear()
        self.context.detach()

    def module(self, source: str, defines: tuple[tuple[str, str], ...]) -> Any:
        """Kernels of a source, compiled with these definitions."""
        if (source, defines) not in self._modules:
            binary = compiler.compile_kernel(source, defines, self.architecture)
            self._modules[source, defines] = _pycuda().module_from_buffer(binary)
        return self._modules[source, defines]

    def prepared(self, plan: Plan, key: tuple[Any, ...], stream: int) -> _Prepared:
        """What a call with this plan launches."""
        data = self._plans.get(id(plan))
        found = data.prepared.get(key) if data else None
        return found or self._prepare(plan, key, stream)

    def _prepare(self, plan: Plan, key: tuple[Any, ...], stream: int) -> _Prepared:
        direction, count, dtype, *options = key
        needed = launches(plan, direction, count, dtype, **dict(options))
        with self.lock, self:
            data = self._plans.get(id(plan))
            if data is None:
                data = self._plans[id(plan)] = _PlanData(self)
                weakref.finalize(plan, self._forget, id(plan)).atexit = False
            if key in data.prepared:  # by another thread
                return data.prepared[key]
            if stream not in _LEGACY and libcuda.is_capturing(stream):
                raise DeviceError(
                    f"the first {direction} of a plan compiles and uploads, which cannot be captured into a "
                    "CUDA graph: call the operator once, with arrays of this shape, before the capture"
                )
            self._gone.clear()  # memory is freed with the context in place, and outside of captures
            data.prepared[key] = _Prepared(needed, self, data)
            # Uploads are on the legacy stream, for which other streams need not wait.
            _pycuda().Context.synchronize()
            return data.prepared[key]

    def _forget(self, plan: int) -> None:
        # Called where the last reference goes, in any thread: without the context nothing can be freed.
        self._gone.append(self._plans.pop(plan))

    def launch(self, prepared: _Prepared, pointers: dict[type, Any], stream: int) -> None:
        """Put launches on the caller's stream."""
        with self:
            if stream in _LEGACY:
                self._launch(prepared, pointers, None)
                return
            twin = self._twins.get(stream)
            if twin is None:
                with self.lock:
                    twin = self._twins.setdefault(stream, _Twin(stream))
            twin.fork()
            try:
                self._launch(prepared, pointers, twin.stream)
            finally:
                twin.join()

    def _launch(self, prepared: _Prepared, pointers: dict[type, Any], stream: Any) -> None:
        for function, grid, block, shared, values in prepared.steps:
            arguments = [
                pointers[type(value)]
                if isinstance(value, (Input, Output))
                else pointers[Scratch][value[1]]
                if type(value) is tuple
                else value
                for value in values
            ]
            function.prepared_async_call(grid, block, stream, *arguments, shared_size=shared)


_devices: dict[int, _Device] = {}
_lock = threading.RLock()


def _device(ordinal: int) -> _Device:
    device = _devices.get(ordinal)
    if device is None:
        with _lock:
            if ordinal not in _devices:
                _devices[ordinal] = _Device(ordinal)
            device = _devices[ordinal]
    if device.process != os.getpid():
        raise DeviceError(
            "CUDA was used before this process was forked, and cannot be used in the child: start "
            'processes with multiprocessing.get_context("spawn")'
        )
    return device


_driver: ModuleType | None = None


def _pycuda() -> Any:
    """``pycuda.driver``, loaded and initialised at the first use."""
    global _driver
    if _driver is None:
        with _lock:
            _driver = _load()
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
