"""Memory for results of opalg's own making, that may go in any thread."""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["memory_class"]


@cache
def memory_class(driver: Any) -> type:
    """A class of memory on a device, made of the device and of a number of bytes.

    PyCUDA takes it wherever it takes its own. Its own can be freed only where a context is current, or in the
    thread that made it; this one brings its context.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``.
    """

    class Memory(driver.PointerHolderBase):  # type: ignore[misc]
        def __init__(self, device: Any, size: int) -> None:
            super().__init__()
            self._device = device
            self._allocation = driver.mem_alloc(size)

        def get_pointer(self) -> int:
            return int(self._allocation)

        def __int__(self) -> int:
            return int(self._allocation)

        def __del__(self) -> None:
            if allocation := self.__dict__.pop("_allocation", None):
                self._device.free(allocation)

    return Memory
