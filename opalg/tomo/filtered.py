"""What FBP and FDK share: operators that are an expression of filters, weights and a back projection."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array
from opalg.errors import AccuracyWarning, ArgumentError
from opalg.operators import Diagonal, LinearOperator, Operator, Scaling
from opalg.operators.costs import Cost
from opalg.operators.norms import Bounds
from opalg.spaces import Space
from opalg.tomo import weights
from opalg.tomo.circle import circular_scan
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.filters import RampFilter, Window
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.voxel_driven import VoxelBackProjection
from opalg.tomo.xray import XrayTransform

__all__ = ["FilteredBackProjection", "of_circle", "redundancy_weights", "refuse_masked_pixels"]

_BY_NAME = {
    "full turn": weights.full_turn,
    "parker": weights.parker,
    "riess": weights.riess,
    "wang": weights.wang,
}


class FilteredBackProjection(LinearOperator):
    """Base class of `FBP` and `FDK`: applies its attribute ``expression``."""

    expression: LinearOperator
    transform: XrayTransform

    def __init__(self, transform: XrayTransform, expression: LinearOperator) -> None:
        super().__init__(transform.range, transform.domain)
        self.transform = transform
        self.expression = expression
        self.exact_adjoint = expression.exact_adjoint
        self.trainable = expression.trainable

    def _apply(self, x: Array, out: Array | None) -> Array:
        return self.expression._apply(x, out)

    def _apply_transpose(self, y: Array, out: Array | None) -> Array:
        return self.expression.H._apply(y, out)

    def _trace(self, x: Array) -> Array:
        return self.expression._trace(x)

    def _norm_bounds(self) -> Bounds:
        return self.expression.norm_bounds()

    def cost(self) -> Cost:
        return self.expression.cost()

    def _children(self) -> tuple[Operator, ...]:
        return (self.expression,)


def refuse_masked_pixels(transform: XrayTransform, name: str) -> None:
    """Raise if pixels are masked: a filter would take them for measured zeros."""
    if transform._hidden_pixels is not None:
        raise ArgumentError(
            f"{name} would take masked pixels for measured zeros: interpolate them and give it a transform "
            "without detector_mask, or use a solver such as solvers.SIRT"
        )


def of_circle(
    transform: XrayTransform,
    window: Window,
    frequency_scaling: float,
    redundancy: Any,
    filter: LinearOperator | None,
) -> LinearOperator:
    """The expression for sources on a circle: the distance weight is that of the back projection."""
    geometry, space = transform.geometry, transform.range
    assert isinstance(geometry, DivergentBeam)
    scan = circular_scan(geometry)
    shared = redundancy_weights(geometry, redundancy)
    arc_step = geometry.frames.arc_step
    ramp = filter or RampFilter(space, geometry.pitch[-1], window, frequency_scaling, arc_step)
    angles = scan.view_weights * scan.sod / scan.sdd
    weigh = _diagonal(weights.cosine(geometry) * shared, space)
    per_view = _diagonal(angles.reshape(-1, *[1] * (space.ndim - 1)), space)
    return VoxelBackProjection(transform, weighted=True) @ per_view @ ramp @ weigh


def _diagonal(values: FloatArray, space: Space) -> LinearOperator:
    """Multiplication by an array that broadcasts; equal factors are made exactly so."""
    if np.allclose(values, values.flat[0], rtol=1e-9, atol=0):
        return Scaling(space, float(values.flat[0]))
    return Diagonal(values.astype(space.dtype), space)


def redundancy_weights(geometry: Geometry, choice: Any) -> np.ndarray[Any, Any]:
    """Weights by name, by an array, or those that fit the scan; warns if a scan is too short for any."""
    if choice is None:
        found, missing = weights.automatic(geometry)
        if missing:
            warnings.warn(
                f"{missing}: values come out wrong where rays are missing. Choose redundancy='riess' or an "
                "array of weights to have no warning, or a solver such as solvers.CGLS",
                AccuracyWarning,
                stacklevel=5,
            )
        return found
    if isinstance(choice, str):
        if choice not in _BY_NAME:
            raise ArgumentError(f"redundancy must be one of {', '.join(_BY_NAME)}, got {choice!r}")
        return _BY_NAME[choice](geometry)
    given = np.asarray(as_numpy(choice) if is_array(choice) else choice, float)
    try:
        fits = np.broadcast_shapes(given.shape, geometry.shape) == geometry.shape
    except ValueError:
        fits = False
    if not fits or not np.isfinite(given).all():
        raise ArgumentError(
            f"redundancy weights must be finite and broadcast to {geometry.shape}, got shape {given.shape}"
        )
    return given.reshape((1,) * (len(geometry.shape) - given.ndim) + given.shape)
