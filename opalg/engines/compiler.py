"""Compiles the kernels of ``cuda_src`` for a GPU, and keeps what was compiled on disk.

The compiler is NVIDIA's nvcc where there is one and a C++ compiler beside it, else NVRTC, a library that
comes with PyTorch's CUDA wheels and needs neither. Environment variables choose:

- ``OPALG_CUDA_COMPILER``: ``nvcc``, ``nvrtc``, or the path of an nvcc.
- ``OPALG_CACHE_DIR``: where compiled kernels are kept; by default ``opalg`` in ``XDG_CACHE_HOME`` or
  ``~/.cache``. The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import hashlib
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from opalg.errors import DeviceError

__all__ = ["Compiler", "cache_folder", "compile_kernel", "find_compiler"]

_OPTIONS = ("-std=c++17",)


class Compiler(NamedTuple):
    """A compiler for GPUs."""

    kind: str
    """``"nvcc"`` or ``"nvrtc"``."""
    path: str
    """Of the program, or of the library."""
    version: str
    """What it says about itself: part of the key under which results are kept."""

    def __str__(self) -> str:
        release = re.search(r"release ([\d.]+)", self.version)
        return f"{self.kind} {release[1]}" if release else self.version


def compile_kernel(
    source: str, defines: tuple[tuple[str, str], ...], architecture: str, anew: bool = False
) -> bytes:
    """The machine code of a kernel source, from disk if it was compiled before.

    Parameters
    ----------
    source : str
        Name of a file in ``cuda_src``, or the path of one elsewhere.
    defines : tuple of (str, str)
        Preprocessor definitions, name and value.
    architecture : str
        ``"sm_90"``.
    anew : bool
        Whether to compile what is on disk once more, because it is broken.

    Returns
    -------
    bytes
        A cubin.

    Raises
    ------
    DeviceError
        If there is no compiler, or it does not compile the source.
    """
    compiler = find_compiler()
    path = _sources() / source  # a path that is absolute stays what it is
    options = [*_OPTIONS, *(f"-D{name}={value}" for name, value in defines)]
    parts = (compiler, architecture, options, source, path.read_text(), _headers())
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    kept = cache_folder() / f"{path.stem}-{architecture}-{key}.cubin"
    if not anew:
        with contextlib.suppress(OSError):
            return kept.read_bytes()
    run = _with_nvcc if compiler.kind == "nvcc" else _with_nvrtc
    binary = run(compiler, path, options, architecture)
    _keep(kept, binary)
    return binary


def cache_folder() -> Path:
    """The folder of compiled kernels; it need not exist."""
    if chosen := os.environ.get("OPALG_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "opalg", "cubin")


def find_compiler() -> Compiler:
    """The compiler in use.

    Raises
    ------
    DeviceError
        If there is none, or not the one that ``OPALG_CUDA_COMPILER`` asks for; if that is neither a name
        nor a path.
    """
    return _find_compiler(os.environ.get("OPALG_CUDA_COMPILER", ""), os.environ.get("PATH", ""))


@cache
def _find_compiler(wanted: str, path: str) -> Compiler:
    if wanted not in ("", "nvcc", "nvrtc") and os.sep not in wanted:
        raise DeviceError(
            f'OPALG_CUDA_COMPILER must be "nvcc", "nvrtc" or the path of an nvcc, not {wanted!r}'
        )
    if wanted != "nvrtc":
        nvcc = wanted if os.sep in wanted else _find_nvcc(path)
        if nvcc and (wanted or _find_host_compiler(path)):
            return Compiler("nvcc", nvcc, _output([nvcc, "--version"]))
        if wanted:
            raise DeviceError(f"OPALG_CUDA_COMPILER is {wanted!r}, and no nvcc was found")
    for candidate in _nvrtc_candidates():
        try:
            library = _load_nvrtc(candidate)
        except OSError:
            continue
        major, minor = ctypes.c_int(), ctypes.c_int()
        library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return Compiler("nvrtc", candidate, f"NVRTC {major.value}.{minor.value}")
    raise DeviceError(
        "no compiler for CUDA kernels was found: neither nvcc with a C++ compiler (g++) beside it, nor the "
        'library NVRTC. Install the CUDA toolkit, or pip install "cuda-toolkit[nvrtc,cudart]", or name an '
        "nvcc in OPALG_CUDA_COMPILER"
    )


def _find_nvcc(path: str) -> str | None:
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")] + ["/usr/local/cuda"]
    folders = [Path(home, "bin") for home in filter(None, homes)]
    folders += [Path(found).parent for found in _in_wheels("bin/nvcc")]
    return shutil.which("nvcc", path=os.pathsep.join([path, *map(str, folders)]))


def _find_host_compiler(path: str) -> bool:
    names = ("g++", "c++", "clang++")
    return "NVCC_CCBIN" in os.environ or any(shutil.which(name, path=path) for name in names)


def _in_wheels(pattern: str) -> list[str]:
    """Files of NVIDIA's packages from PyPI: ``nvidia/cu13/bin/nvcc``, ``nvidia/cuda_nvrtc/lib/...``."""
    return [
        found
        for folder in sys.path
        for found in sorted(glob.glob(os.path.join(folder, "nvidia", "*", pattern)), reverse=True)
    ]


