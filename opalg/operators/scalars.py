"""Numbers in expressions: checked once, kept as Python numbers so that they never change a dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import is_array, is_torch, short_repr
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.spaces import Blocks

__all__ = ["as_scalar", "conjugate", "is_scalar", "refuse_product"]


def as_scalar(value: Any, space: Any) -> float | complex:
    """A factor of an operator with values in ``space`` as a Python number.

    Raises
    ------
    NonFiniteError
        If it is NaN or infinite.
    ArgumentError
        If it is no number, or complex and the space is real.
    NotSupportedError
        If it is a tensor that requires a gradient.
    """
    if is_torch(value) and value.requires_grad:
        raise NotSupportedError(
            "a number that requires a gradient would be detached here; use "
            "oa.Diagonal(factor.reshape(1), domain=space) @ A, which is trained through"
        )
    try:
        number = complex(value)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"the factor of an operator must be a number, got {short_repr(value)}; for an array use "
            "oa.Diagonal"
        ) from None
    if not (math.isfinite(number.real) and math.isfinite(number.imag)):
        raise NonFiniteError(f"the factor of an operator must be finite, got {value!r}")
    if number.imag == 0:
        return number.real
    if space.is_mixed:
        raise ArgumentError(
            f"the complex factor {value!r} would lead out of {space}, which has real parts; scale the "
            "complex parts by themselves, with oa.block_diagonal"
        )
    if not space.is_complex:
        raise ArgumentError(
            f"the complex factor {value!r} would lead out of the real space {space}; put "
            "oa.ComplexEmbedding(space) in front, or build the operators on space.complex"
        )
    return number


def conjugate(value: float | complex) -> float | complex:
    """The complex conjugate, real numbers staying real."""
    return value.conjugate()


def refuse_product(other: object) -> Any:
    """What ``A * other`` gives for anything but numbers and operators.

    Raises
    ------
    NotSupportedError
        For arrays, which are meant to be applied to or multiplied by.
    """
    if is_array(other) or isinstance(other, Blocks):
        raise NotSupportedError(
            "* is for numbers and operators; write A(x) to apply to an array, or oa.Diagonal(x) @ A to "
            "multiply values by it"
        )
    return NotImplemented


def is_scalar(value: object) -> bool:
    """Whether ``value`` can be the factor of an operator: a number, or an array without axes."""
    return isinstance(value, (int, float, complex, np.number)) or (
        is_array(value) and getattr(value, "ndim", 1) == 0
    )
