"""Elements of product spaces as flat lists of arrays, and back; product spaces as lists of spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opalg.arrays import Array
from opalg.spaces.elements import Blocks

__all__ = ["flat", "leaves", "unflat"]


def leaves(space: Any) -> list[Any]:
    """The spaces of arrays of which a product space is made, depth first; or the space alone."""
    if hasattr(space, "spaces"):
        return [leaf for part in space.spaces for leaf in leaves(part)]
    return [space]


def flat(x: Array) -> list[Array]:
    """The arrays of an element, depth first; or the array alone."""
    return x.flatten() if isinstance(x, Blocks) else [x]


def unflat(space: Any, arrays: Sequence[Array]) -> Array:
    """Arrays as an element of a space; the inverse of `flat`."""
    remaining = iter(arrays)

    def build(node: Any) -> Array:
        return Blocks(build(s) for s in node.spaces) if hasattr(node, "spaces") else next(remaining)

    return build(space)
