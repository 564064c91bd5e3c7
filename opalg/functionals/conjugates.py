"""The table of convex conjugates: one rule per class, in the inner product of the space.

A class of one's own takes part by ``@conjugate.register``, or by defining ``_conjugate``.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

from opalg.errors import NotSupportedError
from opalg.functionals.balls import L1Ball, L2Ball, LpBall
from opalg.functionals.divergences import (
    Entropy,
    KullbackLeibler,
    KullbackLeiblerConjugate,
    KullbackLeiblerCrossEntropy,
    KullbackLeiblerCrossEntropyConjugate,
    LogBarrier,
    PoissonLikelihood,
)
from opalg.functionals.entries import integral, leaves, volume
from opalg.functionals.envelopes import ConvexConjugate
from opalg.functionals.functional import Functional, algebra
from opalg.functionals.groups import GroupBall, GroupL1
from opalg.functionals.indicators import (
    Box,
    BoxSupport,
    Constant,
    LInfinityBall,
    NonNegative,
    ZeroIndicator,
)
from opalg.functionals.matrices import NuclearNorm, SpectralBall
from opalg.functionals.norms import L0, L1, L2, ElasticNet, Huber, LInfinity, Lp
from opalg.functionals.quadratic import LeastSquares, SquaredL2
from opalg.operators import Scaling

__all__ = ["conjugate"]


@singledispatch
def conjugate(f: Any) -> Functional:
    """The convex conjugate of a functional; in general one that knows its prox by Moreau's identity.

    Raises
    ------
    NotSupportedError
        If nothing is known of it.
    """
    if not f.proximable or not f.convex:
        reason = "it is not convex" if not f.convex else "neither a formula nor its prox is known"
        raise NotSupportedError(f"the convex conjugate of {f} is not known, because {reason}")
    return ConvexConjugate(f)


# Norms and the balls of their dual norms


@conjugate.register
def _(f: L1) -> Functional:
    return LInfinityBall(f.domain)


@conjugate.register
def _(f: LInfinityBall) -> Functional:
    return f.radius * L1(f.domain)


@conjugate.register
def _(f: L2) -> Functional:
    return L2Ball(f.domain)


@conjugate.register
def _(f: L2Ball) -> Functional:
    return f.radius * L2(f.domain)


@conjugate.register
def _(f: LInfinity) -> Functional:
    return L1Ball(f.domain)


@conjugate.register
def _(f: L1Ball) -> Functional:
    return f.radius * LInfinity(f.domain)


@conjugate.register
def _(f: Lp) -> Functional:
    return LpBall(f.domain, f.p / (f.p - 1))


@conjugate.register
def _(f: LpBall) -> Functional:
    return f.radius * Lp(f.domain, f.p / (f.p - 1))


@conjugate.register
def _(f: GroupL1) -> Functional:
    return GroupBall(f.domain)


@conjugate.register
def _(f: GroupBall) -> Functional:
    return f.radius * GroupL1(f.domain)


@conjugate.register
def _(f: NuclearNorm) -> Functional:
    return SpectralBall(f.domain)


@conjugate.register
def _(f: SpectralBall) -> Functional:
    return f.radius * NuclearNorm(f.domain)


# Sums over entries


@conjugate.register
def _(f: L0) -> Functional:
    return ZeroIndicator(f.domain)


@conjugate.register
def _(f: Huber) -> Functional:
    return LInfinityBall(f.domain).perturbed(quadratic=f.delta)


@conjugate.register
def _(f: ElasticNet) -> Functional:
    return LInfinityBall(f.domain, f.l1).moreau_envelope(f.l2)


@conjugate.register
def _(f: SquaredL2) -> Functional:
    return SquaredL2(f.domain, f._weight.map(lambda weight: 1 / (4 * weight)).value)


@conjugate.register
def _(f: LeastSquares) -> Functional:
    if f._weight.smallest() == 0:
        raise NotSupportedError(
            f"the conjugate of {f} is infinite almost everywhere, because some weights are zero; leave those "
            "data out with an operator that samples the others"
        )
    square = LeastSquares(f.domain, None, f._weight.map(lambda weight: 1 / weight).value)
    if f._data.number == 0:
        return square
    zeros = (
        f.domain.zeros(like=next(iter(f._data.constants)).array)
        if f._data.constants
        else f.domain.zeros()
    )
    return square.perturbed(linear=f._data.element(zeros))


@conjugate.register
def _(f: KullbackLeibler) -> Functional:
    return KullbackLeiblerConjugate(f.domain, f.data)


@conjugate.register
def _(f: KullbackLeiblerConjugate) -> Functional:
    return KullbackLeibler(f.domain, f.data)


@conjugate.register
def _(f: PoissonLikelihood) -> Functional:
    # PoissonLikelihood = KullbackLeibler + the value of PoissonLikelihood where x equals the data.
    constant = 0.0
    for i, leaf in enumerate(leaves(f.domain)):
        data = f._data.leaf(i, leaf.ones()) * leaf.ones()
        if leaf.batch_shape(data):
            raise NotSupportedError(
                "the conjugate of PoissonLikelihood with a batch of data is known up to a constant only; "
                "take that of KullbackLeibler, which differs by a constant"
            )
        constant += float(integral(leaf, f._density(data, data)))
    return KullbackLeiblerConjugate(f.domain, f.data).perturbed(constant=-constant)


@conjugate.register
def _(f: KullbackLeiblerCrossEntropy) -> Functional:
    return KullbackLeiblerCrossEntropyConjugate(f.domain, f.prior)


@conjugate.register
def _(f: KullbackLeiblerCrossEntropyConjugate) -> Functional:
    return KullbackLeiblerCrossEntropy(f.domain, f.prior)


@conjugate.register
def _(f: Entropy) -> Functional:
    # sum(w * exp(p - 1))
    exponential = KullbackLeiblerCrossEntropyConjugate(f.domain, math.exp(-1))
    return exponential.perturbed(constant=volume(f.domain) * math.exp(-1))


@conjugate.register
def _(f: LogBarrier) -> Functional:
    # -sum(w * (log(-p) + 1))
    return (f @ Scaling(f.domain, -1)).perturbed(constant=-volume(f.domain))


# Sets


@conjugate.register
def _(f: Box) -> Functional:
    return BoxSupport(f.domain, f.lower.value, f.upper.value)


@conjugate.register
def _(f: BoxSupport) -> Functional:
    return Box(f.domain, f.lower.value, f.upper.value)


@conjugate.register
def _(f: NonNegative) -> Functional:
    return Box(f.domain, -math.inf, 0.0)


@conjugate.register
def _(f: ZeroIndicator) -> Functional:
    return Constant(f.domain)


@conjugate.register
def _(f: Constant) -> Functional:
    return ZeroIndicator(f.domain).perturbed(constant=-f.value)


algebra.conjugate = conjugate
