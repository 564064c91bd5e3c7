"""What this process keeps on a CUDA device: its context, kernels, constant data of plans, streams.

PyCUDA's driver module is handed in: `opalg.engines.cuda` imports it.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from opalg.engines import compiler, libcuda
from opalg.engines.divergent import DivergentPlan
from opalg.engines.launches import Input, Launch, Output, Scratch, Table, Texture, launches
from opalg.engines.parallel import ParallelPlan
from opalg.engines.textures import TextureCopy
from opalg.errors import DeviceError, DeviceMemoryError

__all__ = ["Device", "Prepared"]

_LEGACY = (0, 1)  # two names of the stream that waits for all others
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_PLACES = (Input, Output, Scratch, Texture)
_MOST_STAGING = 1 << 30  # bytes of page-locked memory that are kept between calls
_ALIGNMENT = 256  # bytes; that of allocations
_ALIGNED = {1: "0b", 2: "0h", 4: "0i", 8: "0q"}  # formats that take no room and move to a multiple


class Device:
    """A device with its primary context, in which ``with device:`` runs.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``, initialised.
    ordinal : int

    Raises
    ------
    DeviceError
        If there is no such device.
    """

    def __init__(self, driver: Any, ordinal: int) -> None:
        if not 0 <= ordinal < driver.Device.count():
            raise DeviceError(f"there is no CUDA device {ordinal}, only {driver.Device.count()}")
        self.driver = driver
        self.ordinal = ordinal
        self.process = os.getpid()
        device = driver.Device(ordinal)
        self.architecture = "sm_{}{}".format(*device.compute_capability())
        self.name = device.name()
        self.context = device.retain_primary_context()
        self.lock = threading.RLock()
        self._modules: dict[Any, Any] = {}
        self._twins: dict[int, _Twin] = {}
        self._plans: dict[int, _PlanData] = {}
        self._gone: list[_PlanData] = []
        self._staging: list[Any] = []
        atexit.register(self.close)

    def __enter__(self) -> None:
        self.context.push()

    def __exit__(self, *_: object) -> None:
        self.driver.Context.pop()

    def close(self) -> None:
        """Release the primary context, at exit: PyCUDA would detach it, which the driver refuses."""
        if self.process != os.getpid():
            return
        with self:
            for kept in (self._plans, self._modules, self._twins, self._gone, self._staging):
                kept.clear()
        self.context.detach()

    def out_of_memory(self, needed: int) -> DeviceMemoryError:
        """The error that says what is there, what is needed and what to do."""
        with self:
            free, total = self.driver.mem_get_info()
        have, of, more = (f"{n / 2**20:,.0f}" for n in (free, total, needed))
        return DeviceMemoryError(
            f"device {self.ordinal} has {have} of {of} MiB free and {more} more are needed: pass fewer "
            'images at once, or NumPy arrays to an XrayTransform(..., device="cuda", memory_limit=...), '
            "which takes them through the device in parts"
        )

    def module(self, source: str, defines: tuple[tuple[str, str], ...]) -> Any:
        """Kernels of a source, compiled with these definitions."""
        if (source, defines) not in self._modules:
            binary = compiler.compile_kernel(source, defines, self.architecture)
            self._modules[source, defines] = self.driver.module_from_buffer(binary)
        return self._modules[source, defines]

    def prepared(
        self, plan: ParallelPlan | DivergentPlan, key: tuple[Any, ...], stream: int
    ) -> Prepared:
        """What a call with this plan launches.

        Parameters
        ----------
        plan
            The geometry.
        key
            Direction, number of images, dtype, and pairs of options.
        stream
            Handle of the caller's stream.
        """
        data = self._plans.get(id(plan))
        found = data.prepared.get(key) if data else None
        return found or self._prepare(plan, key, stream)

    def _prepare(
        self, plan: ParallelPlan | DivergentPlan, key: tuple[Any, ...], stream: int
    ) -> Prepared:
        direction, count, dtype, *options = key
        needed = launches(plan, direction, count, dtype, **dict(options))
        if not needed:
            raise DeviceError(f"no kernel was planned for {direction} of {count} images of {plan}")
        with self.lock, self:
            data = self._plans.get(id(plan))
            if data is None:
                data = self._plans[id(plan)] = _PlanData(self)
                weakref.finalize(plan, self._forget, id(plan)).atexit = False
            if key in data.prepared:  # by another thread
                return data.prepared[key]
            self.refuse_capture(stream, f"the first {direction} of a plan compiles and uploads")
            self._gone.clear()  # memory is freed with the context in place, and outside of captures
            data.prepared[key] = Prepared(needed, self, data, dtype)
            # Uploads are on the legacy stream, for which other streams need not wait.
            self.driver.Context.synchronize()
            return data.prepared[key]

    def refuse_capture(self, stream: int, what: str) -> None:
        """Raise an error if the caller's stream is being captured."""
        if stream not in _LEGACY and libcuda.is_capturing(stream):
            raise DeviceError(
                f"{what}, which cannot be captured into a CUDA graph: call the operator once, with arrays "
                "of this shape and on this stream, before the capture"
            )

    def _forget(self, plan: int) -> None:
        # Called where the last reference goes, in any thread: without the context nothing can be freed.
        self._gone.append(self._plans.pop(plan))

    def take_staging(self, size: int) -> Any:
        """Page-locked bytes of the host, whose making takes longer than a copy: from before, if some fit."""
        with self.lock:
            fitting = [k for k, memory in enumerate(self._staging) if memory.size >= size]
            if fitting:
                return self._staging.pop(min(fitting, key=lambda k: self._staging[k].size))
        return self.driver.pagelocked_empty(max(size, 1), np.uint8)

    def give_staging_back(self, memory: Any) -> None:
        """Keep page-locked bytes for the next call, unless there are many."""
        with self.lock:
            if memory.size + sum(kept.size for kept in self._staging) <= _MOST_STAGING:
                self._staging.append(memory)

    def set_to_zero(self, pointer: int, size: int, stream: int) -> None:
        """Write zeros, on the caller's stream."""
        with self, self._ordered(stream) as own:
            self.driver.memset_d8_async(pointer, 0, size, own)

    def launch(self, prepared: Prepared, pointers: dict[type, Any], stream: int) -> None:
        """Put launches on the caller's stream.

        Parameters
        ----------
        prepared : Prepared
        pointers : dict
            Addresses of `Input` and `Output`, and a list of those of `Scratch`.
        stream : int
            Handle of the caller's stream.
        """
        with self, self._ordered(stream) as own:
            prepared.launch(pointers, stream, own)

    @contextmanager
    def _ordered(self, stream: int) -> Iterator[Any]:
        """A stream of PyCUDA's that runs in the place of the caller's; None for the legacy stream."""
        if stream in _LEGACY:
            yield None
            return
        twin = self._twins.get(stream)
        if twin is None:
            # The stream of a capture is often new.
            with self.lock, libcuda.outside_of_captures():
                twin = self._twins.setdefault(stream, _Twin(self.driver, stream))
        twin.fork()
        try:
            yield twin.stream
        finally:
            twin.join()


