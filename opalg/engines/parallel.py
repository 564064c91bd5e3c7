"""The geometry of parallel beams within slices, as the engines take it."""

import math
from dataclasses import dataclass

import numpy as np

from opalg.engines.divergent import DivergentPlan
from opalg.errors import ArgumentError

__all__ = ["ParallelPlan"]

_AXIS_LIMIT = 2**29  # pixels along an axis of a slice or a detector row: half the range of int32


@dataclass(frozen=True, eq=False)
class ParallelPlan:
    """A parallel-beam geometry in index coordinates of the volume.

    The centre of pixel ``[i, j]`` of a slice is at ``y = i, x = j``. In every view the rays of a
    detector row lie within a slice; detector rows lie between slices and are interpolated.

    Parameters
    ----------
    volume_shape
        ``(ny, nx)``, or ``(nz, ny, nx)`` for a stack of slices.
    detector_shape
        ``(nu,)``, or ``(nv, nu)`` for a stack.
    rays
        ``[views, 6]``: x, y of detector pixel u = 0; step of x, y from one pixel u to the next;
        direction x, y of the rays (of any length but zero). A strided view will do.
    lengths
        ``[views]``: length of the ray between consecutive planes of its dominant index axis, the
        one along which the direction is larger. Samples are taken on these planes.
    rows
        For a stack ``(first, step)``: detector row v lies at slice coordinate ``first + step * v``.
        For a single slice None.

    Raises
    ------
    ArgumentError
        If shapes do not fit together, numbers are not finite, or a direction is zero.

    Examples
    --------
    Two views of a 2 x 3 image, along y and along x:

    >>> import numpy as np
    >>> from opalg.engines.cpu import project
    >>> rays = [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]]
    >>> plan = ParallelPlan((2, 3), (3,), rays, [1.0, 1.0])
    >>> sums = np.empty((2, 3))
    >>> project(plan, np.arange(6.0).reshape(2, 3), sums)
    >>> sums
    array([[ 3.,  5.,  7.],
           [ 3., 12.,  0.]])
    """

    volume_shape: tuple[int, ...]
    detector_shape: tuple[int, ...]
    rays: np.ndarray
    lengths: np.ndarray
    rows: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        volume = _shape("volume_shape", self.volume_shape)
        detector = _shape("detector_shape", self.detector_shape)
        if (len(volume), len(detector)) not in {(2, 1), (3, 2)}:
            raise ArgumentError(
                "a plan has volume_shape (ny, nx) and detector_shape (nu,), or (nz, ny, nx) and "
                f"(nv, nu), not {volume} and {detector}"
            )
        if max(*volume[-2:], detector[-1]) >= _AXIS_LIMIT:
            raise ArgumentError(f"an axis x, y or u has {_AXIS_LIMIT} pixels or more")
        rays = np.asarray(self.rays, dtype=np.float64)
        lengths = np.asarray(self.lengths, dtype=np.float64)
        if rays.ndim != 2 or rays.shape[1] != 6:
            raise ArgumentError(f"rays must have shape (views, 6), not {rays.shape}")
        if lengths.shape != rays.shape[:1]:
            raise ArgumentError(
                f"lengths must have shape {rays.shape[:1]}, one per view, not {lengths.shape}"
            )
        if not (np.isfinite(rays).all() and np.isfinite(lengths).all()):
            raise ArgumentError("rays and lengths must be finite")
        if not rays[:, 4:].any(axis=1).all():
            raise ArgumentError("the direction of a view is zero")
        if (self.rows is None) != (len(volume) == 2):
            raise ArgumentError("rows=(first, step) belongs to a stack of slices, and only there")
        rows = None if self.rows is None else (float(self.rows[0]), float(self.rows[1]))
        if rows is not None and not all(map(math.isfinite, rows)):
            raise ArgumentError("rows must be finite")
        object.__setattr__(self, "volume_shape", volume)
        object.__setattr__(self, "detector_shape", detector)
        object.__setattr__(self, "rays", rays)
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "rows", rows)

    @property
    def projection_shape(self) -> tuple[int, ...]:
        """``(views, *detector_shape)``."""
        return (len(self.rays), *self.detector_shape)

    def spacing(self) -> tuple[float, float] | None:
        """The physical length of one index step along x and y that makes rays as long as they are.

        Returns
        -------
        tuple of float or None
            None if there is none, because views were given lengths that belong to no common grid.
        """
        if not len(self.rays):
            return 1.0, 1.0
        squares = self.rays[:, 4:] ** 2
        wanted = squares.max(axis=1) * self.lengths**2
        # |(spacing_x dx, spacing_y dy)|^2 = (length max(|dx|, |dy|))^2 for the views' directions (dx, dy).
        found, *_ = np.linalg.lstsq(squares, wanted, rcond=1e-12)
        # An axis along which no ray runs does not matter.
        found = np.where(squares.any(axis=0), found, found.max(initial=0))
        if not (found > 0).all() or not np.allclose(squares @ found, wanted, rtol=1e-9, atol=0):
            return None
        x, y = np.sqrt(found).tolist()
        return x, y

    def as_rays(self) -> DivergentPlan:
        """The same geometry, every ray by itself, in the units of `spacing` or else of one."""
        start, step, direction = (self.rays[:, k : k + 2] for k in (0, 2, 4))
        spacing = self.spacing() or (1.0, 1.0)
        if self.rows is None:
            return DivergentPlan(
                self.volume_shape,
                self.detector_shape,
                direction,
                start,
                step,
                spacing=spacing,
                parallel=True,
            )

        def at_height(vectors: np.ndarray, z: float) -> np.ndarray:
            return np.pad(vectors, ((0, 0), (0, 1)), constant_values=((0, 0), (0, z)))

        return DivergentPlan(
            self.volume_shape,
            self.detector_shape,
            at_height(direction, 0),
            at_height(start, self.rows[0]),
            at_height(step, 0),
            at_height(np.zeros_like(start), self.rows[1]),
            spacing=(*spacing, 1.0),
            parallel=True,
        )


def _shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in shape)
    if min(sizes, default=0) < 0:
        raise ArgumentError(f"{name} must not be negative, not {sizes}")
    return sizes
