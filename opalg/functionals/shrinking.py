"""Vectors of a field shrunk by the compiled engine, alone or right after a step along a gradient.

Total variation spends its time here: ``p <- project(p + step * G(x))`` reads and writes the dual variable
once, with all threads. Where the engine does not take the arrays, or PyTorch records, array operations do
the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, in_autograd
from opalg.engines.differences import Differences, Shrinkage
from opalg.operators import Gradient, Operator
from opalg.operators.compiled_differences import CompiledDifferences

__all__ = ["shrink", "shrink_after_gradient"]


def shrink(space: Any, x: Array, radius: Any, how: Shrinkage, out: Array | None) -> Array | None:
    """The shrunk vectors of a field, or None if the engine cannot do it.

    Parameters
    ----------
    space : ProductSpace
        Of spaces of one shape.
    x : Blocks
        Element of the space.
    radius : float, or array that multiplies elements
        One number per sample; see `opalg.engines.differences.Differences.shrink`.
    how : {"into_ball", "into_box", "by_length", "by_entry"}
    out : Blocks, optional
        May be ``x``.
    """
    if out is None and in_autograd(x[0]):
        return None
    batch = space.batch_shape(x)
    if batch and len(getattr(radius, "shape", ())) == space[0].ndim:
        return None  # one per position, which may look like one per sample
    radius = _per_sample(radius, batch)
    if radius is None:
        return None
    target = space.empty(like=x, batch=batch) if out is None else out
    done = _flat(space[0].size).shrink(None, x, 0.0, radius, how, target)
    return target if done else None


def shrink_after_gradient(
    K: Operator, x: Array, p: Array, step: Any, radius: float, how: Shrinkage, out: Array
) -> bool:
    """Write the shrunk vectors of ``p + step * K(x)`` to ``out``, and tell whether that was done.

    Parameters
    ----------
    K : Operator
        It is done for a `Gradient`.
    x, p : array, Blocks
    step : float or array
        One number, or one per sample.
    radius : float
    how : {"into_ball", "into_box", "by_length", "by_entry"}
    out : Blocks
        May be ``p``.
    """
    step = _per_sample(step, K.domain.batch_shape(x))
    if step is None or not isinstance(K, Gradient):
        return False
    return K._compiled.shrink(x, p, step, radius, how, out)


@lru_cache(maxsize=64)
def _flat(size: int) -> CompiledDifferences:
    """Nothing but fields of so many entries."""
    return CompiledDifferences(Differences((1, 1, size), ()))


def _per_sample(value: Any, batch: tuple[int, ...]) -> Any:
    """A number, or numbers for each entry of the batch as float64; None if they vary within an entry."""
    if isinstance(value, (int, float)):
        return value
    if getattr(value, "size", None) is None or in_autograd(value):
        return None
    shape = tuple(value.shape)
    if shape[: len(batch)] != batch or any(extent != 1 for extent in shape[len(batch) :]):
        return None
    return np.asarray(as_numpy(value), np.float64)
