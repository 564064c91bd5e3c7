"""Arrays in the memory of CUDA devices, of whatever library: where they lie, and how to make one like it.

What the engine must know of a library is a class here with the methods of `Library`. PyTorch, CuPy and PyCUDA
are found among the modules that the caller has imported; none is imported for its own sake. Arrays of other
libraries are read through ``__cuda_array_interface__`` or DLPack; results for them are PyCUDA's.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np

from opalg.arrays import Array, is_cupy, is_torch
from opalg.engines import libcuda
from opalg.errors import ArgumentError, DtypeError

__all__ = ["LIBRARIES", "Library", "library_of"]

_LEGACY_STREAM = 0


class Library(Protocol):
    """What the engine asks of an array library."""

    needs_context: bool
    """Whether `empty` works only while a context is current: it calls PyCUDA."""

    def owns(self, x: Any) -> bool:
        """Whether ``x`` is an array of this library in the memory of a CUDA device."""

    def device(self, x: Array) -> int:
        """Ordinal of the device that holds ``x``."""

    def dtype(self, x: Array) -> str:
        """``"float32"``, ``"float64"``, ``"float16"``, ``"bfloat16"`` or another name."""

    def contiguous(self, x: Array) -> Array:
        """``x``, or a C-contiguous copy if it is none."""

    def pointer(self, x: Array) -> int:
        """Address of the first element."""

    def stream(self, x: Array) -> int:
        """Handle of the stream on which the caller's work with ``x`` runs; 0 for the legacy stream."""

    def writable(self, x: Array) -> bool:
        """Whether ``x`` may be written to."""

    def empty(
        self, x: Array, shape: tuple[int, ...], dtype: str, allocate: Callable[[int], Any]
    ) -> Array:
        """An uninitialised C-contiguous array on the device of ``x``, by the library's allocator.

        Libraries without one have ``allocate``, which makes memory for PyCUDA.
        """


class _Torch:
    needs_context = False

    def owns(self, x: Any) -> bool:
        torch = sys.modules.get("torch")
        return torch is not None and isinstance(x, torch.Tensor) and x.device.type == "cuda"

    def device(self, x: Array) -> int:
        return int(x.device.index)

    def dtype(self, x: Array) -> str:
        return _torch_name(x.dtype)

    def contiguous(self, x: Array) -> Array:
        if x.is_contiguous() and not x.is_neg():
            return x
        return x.resolve_neg().contiguous()

    def pointer(self, x: Array) -> int:
        return int(x.data_ptr())

    def stream(self, x: Array) -> int:
        return int(_torch_stream()(x.device.index))

    def writable(self, x: Array) -> bool:
        return True

    def empty(
        self, x: Array, shape: tuple[int, ...], dtype: str, allocate: Callable[[int], Any]
    ) -> Array:
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, dtype), device=x.device)


@cache
def _torch_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


@cache
def _torch_stream() -> Any:
    """The function that gives the handle of PyTorch's current stream on a device."""
    torch = sys.modules["torch"]
    # What its compiler calls, ten times as fast as the public way.
    return getattr(torch._C, "_cuda_getCurrentRawStream", None) or (
        lambda index: torch.cuda.current_stream(index).cuda_stream
    )


class _CuPy:
    needs_context = False

    def owns(self, x: Any) -> bool:
        return is_cupy(x)

    def device(self, x: Array) -> int:
        return int(x.device.id)

    def dtype(self, x: Array) -> str:
        return str(x.dtype.name)

    def contiguous(self, x: Array) -> Array:
        with x.device:
            return sys.modules["cupy"].ascontiguousarray(x)

    def pointer(self, x: Array) -> int:
        return int(x.data.ptr)

    def stream(self, x: Array) -> int:
        with x.device:
            return int(sys.modules["cupy"].cuda.get_current_stream().ptr)

    def writable(self, x: Array) -> bool:
        return True

    def empty(
        self, x: Array, shape: tuple[int, ...], dtype: str, allocate: Callable[[int], Any]
    ) -> Array:
        with x.device:
            return sys.modules["cupy"].empty(shape, _numpy_dtype(dtype))


class _GPUArray:
    needs_context = True

    def owns(self, x: Any) -> bool:
        gpuarray = sys.modules.get("pycuda.gpuarray")
        return gpuarray is not None and isinstance(x, gpuarray.GPUArray)

    def device(self, x: Array) -> int:
        return libcuda.device_of(self.pointer(x))

    def dtype(self, x: Array) -> str:
        return str(x.dtype.name)

    def contiguous(self, x: Array) -> Array:
        if not x.flags.c_contiguous:
            raise ArgumentError("a GPUArray must be C-contiguous: x.copy() makes one")
        return x

    def pointer(self, x: Array) -> int:
        return 0 if x.gpudata is None else int(x.gpudata)  # an empty one has none

    def stream(self, x: Array) -> int:
        return _LEGACY_STREAM

    def writable(self, x: Array) -> bool:
        return True

    def empty(
        self, x: Array, shape: tuple[int, ...], dtype: str, allocate: Callable[[int], Any]
    ) -> Array:
        usual = x.allocator is sys.modules["pycuda.driver"].mem_alloc
        return _gpuarray(shape, dtype, allocate if usual else x.allocator)


