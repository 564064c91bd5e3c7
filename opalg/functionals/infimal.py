"""The infimal convolution of two functionals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from opalg.arrays import Array, namespace
from opalg.errors import AccuracyWarning, NotSupportedError
from opalg.functionals.affine import perturb
from opalg.functionals.entries import deliver, flat, length
from opalg.functionals.functional import Functional
from opalg.functionals.metric import meet
from opalg.functionals.operator_norms import space_dtype
from opalg.operators import printing

__all__ = ["InfimalConvolution"]

_ITERATIONS = 5000


class InfimalConvolution(Functional):
    """``x -> min_y f(x - y) + g(y)``: the cheapest way to share ``x`` between two penalties.

    Parameters
    ----------
    first, second : Functional
        Convex, with a prox, on one space.

    Raises
    ------
    NotSupportedError
        If one of them is not convex or has no prox.

    Notes
    -----
    The conjugate is the sum of the conjugates. If one of them is quadratic with a number in front
    of the square, the infimal convolution is a Moreau envelope and has value, gradient and prox by
    formula. Otherwise the value is found by Douglas-Rachford iteration until two steps differ by
    less than ``eps ** 0.75`` relative to the argument (or by the tolerance of a part whose own prox
    is found by iteration), and where one part has a gradient so has the whole; the prox follows from
    that of the conjugate, where it has a rule.

    Warns
    -----
    AccuracyWarning
        If a value does not reach this tolerance.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import functionals as fn
    >>> X = oa.Space(2, "float64")
    >>> f = fn.InfimalConvolution(fn.L1(X), 0.5 * fn.SquaredL2(X))
    >>> float(f(np.array([3.0, 0.5]))), f.gradient(np.array([3.0, 0.5])).tolist()
    (2.625, [1.0, 0.5])
    """

    def __init__(self, first: Functional, second: Functional) -> None:
        what = f"cannot convolve {first} and {second}: their domains"
        super().__init__(meet(first.domain, second.domain, what))
        for part in (first, second):
            if not part.convex:
                raise NotSupportedError(
                    f"an infimal convolution needs convex functionals, and {part} is not"
                )
            if not part.proximable:
                raise NotSupportedError(part._no_prox())
        self.first, self.second = first, second
        self._closed = _closed(first, second) or _closed(second, first)
        self.native = first.native and second.native and self._closed is not None
        self.separable = first.separable and second.separable

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """The lesser of those of both."""
        return min(self.first.lipschitz, self.second.lipschitz)

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """M n / (m + n) for those of both, m and n."""
        m, n = self.first.strong_convexity, self.second.strong_convexity
        return m * n / (m + n) if m + n > 0 else 0.0

    def _value(self, x: Array) -> Array:
        if self._closed is not None:
            return self._closed._value(x)
        y, rest = self._share(x)
        return self.first._value(rest) + self.second._value(y)

    def _share(self, x: Array) -> tuple[Array, Array]:
        """Elements y and ``x - y`` (to the tolerance) at the minimum."""
        xp = namespace(flat(x)[0])
        limit = float(np.finfo(space_dtype(self.domain)).eps) ** 0.75
        # Parts whose prox is itself found by iteration come no closer than its tolerance.
        limit = max(limit, *(getattr(part, "tolerance", 0.0) for part in (self.first, self.second)))
        size = length(self.domain, x)
        v = x * 0.5
        y = rest = v
        for _ in range(_ITERATIONS):
            y = self.second.prox(1.0)(v)
            rest = self.first.prox(1.0)(x - (2 * y - v))
            gap = x - rest - y
            v = v + gap
            if bool(xp.all(length(self.domain, gap) <= limit * size)):
                break
        else:
            warnings.warn(
                f"the value of {self} did not reach its tolerance {limit:.1g} in {_ITERATIONS} iterations",
                AccuracyWarning,
                stacklevel=4,
            )
        return y, rest

    @property
    def differentiable(self) -> bool:
        if self._closed is not None:
            return self._closed.differentiable
        return self.first.differentiable or self.second.differentiable

    def _gradient(self, x: Array, out: Array | None) -> Array:
        """That of a smooth part at its share (Bauschke and Combettes, 2017, proposition 18.7)."""
        if self._closed is not None:
            return deliver(self._closed.gradient(x), out)
        y, rest = self._share(x)
        if self.first.differentiable:
            return deliver(self.first.gradient(rest), out)
        return deliver(self.second.gradient(y), out)

    @property
    def proximable(self) -> bool:
        if self._closed is not None:
            return self._closed.proximable
        return self._dual() is not None

    def _dual(self) -> Functional | None:
        try:
            dual = self.first.convex_conjugate + self.second.convex_conjugate
        except NotSupportedError:
            return None
        return dual if dual.proximable else None

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        if self._closed is not None:
            return self._closed._prox(x, step, out)
        inverse = 1 / step
        inner = self._dual()._prox(x * inverse, inverse, None)  # type: ignore[union-attr]
        return deliver(x - step * inner, out)

    def _no_prox(self) -> str:
        return (
            f"no rule is known for the prox of {self}; solve for both parts instead: "
            "f @ oa.Component(X * X, 0) + g @ oa.Component(X * X, 1), with their sum as the unknown"
        )

    def _conjugate(self) -> Functional:
        return self.first.convex_conjugate + self.second.convex_conjugate

    def _children(self) -> tuple[Any, ...]:
        return self.first, self.second

    def _words(self) -> str:
        return f"{self.first}, {self.second}"

    def _label(self) -> str:
        return "InfimalConvolution"

    def _latex(self) -> printing.Text:
        parts = [self.first._latex(), self.second._latex()]
        return printing.infix(r" \mathbin{\square} ", parts, printing.PRODUCT, latex=True)


def _closed(first: Functional, second: Functional) -> Functional | None:
    """The infimal convolution with a quadratic as a Moreau envelope with a linear part."""
    quadratic = second._quadratic()
    if quadratic is None or quadratic[0] <= 0:
        return None
    a, b, c = quadratic
    tilted = first if b is None else perturb(first, 0.0, b * -1.0, 0.0)
    return perturb(tilted.moreau_envelope(1 / a), 0.0, b, c)
