"""From and to ODL, whose angles and detector axes are those of this library.

Its arrays are ordered (angle, u, v) and (x, y, z). Spaces and operators: `opalg.interop`.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, NotSupportedError
from opalg.spaces import Grid
from opalg.tomo.cone import ConeBeam
from opalg.tomo.converters.lines import of_lines
from opalg.tomo.converters.turning import turning
from opalg.tomo.fan import FanBeam
from opalg.tomo.frames import FloatArray
from opalg.tomo.geometry import Geometry
from opalg.tomo.parallel import ParallelBeam

__all__ = ["from_odl", "grid_from_odl", "to_odl"]


def from_odl(geometry: Any) -> Any:
    """The geometry of an ODL tomography geometry, 2D or 3D; asked view by view.

    Parameters
    ----------
    geometry : odl.applications.tomo.Geometry
        Parallel, fan or cone beam, about an axis or by Euler angles; flat, circular or cylindrical detector.

    Returns
    -------
    ParallelBeam, FanBeam or ConeBeam
        Given by vectors. Euler angles that span a grid become one axis of views, the last angle fastest.

    Raises
    ------
    ArgumentError
        If it is no geometry of ODL.
    NotSupportedError
        For a spherical detector, and for pixels that are not equally spaced.

    References
    ----------
    ODL, "Geometry guide", https://odlgroup.github.io/odl/guide/geometry_guide.html.

    Examples
    --------
    >>> import odl.applications.tomo as theirs
    >>> from opalg import tomo
    >>> fan = tomo.FanBeam(6, 8, 1.0, sod=100.0, sdd=150.0, curved=True)
    >>> tomo.converters.from_odl(tomo.converters.to_odl(fan)).is_close(fan)
    True
    """
    if not hasattr(geometry, "det_point_position"):
        raise ArgumentError(f"not a tomography geometry of ODL: {geometry!r:.60}")
    partition = geometry.det_partition
    if not partition.is_uniform:
        raise NotSupportedError(
            "ODL's det_partition must be uniform: pixels are equally spaced here"
        )
    curvature = _curvature(geometry)
    motion = geometry.motion_partition.points()
    motion = motion if motion.shape[1] > 1 else motion[:, 0]
    axes = [np.asarray(v, float) for v in partition.coord_vectors]
    steps = np.asarray(partition.cell_sides, float)
    middle = np.array([(a[0] + a[-1]) / 2 for a in axes])

    def places(shift: FloatArray) -> FloatArray:
        at = middle + shift
        where = at if len(axes) == 2 else float(at[0])
        return np.array([geometry.det_point_position(a, where) for a in motion], float)

    centres = places(0 * middle)
    # Half a step to either side, which is inside the partition also if there is one pixel only.
    halves = np.diag(steps / 2)
    u = places(halves[0]) - places(-halves[0])
    v = places(halves[1]) - places(-halves[1]) if len(axes) == 2 else None
    detector = tuple(len(a) for a in axes[::-1])
    arcs = None
    if curvature:
        half = len(axes[0]) * steps[0] * 0.49  # inside the partition, which ODL checks
        ends = [places(np.array([sign * half, 0.0][: len(axes)])) for sign in (1, -1)]
        # Their mean lies on the radius, short of the middle by 1 - cos(half) of it.
        arcs = centres + ((ends[0] + ends[1]) / 2 - centres) / (1 - np.cos(half))
        u = (ends[0] - ends[1]) * (steps[0] / (2 * np.sin(half)))
    if hasattr(geometry, "src_position"):
        sources = np.array([geometry.src_position(a) for a in motion], float)
        if v is None:
            return of_lines(FanBeam.from_vectors(sources, centres, u, detector, arcs))
        return of_lines(ConeBeam.from_vectors(sources, centres, v, u, detector, arcs))
    # From the detector towards the source there; rays run the other way.
    facing = middle if len(axes) == 2 else float(middle[0])
    rays = -np.array([geometry.det_to_src(a, facing) for a in motion], float)
    return ParallelBeam.from_vectors(rays, centres, v, u, detector)


def to_odl(geometry: Geometry) -> Any:
    """The geometry as one of ODL, whose ``RayTransform`` takes it.

    Parameters
    ----------
    geometry : ParallelBeam, FanBeam or ConeBeam
        In which source and detector turn rigidly about any axis, and rise evenly along it: regular, or by
        vectors that amount to it; in 2D about the origin. Angles rise from view to view, as ODL wants them.

    Returns
    -------
    odl.applications.tomo.Geometry

    Notes
    -----
    The geometry is right for every offset, but ODL 1.0's ``RayTransform(..., impl="astra_cpu")`` takes the
    detector of a 2D parallel beam as centred, whatever its geometry says.

    Raises
    ------
    MissingExtraError
        If ODL is not installed.
    NotSupportedError
        For other geometries, and other orders of angles.

    References
    ----------
    ODL, "Geometry guide", https://odlgroup.github.io/odl/guide/geometry_guide.html.

    Examples
    --------
    >>> from opalg import tomo
    >>> cone = tomo.ConeBeam(4, (5, 6), 1.0, sod=100.0, sdd=150.0)
    >>> theirs = tomo.converters.to_odl(cone)
    >>> theirs.src_radius, theirs.det_radius, theirs.partition.shape
    (100.0, 50.0, (4, 6, 5))
    """
    found = turning(geometry, "ODL")
    regular, angles = found.regular, found.angles
    if len(angles) > 1 and not (np.diff(angles) > 0).all():
        raise NotSupportedError("ODL takes angles that rise from view to view")
    from opalg.interop.odl import import_odl

    odl = import_odl()
    theirs = importlib.import_module("odl.applications.tomo")
    views = odl.nonuniform_partition(angles)
    curved = not isinstance(regular, ParallelBeam) and regular.curved
    shape, pitch, middle = (
        np.array(a[::-1]) for a in (regular.detector_shape, regular.pitch, regular.offset)
    )
    if curved:  # its columns are angles
        pitch[0], middle[0] = pitch[0] / regular.sdd, middle[0] / regular.sdd
    half = shape * pitch / 2
    pixels = odl.uniform_partition((middle - half).tolist(), (middle + half).tolist(), shape)
    radii = () if isinstance(regular, ParallelBeam) else (regular.sod, regular.sdd - regular.sod)
    if regular.ndim == 2:
        if not radii:
            return theirs.Parallel2dGeometry(views, pixels)
        return theirs.FanBeamGeometry(views, pixels, *radii, regular.sdd if curved else None)
    placed: dict[str, Any] = {}
    if not found.about_z:
        x, y, z = found.axes.T
        ahead = "src_to_det_init" if radii else "det_pos_init"
        placed = {"axis": z, ahead: y.copy(), "det_axes_init": (x, z), "translation": found.centre}
    if not radii:
        return theirs.Parallel3dAxisGeometry(views, pixels, **placed)
    if found.rise or found.height:
        placed |= {"pitch": 2 * np.pi * found.rise, "offset_along_axis": found.height}
    curve = (regular.sdd, None) if curved else None
    try:
        return theirs.ConeBeamGeometry(views, pixels, *radii, curve, **placed)
    except ValueError as error:  # axes of a cylinder must be perpendicular to the last bit
        raise NotSupportedError(f"ODL does not take this geometry: {error}") from None


def grid_from_odl(space: Any, dtype: str = "float32") -> Grid:
    """The grid of a uniform discretisation of ODL, with axes (y, x) or (z, y, x).

    ODL's images are ordered (x, y) or (x, y, z): hand over ``x.transpose()``. `opalg.interop.from_odl` keeps
    their order of axes.

    Parameters
    ----------
    space : odl.DiscretizedSpace
        Of two or three axes.
    dtype : {"float32", "float64"}

    Raises
    ------
    ArgumentError
        If it is no discretised space.
    NotSupportedError
        If it is not uniform, or has another number of axes.

    Examples
    --------
    >>> import odl
    >>> from opalg import tomo
    >>> grid = tomo.converters.grid_from_odl(odl.uniform_discr([-1, 0], [1, 6], (4, 6)))
    >>> grid.shape, grid.spacing, grid.origin
    ((6, 4), (1.0, 0.5), (3.0, 0.0))
    """
    partition = getattr(space, "partition", None)
    if partition is None:
        raise ArgumentError(f"not a discretised space of ODL: {space!r:.60}")
    if not partition.is_uniform or partition.ndim not in (2, 3):
        raise NotSupportedError("only uniform spaces of ODL with two or three axes are grids here")
    spacing, low, high = (
        np.asarray(a, float)[::-1]
        for a in (partition.cell_sides, partition.min_pt, partition.max_pt)
    )
    return Grid(partition.shape[::-1], spacing.tolist(), dtype, ((low + high) / 2).tolist())


def _curvature(geometry: Any) -> bool:
    """Whether the detector is a circle or a cylinder; other surfaces are refused."""
    kind = type(geometry.detector).__name__
    if kind.startswith("Flat"):
        return False
    if kind not in ("CircularDetector", "CylindricalDetector"):
        raise NotSupportedError(f"ODL's det_curvature_radius makes a {kind}: none like it here")
    return True