class Prepared:
    """Launches with everything that can be done beforehand: functions, constant data, argument formats."""

    def __init__(
        self, needed: Sequence[Launch], device: Device, owner: _PlanData, dtype: str
    ) -> None:
        self.scratch: list[slice] = []  # parts of one piece of memory, in bytes
        self._device = device
        self._dtype = dtype
        self._textures: dict[int, Texture] = {}
        self._copies: dict[int, dict[int, TextureCopy]] = {}  # by stream, then by texture
        self._places: dict[int, int] = {}
        self._launches = needed  # keeps alive what is known by its identity
        # Function, launch, arguments, and which of them are known at a call only.
        self._steps: list[tuple[Any, Launch, list[Any], list[tuple[int, Any]]]] = []
        for launch in needed:
            function = device.module(launch.source, launch.defines).get_function(launch.kernel)
            arguments = [self._argument(argument, owner) for argument in launch.arguments]
            function.prepare("".join(letter for letter, _ in arguments))
            values = [value for _, value in arguments]
            later = [(k, v) for k, v in enumerate(values) if isinstance(v, _PLACES)]
            self._steps.append((function, launch, values, later))

    def _argument(self, argument: Any, owner: _PlanData) -> tuple[str, Any]:
        """Format of an argument, and its value or what stands for it until there is one."""
        if isinstance(argument, (Input, Output)):
            return "P", argument
        if isinstance(argument, Table):
            return "P", owner.upload(argument.array)
        if isinstance(argument, Scratch):
            # One object in several launches is one piece of memory.
            if id(argument) not in self._places:
                self._places[id(argument)] = len(self.scratch)
                start = self.scratch[-1].stop if self.scratch else 0
                end = start + -(-argument.bytes // _ALIGNMENT) * _ALIGNMENT
                self.scratch.append(slice(start, end))
            return "P", argument
        if isinstance(argument, Texture):
            self._argument(argument.of, owner)
            self._textures[id(argument)] = argument
            return "Q", argument
        if isinstance(argument, np.void):
            dtype = argument.dtype
            return f"{_ALIGNED[dtype.alignment]}{dtype.itemsize}s", argument.tobytes()
        if isinstance(argument, np.generic):
            return argument.dtype.char, argument
        raise TypeError(f"a launch cannot have the argument {argument!r}")

    def launch(self, pointers: dict[type, Any], caller: int, stream: Any) -> None:
        """Launch on a stream of PyCUDA's, or on the legacy stream (None), in the device's context."""
        copies = self._texture_copies(caller) if self._textures else {}
        filled: set[int] = set()
        for function, launch, values, later in self._steps:
            arguments = list(values)
            for k, place in later:
                if isinstance(place, Texture):
                    copy = copies[id(place)]
                    # What is in scratch memory may have changed since.
                    if isinstance(place.of, Scratch) or id(place) not in filled:
                        copy.fill(self._address(place.of, pointers), stream)
                        filled.add(id(place))
                    arguments[k] = copy.handle
                else:
                    arguments[k] = self._address(place, pointers)
            function.prepared_async_call(
                launch.grid, launch.block, stream, *arguments, shared_size=launch.shared
            )

    def _address(self, place: Any, pointers: dict[type, Any]) -> int:
        if isinstance(place, Scratch):
            return pointers[Scratch][self._places[id(place)]]
        return pointers[type(place)]

    def _texture_copies(self, caller: int) -> dict[int, TextureCopy]:
        """Arrays for textures: one set for each stream, as what runs on one is in order."""
        found = self._copies.get(caller)
        if found is None:
            device = self._device
            with device.lock:
                device.refuse_capture(caller, "the first call on a stream allocates textures")
                try:
                    found = {
                        key: TextureCopy(device.driver, texture, self._dtype)
                        for key, texture in self._textures.items()
                    }
                except device.driver.MemoryError:
                    shapes = [texture.shape for texture in self._textures.values()]
                    raise device.out_of_memory(
                        sum(4 * int(np.prod(shape)) for shape in shapes)
                    ) from None
                self._copies[caller] = found
        return found


class _PlanData:
    """What a device holds for one plan."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.tables: dict[bytes, Any] = {}
        self.prepared: dict[Any, Prepared] = {}

    def upload(self, array: np.ndarray[Any, Any]) -> int:
        """The address of constant data; the same data are there once."""
        array = np.ascontiguousarray(array)
        content = repr((array.dtype, array.shape)).encode() + array.tobytes()
        digest = hashlib.blake2b(content).digest()
        if digest not in self.tables:
            driver = self.device.driver
            try:
                memory = driver.mem_alloc(max(array.nbytes, 1))
            except driver.MemoryError:
                raise self.device.out_of_memory(array.nbytes) from None
            if array.nbytes:
                driver.memcpy_htod(memory, array)
            self.tables[digest] = memory
        return int(self.tables[digest])


class _Twin:
    """A stream of PyCUDA's that stands for one of the caller's: it waits for it, and is waited for.

    PyCUDA cannot launch on streams that it did not make.
    """

    def __init__(self, driver: Any, caller: int) -> None:
        self._caller = caller
        self.stream = driver.Stream(_NON_BLOCKING)
        self._own = self.stream.handle
        self._before, self._after = libcuda.create_event(), libcuda.create_event()

    def fork(self) -> None:
        """Let the twin wait for what is on the caller's stream."""
        libcuda.let_wait(self._own, self._before, self._caller)

    def join(self) -> None:
        """Let the caller's stream wait for the twin."""
        libcuda.let_wait(self._caller, self._after, self._own)
