"""Copies of arrays for the texture units of a CUDA device, which interpolate by themselves."""

from __future__ import annotations

from typing import Any

from opalg.engines import libcuda
from opalg.engines.launches import Texture
from opalg.errors import DtypeError

__all__ = ["TextureCopy"]

_FORMATS = {"float32": ("FLOAT", 4), "float16": ("HALF", 2)}


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

    Notes
    -----
    The array needs the memory of what it is a copy of once more.
    """

    def __init__(self, driver: Any, texture: Texture, dtype: str) -> None:
        if dtype not in _FORMATS:
            raise DtypeError(
                f'texture units do not interpolate {dtype}: use interpolation="software"'
            )
        name, self._width = _FORMATS[dtype]
        depth, height, width = texture.shape
        descriptor = driver.ArrayDescriptor3D()
        descriptor.width, descriptor.height, descriptor.depth = width, height, depth
        descriptor.format = getattr(driver.array_format, name)
        descriptor.num_channels = 1
        descriptor.flags = driver.array3d_flags.ARRAY3D_LAYERED if texture.layered else 0
        self._array = driver.Array(descriptor)
        self.handle = libcuda.create_texture(self._array.handle)
        self._offset = texture.offset * self._width
        self._copy = driver.Memcpy3D()
        self._copy.set_dst_array(self._array)
        self._copy.width_in_bytes = self._copy.src_pitch = width * self._width
        self._copy.height = self._copy.src_height = height
        self._copy.depth = depth

    def fill(self, pointer: int, stream: Any) -> None:
        """Copy from device memory, on a stream of PyCUDA's or on the legacy stream (None)."""
        self._copy.set_src_device(pointer + self._offset)
        if stream is None:
            self._copy()
        else:
            self._copy(stream)

    def __del__(self) -> None:
        # The array goes next, by itself; both only while the context is there.
        if handle := self.__dict__.get("handle"):
            libcuda.destroy_texture(handle)
