"""Fan beam: rays in a plane from a source to a row of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from opalg.errors import ArgumentError
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.vectors import frames_of_vectors

__all__ = ["FanBeam"]


class FanBeam(DivergentBeam):
    """A source and a row of pixels that turn about the origin, in 2D.

    Parameters
    ----------
    angles : int or array
        So many views, equally spaced over a full turn; or the angles in radians, any set.
    detector : int
        Number of pixels.
    pitch : float
        Distance of neighbouring pixel centres, in the unit of the grid (mm); arc length if curved.
    sod : float
        Distance from the source to the origin, which is the rotation axis.
    sdd : float
        Distance from the source to the detector.
    curved : bool, default False
        Whether the pixels lie on an arc about the source, equal angles apart (equiangular fan).
    offset : float, default 0.0
        Position of the detector's centre along u; see `with_axis_at`.

    Attributes
    ----------
    source_positions, detector_positions : array, shape (views, 2)
        Where the source and the middle of the detector are in every view.
    u_directions : array, shape (views, 2)
        Unit vectors along the detector, in its middle.

    Raises
    ------
    ArgumentError
        If a number makes no sense, for example angles in degrees.
    NonFiniteError
        If angles are NaN or infinite.

    Notes
    -----
    At angle *a* the source is at ``sod * (sin a, -cos a)``, u runs along ``(cos a, sin a)``.

    Examples
    --------
    >>> from opalg import tomo
    >>> fan = tomo.FanBeam(angles=720, detector=560, pitch=0.2, sod=410.66, sdd=553.74)
    >>> fan.shape, fan.source_positions[0].tolist(), fan[::8].num_views
    ((720, 560), [0.0, -410.66], 90)
    """

    def __init__(
        self,
        angles: int | npt.ArrayLike,
        detector: int,
        pitch: float,
        sod: float,
        sdd: float,
        curved: bool = False,
        offset: float = 0.0,
    ) -> None:
        super().__init__(angles, detector, pitch, sod, sdd, curved, offset)
        if self.ndim != 2:
            raise ArgumentError(f"a fan has one row of pixels, got {detector!r}; see tomo.ConeBeam")

    @classmethod
    def from_vectors(
        cls,
        source: npt.ArrayLike,
        detector_centre: npt.ArrayLike,
        u_step: npt.ArrayLike,
        detector: int | Sequence[int],
        arc_centre: npt.ArrayLike | None = None,
    ) -> FanBeam:
        """Source and detector anywhere in the plane, in every view anew.

        Parameters
        ----------
        source, detector_centre : array, shape (views, 2)
            Positions (x, y) of the source and of the middle of the detector.
        u_step : array, shape (views, 2)
            From one pixel to the next; of a curved detector the tangent in its middle, as long as the arc
            between two pixels.
        detector : int
            Number of pixels.
        arc_centre : array, shape (views, 2), optional
            Of a curved detector the centre of its circle.

        Raises
        ------
        ArgumentError
            If shapes do not fit, or the source lies on the line of the detector.

        Examples
        --------
        >>> from opalg import tomo
        >>> fan = tomo.FanBeam.from_vectors([[0, -100]], [[3, 50]], [[0.5, 0]], detector=64)
        >>> fan.num_views, fan.detector_positions.tolist()
        (1, [[3.0, 50.0]])
        """
        frames, shape = frames_of_vectors(
            source, detector_centre, None, u_step, detector, arc_centre=arc_centre
        )
        return cls._of_frames(frames, shape)
