"""Norms of one-dimensional differences with unit spacing, in closed form.

With ``n`` samples, the eigenvalues of the matrices ``D.T @ D`` follow from sines and cosines that obey the
boundary condition (Strang, The discrete cosine transform, SIAM Review 41, 1999). Only mirroring at the
outermost sample breaks the pattern: there a mode is bound to the edge.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["first_difference_norm", "second_difference_norm"]

# Over so many samples the modes bound to an edge fall below 1e-16 of their height; those of the second
# difference, whose eigenvalue lies just above 4, reach farther.
_REACH_OF_FIRST, _REACH_OF_SECOND = 40, 300


def first_difference_norm(n: int, scheme: str, boundary: str) -> float:
    """Norm of the forward, backward or central difference of ``n`` samples.

    Examples
    --------
    >>> round(first_difference_norm(4, "forward", "periodic"), 12)
    2.0
    """
    if scheme == "central":
        return _central(n, boundary)
    if boundary == "zero":
        return 2 * math.cos(math.pi / (2 * n + 1))
    if boundary == "periodic" and n % 2 == 0:
        return 2.0
    if boundary in {"replicate", "periodic"}:
        return 2 * _cos(n)
    return _reflected_first(n)


def _central(n: int, boundary: str) -> float:
    if boundary == "zero":
        return _cosine(math.pi / (n + 1))
    if boundary == "replicate":
        return 1.0 if n % 2 == 0 else _cos(n)
    if boundary == "periodic":
        return abs(math.sin(2 * math.pi * round(n / 4) / n)) if n > 2 else 0.0
    return _cos((n - 1) // 2 + 1)


def second_difference_norm(n: int, boundary: str) -> float:
    """Norm of the second difference of ``n`` samples.

    Examples
    --------
    >>> round(second_difference_norm(1, "zero"), 12)
    2.0
    """
    if boundary == "zero":
        return 4 * _cos(n + 1) ** 2
    if boundary == "periodic" and n % 2 == 0:
        return 4.0
    if boundary in {"replicate", "periodic"}:
        return 4 * _cos(n) ** 2
    return _reflected_second(n)


def _cos(n: int) -> float:
    """``cos(pi / 2n)``, exactly 0 for n = 1."""
    return _cosine(math.pi / (2 * n))


def _cosine(angle: float) -> float:
    return 0.0 if angle == math.pi / 2 else math.cos(angle)


def _reflected_first(n: int) -> float:
    if n > _REACH_OF_FIRST:
        # The mode bound to the doubled edge of a half-infinite axis; shorter axes have smaller norms.
        return math.sqrt(2 + 2 * math.sqrt(2))
    matrix = np.diag(-np.ones(n)) + np.diag(np.ones(n - 1), 1)
    matrix[-1, n - 2 if n > 1 else 0] += 1
    return float(np.linalg.norm(matrix, 2))


def _reflected_second(n: int) -> float:
    # Both edges bind a mode; on longer axes they no longer feel each other.
    n = min(n, _REACH_OF_SECOND)
    matrix = np.diag(-2 * np.ones(n)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)
    matrix[0, min(1, n - 1)] += 1
    matrix[-1, max(n - 2, 0)] += 1
    return float(np.linalg.norm(matrix, 2))
