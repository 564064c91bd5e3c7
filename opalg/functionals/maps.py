"""Gradients and proximal maps of functionals as operators."""

from __future__ import annotations

from typing import Any

from opalg.arrays import Array, is_torch
from opalg.functionals import steps
from opalg.operators import LinearOperator, Operator, printing
from opalg.operators.costs import Cost
from opalg.spaces import Blocks

__all__ = ["Proximal", "RieszGradient"]


class RieszGradient(Operator):
    """The gradient of a functional in the inner product of its domain; made by ``f.gradient``.

    Parameters
    ----------
    functional : Functional
    """

    def __init__(self, functional: Any) -> None:
        super().__init__(functional.domain, functional.domain)
        self.functional = functional
        self.native = functional.native

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self.functional._gradient(x, out)

    def _derivative(self, x: Array) -> LinearOperator:
        found: LinearOperator = self.functional._hessian(x)
        return found

    def _infix(self) -> printing.Text:
        return printing.postfix(self.functional._infix(), ".gradient")

    def _latex(self) -> printing.Text:
        return printing.infix(
            r" \, ",
            [printing.atom(r"\nabla"), self.functional._latex()],
            printing.PRODUCT,
            latex=True,
        )

    def __repr__(self) -> str:
        return f"{printing.parenthesise_repr(self.functional)}.gradient"


class Proximal(Operator):
    """The proximal map of a functional; made by ``f.prox(step)``.

    Parameters
    ----------
    functional : Functional
    step : float, array or Blocks
        As `opalg.functionals.steps.as_step` returns it.
    """

    def __init__(self, functional: Any, step: Any) -> None:
        super().__init__(functional.domain, functional.domain)
        self.functional, self.step = functional, step
        self.native = functional.native
        self.trainable = any(is_torch(part) and part.requires_grad for part in _flat(step))

    def _apply(self, x: Array, out: Array | None) -> Array:
        step = steps.resolve(self.functional, self.step, x)
        return self.functional._prox(x, step, out)

    def cost(self) -> Cost:
        """A few operations per entry; operand and result once."""
        plain = super().cost()
        return Cost(2 * plain.operations, plain.bytes)

    def _step_text(self) -> str:
        return printing.number(self.step) if isinstance(self.step, float) else "steps"

    def _infix(self) -> printing.Text:
        return printing.postfix(self.functional._infix(), f".prox({self._step_text()})")

    def _latex(self) -> printing.Text:
        step = self._step_text() if isinstance(self.step, float) else r"\tau"
        return printing.atom(
            rf"\operatorname{{prox}}_{{{step} \, {self.functional._latex().text}}}"
        )

    def __repr__(self) -> str:
        from_step = repr(self.step) if isinstance(self.step, float) else "steps"
        return f"{printing.parenthesise_repr(self.functional)}.prox({from_step})"


def _flat(x: Any) -> list[Any]:
    return x.flatten() if isinstance(x, Blocks) else [x]
