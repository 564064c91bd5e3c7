"""Simplification of expressions, exact: nothing is dropped because it is *nearly* 0 or 1.

Sums and products are flattened, equal terms and scalars collected, neighbouring diagonals multiplied,
``A.H @ A`` recognised as ``A.gram``. ``with rewriting(False):`` builds expressions as written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_array
from opalg.errors import ArgumentError
from opalg.operators.adjoints import Conjugate, Gram
from opalg.operators.blocks import block_diagonal
from opalg.operators.elementary import Diagonal, Identity, Scaling, Zero
from opalg.operators.expressions import (
    LinearPower,
    LinearProduct,
    LinearScaled,
    LinearSum,
    Power,
    Product,
    Scaled,
    Sum,
)
from opalg.operators.nonlinear import PointwiseProduct, Shifted
from opalg.operators.operator import LinearOperator, Operator, algebra
from opalg.operators.scalars import as_scalar
from opalg.operators.transposed import Transposed
from opalg.spaces import ProductSpace

__all__ = ["rewriting"]

_enabled: ContextVar[bool] = ContextVar("opalg_rewriting", default=True)


@contextmanager
def rewriting(enabled: bool) -> Iterator[None]:
    """Switch the simplification of expressions on or off while they are built.

    Parameters
    ----------
    enabled : bool

    Examples
    --------
    >>> import opalg as oa
    >>> I = oa.Identity(oa.Space(3))
    >>> with oa.rewriting(False):
    ...     print(1 * I @ I)
    1 * Identity @ Identity
    >>> print(1 * I @ I)
    Identity
    """
    token = _enabled.set(enabled)
    try:
        yield
    finally:
        _enabled.reset(token)


def _linear(parts: Any) -> bool:
    return all(isinstance(part, LinearOperator) for part in parts)


def _sum(parts: list[Any]) -> Any:
    return LinearSum(*parts) if _linear(parts) else Sum(*parts)


def _product(parts: list[Any]) -> Any:
    return LinearProduct(*parts) if _linear(parts) else Product(*parts)


# Multiples


def scale(factor: Any, operator: Any) -> Any:
    """``factor * operator``."""
    number = as_scalar(factor, operator.range)
    linear = isinstance(operator, LinearOperator)
    if _enabled.get():
        if number == 1:
            return operator
        if linear and number == 0:
            return Zero(operator.domain, operator.range)
        if isinstance(operator, Zero):
            return operator
        if isinstance(operator, Scaled):
            return scale(number * operator.factor, operator.operator)
        if isinstance(operator, Identity):
            return Scaling(operator.domain, number)
        if isinstance(operator, Scaling):
            return _scaling(operator.domain, number * operator.factor)
        if type(operator) is Sum or type(operator) is LinearSum:
            return _sum([scale(number, part) for part in operator.parts])
    return LinearScaled(number, operator) if linear else Scaled(number, operator)


def _scaling(space: Any, factor: Any) -> Any:
    if factor == 0:
        return Zero(space)
    return Identity(space) if factor == 1 else Scaling(space, factor)


def _split(operator: Any) -> tuple[Any, Any]:
    """An operator as a number and the rest."""
    if isinstance(operator, Scaled):
        return operator.factor, operator.operator
    if isinstance(operator, Scaling):
        return operator.factor, Identity(operator.domain)
    return 1.0, operator


# Sums


def add(left: Operator, right: Operator) -> Any:
    """``left + right``."""
    plain = _sum([left, right])  # complains about the spaces in the user's own terms
    if not _enabled.get():
        return plain
    terms: list[tuple[Any, Any]] = []  # number and operator, in order of appearance
    for part in (left, right):
        for term in part.parts if isinstance(part, Sum) else (part,):
            _collect(terms, *_split(term))
    parts = [scale(number, part) for number, part in terms if number != 0]
    parts = [part for part in parts if not isinstance(part, Zero)]
    if not parts:
        return Zero(plain.domain, plain.range)
    result = parts[0] if len(parts) == 1 else _sum(parts)
    # A term that knew more about its space may have gone; then the sum stays as it was written.
    return result if result.domain == plain.domain and result.range == plain.range else plain


def _collect(terms: list[tuple[Any, Any]], number: Any, part: Any) -> None:
    for i, (other, known) in enumerate(terms):
        if known == part and isinstance(part, LinearOperator):
            terms[i] = (other + number, known)
            return
        if _foldable(known, part):
            terms[i] = (1.0, Diagonal(other * known.weight + number * part.weight, part.domain))
            return
    terms.append((number, part))


def _foldable(first: Any, second: Any) -> bool:
    """Two diagonals in one array library, on one space, that are not being trained."""
    return (
        isinstance(first, Diagonal)
        and isinstance(second, Diagonal)
        and first.domain == second.domain
        and type(first.weight) is type(second.weight)
        and not (first.trainable or second.trainable)
    )


# Products


def compose(left: Operator, right: Operator) -> Any:
    """``left @ right``."""
    plain = _product([left, right])
    if not _enabled.get():
        return plain
    factor: Any = 1.0
    parts: list[Any] = []
    for part in _factors(left) + _factors(right):
        # A number moves to the front past operators that commute with it.
        number, rest = _split(part) if isinstance(part, LinearOperator) else (1.0, part)
        if (
            number != 1
            and _linear(parts)
            and (np.isreal(number) or all(p.complex_linear for p in parts))
        ):
            factor, part = factor * number, rest
        parts.append(part)
    if not parts[0].range.is_complex and np.iscomplexobj(factor):
        return plain
    parts = _simplify(parts)
    result = parts[0] if len(parts) == 1 else _product(parts)
    if any(isinstance(part, Zero) for part in parts) and _linear(parts):
        result = Zero(plain.domain, plain.range)
    result = scale(factor, result)
    return result if result.domain == plain.domain and result.range == plain.range else plain


def _factors(operator: Any) -> list[Any]:
    if isinstance(operator, Product):
        return list(operator.parts)
    if isinstance(operator, LinearScaled) and isinstance(operator.operator, Product):
        return [Scaling(operator.range, operator.factor), *operator.operator.parts]
    return [operator]


def _simplify(parts: list[Any]) -> list[Any]:
    kept = [part for part in parts if not isinstance(part, Identity)]
    if not kept:
        return parts[:1]
    folded = kept[:1]
    for part in kept[1:]:
        if _foldable(folded[-1], part):
            folded[-1] = Diagonal(folded[-1].weight * part.weight, part.domain)
        else:
            folded.append(part)
    return _recognise_grams(folded)


def _recognise_grams(parts: list[Any]) -> list[Any]:
    """Replace ``..., B.H, A.H, A, B, ...`` by ``(A @ B).gram``."""
    for middle in range(1, len(parts)):
        width = 0
        while (
            middle - width > 0
            and middle + width < len(parts)
            and _is_transpose(parts[middle - 1 - width], parts[middle + width])
        ):
            width += 1
        if width:
            inner = parts[middle : middle + width]
            gram = (inner[0] if width == 1 else LinearProduct(*inner)).gram
            rest = [*parts[: middle - width], *_factors(gram), *parts[middle + width :]]
            return _simplify(rest)
    return parts


def _is_transpose(left: Any, right: Any) -> bool:
    if not (isinstance(left, LinearOperator) and isinstance(right, LinearOperator)):
        return False
    if isinstance(right, (Gram, LinearPower)) or not right.exact_adjoint:
        return False
    return left is right.H or left == right.H


# Powers, products of values, shifts


def power(operator: Any, exponent: Any) -> Any:
    """``operator ** exponent``."""
    if not isinstance(exponent, (int, np.integer)):
        raise ArgumentError(f"the power of an operator must be an integer, got {exponent!r}")
    if exponent < 0:
        return power(operator.inverse, -exponent)
    single = (
        LinearPower(operator, 1) if isinstance(operator, LinearOperator) else Power(operator, 1)
    )
    if exponent == 0:
        return Identity(single.domain)
    if _enabled.get():
        if exponent == 1 or isinstance(operator, Identity):
            return operator
        if isinstance(operator, Scaling):
            return _scaling(operator.domain, operator.factor**exponent)
    return type(single)(operator, int(exponent))


def weigh(operator: LinearOperator) -> LinearOperator:
    """The adjoint in weighted spaces: ``W_domain^-1 @ A.H @ W_range``."""
    before, after = _weight(operator.range, 1), _weight(operator.domain, -1)
    with rewriting(True):
        if isinstance(before, float) and isinstance(after, float):
            return scale(before * after, operator.H)
        left = after if isinstance(after, LinearOperator) else _scaling(operator.domain, after)
        right = before if isinstance(before, LinearOperator) else _scaling(operator.range, before)
        return left @ operator.H @ right


def _weight(space: Any, exponent: int) -> float | LinearOperator:
    """The weighting of a space, or its reciprocal, as a number where it is one."""
    if isinstance(space, ProductSpace):
        parts = [_weight(part, exponent) for part in space]
        if all(isinstance(part, float) and part == parts[0] for part in parts):
            return parts[0]
        operators = [
            part if isinstance(part, LinearOperator) else Scaling(own, part)
            for part, own in zip(parts, space, strict=True)
        ]
        found: Any = block_diagonal(operators)
        return found
    if is_array(space.weighting):
        weight = as_numpy(space.weighting)
        return Diagonal(weight if exponent == 1 else 1 / weight, space)
    return float(space.weighting) ** exponent


def _gram(operator: LinearOperator) -> LinearOperator:
    """``A.H @ A`` with a number in front taken out."""
    if isinstance(operator, LinearScaled):
        return scale(abs(operator.factor) ** 2, operator.operator.gram)
    if operator.unitary:
        return Identity(operator.domain)
    return Gram(operator)


algebra.add = add
algebra.compose = compose
algebra.conjugate = Conjugate
algebra.gram = _gram
algebra.identity = Identity
algebra.multiply = PointwiseProduct
algebra.power = power
algebra.scale = scale
algebra.shift = Shifted
algebra.transpose = Transposed
algebra.weigh = weigh
