"""What applying an operator costs."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Cost"]


class Cost(NamedTuple):
    """What one application of an operator to one element costs."""

    operations: int
    """Additions and multiplications, roughly."""
    bytes: int
    """Bytes of operands, results and what is needed between, each counted once per operator."""

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.operations + other.operations, self.bytes + other.bytes)
