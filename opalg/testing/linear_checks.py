"""Checks of linear operators: linearity, adjoints, Gram operator, inverse, norms, what is declared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.errors import NotSupportedError
from opalg.operators import LinearOperator, Operator
from opalg.spaces import Blocks
from opalg.spaces.parts import leaves
from opalg.testing.case import Case, check, difference, dot, fail, length, mapped
from opalg.testing.report import NotApplicable

__all__: list[str] = []


def _linear(operator: Operator) -> bool:
    return isinstance(operator, LinearOperator) and not operator.trainable


@check(_linear)
def check_linearity(case: Case) -> None:
    """``A(a x + b y) = a A(x) + b A(y)``, with complex numbers where that is declared."""
    for name, operator, method in case.directions:
        domain, target = operator.domain, operator.range
        every_complex = all(s.is_complex for s in leaves(domain) + leaves(target))
        if domain.is_complex and not target.is_complex and operator.complex_linear:
            fail(
                "A maps complex to real numbers, so it is not complex linear; set complex_linear = False"
            )
        a, b = (0.7 - 0.4j, -1.3j) if every_complex and operator.complex_linear else (0.7, -1.3)
        x, y = (domain.random(case.rng(i)) for i in (0, 1))
        left, right = operator(x), operator(y)
        found = operator(domain.lincomb(a, x, b, y))
        size = abs(a) * length(left) + abs(b) * length(right)
        distance = difference(found, target.lincomb(a, left, b, right))
        if not distance <= case.tolerance * size:
            relative = distance / size if size else math.inf
            words = "set complex_linear = False if it conjugates; " if every_complex else ""
            fail(
                f"{name}(a x + b y) is not a {name}(x) + b {name}(y) (relative difference {relative:.2g}, "
                f"allowed {case.tolerance:.0e}); {words}{method} is not linear, derive from Operator if it "
                "is not meant to be"
            )


def _pairing(operator: Any, value: complex) -> complex:
    """The inner product, or its real part for operators that are linear over the reals only."""
    spaces = leaves(operator.domain) + leaves(operator.range)
    every_complex = all(space.is_complex for space in spaces)
    return value if every_complex and operator.complex_linear else value.real


@check(lambda operator: _linear(operator) and operator.exact_adjoint)  # type: ignore[attr-defined]
def check_adjoint(case: Case) -> None:
    """``<A x, y> = <x, A.H y>``: the transpose is exact."""
    operator = case.operator
    for offset in range(3):
        x, y = case.x(offset), case.y(offset)
        forward, back = operator(x), operator.H(y)
        left, right = _pairing(operator, dot(forward, y)), _pairing(operator, dot(x, back))
        size = max(length(forward) * length(y), length(x) * length(back))
        if not abs(left - right) <= case.tolerance * size:
            fail(
                f"<A x, y> = {left:.6g} but <x, A.H y> = {right:.6g} (difference "
                f"{abs(left - right) / size:.2g} of the norms, allowed {case.tolerance:.0e}); "
                f"{_diagnosis(operator, x, y, left)}"
            )


def _diagnosis(operator: Any, x: Any, y: Any, left: complex) -> str:
    """Try the usual mistakes."""
    back = operator.H(mapped(np.conj, y))
    conjugated = _pairing(operator, dot(x, mapped(np.conj, back)))
    close = 1e-3 * max(abs(left), abs(conjugated))
    if operator.domain.is_complex and abs(conjugated - left) <= close:
        return "it holds with the conjugate: _apply_transpose must conjugate the coefficients"
    ratios = []
    for seed in (11, 12, 13):
        u = operator.domain.random(seed)
        v = operator.range.random(100 + seed)
        one, two = (
            _pairing(operator, dot(operator(u), v)),
            _pairing(operator, dot(u, operator.H(v))),
        )
        ratios.append(one / two if two else math.inf)
    spread = (
        max(abs(ratio - ratios[0]) for ratio in ratios) if np.isfinite(ratios).all() else math.inf
    )
    if 0 < abs(ratios[0]) and spread <= 1e-3 * abs(ratios[0]):
        return f"it holds up to the factor {np.real(ratios[0]):.6g}: _apply_transpose lacks it"
    return (
        "_apply_transpose is not the transpose of _apply (set exact_adjoint = False only if it is meant as "
        "an approximation)"
    )


@check(lambda operator: _linear(operator) and operator.exact_adjoint)  # type: ignore[attr-defined]
def check_transpose(case: Case) -> None:
    """``sum(A x * y) = sum(x * A.T y)``, without conjugation, and ``A.T.T is A``."""
    operator = case.operator
    x, y = case.x(), case.y()
    forward, back = operator(x), operator.T(y)
    left = _pairing(operator, dot(forward, mapped(np.conj, y)))
    right = _pairing(operator, dot(x, mapped(np.conj, back)))
    size = max(length(forward) * length(y), length(x) * length(back))
    if not abs(left - right) <= case.tolerance * size:
        fail(
            f"sum(A x * y) = {left:.6g} but sum(x * A.T y) = {right:.6g}; is `real` declared wrongly?"
        )
    if operator.T.T is not operator:
        fail("A.T.T must be A itself")


@check(lambda operator: _linear(operator) and operator.exact_adjoint)  # type: ignore[attr-defined]
def check_weighted_adjoint(case: Case) -> None:
    """``range.inner(A x, y) = domain.inner(x, A.adjoint y)``, with the weights of both spaces."""
    operator = case.operator
    x, y = case.x(), case.y()
    forward, back = operator(x), operator.adjoint(y)
    left = _pairing(operator, complex(operator.range.inner(forward, y)))
    right = _pairing(operator, complex(operator.domain.inner(x, back)))
    size = max(
        float(operator.range.norm(forward)) * float(operator.range.norm(y)),
        float(operator.domain.norm(x)) * float(operator.domain.norm(back)),
    )
    if not abs(left - right) <= case.tolerance * size:
        fail(
            f"range.inner(A x, y) = {left:.6g} but domain.inner(x, A.adjoint y) = {right:.6g}; "
            "leave the adjoint property to the base class, it knows the weights"
        )


@check(lambda operator: isinstance(operator, LinearOperator))
def check_adjoint_identities(case: Case) -> None:
    """``A.H.H is A`` and ``A.adjoint.adjoint is A``, and domain and range change places."""
    operator = case.operator
    for name, other in (("H", operator.H), ("adjoint", operator.adjoint)):
        if getattr(other, name) is not operator:
            fail(f"A.{name}.{name} must be A itself; leave the property {name} to the base class")
        if other.domain != operator.range or other.range != operator.domain:
            fail(
                f"A.{name} maps {other.domain} to {other.range}, it must map {operator.range} to "
                f"{operator.domain}"
            )


@check(_linear)
def check_gram(case: Case) -> None:
    """``A.gram`` is ``A.H @ A``."""
    operator, x = case.operator, case.x()
    found, expected = operator.gram(x), operator.H(operator(x))
    size = max(length(expected), _upper(operator) ** 2 * length(x))
    if not difference(found, expected) <= 10 * case.tolerance * size:
        fail("A.gram(x) is not A.H(A(x)); _gram must return an operator that computes the same")
    if operator.gram.domain != operator.domain or operator.gram.range != operator.domain:
        fail(f"A.gram must map {operator.domain} to itself")


def _upper(operator: Any) -> float:
    upper = operator.norm_bounds().upper
    return upper if math.isfinite(upper) else 0.0


@check(_linear)
def check_inverse(case: Case) -> None:
    """Where there is an inverse, ``A(A.inverse(y))`` is ``y``."""
    operator = case.operator
    try:
        inverse = operator.inverse
    except NotSupportedError as error:
        raise NotApplicable(str(error)) from None
    y = case.y()
    x = inverse(y)
    size = length(y) + _upper(operator) * length(x)
    if not difference(operator(x), y) <= 10 * case.tolerance * size:
        fail("A(A.inverse(y)) is not y")


@check(_linear)
def check_declarations(case: Case) -> None:
    """``self_adjoint``, ``nonnegative`` and ``unitary`` are true where they are declared."""
    operator = case.operator
    x, y = case.x(), case.y()
    if operator.self_adjoint:
        if operator.domain != operator.range:
            fail("self_adjoint is declared, but domain and range differ")
        left, right = dot(operator(x), y), dot(x, operator(y))
        size = length(operator(x)) * length(y) + length(x) * length(operator(y))
        if not abs(_pairing(operator, left - right)) <= case.tolerance * size:
            fail(f"self_adjoint is declared, but <A x, y> = {left:.6g} and <x, A y> = {right:.6g}")
    if operator.unitary:
        case.expect_close(operator.H(operator(x)), x, "unitary is declared, but A.H(A(x)) is not x")
        case.expect_close(operator(operator.H(y)), y, "unitary is declared, but A(A.H(y)) is not y")
    if operator.nonnegative:
        for name, one, _ in case.directions:
            positive = mapped(lambda a: abs(a).astype(a.dtype), one.domain.random(case.rng(3)))
            values = np.concatenate([p.reshape(-1) for p in _arrays(one(positive))])
            if values.dtype.kind == "c" and np.any(values.imag != 0):
                fail(f"nonnegative is declared, but {name} gives complex values for real ones")
            if np.any(values.real < 0):
                fail(
                    f"nonnegative is declared, but {name} gives {values.real.min():.6g} for values >= 0"
                )
        if case.is_small and not operator.domain.is_complex and case.dense().min() < 0:
            fail(f"nonnegative is declared, but the matrix has an entry {case.dense().min():.6g}")


def _arrays(x: Any) -> list[Any]:
    return x.flatten() if isinstance(x, Blocks) else [x]


@check(_linear)
def check_norm_bounds(case: Case) -> None:
    """The norm lies between ``norm_bounds``; small operators are compared with their matrix."""
    operator = case.operator
    lower, upper = operator.norm_bounds()
    room = 1 + case.tolerance
    if not 0 <= lower <= upper:
        fail(f"norm_bounds must satisfy 0 <= lower <= upper, got ({lower:.6g}, {upper:.6g})")
    for offset in range(3):
        x = case.x(offset)
        ratio = length(operator(x)) / length(x)
        if ratio > upper * room:
            fail(f"|A x| / |x| = {ratio:.6g} exceeds the upper bound {upper:.6g} of norm_bounds")
    estimate = operator.norm()
    if not lower / room <= estimate <= upper * room:
        fail(f"norm() = {estimate:.6g} lies outside norm_bounds, ({lower:.6g}, {upper:.6g})")
    if case.is_small and operator.exact_adjoint:
        norm = float(np.linalg.norm(case.dense(), 2))
        small = case.tolerance * max(1.0, norm)
        if not lower <= norm * room + small or not norm <= upper * room + small:
            fail(
                f"the norm of the matrix is {norm:.9g}, norm_bounds says ({lower:.9g}, {upper:.9g})"
            )
