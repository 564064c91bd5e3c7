"""Takes arrays of the host through CUDA devices, in parts that fit: whatever the size of a card.

A call is split by `opalg.engines.cuda_schedule`. A target stays on a device while all sources pass by, and is
added up there. Sources travel on one stream and results on another, through page-locked memory, while kernels
run on a third. Several devices share the targets.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from opalg.engines.cuda_device import Device
from opalg.engines.cuda_schedule import Plan, Schedule, plan_schedule
from opalg.engines.launches import Input, Output, Scratch
from opalg.engines.textures import TextureCopies
from opalg.errors import DeviceMemoryError

__all__ = ["run_on_devices"]

_SHARE = 0.8  # of what is free, unless a limit is given: others allocate too


def run_on_devices(
    direction: str,
    plan: Plan,
    x: np.ndarray[Any, Any],
    out: np.ndarray[Any, Any],
    devices: list[Device],
    memory_limit: int | None = None,
    **options: Any,
) -> None:
    """Compute a direction of a plan from host memory to host memory.

    Parameters
    ----------
    direction, plan, options
        As in `opalg.engines.launches.launches`.
    x, out
        C-contiguous arrays, with the same batch axes in front.
    devices
        They share the work.
    memory_limit
        Bytes that may be taken on each; by default four fifths of what is free on the first.
    """
    dtype = x.dtype.name
    schedule = _kept_schedule(direction, plan, dtype, devices, memory_limit, options)
    split_at = x.ndim - len(plan.volume_shape)
    images = x.reshape(-1, *x.shape[split_at:]), out.reshape(-1, *out.shape[split_at:])
    failures: list[BaseException] = []

    def work(number: int) -> None:
        mine = range(number, len(schedule.targets), len(devices))
        try:
            _Work(devices[number], direction, schedule, dtype, options).run(*images, mine)
        except BaseException as error:  # handed to the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, len(devices))]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


_schedules: weakref.WeakKeyDictionary[Plan, dict[Any, Schedule]] = weakref.WeakKeyDictionary()


def _kept_schedule(
    direction: str,
    plan: Plan,
    dtype: str,
    devices: list[Device],
    memory_limit: int | None,
    options: dict[str, Any],
) -> Schedule:
    """The schedule of a call; that of the one before, whose plans are on the device, as long as it fits."""
    limit = memory_limit
    if limit is None:
        with devices[0]:
            limit = int(_SHARE * devices[0].driver.mem_get_info()[0])
    kept = _schedules.setdefault(plan, {})
    key = (direction, dtype, len(devices), memory_limit, *sorted(options.items()))
    if key not in kept or kept[key].bytes > limit:
        kept[key] = plan_schedule(direction, plan, dtype, limit, len(devices), **options)
    return kept[key]


class _Work:
    """One device's share of a call."""

    def __init__(
        self,
        device: Device,
        direction: str,
        schedule: Schedule,
        dtype: str,
        options: dict[str, Any],
    ) -> None:
        self.device = device
        self.schedule = schedule
        self.dtype = dtype
        self.key = (direction, 1, dtype, *sorted(options.items()))

    def run(self, x: Any, out: Any, targets: range) -> None:
        """Compute some targets of all images."""
        if not len(targets):
            return
        driver = self.device.driver
        with self.device:
            try:
                self._allocate(x.dtype)
                for image, t in itertools.product(range(len(x)), targets):
                    self._compute(x, out, image, t)
                self._fetch_all()
            except (driver.MemoryError, DeviceMemoryError):
                advice = "pass a smaller memory_limit, or stop what else uses the device"
                raise self.device.out_of_memory(self.schedule.bytes, advice) from None
            except driver.Error as error:
                raise self.device.failure(error) from None
            finally:
                driver.Context.synchronize()
                self._keep_staging()
                self.__dict__.clear()  # while the context is there

    def _keep_staging(self) -> None:
        # In a function of its own: a variable of `run` would hold a buffer longer than the context.
        for name in ("sources", "targets"):
            for buffer in self.__dict__.get(name, ()):
                self.device.give_staging_back(buffer.page_locked)

    def _allocate(self, dtype: Any) -> None:
        driver, (source, target) = self.device.driver, self.schedule.largest
        several_sources = len(self.schedule.sources) > 1
        self.uploads, self.kernels, self.downloads = (driver.Stream(1) for _ in range(3))
        self.textures = TextureCopies(driver, self.device.out_of_memory)
        self.sources = [_Buffer(self.device, source, dtype) for _ in range(1 + several_sources)]
        self.targets = [
            _Buffer(self.device, target, dtype) for _ in range(min(2, len(self.schedule.targets)))
        ]
        self.sum_part: Any = driver.mem_alloc(target) if several_sources else None
        self.scratch: list[Any] = []
        self.scratch_size = 0
        self.source_turn: Iterator[_Buffer] = itertools.cycle(self.sources)
        self.target_turn: Iterator[_Buffer] = itertools.cycle(self.targets)
        self.resident = -1  # the image that is the only source

    def _compute(self, x: Any, out: Any, image: int, t: int) -> None:
        """Add up one target and send it on its way back."""
        target, result = next(self.target_turn), out[image, self.schedule.targets[t]]
        target.fetch()
        self.kernels.wait_for_event(target.moved)
        for s, part in enumerate(self.schedule.sources):
            source = self._source(x, image, part)
            self.kernels.wait_for_event(source.moved)
            place = self.sum_part if s else target.memory
            self._launch(self.schedule.parts[s, t], source.memory, place)
            source.used.record(self.kernels)
            if s:
                self._add(target, result.size)
        target.used.record(self.kernels)
        self.downloads.wait_for_event(target.used)
        target.send_back(result, self.downloads)

    def _source(self, x: Any, image: int, part: slice) -> _Buffer:
        """A buffer with a source; one that is the only one stays for all targets."""
        if len(self.sources) == 1 and self.resident == image:
            return self.sources[0]
        self.resident = image
        source = next(self.source_turn)
        source.moved.synchronize()  # the staging memory is free again
        source.stage(x[image, part])
        self.uploads.wait_for_event(source.used)
        source.send(x[image, part].size, self.uploads)
        return source

    def _launch(self, plan: Plan, source: Any, target: Any) -> None:
        prepared = self.device.prepared(plan, self.key, self.kernels.handle)
        places = {
            Input: int(source),
            Output: int(target),
            Scratch: self._scratch(prepared.scratch),
        }
        prepared.launch(places, self.kernels, self.textures)

    def _scratch(self, parts: list[slice]) -> list[int]:
        """Memory for intermediate results; kernels are in order, so that all can use the same."""
        size = parts[-1].stop if parts else 0
        if self.scratch_size < size:
            self.scratch.append(self.device.driver.mem_alloc(size))  # kernels may be using the old
            self.scratch_size = size
        return [int(self.scratch[-1]) + part.start for part in parts]

    def _add(self, target: _Buffer, count: int) -> None:
        real = {"float32": "float", "float64": "double"}[self.dtype]
        function = self.device.module("add_into.cu", (("OPALG_REAL", real),)).get_function(
            "add_into"
        )
        function.prepare("PPq")
        blocks = min(-(-count // 256), 1 << 20)
        function.prepared_async_call(
            (blocks, 1, 1), (256, 1, 1), self.kernels, int(target.memory), int(self.sum_part), count
        )

    def _fetch_all(self) -> None:
        for target in self.targets:
            target.fetch()


class _Buffer:
    """Memory on the device with page-locked memory of the host beside it."""

    def __init__(self, device: Device, size: int, dtype: Any) -> None:
        driver = self.driver = device.driver
        self.memory = driver.mem_alloc(size)
        self.page_locked = device.take_staging(size)
        self.staging = self.page_locked[: size // dtype.itemsize * dtype.itemsize].view(dtype)
        self.used, self.moved = driver.Event(2), driver.Event(2)
        self._destination: Any = None

    def stage(self, values: Any) -> None:
        """Copy from pageable memory."""
        np.copyto(self.staging[: values.size], values.reshape(-1))

    def send(self, count: int, stream: Any) -> None:
        """Let what is staged travel to the device."""
        if count:
            self.driver.memcpy_htod_async(self.memory, self.staging[:count], stream)
        self.moved.record(stream)

    def send_back(self, destination: Any, stream: Any) -> None:
        """Let a result travel from the device, to be fetched later."""
        if destination.size:
            self.driver.memcpy_dtoh_async(self.staging[: destination.size], self.memory, stream)
        self.moved.record(stream)
        self._destination = destination

    def fetch(self) -> None:
        """Wait for a result that travels, and put it in its place."""
        if self._destination is not None:
            self.moved.synchronize()
            self._destination[...] = self.staging[: self._destination.size].reshape(
                self._destination.shape
            )
            self._destination = None
