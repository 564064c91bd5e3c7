"""What ``A.gram`` and ``A.T`` are made of: ``A.H @ A``, and the operator with conjugated entries."""

from __future__ import annotations

from opalg.arrays import Array, namespace
from opalg.operators import norms, printing, workspace
from opalg.operators.costs import Cost
from opalg.operators.expressions import LinearExpression
from opalg.operators.operator import LinearOperator, Operator
from opalg.spaces import Blocks

__all__ = ["Conjugate", "Gram"]


class Gram(LinearExpression):
    """``A.H @ A``; made by ``A.gram`` and recognised in products.

    Parameters
    ----------
    operator : LinearOperator
    """

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.domain, operator.domain)
        self.operator = operator
        self._inherit((operator,))
        self.self_adjoint = operator.exact_adjoint
        self.trainable = operator.trainable

    def _transposed(self) -> LinearOperator:
        return self

    def _apply(self, x: Array, out: Array | None) -> Array:
        A = self.operator
        with workspace.lent(A.range, x, A.domain.batch_shape(x)) as memory:
            return A.H._apply(A._apply(x, memory), out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._apply(y, out)

    def _trace(self, x: Array) -> Array:
        return self.operator.H._trace(self.operator._trace(x))

    def _norm_bounds(self) -> norms.Bounds:
        lower, upper = self.operator.norm_bounds()
        return norms.Bounds(lower**2, upper**2)

    def cost(self) -> Cost:
        """What the parts cost together."""
        return self.operator.cost() + self.operator.cost()

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _infix(self) -> printing.Text:
        part = self.operator._infix()
        return printing.infix(" @ ", [printing.postfix(part, ".H"), part], printing.PRODUCT)

    def _latex(self) -> printing.Text:
        part = self.operator._latex()
        return printing.infix(
            r" \, ", [printing.postfix(part, "^{*}"), part], printing.PRODUCT, latex=True
        )

    def _label(self) -> str:
        return "gram: _.H @ _"

    def __repr__(self) -> str:
        return f"{printing.parenthesise_repr(self.operator)}.gram"


class Conjugate(LinearExpression):
    """``x -> conj(A(conj(x)))``: the operator whose matrix has conjugated entries; made by ``A.T``.

    Parameters
    ----------
    operator : LinearOperator
    """

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.domain, operator.range)
        self.operator = operator
        self._inherit((operator,))
        self.self_adjoint = operator.self_adjoint
        self.unitary = operator.unitary
        self.trainable = operator.trainable

    def _transposed(self) -> LinearOperator:
        return Conjugate(self.operator.H)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return _conj(self.operator._apply(_conj(x), out), out)

    def _trace(self, x: Array) -> Array:
        return _conj(self.operator._trace(_conj(x)))

    def _norm_bounds(self) -> norms.Bounds:
        return self.operator.norm_bounds()

    def cost(self) -> Cost:
        """What the parts cost together."""
        return self.operator.cost()

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _infix(self) -> printing.Text:
        return printing.atom(f"conj({self.operator._infix().text})")

    def _latex(self) -> printing.Text:
        return printing.atom(rf"\overline{{{self.operator._latex().text}}}")

    def _label(self) -> str:
        return "conj(_)"


def _conj(x: Array, out: Array | None = None) -> Array:
    if isinstance(x, Blocks):
        return Blocks(_conj(part, None if out is None else out[i]) for i, part in enumerate(x))
    xp = namespace(x)
    value = xp.conj(x) if x.dtype in (xp.complex64, xp.complex128) else x
    if out is None:
        return value
    out[...] = value
    return out
