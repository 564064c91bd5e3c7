"""Every functional is found by inspection and meets every check that fits it."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from functionals.cases import CASES, Case

from opalg import functionals
from opalg.functionals.functional import Functional


def concrete_classes() -> list[type]:
    """All classes of functionals in the package that are meant to be used."""
    found = set()
    for module in pkgutil.walk_packages(functionals.__path__, "opalg.functionals."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, Functional) and cls.__module__.startswith("opalg.functionals"):
                found.add(cls)
    bases = {base for cls in found for base in cls.__mro__[1:]}
    return sorted(found - bases, key=lambda cls: cls.__name__)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Hand `case` to the tests that ask for it, thinned out by the marks below."""
    if "case" not in metafunc.fixturenames:
        return
    needs = getattr(metafunc.function, "needs", lambda case: True)
    chosen = [case for case in CASES if needs(case)]
    metafunc.parametrize("case", chosen, ids=[case.name for case in chosen])


@pytest.fixture
def f(case: Case) -> Functional:
    return case.functional


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
