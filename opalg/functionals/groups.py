"""Functionals of fields: at each position the parts of an element of ``X ** n`` form one vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, dtype_of, namespace
from opalg.errors import NotSupportedError
from opalg.functionals.entries import flat, integrated, modulus, pieces, unflat
from opalg.functionals.functional import Functional, positive
from opalg.functionals.indicators import Indicator
from opalg.functionals.shrinking import shrink, shrink_after_gradient
from opalg.spaces import Blocks, ProductSpace, Space

__all__ = ["GroupBall", "GroupL1"]


class _Group(Functional):
    """A sum over positions of a function of the vector that stands there."""

    def __init__(self, space: Any) -> None:
        super().__init__(space)
        if not (isinstance(space, ProductSpace) and space.is_power and isinstance(space[0], Space)):
            raise NotSupportedError(
                f"{type(self).__name__} takes the vectors at each position of a power X ** n of a Space or "
                f"Grid, such as oa.Gradient(X).range, got {space}; L1 takes entries one by one"
            )

    @property
    def _step_space(self) -> Any:
        # All components of a vector share one step: only then does the prox act on lengths.
        return self.domain[0].real

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        raise NotSupportedError(
            f"the prox of {self} takes one step per position, an array in "
            f"{self._step_space}, not one per part"
        )

    def _each(self, function: Callable[..., Any], x: Blocks, step: Any, out: Array | None) -> Array:
        operands = []
        if step is not None:
            operands = [step.first if isinstance(step, Blocks) else step]
        outs = [None] * len(x) if out is None else flat(out)
        values = pieces(function, flat(x), operands, outs)
        return unflat(self.domain, values) if out is None else out


class GroupL1(_Group):
    """The weighted sum of the lengths of vectors: ``sum(w * sqrt(sum_k |x_k| ** 2))``.

    Composed with a gradient it is the isotropic total variation.

    Parameters
    ----------
    space : ProductSpace
        A power ``X ** n`` of a `Space`, real or complex; each position holds a vector of n entries.

    Raises
    ------
    NotSupportedError
        If the space is no power of a space.

    Notes
    -----
    The prox shortens each vector by the step (also called L2,1 norm, group lasso; Yuan and Lin
    2006). Steps may be one per position, an array in ``X``. The conjugate is the indicator
    `GroupBall`.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.GroupL1(oa.Space(2, "float64") ** 2)
    >>> x = (np.array([3.0, 0.0]), np.array([4.0, 1.0]))
    >>> float(f(x)), [part.tolist() for part in f.prox(2.5)(x)]
    (6.0, [[1.5, 0.0], [2.0, 0.0]])
    """

    symbol = r"\|\cdot\|_{2,1}"

    def _value(self, x: Array) -> Array:
        return integrated(self.domain[0].real, modulus, list(x), [])

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        number = step.first if isinstance(step, Blocks) else step
        found = shrink(self.domain, x, number, "by_length", out)
        return self._each(_shorten, x, step, out) if found is None else found

    def _dilated(self, factor: complex) -> Functional | None:
        return abs(factor) * self


class GroupBall(_Group, Indicator):
    """The indicator of vectors no longer than ``radius`` at each position: the conjugate of `GroupL1`.

    Parameters
    ----------
    space : ProductSpace
        A power ``X ** n`` of a `Space`.
    radius : float, default 1.0
        Positive.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> f = fn.GroupBall(oa.Space(1, "float64") ** 2, radius=2.5)
    >>> [part.tolist() for part in f.prox(1.0)((np.array([3.0]), np.array([4.0])))]
    [[1.5], [2.0]]
    """

    def __init__(self, space: Any, radius: float = 1.0) -> None:
        super().__init__(space)
        self.radius = positive(radius, "radius")

    def _value(self, x: Array) -> Array:
        return integrated(self.domain[0].real, self._barrier, list(x), [])

    def _barrier(self, *parts: Array) -> Array:
        """Zero inside, infinite outside, at each position."""
        size = modulus(*parts)
        xp = namespace(size)
        slack = 8 * float(np.finfo(dtype_of(size)).eps)
        inside = size <= self.radius * (1 + slack)
        return xp.where(inside, xp.zeros_like(size), xp.ones_like(size) * math.inf)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        found = shrink(self.domain, x, self.radius, "into_ball", out)
        return self._each(self._cut, x, None, out) if found is None else found

    def _ascend(self, K: Any, x: Array, p: Array, step: Any, out: Array) -> bool:
        return shrink_after_gradient(K, x, p, step, self.radius, "into_ball", out)

    def _cut(self, *parts: Array) -> list[Array]:
        size = modulus(*parts)
        factor = _quotient(self.radius, namespace(size).maximum(size, self.radius))
        return [part * factor for part in parts]

    def _dilated(self, factor: complex) -> Functional | None:
        return GroupBall(self.domain, self.radius / abs(factor))

    def _words(self) -> str:
        return f"{self.radius:g}"


def _shorten(*operands: Any) -> list[Array]:
    *parts, step = operands
    size = modulus(*parts)
    xp = namespace(size)
    # 1 - step / max(size, step) is 0 for vectors shorter than the step, and never divides by zero.
    factor = 1 - _quotient(step, xp.maximum(size, step))
    return [part * factor for part in parts]


def _quotient(number: Any, x: Array) -> Array:
    """``number / x`` rounded once, as NumPy and the engine do.

    For a Python number PyTorch would multiply by the rounded reciprocal of ``x``.
    """
    xp = namespace(x)
    if xp is not np and isinstance(number, (int, float)):
        number = xp.full((), number, dtype=x.dtype)
    return number / x
