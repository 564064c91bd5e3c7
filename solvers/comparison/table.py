"""Runs as rows: of text, of HTML, of dictionaries."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from opalg.solvers.comparison.metrics import Metric
from opalg.solvers.comparison.runs import Run

__all__ = ["as_html", "as_text", "best", "cells", "headings", "row"]


def best(runs: Sequence[Run], metric: Metric) -> Run | None:
    """The run with the best final value; None if no run has one or no value is better."""
    scored = [
        (run.last(metric.name), run)
        for run in runs
        if not run.failed and not math.isnan(run.last(metric.name))
    ]
    if metric.higher_is_better is None or not scored:
        return None
    choose = max if metric.higher_is_better else min
    return choose(scored, key=lambda pair: pair[0])[1]


def row(run: Run, metrics: Sequence[Metric]) -> dict[str, Any]:
    """One run as a dictionary of numbers and texts."""
    failed = run.failed
    return {
        **{metric.name: math.nan if failed else run.last(metric.name) for metric in metrics},
        "iterations": 0 if failed and not run.curves else run.iterations,
        "forward": run.last("forward"),
        "transpose": run.last("transpose"),
        "seconds": run.last("seconds"),
        "memory": run.memory,
        "reason": run.reason,
        "error": run.error,
        "method": run.method,
    }


def headings(metrics: Sequence[Metric]) -> list[str]:
    """Headings of the columns, the name's first."""
    names = [metric.heading for metric in metrics]
    return ["method", *names, "iterations", "A + A.H calls", "seconds", "memory"]


def cells(run: Run, metrics: Sequence[Metric], winners: Sequence[Run | None]) -> list[str]:
    """One run as texts under `headings`."""
    if run.failed:
        return [run.name, *["failed"] * len(metrics), "", "", "", ""]
    judged = [
        _number(run.last(metric.name)) + ("*" if run is winner else " ")
        for metric, winner in zip(metrics, winners, strict=True)
    ]
    iterations = str(run.iterations) if run.iterations else "-"
    calls = f"{_count(run.last('forward'))} + {_count(run.last('transpose'))}"
    calls = "-" if math.isnan(run.calls) else calls
    return [run.name, *judged, iterations, calls, f"{run.seconds:.3g}", _bytes(run.memory)]


def as_text(runs: Sequence[Run], metrics: Sequence[Metric]) -> str:
    """A table for the terminal, the errors of failed runs beneath."""
    winners = [best(runs, metric) for metric in metrics]
    head = headings(metrics)
    # Behind the values of metrics there is room for the star.
    titles = [h + " " if 0 < i <= len(metrics) else h for i, h in enumerate(head)]
    rows = [titles, *(cells(run, metrics, winners) for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    lines += [f"{run.name} failed: {run.error}" for run in runs if run.failed]
    return "\n".join(lines)


def as_html(runs: Sequence[Run], metrics: Sequence[Metric]) -> str:
    """The same as an HTML table; the best values are in ``<b>``."""
    winners = [best(runs, metric) for metric in metrics]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in headings(metrics))
    body = []
    for run in runs:
        name, *rest = cells(run, metrics, winners)
        if run.failed:
            told = f'<td colspan="{len(rest)}" class="failed">failed: {html.escape(run.error)}</td>'
        else:
            told = "".join(f"<td>{_marked(text)}</td>" for text in rest)
        title = html.escape(run.method, quote=True)
        body.append(f'<tr><th title="{title}">{html.escape(name)}</th>{told}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _marked(text: str) -> str:
    text = html.escape(text.strip())
    return f"<b>{text[:-1]}</b>" if text.endswith("*") else text


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    return f"{value:.2f}" if 10 <= size < 1e5 else f"{value:.4g}"


def _count(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _bytes(count: int) -> str:
    size = float(max(count, 0))
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
