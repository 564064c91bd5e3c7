"""Runs lists of launches on NumPy arrays: kernels compiled by the host's compiler, without CUDA."""

import ctypes
import hashlib
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from opalg.engines import launches as ln

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "cuda_src"
CACHE = ROOT / "build" / "cuda_on_host"
# As in CMakeLists.txt; without contraction, see rounded_sum in ray_views.cuh.
FLAGS = (
    "-std=c++17",
    "-O1",
    "-ffp-contract=off",
    "-fPIC",
    "-shared",
    "-Wall",
    "-Wextra",
    "-Werror",
)


def source_key(*parts):
    """Changes with any source of a kernel, and with `parts`."""
    digest = hashlib.sha256(repr(parts).encode())
    for path in sorted([*SOURCES.glob("*.cu*"), *SOURCES.glob("*.h")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:24]


@cache
def library(source, kernel, defines, extra=()):
    """The compiled kernel, from the cache of earlier runs where nothing has changed."""
    path = CACHE / f"{kernel}-{source_key(source, kernel, defines, FLAGS, extra)}.so"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        text = f'#include "{source}"\nOPALG_ON_HOST({kernel})\n'
        part = path.with_suffix(f".{id(text)}.part")
        macros = [f"-D{name}={value}" for name, value in defines]
        command = ["g++", *FLAGS, *extra, *macros, f"-I{SOURCES}", "-xc++", "-", "-o", str(part)]
        result = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr}"
        part.rename(path)
    return ctypes.CDLL(str(path))


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
        call = library(launch.source, launch.kernel, launch.defines, extra)[
            f"{launch.kernel}__on_host"
        ]
        pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        triple = ctypes.c_uint * 3
        call(triple(*launch.grid), triple(*launch.block), pointers)


def run(plan, direction, x, shape, dtype=None, extra=(), **options):
    """The result, ``[batch, *shape]``, of a direction of a plan for images x of ``[batch, ...]``."""
    out = np.full((len(x), *shape), np.nan if x.dtype.kind == "f" else 0xFFFF, x.dtype)
    execute(ln.launches(plan, direction, len(x), dtype or str(x.dtype), **options), x, out, extra)
    return out
