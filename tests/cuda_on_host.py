"""Runs lists of launches on NumPy arrays: kernels compiled by the host's compiler, without CUDA."""

import ctypes
from functools import cache

import numpy as np
from host_kernels import compiled

from opalg.engines import launches as ln


@cache
def library(source, defines, extra=()):
    """The kernels of a file, compiled for one case."""
    return ctypes.CDLL(
        str(compiled(source, [f"-D{name}={value}" for name, value in defines], extra))
    )


def execute(launches, source, target, extra=()):
    """Run launches with `source` as input and `target` as output, both contiguous."""
    scratch, alive = {}, []

    def pointer(argument):
        if isinstance(argument, ln.Scratch):
            if argument not in scratch:  # what was left there by others must not matter
                scratch[argument] = np.full(argument.bytes, 0xFF, np.uint8)
            return scratch[argument]
        return {ln.Input: source, ln.Output: target}.get(type(argument))

    def texture(argument):
        """`HostTexture` of cuda_on_host.h."""
        data = pointer(argument.of).reshape(-1)[argument.offset :].astype(np.float32)
        assert data.size >= np.prod(argument.shape)
        return data, np.array([data.ctypes.data, *argument.shape[::-1]], np.int64)

    for launch in launches:
        assert 0 < min(launch.grid), launch
        assert max(launch.grid[1:]) < 2**16, launch
        assert launch.grid[0] < 2**31, launch
        values = []
        for argument in launch.arguments:
            if isinstance(argument, ln.Texture):
                alive.extend(texture(argument))
                values.append(np.array(alive[-1].ctypes.data, np.uint64))
                continue
            array = argument.array if isinstance(argument, ln.Table) else pointer(argument)
            if array is not None:
                values.append(np.array(array.ctypes.data, np.uint64))
            else:
                values.append(np.array(argument))
        call = library(launch.source, launch.defines, extra)[f"{launch.kernel}__on_host"]
        pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        triple = ctypes.c_uint * 3
        call(triple(*launch.grid), triple(*launch.block), pointers)


def run(plan, direction, x, shape, dtype=None, extra=(), **options):
    """The result, ``[batch, *shape]``, of a direction of a plan for images x of ``[batch, ...]``."""
    out = np.full((len(x), *shape), np.nan if x.dtype.kind == "f" else 0xFFFF, x.dtype)
    execute(ln.launches(plan, direction, len(x), dtype or str(x.dtype), **options), x, out, extra)
    return out
