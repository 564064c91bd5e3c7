"""Images as files: a picture, or values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, MissingExtraError

__all__ = ["check_output", "write_image"]

_KINDS = {
    ".png": "png",
    ".npy": "npy",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
}


def check_output(path: Path, kinds: Any = None) -> str:
    """The kind of file that a name stands for; asked before the work begins.

    Raises
    ------
    ArgumentError
        If the ending is unknown or the folder does not exist.
    """
    known = _KINDS if kinds is None else kinds
    if path.suffix.lower() not in known:
        raise ArgumentError(
            f"{path}: the ending of the file says what is written; use one of {', '.join(known)}"
        )
    if not path.absolute().parent.is_dir():
        raise ArgumentError(f"there is no folder {path.absolute().parent} to write {path.name} to")
    return str(known[path.suffix.lower()])


def write_image(path: Path, x: np.ndarray[Any, Any], attributes: dict[str, Any]) -> None:
    """Write an image or a volume.

    Parameters
    ----------
    path : Path
        ``.png``: 8 bits, y upwards, of a volume the middle slice; black and white are the percentiles 0.5 and
        99.5. ``.npy``, ``.tiff``, ``.h5`` (dataset ``reconstruction``): all values, row 0 lowest.
    x : ndarray, shape (y, x) or (z, y, x)
    attributes : dict
        What an HDF5 file remembers.
    """
    kind = check_output(path)
    try:
        if kind == "npy":
            np.save(path, x)
        elif kind == "tiff":
            import tifffile

            tifffile.imwrite(path, x, photometric="minisblack")
        elif kind == "hdf5":
            import h5py

            with h5py.File(path, "w") as file:
                dataset = file.create_dataset("reconstruction", data=x)
                dataset.attrs.update(attributes)
        else:
            from matplotlib.image import imsave

            picture = x if x.ndim == 2 else x[len(x) // 2]
            low, high = np.percentile(picture, [0.5, 99.5])
            imsave(path, picture, cmap="gray", vmin=low, vmax=high, origin="lower")
    except ImportError as error:
        raise MissingExtraError(
            f"writing {path.suffix} needs {error.name}: pip install opalg[report]"
        ) from None
