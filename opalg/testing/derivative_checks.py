"""Checks of derivatives."""

from __future__ import annotations

import numpy as np

from opalg.errors import NotSupportedError
from opalg.operators import LinearOperator
from opalg.testing.case import Case, check, difference, dot, fail, length, mapped
from opalg.testing.linear_checks import _pairing
from opalg.testing.report import NotApplicable

__all__: list[str] = []


@check(lambda operator: not operator.trainable)
def check_derivative(case: Case) -> None:
    """The derivative agrees with difference quotients (Taylor test) and has an exact transpose."""
    operator, x, h = case.operator, case.x(), case.x(1)
    try:
        derivative = operator.derivative(x)
    except NotSupportedError as error:
        raise NotApplicable(str(error)) from None
    if not isinstance(derivative, LinearOperator):
        fail(f"derivative(x) must be a LinearOperator, got {type(derivative).__name__}")
    if derivative.domain != operator.domain or derivative.range != operator.range:
        fail(f"derivative(x) must map {operator.domain} to {operator.range}")
    if isinstance(operator, LinearOperator):
        case.expect_close(
            derivative(h), operator(h), "the derivative of a linear operator is itself"
        )
        return
    _taylor(case, x, h, derivative)
    y = case.y()
    forward, back = derivative(h), derivative.H(y)
    left, right = _pairing(derivative, dot(forward, y)), _pairing(derivative, dot(h, back))
    size = max(length(forward) * length(y), length(h) * length(back))
    if not abs(left - right) <= case.tolerance * size:
        fail(f"the derivative's H is not its transpose: {left:.6g} and {right:.6g}")


def _taylor(case: Case, x: object, h: object, derivative: LinearOperator) -> None:
    """The remainder ``A(x + t h) - A(x) - t A'(x) h`` falls with the square of t."""
    operator = case.operator
    value, slope = operator(x), derivative(h)
    steps = [2.0**-k for k in (range(4, 12) if case.is_double else range(2, 7))]
    remainders = []
    for t in steps:
        moved = operator(operator.domain.lincomb(1.0, x, t, h))
        prediction = operator.range.lincomb(1.0, value, t, slope)
        remainders.append(difference(moved, prediction))
    # Rounding ends the fall; what counts is that it is quadratic as long as it lasts.
    eps = np.finfo(np.float64 if case.is_double else np.float32).eps
    noise = 100 * eps * (length(value) + length(slope))
    if remainders[-1] <= noise:
        return
    order = np.log2(remainders[0] / remainders[-1]) / np.log2(steps[0] / steps[-1])
    if order < 1.5:
        fail(
            f"A(x + t h) - A(x) - t A'(x) h falls as t ** {order:.2f}, expected t ** 2; _derivative(x) does "
            "not return the derivative at x"
        )


@check(lambda operator: not operator.trainable and not isinstance(operator, LinearOperator))
def check_derivative_batch(case: Case) -> None:
    """The derivative at a batch of points acts on a batch."""
    operator = case.operator
    x, h = case.x(0, (3,)), case.x(1, (3,))
    try:
        found = operator.derivative(x)(h)
    except NotSupportedError as error:
        raise NotApplicable(str(error)) from None
    for i in range(3):
        point, direction = (mapped(lambda a, i=i: a[i], u) for u in (x, h))
        case.expect_close(
            mapped(lambda a, i=i: a[i], found),
            operator.derivative(point)(direction),
            "the derivative at a batch of points is not that at each point",
        )
