"""The values that steps and relaxations may have, asked before a run or when a function gives them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from opalg.arrays import as_numpy, is_array
from opalg.errors import AccuracyWarning, ArgumentError

__all__ = ["Limits", "RelaxationLimits", "schedule_numbers"]

_FRAMES = 7  # from the warning to the line that called solve()


class Limits:
    """Up to where the step of a solver surely converges, and from where it surely does not.

    Parameters
    ----------
    solver, word : str
        Who asks, and what for: "ISTA" and "step size".
    doubtful : float
        From here on convergence is not proven: a warning, once.
    fatal : callable, optional
        Gives the number from which on nothing converges, at least ``doubtful``. Asked for values that are
        doubtful only, since it may have to measure a norm.
    refusal, doubt : str
        The bound, as the error and the warning tell it. ``{fatal}`` stands for the number.
    """

    def __init__(
        self,
        solver: str,
        word: str,
        doubtful: float = math.inf,
        fatal: Callable[[], float] = lambda: math.inf,
        refusal: str = "",
        doubt: str = "",
    ) -> None:
        self.solver, self.word = solver, word
        self.doubtful, self.fatal = doubtful, fatal
        self.refusal, self.doubt = refusal, doubt
        self._told = False

    def check(self, values: Any, iteration: int | None = None) -> None:
        """Raise, or warn, if one of the values breaks convergence.

        Parameters
        ----------
        values : number, array or tuple
            One value, one per sample or one per step.
        iteration : int, optional
            Where they are used, from 1, if that is known.

        Raises
        ------
        ArgumentError
            If a value is not positive and finite, or at least ``fatal()``.
        """
        numbers = schedule_numbers(values)
        at = "" if iteration is None else f" in iteration {iteration}"
        for value in numbers:
            if not (math.isfinite(value) and value > 0):
                raise ArgumentError(
                    f"the {self.word} of {self.solver} must be positive and finite, got {value:g}{at}"
                )
        longest = max(numbers, default=0.0)
        if longest < self.doubtful:
            return
        fatal = self.fatal()
        if longest >= fatal:
            raise ArgumentError(
                f"the {self.word} {longest:g} of {self.solver}{at} is too long: "
                + self.refusal.format(fatal=f"{fatal:g}")
            )
        if not self._told:
            self._told = True
            warnings.warn(
                f"{self.solver} may diverge: its {self.word} {longest:g}{at} {self.doubt}",
                AccuracyWarning,
                stacklevel=_FRAMES,
            )


class RelaxationLimits(Limits):
    """The relaxation of a projection or average, between 0 and 2."""

    def __init__(self, solver: str) -> None:
        super().__init__(solver, "relaxation")

    def check(self, values: Any, iteration: int | None = None) -> None:
        """Raise if one of the values leaves (0, 2)."""
        at = "" if iteration is None else f" in iteration {iteration}"
        for value in schedule_numbers(values):
            if not 0 < value < 2:
                raise ArgumentError(
                    f"the {self.word} of {self.solver} must lie between 0 and 2, got {value:g}{at}"
                )


def schedule_numbers(schedule: Any) -> list[float]:
    """The numbers in a schedule that are known before it runs.

    Raises
    ------
    ArgumentError
        If it is no schedule.
    """
    if is_array(schedule):
        return [float(value) for value in np.ravel(as_numpy(schedule))]
    if callable(schedule):
        return []
    values = schedule if isinstance(schedule, tuple) else (schedule,)
    if not all(isinstance(value, (int, float, np.number)) or is_array(value) for value in values):
        raise ArgumentError(
            "a number, one number per step, or a function of the number of the step is needed, "
            f"got {schedule!r:.80}"
        )
    return [number for value in values for number in np.ravel(as_numpy(value)).astype(float)]
