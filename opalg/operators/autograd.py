"""Operators inside PyTorch's autograd: the backward of a linear operator is its conjugate transpose.

PyTorch is imported on first use, which is when the caller has handed over a tensor.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from opalg.arrays import Array
from opalg.spaces import Blocks
from opalg.spaces.parts import flat

__all__ = ["apply"]


def apply(operator: Any, x: Array) -> Array:
    """The value of an operator at a tensor (or `Blocks` of them), recorded by autograd.

    The backward pass applies ``operator.H`` (for a non-linear operator the transposed derivative), itself
    recorded, so that backward of backward and forward mode work.
    """
    if not _is_recorded(flat(x)):
        return operator._apply(x, None)  # `Function.apply` alone takes some 80 us
    layout: list[Any] = []
    results = _function().apply(operator, _layout(x), layout, *flat(x))
    return _unflatten(layout[0], results)


def _is_recorded(tensors: Any) -> bool:
    """Whether PyTorch follows one of the tensors, backward or forward."""
    if any(tensor.requires_grad for tensor in tensors):
        return True
    forward = sys.modules.get("torch.autograd.forward_ad")
    # -1 outside of dual levels; where PyTorch should no longer say so, it is asked each time.
    return forward is None or getattr(forward, "_current_level", 0) >= 0


@cache
def _function() -> Any:
    import torch

    class Apply(torch.autograd.Function):
        """One operator applied to the tensors of one element."""

        @staticmethod
        def forward(operator: Any, arrangement: Any, layout: list[Any], *tensors: Any) -> Any:
            y = operator._apply(_unflatten(arrangement, tensors), None)
            layout.append(_layout(y))
            return tuple(flat(y))

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.operator, ctx.arrangement, ctx.layout = inputs[:3]
            if not _is_linear(ctx.operator):
                ctx.save_for_backward(*inputs[3:])
                ctx.save_for_forward(*inputs[3:])

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            y = _unflatten(ctx.layout[0], gradients)
            x = _derivative(ctx).H._trace(y)
            return (None, None, None, *flat(x))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            x = _unflatten(ctx.arrangement, tangents[3:])
            return tuple(flat(_derivative(ctx)._trace(x)))

    def _derivative(ctx: Any) -> Any:
        if _is_linear(ctx.operator):
            return ctx.operator
        return ctx.operator._derivative(_unflatten(ctx.arrangement, ctx.saved_tensors))

    return Apply


def _is_linear(operator: Any) -> bool:
    return hasattr(operator, "H")


def _layout(x: Array) -> Any:
    """How the tensors of an element nest: a tuple per `Blocks`, None per tensor."""
    return tuple(_layout(part) for part in x) if isinstance(x, Blocks) else None


def _unflatten(layout: Any, tensors: Any) -> Array:
    remaining = iter(tensors)

    def build(node: Any) -> Array:
        return next(remaining) if node is None else Blocks(build(part) for part in node)

    return build(layout)
