"""What geometries show of themselves."""

from __future__ import annotations

from typing import Any

from opalg.spaces import Grid
from opalg.tomo.drawing import draw, scene
from opalg.tomo.frames import Frames
from opalg.tomo.svg import Svg, as_svg

__all__ = ["Pictures"]


class Pictures:
    """The methods of `Geometry` that draw."""

    detector_shape: tuple[int, ...]

    @property
    def frames(self) -> Frames:
        """Written by the geometry."""
        raise NotImplementedError

    def show(self, grid: Grid | None = None, views: int = 12) -> Any:
        """Draw source, detector and volume: in 3D, or in the plane.

        Parameters
        ----------
        grid : Grid, optional
            The volume, drawn as a box; without it the largest ball that the first view sees, roughly.
        views : int, default 12
            How many of the views are drawn with their detector; the sources of all are.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks display it. Without Matplotlib: `to_svg`.

        Raises
        ------
        MissingExtraError
            If Matplotlib is not installed.
        """
        return draw(self.frames, self.detector_shape, grid, views, str(self))

    def to_svg(
        self,
        grid: Grid | None = None,
        views: int = 12,
        azimuth: float = -1.2,
        elevation: float = 0.5,
        size: int = 480,
        seconds: float = 0.0,
    ) -> Svg:
        """The picture of `show` as SVG text, seen from far away; needs no other package.

        Parameters
        ----------
        grid, views
            As for `show`.
        azimuth, elevation : float
            Where the eye is, in radians: from the x axis towards y, and above the plane z = 0.
        size : int, default 480
            Width and height in pixels.
        seconds : float, default 0.0
            If positive, the views are shown one after the other, so long for all of them.

        Returns
        -------
        str
            Notebooks display it.

        Examples
        --------
        >>> from opalg import tomo
        >>> text = tomo.ConeBeam(8, (5, 6), 1.0, sod=100.0, sdd=150.0).to_svg()
        >>> text[:40]
        '<svg xmlns="http://www.w3.org/2000/svg" '
        """
        shown = scene(self.frames, self.detector_shape, grid, views)
        return as_svg(shown, str(self), azimuth, elevation, size, seconds)
