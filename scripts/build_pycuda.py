"""Build PyCUDA and the stand-in driver, so that the CUDA engine runs where there is no GPU.

``python scripts/build_pycuda.py`` makes a folder in the user's cache and prints what to set to use it::

    ~/.cache/opalg/stand-in/
        headers/    cuda.h, where no CUDA toolkit is installed
        driver-KEY/ libcuda.so.1: tests/cuda/stand_in/driver.c, and stubs for all it does not define
        pycuda-KEY/ PyCUDA with its requirements

What is there already is kept, as long as the sources (``KEY``) are the same: the first run takes two to three
minutes, others none, in whatever checkout. A C++ compiler is needed, a CUDA toolkit is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
FOLDER = Path(CACHE, "opalg", "stand-in")
DRIVER = ROOT / "tests" / "cuda" / "stand_in" / "driver.c"
PYCUDA = "pycuda==2026.1"
HEADERS = ("cuda-toolkit[cudart,profiler-api,crt]==13.0.*",)


def headers() -> Path:
    """The folder of cuda.h: that of the toolkit, or one fetched from PyPI."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    homes += sorted(map(str, Path("/usr/local").glob("cuda-*")), reverse=True)
    if nvcc := shutil.which("nvcc"):
        homes.insert(0, str(Path(nvcc).resolve().parent.parent))
    for home in filter(None, homes):
        if all(Path(home, "include", name).is_file() for name in ("cuda.h", "cudaProfiler.h")):
            return Path(home, "include")
    fetched = FOLDER / "headers"
    if not list(fetched.rglob("cuda.h")):
        pip("install", "--target", str(fetched), *HEADERS)
    return next(fetched.rglob("cuda.h")).parent


def pip(*arguments: str) -> None:
    """Run pip in this environment."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    subprocess.run(command, check=True)


def stubs(include: Path) -> str:
    """A weak function for every one that the headers declare, answering "stub library"."""
    command = ["gcc", "-E", "-I", str(include), "-include", "cuda.h", "-include", "cudaProfiler.h"]
    done = subprocess.run(
        [*command, "-x", "c", os.devnull], check=True, capture_output=True, text=True
    )
    names = sorted(set(re.findall(r"\bCUresult\s+(cu[A-Z]\w*)\s*\(", done.stdout)))
    return "".join(f"__attribute__((weak)) int {name}(void) {{ return 34; }}\n" for name in names)


def build_driver(include: Path) -> Path:
    """The folder of the stand-in libcuda.so.1."""
    key = hashlib.sha256(DRIVER.read_bytes() + str(include).encode()).hexdigest()[:16]
    folder = FOLDER / f"driver-{key}"
    if not folder.is_dir():
        scratch = Path(tempfile.mkdtemp(dir=FOLDER))
        (scratch / "stubs.c").write_text(stubs(include))
        command = ["gcc", "-O1", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-I", str(include)]
        command += ["-o", str(scratch / "libcuda.so.1"), str(DRIVER), str(scratch / "stubs.c")]
        subprocess.run([*command, "-ldl", "-lpthread"], check=True)
        _publish(scratch, folder)
    return folder


def build_pycuda(include: Path, driver: Path) -> Path:
    """A folder to put on PYTHONPATH, with PyCUDA built for the headers and linked to the stand-in."""
    python = f"{sys.implementation.cache_tag}-{sys.platform}"
    key = hashlib.sha256(f"{PYCUDA} {python} {include}".encode()).hexdigest()[:16]
    folder = FOLDER / f"pycuda-{key}"
    if not folder.is_dir():
        print(f"building {PYCUDA}: two to three minutes, once", file=sys.stderr, flush=True)
        scratch = Path(tempfile.mkdtemp(dir=FOLDER))
        pip("install", "--target", str(scratch / "tools"), "setuptools<81", "wheel")
        os.environ["PYTHONPATH"] = str(scratch / "tools")
        source = ["--no-deps", "--no-build-isolation", "--no-binary", "pycuda"]
        pip("download", *source, "-d", str(scratch), PYCUDA)
        (archive,) = scratch.glob("pycuda-*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        (unpacked,) = (path for path in scratch.glob("pycuda-*") if path.is_dir())
        settings = {
            "CUDA_ROOT": str(include.parent),
            "CUDA_INC_DIR": [str(include)],
            "CUDA_ENABLE_CURAND": False,
            "CUDADRV_LIB_DIR": [str(driver)],
            "CUDADRV_LIBNAME": [":libcuda.so.1"],
            "CXXFLAGS": ["-O0", "-g0", "-w"],
            "LDFLAGS": [],
        }
        lines = (f"{name} = {value!r}\n" for name, value in settings.items())
        (unpacked / "siteconf.py").write_text("".join(lines))
        site = scratch / "site"
        pip("install", "--no-build-isolation", "--no-deps", "--target", str(site), str(unpacked))
        # Its requirements, but for NumPy, which is the one of the environment.
        pip("install", "--no-deps", "--target", str(site), "pytools", "mako", "platformdirs",
            "siphash24", "MarkupSafe", "typing-extensions")  # fmt: skip
        _publish(site, folder)
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _publish(made: Path, folder: Path) -> None:
    """Give a finished folder its name at once; who comes second uses that of the first."""
    try:
        made.rename(folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)


def main() -> None:
    """Build both and print the environment."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second waits for the first, and finds all made
        include = headers()
        driver = build_driver(include)
        print(f"LD_LIBRARY_PATH={driver}")
        print(f"PYTHONPATH={build_pycuda(include, driver)}")


if __name__ == "__main__":
    main()
