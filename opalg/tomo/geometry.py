"""Acquisition geometries: where the rays of every view run, and what a sinogram's axes mean.

The conventions are those of the whole library: a right-handed frame (x, y, z), lengths in one physical
unit (mm), angles in radians and counter-clockwise (x towards y). At angle 0 rays run towards +y, detector
columns u along +x and detector rows v along +z. Positions are those of pixel centres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from opalg.arrays import as_numpy, is_array
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.spaces import Space
from opalg.spaces.space import as_shape
from opalg.values import Value

__all__ = ["Geometry", "as_angles"]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Geometry(Value):
    """Base class of geometries: a set of views and a flat detector of equal pixels.

    A subclass stores its own arguments, calls ``super().__init__`` and writes `rays`, `view_weights` and
    ``_replace``; slicing, shifting, coordinates and spaces are done here.

    Parameters
    ----------
    angles : array, shape (views,)
        Radians.
    detector : int or (int, int)
        Number of pixels: ``u`` in 2D, ``(v, u)`` in 3D.
    pitch : float or (float, float)
        Distance of neighbouring pixel centres, in the axis order of ``detector``.
    offset : float or (float, float)
        Position of the detector's centre; a single number is that of u.
    """

    angles: FloatArray
    detector_shape: tuple[int, ...]
    pitch: tuple[float, ...]
    offset: tuple[float, ...]

    def __init__(
        self,
        angles: FloatArray,
        detector: int | Sequence[int],
        pitch: float | Sequence[float],
        offset: float | Sequence[float],
    ) -> None:
        self.angles = angles
        self.detector_shape = as_shape(detector, "detector")
        if len(self.detector_shape) > 2:
            raise ArgumentError(f"detector must be u or (v, u) pixels, got {detector!r}")
        axes = self.detector_axes
        self.pitch = _numbers(pitch, axes, "pitch", [pitch] * len(axes))
        self.offset = _numbers(offset, axes, "offset", [*[0.0] * (len(axes) - 1), offset])
        if min(self.pitch) <= 0:
            raise ArgumentError(f"pitch must be positive, got {pitch!r}")

    # What it is

    @property
    def num_views(self) -> int:
        """Number of views."""
        return len(self.angles)

    @property
    def ndim(self) -> int:
        """Dimension of the volume: 2 or 3."""
        return len(self.detector_shape) + 1

    @property
    def detector_axes(self) -> tuple[str, ...]:
        """Names of the detector's axes: ``("u",)`` or ``("v", "u")``."""
        return ("v", "u")[-len(self.detector_shape) :]

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of a sinogram's axes: ``("view", "u")`` or ``("view", "v", "u")``."""
        return ("view", *self.detector_axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sinogram."""
        return (self.num_views, *self.detector_shape)

    @cached_property
    def detector_coordinates(self) -> tuple[FloatArray, ...]:
        """Positions of the pixel centres on the detector, one array per detector axis."""
        return tuple(
            _frozen((np.arange(n) - (n - 1) / 2) * step + centre)
            for n, step, centre in zip(self.detector_shape, self.pitch, self.offset, strict=True)
        )

    @property
    def view_weights(self) -> FloatArray:
        """The part of the angular range, in radians, that every view stands for; shape (views,)."""
        raise NotImplementedError

    def rays(self, views: slice = slice(None)) -> tuple[FloatArray, FloatArray]:
        """Points on the rays and their unit directions.

        Parameters
        ----------
        views : slice, optional
            Which views; all by default.

        Returns
        -------
        points, directions : array
            Each broadcasts to ``(views, *detector_shape, ndim)``; the last axis is (x, y) or (x, y, z).
        """
        raise NotImplementedError

    def space(self, dtype: npt.DTypeLike = "float32") -> Space:
        """The space of sinograms.

        Its inner product carries, for each entry, the angle that the view stands for times the pixel's
        size: a constant for equally spaced views, else an array that varies over the views.
        """
        weights = self.view_weights * math.prod(self.pitch)
        mean = float(weights.mean())
        if np.allclose(weights, mean, rtol=1e-6, atol=0):
            return Space(self.shape, dtype, self.axes, mean)
        column = weights.reshape(-1, *[1] * len(self.detector_shape))
        return Space(self.shape, dtype, self.axes, column.astype(dtype))

    # Others like it

    def _replace(self, **changes: Any) -> Any:
        """The same geometry with other ``angles``, ``detector``, ``pitch`` or ``offset``."""
        raise NotImplementedError

    def shift_detector(self, u: float = 0.0, v: float = 0.0) -> Any:
        """The geometry with the detector moved along its axes, in physical units.

        Parameters
        ----------
        u, v : float
            Added to the positions of all pixels. ``v`` needs detector rows.

        Examples
        --------
        >>> from opalg import tomo
        >>> tomo.ParallelBeam(4, detector=3).shift_detector(u=0.25).detector_coordinates[0].tolist()
        [-0.75, 0.25, 1.25]
        """
        if self.ndim == 2 and v != 0:
            raise ArgumentError("a detector of a single row (2D) cannot be shifted along v")
        moved = (v, u)[-len(self.detector_shape) :]
        offset = tuple(own + step for own, step in zip(self.offset, moved, strict=True))
        return self._replace(offset=offset)

    def with_axis_at(self, column: float) -> Any:
        """The geometry with the detector placed such that the rotation axis meets a given column.

        Parameters
        ----------
        column : float
            Index along u, pixel centres being whole numbers: what `find_rotation_axis` returns.

        Examples
        --------
        >>> from opalg import tomo
        >>> tomo.ParallelBeam(4, detector=5).with_axis_at(1.5).detector_coordinates[0].tolist()
        [-1.5, -0.5, 0.5, 1.5, 2.5]
        """
        if not math.isfinite(column):
            raise NonFiniteError(f"the column of the rotation axis must be finite, got {column!r}")
        u = ((self.detector_shape[-1] - 1) / 2 - float(column)) * self.pitch[-1]
        return self._replace(offset=(*self.offset[:-1], u))

    def __len__(self) -> int:
        return self.num_views

    def __getitem__(self, key: Any) -> Any:
        """Some of the views, ``geometry[::4]``, and some of the pixels, ``geometry[:, 64:192]``.

        Views are chosen by a slice, an index array or a mask, pixels by slices. A single number keeps its
        axis. Pixel centres stay where they are; slices share the memory of the angles.
        """
        view_key, *pixel_keys = key if isinstance(key, tuple) else (key,)
        if len(pixel_keys) > len(self.detector_shape):
            raise ArgumentError(f"a geometry with axes {self.axes} takes no index {key!r}")
        angles = self.angles[_keep_axis(view_key, self.num_views, "view")]
        if angles.ndim != 1 or angles.size == 0:
            raise ArgumentError(f"the index {view_key!r} leaves no views of {self.num_views}")
        shape, pitch, offset = list(self.detector_shape), list(self.pitch), list(self.offset)
        for i, pixel_key in enumerate(pixel_keys):
            name, n = self.detector_axes[i], self.detector_shape[i]
            index = _keep_axis(pixel_key, n, name)
            if not isinstance(index, slice) or (index.step or 1) < 1:
                raise ArgumentError(
                    f"detector pixels are chosen by slices with positive steps, got {pixel_key!r} for {name}"
                )
            positions = self.detector_coordinates[i][index]
            if positions.size == 0:
                raise ArgumentError(f"the index {pixel_key!r} leaves no pixels of {n} along {name}")
            shape[i], pitch[i] = positions.size, pitch[i] * (index.step or 1)
            # An untouched axis keeps its numbers to the last bit.
            if positions.size != n:
                offset[i] = float(positions[0] + positions[-1]) / 2
        return self._replace(
            angles=angles, detector=tuple(shape), pitch=tuple(pitch), offset=tuple(offset)
        )

    def __str__(self) -> str:
        pixels = " x ".join(map(str, self.detector_shape))
        return f"{type(self).__name__} with {self.num_views} views of {pixels} pixels"


def as_angles(angles: Any, default_range: float) -> FloatArray:
    """Angles as a read-only float64 array: a count over ``default_range``, or values in radians.

    A read-only float64 array is kept as it is, so that subsets share the memory of the whole.
    """
    if isinstance(angles, (int, np.integer)) and not isinstance(angles, bool):
        if angles < 1:
            raise ArgumentError(f"angles must be a positive number of views, got {angles}")
        return _frozen(np.arange(int(angles)) * (default_range / int(angles)))
    try:
        values = np.asarray(as_numpy(angles) if is_array(angles) else angles)
        found = values if values.dtype == np.float64 else values.astype(np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.ndim != 1 or found.size == 0:
        raise ArgumentError(
            f"angles must be a number of views (int) or a list of angles in radians, got {angles!r:.60}"
        )
    if not np.isfinite(found).all():
        raise NonFiniteError("angles must be finite, got NaN or infinity")
    if float(np.ptp(found)) > 8 * math.pi:
        raise ArgumentError(
            f"angles span {float(np.ptp(found)):.4g} rad, more than four turns: are they in degrees? "
            "np.deg2rad(angles) converts them"
        )
    return found if not found.flags.writeable else _frozen(found.copy())


def _frozen(values: Any) -> FloatArray:
    values.flags.writeable = False
    return values


def _keep_axis(key: Any, length: int, name: str) -> Any:
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if not -length <= key < length:
            raise IndexError(f"index {key} is out of range for {length} along {name}")
        start = int(key) % length
        return slice(start, start + 1)
    if isinstance(key, slice):
        return key
    if is_array(key) or isinstance(key, list):
        return np.asarray(key)
    raise NotSupportedError(f"{name} cannot be chosen by {key!r}")


def _numbers(value: Any, axes: tuple[str, ...], what: str, single: list[Any]) -> tuple[float, ...]:
    try:
        found = tuple(float(v) for v in (value if np.ndim(value) else single))
    except (TypeError, ValueError):
        found = ()
    if len(found) != len(axes) or not all(math.isfinite(v) for v in found):
        raise ArgumentError(f"{what} must be one number, or one each for {axes}, got {value!r}")
    return found
