"""Every public operator passes the conformance suite, and none is forgotten."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import operator_registry as registry
import pytest
from public_modules import module_names

import opalg
import opalg as oa
from opalg.testing import check_operator

BASES = {"Operator", "LinearOperator", "Solver"}


def cases() -> list[Any]:
    found = []
    for name in registry.REGISTRY:
        try:
            for label, operator in registry.REGISTRY[name]():
                found.append(pytest.param(name, operator, id=f"{name}[{label}]"))
        except Exception as error:
            pytest.fail(f"the instances of {name} cannot be built: {error!r}")
    return found


@pytest.mark.parametrize(("name", "operator"), cases())
def test_conformance(name: str, operator: oa.Operator) -> None:
    excuses = registry.EXPECTED_FAILURES.get(name, {})
    check_operator(operator, expected_failures=excuses)


def public_operators() -> set[str]:
    """The operator classes that a package or an interop module offers, and what builds operators."""
    found = set()
    for module_name in module_names():
        module = importlib.import_module(module_name)
        if not hasattr(module, "__path__") and not module_name.startswith("opalg.interop."):
            continue
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name, None)
            is_class = inspect.isclass(value) and issubclass(value, oa.Operator)
            is_builder = (
                module is opalg
                and inspect.isfunction(value)
                and "Operator" in str(inspect.signature(value).return_annotation)
            )
            if is_class or is_builder:
                found.add(name)
    return found - BASES


def test_every_public_operator_is_registered() -> None:
    missing = public_operators() - set(registry.REGISTRY)
    assert not missing, (
        f"{sorted(missing)} have no instances in tests/operator_registry.py, so nothing checks them; "
        "add a function decorated with @instances"
    )


def test_registered_names_exist() -> None:
    # `supersampled` is a function that composes operators.
    assert callable(opalg.tomo.supersampled)
    unknown = set(registry.REGISTRY) - public_operators() - {"expressions", "supersampled"}
    assert not unknown, f"{sorted(unknown)} are registered and do not exist"


def test_instances_are_of_their_class() -> None:
    for name, build in registry.REGISTRY.items():
        wanted = getattr(opalg, name, None)
        if inspect.isclass(wanted):
            for label, operator in build():
                assert isinstance(operator, wanted), (name, label)
