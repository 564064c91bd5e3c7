"""One method run on the data: its image, its curves, its cost, or the error that it ended with."""

from __future__ import annotations

import time
import traceback
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from opalg.arrays import Array, as_numpy, is_array, is_torch
from opalg.errors import AccuracyWarning, ArgumentError, NonFiniteError
from opalg.solvers.callbacks import ProgressBar
from opalg.solvers.comparison.counting import CallCounter
from opalg.solvers.comparison.problem import Problem
from opalg.solvers.comparison.record import describe, seeded
from opalg.solvers.solver import Solver
from opalg.solvers.state import State

__all__ = ["Run", "run_method"]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What one method did.

    Attributes
    ----------
    name : str
    method : str
        Its parameters: the ``repr`` of the method.
    x : ndarray or None
        The image; None if the method failed.
    curves : dict of str to ndarray
        One entry per sample: ``iteration``, ``forward`` and ``transpose`` (calls of the projector so far),
        ``seconds`` (without the time spent in metrics) and every metric. A method that does not iterate has
        one sample, of iteration 0.
    memory : int
        Bytes at the peak, beyond those at the start; see `opalg.solvers.compare`.
    reason : str
        Why it ended.
    error : str
        Empty, or type and message of the exception that it ended with.
    trace : str
        Empty, or where that exception came from.
    """

    name: str
    method: str
    x: np.ndarray[Any, Any] | None
    curves: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    memory: int = 0
    reason: str = ""
    error: str = ""
    trace: str = ""

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return bool(self.error)

    @property
    def iterations(self) -> int:
        """Number of iterations done; 0 for a method that does not iterate."""
        return int(self.last("iteration"))

    @property
    def seconds(self) -> float:
        """Time of the whole run, without that spent in metrics."""
        return self.last("seconds")

    @property
    def calls(self) -> float:
        """Calls of the projector and of its transpose together."""
        return self.last("forward") + self.last("transpose")

    def last(self, name: str) -> float:
        """The last value of a curve; NaN if there is none."""
        values = self.curves.get(name)
        return float("nan") if values is None or len(values) == 0 else float(values[-1])

    def __repr__(self) -> str:
        told = f"failed: {self.error}" if self.failed else self.reason
        return f"Run({self.name!r}: {told:.120})"


def run_method(
    name: str, method: Callable[[Array], Array], problem: Problem, progress: bool
) -> Run:
    """Run one method; exceptions end up in the `Run`, Ctrl-C does not.

    Parameters
    ----------
    name : str
    method : Solver, Operator or callable
    problem : Problem
    progress : bool
        Show a progress bar.
    """
    counter = None if problem.operator is None else CallCounter(problem.operator)
    watch = _Watch(problem, counter, name)
    try:
        with seeded(problem.seed), counter or nullcontext(), _traced_memory():
            if isinstance(method, Solver) and method.iterations > 0:
                reason = _iterate(name, method, watch, progress)
            else:
                reason = _call(name, method, watch, progress)
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        trace = traceback.format_exc()
        return Run(name, describe(method), None, watch.arrays(), watch.memory, "", told, trace)
    return Run(name, describe(method), watch.x, watch.arrays(), watch.memory, reason)


def _iterate(name: str, solver: Solver, watch: _Watch, progress: bool) -> str:
    """The loop of `Solver.solve`, with the clock stopped while metrics are computed."""
    last = int(solver.iterations)
    bar = ProgressBar(name, last) if progress else None
    with closing(bar) if bar is not None else nullcontext():
        states = solver.iterate(watch.problem.y)
        while True:
            with watch.working():
                state = next(states)
            if bar is not None:
                bar(state)
            reason = solver.finished(state)
            if reason is None and state.iteration >= last:
                reason = f"{last} iteration{'s were' if last > 1 else ' was'} done"
            if reason is not None or watch.problem.is_sampled(state.iteration, last):
                watch.sample(state.iteration, state.x, state)
            if reason is not None:
                watch.keep(state.x)
                return reason


def _call(name: str, method: Any, watch: _Watch, progress: bool) -> str:
    if not callable(method):
        raise ArgumentError(
            f"a method is called with the data and gives an image; {name!r} is a {type(method).__name__}"
        )
    from tqdm.auto import tqdm

    with tqdm(total=1, desc=name, disable=not progress, unit="call") as bar:
        with watch.working():
            x = _called(method, watch.problem.y)
        bar.update()
    watch.keep(x)
    watch.sample(0, x)
    return "it was called once"


def _called(method: Any, y: Array) -> Array:
    """``method(y)``; a network gets a tensor on its own device, and its gradients are not recorded."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not isinstance(method, torch.nn.Module):
        return method(y)
    weight = next(method.parameters(), None)
    with torch.no_grad():
        if isinstance(y, np.ndarray):
            y = torch.tensor(y, device=None if weight is None else weight.device)
        return method(y)


