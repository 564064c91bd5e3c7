"""Runs the checks and finds the part of an expression that is to blame."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping

# Each of these lists its checks in `case.CHECKS` when it is imported.
from opalg.errors import ArgumentError
from opalg.operators import Operator
from opalg.testing import (  # noqa: F401
    call_checks,
    derivative_checks,
    linear_checks,
    structure_checks,
    torch_checks,
)
from opalg.testing.case import CHECKS, Case, Check
from opalg.testing.report import CheckFailure, ConformanceError, NotApplicable, Outcome, Report

__all__ = ["check_operator", "operator_checks"]


def operator_checks(operator: Operator) -> Iterator[Check]:
    """The checks that fit an operator, each with a ``name`` and a function ``run(case)``.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg.testing import operator_checks
    >>> "adjoint" in {check.name for check in operator_checks(oa.Identity(oa.Space(2)))}
    True
    """
    return (check for check in CHECKS if check.fits(operator))


def check_operator(
    operator: Operator, *, seed: int = 0, expected_failures: Mapping[str, str] | None = None
) -> Report:
    """Check that an operator keeps all promises of operators.

    Linear, exact adjoint, weights, derivative, ``out=``, batch axes, data types, memory layouts,
    gradients in PyTorch (if that is installed), pickling, printing, norm bounds, and what the class
    declares. Small spaces, of some ten to a hundred entries, are checked most thoroughly.

    Parameters
    ----------
    operator : Operator
        An instance. Check several: odd and even shapes, real and complex, with batch axes in mind.
    seed : int, default 0
        Seed of the samples, which are standard normal.
    expected_failures : mapping of str to str, optional
        Names of checks that are known to fail, each with the reason. It is an error if one passes.

    Returns
    -------
    Report
        What was checked, and what was not and why.

    Raises
    ------
    ConformanceError
        If a check fails. The message says for each failure what is wrong, how to mend it and, in an
        expression, which part is to blame.
    ArgumentError
        If ``operator`` is no operator, or an expected failure has no such check or no reason.

    Examples
    --------
    >>> import opalg as oa
    >>> class Sloppy(oa.LinearOperator):
    ...     def __init__(self, space):
    ...         super().__init__(space, space)
    ...
    ...     def _apply(self, x, out):
    ...         return oa.Scaling(self.domain, 2.0)(x, out)
    ...
    ...     def _apply_transpose(self, y, out):
    ...         return oa.Identity(self.range)(y, out)
    >>> try:
    ...     oa.testing.check_operator(Sloppy(oa.Space(3, "float64")))
    ... except oa.testing.ConformanceError as error:
    ...     print([outcome.name for outcome in error.report.failures][:1])
    ['adjoint']
    """
    if not isinstance(operator, Operator):
        raise ArgumentError(f"check_operator takes an operator (an instance), got {operator!r}")
    excuses = dict(expected_failures or {})
    fitting = list(operator_checks(operator))
    unknown = set(excuses) - {check.name for check in fitting}
    if unknown or not all(excuses.values()):
        raise ArgumentError(
            f"expected_failures must give a reason for each of the checks that fit this operator; "
            f"got {excuses}, where {sorted(unknown)} are no such checks"
        )
    outcomes = tuple(_judge(check, operator, seed, excuses.get(check.name)) for check in fitting)
    report = Report(_name(operator), outcomes)
    if not report.passed:
        raise ConformanceError(report)
    return report


def _judge(check: Check, operator: Operator, seed: int, excuse: str | None) -> Outcome:
    status, message = _run(check, operator, seed)
    if status == "skipped":
        return Outcome(check.name, "skipped", message)
    if status == "passed":
        if excuse is None:
            return Outcome(check.name, "passed")
        return Outcome(
            check.name,
            "unexpected pass",
            f"was expected to fail ({excuse}) and passes: drop the excuse",
        )
    if excuse is not None:
        return Outcome(check.name, "expected failure", excuse)
    return Outcome(check.name, "failed", message, _culprit(check, operator, seed))


def _run(check: Check, operator: Operator, seed: int) -> tuple[str, str]:
    try:
        check.run(Case(operator, seed))
    except NotApplicable as reason:
        return "skipped", str(reason)
    except CheckFailure as failure:
        return "failed", str(failure)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name}"
        return "failed", f"raised {type(error).__name__}: {error} ({place})"
    return "passed", ""


def _culprit(check: Check, operator: Operator, seed: int) -> str:
    """The deepest part of an expression that fails the same check by itself."""
    for child in operator._children():
        if check.fits(child) and _run(check, child, seed)[0] == "failed":
            return _culprit(check, child, seed) or _name(child)
    return ""


def _name(operator: Operator) -> str:
    text = str(operator)
    kind = type(operator).__name__
    spaces = f"{operator.domain} -> {operator.range}"
    return f"{text}, {spaces}" if text == kind else f"{text} ({kind}), {spaces}"
