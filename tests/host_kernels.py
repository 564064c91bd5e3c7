"""Kernels compiled by the host's compiler, and kept for all that run them: tests on arrays, and the stand-in.

Needs nothing but Python: the stand-in's compiler starts often.
"""

import hashlib
import os
import re
import subprocess
from pathlib import Path

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
_KERNEL = r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)'


def source_key(*parts):
    """Changes with any source of a kernel, and with `parts`."""
    digest = hashlib.sha256(repr(parts).encode())
    for path in sorted([*SOURCES.glob("*.cu*"), *SOURCES.glob("*.h")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def compiled(source, macros, extra=()):
    """The library of all kernels of a file in ``cuda_src``, from earlier runs where nothing has changed.

    ``macros`` are options ``-DNAME=VALUE``; messages of a compiler that fails are raised.
    """
    path = CACHE / f"{Path(source).stem}-{source_key(source, sorted(macros), FLAGS, extra)}.so"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")  # others may be at it
        compile_to(part, SOURCES / source, [*FLAGS, *extra, *macros])
        part.rename(path)
    return path


def compile_to(target, source, options):
    """Compile a file of kernels, each with the functions through which the host launches it."""
    names = re.findall(_KERNEL, source.read_text())
    text = f'#include "cuda_on_host.h"\n#include "{source}"\n'
    text += "".join(f"OPALG_ON_HOST({name})\n" for name in names)
    command = ["g++", *options, f"-I{SOURCES}", "-xc++", "-", "-o", str(target)]
    # A sanitizer loaded for the tests' sake would watch over the compiler, too.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    result = subprocess.run(
        command, input=text, text=True, capture_output=True, check=False, env=environment
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
