"""Projections onto balls and simplices, and shrinkage, as functions of arrays.

Elements are laid out flat, ``(batch..., n)``, with weights of shape ``(n,)`` or one number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, dtype_of, namespace
from opalg.functionals.entries import cumulative_sum, flat, leaves, unflat, weight_of
from opalg.spaces import Blocks

__all__ = ["level", "line_up", "put_back", "project_lp", "soft", "weighted_lp", "weights"]

_NEWTON = 40


def line_up(space: Any, x: Array) -> Array:
    """An element as one array of shape ``(batch..., n)``."""
    parts = [
        namespace(part).reshape(part, (*leaf.batch_shape(part), leaf.size))
        for leaf, part in zip(leaves(space), flat(x), strict=True)
    ]
    return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts, axis=-1)


def put_back(space: Any, line: Array, out: Array | None) -> Array:
    """The inverse of `line_up`."""
    parts, start = [], 0
    for leaf in leaves(space):
        piece = line[..., start : start + leaf.size]
        parts.append(namespace(line).reshape(piece, (*line.shape[:-1], *leaf.shape)))
        start += leaf.size
    if out is None:
        return unflat(space, parts)
    for target, part in zip(flat(out), parts, strict=True):
        target[...] = part
    return out


def weights(space: Any, like: Array) -> Any:
    """The weights of all entries: a number where they are equal, else an array of shape ``(n,)``."""
    first = flat(like)[0]
    found = [weight_of(leaf, first) for leaf in leaves(space)]
    if all(isinstance(weight, float) and weight == found[0] for weight in found):
        return found[0]
    parts = [
        leaf.real.ones(like=first) * weight
        for leaf, weight in zip(leaves(space), found, strict=True)
    ]
    return line_up(space.real, Blocks(parts) if len(parts) > 1 else parts[0])


def soft(x: Array, threshold: Any) -> Array:
    """``x`` shrunk towards zero by ``threshold``, a number or array that is at least 0."""
    xp = namespace(x)
    if not _is_complex(x):
        return x - xp.clip(x, -threshold, threshold)
    size = xp.maximum(xp.abs(x), threshold)
    return x * (1 - threshold / xp.maximum(size, float(np.finfo(np.float32).tiny)))


def level(values: Array, weight: Any, total: Any) -> Array:
    """The number with ``sum(weight * max(values - number, 0)) == total``, of shape ``(batch..., 1)``.

    After sorting, the candidates are the averages over the k greatest values, and the number sought
    is the greatest of them (Held, Wolfe and Crowder 1974; Duchi et al. 2008), with weights
    likewise.
    """
    xp = namespace(values)
    if isinstance(weight, float):
        ordered = xp.flip(xp.sort(values, axis=-1), axis=-1)
        mass = weight * cumulative_sum(xp.ones_like(ordered))
        sums = cumulative_sum(ordered) * weight
    else:
        order = xp.argsort(-values, axis=-1)
        ordered = xp.take_along_axis(values, order, axis=-1)
        # One row of weights per row of values.
        rows = xp.take_along_axis(xp.ones_like(values) * weight, order, axis=-1)
        mass, sums = cumulative_sum(rows), cumulative_sum(ordered * rows)
    return xp.max((sums - total) / mass, axis=-1, keepdims=True)


def weighted_lp(values: Array, weight: Any, p: float) -> Array:
    """``sum(weight * values ** p) ** (1 / p)`` of values that are at least 0, shape ``(batch..., 1)``."""
    xp = namespace(values)
    # Divided by the greatest value, so that powers neither overflow nor vanish.
    top = xp.maximum(xp.max(values, axis=-1, keepdims=True), float(np.finfo(np.float32).tiny))
    return top * xp.sum(weight * (values / top) ** p, axis=-1, keepdims=True) ** (1 / p)


def project_lp(sizes: Array, weight: Any, p: float, radius: Any) -> Array:
    """Projection of values that are at least 0 onto ``weighted_lp(v) <= radius``, for 1 < p < inf.

    The projection obeys ``v + c * v ** (p - 1) == sizes`` with one number c per batch entry, which
    Newton's method finds on a logarithmic scale, kept inside a bracket.
    """
    xp = namespace(sizes)
    norm = weighted_lp(sizes, weight, p)
    inside = norm <= radius
    top = xp.maximum(xp.max(sizes, axis=-1, keepdims=True), float(np.finfo(np.float32).tiny))
    tiny = float(np.finfo(np.float32).tiny)
    unit = sizes / top
    target = xp.maximum(xp.where(inside, norm, norm * 0 + radius) / top, norm * 0 + tiny)
    low, high = norm * 0 - 700.0 / max(p - 1, 1.0), norm * 0 + 700.0
    if dtype_of(sizes) == np.float32:
        low, high = low / 8, high / 8  # where the exponential does not overflow
    t = norm * 0
    for _ in range(2 * _NEWTON):
        c = xp.exp(t)
        v = _root(unit, c, p)
        found = xp.maximum(weighted_lp(v, weight, p), norm * 0 + tiny)
        low, high = xp.where(found > target, t, low), xp.where(found > target, high, t)
        # d log(found) / d t
        power = xp.where(v > 0, v, xp.ones_like(v)) ** (p - 2)
        slope = -c * v * power / (1 + c * (p - 1) * power)
        share = (v / found) ** (p - 1)
        rate = xp.sum(weight * share * slope, axis=-1, keepdims=True) / found
        rate = xp.minimum(rate, norm * 0 - tiny)
        step = (xp.log(found) - xp.log(target)) / rate
        moved = t - step
        moved = xp.where((moved > low) & (moved < high), moved, (low + high) / 2)
        done = bool(xp.all((xp.abs(moved - t) <= 1e-15 * (1 + xp.abs(t))) | inside))
        t = moved
        if done:
            break
    v = top * _root(unit, xp.exp(t), p)
    return xp.where(inside, sizes, v)


def _root(a: Array, c: Any, p: float) -> Array:
    """The root of ``v + c * v ** (p - 1) = a`` for a >= 0; convex in v, or in ``v ** (p - 1)`` if p < 2."""
    xp = namespace(a)
    positive = xp.where(a > 0, a, xp.ones_like(a))
    e = p - 1 if p >= 2 else 1 / (p - 1)
    # z + s * z ** e = b with e >= 1: for p >= 2 z is v, else z is v ** (p - 1) and all is divided
    # by c.
    if p >= 2:
        s, b = c + 0 * a, positive
    else:
        s, b = 1 / c + 0 * a, positive / c
    # Both candidates lie right of the root, where Newton's method descends monotonically.
    z = xp.minimum(b, (b / s) ** (1 / e))
    for _ in range(_NEWTON):
        power = z ** (e - 1)
        new = z - (z + s * z * power - b) / (1 + s * e * power)
        change = bool(xp.all(xp.abs(new - z) <= 2e-16 * z))
        z = new
        if change:
            break
    v = z if p >= 2 else z**e
    return xp.where(a > 0, v, xp.zeros_like(a))


def _is_complex(x: Array) -> bool:
    xp = namespace(x)
    return x.dtype.kind == "c" if xp is np else bool(xp.isdtype(x.dtype, "complex floating"))
