"""What the kernels of a plan need beforehand on a CUDA device: functions, constant data, formats."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from opalg.engines.launches import Input, Launch, Output, Scratch, Table, Texture
from opalg.engines.textures import TextureCopies

__all__ = ["PlanData", "Prepared"]

_PLACES = (Input, Output, Scratch, Texture)
_ALIGNMENT = 256  # bytes; that of allocations
_ALIGNED = {1: "0b", 2: "0h", 4: "0i", 8: "0q"}  # formats that take no room and move to a multiple


class Prepared:
    """Launches with everything that can be done beforehand: functions, constant data, argument formats."""

    def __init__(
        self,
        needed: Sequence[Launch],
        module: Callable[[str, tuple[tuple[str, str], ...]], Any],
        owner: PlanData,
        dtype: str,
    ) -> None:
        self.scratch: list[slice] = []  # parts of one piece of memory, in bytes
        self._dtype = dtype
        self._has_textures = False
        self._places: dict[int, int] = {}
        self._launches = needed  # keeps alive what is known by its identity
        # Function, launch, arguments, and which of them are known at a call only.
        self._steps: list[tuple[Any, Launch, list[Any], list[tuple[int, Any]]]] = []
        for launch in needed:
            function = module(launch.source, launch.defines).get_function(launch.kernel)
            arguments = [self._argument(argument, owner) for argument in launch.arguments]
            function.prepare("".join(letter for letter, _ in arguments))
            values = [value for _, value in arguments]
            later = [(k, v) for k, v in enumerate(values) if isinstance(v, _PLACES)]
            self._steps.append((function, launch, values, later))

    def _argument(self, argument: Any, owner: PlanData) -> tuple[str, Any]:
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
            self._has_textures = True
            return "Q", argument
        if isinstance(argument, np.void):
            dtype = argument.dtype
            return f"{_ALIGNED[dtype.alignment]}{dtype.itemsize}s", argument.tobytes()
        if isinstance(argument, np.generic):
            return argument.dtype.char, argument
        raise TypeError(f"a launch cannot have the argument {argument!r}")

    def launch(self, pointers: dict[type, Any], stream: Any, textures: TextureCopies) -> None:
        """Launch on a stream of PyCUDA's, or on the legacy stream (None), in the device's context."""
        # A copy may be filled again, by another thread, as soon as the kernel that reads it is on the stream.
        with textures.lock if self._has_textures else nullcontext():
            for function, launch, values, later in self._steps:
                arguments = list(values)
                for k, place in later:
                    if isinstance(place, Texture):
                        start = self._address(place.of, pointers)
                        arguments[k] = textures.fill(place, self._dtype, start, stream, self)
                    else:
                        arguments[k] = self._address(place, pointers)
                function.prepared_async_call(
                    launch.grid, launch.block, stream, *arguments, shared_size=launch.shared
                )

    def _address(self, place: Any, pointers: dict[type, Any]) -> int:
        if isinstance(place, Scratch):
            return pointers[Scratch][self._places[id(place)]]
        return pointers[type(place)]


class PlanData:
    """What a device holds for one plan.

    Parameters
    ----------
    upload : callable
        From an array to memory of the device that holds it.
    """

    def __init__(self, upload: Callable[[np.ndarray[Any, Any]], Any]) -> None:
        self._upload = upload
        self._tables: dict[bytes, Any] = {}
        self.prepared: dict[Any, Prepared] = {}

    def upload(self, array: np.ndarray[Any, Any]) -> int:
        """The address of constant data; the same data are there once."""
        array = np.ascontiguousarray(array)
        content = repr((array.dtype, array.shape)).encode() + array.tobytes()
        digest = hashlib.blake2b(content).digest()
        if digest not in self._tables:
            self._tables[digest] = self._upload(array)
        return int(self._tables[digest])
