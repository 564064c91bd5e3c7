"""What the checks found, as a text for the author of the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opalg.errors import OpalgError

__all__ = ["CheckFailure", "ConformanceError", "NotApplicable", "Outcome", "Report"]


class CheckFailure(AssertionError):
    """Raised inside a check: the operator does not do what it should."""


class NotApplicable(Exception):
    """Raised inside a check: nothing can be said, and the reason."""


class ConformanceError(OpalgError, AssertionError):
    """An operator fails conformance checks; the message is the report, also kept as ``report``."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Outcome:
    """The result of one check."""

    name: str
    status: Literal["passed", "failed", "skipped", "expected failure", "unexpected pass"]
    message: str = ""
    """What is wrong and how to mend it, or why nothing was checked."""
    culprit: str = ""
    """The part of an expression that fails by itself."""


@dataclass(frozen=True)
class Report:
    """The results of all checks of one operator."""

    subject: str
    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Checks that failed, and those that were declared to fail and did not."""
        return tuple(o for o in self.outcomes if o.status in {"failed", "unexpected pass"})

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def __str__(self) -> str:
        done = [o for o in self.outcomes if o.status != "skipped"]
        if self.passed:
            return f"{self.subject} passes {len(done)} checks"
        lines = [f"{self.subject} fails {len(self.failures)} of {len(done)} checks"]
        for (message, culprit), names in self._reasons().items():
            lines += ["", f"{', '.join(names)}: {message}"]
            if culprit:
                lines.append(f"    The fault is in this part, which fails by itself: {culprit}")
        return "\n".join(lines)

    def _reasons(self) -> dict[tuple[str, str], list[str]]:
        """What is wrong, each with the checks that say so: an exception meets most of them."""
        reasons: dict[tuple[str, str], list[str]] = {}
        for outcome in self.failures:
            reasons.setdefault((outcome.message, outcome.culprit), []).append(outcome.name)
        return reasons
