"""Which objects are arrays, of libraries that are not installed, too."""

import sys
import types

import numpy as np

from opalg.arrays import is_array


def test_arrays_of_cupy_are_known_without_a_namespace_of_their_own(monkeypatch):
    class Foreign:
        """As cupy.ndarray: no `__array_namespace__`."""

    assert not is_array(Foreign())
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=Foreign))
    assert is_array(Foreign())


def test_lists_are_no_arrays():
    assert is_array(np.zeros(2))
    assert not is_array([0.0, 0.0])
