"""Interpolation from one uniform grid to another."""

from __future__ import annotations

from opalg.errors import ArgumentError
from opalg.operators.axiswise import Separable
from opalg.operators.interpolation import Interpolation, Outside, axis_matrix, positions_in
from opalg.spaces import Grid

__all__ = ["Resampling"]


class Resampling(Separable):
    """The values of an image at the cell centres of another grid.

    Parameters
    ----------
    domain, range : Grid
        With as many axes, in one physical unit, of one dtype.
    method : {"nearest", "linear", "cubic"}, default "linear"
        Cubic is Keys' interpolation with a = -1/2 (IEEE Transactions on Acoustics, Speech, and Signal
        Processing 29, 1981), exact for parabolas.
    boundary : {"replicate", "zero"}, default "replicate"
        What stands beyond the outermost cell centres: their values, or zero.

    Raises
    ------
    ArgumentError
        If the spaces are no grids with as many axes, or method or boundary is unknown.
    DtypeError
        If the data types differ.

    Notes
    -----
    The interpolation is one sparse matrix along each axis, so the transpose is exact and ``A.gram`` is of the
    same kind. To a coarser grid values are picked, not averaged; for averages take the adjoint of the way
    back, ``Resampling(coarse, fine).adjoint``, which divides by the ratio of the cell volumes.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> fine, coarse = oa.Grid(8, spacing=0.5), oa.Grid(4, spacing=1.0)
    >>> R = oa.Resampling(coarse, fine)
    >>> R(coarse.coordinates[0].astype("float32")).tolist()
    [-1.5, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.5]
    >>> R.adjoint(np.ones(8, "float32")).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        domain: Grid,
        range: Grid,
        method: Interpolation = "linear",
        boundary: Outside = "replicate",
    ) -> None:
        if not (isinstance(domain, Grid) and isinstance(range, Grid)):
            raise ArgumentError(
                f"Resampling leads from a Grid to a Grid, got {domain!r:.80} and {range!r:.80}"
            )
        if domain.ndim != range.ndim:
            raise ArgumentError(f"the grids must have as many axes, got {domain} and {range}")
        matrices = []
        for axis, coordinates in enumerate(range.coordinates):
            matrix = axis_matrix(
                positions_in(domain, axis, coordinates), domain.shape[axis], method, boundary
            )
            same = matrix.shape[0] == matrix.shape[1] and (matrix.diagonal() == 1).all()
            matrices.append(None if same and matrix.count_nonzero() == matrix.shape[0] else matrix)
        super().__init__(domain, range, matrices)
        self.method, self.boundary = method, boundary
