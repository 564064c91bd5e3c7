"""Pictures of a comparison with Matplotlib: curves, images with difference maps, profiles."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from opalg.errors import ArgumentError, MissingExtraError
from opalg.solvers.comparison.metrics import Metric
from opalg.solvers.comparison.runs import Run
from opalg.spaces import Grid

__all__ = ["COLORS", "convergence", "difference_limit", "images", "profiles"]

# Okabe and Ito's palette, which people with any kind of colour vision tell apart; its yellow is too
# pale on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f4f24", "#444444")

AGAINST = {"iteration": "iteration", "calls": "calls of A and A.H", "seconds": "seconds"}


def abscissa(run: Run, against: str) -> np.ndarray[Any, Any]:
    """Where the samples of a run stand on an axis: ``iteration``, ``calls`` or ``seconds``."""
    if against == "calls":
        return np.asarray(run.curves["forward"] + run.curves["transpose"])
    return run.curves[against]


def convergence(runs: Sequence[Run], metric: Metric) -> Any:
    """A metric against iteration, calls and seconds; a method without iterations is a dashed line."""
    drawn = [run for run in runs if len(run.curves.get(metric.name, ()))]
    figure = _figure_class()(figsize=(12.5, 3.9), layout="constrained")
    for axes, (against, label) in zip(
        figure.subplots(1, 3, sharey=True), AGAINST.items(), strict=True
    ):
        for i, run in enumerate(drawn):
            color, y = COLORS[i % len(COLORS)], run.curves[metric.name]
            x = abscissa(run, against)
            if len(y) == 1:
                axes.axhline(y[0], color=color, linestyle="--", linewidth=1.2, label=run.name)
                if against != "iteration":
                    axes.plot(x, y, "o", color=color)
            else:
                axes.plot(x, y, color=color, linewidth=1.8, label=run.name)
                axes.plot(x[-1:], y[-1:], "o", color=color, markersize=4)
        axes.set_xlabel(label)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if _falls(drawn, metric):
            axes.set_yscale("log")
    figure.axes[0].set_ylabel(metric.heading)
    if drawn:
        figure.axes[-1].legend(frameon=False)
    return figure


def images(
    runs: Sequence[Run], truth: Any, grid: Any, limits: tuple[float, float] | None = None
) -> Any:
    """Images on one grey scale; beneath them the differences to the truth on one scale."""
    panels = [(run.name, _slice(run.x)) for run in runs if run.x is not None]
    target = None if truth is None else _slice(truth)
    if not panels:
        raise ArgumentError("no run gave an image")
    if target is not None:
        panels.append(("truth", target))
    shown = np.stack([panel for _, panel in panels])
    if limits is None:
        source = shown if target is None else target
        limits = float(source.min()), float(source.max())
    rows, columns = (1 if target is None else 2), len(panels)
    ratio = shown.shape[1] / shown.shape[2]
    size = (2.9 * columns + 0.8, 2.9 * min(max(ratio, 0.4), 2.5) * rows + 0.5)
    figure = _figure_class()(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    extent = _extent(grid)
    aspect = "equal" if extent is not None or 0.4 < ratio < 2.5 else "auto"
    keywords = {"origin": "lower", "interpolation": "none", "extent": extent, "aspect": aspect}
    for column, (name, panel) in enumerate(panels):
        low, high = limits
        picture = axes[0, column].imshow(panel, cmap="gray", vmin=low, vmax=high, **keywords)
        axes[0, column].set_title(name)
    figure.colorbar(picture, ax=list(axes[0]), shrink=0.85, pad=0.01)
    if target is not None:
        bound = difference_limit([panel for _, panel in panels[:-1]], target)
        for column, (_, panel) in enumerate(panels[:-1]):
            picture = axes[1, column].imshow(
                panel - target, cmap="RdBu_r", vmin=-bound, vmax=bound, **keywords
            )
        axes[1, 0].set_ylabel("minus truth")
        axes[1, -1].axis("off")
        figure.colorbar(picture, ax=list(axes[1]), shrink=0.85, pad=0.01)
    for one in axes.flat:
        one.set_xticks([])
        one.set_yticks([])
    return figure


def profiles(runs: Sequence[Run], truth: Any, grid: Any, row: int | None = None) -> Any:
    """Values along one row of all images."""
    drawn = [(run.name, _slice(run.x)) for run in runs if run.x is not None]
    if not drawn:
        raise ArgumentError("no run gave an image")
    height, width = drawn[0][1].shape
    row = height // 2 if row is None else row
    if not -height <= row < height:
        raise ArgumentError(f"the images have rows 0 to {height - 1}, got {row}")
    figure = _figure_class()(figsize=(9.0, 3.9), layout="constrained")
    axes = figure.subplots()
    x = grid.coordinates[-1] if isinstance(grid, Grid) else np.arange(width)
    if truth is not None:
        axes.plot(x, _slice(truth)[row], color="black", linewidth=2.4, alpha=0.35, label="truth")
    for i, (name, panel) in enumerate(drawn):
        axes.plot(x, panel[row], color=COLORS[i % len(COLORS)], linewidth=1.2, label=name)
    axes.set_xlabel("x" if isinstance(grid, Grid) else "pixel")
    axes.set_title(f"row {row % height}", loc="left", fontsize="medium")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def difference_limit(panels: Sequence[Any], truth: Any) -> float:
    """The end of the scale of difference maps: nearly all differences of all methods lie within."""
    sizes = np.concatenate([np.abs(np.subtract(panel, truth)).ravel() for panel in panels])
    return float(np.percentile(sizes, 99.5)) or 1.0


def _falls(runs: Sequence[Run], metric: Metric) -> bool:
    """Whether a metric is an error that spans enough to be drawn on a logarithmic axis."""
    values = np.concatenate([run.curves[metric.name] for run in runs]) if runs else np.ones(1)
    values = values[np.isfinite(values)]
    positive = len(values) > 0 and values.min() > 0
    return metric.higher_is_better is False and positive and values.max() > 3 * values.min()


def _slice(image: Any) -> np.ndarray[Any, Any]:
    """A 2D image as it is; of a volume the middle slice, of a line a thin image."""
    values = np.asarray(image)
    values = np.abs(values) if values.dtype.kind == "c" else values
    values = np.atleast_2d(values)
    return values if values.ndim == 2 else _slice(values[len(values) // 2])


def _extent(grid: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(grid, Grid) or grid.ndim < 2 or math.prod(grid.shape) == 0:
        return None
    (height, width), (y, x) = grid.extent[-2:], grid.origin[-2:]
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2


@cache
def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("pictures need Matplotlib: pip install opalg[report]") from None

    class Picture(Figure):
        """A figure that notebooks display although pyplot does not know of it."""

        def _repr_png_(self) -> bytes:
            memory = io.BytesIO()
            self.savefig(memory, format="png")
            return memory.getvalue()

    return Picture
