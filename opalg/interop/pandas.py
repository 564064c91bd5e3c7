"""To and from pandas: arrays of one or two axes with the positions of their entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError, MissingExtraError
from opalg.interop.coordinates import labels_of, space_of
from opalg.spaces import Space

__all__ = ["from_pandas", "to_pandas"]


def to_pandas(x: Array, space: Space, coordinates: Any = None) -> Any:
    """An element of a space of one axis as a ``pandas.Series``, of two axes as a ``pandas.DataFrame``.

    Parameters
    ----------
    x : array
        Element of ``space``, of any library, without batch axes.
    space : Space
        Gives the names of index and columns, and, if it is a `Grid`, the positions.
    coordinates : mapping or geometry, optional
        Positions for axes by name; or the geometry of a sinogram.

    Returns
    -------
    pandas.Series or pandas.DataFrame

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    ArgumentError
        If the space has more than two axes or is a product, there are batch axes, or coordinates do not
        fit.

    Examples
    --------
    >>> import numpy as np, opalg as oa
    >>> from opalg.interop import to_pandas
    >>> print(to_pandas(np.ones((2, 3), "float32"), oa.Grid((2, 3), spacing=0.5)))
    x     -0.5   0.0   0.5
    y
    -0.25   1.0   1.0   1.0
     0.25   1.0   1.0   1.0
    """
    pandas = _pandas()
    if not isinstance(space, Space) or space.ndim > 2:
        raise ArgumentError(
            f"pandas holds arrays of one or two axes, not elements of {space}; use to_xarray"
        )
    values = as_numpy(space.check(x, "x"))
    if values.ndim != space.ndim:
        raise ArgumentError(
            f"pandas holds one element at a time, got batch axes {values.shape[: -space.ndim]}; use to_xarray"
        )
    labels = [
        pandas.Index(np.arange(extent) if points is None else points, name=name)
        for extent, (name, points) in zip(
            space.shape, labels_of(space, coordinates).items(), strict=True
        )
    ]
    return (pandas.Series if space.ndim == 1 else pandas.DataFrame)(values, *labels)


def from_pandas(table: Any) -> tuple[np.ndarray[Any, Any], Space]:
    """The values of a ``pandas.Series`` or ``pandas.DataFrame`` and the space they lie in.

    Parameters
    ----------
    table : pandas.Series or pandas.DataFrame
        Of numbers; integers become floating-point numbers.

    Returns
    -------
    values : numpy.ndarray
    space : Space
        A `Grid` if index and columns are uniform numbers, else a `Space` with their names ("axis0", "axis1"
        without any). An axis whose labels fall is turned round; one of a single entry has spacing 1.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    ArgumentError
        If ``table`` is something else, or holds more than numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from opalg.interop import from_pandas
    >>> values, space = from_pandas(pd.Series([1.0, 2.0], index=pd.Index([10.0, 10.5], name="u")))
    >>> print(space, values.tolist())
    Grid (2,) [u] float64, spacing 0.5 [1.0, 2.0]
    """
    pandas = _pandas()
    if not isinstance(table, (pandas.Series, pandas.DataFrame)):
        raise ArgumentError(
            f"from_pandas takes a Series or a DataFrame, got {type(table).__name__}"
        )
    values = table.to_numpy()
    if values.dtype.kind not in "biufc":
        raise ArgumentError(
            f"from_pandas takes a table of numbers, got values of type {values.dtype}"
        )
    names = [f"axis{i}" if axis.name is None else axis.name for i, axis in enumerate(table.axes)]
    return space_of(values, names, [axis.to_numpy() for axis in table.axes])


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("pandas is not installed: pip install opalg[tables]") from None
    return pandas
