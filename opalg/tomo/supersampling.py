"""The X-ray transform of finer voxels or pixels, as an operator between the coarser ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.errors import ArgumentError
from opalg.operators import LinearOperator, Resampling, Separable
from opalg.spaces import Grid
from opalg.tomo.geometry import Geometry
from opalg.tomo.xray import XrayTransform

__all__ = ["supersampled"]


def supersampled(
    grid: Grid, geometry: Geometry, voxels: int = 1, detector: int = 1, **options: Any
) -> LinearOperator:
    """The X-ray transform with voxels and detector pixels divided into smaller ones.

    Every voxel is divided into ``voxels`` parts along each axis, which all have its value; every detector
    pixel into ``detector`` parts along each of its axes, the mean of which is measured. So the result is the
    product *mean* @ `XrayTransform` of finer grid and geometry @ *repetition*, and its transpose is exact.

    Parameters
    ----------
    grid : Grid
    geometry : Geometry
    voxels, detector : int, default 1
        Number of parts along each axis.
    options
        Of the finer `XrayTransform`: ``model``, ``memory_limit`` and their like; no masks.

    Returns
    -------
    LinearOperator
        From ``grid`` to ``geometry.space(grid.dtype)``. Of a part of the views, ask for the transform of
        ``geometry[views]``.

    Raises
    ------
    ArgumentError
        If a number of parts is no positive integer; and as `XrayTransform`.

    Notes
    -----
    Time and memory grow with the number of finer voxels and pixels. The model ``"footprint"`` measures the
    whole area of a pixel by itself, and is quicker than the mean over finer pixels.

    Examples
    --------
    >>> import opalg as oa
    >>> from opalg import tomo
    >>> A = tomo.supersampled(oa.Grid((8, 8)), tomo.ParallelBeam(4, detector=6), detector=3)
    >>> A.domain.shape, A.range.shape
    ((8, 8), (4, 6))
    """
    for name, value in (("voxels", voxels), ("detector", detector)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(f"{name} must be a positive integer, got {value!r}")
    coarse = XrayTransform(grid, geometry, **options)  # which checks all the rest
    if voxels == detector == 1:
        return coarse
    fine_grid = Grid(
        tuple(n * voxels for n in grid.shape),
        tuple(h / voxels for h in grid.spacing),
        grid.dtype,
        grid.origin,
    )
    fine = XrayTransform(fine_grid, divided(geometry, int(detector)), **options)
    found: LinearOperator = fine
    if voxels > 1:
        found = found @ Resampling(grid, fine_grid, "nearest")
    if detector > 1:
        import scipy.sparse

        mean = np.full((1, detector), 1 / detector)
        means = [scipy.sparse.kron(scipy.sparse.eye(n), mean) for n in geometry.detector_shape]
        found = Separable(fine.range, coarse.range, [None, *means]) @ found
    return found


def divided(geometry: Geometry, parts: int) -> Geometry:
    """The geometry with every pixel divided into ``parts`` along each axis of the detector."""
    detector = tuple(n * parts for n in geometry.detector_shape)
    if geometry.regular:
        return geometry._replace(detector=detector, pitch=tuple(h / parts for h in geometry.pitch))
    frames = geometry.frames.binned(**dict.fromkeys(geometry.detector_axes, 1 / parts))
    return geometry._of_frames(frames, detector)
