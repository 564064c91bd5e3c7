"""Sums over the parts of a product space."""

from __future__ import annotations

from functools import reduce
from operator import add as plus
from typing import Any

from opalg.arrays import Array
from opalg.errors import ArgumentError
from opalg.functionals import steps
from opalg.functionals.functional import Functional
from opalg.operators import Operator, block_diagonal, printing
from opalg.spaces import Blocks, ProductSpace

__all__ = ["SeparableSum"]


class SeparableSum(Functional):
    """``(x, y, ...) -> f(x) + g(y) + ...`` on the product of the domains.

    Parameters
    ----------
    *functionals : Functional

    Raises
    ------
    ArgumentError
        If there is none, or something is no functional.

    Notes
    -----
    The prox takes one step for all parts, or a tuple of steps, one per part.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import functionals as fn
    >>> X, Y = oa.Space(1, "float64"), oa.Space(2, "float64")
    >>> f = fn.SeparableSum(fn.L1(X), 2 * fn.L2(Y))
    >>> float(f((np.array([1.0]), np.array([3.0, 4.0]))))
    11.0
    >>> u, v = f.prox((0.5, 1.25))((np.array([1.0]), np.array([3.0, 4.0])))
    >>> u.tolist(), v.tolist()
    ([0.5], [1.5, 2.0])
    """

    def __init__(self, *functionals: Functional) -> None:
        if not functionals or not all(isinstance(part, Functional) for part in functionals):
            raise ArgumentError(f"SeparableSum takes one or more functionals, got {functionals!r}")
        super().__init__(ProductSpace(*(part.domain for part in functionals)))
        self.parts = functionals
        self.convex = all(part.convex for part in functionals)
        self.native = all(part.native for part in functionals)
        self.separable = all(part.separable for part in functionals)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        """The greatest of the parts."""
        return max(part.lipschitz for part in self.parts)

    @property
    def strong_convexity(self) -> float:  # type: ignore[override]
        """The least of the parts."""
        return min(part.strong_convexity for part in self.parts)

    def _value(self, x: Array) -> Array:
        return reduce(plus, (part._value(u) for part, u in zip(self.parts, x, strict=True)))

    @property
    def differentiable(self) -> bool:
        return all(part.differentiable for part in self.parts)

    def _gradient_operator(self) -> Operator:
        return block_diagonal([part.gradient for part in self.parts])

    @property
    def proximable(self) -> bool:
        return all(part.proximable for part in self.parts)

    def _prox(self, x: Array, step: Any, out: Array | None) -> Array:
        single = step if isinstance(step, Blocks) else [step] * len(self.parts)
        return Blocks(
            part._prox(x[i], single[i], None if out is None else out[i])
            for i, part in enumerate(self.parts)
        )

    def _resolve_steps(self, step: Blocks, x: Blocks) -> Blocks:
        return Blocks(
            steps.resolve(part, s, u) for part, s, u in zip(self.parts, step, x, strict=True)
        )

    def _no_prox(self) -> str:
        return next(part._no_prox() for part in self.parts if not part.proximable)

    def _conjugate(self) -> Functional:
        return SeparableSum(*(part.convex_conjugate for part in self.parts))

    def _scaled_by(self, factor: float) -> Functional | None:
        return SeparableSum(*(factor * part for part in self.parts))

    def _children(self) -> tuple[Any, ...]:
        return self.parts

    def _words(self) -> str:
        return ", ".join(map(str, self.parts))

    def _latex(self) -> printing.Text:
        return printing.infix(
            r" \oplus ", [part._latex() for part in self.parts], printing.SUM, latex=True
        )

    def _label(self) -> str:
        return "SeparableSum"
