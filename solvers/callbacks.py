"""What watches a run: any callable that takes the state after each step.

A callback may raise ``StopIteration("why")`` to end the run, which then gives its result with that reason.
The arrays of the state are overwritten by the next step: a callback that keeps one copies it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from opalg.solvers.state import State

__all__ = ["History", "ProgressBar"]


class History:
    """Records the numbers that a solver knows after each step; part of every run.

    Parameters
    ----------
    names : iterable of str
        Variables of the state; those that it does not have are left out.

    Examples
    --------
    >>> history = History(["residual"])
    >>> history(State(x=np.zeros(2), residual=3.0))
    >>> history.arrays()["residual"].tolist()
    [3.0]
    """

    def __init__(self, names: Iterable[str] = ("residual",)) -> None:
        self._names = tuple(names)
        self._start = time.perf_counter()
        self._columns: dict[str, list[Any]] = {"iteration": [], "seconds": []}

    def __call__(self, state: State) -> None:
        self._columns["iteration"].append(state.iteration)
        self._columns["seconds"].append(time.perf_counter() - self._start)
        for name in self._names:
            if name in state:
                self._columns.setdefault(name, []).append(getattr(state, name))

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """One array per name, with one entry (for a batch one row) per step.

        Besides the names given: ``iteration``, and ``seconds`` since the start of the run.
        """
        return {name: np.array(values) for name, values in self._columns.items()}


class ProgressBar:
    """A progress bar with the largest residual of the batch; ``solve(..., progress=True)`` makes one.

    Parameters
    ----------
    name : str
        Stands in front of the bar.
    total : int, optional
        Number of steps, if it is known.
    """

    def __init__(self, name: str = "", total: int | None = None) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=total, desc=name, unit="it")

    def __call__(self, state: State) -> None:
        if "residual" in state:
            self._bar.set_postfix(residual=f"{np.max(state.residual):.4g}", refresh=False)
        self._bar.update()

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
