"""The few functions of the CUDA driver that PyCUDA does not offer: streams of others, captures, textures.

PyCUDA launches on its own streams only, and has neither texture objects nor a question for whether a stream
is being captured. The structures below are the driver's binary interface, unchanged since CUDA 5.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any

from opalg.errors import DeviceError

__all__ = [
    "create_event",
    "create_texture",
    "destroy_event",
    "destroy_texture",
    "device_of",
    "is_capturing",
    "let_wait",
    "outside_of_captures",
]

_WITHOUT_TIMES = 2  # CU_EVENT_DISABLE_TIMING
_DEVICE_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED
_BORDER, _LINEAR = 3, 1  # CU_TR_ADDRESS_MODE_BORDER, CU_TR_FILTER_MODE_LINEAR


@cache
def _driver() -> Any:
    library = ctypes.CDLL("libcuda.so.1")
    for name, arguments in {
        "cuEventCreate": (POINTER(c_void_p), c_uint),
        "cuEventDestroy_v2": (c_void_p,),
        "cuEventRecord": (c_void_p, c_void_p),
        "cuStreamWaitEvent": (c_void_p, c_void_p, c_uint),
        "cuThreadExchangeStreamCaptureMode": (POINTER(c_int),),
        "cuStreamIsCapturing": (c_void_p, POINTER(c_int)),
        "cuPointerGetAttribute": (c_void_p, c_int, c_uint64),
        "cuTexObjectCreate": (POINTER(c_uint64), c_void_p, c_void_p, c_void_p),
        "cuTexObjectDestroy": (c_uint64,),
        "cuGetErrorString": (c_int, POINTER(ctypes.c_char_p)),
    }.items():
        getattr(library, name).argtypes = arguments
    return library


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_driver(), name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, byref(text))
        raise DeviceError(f"{name} failed: {(text.value or b'?').decode()} (CUDA error {code})")


def create_event() -> int:
    """An event of the current context, for ordering only."""
    event = c_void_p()
    _call("cuEventCreate", byref(event), _WITHOUT_TIMES)
    return event.value or 0


def destroy_event(event: int) -> None:
    """Give an event back; what waits for it goes on waiting."""
    _call("cuEventDestroy_v2", event)


@contextmanager
def outside_of_captures() -> Iterator[None]:
    """Let this thread make what lasts, though a stream is being captured."""
    mode = c_int(_RELAXED)
    _call("cuThreadExchangeStreamCaptureMode", byref(mode))
    try:
        yield
    finally:
        _call("cuThreadExchangeStreamCaptureMode", byref(mode))


def let_wait(stream: int, event: int, for_stream: int) -> None:
    """Let what comes next on one stream wait for what has been put on another."""
    _call("cuEventRecord", event, for_stream)
    _call("cuStreamWaitEvent", stream, event, 0)


def is_capturing(stream: int) -> bool:
    """Whether work on a stream is recorded into a graph, not run."""
    status = c_int()
    _call("cuStreamIsCapturing", stream, byref(status))
    return status.value != 0


def device_of(pointer: int) -> int:
    """The ordinal of the device whose memory a pointer is in; 0 for that of an empty array, which is none."""
    if not pointer:
        return 0
    ordinal = c_int()
    _call("cuPointerGetAttribute", byref(ordinal), _DEVICE_ORDINAL, pointer)
    return ordinal.value


class _Resource(ctypes.Structure):
    """CUDA_RESOURCE_DESC, of a CUDA array."""

    _fields_ = (
        ("kind", c_int),
        ("array", c_void_p),
        ("other_kinds", c_uint64 * 15),
        ("flags", c_uint),
    )


class _Sampling(ctypes.Structure):
    """CUDA_TEXTURE_DESC."""

    _fields_ = (
        ("address_mode", c_int * 3),
        ("filter_mode", c_int),
        ("flags", c_uint),
        ("anisotropy", c_uint),
        ("mipmap_filter_mode", c_int),
        ("mipmap", c_float * 3),
        ("border_colour", c_float * 4),
        ("reserved", c_int * 12),
    )


assert (ctypes.sizeof(_Resource), ctypes.sizeof(_Sampling)) == (144, 104)
assert ctypes.sizeof(c_size_t) == 8


def create_texture(array: int) -> int:
    """A texture object over a CUDA array: linear interpolation between texel centres, zero outside."""
    texture = c_uint64()
    resource, sampling = _Resource(array=array), _Sampling(filter_mode=_LINEAR)
    sampling.address_mode[:] = [_BORDER] * 3
    _call("cuTexObjectCreate", byref(texture), byref(resource), byref(sampling), None)
    return texture.value


def destroy_texture(texture: int) -> None:
    """Give a texture object back, before its array goes."""
    _call("cuTexObjectDestroy", texture)
