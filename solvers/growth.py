"""Whether a norm blows up while it is still a finite number."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Growth", "size_of"]

_FACTOR = (
    1e4  # twice in a row: as many times as float64 numbers have halves of digits, 1 / sqrt(eps)
)

_LINEAR = ("residual", "running_residual", "normal_residual")


class Growth:
    """Looks on while a method runs, and tells exponential growth from all that converging methods do.

    These may begin with tiny steps, of which x is a sum: it grows like the number of steps, with momentum
    like its square. Starts from rounding noise jump once, and what has vanished to rounding may come back. A
    diverging iteration multiplies: the largest norm so far grows ten thousandfold in one span of steps, and
    again in the next of the same length. Spans are powers of two.

    Examples
    --------
    >>> growth = Growth()
    >>> [growth.seen(10.0**k) for k in range(20)].index(True)
    16
    >>> growth = Growth()
    >>> any(growth.seen(1e-9 * k**2) for k in range(10_000))
    False
    """

    def __init__(self) -> None:
        self._count = -1
        self._first: Any = None
        self._highest: Any = 0.0
        self._marks: dict[int, tuple[Any, Any]] = {}

    def seen(self, size: Any) -> bool:
        """Take the next norm, a number or one per sample, and tell whether one blows up."""
        self._count += 1
        self._highest = np.maximum(self._highest, size)
        if not self._count:
            self._first = self._highest
        span, found = 2, False
        while span <= self._count and not self._count % span:
            old, middle = self._marks.get(span, (None, self._first))
            now = self._highest
            self._marks[span] = middle, now
            if old is not None:
                wrong = (old > 0) & (middle > _FACTOR * old) & (now > _FACTOR * middle)
                found = found or bool(np.any(wrong))
            span *= 2
        return found


def size_of(values: dict[str, Any]) -> tuple[str, Any] | None:
    """What of the recorded numbers grows like ``x`` if that diverges: the name and the size, or None.

    Not every number does: those of line searches start at saddle points, near which gradients grow.
    """
    for name in _LINEAR:
        if name in values:
            return name, values[name]
    if "objective" in values:  # at least quadratic, where it has no end; what is below 0 falls
        return "objective", np.sqrt(np.maximum(values["objective"], 0.0))
    return None
