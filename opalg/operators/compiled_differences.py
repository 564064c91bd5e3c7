"""Finite differences by the compiled engine, where it takes the arrays: NumPy's, and tensors on the CPU.

It sums over all axes in one pass over memory, with all threads. Where it does not take them, for other
libraries, devices, layouts and more than three axes, the caller goes on with array operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array, is_torch
from opalg.engines.differences import Differences, DifferenceTerm, Shrinkage, takes
from opalg.operators.stencils import Stencil

__all__ = ["CompiledDifferences", "along_axes", "along_axis", "as_engine_arrays"]

_AXES = 3


class CompiledDifferences:
    """Sums of differences along axes; its methods say whether they did the work.

    Parameters
    ----------
    differences : Differences or None
        None where the engine has none: then nothing is ever done.
    """

    def __init__(self, differences: Differences | None) -> None:
        self._differences = differences

    def write(self, sources: Sequence[Array], targets: Sequence[Array], scale: Any = 1) -> bool:
        """Write ``scale`` times the sums to the targets."""
        return self._run(sources, targets, False, scale)

    def add(self, sources: Sequence[Array], targets: Sequence[Array], scale: Any = 1) -> bool:
        """Add ``scale`` times the sums to the targets."""
        return self._run(sources, targets, True, scale)

    def _run(
        self, sources: Sequence[Array], targets: Sequence[Array], add: bool, scale: Any
    ) -> bool:
        if self._differences is None or not isinstance(scale, (int, float)):
            return False
        inputs, outputs = as_engine_arrays(sources), as_engine_arrays(targets)
        if inputs is None or outputs is None or not takes(inputs, outputs):
            return False
        self._differences.sum(inputs, outputs, outputs if add else (), 1.0, float(scale))
        return True

    def shrink(
        self,
        x: Array | None,
        fields: Sequence[Array],
        scales: Any,
        radii: Any,
        how: Shrinkage,
        targets: Sequence[Array],
    ) -> bool:
        """Write the shrunk vectors of ``fields + scales * (the differences of x)`` to the targets.

        Without ``x`` nothing is added. ``scales`` and ``radii`` are numbers, or arrays of the batch shape;
        see `opalg.engines.differences.Differences.shrink`.
        """
        if self._differences is None:
            return False
        inputs, outputs = as_engine_arrays(fields), as_engine_arrays(targets)
        source = [] if x is None else as_engine_arrays([x])
        if inputs is None or outputs is None or source is None:
            return False
        if not takes([*source, *inputs], outputs, complex=False, fit=True):
            return False
        self._differences.shrink(source[0] if source else None, inputs, scales, radii, how, outputs)
        return True


def along_axis(shape: tuple[int, ...], axis: int, stencil: Stencil) -> CompiledDifferences:
    """The stencil along one axis of any number of them."""
    behind = math.prod(shape[axis + 1 :])
    layout = (1, shape[axis], behind) if axis < len(shape) - 1 else (1, 1, shape[axis])
    place = 1 if axis < len(shape) - 1 else 2
    return CompiledDifferences(Differences(layout, [DifferenceTerm(stencil.rule, place, 0, 0)]))


def along_axes(
    shape: tuple[int, ...],
    stencils: Sequence[Stencil],
    sources: bool = False,
    targets: bool = False,
) -> CompiledDifferences:
    """One stencil per axis, each with its own source, or its own target, or all summed of one source."""
    missing = _AXES - len(shape)
    if missing < 0:
        return CompiledDifferences(None)
    layout: Any = (1,) * missing + tuple(shape)
    terms = [
        DifferenceTerm(stencil.rule, missing + k, k if sources else 0, k if targets else 0)
        for k, stencil in enumerate(stencils)
    ]
    return CompiledDifferences(Differences(layout, terms))


def as_engine_arrays(arrays: Sequence[Array]) -> list[np.ndarray[Any, Any]] | None:
    """The arrays as NumPy arrays on the same memory; None if one of them has none to share."""
    found = []
    for array in arrays:
        if type(array) is not np.ndarray:
            if not is_torch(array) or array.device.type != "cpu":
                return None
            try:
                array = array.detach().numpy()
            except (RuntimeError, TypeError):  # a wrapper of PyTorch's transforms, a lazy conjugate
                return None
        found.append(array)
    return found
