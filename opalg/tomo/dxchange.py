"""Scans in the DXchange layout of HDF5, as written at the Advanced Photon Source and elsewhere."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opalg.errors import ArgumentError, MissingExtraError

__all__ = ["Scan", "read"]


class Scan(NamedTuple):
    """Raw data of a parallel-beam scan."""

    data: np.ndarray[Any, Any]
    """Counts, (views, v, u)."""
    flat: np.ndarray[Any, Any]
    """Counts without the object, (images, v, u)."""
    dark: np.ndarray[Any, Any]
    """Counts without the beam, (images, v, u)."""
    angles: np.ndarray[Any, Any]
    """Radians, (views,); float64."""


def read(path: str | PathLike[str], rows: slice = slice(None)) -> Scan:
    """Read a scan: ``exchange/data``, ``data_white``, ``data_dark`` and ``theta`` (in degrees).

    Parameters
    ----------
    path : path
    rows : slice, optional
        Detector rows to read; all by default.

    Returns
    -------
    Scan

    Raises
    ------
    MissingExtraError
        If h5py is not installed.
    ArgumentError
        If the file is missing or not in this layout.

    References
    ----------
    F. De Carlo et al., "Scientific data exchange: a schema for HDF5-based storage of raw and
    analyzed data", Journal of Synchrotron Radiation 21(6), 1224-1230, 2014.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("reading HDF5 needs h5py: pip install opalg[examples]") from None
    if not Path(path).is_file():
        raise ArgumentError(f"there is no file {path}")
    if not h5py.is_hdf5(path):
        raise ArgumentError(f"{path} is no HDF5 file")
    with h5py.File(path, "r") as file:
        names = ("data", "data_white", "data_dark", "theta")
        missing = [f"exchange/{name}" for name in names if f"exchange/{name}" not in file]
        if missing:
            raise ArgumentError(
                f"{path} is not in the DXchange layout: {', '.join(missing)} missing"
            )
        group = file["exchange"]
        data, flat, dark = (group[name][:, rows] for name in names[:3])
        angles = np.deg2rad(group["theta"][:].astype(float))
    if len(angles) != len(data):
        raise ArgumentError(f"{path} has {len(data)} views and {len(angles)} angles")
    return Scan(data, flat, dark, angles)
