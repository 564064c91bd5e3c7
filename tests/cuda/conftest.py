"""The stand-in for a CUDA device: a driver, a compiler and a PyTorch that run kernels on the host."""

import gc
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STAND_IN = "OPALG_STAND_IN"


def load(path):
    """A module of this folder; tests are not a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if os.environ.get(STAND_IN):
    load(HERE / "stand_in" / "torch_cuda.py").install()


class StandIn:
    """Runs Python in processes for which the stand-in is the CUDA driver."""

    def __init__(self):
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "build_pycuda.py")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        built = dict(line.split("=", 1) for line in done.stdout.splitlines())
        compilers = os.pathsep.join([str(HERE / "stand_in"), os.environ["PATH"]])
        cache = str(ROOT / "build" / "cuda-stand-in" / "kernels")
        self.environment = {
            **os.environ,
            **built,
            "PATH": compilers,
            "OPALG_CACHE_DIR": cache,
            STAND_IN: "1",
        }

    def python(self, *arguments, **environment):
        """Give what a process prints, errors and warnings with it, after checking that it succeeds."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**self.environment, **environment},
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def script(self, path, *arguments, **environment):
        """Run a script, for which PyTorch has a CUDA device."""
        start = (
            "import runpy, sys; "
            f"runpy.run_path({str(HERE / 'stand_in' / 'torch_cuda.py')!r})['install'](); "
            f"sys.argv = {[str(path), *arguments]!r}; "
            f"sys.path.insert(0, {str(Path(path).parent)!r}); "
            f"runpy.run_path({str(path)!r}, run_name='__main__')"
        )
        return self.python("-W", "error", "-c", start, **environment)

    def pytest(self, name, **environment):
        """Run a file of tests, none of which may be skipped without a reason known here."""
        options = ("-q", "-x", "-p", "no:cacheprovider", "--no-header")
        return self.python("-m", "pytest", *options, str(HERE / name), **environment)


@pytest.fixture(scope="session")
def stand_in():
    """The stand-in, built at its first use: two to three minutes, kept in the user's cache."""
    return StandIn()


# ------------------------------------------------------------------------ for what runs on it: check_*.py
@pytest.fixture
def log(tmp_path, monkeypatch):
    """Give what was asked of the driver since the last question."""
    path = tmp_path / "log"
    monkeypatch.setenv("OPALG_STAND_IN_LOG", str(path))

    def lines():
        found = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return found

    return lines


@pytest.fixture
def held():
    """Give the bytes in use on device 0, but for what the next plan would free."""
    from opalg.engines import cuda

    def count():
        gc.collect()
        device = cuda._device(0)
        with device:
            device._free_gone()
            free, total = device.driver.mem_get_info()
        return total - free

    return count


class OnDevice:
    """Memory of the driver's on a device, as an array of no known library."""

    def __init__(self, array, ordinal=0, **interface):
        from opalg.engines import cuda

        self.driver, self.context = cuda._pycuda(), cuda._device(ordinal)
        with self.context:
            self.memory = self.driver.mem_alloc(max(array.nbytes, 1))
            if array.nbytes:
                self.driver.memcpy_htod(self.memory, array)
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.__cuda_array_interface__ = {
            "data": (int(self.memory), False),
            "shape": array.shape,
            "typestr": array.dtype.str,
            "version": 3,
            **interface,
        }

    def get(self):
        result = np.empty(self.shape, self.dtype)
        with self.context:
            self.driver.memcpy_dtoh(result, self.memory)
        return result


@pytest.fixture
def on_device():
    """Make such arrays, whose memory is freed at the end of the test."""
    made = []

    def make(*arguments, **interface):
        made.append(OnDevice(*arguments, **interface))
        return made[-1]

    yield make
    for array in made:
        with array.context:
            array.memory.free()
