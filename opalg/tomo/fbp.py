"""Filtered back projection, an operator from sinograms to images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators import Diagonal, LinearOperator, Scaling
from opalg.spaces import Grid, Space
from opalg.tomo.fan import FanBeam
from opalg.tomo.filtered import (
    FilteredBackProjection,
    of_scan,
    redundancy_weights,
    refuse_masked_pixels,
    row_filter,
)
from opalg.tomo.filtered_parts import Steps
from opalg.tomo.filters import Window
from opalg.tomo.frames import FloatArray
from opalg.tomo.parallel import ParallelBeam
from opalg.tomo.parallel_scan import scan_of
from opalg.tomo.xray import XrayTransform

__all__ = ["FBP"]


class FBP(FilteredBackProjection):
    """Filtered back projection for parallel beams (also stacks of slices) and fan beams.

    ``FBP(A)(y)`` filters every detector row with the ramp, weights every view by the angle that it
    stands for and back projects, scaled such that absolute values are right: projections of a disc of
    0.02 / mm come back as 0.02 / mm, in every spacing and pitch.

    Parameters
    ----------
    transform : XrayTransform
        Of a `ParallelBeam` or `FanBeam` geometry; any set of angles. Given by vectors a fan must have its
        sources on a circle, and parallel rays must be perpendicular to one axis: a scan that was moved or
        turned as a whole, shifts and views in any order, detectors rolled or tilted as in `FDK`.
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, function or array
        See `RampFilter`; from sharp and noisy to smooth.
    frequency_scaling : float, default 1.0
        Fraction of the frequency band that the window covers.
    redundancy : {"full turn", "parker", "riess", "wang"} or array, optional
        How rays share their weight with those that run the same way back; see `opalg.tomo.weights`. By
        default what fits the scan: one half over a full turn, Wang's weights if the detector is moved to
        one side, Parker's for a short scan. Parallel beams take no names, as views share by their angles.
    filter : LinearOperator, optional
        From ``A.range`` to ``A.range``, in place of the ramp; a `FrequencyFilter` can be learned. Rows of a
        moved detector are longer when they are filtered: ``FBP(A).filter.domain`` is their space.

    Attributes
    ----------
    expression : LinearOperator
        The same as an expression, whose parts can be printed and used.
    filter : LinearOperator
        The ramp in it, or what was given instead.

    Raises
    ------
    NotSupportedError
        For other geometries, such as laminography, whose rays are not perpendicular to the axis: there a
        solver is needed, such as `opalg.solvers.CGLS`.
    ArgumentError
        If weights or filter do not fit.

    Warns
    -----
    AccuracyWarning
        If views cover less than half a turn (of fans plus the fan angle), if of several ranges that are
        missing one is seen from no side, if none sees the axis, or if the detector is moved to one side (by
        more than a tenth of the sum of both) in less than a full turn.

    Notes
    -----
    Parallel beams: ``scale @ A.H @ weights @ filter``. The weights with which ``A.H`` spreads one view into a
    pixel sum to the pixel's area divided by the pitch, but only on average: near the axis they fluctuate from
    pixel to pixel. So each pixel is divided by its own sum over all views, as far as all views see it; beyond
    that by the average. (Without this a disc has an error of up to 3 % near the axis; with it of less than
    0.1 %.) The angles of a full turn count each direction twice, with half the weight.

    Fan beams, and parallel ones that are given by vectors, whose detector is moved to one side, or whose
    pitch exceeds the spacing of pixels (or slices), so that lines pass some of them by:
    ``B @ weights @ filter @ weights`` with B the `VoxelBackProjection`, of fans by distance, and the
    redundancy weights on the right, of fans with the cosine.

    A detector that is moved to one side, in a scan over a full turn, sees of an object what it does not reach
    half a turn later. *Moved* means that the sides differ by more than a hundredth of the whole. Its rows are
    weighted, continued by zeros to the width of the longer side, filtered, and projected back with what the
    filter put there; without that, values would be off by a fifth. Up to a tenth weights stay one half as far
    as they can, for the sake of noise. In less than a full turn such rays are missing; those that were
    measured from one side only count whole. (`opalg.tomo.preprocessing.half_turn` joins both halves of a full
    one for other methods.)

    Several ranges of angles may be missing (up to eight gaps, each more than four times as wide as all
    others). If fans see them from the other side, rays share their weights by how far inside of a range their
    views are. Else views beside them stand for them, as for parallel rays.

    Pixels may have another pitch in every view: the ramp is that of the mean pitch, and views are scaled to
    their own.

    If the transform has a ``memory_limit``, views are filtered and back projected in groups; a ``filter``
    that is no `FrequencyFilter` is applied to all at once. What the operator itself holds is not counted:
    for parallel beams the factors of the pixels, an array like the image.

    If its interpolation is "texture", B needs the memory of the sinogram once more on a CUDA device; ``A.H``
    does not use texture units.

    Truncated projections (an object wider than the detector) need extrapolation first; there is none here.

    References
    ----------
    A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging", IEEE Press, 1988,
    sections 3.3 and 3.4. F. Noo, M. Defrise, R. Clackdoyle and H. Kudo, "Image reconstruction from fan-beam
    projections on less than a short scan", Physics in Medicine and Biology 47(14), 2525-2546, 2002.

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
        window: Window = "ram-lak",
        frequency_scaling: float = 1.0,
        redundancy: str | npt.ArrayLike | None = None,
        filter: LinearOperator | None = None,
    ) -> None:
        if not isinstance(transform, XrayTransform):
            raise ArgumentError(f"FBP takes an XrayTransform, got {transform!r:.80}")
        refuse_masked_pixels(transform, "FBP")
        geometry = transform.geometry
        if not isinstance(geometry, (FanBeam, ParallelBeam)):
            raise NotSupportedError(
                f"FBP is for ParallelBeam and FanBeam, got a {type(geometry).__name__}; cone beams "
                "are reconstructed by tomo.FDK, any geometry by a solver such as solvers.CGLS"
            )
        if (
            isinstance(geometry, ParallelBeam)
            and _hits_all_pixels(geometry, transform.domain)
            and not scan_of(geometry).moved
        ):
            weigh = redundancy_weights(geometry, redundancy)
            ramp = row_filter(filter, transform, geometry.pitch[-1], window, frequency_scaling)
            before: list[LinearOperator] = [ramp, _of_views(transform, geometry)]
            if redundancy is not None:
                before.insert(0, Diagonal(weigh.astype(transform.range.dtype), transform.range))
            scale = _scale(transform, _column(geometry, transform.range))
            steps = Steps(before, transform.H, ramp, Diagonal(scale, transform.domain))
        else:
            steps = of_scan(transform, window, frequency_scaling, redundancy, filter)
        super().__init__(transform, steps)


def _hits_all_pixels(geometry: ParallelBeam, grid: Grid) -> bool:
    """Whether the rays are regular, and so close that lines leave out no pixel, and no slice."""
    sizes = (*grid.spacing[:-2], min(grid.spacing[-2:]))
    return geometry.regular and all(
        pitch <= (1 + 1e-6) * size for pitch, size in zip(geometry.pitch, sizes, strict=True)
    )


def _of_views(transform: XrayTransform, geometry: ParallelBeam) -> LinearOperator:
    weights = _column(geometry, transform.range)
    if weights.min() == weights.max():
        return Scaling(transform.range, float(weights.flat[0]))
    return Diagonal(weights, transform.range)


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
    scale: np.ndarray[Any, Any] = _ratio(np.full(grid.shape, average), sums, seen) / average
    return scale.astype(grid.dtype)


def _ratio(expected: FloatArray, found: FloatArray, seen: Any) -> np.ndarray[Any, Any]:
    """``expected / found`` where all views see a pixel, else 1."""
    # Few views may miss a pixel although it lies between their rays.
    usable = seen & (found > 0.1 * expected)
    ratio: np.ndarray[Any, Any] = np.where(usable, expected / np.where(usable, found, 1), 1.0)
    return ratio.astype(found.dtype)
