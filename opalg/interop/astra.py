"""From ASTRA: its projectors as operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, namespace
from opalg.errors import ArgumentError, SpaceMismatchError
from opalg.interop.adjoints import adjoint_is_exact
from opalg.operators import LinearOperator
from opalg.operators.costs import Cost
from opalg.spaces import Grid, Space

__all__ = ["from_astra"]


def from_astra(
    projector: Any, domain: Grid | None = None, range: Space | None = None
) -> LinearOperator:
    """A projector of ASTRA (``astra.OpTomo``) as an operator.

    Parameters
    ----------
    projector : astra.OpTomo
    domain : Grid, optional
        Of the volume; by default that of ASTRA's volume geometry, float32, axes (y, x) or (z, y, x).
    range : Space, optional
        Of the projections; by default a space with axes ("view", "u") or ("view", "v", "u"), unweighted.

    Returns
    -------
    LinearOperator
        ``A.H`` is ASTRA's back projection. Whether it is the transpose is measured once, at one random
        element, and told by ``A.exact_adjoint``: it is for the matrix projectors on the CPU ("linear",
        "line", "strip"), not for those on the GPU.

    Raises
    ------
    ArgumentError
        If ``projector`` is no ``astra.OpTomo``.
    SpaceMismatchError
        If a space has another shape than ASTRA's arrays, or is not of float32.

    Notes
    -----
    Rows of 2D images run downwards in ASTRA and upwards in a `Grid`; they are turned here, as are the axes
    of 3D projections (v, view, u). So positions mean the same on both sides.

    Examples
    --------
    >>> import astra, numpy as np
    >>> from opalg.interop import from_astra
    >>> volume = astra.create_vol_geom(6, 8)
    >>> views = astra.create_proj_geom("parallel", 1.0, 10, np.array([0.0, np.pi / 2]))
    >>> A = from_astra(astra.OpTomo(astra.create_projector("linear", views, volume)))
    >>> A.range.shape, float(A(np.ones((6, 8), "float32"))[0, 5]), A.exact_adjoint
    ((2, 10), 6.0, True)
    """
    if not all(hasattr(projector, name) for name in ("FP", "BP", "vg", "pg")):
        raise ArgumentError(
            f"from_astra takes an astra.OpTomo(projector_id), got {type(projector).__name__}"
        )
    return AstraProjector(projector, domain, range)


class AstraProjector(LinearOperator):
    """A projector of ASTRA; made by `from_astra`."""

    nonnegative = True
    symbol = "A"

    def __init__(self, projector: Any, domain: Grid | None, range: Space | None) -> None:
        volume, views = tuple(projector.vshape), tuple(projector.sshape)
        if len(views) == 3:
            views = (views[1], views[0], views[2])
        axes = ("view", "u") if len(views) == 2 else ("view", "v", "u")
        super().__init__(
            _grid(projector.vg, volume) if domain is None else domain,
            Space(views, "float32", axes) if range is None else range,
        )
        for space, shape in ((self.domain, volume), (self.range, views)):
            if space.shape != shape or space.dtype != np.float32:
                raise SpaceMismatchError(
                    f"ASTRA's array has shape {shape} and dtype float32, got {space}"
                )
        self.projector = projector
        self._flat = len(volume) == 2
        self.exact_adjoint = adjoint_is_exact(self)

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self._run(self.projector.FP, x, out, self.domain, self.range)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self._run(self.projector.BP, y, out, self.range, self.domain)

    def _run(self, kernel: Any, x: Array, out: Array | None, source: Space, target: Space) -> Array:
        batch = source.batch_shape(x)
        values = np.empty((*batch, *target.shape), np.float32)
        operand = as_numpy(x)
        for index in np.ndindex(batch):
            # ASTRA links the memory of the operand, and refuses what it could not write to.
            found = kernel(np.require(self._turn(operand[index], source), requirements=["C", "W"]))
            values[index] = self._turn(found, target)
        if out is None:
            return values if isinstance(x, np.ndarray) else namespace(x).asarray(values)
        out[...] = values if isinstance(out, np.ndarray) else namespace(out).asarray(values)
        return out

    def _turn(self, array: Any, space: Space) -> Any:
        """From ASTRA's order of axes to ours, and back."""
        if space is self.range:
            return array if self._flat else array.swapaxes(0, 1)
        return array[::-1] if self._flat else array

    def cost(self) -> Cost:
        """One sample per view, row or column of pixels, and detector pixel, at four operations each."""
        samples = self.range.size * max(self.domain.shape)
        return Cost(4 * samples, super().cost().bytes)


def _grid(geometry: Any, shape: tuple[int, ...]) -> Grid:
    options = geometry.get("options") or geometry["option"]  # the name changed between versions
    spacing, origin = [], []
    for name, count in zip("ZYX"[-len(shape) :], shape, strict=True):
        low, high = options[f"WindowMin{name}"], options[f"WindowMax{name}"]
        spacing.append((high - low) / count)
        origin.append((high + low) / 2)
    return Grid(shape, spacing, "float32", origin)
