"""Composed terms ``f(K(x))`` at work: applying K and its adjoint in given memory, proximal maps, steps.

What primal-dual methods, ADMM and its relatives share. A *step* here is a number, an array of the batch
shape (one per sample), or `Entries` (one per entry, for diagonal preconditioning).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, copy, dtype_of, is_array, is_torch, namespace
from opalg.errors import NotSupportedError
from opalg.functionals import (
    Composed,
    ConvexConjugate,
    Functional,
    MoreauEnvelope,
    Perturbed,
    ScaledFunctional,
    SumFunctional,
    Term,
)
from opalg.functionals.entries import unflat
from opalg.functionals.operator_norms import norm_in_spaces
from opalg.operators import LinearOperator
from opalg.operators.expressions import LinearScaled
from opalg.solvers.objective import squared_norm
from opalg.solvers.state import State
from opalg.solvers.vectors import length, multiply, number, parts, plain
from opalg.spaces import Blocks
from opalg.spaces.elements import expand

__all__ = [
    "Entries",
    "Split",
    "add_multiple",
    "ascend",
    "dual_prox",
    "blocks",
    "judge",
    "listed",
    "pairing",
    "per_sample",
    "prox_step",
    "proximal",
    "pull_back",
    "resolved",
    "select",
    "unblock",
    "weighted_length",
]


class Entries:
    """One step per entry of an element, the same for all samples.

    Parameters
    ----------
    value : array or Blocks
    """

    def __init__(self, value: Array) -> None:
        self.value = value

    @cached_property
    def negative(self) -> Entries:
        """The steps with the other sign, made once."""
        return Entries(-self.value)

    @cached_property
    def inverse(self) -> Entries:
        """One over the steps, made once."""
        return Entries(1 / self.value)


class Split:
    """A term ``functional @ operator`` that is used by the proximal map of the functional.

    Parameters
    ----------
    term : Term
        With an operator; the scale becomes part of the functional.
    """

    def __init__(self, term: Term) -> None:
        operator: Any = term.operator
        self.K = operator
        self.functional: Functional = term.scale * term.functional
        adjoint: Any = operator.adjoint
        # The weights of the spaces are a number mostly: it joins the factors of linear combinations.
        self.factor = 1.0
        self.back: LinearOperator = adjoint
        if isinstance(adjoint, LinearScaled) and isinstance(adjoint.factor, float):
            self.factor, self.back = adjoint.factor, adjoint.operator
        self.star = _simple_conjugate(self.functional)

    @property
    def norm(self) -> float:
        """The square of an upper bound of the norm of K in the spaces."""
        return squared_norm(self.K)

    @property
    def least_norm(self) -> float:
        """The square of a lower bound of that norm."""
        return float(norm_in_spaces(self.K).lower ** 2)


def _simple_conjugate(f: Functional) -> Functional | None:
    """The conjugate if it has a class of its own, whose prox is quicker than Moreau's identity."""
    try:
        star = f.convex_conjugate
    except NotSupportedError:
        return None
    made = (Composed, ConvexConjugate, MoreauEnvelope, Perturbed, ScaledFunctional, SumFunctional)
    return None if isinstance(star, made) or not star.proximable else star


def resolved(f: Functional | None) -> Functional | None:
    """A sum with a proximal map by rule as the one functional that the rule makes of it."""
    if isinstance(f, SumFunctional):
        rule, made = f._rule()
        if rule == "quadratic":
            return made
    return f


# Steps


def add_multiple(space: Any, y: Array, step: Any, x: Array, out: Array | None) -> Array:
    """``y + step * x``; ``out`` may be ``x``, not ``y`` if the step is one per entry."""
    if isinstance(step, Entries):
        return space.lincomb(1.0, multiply(x, step.value, out), 1.0, y, out=out)
    return space.lincomb(step, x, 1.0, y, out=out)


def per_sample(values: Any, like: Array) -> Any:
    """Numbers per sample, decided in float64, as factors for elements like ``like``."""
    if not np.ndim(values):
        return float(values)
    first = parts(like)[0]
    real = np.zeros(0, dtype_of(first)).real.dtype
    rounded = np.asarray(values).astype(real)
    xp = namespace(first)
    return rounded if xp is np else xp.asarray(rounded, device=first.device)


def prox_step(space: Any, step: Any) -> Any:
    """A step as ``functional._prox`` takes it."""
    return step.value if isinstance(step, Entries) else space.expand(step)


def proximal(f: Functional | None, x: Array, step: Any, out: Array | None) -> Array:
    """The proximal map of ``f`` (the identity for None) at ``x``; ``out`` must not be ``x``."""
    if f is None:
        return f_identity(x, out)
    if out is None and not f.native and any(is_torch(part) for part in parts(x)):
        plain_step = step.value if isinstance(step, Entries) else step
        return f.prox(plain_step)(x)  # says what PyTorch cannot record
    return f._prox(x, prox_step(f.domain, step), out)


def f_identity(x: Array, out: Array | None) -> Array:
    """``x`` itself, or a copy in ``out``."""
    if out is None:
        return x
    for target, part in zip(parts(out), parts(x), strict=True):
        target[...] = part
    return out


