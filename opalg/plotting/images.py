"""Images side by side."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy
from opalg.errors import ArgumentError, MissingExtraError
from opalg.spaces import Grid

__all__ = ["show"]

_PANEL = 3.6  # inches


def show(
    *images: Array,
    titles: Sequence[str] | None = None,
    grid: Grid | None = None,
    limits: tuple[float, float] | str | None = None,
    colormap: str = "gray",
    columns: int = 4,
) -> Any:
    """Images side by side, y upwards, with colour bars.

    Parameters
    ----------
    *images : array
        2D arrays of any library, or 3D arrays, of which the middle slice is shown. Row 0 is drawn lowest,
        as y rises with the row.
    titles : sequence of str, optional
        One per image.
    grid : Grid, optional
        Gives the axes physical coordinates; all images must have its shape.
    limits : (float, float) or "shared", optional
        Values shown as black and white; "shared" takes the range of the last image for all, so that
        reconstructions are seen on the scale of the truth. By default each image has its own.
    colormap : str, default "gray"
        A Matplotlib name.
    columns : int, default 4
        Images in one row, at most.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks display it. In a script, ``figure.savefig("x.png")`` writes it. No window is opened,
        and Matplotlib's current figure is left alone.

    Raises
    ------
    MissingExtraError
        If Matplotlib is not installed.
    ArgumentError
        If there is no image, or titles, shapes or limits do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> figure = show(np.eye(8), np.ones((8, 8)), titles=["identity", "ones"])
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['identity', 'ones']
    """
    if not images:
        raise ArgumentError("show takes one or more images")
    if titles is not None and (isinstance(titles, str) or len(titles) != len(images)):
        raise ArgumentError(f"titles must be a list of {len(images)} texts, got {titles!r}")
    panels = [_as_slice(image, i, grid) for i, image in enumerate(images)]
    bounds = _bounds(panels, limits)
    figure_class = _figure_class()
    columns = min(len(panels), columns)
    rows = math.ceil(len(panels) / columns)
    # A figure of its own, not one of pyplot's: nothing to close, and no display is needed.
    figure = figure_class(figsize=(_PANEL * 1.15 * columns, _PANEL * rows), layout="constrained")
    grid_of_axes = figure.subplots(rows, columns, squeeze=False).flat
    drawn = []
    for i, (axes, panel) in enumerate(zip(grid_of_axes, panels, strict=False)):
        drawn.append(
            axes.imshow(
                panel,
                origin="lower",
                cmap=colormap,
                vmin=bounds[i][0],
                vmax=bounds[i][1],
                extent=None if grid is None else _extent(grid),
                interpolation="none",
                # A sinogram's axes have different units, so its pixels need not be square.
                aspect="equal" if grid is not None or _nearly_square(panel) else "auto",
            )
        )
        axes.set_title("" if titles is None else titles[i])
        if grid is None:
            axes.set_xticks([])
            axes.set_yticks([])
        else:
            axes.set_xlabel(grid.axes[-1] if grid.axes else "")
            axes.set_ylabel(grid.axes[-2] if grid.axes else "")
    for axes in list(grid_of_axes)[len(panels) :]:
        axes.remove()
    if limits is None:
        for picture in drawn:
            figure.colorbar(picture, ax=picture.axes, shrink=0.8, pad=0.02)
    else:  # one scale for all
        figure.colorbar(drawn[0], ax=[picture.axes for picture in drawn], shrink=0.8, pad=0.01)
    return figure


@cache
def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("show needs Matplotlib: pip install opalg[examples]") from None

    class Picture(Figure):
        """A figure that notebooks display although pyplot does not know of it."""

        def _repr_png_(self) -> bytes:
            memory = io.BytesIO()
            self.savefig(memory, format="png")
            return memory.getvalue()

    return Picture


def _as_slice(image: Array, i: int, grid: Grid | None) -> np.ndarray[Any, Any]:
    values = as_numpy(image)
    if grid is not None and values.shape != grid.shape:
        raise ArgumentError(f"image {i} has shape {values.shape}, the grid {grid.shape}")
    if values.ndim not in (2, 3) or values.size == 0:
        raise ArgumentError(
            f"image {i} must have two axes (or three, of which the middle slice is shown), "
            f"got shape {values.shape}"
        )
    if values.dtype.kind == "c":
        raise ArgumentError(f"image {i} is complex; show abs(x), x.real or x.imag")
    return values if values.ndim == 2 else values[len(values) // 2]


def _bounds(panels: list[Any], limits: Any) -> list[tuple[float | None, float | None]]:
    if limits is None:
        return [(None, None)] * len(panels)
    if isinstance(limits, str):
        if limits != "shared":
            raise ArgumentError(f"limits must be two numbers or 'shared', got {limits!r}")
        limits = (float(np.nanmin(panels[-1])), float(np.nanmax(panels[-1])))
    try:
        low, high = (float(value) for value in limits)
    except (TypeError, ValueError):
        raise ArgumentError(f"limits must be two numbers or 'shared', got {limits!r}") from None
    return [(low, high)] * len(panels)


def _extent(grid: Grid) -> tuple[float, float, float, float]:
    """Left, right, bottom, top edge of the outermost pixels."""
    (height, width), (y, x) = grid.extent[-2:], grid.origin[-2:]
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2


def _nearly_square(panel: Any) -> bool:
    height, width = panel.shape
    return bool(0.4 < height / width < 2.5)
