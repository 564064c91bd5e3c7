"""Functionals that are sums over entries, ``sum(w_i * phi(x_i))``.

In the weighted inner product the weights cancel: the gradient is ``phi'(x_i)``, the prox that of
``phi``, and the conjugate the sum ``sum(w_i * phi*(p_i))``. So authors write functions of one
number, and never meet a weight.
"""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array, is_torch
from opalg.errors import NotSupportedError
from opalg.functionals.entries import Field, flat, integrated, leaves, pieces, unflat
from opalg.functionals.functional import Functional
from opalg.operators.blocks import diagonal_of
from opalg.spaces import Blocks

__all__ = ["Pointwise"]


class Pointwise(Functional):
    """A sum over entries, ``sum(w_i * phi(x_i, parameters_i))``.

    A subclass writes ``_density(x, *parameters)``, and as far as they exist the derivative
    ``_slope``, the proximal map ``_shrink(x, step, *parameters)`` and the second derivative
    ``_curvature``: functions of arrays that act on each entry for itself, return new arrays and may
    broadcast. ``step`` is a number or an array.

    Parameters
    ----------
    domain : Space or ProductSpace
    *parameters : Field
        Numbers, or elements of the domain.
    """

    separable = True

    def __init__(self, domain: Any, *parameters: Field) -> None:
        super().__init__(domain)
        self._parameters = parameters
        self._leaves = leaves(domain)

    def _fields(self, index: int, like: Array) -> list[Any]:
        return [parameter.leaf(index, like) for parameter in self._parameters]

    def _density(self, x: Array, *parameters: Any) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not define _density")

    def _slope(self, x: Array, *parameters: Any) -> Array:
        raise NotSupportedError(f"{self} is not differentiable")

    def _shrink(self, x: Array, step: Any, *parameters: Any) -> Array:
        raise NotSupportedError(self._no_prox())

    def _curvature(self, x: Array, *parameters: Any) -> Array:
        raise NotSupportedError(f"the second derivative of {self} is not known")

    @property
    def differentiable(self) -> bool:
        return type(self)._slope is not Pointwise._slope

    @property
    def proximable(self) -> bool:
        return type(self)._shrink is not Pointwise._shrink

    def _value(self, x: Array) -> Array:
        values = [
            integrated(leaf, self._density, [part], self._fields(i, part))
            for i, (leaf, part) in enumerate(zip(self._leaves, flat(x), strict=True))
        ]
        return sum(values[1:], values[0])

    def _gradient(self, x: Array, out: Array | None) -> Array:
        return self._each(lambda part, *rest: [self._slope(part, *rest)], x, None, out)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        return self._each(lambda part, *rest: [self._shrink(part, *rest)], x, step, out)

    def _each(self, function: Any, x: Array, step: Any, out: Array | None) -> Array:
        """A function of entries on each array of ``x``."""
        results = []
        steps = flat(step) if isinstance(step, Blocks) else [step] * len(self._leaves)
        outs = [None] * len(self._leaves) if out is None else flat(out)
        for i, part in enumerate(flat(x)):
            operands = self._fields(i, part)
            if step is not None:
                operands = [steps[i], *operands]
            results += pieces(function, [part], operands, [outs[i]])
        return unflat(self.domain, results) if out is None else out

    def _hessian(self, x: Array) -> Any:
        if self.domain.is_complex:
            raise NotSupportedError(f"the second derivative of {self} is known on real spaces only")
        values = [self._curvature(part, *self._fields(i, part)) for i, part in enumerate(flat(x))]
        if any(is_torch(value) and value.requires_grad for value in values):
            values = [value.detach() for value in values]
        return diagonal_of(unflat(self.domain, values), self.domain)

    def _key(self) -> tuple[Any, ...]:
        return (self.domain, *self._parameters)
