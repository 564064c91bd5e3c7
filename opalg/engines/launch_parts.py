"""The parts of a launch: a kernel, its grid, and places in memory as arguments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["STORAGE", "Input", "Launch", "Output", "Scratch", "Table", "Texture"]

#: Storage by name: C++ types of numbers in registers and in memory, and bytes in memory.
STORAGE = {
    "float32": ("float", "float", 4),
    "float64": ("double", "double", 8),
    "float16": ("float", "opalg::Half", 2),
    "bfloat16": ("float", "opalg::Bfloat16", 2),
}


@dataclass(frozen=True)
class Input:
    """The array that is read: ``[batch, *shape]`` of the direction's domain, contiguous."""


@dataclass(frozen=True)
class Output:
    """The array that is written, all of it: ``[batch, *shape]`` of the direction's range."""


@dataclass(frozen=True, eq=False)
class Table:
    """Constant data of a plan. The same plan gives the same object: upload it once."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class Scratch:
    """Memory that launches of one list share; the same object is the same memory.

    It need not be set to zero, and is not needed after the list.
    """

    bytes: int


@dataclass(frozen=True, eq=False)
class Texture:
    """A copy of `of` for the texture units: linear interpolation, zero outside, not normalised.

    ``shape`` is that of the array, ``[depth, height, width]`` or, layered, ``[layers, height,
    width]``; it begins ``offset`` elements behind the beginning of `of`.
    """

    of: Input | Scratch
    shape: tuple[int, int, int]
    layered: bool
    offset: int = 0


@dataclass(frozen=True)
class Launch:
    """One kernel: where it is, how it is compiled, on what grid it runs, and its arguments.

    Parameters
    ----------
    source
        File in ``cuda_src/``.
    kernel
        Its ``extern "C"`` name.
    defines
        Macros, in an order that is always the same.
    grid, block
        As in CUDA.
    shared
        Bytes of dynamic shared memory.
    arguments
        NumPy scalars and structures (``np.void``, padded as C++ does), and places in memory.
    """

    source: str
    kernel: str
    defines: tuple[tuple[str, str], ...]
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    arguments: tuple[object, ...]
