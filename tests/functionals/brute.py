"""Brute force: elements as flat real vectors, and searches that know nothing but values."""

import numpy as np
from scipy import optimize

from opalg.spaces import Blocks


def leaves(space):
    if hasattr(space, "spaces"):
        return [leaf for part in space for leaf in leaves(part)]
    return [space]


def pack(space, x):
    """An element (with batch axes) as real vectors, shape (batch..., n)."""
    parts = x.flatten() if isinstance(x, Blocks) else [x]
    rows = []
    for leaf, part in zip(leaves(space), parts, strict=True):
        row = part.reshape(*leaf.batch_shape(part), -1)
        rows += [row.real, row.imag] if leaf.is_complex else [row]
    return np.concatenate(rows, axis=-1)


def unpack(space, v):
    """The inverse of `pack`."""
    parts, start = [], 0
    for leaf in leaves(space):
        pieces = []
        for _ in range(2 if leaf.is_complex else 1):
            pieces.append(v[..., start : start + leaf.size])
            start += leaf.size
        row = pieces[0] + 1j * pieces[1] if leaf.is_complex else pieces[0]
        parts.append(np.ascontiguousarray(row.reshape(*v.shape[:-1], *leaf.shape)))
    remaining = iter(parts)

    def build(node):
        return Blocks(build(s) for s in node) if hasattr(node, "spaces") else next(remaining)

    return build(space)


def weights(space):
    """The weight of each real coordinate: <x, y> = sum(weights * pack(x) * pack(y))."""
    rows = []
    for leaf in leaves(space):
        row = np.broadcast_to(leaf.weighting, leaf.shape).reshape(-1).astype(float)
        rows += [row, row] if leaf.is_complex else [row]
    return np.concatenate(rows)


def lowest(function, start, rng, rounds=60):
    """The least value that a downhill search from a few starts finds.

    ``function`` maps many vectors, shape (m, n), to m values that may be infinite.
    """
    best, value = start, function(start[None])[0]
    n = start.size
    for k in range(rounds):
        scale = 10.0 ** (-6 * k / rounds)
        steps = scale * rng.standard_normal((100, n))
        steps[:n] = scale * np.eye(n)
        steps[n : 2 * n] = -scale * np.eye(n)
        values = function(best + steps)
        i = int(np.argmin(values))
        if values[i] < value:
            best, value = best + steps[i], values[i]

    def finite(v):
        y = float(function(np.asarray(v)[None])[0])
        return y if np.isfinite(y) else 1e10

    found = optimize.minimize(
        finite, best, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxfev": 600}
    )
    return min(value, float(found.fun))
