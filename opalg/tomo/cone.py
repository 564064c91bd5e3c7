"""Cone beam: rays in space from a source to a detector of rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError
from opalg.tomo.divergent import DivergentBeam
from opalg.tomo.matrices import frames_of_matrices
from opalg.tomo.vectors import frames_of_vectors

__all__ = ["ConeBeam"]


class ConeBeam(DivergentBeam):
    """A source and a detector that turn about the z axis; or, by `from_vectors`, move freely.

    Parameters
    ----------
    angles : int or array
        So many views, equally spaced over a full turn; or the angles in radians, any set.
    detector : (int, int)
        Number of pixels ``(v, u)``: rows, columns.
    pitch : float or (float, float)
        Distance of neighbouring pixel centres, ``(v, u)`` or one for both, in the unit of the grid
        (mm); along u arc length if curved.
    sod : float
        Distance from the source to the rotation axis.
    sdd : float
        Distance from the source to the detector.
    curved : bool, default False
        Whether the detector lies on a cylinder about the line through the source parallel to z.
    offset : float or (float, float), default 0.0
        Position of the detector's centre; a single number is that of u. See `with_axis_at`.

    Attributes
    ----------
    source_positions, detector_positions : array, shape (views, 3)
        Where the source and the middle of the detector are in every view.
    u_directions, v_directions : array, shape (views, 3)
        Unit vectors along the rows and columns of the detector, in its middle.

    Raises
    ------
    ArgumentError
        If a number makes no sense, for example angles in degrees.
    NonFiniteError
        If angles are NaN or infinite.

    Notes
    -----
    At angle *a* the source is at ``sod * (sin a, -cos a, 0)``, u runs along ``(cos a, sin a, 0)`` and v
    along z. Row 0 is the lowest. Tilted axes: ``tomo.rotate("x", 0.2) * cone``; moving volumes: the inverse
    motion of the geometry.

    Examples
    --------
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam(angles=240, detector=(256, 320), pitch=0.4, sod=210.66, sdd=553.74)
    >>> cone.shape, cone[::4].num_views, cone[:, 64:192, :].detector_shape
    ((240, 256, 320), 60, (128, 320))
    """

    def __init__(
        self,
        angles: int | npt.ArrayLike,
        detector: Sequence[int],
        pitch: float | Sequence[float],
        sod: float,
        sdd: float,
        curved: bool = False,
        offset: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__(angles, detector, pitch, sod, sdd, curved, offset)
        if self.ndim != 3:
            raise ArgumentError(
                f"a cone has detector=(v, u) pixels, got {detector!r}; for one row see tomo.FanBeam"
            )

    @classmethod
    def helical(
        cls,
        turns: float,
        pitch_per_turn: float,
        views_per_turn: int,
        detector: Sequence[int],
        pitch: float | Sequence[float],
        sod: float,
        sdd: float,
        curved: bool = False,
    ) -> ConeBeam:
        """Source and detector on a helix, its middle at z = 0.

        Parameters
        ----------
        turns : float
            Turns about the z axis, counter-clockwise, from angle 0.
        pitch_per_turn : float
            By how much source and detector rise in a turn; negative ones sink.
        views_per_turn : int
        detector, pitch, sod, sdd, curved
            See `ConeBeam`.

        Examples
        --------
        >>> from opalg import tomo
        >>> helix = tomo.ConeBeam.helical(
        ...     turns=3,
        ...     pitch_per_turn=20.0,
        ...     views_per_turn=180,
        ...     detector=(64, 512),
        ...     pitch=1.0,
        ...     sod=500.0,
        ...     sdd=1000.0,
        ... )
        >>> helix.num_views, float(helix.source_positions[180, 2] - helix.source_positions[0, 2])
        (540, 20.0)
        """
        views = round(turns * views_per_turn)
        if views < 1 or not np.isfinite(pitch_per_turn):
            raise ArgumentError(
                "a helix needs a positive number of turns and of views per turn, and a finite pitch, got "
                f"turns={turns!r}, views_per_turn={views_per_turn!r}, pitch_per_turn={pitch_per_turn!r}"
            )
        steps = np.arange(views)
        # Of one turn, as views_per_turn later a view has to be exactly above.
        angles = 2 * np.pi * np.mod(steps, views_per_turn) / views_per_turn
        circle = cls(angles, detector, pitch, sod, sdd, curved)
        rise = np.zeros((views, 3))
        rise[:, 2] = (steps - (views - 1) / 2) * (pitch_per_turn / views_per_turn)
        return cls._of_frames(circle.frames.mapped(np.eye(3), rise), circle.detector_shape)

    @classmethod
    def from_vectors(
        cls,
        source: npt.ArrayLike,
        detector_centre: npt.ArrayLike,
        v_step: npt.ArrayLike,
        u_step: npt.ArrayLike,
        detector: Sequence[int],
        arc_centre: npt.ArrayLike | None = None,
    ) -> ConeBeam:
        """Source and detector anywhere, in every view anew.

        Parameters
        ----------
        source, detector_centre : array, shape (views, 3)
            Positions (x, y, z) of the source and of the middle of the detector.
        v_step, u_step : array, shape (views, 3)
            From one detector row, and from one column, to the next. They need not be perpendicular. Of a
            curved detector ``u_step`` is the tangent in the middle, as long as the arc between columns.
        detector : (int, int)
            Number of pixels ``(v, u)``.
        arc_centre : array, shape (views, 3), optional
            Of a curved detector the point of its axis at the height of ``detector_centre``.

        Raises
        ------
        ArgumentError
            If shapes do not fit, or the source lies in the plane of the detector.
        NonFiniteError
            If a vector is NaN or infinite.

        Examples
        --------
        >>> from opalg import tomo
        >>> free = tomo.ConeBeam.from_vectors(
        ...     source=[[0, -100, 0]],
        ...     detector_centre=[[0, 50, 0]],
        ...     v_step=[[0, 0, 1]],
        ...     u_step=[[1, 0, 0]],
        ...     detector=(64, 64),
        ... )
        >>> free.shape
        (1, 64, 64)
        """
        frames, shape = frames_of_vectors(
            source, detector_centre, v_step, u_step, detector, arc_centre=arc_centre
        )
        return cls._of_frames(frames, shape)

    @classmethod
    def from_matrices(
        cls, matrices: npt.ArrayLike, detector: Sequence[int], sdd: float | None = None
    ) -> ConeBeam:
        """A geometry from 3x4 projection matrices, as calibrations give them.

        Parameters
        ----------
        matrices : array, shape (views, 3, 4)
            ``P @ (x, y, z, 1) = w * (u, v, 1)`` with u, v the pixel indices, column and row, at whose centre
            the ray through (x, y, z) arrives. Any scale and either sign of the depth *w*.
        detector : (int, int)
            Number of pixels ``(v, u)``.
        sdd : float, optional
            Distance from the source to the plane of the detector. A matrix tells where rays run, not where
            they end; by default the detector stands as far behind the origin as the source before it.

        Raises
        ------
        ArgumentError
            If shapes do not fit, a matrix has no source position, or the source lies beside the origin,
            so that nothing tells on which side the detector is.
        NonFiniteError
            If a number is NaN or infinite.

        References
        ----------
        R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision", 2nd edition, Cambridge
        University Press, 2004, section 6.2.

        Examples
        --------
        >>> from opalg import tomo
        >>> cone = tomo.ConeBeam(8, detector=(5, 6), pitch=2.0, sod=100.0, sdd=150.0)
        >>> tomo.ConeBeam.from_matrices(-3 * cone.to_matrices(), (5, 6), sdd=150.0).is_close(cone)
        True
        """
        frames, shape = frames_of_matrices(matrices, detector, sdd)
        return cls._of_frames(frames, shape)
