"""Rigid and other affine motions of geometries: translate, rotate, scale, reflect, compose, invert.

Numbers, axes and points may be one for all views or one for each; then views are the first axis of an array.
What has a single view goes with any number of them, on either side.
"""

from __future__ import annotations

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

_ORIGIN = (0.0, 0.0, 0.0)
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


class Transform(Value):
    """An affine map of space, or one for each view.

    Made by `translate`, `rotate`, `scale` and `reflect`. ``T * geometry`` moves source and detector,
    ``S * T`` is T followed by S, `inverse` goes back. What moves is the geometry: a volume that
    moves by ``T`` while it is measured is seen by ``T.inverse * geometry``. A geometry or transform of one
    view broadcasts: ``rotate("z", angles) * one_view`` is a scan.

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
        linear = found[..., :3, :3]
        # Relative to the sizes of rows: any unit of length will do.
        sizes = np.linalg.norm(linear, axis=-1, keepdims=True)
        if (np.abs(np.linalg.det(linear / np.where(sizes > 0, sizes, 1.0))) < 1e-12).any():
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
        if len({self.num_views, other.num_views} - {None, 1}) > 1:
            raise ArgumentError(f"transforms of {self.num_views} and {other.num_views} views")
        return Transform(self.matrices @ other.matrices)

    def __str__(self) -> str:
        return f"Transform of {self.num_views or 'all'} views"


def _moved(transform: Transform, geometry: G) -> G:
    views, ndim = transform.num_views, geometry.ndim
    if len({views, geometry.num_views} - {None, 1}) > 1:
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
    shifts = {name: _amount(value, name) for name, value in (("x", x), ("y", y), ("z", z))}
    _check_counts(**shifts)
    return _affine(np.eye(3), np.stack(np.broadcast_arrays(*shifts.values()), axis=-1))


def rotate(
    axis: str | npt.ArrayLike, angle: npt.ArrayLike, centre: npt.ArrayLike = _ORIGIN
) -> Transform:
    """Turn about an axis, counter-clockwise as seen against it (right-handed).

    Parameters
    ----------
    axis : {"x", "y", "z"}, or vector (x, y, z), or array of shape (views, 3)
        Of any length but zero.
    angle : float, or array of shape (views,)
        Radians.
    centre : point (x, y, z), or array of shape (views, 3)
        On the axis; the origin by default.

    Raises
    ------
    ArgumentError
        If shapes do not fit, or an axis is zero.
    NonFiniteError
        If a number is NaN or infinite.

    Examples
    --------
    >>> import math
    >>> from opalg import tomo
    >>> tomo.rotate("z", math.pi / 2).points([1.0, 0.0, 0.0]).round(9).tolist()
    [0.0, 1.0, 0.0]
    """
    unit, angles, point = _direction(axis), _amount(angle, "angle"), _point(centre)
    _check_counts(axis=unit[..., 0], angle=angles, centre=point[..., 0])
    cross = np.swapaxes(np.cross(unit[..., None, :], np.eye(3)), -1, -2)
    sin, cos = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    matrix = cos * np.eye(3) + sin * cross + (1 - cos) * _outer(unit)  # Rodrigues
    return _about(matrix, point)


def scale(factor: npt.ArrayLike, centre: npt.ArrayLike = _ORIGIN) -> Transform:
    """Multiply distances from a point by positive numbers.

    Parameters
    ----------
    factor : float, or three (x, y, z), or array of shape (views, 1) or (views, 3)
        One for all axes, or one for each. Of every view its own is a column: three numbers in a row are
        those of the axes.
    centre : point (x, y, z), or array of shape (views, 3)
        What stays where it is; the origin by default.

    Raises
    ------
    ArgumentError
        If shapes do not fit, or a factor is not positive.
    NonFiniteError
        If a number is NaN or infinite.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.scale(2.0, centre=(1.0, 0.0, 0.0)).points([3.0, 1.0, 0.0]).tolist()
    [5.0, 2.0, 0.0]
    >>> tomo.scale([[1.0], [1.5]]).points([2.0, 0.0, 4.0]).tolist()
    [[2.0, 0.0, 4.0], [3.0, 0.0, 6.0]]
    """
    factors, point = _numbers(factor, "factor"), _point(centre)
    fits = factors.shape in ((), (3,)) or (factors.ndim == 2 and factors.shape[1] in (1, 3))
    if not (fits and factors.size and (factors > 0).all()):
        raise ArgumentError(
            "factor must be one positive number or three (x, y, z), or of every view its own, in an array "
            f"of shape (views, 1) or (views, 3), got {_told(factor)}"
        )
    if factors.ndim == 2:
        _check_counts(factor=factors[:, 0], centre=point[..., 0])
        factors = factors[:, None]
    return _about(np.eye(3) * factors, point)


def reflect(axis: str | npt.ArrayLike, centre: npt.ArrayLike = _ORIGIN) -> Transform:
    """Mirror at the plane through a point perpendicular to an axis.

    Parameters
    ----------
    axis : {"x", "y", "z"}, or vector (x, y, z), or array of shape (views, 3)
        Of any length but zero.
    centre : point (x, y, z), or array of shape (views, 3)
        In the plane; the origin by default.

    Raises
    ------
    ArgumentError
        If shapes do not fit, or an axis is zero.
    NonFiniteError
        If a number is NaN or infinite.

    Examples
    --------
    >>> from opalg import tomo
    >>> tomo.reflect("x", centre=(1.0, 0.0, 0.0)).points([3.0, 1.0, 0.0]).tolist()
    [-1.0, 1.0, 0.0]
    """
    unit, point = _direction(axis), _point(centre)
    _check_counts(axis=unit[..., 0], centre=point[..., 0])
    return _about(np.eye(3) - 2 * _outer(unit), point)


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


def _numbers(value: Any, name: str) -> FloatArray:
    """Finite numbers of any shape."""
    try:
        found = np.asarray(value, float)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be made of numbers, got {_told(value)}") from None
    if not np.isfinite(found).all():
        raise NonFiniteError(f"{name} must be finite, got NaN or infinity")
    return found


def _amount(value: Any, name: str) -> FloatArray:
    """A single number, or one per view."""
    found = _numbers(value, name)
    if found.ndim > 1 or found.size == 0:
        raise ArgumentError(
            f"{name} must be a number, or an array with one per view, got {_told(value)}"
        )
    return found


def _vectors(value: Any, name: str, what: str) -> FloatArray:
    """A vector, or one per view."""
    found = _numbers(value, name)
    if found.shape[-1:] != (3,) or found.ndim > 2 or found.size == 0:
        raise ArgumentError(
            f"{name} must be {what} (x, y, z), or one per view in an array of shape (views, 3), got "
            f"{_told(value)}"
        )
    return found


def _point(centre: Any) -> FloatArray:
    return _vectors(centre, "centre", "a point")


def _told(value: Any) -> str:
    """An argument in the words of an error."""
    shape = getattr(value, "shape", ())
    return f"shape {tuple(shape)}" if shape else f"{value!r:.60}"


def _direction(axis: Any) -> FloatArray:
    if isinstance(axis, str):
        axis = _AXES.get(axis, axis)
    what = "'x', 'y', 'z' or a vector"
    if isinstance(axis, str):
        raise ArgumentError(f"axis must be {what} (x, y, z), got {axis!r}")
    vectors = _vectors(axis, "axis", what)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        raise ArgumentError(f"axis must be {what} that is not zero, got {_told(axis)}")
    return vectors / lengths


def _outer(unit: FloatArray) -> FloatArray:
    return unit[..., :, None] * unit[..., None, :]


def _check_counts(**parts: FloatArray) -> None:
    """Raise `ArgumentError` if arrays over the views have different lengths."""
    counts = {name: len(part) for name, part in parts.items() if part.ndim}
    if len(set(counts.values()) - {1}) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ArgumentError(f"what is given per view must have one entry for each: {told}")


def _about(matrix: FloatArray, point: FloatArray) -> Transform:
    return _affine(matrix, point - np.einsum("...ij,...j->...i", matrix, point))


def _affine(matrix: FloatArray, shift: FloatArray) -> Transform:
    views = np.broadcast_shapes(matrix.shape[:-2], shift.shape[:-1])
    found = np.zeros((*views, 4, 4))
    found[..., :3, :3], found[..., :3, 3], found[..., 3, 3] = matrix, shift, 1.0
    return Transform(found)
