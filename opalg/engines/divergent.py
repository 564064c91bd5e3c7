"""The geometry of rays that need not be parallel or lie in slices, as the engines take it."""

from dataclasses import dataclass

import numpy as np

from opalg.errors import ArgumentError

__all__ = ["DivergentPlan", "check_shadows"]

MODELS = ("joseph", "siddon", "footprint")
_AXIS_LIMIT = 2**29  # half the range of int32, as indices within a plane are counted


@dataclass(frozen=True, eq=False)
class DivergentPlan:
    """Fan and cone beams, and parallel rays in any direction, in index coordinates of the volume.

    The centre of voxel ``[k, j, i]`` is at ``x = i, y = j, z = k``; vectors are ordered ``(x, y)`` or
    ``(x, y, z)``. In every view one ray runs from the source to the centre of every pixel. That of
    pixel ``[v, u]`` lies at::

        detectors + u * u_steps + v * v_steps                                          (flat)
        arc_centres + cos(u * arc_step) * (detectors - arc_centres)
                    + sin(u * arc_step) / arc_step * u_steps + v * v_steps             (curved)

    Parameters
    ----------
    volume_shape
        ``(ny, nx)`` or ``(nz, ny, nx)``.
    detector_shape
        ``(nu,)`` or ``(nv, nu)``.
    sources
        ``[views, ndim]``: position of the source; if `parallel`, direction of the rays (of any length
        but zero).
    detectors
        ``[views, ndim]``: centre of pixel ``[0, 0]``.
    u_steps
        ``[views, ndim]``: from a pixel to the next of its row. On a curved detector: the tangent at
        u = 0, as long as the arc from that pixel to the next.
    v_steps
        ``[views, ndim]``: from a detector row to the next. In 2D None.
    spacing
        Physical length of one index step along each axis, ``(x, y)`` or ``(x, y, z)``. Results are
        sums of values times physical lengths.
    parallel
        Whether all rays of a view run along ``sources``. They are whole lines then.
    arc_centres
        ``[views, ndim]``: for a curved detector, the point of its axis at the height of row 0. A
        detector that is equiangular seen from the source has it at the source (2D), or where
        source and row 0 demand it: ``source + s * v_steps`` (3D). None if the detector is flat.
    arc_step
        Angle between columns of a curved detector, in radians, seen from its axis.
    model
        ``"joseph"``, ``"siddon"`` or ``"footprint"``: how voxels and pixels meet (see Notes).

    Raises
    ------
    ArgumentError
        If shapes do not fit together, numbers are not finite, a direction is zero, the model is
        unknown, or it is that of footprints and the arc of a curved detector is not around the source.

    Notes
    -----
    *Joseph's method* takes one sample on each plane of the ray's dominant index axis, the one along
    which it makes most index steps (ties: y before x before z). A sample is interpolated linearly
    between the voxels around it, which are zero outside the volume, and counts with the physical
    length of the ray between two planes. A divergent ray has the samples on those planes that it
    crosses between source and pixel, both ends included. A pixel at the source sees nothing.

    *Siddon's method* takes voxels as boxes of constant value: each counts with the length of the ray
    within it, of a divergent ray as far as it lies between source and pixel. In float32 a ray that runs
    along the border of two voxels may be given to either.

    *Footprints* are areas on the detector in place of rays: each voxel counts with its volume, times the
    square of its magnification, over the area of the pixel as its ray sees it, times the part of its
    shadow within the pixel (2D: area, magnification, width). A shadow has the width and the place that
    the derivatives of the projection at the voxel's centre give it, and the shape of a trapezoid along
    u, and of a box that is blurred a little along v: the product of both. So it is exact for parallel
    rays perpendicular to z, and nearly so in all where detector rows are parallel to a plane of voxels.
    Of divergent beams those voxels count that lie wholly before the source (in the direction that the
    detector faces) and whose centre is not behind the detector. ``cuda_src/footprint.cuh`` has the
    formulas.

    Index coordinates may differ from view to view: a volume that moves needs nothing else.

    Examples
    --------
    A fan of three rays through a 2 x 3 image, from a source below it:

    >>> plan = DivergentPlan((2, 3), (3,), [[1.0, -4.0]], [[0.0, 4.0]], [[1.0, 0.0]])
    >>> plan.projection_shape
    (1, 3)
    >>> plan.pixels(0)[2]
    array([2., 4.])

    The same rays end on an arc of radius 8 around the source:

    >>> import numpy as np
    >>> plan = DivergentPlan(
    ...     (2, 3), (3,), [[1, -4]], [[1, 4]], [[1, 0]], arc_centres=[[1, -4]], arc_step=1 / 8
    ... )
    >>> np.linalg.norm(plan.pixels(0) - [1, -4], axis=-1)
    array([8., 8., 8.])
    """

    volume_shape: tuple[int, ...]
    detector_shape: tuple[int, ...]
    sources: np.ndarray
    detectors: np.ndarray
    u_steps: np.ndarray
    v_steps: np.ndarray | None = None
    spacing: tuple[float, ...] | None = None
    parallel: bool = False
    arc_centres: np.ndarray | None = None
    arc_step: float = 0.0
    model: str = "joseph"

    def __post_init__(self) -> None:
        volume, detector = self._sizes("volume_shape"), self._sizes("detector_shape")
        ndim = len(volume)
        if (ndim, len(detector)) not in {(2, 1), (3, 2)}:
            raise ArgumentError(
                "a plan has volume_shape (ny, nx) and detector_shape (nu,), or (nz, ny, nx) and "
                f"(nv, nu), not {volume} and {detector}"
            )
        if max(*volume, *detector) >= _AXIS_LIMIT:
            raise ArgumentError(f"an axis has {_AXIS_LIMIT} elements or more")
        padded = sorted(n + 64 for n in volume)
        if padded[-1] * padded[-2] >= 2**31:
            raise ArgumentError(
                f"a plane of a volume of shape {volume} has 2**31 voxels or more (64 counted behind each "
                "axis), and places within a plane have 32 bits: cut the volume along its longest axis into "
                "parts, whose projections add up, or take larger voxels"
            )
        spacing = (1.0,) * ndim if self.spacing is None else tuple(map(float, self.spacing))
        if len(spacing) != ndim or not all(0 < h < np.inf for h in spacing):
            raise ArgumentError(f"spacing must be {ndim} positive lengths, not {self.spacing}")
        if (self.v_steps is None) != (ndim == 2):
            raise ArgumentError("v_steps belong to a detector of several rows, and only there")
        if (self.arc_centres is None) != (self.arc_step == 0):
            raise ArgumentError("a curved detector has both arc_centres and an arc_step, not zero")
        if self.model not in MODELS:
            raise ArgumentError(f"model must be one of {', '.join(MODELS)}, not {self.model!r}")
        if not np.isfinite(self.arc_step):
            raise ArgumentError("arc_step must be finite")
        views = len(np.asarray(self.sources))
        for name in ("sources", "detectors", "u_steps", "v_steps", "arc_centres"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._vectors(name, (views, ndim)))
        if self.parallel and not self.sources.any(axis=1).all():
            raise ArgumentError("the direction of a view is zero")
        object.__setattr__(self, "volume_shape", volume)
        object.__setattr__(self, "detector_shape", detector)
        object.__setattr__(self, "spacing", spacing)
        object.__setattr__(self, "parallel", bool(self.parallel))
        object.__setattr__(self, "arc_step", float(self.arc_step))
        if self.model == "footprint" and not self.arcs_around_sources:
            raise ArgumentError(
                "the model 'footprint' takes a curved detector if its arc is around the source; "
                "'joseph' and 'siddon' take any"
            )

    def _sizes(self, name: str) -> tuple[int, ...]:
        sizes = tuple(int(n) for n in getattr(self, name))
        if min(sizes, default=0) < 0:
            raise ArgumentError(f"{name} must not be negative, not {sizes}")
        return sizes

    def _vectors(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        vectors = np.array(getattr(self, name), dtype=np.float64, order="C")
        if vectors.shape != shape:
            raise ArgumentError(f"{name} must have shape {shape}, not {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ArgumentError(f"{name} must be finite")
        vectors.flags.writeable = False
        return vectors

    @property
    def projection_shape(self) -> tuple[int, ...]:
        """``(views, *detector_shape)``."""
        return (len(self.sources), *self.detector_shape)

    @property
    def arcs_around_sources(self) -> bool:
        """Whether the detector is flat, or equiangular seen from the source of every view."""
        if self.arc_centres is None:
            return True
        apart = self.arc_centres - self.sources
        if self.v_steps is not None:
            v = self.v_steps
            apart = apart - v * ((apart * v).sum(axis=1) / (v * v).sum(axis=1))[:, None]
        room = 1e-9 * (1 + np.abs(self.sources).max(initial=0))
        return not self.parallel and bool(np.abs(apart).max(initial=0) <= room)

    def pixels(self, view: int) -> np.ndarray:
        """Centres of the pixels of a view, ``[*detector_shape, ndim]``."""
        u = np.arange(self.detector_shape[-1], dtype=np.float64)[:, None]
        if self.arc_centres is None:
            row = self.detectors[view] + u * self.u_steps[view]
        else:
            centre, angle = self.arc_centres[view], u * self.arc_step
            row = (
                centre
                + np.cos(angle) * (self.detectors[view] - centre)
                + np.sin(angle) / self.arc_step * self.u_steps[view]
            )
        if self.v_steps is None:
            return row
        v = np.arange(self.detector_shape[0], dtype=np.float64)[:, None, None]
        return row + v * self.v_steps[view]


def check_shadows(plan: DivergentPlan) -> None:
    """Raise `ArgumentError` unless engines know where the shadow of a voxel falls on a curved detector."""
    if plan.arc_centres is None:
        return
    upright = plan.v_steps is None or not plan.v_steps[:, :2].any()
    if not upright or not plan.arcs_around_sources:
        raise ArgumentError(
            "voxels find their shadow on a curved detector only if its arc is around the source and "
            "its rows are parallel to z: use backproject"
        )
