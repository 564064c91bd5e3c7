"""Runs kernels that take NumPy arrays on arrays of any library, without copies where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_torch, namespace
from opalg.errors import NotSupportedError
from opalg.spaces import Space

__all__ = ["run_on_cpu"]


def run_on_cpu(
    kernel: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], None],
    x: Array,
    out: Array | None,
    source: Space,
    target: Space,
    name: str,
) -> Array:
    """``kernel(operand, result)`` on contiguous arrays, in the memory of ``x`` and ``out`` if they are.

    Parameters
    ----------
    kernel : callable
    x : array
        Of ``source``, with any batch axes in front.
    out : array, optional
        Of ``target``, with the same.
    source, target : Space
    name : str
        Of the operator, for messages.

    Raises
    ------
    NotSupportedError
        If ``x`` is a tensor on another device.
    """
    if is_torch(x) and x.device.type != "cpu":
        raise NotSupportedError(
            f"{name} got a tensor on {x.device}: this version has the CPU engine only, the CUDA engine "
            "is not part of it; pass x.cpu()"
        )
    operand = np.ascontiguousarray(as_numpy(x))
    batch = source.batch_shape(x)
    result = target.empty(like=x, batch=batch) if out is None else out
    # Shares the memory of `result` unless its library or layout does not allow it.
    buffer = as_numpy(result)
    if not (buffer.flags.c_contiguous and buffer.flags.writeable):
        buffer = np.empty((*batch, *target.shape), target.dtype)
    kernel(operand, buffer)
    if np.may_share_memory(buffer, as_numpy(result)):
        return result
    xp = namespace(result)
    result[...] = xp.asarray(buffer) if xp is not np else buffer
    return result
