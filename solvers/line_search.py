"""Line searches for many samples at once: Armijo's backtracking and the strong conditions of Wolfe.

Everything here is a number per sample: NumPy arrays of the batch shape, without axes for a single sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

__all__ = ["armijo", "wolfe"]

_Array: TypeAlias = np.ndarray[Any, Any]

_DECREASE = (
    1e-4  # of what the slope promises; the usual choice (Nocedal and Wright 2006, section 3.1)
)
_HALVINGS = 60
_TRIALS = 25


def armijo(
    evaluate: Callable[[_Array], _Array],
    reference: _Array,
    slope: _Array,
    first: _Array,
    slack: _Array,
) -> _Array:
    """Steps that lower a function enough, by halving.

    Parameters
    ----------
    evaluate : callable
        From steps to values.
    reference : array
        The value to fall below; the largest of the last ones makes the search non-monotone.
    slope : array
        The derivative at step 0, negative.
    first : array
        The steps tried first.
    slack : array
        Rounding of the values.

    Returns
    -------
    array
        The steps, zero where none was found.
    """
    step, done = np.array(first, np.float64), np.asarray(slope) >= 0
    step = np.where(done, 0.0, step)
    for _ in range(_HALVINGS):
        value = evaluate(step)
        done = done | (value <= reference + _DECREASE * step * slope + slack)
        if done.all():
            return step
        step = np.where(done, step, step / 2)
    return np.where(done, step, 0.0)


def wolfe(
    evaluate: Callable[[_Array], tuple[_Array, _Array]],
    value: _Array,
    slope: _Array,
    first: _Array,
    slack: _Array,
    curvature: float,
    secant: bool = False,
) -> _Array:
    """Steps that lower a function enough and reach a point where it is flat enough.

    Parameters
    ----------
    evaluate : callable
        From steps to values and derivatives.
    value, slope : array
        At step 0; the slope is negative.
    first : array
        The steps tried first.
    slack : array
        Rounding of the values.
    curvature : float
        The slope is to fall to so much of the one at 0.
    secant : bool, default False
        Whether the first trial is only to find a better one by its slope: the minimum, if the function is
        quadratic.

    Returns
    -------
    array
        The steps, zero where none was found.

    References
    ----------
    J. Nocedal and S. J. Wright, "Numerical Optimization", Springer, 2006, section 3.5.
    """
    slope = np.asarray(slope, np.float64)
    step = np.array(first, np.float64)
    if secant:
        _, end = evaluate(step)
        step = _clipped_secant(np.zeros_like(step), slope, step, end, 1e-4 * step, 1e4 * step)
    low, low_slope = np.zeros_like(step), slope.copy()
    high, high_slope = np.full_like(step, np.inf), np.full_like(step, np.nan)
    found, lowest = np.zeros_like(step), np.asarray(value, np.float64) + slack
    done = slope >= 0
    for _ in range(_TRIALS):
        trial = np.where(done, found, step)
        now, end = evaluate(trial)
        enough = now <= value + _DECREASE * trial * slope + slack
        flat = enough & (abs(end) <= curvature * abs(slope))
        # What is lowest so far serves if no step satisfies both conditions.
        better = ~done & enough & (flat | (now <= lowest))
        found, lowest = np.where(better, trial, found), np.where(better, now, lowest)
        done = done | flat
        if done.all():
            break
        past = ~enough | (end > 0)
        high, high_slope = np.where(past, trial, high), np.where(past, end, high_slope)
        before, before_slope = low, low_slope
        low, low_slope = np.where(past, low, trial), np.where(past, low_slope, end)
        step = _next(low, low_slope, high, high_slope, before, before_slope)
    return found


def _next(
    low: _Array,
    low_slope: _Array,
    high: _Array,
    high_slope: _Array,
    before: _Array,
    before_slope: _Array,
) -> _Array:
    """A step between the ends of the bracket; beyond the low end while there is no other."""
    bracketed = np.isfinite(high)
    width = np.where(bracketed, high, 0.0) - low
    between = _clipped_secant(
        low,
        low_slope,
        np.where(bracketed, high, low),
        high_slope,
        low + 0.1 * width,
        high - 0.1 * width,
    )
    beyond = _clipped_secant(before, before_slope, low, low_slope, 1.1 * low, 10 * low)
    # A slope that falls beyond the high end (or is not a number) tells nothing: halve.
    usable = np.greater(high_slope, 0)
    return np.where(bracketed, np.where(usable, between, low + 0.5 * width), beyond)


def _clipped_secant(
    a: _Array, slope_a: _Array, b: _Array, slope_b: _Array, lower: _Array, upper: _Array
) -> _Array:
    """Where the line through two slopes crosses zero, forced between bounds; the upper if it falls."""
    with np.errstate(all="ignore"):
        rise = slope_b - slope_a
        root = a - slope_a * (b - a) / np.where(rise > 0, rise, 1.0)
        return np.where(rise > 0, np.clip(root, lower, upper), upper)
