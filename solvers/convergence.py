"""When a Krylov method has converged to rounding, and what becomes of samples that have.

Below a floor the residual (or the gradient of least squares) is rounding noise. Steps along noise drift
where the operator sees little, so samples of a batch that have arrived stand still while others go on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_array, namespace
from opalg.solvers.state import State
from opalg.solvers.vectors import ratio
from opalg.spaces import ProductSpace

__all__ = ["gradient_floor", "numbers", "rounding", "vanished", "where_above", "where_active"]


def gradient_floor(noise: Any, scale: Any, residual: Any) -> Any:
    """Below this the gradient is rounding noise, and steps along noise drift where A sees little.

    The noise is that of numbers that cancel in ``A.H(r)``: a few units in the last place of ``|A| |r|``,
    where ``|A.H r| / |r|`` at the start stands for ``|A|``; the 8 was measured on matrices of low rank.
    """
    return noise * (1 + 8 * ratio(residual, scale))


def where_active(state: State, alpha: Any) -> Any:
    """The step length, zero for samples that have converged: what is left of them is rounding noise.

    The state has ``floor``, and the norm that it is the floor of: ``gradient`` or ``residual``.
    """
    measure = state.gradient if "gradient" in state else state.residual
    active = np.greater(measure, state.floor)
    if active.all():
        return alpha
    if active.ndim == 0:
        return 0.0
    if isinstance(alpha, np.ndarray):
        return np.where(active, alpha, 0.0)
    xp = namespace(alpha)
    return xp.where(xp.asarray(active, device=alpha.device), alpha, xp.zeros_like(alpha))


def where_above(bound: Any, norm: Any, value: Any = None, other: float = 0.0) -> Any:
    """``value`` (by default the norm itself) for samples whose norm is above a bound, else ``other``.

    NaN counts as above: it is to be seen, not to be taken for convergence.
    """
    value = norm if value is None else value
    above = ~np.less_equal(numbers(norm), bound)
    if above.all():
        return value
    if above.ndim == 0:
        return other
    xp = namespace(value)
    above = above if xp is np else xp.asarray(above, device=value.device)
    return xp.where(above, value, xp.ones_like(value) * other)


def vanished(state: State, measure: Any, name: str) -> str | None:
    """The reason to stop if a norm of every sample is below the floor, else None."""
    if not np.all(np.less_equal(measure, state.floor)):
        return None
    count = state.iteration
    return f"the {name} vanished to rounding after {count} iteration{'' if count == 1 else 's'}"


def numbers(value: Any) -> Any:
    """Numbers per sample for a decision, off PyTorch's record."""
    return np.asarray(as_numpy(value), np.float64) if is_array(value) else value


def rounding(space: Any) -> float:
    """The relative spacing of numbers in a space."""
    if isinstance(space, ProductSpace):
        return max(rounding(part) for part in space)
    return float(np.finfo(space.dtype).eps)
