"""What this process keeps on a CUDA device: its context, kernels, constant data of plans, streams.

PyCUDA's driver module is handed in: `opalg.engines.cuda` imports it.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from typing import Any

import numpy as np

from opalg.engines import compiler, libcuda
from opalg.engines.cuda_memory import memory_class
from opalg.engines.cuda_prepared import PlanData, Prepared
from opalg.engines.cuda_streams import LEGACY, Streams
from opalg.engines.divergent import DivergentPlan
from opalg.engines.launches import launches
from opalg.engines.parallel import ParallelPlan
from opalg.engines.textures import TextureCopies
from opalg.errors import DeviceError, DeviceMemoryError

__all__ = ["Device"]

_MOST_STAGING = 1 << 30  # bytes of page-locked memory that are kept between calls


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
        self._closed = False
        self.lock = threading.RLock()
        self.streams = Streams(driver)
        self._textures = TextureCopies(driver, self.out_of_memory)
        self._modules: dict[Any, Any] = {}
        self._plans: dict[int, PlanData] = {}
        self._gone: list[PlanData] = []
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
            for kept in (
                self._plans,
                self._gone,
                self._textures,
                self.streams,
                self._modules,
                self._staging,
            ):
                kept.clear()
        self._closed = True
        self.context.detach()

    def allocate(self, size: int) -> Any:
        """Memory, in the current context, for an array of PyCUDA; it may go in any thread."""
        return memory_class(self.driver)(self, size)

    def free(self, allocation: Any) -> None:
        """Free memory of `allocate`."""
        if self.process != os.getpid():  # nothing of CUDA may be called
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(allocation))
        elif not self._closed:
            with self, libcuda.outside_of_captures():
                allocation.free()

    def out_of_memory(
        self,
        needed: int,
        advice: str = "pass fewer images at once, or NumPy arrays to an XrayTransform(..., "
        'device="cuda", memory_limit=...), which takes them through the device in parts',
    ) -> DeviceMemoryError:
        """The error that says what is there, what is needed and what to do."""
        with self:
            sizes = *self.driver.mem_get_info(), needed
        free, total, more = map(_in_words, sizes)
        return DeviceMemoryError(
            f"device {self.ordinal} has {free} of {total} free, and {more} are needed at once: {advice}"
        )

    def failure(self, error: Exception) -> DeviceError:
        """The error for one of PyCUDA's that nobody here can do anything about."""
        return DeviceError(f"device {self.ordinal} fails: {error}")

    def module(self, source: str, defines: tuple[tuple[str, str], ...]) -> Any:
        """Kernels of a source, compiled with these definitions."""
        key = (source, defines)
        if key not in self._modules:
            self._modules[key] = self._load(*key) or self._load(*key, anew=True)
        return self._modules[key]

    def _load(
        self, source: str, defines: tuple[tuple[str, str], ...], anew: bool = False
    ) -> Any | None:
        """A module; None if what was kept on disk is broken."""
        binary = compiler.compile_kernel(source, defines, self.architecture, anew)
        try:
            return self.driver.module_from_buffer(binary)
        except self.driver.MemoryError:
            raise self.out_of_memory(len(binary)) from None
        except self.driver.Error as error:
            if anew:
                raise DeviceError(
                    f"device {self.ordinal} does not load the kernels of {source}: {error}"
                ) from None
            return None

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
        # Captures of other threads go on undisturbed.
        with self.lock, self, libcuda.outside_of_captures():
            data = self._plans.get(id(plan))
            if data is None:
                data = self._plans[id(plan)] = PlanData(self._upload)
                weakref.finalize(plan, self._forget, id(plan)).atexit = False
            if key in data.prepared:  # by another thread
                return data.prepared[key]
            self._refuse_capture(stream, f"the first {direction} of a plan compiles and uploads")
            self._free_gone()
            data.prepared[key] = Prepared(needed, self.module, data, dtype)
            # Uploads are on the legacy stream, for which other streams need not wait.
            self.driver.Context.synchronize()
            return data.prepared[key]

    def _free_gone(self) -> None:
        # Here the context is in place, and nothing is captured that could use the memory.
        gone, self._gone = self._gone, []
        if gone:
            self.driver.Context.synchronize()
            gone.clear()
            self._textures.release_unused()

    def _upload(self, array: np.ndarray[Any, Any]) -> Any:
        try:
            memory = self.driver.mem_alloc(max(array.nbytes, 1))
        except self.driver.MemoryError:
            raise self.out_of_memory(array.nbytes) from None
        if array.nbytes:
            self.driver.memcpy_htod(memory, array)
        return memory

    def _refuse_capture(self, stream: int, what: str) -> None:
        if stream not in LEGACY and libcuda.is_capturing(stream):
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
        try:
            return self.driver.pagelocked_empty(max(size, 1), np.uint8)
        except self.driver.MemoryError:
            raise DeviceError(
                f"the host has no {_in_words(size)} of page-locked memory: pass a smaller memory_limit"
            ) from None

    def give_staging_back(self, memory: Any) -> None:
        """Keep page-locked bytes for the next call, unless there are many."""
        with self.lock:
            if memory.size + sum(kept.size for kept in self._staging) <= _MOST_STAGING:
                self._staging.append(memory)

    def set_to_zero(self, pointer: int, size: int, stream: int) -> None:
        """Write zeros, on the caller's stream."""
        with self, self.streams.ordered(stream) as own:
            self.driver.memset_d8_async(pointer, 0, size, own)

    def launch(
        self, prepared: Prepared, pointers: dict[type, Any], stream: int, source_stream: int
    ) -> None:
        """Put launches on the stream of the result.

        Parameters
        ----------
        prepared : Prepared
        pointers : dict
            Addresses of `Input` and `Output`, and a list of those of `Scratch`.
        stream : int
            Handle of the caller's stream for the result.
        source_stream : int
            That of the operand: it is waited for, and waits.
        """
        with self:
            self.streams.let_wait(stream, source_stream)
            try:
                with self.streams.ordered(stream) as own:
                    prepared.launch(pointers, own, self._textures)
            except self.driver.Error as error:
                raise self.failure(error) from None
            finally:
                self.streams.let_wait(source_stream, stream)


def _in_words(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:,.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
