"""Parallel beam: all rays of a view have one direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from opalg.tomo.angles import as_angles
from opalg.tomo.frames import FloatArray, Frames, units
from opalg.tomo.geometry import Geometry
from opalg.tomo.matrices import frames_of_affine
from opalg.tomo.vectors import frames_of_vectors

__all__ = ["ParallelBeam"]


class ParallelBeam(Geometry):
    """Parallel rays in 2D, or in 3D a stack of slices (rays perpendicular to the rotation axis z).

    Parameters
    ----------
    angles : int or array, default 360
        So many views, equally spaced over half a turn [0, pi); or the angles in radians, any set.
    detector : int or (int, int), default 768
        Number of pixels: ``u`` in 2D, ``(v, u)`` in 3D.
    pitch : float or (float, float), default 1.0
        Distance of neighbouring pixel centres, in the unit of the grid (mm); one number, or ``(v, u)``.
    offset : float or (float, float), default 0.0
        Position of the detector's centre; a single number is that of u. With an offset *o* the
        rotation axis meets the detector at distance *-o* from its centre; see `with_axis_at`.

    Raises
    ------
    ArgumentError
        If a number makes no sense, for example angles in degrees or a pitch of zero.
    NonFiniteError
        If angles are NaN or infinite.

    Notes
    -----
    At angle *a* rays run along ``(-sin a, cos a)`` and u along ``(cos a, sin a)``, v along z. Rays in any
    other direction: `from_vectors`, or a transform such as ``tomo.rotate("x", 0.3) * geometry``.

    Examples
    --------
    >>> from opalg import tomo
    >>> geometry = tomo.ParallelBeam(angles=360, detector=768, pitch=0.5)
    >>> geometry.shape, geometry[::4].num_views, geometry[:, 64:192].detector_shape
    ((360, 768), 90, (128,))
    >>> geometry
    ParallelBeam(angles=360, detector=768, pitch=0.5)
    """

    _period: ClassVar[float] = math.pi

    def __init__(
        self,
        angles: int | npt.ArrayLike = 360,
        detector: int | Sequence[int] = 768,
        pitch: float | Sequence[float] = 1.0,
        offset: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__(as_angles(angles, math.pi), detector, pitch, offset)
        self._keep_arguments(angles)

    @classmethod
    def from_vectors(
        cls,
        direction: npt.ArrayLike,
        detector_centre: npt.ArrayLike,
        v_step: npt.ArrayLike | None,
        u_step: npt.ArrayLike,
        detector: int | Sequence[int],
    ) -> ParallelBeam:
        """Parallel rays in any direction, the detector anywhere, in every view anew.

        Parameters
        ----------
        direction : array, shape (views, ndim)
            Along the rays, of any length but zero; order (x, y) or (x, y, z).
        detector_centre : array, shape (views, ndim)
            The middle of the detector.
        v_step : array, shape (views, 3), or None in 2D
            From one detector row to the next.
        u_step : array, shape (views, ndim)
            From one pixel of a row to the next.
        detector : int or (int, int)
            Number of pixels: ``u`` in 2D, ``(v, u)`` in 3D.

        Raises
        ------
        ArgumentError
            If shapes do not fit, or rays run along the detector.

        Examples
        --------
        >>> from opalg import tomo
        >>> geometry = tomo.ParallelBeam.from_vectors(
        ...     [[0, 1]], [[0, 5]], None, [[0.5, 0]], detector=4
        ... )
        >>> geometry.rays()[0][0, :, 0].tolist()
        [-0.75, -0.25, 0.25, 0.75]
        """
        frames, shape = frames_of_vectors(
            direction, detector_centre, v_step, u_step, detector, parallel=True
        )
        return cls._of_frames(frames, shape)

    @classmethod
    def from_matrices(cls, matrices: npt.ArrayLike, detector: int | Sequence[int]) -> ParallelBeam:
        """A geometry from affine projection matrices, whose last row is zero but for its last number.

        Parameters
        ----------
        matrices : array, shape (views, 3, 4), or (views, 2, 3) in 2D
            ``P @ (x, y, z, 1) = w * (u, v, 1)`` with u, v the pixel indices, column and row, at whose centre
            the ray through (x, y, z) arrives; *w* is any number but zero, the same everywhere.
        detector : int or (int, int)
            Number of pixels: ``u`` in 2D, ``(v, u)`` in 3D.

        Returns
        -------
        ParallelBeam
            A matrix tells which points lie on one ray, not the sense in which it runs, nor where the detector
            is. Here u, rays and v are right-handed, and the detector stands beside the origin, perpendicular
            to the rays.

        Raises
        ------
        ArgumentError
            If shapes do not fit, a matrix is not affine, or has no direction of rays.
        NonFiniteError
            If a number is NaN or infinite.

        References
        ----------
        R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision", 2nd edition, Cambridge
        University Press, 2004, section 6.3.

        Examples
        --------
        >>> from opalg import tomo
        >>> laminography = tomo.rotate("x", 0.5) * tomo.ParallelBeam(8, detector=(5, 6), pitch=2.0)
        >>> P = laminography.to_matrices()
        >>> tomo.ParallelBeam.from_matrices(-3 * P, (5, 6)).is_close(laminography)
        True
        """
        return cls._of_frames(*frames_of_affine(matrices, detector))

    def _regular_frames(self) -> Frames:
        cos, sin, zero = np.cos(self.angles), np.sin(self.angles), np.zeros_like(self.angles)
        along = np.stack([-sin, cos, zero][: self.ndim], axis=-1)
        across = np.stack([cos, sin, zero][: self.ndim], axis=-1)
        centres, rows = self.offset[-1] * across, None
        if self.ndim == 3:
            rows = np.zeros_like(across)
            rows[:, 2] = self.pitch[0]
            centres[:, 2] = self.offset[0]
        return Frames(along, centres, self.pitch[-1] * across, rows, parallel=True)

    @cached_property
    def ray_directions(self) -> FloatArray:
        """Unit vectors along the rays, order (x, y) or (x, y, z); shape (views, ndim)."""
        return units(self.frames.origins)
