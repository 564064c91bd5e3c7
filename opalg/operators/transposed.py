"""The conjugate transpose of a leaf."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array
from opalg.operators import norms, printing
from opalg.operators.costs import Cost
from opalg.operators.operator import LinearOperator, Operator

__all__ = ["Transposed"]


class Transposed(LinearOperator):
    """The conjugate transpose of a leaf; made by ``A.H``."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.range, operator.domain)
        self.operator = operator
        self.nonnegative = operator.nonnegative
        self.unitary = operator.unitary
        self.exact_adjoint = operator.exact_adjoint
        self.complex_linear = operator.complex_linear
        self.trainable = operator.trainable
        self.native = operator.native
        self.__dict__["H"] = operator

    @property
    def real(self) -> bool:
        """Whether the matrix is real, so that ``A.T`` is ``A.H``."""
        return self.operator.real

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self.operator._apply_transpose(x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.operator._apply(y, out)

    def _accumulate(self, x: Array, out: Array, scale: Any = 1) -> Array:
        return self.operator._accumulate_transpose(x, out, scale)

    def _accumulate_transpose(self, y: Array, out: Array, scale: Any = 1) -> Array:
        return self.operator._accumulate(y, out, scale)

    @property
    def inverse(self) -> Operator:
        """The transpose of the inverse."""
        return self.operator.inverse.H  # type: ignore[attr-defined]

    def _norm_bounds(self) -> norms.Bounds:
        return self.operator.norm_bounds()

    def cost(self) -> Cost:
        """What the transpose of the operator costs: as much as itself, where it does not say otherwise."""
        own = getattr(self.operator, "_transpose_cost", self.operator.cost)
        found: Cost = own()
        return found

    def __repr__(self) -> str:
        return f"{printing.parenthesise_repr(self.operator)}.H"

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _infix(self) -> printing.Text:
        return printing.postfix(self.operator._infix(), ".H")

    def _latex(self) -> printing.Text:
        return printing.postfix(self.operator._latex(), "^{*}")

    def _label(self) -> str:
        return "_.H"
