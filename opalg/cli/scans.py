"""Measured scans as a problem to solve: line integrals and the X-ray transform that fits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opalg import tomo
from opalg.errors import ArgumentError
from opalg.spaces import Grid

__all__ = ["Measured", "read_scan"]


class Measured(NamedTuple):
    """A scan that is ready for reconstruction."""

    y: np.ndarray[Any, Any]
    """Line integrals, (view, u) or (view, v, u)."""
    A: tomo.XrayTransform
    summary: str
    """A sentence for the user."""


def read_scan(
    path: Path,
    rows: str | int = "middle",
    axis: float | None = None,
    size: int | None = None,
    pixel_size: float | None = None,
) -> Measured:
    """Read a scan in the DXchange layout and prepare it.

    Flat and dark correction, the logarithm and, unless it is given, the search for the rotation axis.

    Parameters
    ----------
    path : Path
    rows : str or int
        "middle", one row, or "first:last" for a volume.
    axis : float, optional
        Column of the rotation axis.
    size : int, optional
        Pixels along an edge of the image.
    pixel_size : float, optional
        Edge of a detector pixel in mm; 1 by default, so that lengths are in pixels.

    Raises
    ------
    ArgumentError
        If the file is missing or has another layout, or rows or sizes cannot be meant.
    """
    if size is not None and size < 1:
        raise ArgumentError(f"the size of the image must be positive, got {size}")
    chosen, single = _rows(path, rows)
    scan = tomo.dxchange.read(path, chosen)
    dark = scan.dark.astype(float).mean(axis=0)
    flat = scan.flat.astype(float).mean(axis=0)
    dead = int(np.count_nonzero(flat <= dark))
    transmission = tomo.preprocessing.transmission(scan.data, np.maximum(flat, dark + 1), dark)
    y = tomo.preprocessing.line_integrals(transmission, minimum=1e-4)
    found = axis is None
    if axis is None:
        axis = tomo.find_rotation_axis(y, scan.angles)
    y = np.ascontiguousarray(y[:, 0, :]) if single else y
    columns = y.shape[-1]
    pitch = 1.0 if pixel_size is None else pixel_size
    geometry = tomo.ParallelBeam(scan.angles, detector=y.shape[1:], pitch=pitch)
    geometry = geometry.with_axis_at(axis)
    size = size or columns
    spacing = columns * pitch / size
    grid = (
        Grid((size, size), spacing)
        if single
        else Grid((y.shape[1], size, size), (pitch, spacing, spacing))
    )
    where = f"row {chosen.start}" if single else f"rows {chosen.start} to {chosen.stop - 1}"
    summary = (
        f"{path.name}: {y.shape[0]} views of {columns} columns, {where}, rotation axis at column "
        f"{axis:.2f} ({'found' if found else 'given'})"
    )
    if dead:
        summary += f"; {dead} pixels are no brighter in the flat field than in the dark one"
    return Measured(y, tomo.XrayTransform(grid, geometry), summary)


def _rows(path: Path, rows: str | int) -> tuple[slice, bool]:
    """The detector rows that are meant, and whether it is a single one."""
    tomo.dxchange.read(path, slice(0, 1))  # says what is wrong with the file
    import h5py

    with h5py.File(path, "r") as file:
        count = int(file["exchange/data"].shape[1])
    text = str(rows).strip()
    if text == "middle":
        return slice(count // 2, count // 2 + 1), True
    first, colon, last = text.partition(":")
    try:
        start = int(first or 0)
        stop = (int(last) if last else count) if colon else start + 1
    except ValueError:
        raise ArgumentError(
            f"rows must be 'middle', a number such as 12 or a range such as 10:20, got {text!r}"
        ) from None
    if not 0 <= start < stop <= count:
        raise ArgumentError(
            f"{path} has the detector rows 0 to {count - 1}, rows {text} are not among them"
        )
    return slice(start, stop), not colon
