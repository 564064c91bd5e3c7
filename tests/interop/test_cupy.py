"""CuPy arrays, through a stand-in for CuPy: there is no GPU where most tests run."""

import sys
import types

import numpy as np
import pytest

import opalg as oa
from opalg.interop import from_cupy, to_cupy


class DeviceArray:
    """Like ``cupy.ndarray``, an array that NumPy cannot read without ``get``."""

    def __init__(self, values):
        self._values = values

    def get(self):
        return self._values

    def __array_namespace__(self):
        return np

    __array__ = None


@pytest.fixture
def cupy(monkeypatch):
    module = types.ModuleType("cupy")
    module.ndarray = DeviceArray
    module.asarray = lambda values: DeviceArray(np.array(values))
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.usefixtures("cupy")
def test_arrays_and_blocks_go_there_and_back():
    x = oa.Blocks([np.ones(2), oa.Blocks([np.zeros((2, 2))])])
    there = to_cupy(x)
    assert isinstance(there[1][0], DeviceArray)
    assert to_cupy(there[0]) is there[0]
    back = from_cupy(there)
    assert isinstance(back, oa.Blocks)
    np.testing.assert_array_equal(back[0], x[0])
    np.testing.assert_array_equal(back[1][0], x[1][0])


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(oa.errors.MissingExtraError, match="cupy-cuda12x"):
        to_cupy(np.ones(2))
