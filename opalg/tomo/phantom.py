"""Sums of simple bodies, with sampled images and exact line integrals.

Data made from a phantom do not come from the projector that reconstructs them, so errors of the
discretisation show. Vectors have the order (x, y) or (x, y, z), angles are radians counter-clockwise,
lengths are in the unit of the grid (mm) and values per that unit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, DtypeError
from opalg.spaces import Grid
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.shapes import Shape
from opalg.values import Value

__all__ = ["Phantom", "as_vector"]

_CHUNK = 1 << 18  # rays whose chords are computed at a time: some 50 MB of temporaries


class Phantom(Value):
    """A sum of bodies, each of constant value; overlapping values add.

    Made by the functions of `opalg.tomo.phantoms`, such as `disc`, `box` and `shepp_logan`, and
    from those by ``+``, ``2 * phantom``, `moved`, `rotated`, `scaled` and `extruded`.

    Parameters
    ----------
    shapes : sequence of Shape
        All of one dimension.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> body = tomo.phantoms.disc(radius=40.0, value=0.02)
    >>> bone = tomo.phantoms.rectangle((10.0, 4.0), value=0.03, centre=(20.0, 0.0))
    >>> phantom = body + bone.rotated(0.5)
    >>> phantom.sample(oa.Grid((64, 64), spacing=1.5)).shape
    (64, 64)
    >>> y = phantom.project(tomo.ParallelBeam(angles=4, detector=65))
    >>> round(float(y[0, 32]), 6)  # 80 mm of 0.02 / mm
    1.6
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = tuple(shapes)
        if len({shape.ndim for shape in self.shapes}) != 1:
            raise ArgumentError("a phantom is made of one or more shapes of one dimension, 2 or 3")
        self.__dict__["_arguments"] = ((self.shapes,), {})

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.shapes[0].ndim

    # Images and projections

    def sample(self, grid: Grid, supersampling: int = 4) -> np.ndarray[Any, Any]:
        """The phantom as an image: the mean over every cell.

        Parameters
        ----------
        grid : Grid
            (y, x) or (z, y, x).
        supersampling : int, default 4
            Points per axis at which cells that a surface may cross are evaluated. 1 gives the
            values at the cell centres.

        Returns
        -------
        ndarray
            Of the shape and dtype of ``grid``.
        """
        if not isinstance(grid, Grid):
            raise ArgumentError(f"a phantom is sampled on an oa.Grid, got {type(grid).__name__}")
        self._check_dimension(grid, f"a {grid.ndim}D grid")
        if not isinstance(supersampling, (int, np.integer)) or supersampling < 1:
            raise ArgumentError(f"supersampling must be a positive integer, got {supersampling!r}")
        image = np.zeros(grid.shape)
        for shape in self.shapes:
            _add_shape(image, shape, grid, int(supersampling))
        return image.astype(grid.dtype)

    def project(self, geometry: Geometry, dtype: npt.DTypeLike = "float32") -> np.ndarray[Any, Any]:
        """The exact line integrals along the rays of a geometry, one at the centre of every pixel.

        Rays of fans and cones start at the source and end at the detector; parallel ones have no ends.

        Parameters
        ----------
        geometry : Geometry
        dtype : {"float32", "float64"}
            They are computed in float64 and rounded once. The default fits a default `Grid`. Another one is a
            `DtypeError`.

        Returns
        -------
        ndarray, shape ``geometry.shape``
        """
        if not isinstance(geometry, Geometry):
            raise ArgumentError(
                f"a phantom is projected through a geometry such as tomo.ParallelBeam, got "
                f"{type(geometry).__name__}; phantom.sample(grid) gives the image on a grid"
            )
        self._check_dimension(geometry, f"a {geometry.ndim}D geometry")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DtypeError(f"projections are float32 or float64, got dtype {np.dtype(dtype)}")
        result = np.empty(geometry.shape, dtype)
        step = max(1, _CHUNK // math.prod(geometry.detector_shape))
        for start in range(0, geometry.num_views, step):
            views = slice(start, start + step)
            rays = geometry.frames.segments(geometry.detector_shape, views)
            total = np.zeros(result[views].shape)
            for shape in self.shapes:
                total += shape.value * shape.chords(*rays)
            result[views] = total
        return result

    def _check_dimension(self, other: Any, what: str) -> None:
        if other.ndim != self.ndim:
            raise ArgumentError(f"a {self.ndim}D phantom does not fit {what}")

    # Algebra

    def __add__(self, other: Any) -> Phantom:
        if not isinstance(other, Phantom):
            return NotImplemented
        return Phantom(self.shapes + other.shapes)

    def __mul__(self, factor: Any) -> Phantom:
        if not isinstance(factor, (int, float, np.number)):
            return NotImplemented
        return self._mapped(np.eye(self.ndim), np.zeros(self.ndim), float(factor))

    __rmul__ = __mul__

    def moved(self, *shift: float) -> Phantom:
        """The phantom moved by ``(x, y)`` or ``(x, y, z)``."""
        return self._mapped(np.eye(self.ndim), as_vector(shift, self.ndim, "the shift"))

    def rotated(self, angle: float, axis: str = "z") -> Phantom:
        """The phantom turned about the origin, counter-clockwise as seen against ``axis``.

        Parameters
        ----------
        angle : float
            Radians; positive angles turn x towards y about z, y towards z about x, z towards x about y.
        axis : {"x", "y", "z"}
            2D phantoms turn about z.
        """
        if axis not in ("x", "y", "z") or (self.ndim == 2 and axis != "z"):
            raise ArgumentError(f"a {self.ndim}D phantom cannot turn about {axis!r}")
        first, second = {"z": (0, 1), "x": (1, 2), "y": (2, 0)}[axis]
        matrix = np.eye(self.ndim)
        matrix[first, first] = matrix[second, second] = math.cos(angle)
        matrix[second, first] = math.sin(angle)
        matrix[first, second] = -math.sin(angle)
        return self._mapped(matrix, np.zeros(self.ndim))

    def scaled(self, factor: float | Sequence[float]) -> Phantom:
        """The phantom with all lengths multiplied by a number, or by one per axis (x, y[, z])."""
        factors = as_vector(
            factor if np.ndim(factor) else [factor] * self.ndim, self.ndim, "factor"
        )
        return self._mapped(np.diag(factors), np.zeros(self.ndim))

    def extruded(self, height: float) -> Phantom:
        """The planar phantom as one in 3D: the same in every plane, from -height / 2 to height / 2 along z.

        Raises
        ------
        ArgumentError
            If the phantom is in 3D already, or the height is not a positive length.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import tomo
        >>> rods = tomo.phantoms.derenzo(diameter=100.0).extruded(30.0)
        >>> image = rods.sample(oa.Grid((10, 32, 32), 4.0))
        >>> image.any(axis=(1, 2)).astype(int).tolist()  # planes 4 mm apart
        [0, 1, 1, 1, 1, 1, 1, 1, 1, 0]
        """
        if self.ndim != 2:
            raise ArgumentError("only phantoms in 2D are extruded, this one is in 3D")
        if not (isinstance(height, (int, float, np.number)) and 0 < height < math.inf):
            raise ArgumentError(f"height must be a positive length, got {height!r}")
        return Phantom([shape.extruded(float(height)) for shape in self.shapes])

    def __and__(self, other: Any) -> Phantom:
        """What each body has in common with a single other body, with the values of the first."""
        if not isinstance(other, Phantom):
            return NotImplemented
        if len(other.shapes) != 1 or other.ndim != self.ndim:
            raise ArgumentError(
                f"a & b takes the part of a inside of b, one body in {self.ndim}D; b is {other}"
            )
        return Phantom([shape.within(*other.shapes) for shape in self.shapes])

    def cut(self, normal: Sequence[float], distance: float) -> Phantom:
        """The part on one side of a line (2D) or plane (3D): where ``normal @ p <= distance``.

        Parameters
        ----------
        normal : sequence of float
            Order (x, y) or (x, y, z); a vector of length 1 makes ``distance`` a length.
        distance : float
            From the origin, along the normal.

        Returns
        -------
        Phantom

        Raises
        ------
        ArgumentError
            If the normal is zero, or has another dimension.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import tomo
        >>> half = tomo.phantoms.disc(10.0).cut((1.0, 0.0), 0.0)
        >>> half.sample(oa.Grid((1, 4), 4.0), supersampling=1).tolist()
        [[1.0, 1.0, 0.0, 0.0]]
        """
        across = as_vector(normal, self.ndim, "the normal")
        length = float(np.linalg.norm(across))
        if not (math.isfinite(length) and length > 0 and math.isfinite(distance)):
            raise ArgumentError(
                f"a cut needs a finite normal and distance, got {normal}, {distance}"
            )
        across = across / length
        # Half axes of the half-space: its normal, and vectors along its edge.
        along = np.linalg.svd(across[None])[2][1:]
        axes = np.stack([across, *along], axis=1)
        centre = across * (distance / length)
        side = Shape(
            "half-space",
            tuple(centre.tolist()),
            tuple(tuple(row) for row in axes.tolist()),
            1.0,
        )
        return Phantom([shape.within(side) for shape in self.shapes])

    def _mapped(self, matrix: FloatArray, shift: FloatArray, factor: float = 1.0) -> Phantom:
        return Phantom([shape.mapped(matrix, shift, factor) for shape in self.shapes])

    def __str__(self) -> str:
        return f"Phantom of {len(self.shapes)} shapes in {self.ndim}D"


def _add_shape(image: FloatArray, shape: Shape, grid: Grid, supersampling: int) -> None:
    """Add the cell means of one body, in the part of the image that it can touch."""
    spacing = np.array(grid.spacing[::-1])
    half = shape.half_widths() + spacing
    window, positions = [], []
    for axis, coordinates in enumerate(reversed(grid.coordinates)):
        low = np.searchsorted(coordinates, shape.centre[axis] - half[axis])
        high = np.searchsorted(coordinates, shape.centre[axis] + half[axis])
        window.append(slice(int(low), int(high)))
        positions.append(coordinates[low:high])
    points = np.stack(np.meshgrid(*reversed(positions), indexing="ij")[::-1], axis=-1)
    if points.size == 0:
        return
    gauge = shape.gauge(points)
    inside = (gauge <= 1).astype(float)
    if supersampling > 1:
        # Only these can be crossed by the surface.
        crossed = np.abs(gauge - 1) <= shape.reach(spacing)
        offsets = (np.arange(supersampling) + 0.5) / supersampling - 0.5
        counts = np.zeros(int(crossed.sum()))
        for offset in itertools.product(offsets, repeat=shape.ndim):
            counts += shape.gauge(points[crossed] + np.array(offset) * spacing) <= 1
        inside[crossed] = counts / supersampling**shape.ndim
    image[tuple(reversed(window))] += shape.value * inside


def as_vector(values: Any, ndim: int, what: str) -> FloatArray:
    """Numbers as a vector of the dimension, or an error that names them."""
    try:
        found = np.array(values, float)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (ndim,):
        raise ArgumentError(
            f"{what} must be {ndim} numbers {'(x, y, z)'[: 3 * ndim]}), got {values!r}"
        )
    return found
