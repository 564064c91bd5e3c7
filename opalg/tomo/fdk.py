"""The method of Feldkamp, Davis and Kress, an operator from cone-beam projections to volumes."""

from __future__ import annotations

import numpy.typing as npt

from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators import LinearOperator
from opalg.tomo.cone import ConeBeam
from opalg.tomo.filtered import FilteredBackProjection, of_scan, refuse_masked_pixels
from opalg.tomo.filters import Window
from opalg.tomo.xray import XrayTransform

__all__ = ["FDK"]


class FDK(FilteredBackProjection):
    """Filtered back projection for cone beams whose source runs on a circle.

    ``FDK(A)(y)`` weights by the cosine, filters every detector row with the ramp and back projects by
    distance; absolute values are right in the plane of the circle and nearly so beside it, where a part of
    what would be needed is not measured.

    Parameters
    ----------
    transform : XrayTransform
        Of a `ConeBeam`, flat or curved, over a full turn or a short scan. Given by vectors or matrices its
        sources must lie on a circle; a flat detector may be rolled and tilted, see the notes; the arc of a
        curved one must be around the source and its axis parallel to z.
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, function or array
        See `RampFilter`; from sharp and noisy to smooth.
    frequency_scaling : float, default 1.0
        Fraction of the frequency band that the window covers.
    redundancy : {"full turn", "parker", "riess", "wang"} or array, optional
        See `FBP`.
    filter : LinearOperator, optional
        From ``A.range`` to ``A.range``, in place of the ramp; a `FrequencyFilter` can be learned. Rows of a
        moved detector are longer when they are filtered, and a rolled one has others:
        ``FDK(A).filter.domain`` is their space.

    Attributes
    ----------
    expression : LinearOperator
        The same as an expression, ``B @ weights @ filter @ weights`` with B the `VoxelBackProjection`. If the
        detector is rolled or tilted, a resampling of the views comes first.
    filter : LinearOperator
        The ramp in it, or what was given instead.

    Raises
    ------
    NotSupportedError
        For other geometries: a helix; laminography, in which no ray runs in the plane of the circle, so that
        a cone of frequencies is not measured.

    Warns
    -----
    AccuracyWarning
        If the views cover less than half a turn plus the fan angle, or none sees the axis.

    Notes
    -----
    A flat detector that is rolled, tilted or slanted against the axis, in every view by its own angles if
    wished, is replaced by an upright one behind the same sources: with columns parallel to the axis,
    perpendicular to the ray that meets it, as large as the shadow of the detector and with pixels as
    small. Views are interpolated there (cubic). Values are line integrals and need no factor.

    References
    ----------
    L. A. Feldkamp, L. C. Davis and J. W. Kress, "Practical cone-beam algorithm", Journal of the
    Optical Society of America A 1(6), 612-619, 1984.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam(angles=60, detector=(24, 40), pitch=2.0, sod=150.0, sdd=250.0)
    >>> A = tomo.XrayTransform(oa.Grid((8, 24, 24), spacing=1.2), cone)
    >>> y = tomo.phantoms.ball(radius=12.0, value=0.02).project(cone)
    >>> x = tomo.FDK(A, window="hann")(y)
    >>> bool(abs(x[4, 9:15, 9:15] / 0.02 - 1).max() < 0.01)
    True
    """

    symbol = r"\mathrm{FDK}"

    def __init__(
        self,
        transform: XrayTransform,
        window: Window = "ram-lak",
        frequency_scaling: float = 1.0,
        redundancy: str | npt.ArrayLike | None = None,
        filter: LinearOperator | None = None,
    ) -> None:
        if not isinstance(transform, XrayTransform):
            raise ArgumentError(f"FDK takes an XrayTransform, got {transform!r:.80}")
        refuse_masked_pixels(transform, "FDK")
        if not isinstance(transform.geometry, ConeBeam):
            raise NotSupportedError(
                f"FDK is for ConeBeam, got a {type(transform.geometry).__name__}; see tomo.FBP"
            )
        steps = of_scan(transform, window, frequency_scaling, redundancy, filter)
        super().__init__(transform, steps)