def _gpuarray(shape: tuple[int, ...], dtype: str, allocator: Callable[[int], Any]) -> Array:
    gpuarray = sys.modules["pycuda.gpuarray"]  # which the engine has loaded
    return gpuarray.GPUArray(shape, _numpy_dtype(dtype), allocator=allocator)


class _Interface:
    """Whatever speaks ``__cuda_array_interface__``: Numba, JAX and others."""

    needs_context = True

    def owns(self, x: Any) -> bool:
        return getattr(x, "__cuda_array_interface__", None) is not None

    def device(self, x: Array) -> int:
        return libcuda.device_of(self.pointer(x))

    def dtype(self, x: Array) -> str:
        dtype = np.dtype(x.__cuda_array_interface__["typestr"])
        if not dtype.isnative:
            raise DtypeError(
                f"a {type(x).__name__} has {dtype.name} in the byte order of another machine"
            )
        return dtype.name

    def contiguous(self, x: Array) -> Array:
        interface = x.__cuda_array_interface__
        if interface.get("mask") is not None:
            raise ArgumentError(
                f"a {type(x).__name__} has a mask, which would be ignored: fill what is masked, and pass "
                "an array without one"
            )
        item = np.dtype(interface["typestr"]).itemsize
        _check_contiguous(x, interface["shape"], interface.get("strides"), item)
        return x

    def pointer(self, x: Array) -> int:
        return int(x.__cuda_array_interface__["data"][0])

    def stream(self, x: Array) -> int:
        # Version 3: None asks for no order, 1 is the legacy stream, 2 that of the thread.
        stream = x.__cuda_array_interface__.get("stream")
        return _LEGACY_STREAM if stream in (None, 1) else int(stream)

    def writable(self, x: Array) -> bool:
        return not x.__cuda_array_interface__["data"][1]

    def empty(
        self, x: Array, shape: tuple[int, ...], dtype: str, allocate: Callable[[int], Any]
    ) -> Array:
        # The library has no allocator that opalg knows.
        return _gpuarray(shape, dtype, allocate)


def _check_contiguous(
    x: Array, shape: Sequence[int], strides: Sequence[int] | None, step: int
) -> None:
    """Raise `ArgumentError` unless strides, one element being ``step``, are C-contiguous."""
    if strides is None or 0 in shape:
        return
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent > 1 and stride != step:
            raise ArgumentError(
                f"a {type(x).__name__} must be C-contiguous; make a contiguous copy of it"
            )
        step *= extent


class _DLPack(_Interface):
    """Whatever speaks DLPack only; the producer orders its work before the legacy stream."""

    def owns(self, x: Any) -> bool:
        # Tensors on devices that DLPack does not know raise an error when they are asked.
        device = None if is_torch(x) else getattr(x, "__dlpack_device__", None)
        return device is not None and device()[0] == _DLPACK_CUDA

    def device(self, x: Array) -> int:
        return int(x.__dlpack_device__()[1])

    def dtype(self, x: Array) -> str:
        tensor = _dlpack_tensor(x)
        kind = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex"}.get(tensor.code, "type")
        return f"{kind}{tensor.bits}"

    def contiguous(self, x: Array) -> Array:
        tensor = _dlpack_tensor(x)
        strides = tensor.strides[: tensor.ndim] if tensor.strides else None
        _check_contiguous(x, tensor.shape[: tensor.ndim], strides, 1)
        return x

    def pointer(self, x: Array) -> int:
        tensor = _dlpack_tensor(x)
        return int((tensor.data or 0) + tensor.byte_offset)

    def stream(self, x: Array) -> int:
        return _LEGACY_STREAM

    def writable(self, x: Array) -> bool:
        return True  # who may not be written to cannot be asked for it without a version


_DLPACK_CUDA = 2


class _Tensor(ctypes.Structure):
    """DLTensor, with which the capsules of DLPack begin."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def _dlpack_tensor(x: Any) -> _Tensor:
    capsule = x.__dlpack__(stream=1)  # the legacy stream
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    tensor = _Tensor.from_address(pointer(capsule, b"dltensor"))
    tensor.capsule = capsule  # what the structure points to lives as long as the capsule
    return tensor


LIBRARIES: list[Library] = [_Torch(), _CuPy(), _GPUArray(), _Interface(), _DLPack()]
"""In the order in which they are asked."""


def library_of(x: Any) -> Library | None:
    """The library that holds an array on a CUDA device; None for arrays of the host.

    Examples
    --------
    >>> library_of(np.zeros(3)) is None
    True
    """
    if type(x) is np.ndarray:
        return None
    for library in LIBRARIES:
        if library.owns(x):
            return library
    return None


def _numpy_dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        raise DtypeError(f"{name} has no counterpart in this array library") from None
