"""Checks of an operator as an object: immutable, comparable, picklable, printable."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from opalg.operators import Operator, rewriting
from opalg.testing.case import Case, check, fail
from opalg.testing.report import NotApplicable
from opalg.values import Value

__all__: list[str] = []


def _every(operator: Operator) -> bool:
    return True


@check(lambda operator: not operator.trainable)
def check_pickling(case: Case) -> None:
    """A pickled operator comes back equal and computes the same."""
    operator, x = case.operator, case.x()
    expected = operator(x)
    try:
        back = pickle.loads(pickle.dumps(operator))
    except Exception as error:
        fail(
            f"pickling fails: {error!r}; are the constructor's arguments picklable, the class importable?"
        )
    if back != operator or hash(back) != hash(operator):
        fail(
            "the operator that comes back from pickle is not equal; all state must come from arguments"
        )
    case.expect_close(
        back(x), expected, "the operator that comes back from pickle computes differently"
    )


@check(_every)
def check_immutable(case: Case) -> None:
    """Attributes cannot be assigned, and the operator can be hashed."""
    try:
        case.operator.domain = case.operator.domain
    except AttributeError:
        pass
    else:
        fail("attributes can be assigned; do not override __setattr__")
    hash(case.operator)
    if case.operator != case.operator or case.operator == object():
        fail("equality is broken; leave __eq__ to the base class")


@check(_every)
def check_text(case: Case) -> None:
    """``str`` and LaTeX are one line, without arrays; the tree has one line per part."""
    operator = case.operator
    text = str(operator)
    if not text or "\n" in text:
        fail(f"str(A) must be one line, got {text!r}")
    if "array(" in text:
        fail("str(A) must not print arrays; describe them")
    latex = operator._repr_latex_()
    if not (latex.startswith("$") and latex.endswith("$") and latex.count("{") == latex.count("}")):
        fail(f"_repr_latex_ must be a formula between $ with balanced braces, got {latex!r}")
    lines = operator.tree().splitlines()
    parts = list(_descendants(operator))
    if len(lines) != len(parts):
        fail(f"tree() has {len(lines)} lines for {len(parts)} parts")
    operations, size = operator.cost()
    if operations < 0 or size < 0:
        fail(f"cost() must not be negative, got {operator.cost()}")


def _descendants(operator: Any) -> Iterator[Any]:
    yield operator
    for child in operator._children():
        yield from _descendants(child)


@check(lambda operator: not operator.trainable)
def check_repr(case: Case) -> None:
    """``repr`` rebuilds the operator (unless it holds large arrays, which are described)."""
    operator, text = case.operator, repr(case.operator)
    if "<" in text:
        raise NotApplicable("repr describes a large array")
    names = _names()
    rebuilt: list[Any] = []
    for enabled in (True, False):
        with rewriting(enabled):
            try:
                rebuilt.append(eval(text, dict(names)))
            except Exception as error:
                fail(f"repr(A) cannot be evaluated: {error!r}, from {text}")
    if operator in rebuilt:
        return
    x = case.x()
    for candidate in rebuilt:
        if candidate.domain == operator.domain and candidate.range == operator.range:
            case.expect_close(
                candidate(x), operator(x), f"repr(A) rebuilds another operator: {text}"
            )
            return
    fail(f"repr(A) rebuilds an operator between other spaces: {text}")


def _names() -> dict[str, Any]:
    """What a repr may mention: spaces, operators, constructors and NumPy's array."""
    known: dict[str, Any] = {"array": np.array, "nan": np.nan, "inf": np.inf}
    classes: list[type] = [Value]
    while classes:
        found = classes.pop()
        known[found.__name__] = found
        classes += found.__subclasses__()
    for module in map(import_module, ("opalg.operators", "opalg.spaces")):
        known |= {name: getattr(module, name) for name in module.__all__}
    return known
