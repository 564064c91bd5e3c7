"""When two functionals, or a functional and an operator, speak of the same space.

Operators join plain spaces with any of their shape. Functionals are stricter: gradient, prox and
conjugate depend on the inner product, so both sides must have the same weights.
"""

from __future__ import annotations

from typing import Any

from opalg.errors import SpaceMismatchError
from opalg.functionals.entries import leaves
from opalg.spaces.compatibility import join, remedy

__all__ = ["meet"]


def meet(first: Any, second: Any, what: str) -> Any:
    """The space in which two spaces with one inner product meet.

    Parameters
    ----------
    first, second : Space or ProductSpace
    what : str
        Opens the message: "cannot add f and g: their domains".

    Raises
    ------
    SpaceMismatchError
        If the spaces do not join, or their weights differ.
    """
    both = join(first, second)
    if both is None:
        raise SpaceMismatchError(f"{what} are {first} and {second}; {remedy(second, first)}")
    pairs = zip(leaves(first), leaves(second), strict=True)
    if first is not second and any(a._weighting != b._weighting for a, b in pairs):
        raise SpaceMismatchError(
            f"{what} are {first} and {second}, whose inner products have different weights; gradient and "
            "prox depend on them, so build both on the same space, for example fn.L1(A.range)"
        )
    return both
