"""Rigid and other affine motions of geometries: translate, rotate, scale, reflect, compose, invert."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.values import Value

__all__ = ["Transform", "perspective", "reflect", "rotate", "scale", "translate"]

G = TypeVar("G", bound=Geometry)

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


class Transform(Value):
    """An affine map of space, or one for each view.

    Made by `translate`, `rotate`, `scale` and `reflect`. ``T * geometry`` moves source and detector,
    ``S * T`` is T followed by S, `inverse` goes back. What moves is the geometry: a volume that
    moves by ``T`` while it is measured is seen by ``T.inverse * geometry``.

    Parameters
    ----------
    matrices : array, shape (4, 4) or (views, 4, 4)
        Homogeneous coordinates, order (x, y, z, 1).

    Raises
    ------
    ArgumentError
        If shapes do not fit, or a matrix cannot be inverted.

    Examples
    --------
    >>> import numpy as np
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam(4, detector=(5, 6), pitch=1.0, sod=100.0, sdd=150.0)
    >>> tilted = tomo.rotate("x", 0.1) * cone
    >>> rising = tomo.translate(z=np.arange(4) * 2.0) * cone
    >>> rising.source_positions[:, 2].tolist()
    [0.0, 2.0, 4.0, 6.0]
    >>> T = tomo.translate(x=5.0) * tomo.rotate("z", np.pi / 2)
    >>> T.points([[1.0, 0.0, 0.0]]).round(9).tolist()
    [[5.0, 1.0, 0.0]]
    >>> (T.inverse * (T * cone)).is_close(cone)
    True
    """

    def __init__(self, matrices: npt.ArrayLike) -> None:
        found = np.array(matrices, float)
        if found.shape[-2:] != (4, 4) or found.ndim not in (2, 3):
            raise ArgumentError(
                f"matrices must have shape (4, 4) or (views, 4, 4), got {found.shape}"
            )
        if not np.isfinite(found).all():
            raise NonFiniteError("a transform must be finite, got NaN or infinity")
        if not np.array_equal(found[..., 3, :], np.broadcast_to([0, 0, 0, 1], found.shape[:-1])):
            raise ArgumentError("the last row of a transform must be 0, 0, 0, 1")
        if (np.abs(np.linalg.det(found[..., :3, :3])) < 1e-12).any():
            raise ArgumentError("a transform must be invertible: its determinant is zero")
        found.flags.writeable = False
        self.matrices = found

    @property
    def num_views(self) -> int | None:
        """How many views it has a map for; None if it is one for all."""
        return None if self.matrices.ndim == 2 else len(self.matrices)

    @cached_property
    def inverse(self) -> Transform:
        """The map back."""
        matrices = np.linalg.inv(self.matrices)
        matrices[..., 3, :] = (0, 0, 0, 1)
        return Transform(matrices)

    def points(self, points: npt.ArrayLike) -> FloatArray:
        """Where points (x, y, z) go; shape (..., 3), per view ``(views, 3)`` against as many maps."""
        p = np.asarray(points, float)
        return (
            np.einsum("...ij,...j->...i", self.matrices[..., :3, :3], p) + self.matrices[..., :3, 3]
        )

    def __getitem__(self, views: Any) -> Transform:
        """The maps of some views."""
        if self.matrices.ndim == 2:
            raise ArgumentError("this transform is one for all views: it has none to choose from")
        return Transform(self.matrices[views])

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Geometry):
            return _moved(self, other)
        if not isinstance(other, Transform):
            return NotImplemented
        counts = {n for n in (self.num_views, other.num_views) if n is not None}
        if len(counts) > 1:
            raise ArgumentError(f"transforms of {self.num_views} and {other.num_views} views")
        return Transform(self.matrices @ other.matrices)

    def __str__(self) -> str:
        return f"Transform of {self.num_views or 'all'} views"


def _moved(transform: Transform, geometry: G) -> G:
    views, ndim = transform.num_views, geometry.ndim
    if views not in (None, geometry.num_views):
        raise ArgumentError(f"a transform of {views} views does not fit a {geometry}")
    matrix, shift = transform.matrices[..., :3, :3], transform.matrices[..., :3, 3]
    if ndim == 2 and (
        np.any(matrix[..., 2, :2]) or np.any(matrix[..., :2, 2]) or np.any(shift[..., 2])
    ):
        raise ArgumentError(
            "a 2D geometry stays in its plane: only turns about z and shifts along x, y"
        )
    matrix, shift = matrix[..., :ndim, :ndim], shift[..., :ndim]
    if geometry.frames.arc_centres is not None:
        lengths = np.einsum("...ki,...kj->...ij", matrix, matrix)
        size = lengths[..., :1, :1]
        if np.abs(lengths - size * np.eye(ndim)).max() > 1e-9 * float(size.max()):
            raise ArgumentError("a curved detector cannot be scaled or sheared to another shape")
    return geometry._of_frames(geometry.frames.mapped(matrix, shift), geometry.detector_shape)


def translate(x: npt.ArrayLike = 0.0, y: npt.ArrayLike = 0.0, z: npt.ArrayLike = 0.0) -> Transform:
    """Shift by lengths along the axes; arrays of shape (views,) shift every view by its own.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.translate(z=5.0).points([0.0, 0.0, 1.0]).tolist()
    [0.0, 0.0, 6.0]
    """
    return _affine(np.eye(3), np.stack(np.broadcast_arrays(*_floats(x, y, z)), axis=-1))


def rotate(
    axis: str | Sequence[float], angle: npt.ArrayLike, centre: Sequence[float] = (0.0, 0.0, 0.0)
) -> Transform:
    """Turn about an axis, counter-clockwise as seen against it (right-handed).

    Parameters
    ----------
    axis : {"x", "y", "z"} or (float, float, float)
    angle : float, or array of shape (views,)
        Radians.
    centre : (float, float, float)
        A point on the axis.

    Examples
    --------
    >>> import math
    >>> from opalg import tomo
    >>> tomo.rotate("z", math.pi / 2).points([1.0, 0.0, 0.0]).round(9).tolist()
    [0.0, 1.0, 0.0]
    """
    x, y, z = unit = _direction(axis)
    (angles,) = _floats(angle)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sin, cos = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    matrix = cos * np.eye(3) + sin * cross + (1 - cos) * np.outer(unit, unit)  # Rodrigues
    return _about(matrix, centre)


def scale(factor: npt.ArrayLike, centre: Sequence[float] = (0.0, 0.0, 0.0)) -> Transform:
    """Multiply distances from a point by a positive number, or by one for each axis (x, y, z).

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.scale(2.0, centre=(1.0, 0.0, 0.0)).points([3.0, 1.0, 0.0]).tolist()
    [5.0, 2.0, 0.0]
    """
    (factors,) = _floats(factor)
    if factors.shape not in ((), (3,)) or not (factors > 0).all():
        raise ArgumentError(
            f"factor must be one positive number or three (x, y, z), got {factor!r}"
        )
    return _about(np.eye(3) * factors, centre)


def reflect(axis: str | Sequence[float], centre: Sequence[float] = (0.0, 0.0, 0.0)) -> Transform:
    """Mirror at the plane through a point perpendicular to an axis.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.reflect("x", centre=(1.0, 0.0, 0.0)).points([3.0, 1.0, 0.0]).tolist()
    [-1.0, 1.0, 0.0]
    """
    unit = _direction(axis)
    return _about(np.eye(3) - 2 * np.outer(unit, unit), centre)


def _floats(*values: Any) -> list[FloatArray]:
    found = []
    for value in values:
        try:
            array = np.asarray(value, float)
        except (TypeError, ValueError):
            array = np.empty((0, 0))
        if array.ndim > 1 or array.size == 0:
            raise ArgumentError(
                f"expected a number, or an array with one per view, got {value!r:.60}"
            )
        if not np.isfinite(array).all():
            raise NonFiniteError("a transform must be finite, got NaN or infinity")
        found.append(array)
    return found


def perspective(
    position: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike
) -> Transform:
    """From the coordinates of an observer: the point (a, b, c) goes to ``position + a x + b y + c z``.

    ``perspective(...).inverse * geometry`` is the geometry as the observer sees it.

    Parameters
    ----------
    position, x, y, z : array, shape (3,) or (views, 3)
        Where the observer is, and its axes, of which none lies in the plane of the others.

    Examples
    --------
    >>> from opalg import tomo
    >>> T = tomo.transforms.perspective([1, 2, 3], x=[0, 1, 0], y=[-1, 0, 0], z=[0, 0, 1])
    >>> T.points([[0, 0, 0], [1, 0, 0]]).tolist()
    [[1.0, 2.0, 3.0], [1.0, 3.0, 3.0]]
    """
    columns = np.broadcast_arrays(*(np.asarray(v, float) for v in (x, y, z, position)))
    if columns[0].shape[-1:] != (3,) or columns[0].ndim > 2:
        raise ArgumentError(
            f"perspective takes vectors (x, y, z), or one per view, got shape {columns[0].shape}"
        )
    matrix = np.stack(columns[:3], axis=-1)
    return _affine(matrix, columns[3])


def _direction(axis: Any) -> FloatArray:
    try:
        vector = np.array(_AXES[axis] if isinstance(axis, str) else axis, float)
    except (KeyError, TypeError, ValueError):
        vector = np.empty(0)
    length = float(np.linalg.norm(vector))
    if vector.shape != (3,) or not 0 < length < np.inf:
        raise ArgumentError(f"axis must be 'x', 'y', 'z' or a vector (x, y, z), got {axis!r}")
    return vector / length


def _about(matrix: FloatArray, centre: Sequence[float]) -> Transform:
    point = np.asarray(centre, float)
    if point.shape != (3,):
        raise ArgumentError(f"centre must be a point (x, y, z), got {centre!r}")
    return _affine(matrix, point - matrix @ point)


def _affine(matrix: FloatArray, shift: FloatArray) -> Transform:
    views = np.broadcast_shapes(matrix.shape[:-2], shift.shape[:-1])
    found = np.zeros((*views, 4, 4))
    found[..., :3, :3], found[..., :3, 3], found[..., 3, 3] = matrix, shift, 1.0
    return Transform(found)
