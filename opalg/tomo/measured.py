"""Reads measured arrays: real and finite numbers of any array library."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import as_numpy
from opalg.errors import DtypeError, NonFiniteError
from opalg.tomo.frames import FloatArray

__all__ = ["as_real", "finite"]


def as_real(data: Any, what: str) -> FloatArray:
    """An array, or numbers, as float64.

    Raises
    ------
    DtypeError
        If it is complex: what is measured has no imaginary part, and one is not dropped silently.
    """
    values = as_numpy(data) if hasattr(data, "shape") else np.asarray(data)
    if values.dtype.kind == "c":
        raise DtypeError(
            f"{what} must be real, got {values.dtype}: give its real part, or its modulus"
        )
    return np.asarray(values, float)


def finite(data: Any, what: str = "projections") -> FloatArray:
    """An array as float64, or an error that says how many values are not finite.

    Raises
    ------
    DtypeError
        If it is complex.
    NonFiniteError
        If it is NaN or infinite anywhere.
    """
    values = as_real(data, what)
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NonFiniteError(f"{what}: {bad} values that are NaN or infinite")
    return values