def inverse(step: Any) -> Any:
    """``1 / step``."""
    return step.inverse if isinstance(step, Entries) else 1 / step


def ascend(split: Split, x: Array, p: Array, step: Any, out: Array | None) -> bool:
    """Write the proximal map of the conjugate at ``p + step * K(x)`` to ``out`` if there is a form for both.

    ``out`` may be ``p``. Nothing is done, and False returned, where `dual_prox` has to do it, and while
    the state is functional.
    """
    if out is None or split.star is None or isinstance(step, Entries):
        return False
    return split.star._ascend(split.K, x, p, step, out)


def dual_prox(split: Split, q: Array, step: Any, out: Array | None, work: Array | None) -> Array:
    """The proximal map of the conjugate at ``q``; ``work`` may be ``q``, ``out`` may not.

    By Moreau's identity ``q - step * prox_{f / step}(q / step)`` where the conjugate has no class.
    """
    if split.star is not None:
        return proximal(split.star, q, step, out)
    space = split.functional.domain
    under = inverse(step)
    if isinstance(step, Entries):
        z = multiply(q, under.value, work)
        u = proximal(split.functional, z, under, out)
        rest = space.lincomb(1.0, z, -1.0, u, out=out)
        return multiply(rest, step.value, out)
    z = space.lincomb(under, q, out=work)
    u = proximal(split.functional, z, under, out)
    return space.lincomb(step, z, -1 * step, u, out=out)


# Adjoints


def pull_back(
    splits: list[Split],
    p: list[Array],
    scale: Any,
    x: Array,
    state: State,
    out: Array | None,
    first: Array | None = None,
) -> Array:
    """``x + scale * sum(K_i.adjoint(p_i))`` with a scratch buffer for the second and later terms.

    ``out`` must be scratch; it may be ``x`` only if ``first``, memory for the first adjoint, is given.
    """
    total = x
    for i, (split, part) in enumerate(zip(splits, p, strict=True)):
        X = split.K.domain
        memory = (out if first is None else first) if i == 0 else state.buffer("pulled", X)
        g = split.back(part, out=memory)
        if isinstance(scale, Entries):
            if split.factor != 1.0:
                g = X.lincomb(split.factor, g, out=memory)
            g = multiply(g, scale.value, memory)
            total = X.lincomb(1.0, g, 1.0, total, out=out)
        else:
            total = X.lincomb(scale * split.factor, g, 1.0, total, out=out)
    return total


# Numbers to decide by


def judge(value: Any) -> Any:
    """Numbers per sample off PyTorch's record: a Python number, or a float64 NumPy array."""
    if is_array(value):
        if is_torch(value):
            value = value.detach()
        value = np.asarray(as_numpy(value), np.float64)
        return float(value) if value.ndim == 0 else value
    return value


def pairing(space: Any, x: Array, y: Array) -> Any:
    """The real part of the inner product in the space, per sample."""
    value = space.inner(x, y)
    return number(value.real if space.is_complex else value)


def select(space: Any, condition: Any, x: Array, y: Array, out: Array | None) -> Array:
    """``x`` for the samples where the condition holds, else ``y``; ``out`` is neither."""
    if not np.ndim(condition):
        return space.lincomb(1.0, x if condition else y, out=out)
    chosen = []
    targets = [None] * len(parts(x)) if out is None else parts(out)
    for a, b, target in zip(parts(x), parts(y), targets, strict=True):
        xp = namespace(a)
        flags = condition if xp is np else xp.asarray(condition, device=a.device)
        value = xp.where(expand(flags, a.ndim - condition.ndim), a, b)
        chosen.append(value if target is None else copy(value, target))
    return unflat(space, chosen) if out is None else out


def weighted_length(space: Any, x: Array) -> Any:
    """The norm in the inner product of the space, per sample, off PyTorch's record."""
    weights = {
        float(leaf.weighting) if not is_array(leaf.weighting) else None for leaf in _leaves(space)
    }
    if len(weights) == 1 and None not in weights:
        (weight,) = weights
        return length(plain(space), x) * float(weight) ** 0.5  # type: ignore[arg-type]
    pieces = [part.detach() if is_torch(part) else part for part in parts(x)]
    squares = [
        judge(leaf.inner(piece, piece).real)
        for leaf, piece in zip(_leaves(space), pieces, strict=True)
    ]
    return np.sqrt(sum(squares))


def _leaves(space: Any) -> list[Any]:
    if hasattr(space, "spaces"):
        return [leaf for part in space.spaces for leaf in _leaves(part)]
    return [space]


def blocks(values: list[Array]) -> Array:
    """Several elements as one, an array if there is one only."""
    return values[0] if len(values) == 1 else Blocks(values)


def listed(memory: Any, count: int) -> list[Any]:
    """A buffer part by part; None for each while the state is functional."""
    return [None] * count if memory is None else unblock(memory, count)


def unblock(p: Array, count: int) -> list[Array]:
    """The inverse of `blocks`."""
    return [p] if count == 1 else list(p)
