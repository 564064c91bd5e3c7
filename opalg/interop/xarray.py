"""To and from xarray: arrays with named axes and the positions of their entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError, MissingExtraError
from opalg.interop.coordinates import labels_of, space_of
from opalg.spaces import Space

__all__ = ["from_xarray", "to_xarray"]


def to_xarray(x: Array, space: Space, coordinates: Any = None, name: str | None = None) -> Any:
    """An element of a space as an ``xarray.DataArray``.

    Parameters
    ----------
    x : array
        Element of ``space``, of any library; batch axes are named "batch0", "batch1", ...
    space : Space
        Gives the names of the axes ("axis0", ... without any), and, if it is a `Grid`, the positions.
    coordinates : mapping or geometry, optional
        Positions for axes by name; or the geometry of a sinogram: then "view" holds the angles and "u", "v"
        the positions on the detector.
    name : str, optional
        Name of the array.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    ArgumentError
        If the space is a product (convert its parts), or coordinates do not fit.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg import tomo
    >>> from opalg.interop import to_xarray
    >>> A = tomo.XrayTransform(oa.Grid((4, 6), 0.5), tomo.ParallelBeam(3, detector=8, pitch=0.5))
    >>> image = to_xarray(A.domain.ones(), A.domain)
    >>> image.dims, float(image.sel(x=0.9, method="nearest").x)
    (('y', 'x'), 0.75)
    >>> sinogram = to_xarray(A(A.domain.ones()), A.range, A.geometry)
    >>> float(sinogram.sel(view=0.0, u=0.25))
    2.0
    """
    xarray = _xarray()
    if not isinstance(space, Space):
        raise ArgumentError(
            f"to_xarray takes an element of a Space, not of {space}; convert its parts"
        )
    values = as_numpy(space.check(x, "x"))
    labels = labels_of(space, coordinates)
    batch = [f"batch{i}" for i in range(values.ndim - space.ndim)]
    known = {label: points for label, points in labels.items() if points is not None}
    return xarray.DataArray(values, dims=[*batch, *labels], coords=known, name=name)


def from_xarray(array: Any, batch: Sequence[str] = ()) -> tuple[np.ndarray[Any, Any], Space]:
    """The values of an ``xarray.DataArray`` and the space they lie in.

    Parameters
    ----------
    array : xarray.DataArray
        Integers become floating-point numbers.
    batch : sequence of str
        Dimensions that are batch axes; they are moved to the front.

    Returns
    -------
    values : numpy.ndarray
    space : Space
        A `Grid` if the coordinates of all dimensions are uniform, else a `Space` with their names. Dimensions
        whose coordinates fall are turned round; one of a single entry has spacing 1.

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    ArgumentError
        If ``array`` is no ``DataArray``, or has no such batch dimension.

    Examples
    --------
    >>> import numpy as np, xarray
    >>> from opalg.interop import from_xarray
    >>> values, space = from_xarray(
    ...     xarray.DataArray([1.0, 2.0, 3.0], coords={"x": [0.0, 0.5, 1.0]})
    ... )
    >>> print(space, space.origin)
    Grid (3,) [x] float64, spacing 0.5 (0.5,)
    """
    xarray = _xarray()
    if not isinstance(array, xarray.DataArray):
        raise ArgumentError(f"from_xarray takes an xarray.DataArray, got {type(array).__name__}")
    unknown = set(batch) - set(array.dims)
    if unknown:
        raise ArgumentError(f"the array has the dimensions {array.dims}, not {sorted(unknown)}")
    array = array.transpose(*batch, ...)
    own = array.dims[len(batch) :]
    positions = [array.coords[name].values if name in array.coords else None for name in own]
    return space_of(array.values, own, positions)


def _xarray() -> Any:
    try:
        import xarray
    except ImportError:
        raise MissingExtraError("xarray is not installed: pip install opalg[tables]") from None
    return xarray
