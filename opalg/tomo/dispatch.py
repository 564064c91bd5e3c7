"""Runs projectors where their operand is: on CUDA devices by kernels, on the host by the CPU engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, copy, is_torch, namespace
from opalg.engines import cuda
from opalg.engines.device_arrays import library_of
from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Space

__all__ = ["device_numbers", "run"]


def device_numbers(device: str | Sequence[str] | None) -> tuple[int, ...]:
    """The ordinals of devices by name; none for None.

    Raises
    ------
    ArgumentError
        If one has another name, or comes twice.

    Examples
    --------
    >>> device_numbers("cuda"), device_numbers(["cuda:1", "cuda:0"]), device_numbers(None)
    ((0,), (1, 0), ())
    """
    if device is None:
        return ()
    names = device if isinstance(device, (list, tuple)) else (device,)
    matches = [re.fullmatch(r"cuda(?::(\d+))?", str(name)) for name in names]
    numbers = tuple(int(match[1] or 0) for match in matches if match)
    if not numbers or len(set(numbers)) < len(matches):
        raise ArgumentError(
            f'device must be "cuda", "cuda:1" or a list of such names, each another device, got {device!r}'
        )
    return numbers


def run(
    on_host: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], None],
    on_cuda: Callable[[Array, Array], None],
    x: Array,
    out: Array | None,
    source: Space,
    target: Space,
    name: object,
) -> Array:
    """``kernel(operand, result)`` on contiguous arrays, in the memory of ``x`` and ``out`` if they are.

    Parameters
    ----------
    on_host : callable
        Takes NumPy arrays.
    on_cuda : callable
        Takes arrays on a CUDA device.
    x : array
        Of ``source``, with any batch axes in front.
    out : array, optional
        Of ``target``, with the same.
    source, target : Space
    name : object
        The operator, for messages.

    Returns
    -------
    array
        In the library and on the device of ``x``.

    Raises
    ------
    NotSupportedError
        If ``x`` is a tensor on a device that is neither the host nor a CUDA device.
    MissingExtraError, DeviceError
        If ``x`` is on a CUDA device and what its engine needs is not there.
    """
    library = library_of(x)
    if library is not None:
        batch = tuple(x.shape[: len(x.shape) - source.ndim])
        if out is None:
            result = cuda.empty(x, (*batch, *target.shape))
            on_cuda(x, result)
            return result
        buffer = cuda.contiguous(out)
        on_cuda(x, buffer)
        return out if buffer is out else copy(buffer, out)
    if is_torch(x) and x.device.type != "cpu":
        raise NotSupportedError(
            f"{name} got a tensor on {x.device}: there are engines for CPUs and for CUDA devices only; "
            "pass x.cpu()"
        )
    return _on_host(on_host, x, out, source, target)


def _on_host(
    kernel: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], None],
    x: Array,
    out: Array | None,
    source: Space,
    target: Space,
) -> Array:
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
