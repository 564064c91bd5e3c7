"""The order between streams of callers and those on which PyCUDA launches."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opalg.engines import libcuda
from opalg.errors import DeviceError

__all__ = ["LEGACY", "Streams"]

LEGACY = (0, 1)
"""Two names of the stream that waits for all others, but for those that are non-blocking."""
_PER_THREAD = 2  # one handle, another stream in each thread
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_MOST_TWINS = 64


class Streams:
    """The streams of a device, in whose context all methods run.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._lock = threading.Lock()
        self._twins: dict[tuple[int, int], _Twin] = {}
        self._event = 0

    @contextmanager
    def ordered(self, stream: int) -> Iterator[Any]:
        """A stream of PyCUDA's that runs in the place of the caller's; None for the legacy stream."""
        if stream in LEGACY:
            yield None
            return
        key = (stream, threading.get_ident() if stream == _PER_THREAD else 0)
        twin = self._twins.get(key) or self._make(key)
        twin.fork()
        try:
            yield twin.stream
        finally:
            twin.join()

    def let_wait(self, stream: int, for_stream: int) -> None:
        """Let what comes next on a caller's stream wait for what has been put on another."""
        if stream == for_stream or {stream, for_stream} <= set(LEGACY):
            return
        with self._lock:  # from record to wait
            if not self._event:
                with libcuda.outside_of_captures():
                    self._event = libcuda.create_event()
            libcuda.let_wait(stream, self._event, for_stream)

    def clear(self) -> None:
        """Give back what is kept."""
        self._twins.clear()
        if self._event:
            libcuda.destroy_event(self._event)
            self._event = 0

    def _make(self, key: tuple[int, int]) -> _Twin:
        # The stream of a capture is often new.
        with self._lock, libcuda.outside_of_captures():
            if key not in self._twins:
                if len(self._twins) >= _MOST_TWINS:
                    self._drop_oldest()
                self._twins[key] = _Twin(self._driver, key[0])
            return self._twins[key]

    def _drop_oldest(self) -> None:
        # Streams come and go, unseen. A stream whose twin is dropped gets a new one, which waits for it.
        for key, twin in self._twins.items():
            if not libcuda.is_capturing(twin.stream.handle):
                del self._twins[key]
                return


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

    def __del__(self) -> None:
        # Where the last call with it ends, which is in the context.
        for name in ("_before", "_after"):
            if event := self.__dict__.get(name):
                with contextlib.suppress(DeviceError):
                    libcuda.destroy_event(event)
