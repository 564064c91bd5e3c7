"""When two spaces may meet in an expression, and what to say when they may not."""

from __future__ import annotations

from typing import Any

from opalg.spaces.product import ProductSpace
from opalg.spaces.space import Space

__all__ = ["join", "remedy"]


def join(first: Any, second: Any) -> Any | None:
    """The space in which two spaces meet, or None.

    Equal spaces meet; a plain space meets any space of its shape and dtype, and the result is the one
    that says more.
    """
    if first is second or first == second:
        return first
    if isinstance(first, ProductSpace) and isinstance(second, ProductSpace):
        if len(first) != len(second):
            return None
        parts = [join(a, b) for a, b in zip(first, second, strict=True)]
        return None if None in parts else ProductSpace(*parts)
    if not (isinstance(first, Space) and isinstance(second, Space)):
        return None
    if first.shape != second.shape or first.dtype != second.dtype:
        return None
    if second.is_plain:
        return first
    return second if first.is_plain else None


def remedy(have: Any, need: Any) -> str:
    """One sentence: which operator leads from the space ``have`` to the space ``need``."""
    if isinstance(have, ProductSpace) and not isinstance(need, ProductSpace):
        fits = [i for i, part in enumerate(have) if join(part, need) is not None]
        if fits:
            return f"pick part {fits[0]} with oa.Component(space, {fits[0]})"
        return "reduce the parts with oa.hstack, or pick one with oa.Component"
    if isinstance(need, ProductSpace):
        return "build the parts with oa.vstack or oa.block_diagonal"
    if have.axes and need.axes and have.axes != need.axes:
        return "put an operator between them that maps one to the other, such as the transpose .H of one"
    if have.shape != need.shape:
        if have.ndim == need.ndim:
            if sorted(have.shape) == sorted(need.shape):
                return "reorder the axes with oa.Transposition, or change the size with oa.Crop or oa.Pad"
            return "change the size with oa.Crop or oa.Pad"
        return "build both operators on the same space"
    if have.is_complex and not need.is_complex:
        return "take oa.RealPart(space) in between, or build both with one dtype"
    if need.is_complex and not have.is_complex:
        return "put oa.ComplexEmbedding(space) in between, or build both with one dtype"
    if have.dtype != need.dtype:
        return f"build both with one dtype, for example space.astype({have.dtype.name!r})"
    return "build both operators on the same grid (spacing, origin, axes and weighting must agree)"
