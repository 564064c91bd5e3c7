"""Filtered back projection, an operator from sinograms to images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opalg.arrays import Array
from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators import Diagonal, LinearOperator, Operator, Scaling
from opalg.operators.norms import Bounds
from opalg.operators.operator import Cost
from opalg.spaces import Space
from opalg.tomo.filters import RampFilter
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.xray import XrayTransform

__all__ = ["FBP"]


class FBP(LinearOperator):
    """Filtered back projection for parallel beams, in 2D and for stacks of slices.

    ``FBP(A)(y)`` filters every detector row with the ramp, weights every view by the angle that it
    stands for and applies ``A.H``, scaled such that absolute values are right: projections of a disc of
    0.02 / mm come back as 0.02 / mm, in every spacing and pitch.

    Parameters
    ----------
    transform : XrayTransform
        Of a `ParallelBeam` geometry; any set of angles.
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, default "ram-lak"
        See `RampFilter`; from sharp and noisy to smooth.
    frequency_scaling : float, default 1.0
        Fraction of the frequency band that the window covers.

    Attributes
    ----------
    expression : LinearOperator
        The same as an expression: ``scale @ A.H @ weights @ filter``.

    Raises
    ------
    NotSupportedError
        For other geometries.

    Notes
    -----
    The weights with which ``A.H`` spreads one view into a pixel sum to the pixel's area divided by the
    pitch, but only on average: near the axis, and wherever the pitch exceeds the pixels, they
    fluctuate from pixel to pixel. So each pixel is divided by its own sum over all views, as far
    as all views see it; beyond that by the average. (Without this a disc has an error of up
    to 3 % near the axis, and of 30 % where the pitch is twice the pixel; with it of less than 0.2 %.)

    The angles of a full turn count each direction twice, with half the weight. Truncated
    projections (an object wider than the detector) need extrapolation first; there is none here.

    References
    ----------
    A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging", IEEE Press, 1988,
    section 3.3.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> A = tomo.XrayTransform(oa.Grid((64, 64)), tomo.ParallelBeam(angles=90, detector=96))
    >>> y = tomo.phantoms.disc(radius=25.0, value=0.02).project(A.geometry)
    >>> x = tomo.FBP(A, window="hann")(y)
    >>> bool(abs(x[24:40, 24:40] / 0.02 - 1).max() < 0.01)
    True
    """

    symbol = r"\mathrm{FBP}"

    def __init__(
        self,
        transform: XrayTransform,
        window: str = "ram-lak",
        frequency_scaling: float = 1.0,
    ) -> None:
        if not isinstance(transform, XrayTransform):
            raise ArgumentError(f"FBP takes an XrayTransform, got {transform!r:.80}")
        geometry = transform.geometry
        if not isinstance(geometry, ParallelBeam):
            raise NotSupportedError(f"FBP is for ParallelBeam, got a {type(geometry).__name__}")
        super().__init__(transform.range, transform.domain)
        ramp = RampFilter(transform.range, geometry.pitch[-1], window, frequency_scaling)
        weights = _column(geometry, transform.range)
        weigh: LinearOperator = Diagonal(weights, transform.range)
        if weights.min() == weights.max():
            weigh = Scaling(transform.range, float(weights.flat[0]))
        scale = Diagonal(_scale(transform, weights), transform.domain)
        self.expression: LinearOperator = scale @ transform.H @ weigh @ ramp
        self.transform = transform

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


def _column(geometry: ParallelBeam, space: Space) -> np.ndarray[Any, Any]:
    """The angle of every view, shaped to multiply sinograms; equal angles are made exactly so."""
    weights = geometry.view_weights
    if np.allclose(weights, weights.mean(), rtol=1e-6, atol=0):
        weights = np.full_like(weights, weights.mean())
    return weights.reshape(-1, *[1] * (space.ndim - 1)).astype(space.dtype)


def _scale(transform: XrayTransform, weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What each pixel is multiplied with after back projection."""
    geometry, grid = transform.geometry, transform.domain
    average = grid.cell_volume / math.prod(geometry.pitch)
    total = float(geometry.view_weights.sum())
    sums = transform._apply_transpose(np.broadcast_to(weights, transform.range.shape), None) / total
    y, x = grid.coordinates[-2:]
    first, last = geometry.detector_coordinates[-1][[0, -1]]
    seen = np.hypot(x, y[:, None]) <= min(-first, last)
    if grid.ndim == 3:
        (z, *_), rows = grid.coordinates, geometry.detector_coordinates[0]
        seen = seen & ((z >= rows[0]) & (z <= rows[-1]))[:, None, None]
    # Few views may miss a pixel although it lies between their rays.
    usable = seen & (sums > 0.1 * average)
    scale: np.ndarray[Any, Any] = np.where(usable, 1 / np.where(usable, sums, 1), 1 / average)
    return scale.astype(grid.dtype)
