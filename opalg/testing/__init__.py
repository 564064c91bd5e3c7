"""Conformance checks for operators of your own.

``check_operator(A)`` runs all that apply and raises one report that says what is wrong, where, and how to
mend it.

Examples
--------
>>> import opalg as oa
>>> from opalg.testing import check_operator
>>> report = check_operator(oa.Gradient(oa.Grid((4, 5), dtype="float64")))
>>> report.passed
True
"""

from opalg.testing.conformance import check_operator, operator_checks
from opalg.testing.report import ConformanceError, Outcome, Report

__all__ = ["ConformanceError", "Outcome", "Report", "check_operator", "operator_checks"]
