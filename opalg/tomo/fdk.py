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
    """Filtered back projection for cone beams whose source runs on a circle or along a helix.

    ``FDK(A)(y)`` weights by the cosine, filters every detector row with the ramp and back projects by
    distance; absolute values are right in the plane of the circle and nearly so beside it, where a part of
    what would be needed is not measured.

    Parameters
    ----------
    transform : XrayTransform
        Of a `ConeBeam`, flat or curved, over a full turn or a short scan. Given by vectors or matrices its
        sources must lie on a circle; a flat detector may be rolled and tilted, see the notes; the arc of a
        curved one must be around the source and its axis parallel to z. Or they run along a helix about an
        axis parallel to z, to which the detector stands upright, one view after the other.
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
        detector is rolled or tilted, a resampling of the views comes first. Along a helix B takes from every
        view the slices near its source.
    filter : LinearOperator
        The ramp in it, or what was given instead.

    Raises
    ------
    NotSupportedError
        For other geometries, such as laminography, in which no ray runs in the plane of the circle, so that a
        cone of frequencies is not measured. For a helix if the detector is too low; the message names the
        height that it needs, and the largest rise.

    Warns
    -----
    AccuracyWarning
        As `FBP`: if the views cover less than half a turn plus the fan angle, leave out ranges, or none sees
        the axis, or if the detector is moved to one side in less than a full turn. If a volume has slices
        that less than a full turn of a helix sees, or that need angles which it leaves out.

    Notes
    -----
    A flat detector that is rolled, tilted or slanted against the axis, in every view by its own angles if
    wished, is replaced by an upright one behind the same sources: with columns parallel to the axis,
    perpendicular to the ray that meets it, as large as the shadow of the detector and with pixels as
    small. Views are interpolated there (cubic). Values are line integrals and need no factor.

    Along a helix every view is weighted and filtered as on a circle at the height of its source, and every
    slice takes the views of the turn about it: of a turn that rises by *h* those within 3/8 *h*, and a
    share, which falls to nothing at 5/8 *h*, of those beyond, so that at each angle the shares of all turns
    sum to 1. Values are as right as those of a circle; nothing corrects for rays that leave the slice. Wider
    shares, up to a triangle over two turns, change the error inside a ball and a head by less than a
    thousandth, and need a detector of up to twice the height.

    If the interpolation of the transform is "texture", a CUDA device needs the memory of the projections once
    more (`VoxelBackProjection`).

    References
    ----------
    L. A. Feldkamp, L. C. Davis and J. W. Kress, "Practical cone-beam algorithm", Journal of the
    Optical Society of America A 1(6), 612-619, 1984. G. Wang, T.-H. Lin, P. Cheng and D. M. Shinozaki, "A
    general cone-beam reconstruction algorithm", IEEE Transactions on Medical Imaging 12(3), 486-496, 1993.

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
