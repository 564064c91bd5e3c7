"""Steps of primal-dual methods for operators of different size: their scale, and one step per entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.functionals import Functional
from opalg.operators import row_sums
from opalg.solvers.splits import Entries, Split
from opalg.solvers.vectors import parts
from opalg.spaces import Blocks

__all__ = ["diagonal_steps", "leading_scale"]

_SHARE = 0.5  # of the Lipschitz constant in a dual step; the best found on parallel-beam tomography


def leading_scale(splits: list[Split], norms: list[float]) -> float | None:
    """``dual step * |K|^2`` of the smooth term that dominates (the data term), or None without one.

    A dual step near the Lipschitz constant L of f damps the oscillation between x and the dual variable of
    ``f(K(x))``; much longer ones make the method crawl as gradient descent, much shorter ones oscillate.
    """
    found = [
        _SHARE * split.functional.lipschitz * norm
        for split, norm in zip(splits, norms, strict=True)
        if _leads(split.functional)
    ]
    return max(found, default=None)


def _leads(f: Functional) -> bool:
    return math.isfinite(f.lipschitz) and f.lipschitz > 0


def diagonal_steps(splits: list[Split], prox: Functional | None, y: Array) -> tuple[Any, list[Any]]:
    """One primal step per entry of x, and one dual step per entry where an operator allows it.

    With row sums r of a non-negative operator, dual steps ``s / r`` ask for ``s * K.adjoint(1)`` in the
    reciprocal primal steps (Pock and Chambolle 2011, with the power 1). Other operators count with the
    norm, which for differences gives the same as the sums of their moduli.
    """
    first = parts(y)[0]
    if not splits:
        return 1.0, []
    X = splits[0].K.domain
    total: Any = None
    sums: dict[int, Any] = {}
    for i, split in enumerate(splits):
        if split.K.nonnegative:
            rows = _real(row_sums(split.K, first))
            columns = _real(row_sums(split.K.adjoint, first))
            scale = math.sqrt(_top(rows) / max(_top(columns), 1e-30))
            if _leads(split.functional):
                scale = _SHARE * split.functional.lipschitz * _top(rows)
            sums[i] = (rows, scale)
            total = columns * scale if total is None else total + columns * scale
    share = None if total is None else _top(total)
    for i, split in enumerate(splits):
        if i not in sums:
            own = math.sqrt(split.norm) if share is None else share
            if share is None and _leads(split.functional):
                own = _SHARE * split.functional.lipschitz * split.norm
            sums[i] = (None, own)
            flat = X.real.ones(like=first) * own
            total = flat if total is None else total + flat
    tau = Entries(_reciprocal(total))
    sigmas: list[Any] = []
    for i, split in enumerate(splits):
        rows, scale = sums[i]
        if rows is None:
            sigmas.append(scale / split.norm if split.norm else 1.0)
        else:
            sigmas.append(Entries(_reciprocal(rows) * scale))
    _refuse_common(splits, sigmas)
    return tau, sigmas


def _top(x: Array) -> float:
    return max(float(as_numpy(part).max()) for part in parts(x))


def _real(x: Array) -> Array:
    """The sums of a non-negative operator are real, also between complex spaces."""
    if isinstance(x, Blocks):
        return Blocks(_real(part) for part in x)
    return x.real if as_numpy(x).dtype.kind == "c" else x


def _reciprocal(x: Array) -> Array:
    """``1 / x``; where x is zero the greatest of the others, since there any step will do."""
    if isinstance(x, Blocks):
        return Blocks(_reciprocal(part) for part in x)
    values = as_numpy(x)
    floor = float(values.max()) * float(np.finfo(values.dtype).eps) ** 0.5
    seen = values > floor
    least = float(values[seen].min()) if seen.any() else 1.0
    return 1 / (x * (x > floor) + least * (x <= floor))


def _refuse_common(splits: list[Split], sigmas: list[Any]) -> None:
    """An error, before the work, if a functional takes one step for all entries only."""
    for split, sigma in zip(splits, sigmas, strict=True):
        if isinstance(sigma, Entries):
            operator = split.functional.prox(sigma.value)
            operator(
                split.functional.domain.zeros(
                    like=sigma.value if not isinstance(sigma.value, Blocks) else sigma.value.first
                )
            )
