"""Acquisition geometries: where the rays of every view run, and what a sinogram's axes mean.

The conventions are those of the whole library: a right-handed frame (x, y, z), lengths in one physical
unit (mm), angles in radians and counter-clockwise (x towards y). At angle 0 rays run towards +y, detector
columns u along +x and detector rows v along +z. Positions are those of pixel centres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from opalg.arrays import short_repr
from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid, Space
from opalg.spaces.indexing import chosen_cells, keep_axis, one_index_per_axis
from opalg.tomo.angles import angle_weights
from opalg.tomo.astra_form import projection_dictionary, volume_dictionary
from opalg.tomo.frames import FloatArray, Frames, frozen, units
from opalg.tomo.indexing import as_detector, one_per_axis, short
from opalg.tomo.matrices import matrices_of_frames
from opalg.tomo.movable import MovableDetector
from opalg.tomo.pictures import Pictures
from opalg.tomo.serialisation import read, write
from opalg.values import Value

__all__ = ["Geometry"]


class Geometry(MovableDetector, Pictures, Value):
    """Base class of geometries: a set of views, and a detector of equal pixels in each.

    Every geometry knows its `frames`, the position of source and detector in each view. A *regular*
    geometry, in which a rigid source and detector turn about the z axis, is described by a few numbers;
    any other by its vectors. Two geometries of one class are equal if their frames are.

    A subclass stores the arguments of its regular form, calls ``super().__init__`` and writes
    ``_regular_frames`` and ``_numbers``; slicing, shifting, coordinates and spaces are done here.

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

    _period: ClassVar[float] = 2 * math.pi  # after which views repeat

    angles: FloatArray
    detector_shape: tuple[int, ...]
    pitch: tuple[float, ...]
    offset: tuple[float, ...]
    regular: bool

    def __init__(
        self,
        angles: FloatArray,
        detector: int | Sequence[int],
        pitch: float | Sequence[float],
        offset: float | Sequence[float],
    ) -> None:
        self.angles = angles
        self.regular = True
        self.detector_shape = as_detector(detector)
        axes = self.detector_axes
        self.pitch = one_per_axis(pitch, axes, "pitch", [pitch] * len(axes))
        self.offset = one_per_axis(offset, axes, "offset", [*[0.0] * (len(axes) - 1), offset])
        if min(self.pitch) <= 0:
            raise ArgumentError(f"pitch must be positive, got {pitch!r}")

    def _keep_arguments(self, angles: Any) -> None:
        """Keep the arguments in their final form: an array of the caller may change later."""
        counted = isinstance(angles, (int, np.integer))
        kept: dict[str, Any] = {
            "angles": int(angles) if counted else self.angles,
            "detector": short(self.detector_shape),
            "pitch": short(self.pitch),
            **self._numbers(),
        }
        if any(self.offset):
            kept["offset"] = short(self.offset) if self.ndim == 2 else self.offset
        self.__dict__["_arguments"] = ((), kept)

    # The two forms

    def _numbers(self) -> dict[str, Any]:
        """Further arguments of the regular form, by name."""
        return {}

    def _regular_frames(self) -> Frames:
        raise NotImplementedError

    @cached_property
    def frames(self) -> Frames:
        """Position of source and detector in every view."""
        frames = self._regular_frames()
        return frames._with(**frames.arrays)

    @classmethod
    def _of_frames(cls, frames: Frames, detector: tuple[int, ...]) -> Self:
        """A geometry that is described by its vectors."""
        self = object.__new__(cls)
        parts = self.__dict__
        parts["frames"] = frames._with(**frames.arrays)
        parts["regular"] = False
        parts["detector_shape"] = tuple(detector)
        parts["angles"] = frozen(frames.angles)
        steps = [s for s in (frames.v_steps, frames.u_steps) if s is not None]
        parts["pitch"] = tuple(float(np.linalg.norm(s, axis=1).mean()) for s in steps)
        parts["offset"] = (0.0,) * len(steps)
        parts["_arguments"] = ((), {})
        return self

    def _key(self) -> tuple[Any, ...]:
        return self.detector_shape, self.frames.key

    def __reduce__(self) -> tuple[Any, ...]:
        if self.regular:
            return super().__reduce__()
        return _rebuild, (type(self), self.frames, self.detector_shape)

    def __repr__(self) -> str:
        if self.regular:
            return super().__repr__()
        frames = self.frames
        vectors = {
            "direction" if frames.parallel else "source": frames.origins,
            "detector_centre": frames.centres,
            "v_step": frames.v_steps,
            "u_step": frames.u_steps,
            "arc_centre": frames.arc_centres,
        }
        if self.ndim == 2 and not frames.parallel:
            del vectors["v_step"]  # which a fan does not take
        if frames.arc_centres is None:
            del vectors["arc_centre"]
        words = [f"{name}={short_repr(value)}" for name, value in vectors.items()]
        words.append(f"detector={short(self.detector_shape)!r}")
        return f"{type(self).__name__}.from_vectors({', '.join(words)})"

    def is_close(self, other: Geometry, tolerance: float = 1e-8) -> bool:
        """Whether another geometry is the same up to rounding.

        Parameters
        ----------
        other : Geometry
        tolerance : float, default 1e-8
            Largest difference of any coordinate, in the unit of length.

        Examples
        --------
        >>> from opalg import tomo
        >>> fan = tomo.FanBeam(8, detector=5, pitch=1.0, sod=100.0, sdd=200.0)
        >>> turned = tomo.rotate("z", -0.3) * (tomo.rotate("z", 0.3) * fan)
        >>> turned == fan, turned.is_close(fan)
        (False, True)
        """
        return (
            type(self) is type(other)
            and self.detector_shape == other.detector_shape
            and self.frames.is_close(other.frames, tolerance)
        )

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
        """Positions of the pixel centres on the detector, one array per detector axis.

        On a curved detector u is arc length. A geometry given by vectors counts from the middle of its
        detector, with the mean pitch of its views.
        """
        return tuple(
            frozen((np.arange(n) - (n - 1) / 2) * step + centre)
            for n, step, centre in zip(self.detector_shape, self.pitch, self.offset, strict=True)
        )

    @cached_property
    def detector_positions(self) -> FloatArray:
        """The middle of the detector in every view, shape (views, ndim).

        Of a regular parallel beam, which ends nowhere, the point beside the rotation axis.
        """
        return self.frames.centres

    @cached_property
    def u_directions(self) -> FloatArray:
        """Unit vectors along detector rows, in which u rises; shape (views, ndim)."""
        return units(self.frames.u_steps)

    @cached_property
    def v_directions(self) -> FloatArray:
        """Unit vectors along detector columns, in which v rises; shape (views, 3)."""
        if self.frames.v_steps is None:
            raise NotSupportedError("a detector of a single row (2D) has no v axis")
        return units(self.frames.v_steps)

    @cached_property
    def view_weights(self) -> FloatArray:
        """The part of the angular range, in radians, that every view stands for; shape (views,).

        In a regular geometry half the distance to the next view on either side: modulo half a turn for
        parallel rays, a full turn for others. Views of one direction share its weight. Where a range is
        missing (a gap more than four times wider than any other) the views beside it count as if it were
        of the usual width. Given by vectors, views of 2D count by the directions of parallel rays, or those
        in which the detectors of fans face; in 3D, where there need be no axis, all views count alike.
        """
        if self.regular:
            return angle_weights(self.angles, self._period)
        if self.ndim == 2:
            ahead = self.frames.origins if self.frames.parallel else self.frames.normals
            return angle_weights(np.arctan2(-ahead[:, 0], ahead[:, 1]), self._period)
        return frozen(np.full(self.num_views, self._period / self.num_views))

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
        return self.frames.rays(self.detector_shape, views)

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

    def _replace(self, **changes: Any) -> Self:
        """The same regular geometry with other ``angles``, ``detector``, ``pitch`` or ``offset``."""
        own = {"detector": self.detector_shape, "pitch": self.pitch, "offset": self.offset}
        return type(self)(**{**self._arguments[1], **own, **changes})

    def __len__(self) -> int:
        return self.num_views

    def __getitem__(self, key: Any) -> Self:
        """Some of the views, ``geometry[::4]``, and some of the pixels, ``geometry[:, 64:192]``.

        Views are chosen by a slice, an index array or a mask; pixels by slices, or by indices and masks
        that leave equally spaced ones. A single number keeps its axis. Pixel centres stay where they
        are; slices share the memory of the views. ``...`` stands for all that is left out.
        """
        view_key, *pixel_keys = one_index_per_axis(key, self.axes)
        views = keep_axis(view_key, self.num_views, "view")
        angles = self.angles[views]
        if angles.ndim != 1 or angles.size == 0:
            raise ArgumentError(f"the index {view_key!r} leaves no views of {self.num_views}")
        shape, steps, middles = list(self.detector_shape), [1, 1], [0.0, 0.0]
        for i, pixel_key in enumerate(pixel_keys):
            n = self.detector_shape[i]
            shape[i], steps[i], middles[i] = chosen_cells(pixel_key, n, self.detector_axes[i])
        if not self.regular:
            frames = self.frames.take(views)
            if tuple(shape) != self.detector_shape:
                names = self.detector_axes
                frames = frames.moved_in_plane(**dict(zip(names, middles, strict=False)))
                frames = frames.binned(**dict(zip(names, steps, strict=False)))
            return self._of_frames(frames, tuple(shape))
        axes = range(len(shape))
        return self._replace(
            angles=angles,
            detector=tuple(shape),
            pitch=tuple(self.pitch[i] * steps[i] for i in axes),
            offset=tuple(self.offset[i] + self.pitch[i] * middles[i] for i in axes),
        )

    # For files and eyes

    def to_json(self) -> str:
        """The geometry as text, from which `from_json` makes an equal one, to the last bit.

        Examples
        --------
        >>> from opalg import tomo
        >>> fan = tomo.FanBeam(8, detector=5, pitch=1.0, sod=100.0, sdd=200.0)
        >>> tomo.Geometry.from_json(fan.to_json()) == fan
        True
        """
        name = type(self).__name__
        if self.regular:
            return write(name, self.detector_shape, arguments=self._arguments[1])
        return write(name, self.detector_shape, frames=self.frames)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The geometry that `to_json` wrote; of this class, or of one derived from it.

        Raises
        ------
        ArgumentError
            If the text is no such geometry.
        """
        found: Self = read(text, {kind.__name__: kind for kind in _family(cls)})
        return found

    def to_matrices(self) -> FloatArray:
        """The projection matrix of every view, float64: 3x4 in 3D, 2x3 in 2D.

        Returns
        -------
        array, shape (views, ndim, ndim + 1)
            ``P @ (x, y, z, 1) = w * (u, v, 1)`` with u, v the pixel indices, column and row, where the ray
            through (x, y, z) arrives. Of fans and cones *w* is the distance from the source along the normal
            of the detector, positive in front of the source; of parallel rays it is one. In 2D there is
            neither z nor v.

        Raises
        ------
        NotSupportedError
            If the detector is curved: then no matrix does that.

        Examples
        --------
        >>> from opalg import tomo
        >>> P = tomo.ParallelBeam(2, detector=(5, 6), pitch=2.0).to_matrices()
        >>> (P @ [7.0, 0.0, -4.0, 1.0]).tolist()  # of columns 0 to 5, rows 0 to 4
        [[6.0, 0.0, 1.0], [2.5, 0.0, 1.0]]
        """
        return matrices_of_frames(self.frames, self.detector_shape)

    def to_astra(self, grid: Grid) -> tuple[dict[str, Any], dict[str, Any]]:
        """ASTRA's projection geometry (in vector form) and volume geometry, as dictionaries.

        Back: `opalg.tomo.converters.from_astra`. 2D images have their row 0 at the largest y there, 3D
        projections the order (v, view, u).

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import tomo
        >>> views, volume = tomo.FanBeam(4, 5, 1.0, 100.0, 150.0).to_astra(oa.Grid((8, 8)))
        >>> views["type"], views["Vectors"].shape, volume["GridRowCount"]
        ('fanflat_vec', (4, 6), 8)
        """
        views = projection_dictionary(self.frames, self.detector_shape)
        return views, volume_dictionary(grid, self.ndim)

    def __str__(self) -> str:
        pixels = " x ".join(map(str, self.detector_shape))
        form = "" if self.regular else ", given by vectors"
        return f"{type(self).__name__} with {self.num_views} views of {pixels} pixels{form}"


def _family(cls: type[Geometry]) -> list[type[Any]]:
    return [cls, *(kind for child in cls.__subclasses__() for kind in _family(child))]


def _rebuild(cls: type[Geometry], frames: Frames, detector: tuple[int, ...]) -> Geometry:
    return cls._of_frames(frames, detector)
