"""Checks with PyTorch: same values, exact gradients of first and second order, nothing leaves the graph."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_torch
from opalg.errors import NotSupportedError
from opalg.operators import LinearOperator, Operator
from opalg.spaces import Blocks
from opalg.spaces.parts import flat
from opalg.testing.case import Case, check, difference, dot, fail, length, mapped
from opalg.testing.report import NotApplicable

__all__: list[str] = []

_GRADCHECK_ENTRIES = 64


def _always(operator: Operator) -> bool:
    return True


def _torch() -> Any:
    if "torch" not in sys.modules:
        try:
            import torch
        except ImportError:
            raise NotApplicable("PyTorch is not installed; install opalg[torch]") from None
        return torch
    if sys.modules["torch"] is None:
        raise NotApplicable("PyTorch is not installed; install opalg[torch]")
    return sys.modules["torch"]


def _tensor(x: Any, requires_grad: bool = False) -> Any:
    torch = _torch()
    return mapped(lambda a: torch.from_numpy(a.copy()).requires_grad_(requires_grad), x)


@check(lambda operator: not operator.trainable)
def check_torch_values(case: Case) -> None:
    """Tensors give tensors with the values that NumPy gives, with and without autograd."""
    torch = _torch()
    for name, operator, method in case.directions:
        x = operator.domain.random(case.rng(), batch=(2,))
        expected = operator(x)
        with torch.no_grad():
            plain = operator(_tensor(x))
            if not all(is_torch(part) for part in flat(plain)):
                fail(f"{name} of a tensor must be a tensor; see {method}")
            into = operator.range.zeros(like=_first(_tensor(x)), batch=(2,))
            operator(_tensor(x), out=into)
        recorded = mapped(lambda t: t.detach(), operator(_tensor(x, True)))
        strided = operator(mapped(lambda t: torch.stack([t, t], dim=-1)[..., 0], _tensor(x)))
        conjugated = operator(mapped(torch.conj, _tensor(mapped(np.conj, x))))
        words = {
            "": plain,
            " with out=": into,
            " inside autograd": recorded,
            " of a strided tensor": strided,
            " of a lazily conjugated tensor": conjugated,
        }
        for word, found in words.items():
            for part, want in zip(flat(found), flat(expected), strict=True):
                if as_numpy(part).dtype != want.dtype:
                    fail(
                        f"{name}{word} has dtype {part.dtype}, expected {want.dtype}; {method} casts"
                    )
            case.expect_close(found, expected, f"{name}{word} differs between PyTorch and NumPy")


def _first(x: Any) -> Any:
    return flat(x)[0]


@check(_always)
def check_torch_gradient(case: Case) -> None:
    """The gradient of ``Re <A(x), w>`` is ``A.H w`` (or that of the derivative), and stays differentiable."""
    torch = _torch()
    operator = case.operator
    x, w = _tensor(case.x(0, (2,)), True), _tensor(case.y(0, (2,)))
    y = operator(x)
    if not any(part.requires_grad for part in flat(y)):
        fail(
            "A(x) of a tensor that requires a gradient has left the graph; _apply must not detach "
            "(or native = True is declared for arithmetic that PyTorch cannot see)"
        )
    if operator.trainable:
        return
    value = sum((a * b.conj()).real.sum() for a, b in zip(flat(y), flat(w), strict=True))
    # A component of the argument that is not used, or a part of the result that is constant, has none.
    found = torch.autograd.grad(value, flat(x), allow_unused=True)
    found = [torch.zeros_like(a) if g is None else g for g, a in zip(found, flat(x), strict=True)]
    with torch.no_grad():
        try:
            detached = mapped(lambda t: t.detach(), x)
            expected = operator.derivative(detached).H(w)
        except NotSupportedError as error:
            raise NotApplicable(str(error)) from None
    size = max(length(expected), length(_blocks(found)))
    if not difference(_blocks(found), _blocks(flat(expected))) <= 10 * case.tolerance * size:
        fail("the gradient of Re <A(x), w> is not A.H(w); see _apply_transpose (or _derivative)")


def _blocks(arrays: Any) -> Blocks:
    return Blocks(array.detach() for array in arrays)


@check(_always)
def check_torch_gradcheck(case: Case) -> None:
    """First and second derivatives agree with difference quotients (small operators in double precision)."""
    torch = _torch()
    operator = case.operator
    if not case.is_double or operator.domain.size + operator.range.size > _GRADCHECK_ENTRIES:
        raise NotApplicable("differences need a small operator in double precision")
    x = _tensor(case.x(), True)
    if not isinstance(operator, LinearOperator):
        try:
            operator.derivative(mapped(lambda t: t.detach(), x))
        except NotSupportedError as error:
            raise NotApplicable(str(error)) from None

    from torch.autograd.gradcheck import GradcheckError

    def function(*tensors: Any) -> Any:
        remaining = iter(tensors)
        y = operator(mapped(lambda _: next(remaining), x))
        return tuple(part for part in flat(y) if part.requires_grad)  # the others are constant

    for order, run in (
        ("first", torch.autograd.gradcheck),
        ("second", torch.autograd.gradgradcheck),
    ):
        try:
            run(function, tuple(flat(x)), fast_mode=True)
        except GradcheckError as error:
            fail(f"the {order} derivative in PyTorch is wrong: {error}")


@check(lambda operator: not operator.trainable)
def check_torch_forward_mode(case: Case) -> None:
    """Forward-mode derivatives are those of ``derivative``."""
    torch = _torch()
    operator = case.operator
    forward = torch.autograd.forward_ad
    x, h = _tensor(case.x()), _tensor(case.x(1))
    try:
        expected = operator.derivative(x)(h)
    except NotSupportedError as error:
        raise NotApplicable(str(error)) from None
    with forward.dual_level(), warnings.catch_warnings():
        # Loading forward mode, PyTorch 2.13 warns about itself.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        y = operator(mapped(forward.make_dual, x, h))
        tangents = [forward.unpack_dual(part).tangent for part in flat(y)]
    found = [
        torch.zeros_like(p) if t is None else t for p, t in zip(flat(y), tangents, strict=True)
    ]
    size = max(length(expected), abs(dot(expected, expected)) ** 0.5)
    if not difference(_blocks(found), _blocks(flat(expected))) <= 10 * case.tolerance * size:
        fail("forward-mode differentiation does not give derivative(x)(h)")
