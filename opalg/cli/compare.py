"""``opalg compare``: the methods of a study, run or taken from an earlier run, and a report."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from opalg.arrays import fingerprint
from opalg.cli.output import check_output
from opalg.cli.store import RunStore, content_key
from opalg.cli.study import Method, Study, read_study
from opalg.errors import ArgumentError, MissingExtraError
from opalg.solvers.comparison import Report, Run
from opalg.solvers.comparison.metrics import METRICS
from opalg.solvers.comparison.problem import Problem, make_problem
from opalg.solvers.comparison.record import digest, make_record
from opalg.solvers.comparison.runs import run_method
from opalg.solvers.comparison.table import best

__all__ = ["compare"]


def compare(
    study: Path, report: Path | None, record: Path | None, runs: Path | None, quiet: bool
) -> int:
    """Do what the command line says; give the number of methods that failed.

    Raises
    ------
    OpalgError
        Naming what is wrong; everything that can be checked is before the work begins.
    KeyboardInterrupt
        On Ctrl-C, with a sentence that says what is kept.
    """
    if report is not None:
        check_output(report, {".html": "page", ".htm": "page"})
        _need_plotly()
    if record is not None:
        check_output(record, {".json": "record"})
    read = read_study(study)
    problem = make_problem({}, read.y, read.truth, read.metrics, read.A, read.every, read.seed)
    chosen = _chosen(problem, read, study)
    click.echo(read.summary)
    store = RunStore(runs or study.with_suffix(".runs"))
    finished = _run_all(read, problem, store, quiet)
    described = {run.name: run.method for run in finished}
    notes = _notes(read, finished, chosen)
    result = Report(finished, problem, make_record(problem, described), notes)
    click.echo(f"\n{result}")
    if report is not None:
        click.echo(f"\nThe report is {result.to_html(report, title=study.stem)}.")
    if record is not None:
        result.to_json(record)
    return sum(run.failed for run in finished)


def _run_all(study: Study, problem: Problem, store: RunStore, quiet: bool) -> list[Run]:
    finished: list[Run] = []
    shared = _shared_content(problem)
    for method in study.methods:
        key = content_key({**shared, "method": method.kind, "parameters": method.parameters})
        run = store.load(method.name, key)
        if run is not None:
            click.echo(f"{method.name}: taken from {store.folder}", err=True)
        else:
            run = _run(method, problem, store, quiet)
            if not run.failed:
                store.save(key, run)
        finished.append(run)
    return finished


def _run(method: Method, problem: Problem, store: RunStore, quiet: bool) -> Run:
    try:
        return run_method(method.name, method.make(), problem, progress=not quiet)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{method.name} was not finished; those before it are kept in {store.folder}, and the same "
            "command goes on from there."
        ) from None


def _shared_content(problem: Problem) -> dict[str, Any]:
    """What else a run depends on than the method: a change of any of it makes it a different run."""
    A: Any = problem.operator
    return {
        "opalg": version("opalg"),
        "data": digest(problem.y),
        "truth": digest(problem.truth),
        "operator": repr(A),
        "angles": fingerprint(A.geometry.angles),  # repr does not print long arrays
        "metrics": [metric.name for metric in problem.metrics],
        "every": problem.every,
        "seed": problem.seed,
    }


def _chosen(problem: Problem, study: Study, path: Path) -> str:
    """The metric that marks the best of a sweep."""
    names = [metric.name for metric in problem.metrics]
    chosen = names[0] if study.best is None else study.best
    if chosen not in names:
        raise ArgumentError(
            f"{path}: best = {chosen!r} is not among the metrics {', '.join(names)}"
        )
    return chosen


def _notes(study: Study, finished: list[Run], chosen: str) -> list[str]:
    """One sentence per sweep: which of its runs was the best."""
    by_name = {run.name: run for run in finished}
    sweeps: dict[str, list[Run]] = {}
    for method in study.methods:
        if method.sweep:
            sweeps.setdefault(method.sweep, []).append(by_name[method.name])
    notes = []
    for label, runs in sweeps.items():
        winner = best(runs, METRICS[chosen])
        told = "none has a value" if winner is None else f"{winner.name}, {winner.last(chosen):.4g}"
        notes.append(f"Best of the sweep {label} by {chosen}: {told}")
    return notes


def _need_plotly() -> None:
    try:
        import plotly  # noqa: F401 (told before hours of work, not after)
    except ImportError:
        raise MissingExtraError("--report needs Plotly: pip install opalg[report]") from None