def _nvrtc_candidates() -> list[str]:
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")] + ["/usr/local/cuda"]
    toolkit = [
        found
        for home in filter(None, homes)
        for found in sorted(glob.glob(f"{home}/lib*/libnvrtc.so.*"), reverse=True)
    ]
    found = [*_in_wheels("lib/libnvrtc.so.*"), *toolkit]
    return [*(f for f in found if "builtins" not in f and "alt" not in f),
            "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]  # fmt: skip


def _load_nvrtc(path: str) -> Any:
    # It looks for its own part by name, where nobody has told the loader to look.
    for part in glob.glob(f"{os.path.dirname(path)}/libnvrtc-builtins.so.*"):
        ctypes.CDLL(part)
    return ctypes.CDLL(path)


@cache
def _sources() -> Path:
    # By way of a file in it: a folder without an __init__ need not be a path.
    return Path(str(importlib.resources.files("opalg.cuda_src") / "qualifiers.cuh")).parent


@cache
def _headers() -> str:
    """A digest of everything a kernel may include."""
    digest = hashlib.sha256()
    for path in sorted([*_sources().glob("*.cuh"), *_sources().glob("*.h")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _with_nvcc(compiler: Compiler, path: Path, options: list[str], architecture: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "kernel.cubin")
        command = [compiler.path, "-cubin", f"-arch={architecture}", *options]
        command += ["-I", str(_sources()), "-o", str(target), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeviceError(_complaint(path, architecture, compiler, done.stderr or done.stdout))
        return target.read_bytes()


def _with_nvrtc(compiler: Compiler, path: Path, options: list[str], architecture: str) -> bytes:
    library = _load_nvrtc(compiler.path)

    def call(name: str, *arguments: Any) -> None:
        code = getattr(library, name)(*arguments)
        if code:
            library.nvrtcGetErrorString.restype = ctypes.c_char_p
            text = library.nvrtcGetErrorString(code).decode()
            raise DeviceError(_complaint(path, architecture, compiler, f"{name}: {text}\n{log()}"))

    def fetch(what: str) -> bytes:
        size = ctypes.c_size_t()
        getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(library, f"nvrtcGet{what}")(program, buffer)
        return buffer.raw

    def log() -> str:
        return fetch("ProgramLog").rstrip(b"\0").decode() if program else ""

    # Headers such as cuda_fp16.h are not built in: they lie beside the library.
    beside = [str(Path(compiler.path).parent.parent / "include"), *_in_wheels("include")]
    folders = [str(_sources()), *(folder for folder in beside if os.path.isdir(folder))]
    arguments = [f"--gpu-architecture={architecture}", *options]
    arguments += [f"--include-path={folder}" for folder in folders]
    program = ctypes.c_void_p()
    text, name = path.read_text().encode(), path.name.encode()
    call("nvrtcCreateProgram", ctypes.byref(program), text, name, 0, None, None)
    try:
        packed = (ctypes.c_char_p * len(arguments))(*(a.encode() for a in arguments))
        call("nvrtcCompileProgram", program, len(arguments), packed)
        return fetch("CUBIN")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _complaint(path: Path, architecture: str, compiler: Compiler, output: str) -> str:
    return (
        f"{compiler.kind} ({compiler.path}) does not compile {path.name} for {architecture}. It says:\n"
        f"{output.strip()[-2000:]}"
    )


def _keep(kept: Path, binary: bytes) -> None:
    """Write a file that other processes see complete or not at all; without a place it is not kept."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(binary)
        os.replace(scratch, kept)


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeviceError(f"{command[0]} was found and does not run: {error}") from None
