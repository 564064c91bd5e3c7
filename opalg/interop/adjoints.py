"""Whether the transpose that another package gives belongs to its operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import NotSupportedError
from opalg.spaces.parts import flat

__all__ = ["adjoint_is_exact"]


def adjoint_is_exact(operator: Any) -> bool:
    """Compare ``|A x| ** 2`` with ``<x, A.H A x>`` at one random element.

    Other packages pair projections with back projections that are transposes in name only; the error of
    such pairs is far above the threshold, a hundred times the rounding of their own precision.
    """
    x = operator.domain.random(seed=0)
    y = operator._apply(x, None)
    try:
        z = operator._apply_transpose(y, None)
    except NotSupportedError:
        return False
    square, product = _inner(y, y), _inner(x, z)
    single = any(part.dtype.name in {"float32", "complex64"} for part in flat(x) + flat(y))
    return abs(square - product) <= (1e-4 if single else 1e-9) * abs(square)


def _inner(x: Any, y: Any) -> float:
    pairs = zip(flat(x), flat(y), strict=True)
    return float(sum(np.vdot(a.astype(complex), b.astype(complex)).real for a, b in pairs))
