"""What an iteration carries from one step to the next, and the memory in which it does so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from opalg.arrays import Array, is_array, shares_memory
from opalg.errors import ArgumentError
from opalg.operators.workspace import Workspace
from opalg.solvers.schedules import Limits
from opalg.solvers.vectors import copy, parts
from opalg.spaces import Blocks

__all__ = ["State"]


class State:
    """The named variables of an iteration, and the number of steps that led to them.

    Variables are read as attributes. A step takes a state and ends with ``return state.advance(x=...)``.
    A state holds all that the next step needs, so a copied or pickled one resumes with the same bits.

    Made by hand a state is *functional*: `buffer` gives None and `advance` a new state, as
    differentiation needs it. A running solver works *in place*: `buffer` gives the same array every time
    and `advance` changes the state itself. One text serves both::

        r = A(state.x, out=state.buffer("r", A.range))

    Parameters
    ----------
    x : array or Blocks
        The iterate.
    **variables : array, Blocks or number
        What else the solver carries along. ``residual``, the norm of ``A(x) - y`` as a number (one per
        sample), is recorded and used by stop rules where a solver knows it.

    Examples
    --------
    >>> state = State(x=np.zeros(2), residual=5.0)
    >>> state
    State(iteration 0: x, residual)
    >>> state.advance(x=state.x + 1).x.tolist(), state.x.tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """

    x: Array
    residual: Any

    def __init__(self, x: Array, **variables: Any) -> None:
        self._variables: dict[str, Any] = {"x": x, **variables}
        self._iteration = 0
        self._scratch: dict[str, Array] | None = None  # None: functional
        self._workspace: Workspace | None = None  # for what expressions compute on the way
        self._batch: tuple[int, ...] = ()
        self._unfinished = False
        self._kept: dict[str, tuple[Any, Any]] = {}

    @property
    def iteration(self) -> int:
        """The number of steps done; during a step the number of that step, from 0."""
        return self._iteration

    @property
    def in_place(self) -> bool:
        """Whether steps reuse the memory of this state."""
        return self._scratch is not None

    def __getattr__(self, name: str) -> Any:
        variables = self.__dict__.get("_variables", {})
        if name in variables:
            return variables[name]
        raise AttributeError(
            f"the state has no variable {name!r}, only {', '.join(variables) or 'none'}; "
            "variables are named where the solver's initial() makes the state"
        )

    def __contains__(self, name: str) -> bool:
        return name in self._variables

    def buffer(self, name: str, space: Any) -> Array | None:
        """Memory for a result, to be given as ``out``.

        Parameters
        ----------
        name : str
            The name of a variable gives that variable's array; any other name an array that is made when
            it is first asked for, with arbitrary content, and kept until the run ends.
        space : Space or ProductSpace
            Of which the buffer is an element.

        Returns
        -------
        array, Blocks or None
            None while the state is functional: then a new array is to be made.
        """
        if self._scratch is None:
            return None
        found = self._variables.get(name, self._scratch.get(name))
        if found is None:
            found = space.empty(like=parts(self.x)[0], batch=self._batch)
            self._scratch[name] = found
        return found

    def value(self, parameter: Any, limits: Callable[[], Limits] | None = None) -> Any:
        """A parameter of the solver in this step.

        Parameters
        ----------
        parameter : number, sequence, callable or None
            A callable is asked with the number of the step, from 0; a sequence (or an array with axes) holds
            one value per step. Anything else is the value itself.
        limits : callable, optional
            Makes what is asked of the values of a callable, which nobody could check before the run.

        Raises
        ------
        ArgumentError
            If a sequence is shorter than the run, or a callable gives no finite number or one outside of
            the limits.
        """
        if callable(parameter):
            value = parameter(self._iteration)
            if isinstance(value, (int, float)) and not np.isfinite(value):
                raise ArgumentError(
                    f"the schedule {parameter!r} gave {value} for step {self._iteration}"
                )
            if limits is not None:
                limits().check(value, self._iteration + 1)
            return value
        if isinstance(parameter, (tuple, list)) or getattr(parameter, "ndim", 0) > 0:
            if self._iteration >= len(parameter):
                raise ArgumentError(
                    f"a schedule has {len(parameter)} values, but step {self._iteration + 1} needs one "
                    "more; give it as many values as there are iterations, or a function of the step"
                )
            return parameter[self._iteration]
        return parameter

    def keep(self, name: str, y: Any, make: Callable[[Any], Any]) -> Any:
        """``make(y)``, made once and kept while steps come with the same data.

        For what a step needs of the data besides the data themselves. It is neither copied nor pickled
        with the state, but made anew for the next run.

        Parameters
        ----------
        name : str
        y : array or Blocks
            The data as `step` got them.
        make : callable
        """
        if name not in self._kept or self._kept[name][0] is not y:
            self._kept[name] = (y, make(y))
        return self._kept[name][1]

    def advance(self, **variables: Any) -> State:
        """The state after this step.

        Parameters
        ----------
        **variables
            Those that changed, or are new. In place, a variable that is given a scratch buffer takes it
            over and leaves its own array behind as that buffer, so that old and new value may alternate.

        Returns
        -------
        State
            The same object in place, else a new one.
        """
        if self._scratch is None:
            following = State(**{**self._variables, **variables})
            following._iteration = self._iteration + 1
            following._batch, following._kept = self._batch, self._kept
            return following
        for name, value in variables.items():
            for label, array in self._scratch.items():
                if _same(value, array):
                    if name in self._variables:
                        self._scratch[label] = self._variables[name]
                    else:
                        del self._scratch[label]
                    break
        self._variables |= variables
        self._iteration += 1
        return self

    def copy(self) -> State:
        """An independent copy, functional until a solver runs on it.

        Raises
        ------
        ArgumentError
            If an interruption left the state in the middle of a step.
        """
        self._refuse_unfinished()
        following = State(**{name: _copy(value) for name, value in self._variables.items()})
        following._iteration, following._batch = self._iteration, self._batch
        return following

    def _refuse_unfinished(self) -> None:
        if self._unfinished:
            raise ArgumentError(
                f"this state was left in the middle of step {self._iteration + 1} by an error or an "
                "interruption, so its variables do not belong together; resume from a copy that a callback "
                "took before (state.copy())"
            )

    def _own(self, foreign: list[Array], batch: tuple[int, ...]) -> None:
        """Go in place: afterwards no two variables share memory, and none with the caller's arrays."""
        taken = list(foreign)
        for name, value in self._variables.items():
            if not (is_array(value) or isinstance(value, Blocks)):
                continue
            if not all(map(_writable, parts(value))) or any(
                shares_memory(own, other) for own in parts(value) for other in taken
            ):
                value = copy(value)
                self._variables[name] = value
            taken = taken + parts(value)
        self._scratch, self._workspace = {}, Workspace()
        self._batch = batch

    def _release(self) -> None:
        """Give back the scratch buffers at the end of a run."""
        if self._scratch is not None:
            self._scratch.clear()
            self._workspace = Workspace()
        self._kept = {}

    def _lending(self) -> AbstractContextManager[Any]:
        """The context of a step, in which expressions reuse the memory of their intermediate results."""
        return nullcontext() if self._workspace is None else self._workspace

    def __getstate__(self) -> dict[str, Any]:
        self._refuse_unfinished()
        scratch: dict[str, Any] | None = None if self._scratch is None else {}
        return {**self.__dict__, "_scratch": scratch, "_workspace": None, "_kept": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._scratch is not None:
            self._workspace = Workspace()

    def __repr__(self) -> str:
        return f"State(iteration {self._iteration}: {', '.join(self._variables)})"


def _copy(value: Any) -> Any:
    return copy(value) if is_array(value) or isinstance(value, Blocks) else value


def _writable(x: Array) -> bool:
    return not isinstance(x, np.ndarray) or x.flags.writeable


def _same(value: Any, other: Any) -> bool:
    """Whether two elements are the same arrays in memory."""
    if not (is_array(value) or isinstance(value, Blocks)):
        return False
    own, others = parts(value), parts(other)
    return len(own) == len(others) and all(a is b for a, b in zip(own, others, strict=True))