class _Watch:
    """Clock, counters, memory and metrics of one run."""

    def __init__(self, problem: Problem, counter: CallCounter | None, name: str) -> None:
        self.problem = problem
        self.counter = counter
        self.name = name
        self.x: np.ndarray[Any, Any] | None = None
        self.seconds = 0.0
        self.memory = 0
        self._start: int | None = None
        self._columns: dict[str, list[float]] = {}

    @contextmanager
    def working(self) -> Iterator[None]:
        """The work of the method itself: timed, and its memory watched."""
        if self._start is None:
            self._start = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - begin
            self.memory = max(self.memory, tracemalloc.get_traced_memory()[1] - self._start)

    def sample(self, iteration: int, x: Array, state: State | None = None) -> None:
        """Note where the run stands and what the metrics say of ``x``."""
        image = self._image(x)
        with self.counter.paused() if self.counter is not None else nullcontext():
            row = {
                "iteration": iteration,
                "forward": float("nan") if self.counter is None else self.counter.forward,
                "transpose": float("nan") if self.counter is None else self.counter.transpose,
                "seconds": self.seconds,
                **self._judge(image, x, state),
            }
        for name, value in row.items():
            self._columns.setdefault(name, []).append(value)

    def keep(self, x: Array) -> None:
        """Take ``x`` as the result, in memory of its own."""
        self.x = np.array(self._image(x))

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: np.array(values) for name, values in self._columns.items()}

    def _image(self, x: Array) -> np.ndarray[Any, Any]:
        """``x`` as a NumPy array that fits the truth and holds numbers only."""
        if not is_array(x):
            raise ArgumentError(f"{self.name} gave a {type(x).__name__}, not an array")
        image = np.asarray(as_numpy(x))
        truth, operator = self.problem.truth, self.problem.operator
        expected = truth.shape if truth is not None else getattr(operator, "domain", image).shape
        if image.shape != expected:
            raise ArgumentError(f"{self.name} gave shape {image.shape}, {expected} is expected")
        if not np.isfinite(image).all():
            bad = int(np.count_nonzero(~np.isfinite(image)))
            raise NonFiniteError(
                f"{self.name} gave {bad} of {image.size} values that are NaN or infinite"
            )
        return image

    def _judge(self, image: Any, x: Array, state: State | None) -> dict[str, float]:
        values = {}
        for metric in self.problem.metrics:
            try:
                if metric.name == "residual":
                    values[metric.name] = self._residual(x, state)
                else:
                    values[metric.name] = float(metric.function(image, self.problem.truth))
                told = "it gave NaN" if np.isnan(values[metric.name]) else ""
            except Exception as error:
                values[metric.name], told = float("nan"), f"{type(error).__name__}: {error}"
            if told:  # the method is not to blame: its run goes on
                warnings.warn(
                    f"the metric {metric.name} of {self.name} is missing: {told}",
                    AccuracyWarning,
                    stacklevel=2,
                )
        return values

    def _residual(self, x: Array, state: State | None) -> float:
        operator = self.problem.operator
        assert operator is not None
        if state is not None and "residual" in state:
            return self.problem.relative_residual(x, float(np.max(state.residual)))
        y = self.problem.y
        if isinstance(y, np.ndarray) and (is_torch(x) or x.dtype != operator.domain.dtype):
            x = np.asarray(as_numpy(x), operator.domain.dtype)  # of a network, or in float64
        return self.problem.relative_residual(x, None)


@contextmanager
def _traced_memory() -> Iterator[None]:
    """Memory is traced inside; a trace that somebody else began goes on afterwards."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        yield
    finally:
        if not running:
            tracemalloc.stop()
