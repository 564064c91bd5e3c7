"""Copies of arrays for the texture units of a CUDA device, which interpolate by themselves."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

from opalg.engines import libcuda
from opalg.engines.launches import Texture
from opalg.errors import DeviceError, DtypeError

__all__ = ["TextureCopies", "TextureCopy", "texture_bytes"]

_FORMATS = {"float32": ("FLOAT", 4), "float16": ("HALF", 2)}


def texture_bytes(texture: Texture, dtype: str) -> int:
    """The memory of a copy: that of what it is a copy of once more."""
    return math.prod(texture.shape) * _FORMATS[dtype][1]


class TextureCopies:
    """The copies that a device keeps: for each stream one of a shape, as what runs on one is in order.

    A copy is filled before each launch that reads it, and goes when all its users have gone.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``, whose current context all methods need.
    out_of_memory : callable
        From bytes to the error that says that they are not there.
    most : int
        How many are kept: the one that was not used for longest makes room.

    Attributes
    ----------
    lock
        To be held from `fill` until the kernel is launched: threads may share a stream.
    """

    def __init__(
        self, driver: Any, out_of_memory: Callable[[int], Exception], most: int = 8
    ) -> None:
        self.lock = threading.RLock()
        self._driver = driver
        self._out_of_memory = out_of_memory
        self._most = most
        self._kept: dict[Any, TextureCopy] = {}  # the one used last stands last

    def fill(self, texture: Texture, dtype: str, pointer: int, stream: Any, user: object) -> int:
        """What kernels on a stream take as a texture of the array at an address.

        Parameters
        ----------
        texture
            Its shape, and where it begins.
        dtype
            Of the elements.
        pointer
            Address of the array.
        stream
            Of PyCUDA, or None: the legacy stream.
        user
            The copy is kept until it has gone.

        Raises
        ------
        DeviceError
            If the stream is being captured, and had no such copy before.
        DeviceMemoryError
            If there is not enough memory, even without the copies of other streams and shapes.
        """
        key = (stream, texture.shape, texture.layered, dtype)
        captured = stream is not None and libcuda.is_capturing(stream.handle)
        copy = self._kept.pop(key, None)
        if copy is None:
            if captured:
                raise DeviceError(
                    "the first call on a stream allocates memory for texture units, which cannot be captured "
                    "into a CUDA graph: call the operator once on a stream s, with arrays of this shape, and "
                    "capture on the same one: torch.cuda.graph(graph, stream=s)"
                )
            copy = self._make(texture, dtype)
        self._kept[key] = copy
        copy.captured |= captured
        copy.users.add(user)
        copy.fill(pointer + texture.offset * _FORMATS[dtype][1], stream)
        return copy.handle

    def release_unused(self) -> None:
        """Free the copies whose users have gone; the device must have come to the end of its work."""
        with self.lock:
            self._kept = {key: copy for key, copy in self._kept.items() if copy.users}

    def clear(self) -> None:
        """Free all; the device must have come to the end of its work."""
        self._kept.clear()

    def _make(self, texture: Texture, dtype: str) -> TextureCopy:
        with libcuda.outside_of_captures():  # of other threads
            if len(self._kept) >= self._most:
                self._make_room()
            while True:
                try:
                    return TextureCopy(self._driver, texture, dtype)
                except self._driver.MemoryError:
                    if not self._make_room():
                        raise self._out_of_memory(texture_bytes(texture, dtype)) from None

    def _make_room(self) -> bool:
        """Free the copy that was not used for longest; a graph may use its own at any time."""
        for key, copy in self._kept.items():
            if not copy.captured:
                self._driver.Context.synchronize()  # a kernel may be reading it
                del self._kept[key]
                return True
        return False


class TextureCopy:
    """A CUDA array of a texture's shape, with a texture object over it.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``; its current context is where the array is.
    texture : Texture
    dtype : str
        Of the elements.

    Raises
    ------
    DtypeError
        For types that the units do not know.

    Attributes
    ----------
    handle : int
        What kernels take as ``cudaTextureObject_t``.
    users : set
        Of weak references: who needs the copy.
    captured : bool
        Whether a CUDA graph uses it.
    """

    def __init__(self, driver: Any, texture: Texture, dtype: str) -> None:
        if dtype not in _FORMATS:
            raise DtypeError(
                f'texture units do not interpolate {dtype}: use interpolation="software"'
            )
        name, item = _FORMATS[dtype]
        depth, height, width = texture.shape
        descriptor = driver.ArrayDescriptor3D()
        descriptor.width, descriptor.height, descriptor.depth = width, height, depth
        descriptor.format = getattr(driver.array_format, name)
        descriptor.num_channels = 1
        descriptor.flags = driver.array3d_flags.ARRAY3D_LAYERED if texture.layered else 0
        self._array = driver.Array(descriptor)
        self.handle = libcuda.create_texture(self._array.handle)
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self.captured = False
        self._copy = driver.Memcpy3D()
        self._copy.set_dst_array(self._array)
        self._copy.width_in_bytes = self._copy.src_pitch = width * item
        self._copy.height = self._copy.src_height = height
        self._copy.depth = depth

    def fill(self, pointer: int, stream: Any) -> None:
        """Copy from device memory, on a stream of PyCUDA's or on the legacy stream (None)."""
        self._copy.set_src_device(pointer)
        if stream is None:
            self._copy()
        else:
            self._copy(stream)

    def __del__(self) -> None:
        # The array goes next, by itself; both only while the context is there.
        if handle := self.__dict__.get("handle"):
            libcuda.destroy_texture(handle)
