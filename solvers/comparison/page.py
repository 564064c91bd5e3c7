"""One self-contained web page of a comparison: Plotly, data and images travel inside it."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opalg.errors import MissingExtraError
from opalg.solvers.comparison import table
from opalg.solvers.comparison.figures import AGAINST, COLORS, abscissa, difference_limit
from opalg.spaces import Grid

if TYPE_CHECKING:
    from opalg.solvers.comparison.report import Report

__all__ = ["render"]

_MOST_VALUES = 12_000_000  # in all images together: 24 MB, 32 MB in base 64
_LEVELS = 65535


def render(report: Report, title: str) -> str:
    """The text of the page.

    Raises
    ------
    MissingExtraError
        If Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingExtraError("pages need Plotly: pip install opalg[report]") from None
    parts = {
        "title": html.escape(title),
        "summary": html.escape(_summary(report)),
        "table": table.as_html(report.runs, report.metrics),
        "notes": "".join(f"<p>{html.escape(note)}.</p>" for note in report.notes),
        "record": html.escape(json.dumps(report.record, indent=2)),
        "style": _asset("page.css"),
        "data": _as_script(_data(report)),
        "code": _asset("page.js"),
        "plotly": get_plotlyjs(),
    }
    # Split, not replaced one after the other: a part may hold what looks like a mark.
    pieces = _asset("page.html").split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _as_script(value: Any) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _summary(report: Report) -> str:
    record, good = report.record, sum(not run.failed for run in report)
    failed = f", {len(report) - good} failed" if good < len(report) else ""
    noun = "method" if len(report) == 1 else "methods"
    version = record.get("versions", {}).get("opalg", "")
    date = record.get("date", "").replace("T", " ").replace("+00:00", " UTC")
    return f"{len(report)} {noun}{failed} · opalg {version} · {date}"


def _data(report: Report) -> dict[str, Any]:
    runs = []
    for i, run in enumerate(report.runs):
        curves = {metric.name: _list(run.curves.get(metric.name, ())) for metric in report.metrics}
        places = {name: _list(abscissa(run, name)) for name in AGAINST} if run.curves else {}
        runs.append(
            {
                "name": run.name,
                "color": COLORS[i % len(COLORS)],
                "failed": run.failed,
                "curves": {**curves, **{f"against {name}": p for name, p in places.items()}},
            }
        )
    return {
        "metrics": [
            {"name": m.name, "heading": m.heading, "higher": m.higher_is_better}
            for m in report.metrics
        ],
        "against": AGAINST,
        "runs": runs,
        "images": _images(report),
    }


def _list(values: Any) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _images(report: Report) -> dict[str, Any] | None:
    """Volumes (slice, row, column) as 16-bit numbers in base 64, thinned to a bearable size."""
    volumes = [(run.name, _volume(run.x)) for run in report.runs if run.x is not None]
    if not volumes:
        return None
    truth = None if report.truth is None else _volume(report.truth)
    everything = [*([] if truth is None else [("truth", truth)]), *volumes]
    step = _thinning(volumes[0][1].shape, len(everything))
    thinned = [(name, x[:: step[0], :: step[1], :: step[2]]) for name, x in everything]
    low = min(float(x.min()) for _, x in thinned)
    high = max(float(x.max()) for _, x in thinned)
    high = high if high > low else low + 1.0
    source = truth if truth is not None else np.stack([x for _, x in thinned])
    window = [
        float(v) for v in np.percentile(source, [0, 100] if truth is not None else [0.5, 99.5])
    ]
    window[1] = window[1] if window[1] > window[0] else window[0] + 1.0
    shape = thinned[0][1].shape
    differences = [x for name, x in thinned[1:]] if truth is not None else []
    return {
        "shape": list(shape),
        "step": list(step),
        "low": low,
        "high": high,
        "window": window,
        "difference": difference_limit(differences, thinned[0][1]) if differences else None,
        "truth": truth is not None,
        "panels": [{"name": name, "values": _encoded(x, low, high)} for name, x in thinned],
        **_axes(report.grid, shape, step),
    }


def _volume(x: Any) -> np.ndarray[Any, Any]:
    values = np.asarray(x)
    values = np.abs(values) if values.dtype.kind == "c" else values
    if values.ndim > 3:
        values = values.reshape(-1, *values.shape[-2:])
    return values.reshape((1,) * (3 - values.ndim) + values.shape)


def _thinning(shape: Sequence[int], count: int) -> tuple[int, int, int]:
    """Take every n-th slice, then every n-th row and column, until all images are small enough."""
    nz, ny, nx = shape
    slices, pixels = 1, 1
    while (
        count * math.ceil(nz / slices) * math.ceil(ny / pixels) * math.ceil(nx / pixels)
        > _MOST_VALUES
    ):
        if nz // slices > 32 or (nz // slices > 1 and max(ny, nx) // pixels <= 256):
            slices += 1
        else:
            pixels += 1
    return slices, pixels, pixels


def _encoded(x: np.ndarray[Any, Any], low: float, high: float) -> str:
    levels = np.round((x.astype(np.float64) - low) * (_LEVELS / (high - low)))
    return base64.b64encode(levels.astype("<u2").tobytes()).decode("ascii")


def _axes(grid: Any, shape: Sequence[int], step: Sequence[int]) -> dict[str, Any]:
    """Positions along the rows for the profiles, and how tall a pixel is."""
    if not isinstance(grid, Grid):
        return {"x": list(range(0, shape[2] * step[2], step[2])), "x label": "pixel", "tall": 1.0}
    tall = grid.spacing[-2] / grid.spacing[-1] if grid.ndim > 1 else 1.0
    x = grid.coordinates[-1][:: step[2]]
    return {
        "x": [round(float(v), 6) for v in x],
        "x label": (grid.axes or ("x",))[-1],
        "tall": tall,
    }
