"""What a comparison gives: a table that prints, curves, pictures, a page, and a record."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from opalg.errors import ArgumentError, MissingExtraError
from opalg.solvers.comparison import figures, page, table
from opalg.solvers.comparison.metrics import Metric
from opalg.solvers.comparison.problem import Problem
from opalg.solvers.comparison.runs import Run

__all__ = ["Report"]


class Report:
    """The runs of a comparison; made by `opalg.solvers.compare`.

    ``print(report)`` shows a table in which the best value of each metric bears a star. ``report["SIRT"]`` is
    one `Run`, ``for run in report`` goes through all.

    Parameters
    ----------
    runs : sequence of Run
    problem : Problem
        What they share.
    record : dict
        What a repetition needs to know.
    notes : sequence of str, optional
        Sentences that stand below the table.

    Attributes
    ----------
    runs : tuple of Run
    record : dict
        Date, seed, versions, machine, the ``repr`` of every method, hashes of data and truth; JSON holds it.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        problem: Problem,
        record: dict[str, Any],
        notes: Sequence[str] = (),
    ) -> None:
        self.runs = tuple(runs)
        self.record = record
        self.notes = tuple(notes)
        self._problem = problem

    def __getitem__(self, name: str) -> Run:
        """The run of that name."""
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"there is no run {name!r}, only {', '.join(run.name for run in self.runs)}")

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How the runs were judged."""
        return self._problem.metrics

    @property
    def truth(self) -> Any:
        """The image that should have come out, or None."""
        return self._problem.truth

    @property
    def grid(self) -> Any:
        """The space of the images, or None if no method told it."""
        operator = self._problem.operator
        return None if operator is None else operator.domain

    def best(self, metric: str | None = None) -> Run:
        """The run that ends with the best value of a metric.

        Parameters
        ----------
        metric : str, optional
            The first one by default.

        Raises
        ------
        ArgumentError
            If the metric was not computed, does not say which values are better, or no run has a value.
        """
        chosen = self._metric(metric)
        winner = table.best(self.runs, chosen)
        if chosen.higher_is_better is None:
            raise ArgumentError(
                f"{chosen.name} does not say which values are better; compare with "
                f"Metric({chosen.name!r}, function, higher_is_better=True) or False"
            )
        if winner is None:
            raise ArgumentError(f"no run has a value of {chosen.name}")
        return winner

    # As text and tables

    def __str__(self) -> str:
        return "\n".join([table.as_text(self.runs, self.metrics), *self.notes])

    def __repr__(self) -> str:
        return f"<Report of {', '.join(run.name for run in self.runs)}>"

    def _repr_html_(self) -> str:
        return table.as_html(self.runs, self.metrics)

    def to_pandas(self) -> Any:
        """The table as a ``pandas.DataFrame``, one row per method.

        Columns: the metrics, ``iterations``, ``forward`` and ``transpose`` (calls), ``seconds``, ``memory``
        (bytes), ``reason``, ``error`` and ``method`` (its parameters).

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        frame = _pandas().DataFrame(
            [table.row(run, self.metrics) for run in self.runs],
            index=[run.name for run in self.runs],
        )
        frame.index.name = "name"
        return frame

    def curves_to_pandas(self) -> Any:
        """All curves as one long ``pandas.DataFrame``: one row per method and sampled iteration.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        pandas = _pandas()
        names = ["iteration", "forward", "transpose", "seconds", *(m.name for m in self.metrics)]
        frames = [
            pandas.DataFrame({"name": run.name, **run.curves}) for run in self.runs if run.curves
        ]
        if not frames:
            return pandas.DataFrame(columns=["name", *names])
        return pandas.concat(frames, ignore_index=True)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """The record together with the table, as JSON text; written to ``path`` if one is given."""
        rows = {run.name: table.row(run, self.metrics) for run in self.runs}
        text = json.dumps({**self.record, "results": finite(rows)}, indent=2)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    # As pictures

    def plot_convergence(self, metric: str | None = None) -> Any:
        """A metric against iteration, projector calls and time, side by side.

        Parameters
        ----------
        metric : str, optional
            The first one by default.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return figures.convergence(self.runs, self._metric(metric))

    def plot_images(self, limits: tuple[float, float] | None = None) -> Any:
        """The images on one grey scale, with their differences to the truth beneath.

        Parameters
        ----------
        limits : (float, float), optional
            Values shown as black and white; by default the range of the truth.

        Returns
        -------
        matplotlib.figure.Figure
            Of volumes the middle slice is shown.
        """
        return figures.images(self.runs, self.truth, self.grid, limits)

    def plot_profiles(self, row: int | None = None) -> Any:
        """The values along one row of the images.

        Parameters
        ----------
        row : int, optional
            The middle one by default; of volumes in the middle slice.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return figures.profiles(self.runs, self.truth, self.grid, row)

    def to_html(self, path: str | PathLike[str], title: str = "Comparison") -> Path:
        """Write one self-contained page: table, interactive curves, images with a slider, profiles, record.

        The page loads nothing from elsewhere and works offline; it holds Plotly (5 MB) and the images (with
        16 bits per value; of large volumes every n-th slice and pixel, as it says).

        Parameters
        ----------
        path : path
        title : str

        Returns
        -------
        pathlib.Path

        Raises
        ------
        MissingExtraError
            If Plotly is not installed.
        """
        text = page.render(self, title)
        path = Path(path)
        path.write_text(text, encoding="utf-8")
        return path

    def _metric(self, name: str | None) -> Metric:
        for metric in self.metrics:
            if name in (None, metric.name):
                return metric
        known = ", ".join(metric.name for metric in self.metrics)
        raise ArgumentError(f"the metric {name!r} was not computed, only {known or 'none'}")


def finite(value: Any) -> Any:
    """The value with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("tables need pandas: pip install opalg[report]") from None
    return pandas
