"""The protocol of iterative solvers: how one starts, what one step does, and everything that follows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from opalg.arrays import Array, copy, is_torch, namespace, short_repr
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.operators import LinearOperator, Operator, printing
from opalg.operators.costs import Cost
from opalg.solvers.callbacks import History, ProgressBar
from opalg.solvers.fields import Declared, positional
from opalg.solvers.growth import Growth, size_of
from opalg.solvers.state import State
from opalg.solvers.stopping import MaxIterations, Rule
from opalg.solvers.vectors import is_recorded, length, parts, plain, refuse_nonfinite
from opalg.spaces import Blocks

__all__ = ["Result", "Schedule", "Solver"]

_EVERY = 8

Schedule: TypeAlias = float | Sequence[float] | Callable[[int], float]
"""A number, one number per step, or a function of the number of the step (from 0)."""


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a run gives.

    Attributes
    ----------
    x : array or Blocks
        The reconstruction.
    state : State
        Resumes the run: ``solve(y, initial=result.state)``. Its ``x`` is the same array as `x`.
    history : dict of str to numpy.ndarray
        One entry per step: ``iteration``, ``seconds`` since the start and what the solver knows, such as
        ``residual``; for a batch one row per step with one column per sample.
    reason : str
        Why the run ended.
    """

    x: Array
    state: State
    history: dict[str, np.ndarray[Any, Any]]
    reason: str

    def __repr__(self) -> str:
        return f"Result(iteration {self.state.iteration}: {self.reason})"


class Solver(Declared):
    """An iterative method for ``operator(x) = y``: an operator from the data to the unknown.

    A new solver declares its parameters as annotated fields and writes two methods: `initial`, the state to
    begin with (by default ``start(y)``, x = 0), and `step`, one iteration. Calling it, iterating,
    resuming, stop rules, history, batches, printing and pickling are inherited, and so is
    differentiation: with a tensor that requires a gradient (or an operator that is trained) the steps
    are unrolled and recorded by PyTorch, with the same numbers, bit for bit.

    Parameters
    ----------
    operator : LinearOperator
        From the unknown to the data.
    iterations : int, default 100
        How many steps a call does.

    Raises
    ------
    ArgumentError
        If ``operator`` is no linear operator, or ``iterations`` no whole number.

    Notes
    -----
    A step that makes new arrays, such as ``x + A.H(y - A(x))``, is right and simple. One that asks
    the state for its results' memory, ``A(x, out=state.buffer("r", A.range))``, allocates nothing after
    the first time; where it is differentiated the buffer is None and the same line makes a new array.

    Examples
    --------
    >>> import opalg as oa
    >>> class SteepestDescent(Solver):
    ...     def step(self, state, y):
    ...         A, X, Y = self.operator, self.operator.domain, self.operator.range
    ...         r = A(state.x, out=state.buffer("r", Y))
    ...         r = Y.lincomb(1, y, -1, r, out=state.buffer("r", Y))
    ...         g = A.H(r, out=state.buffer("g", X))
    ...         q = A(g, out=state.buffer("q", Y))
    ...         length = X.inner(g, g) / Y.inner(q, q)
    ...         x = X.lincomb(1, state.x, length, g, out=state.buffer("x", X))
    ...         return state.advance(x=x)
    >>> solver = SteepestDescent(oa.Diagonal(np.array([1.0, 2.0])), iterations=40)
    >>> solver(np.array([1.0, 1.0])).round(6).tolist()
    [1.0, 0.5]
    """

    operator: LinearOperator = positional(kw_only=False)
    iterations: int = 100

    records: ClassVar[tuple[str, ...]] = ("residual",)
    """Variables of the state that go into the history and are watched for NaN."""
    differentiable: ClassVar[bool] = True
    """Whether PyTorch may record the steps; False where a step decides by numbers that it would not see."""
    takes_nonlinear: ClassVar[bool] = False
    """Whether the operator need not be linear; the steps then ask for its derivative."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.operator, Operator if self.takes_nonlinear else LinearOperator):
            raise ArgumentError(
                f"{name} takes {'an' if self.takes_nonlinear else 'a linear'} operator first, got "
                f"{type(self.operator).__name__}; {self._other_operator()}"
            )
        count = self.iterations
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
            raise ArgumentError(f"iterations of {name} must be a whole number, got {count!r}")
        super().__init__(self.operator.range, self.operator.domain)
        self.trainable = self.operator.trainable or any(
            _is_trained(value) for field in self._fields for value in _values(getattr(self, field))
        )

    def _other_operator(self) -> str:
        given: Any = self.operator  # whatever a caller without a type checker gave
        if isinstance(given, Operator):
            return "GaussNewton and LevenbergMarquardt take operators that are not linear"
        return "for a matrix use oa.MatrixOperator(matrix)"

    # What a solver is made of

    def initial(self, y: Array, x: Array | None = None) -> State:
        """The state before the first step.

        Parameters
        ----------
        y : array or Blocks
            The data, checked.
        x : array or Blocks, optional
            Where to start; zero without it. (A solver that cannot start elsewhere leaves the parameter out.)
        """
        return self.start(y, x)

    def step(self, state: State, y: Array) -> State:
        """One iteration: ends with ``return state.advance(x=...)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def finished(self, state: State) -> str | None:
        """A sentence if no step can improve the state, else None."""
        return None

    def certificate(self, state: State, y: Array) -> Any:
        """The dual variables that belong to ``state.x``, for `Optimality` and `DualityGap`.

        Parameters
        ----------
        state : State
        y : array or Blocks
            The data.

        Returns
        -------
        opalg.solvers.certificates.Certificate

        Raises
        ------
        NotSupportedError
            If the solver minimises no objective of convex terms that it knows, or has no dual variables.
        """
        raise NotSupportedError(
            f"{type(self).__name__} has no dual variables that would certify its iterates; Residual, "
            "RelativeChange and MaxIterations stop it"
        )

    def start(self, y: Array, x: Array | None = None, **variables: Any) -> State:
        """A state with ``x`` (zero if None) and further variables."""
        if x is None:
            domain, range = self.operator.domain, self.operator.range
            x = domain.zeros(like=parts(y)[0], batch=range.batch_shape(y))
        return State(x=x, **variables)

    # Running

    def iterate(self, y: Array, initial: State | Array | None = None) -> Iterator[State]:
        """The states after each step, without end.

        Parameters
        ----------
        y : array or Blocks
            The data; axes in front are batch axes.
        initial : State or array, optional
            A state to resume from, which is not changed, or where to start.

        Yields
        ------
        State
            The same object each time, its arrays overwritten by the next step (unless PyTorch records):
            copy what is to be kept.

        Examples
        --------
        >>> import opalg as oa
        >>> from opalg import solvers
        >>> A = oa.Diagonal(np.array([1.0, 2.0]))
        >>> for state in solvers.CGLS(A).iterate(np.ones(2)):
        ...     if state.residual < 1e-9:
        ...         break
        >>> state.iteration
        2
        """
        y = self._checked(y)
        state = self._begin(y, initial)
        while True:
            state = self._advance(state, y)
            yield state

    def solve(
        self,
        y: Array,
        iterations: int | None = None,
        stop: Rule | None = None,
        callbacks: Sequence[Callable[[State], object]] = (),
        initial: State | Array | None = None,
        progress: bool = False,
    ) -> Result:
        """Run until a rule stops it.

        Parameters
        ----------
        y : array or Blocks
            The data; axes in front are batch axes.
        iterations : int, optional
            At most so many steps. By default those of the solver, unless ``stop`` ends the run in any case
            by itself (it holds `MaxIterations` or `MaxTime`).
        stop : Rule, optional
            When else to stop; see `opalg.solvers.stopping`. It is asked before the first step, too.
        callbacks : sequence of callables
            Called with the state after each step; may raise ``StopIteration("why")`` to end the run.
        initial : State or array, optional
            A state to resume from, which is copied and continues with the same bits as if the run had not
            been interrupted, or an array where to start; zero by default. An array without batch
            axes starts all samples.
        progress : bool, default False
            Show a progress bar.

        Returns
        -------
        Result

        Raises
        ------
        ArgumentError
            If ``stop``, ``iterations`` or ``callbacks`` make no sense; before any work.
        SpaceMismatchError, DtypeError
            If the data or the start are no elements of their spaces.
        NonFiniteError
            If they hold NaN or infinity, or the iteration diverges: to such, or in finite numbers that
            grow ten thousandfold again and again; the message says in which step.
        KeyboardInterrupt
            When the run is interrupted; nothing is given back then. To keep what was reached, iterate with
            `iterate`, or let a callback take ``state.copy()`` now and then.
        """
        if not isinstance(callbacks, (list, tuple)) or not all(map(callable, callbacks)):
            raise ArgumentError(
                f"callbacks takes a list of functions of the state, got {callbacks!r:.80}"
            )
        y = self._checked(y)
        rule = self._rule(iterations, stop).for_solver(self)
        state = self._begin(y, initial)
        history = History(self.records)
        check = rule.start(self.operator, y, state)
        bar = ProgressBar(type(self).__name__, rule.limit) if progress else None
        watchers: list[Callable[[State], object]] = (
            [history, *callbacks] if bar is None else [history, bar, *callbacks]
        )
        with closing(bar) if bar is not None else nullcontext():
            reason = self.finished(state) or check(state)
            while reason is None:
                state = self._advance(state, y)
                reason = _notify(watchers, state)
                # A rule is asked in any case, since it may remember the step before.
                checked = check(state)
                reason = reason or self.finished(state) or checked
        state._release()
        return Result(state.x, state, history.arrays(), reason)

    def _rule(self, iterations: int | None, stop: Rule | None) -> Rule:
        if stop is not None and not isinstance(stop, Rule):
            raise ArgumentError(
                f"stop takes a rule such as solvers.MaxIterations(50) | solvers.Residual(1e-3), got {stop!r}"
            )
        if stop is None:
            return MaxIterations(self.iterations if iterations is None else iterations)
        if iterations is None and stop.bounded:
            return stop
        return stop | MaxIterations(self.iterations if iterations is None else iterations)

    def _checked(self, y: Array) -> Array:
        what = f"the data of {self}"
        y = self.domain.check(y, what)
        refuse_nonfinite(plain(self.domain), y, what)
        return y

    def _begin(self, y: Array, initial: State | Array | None) -> State:
        batch = self.domain.batch_shape(y)
        if isinstance(initial, State):
            self._check_start(initial.x, y, "the state to resume from")
            state, foreign = initial.copy(), parts(y)
        elif initial is None:
            state, foreign = self.initial(y), parts(y)
        else:
            initial = self.range.check(initial, f"the start of {self}")
            state, foreign = self._started(y, initial, batch), parts(y) + parts(initial)
        variables = [v for v in state._variables.values() if isinstance(v, Blocks) or is_torch(v)]
        if not (self.trainable or any(map(is_recorded, [y, *variables]))):
            state._own(foreign, batch)
        elif not self.differentiable:
            raise NotSupportedError(
                f"PyTorch cannot differentiate through {type(self).__name__}, whose steps depend on choices; "
                "run it under torch.no_grad(), or detach its data"
            )
        return state

    def _started(self, y: Array, x: Array, batch: tuple[int, ...]) -> State:
        if len(inspect.signature(self.initial).parameters) < 2:
            raise NotSupportedError(
                f"{type(self).__name__} cannot start from an array; give its initial() a second "
                "parameter x, or pass a state"
            )
        what = f"the start of {self}"
        refuse_nonfinite(plain(self.range), x, what)
        self._check_library(x, y, what)
        if batch and not self.range.batch_shape(x):
            x = x + self.range.zeros(like=parts(y)[0], batch=batch)
        self._check_start(x, y, what)
        return self.initial(y, x)  # copied before it is written to, in State._own

    def _check_start(self, x: Array, y: Array, what: str) -> None:
        x = self.range.check(x, what)
        self._check_library(x, y, what)
        if self.range.batch_shape(x) != self.domain.batch_shape(y):
            raise ArgumentError(
                f"{what} has batch axes {self.range.batch_shape(x)}, the data have "
                f"{self.domain.batch_shape(y)}; they must agree"
            )

    @staticmethod
    def _check_library(x: Array, y: Array, what: str) -> None:
        first, second = parts(x)[0], parts(y)[0]
        if namespace(first) is not namespace(second):
            raise ArgumentError(
                f"{what} is of type {type(first).__name__}, the data are of type {type(second).__name__}; "
                "use one array library for both"
            )

    def _advance(self, state: State, y: Array) -> State:
        """One step, and a look at whether it led to numbers."""
        number = state.iteration + 1
        state._unfinished = True
        # NumPy's warnings of overflow would come before the error that says which iteration diverged.
        with np.errstate(over="ignore", invalid="ignore"), state._lending():
            following = self.step(state, y)
        if not isinstance(following, State) or following.iteration != number:
            raise ArgumentError(
                f"step() of {type(self).__name__} must end with return state.advance(x=...), "
                f"it returned {following!r:.80}"
            )
        state._unfinished = False
        self._refuse_divergence(following, y)
        return following

    def _refuse_divergence(self, state: State, y: Array) -> None:
        values = {name: getattr(state, name) for name in self.records if name in state}
        # A residual of NaN or infinity tells of the iterate without a look at it.
        wrong = [name for name, value in values.items() if not np.isfinite(value).all()]
        grown = False
        if wrong:
            what, value = f"the {wrong[0]}", values[wrong[0]]
        else:
            known = size_of(values)
            if known is not None:
                what, value, size = f"the {known[0]}", values[known[0]], known[1]
            elif values and state.iteration % _EVERY:
                return  # a norm of a large image costs a part of a cheap step
            else:
                what, value = "the norm of x", length(plain(self.range), state.x)
                size = value
            if np.isfinite(value).all():
                grown = state.keep("growth", y, lambda y: Growth()).seen(size)
                if not grown:
                    return
        raise NonFiniteError(
            f"{type(self).__name__} diverged: {what} is {np.max(value):g} after iteration "
            f"{state.iteration}{' and grows without end' if grown else ''}; is the step too long "
            f"for the norm of {self.operator}, or its adjoint wrong?"
        )

    # The operator

    def _apply(self, y: Array, out: Array | None) -> Array:
        x = self.solve(y).x
        if out is None:
            return x
        for target, value in zip(parts(out), parts(x), strict=True):
            copy(value, target)
        return out

    def _trace(self, y: Array) -> Array:
        return self.solve(y).x  # unrolled where y or the solver requires it: see _begin

    def cost(self) -> Cost:
        """Operations and bytes of one call: one application and its transpose per iteration."""
        once = self.operator.cost()
        steps = 2 * int(self.iterations)
        return Cost(once.operations * steps, once.bytes * steps)

    # Printing

    def _children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def _text(self, operator: str) -> str:
        given = [
            f"{name}={short_repr(value)}"
            for name, value in self._arguments[1].items()
            if name != "operator"
        ]
        return f"{type(self).__name__}({', '.join([operator, *given])})"

    def _infix(self) -> printing.Text:
        return printing.atom(self._text(str(self.operator)))

    def _latex(self) -> printing.Text:
        name = self.symbol or rf"\mathrm{{{type(self).__name__}}}"
        return printing.atom(rf"{name}\left({self.operator._latex().text}\right)")

    def _label(self) -> str:
        return self._text("_")


def _notify(watchers: Sequence[Callable[[State], object]], state: State) -> str | None:
    """Call all watchers; the reason if one wants to stop."""
    reason = None
    for watcher in watchers:
        try:
            watcher(state)
        except StopIteration as stop:
            reason = (
                reason or str(stop) or f"a callback stopped the run in iteration {state.iteration}"
            )
    return reason


def _is_trained(value: Any) -> bool:
    """Whether PyTorch changes a parameter: a tensor, or a module as a schedule."""
    if is_torch(value):
        return bool(value.requires_grad)
    tensors = getattr(value, "parameters", None)
    return callable(tensors) and any(is_torch(t) and t.requires_grad for t in tensors())


def _values(parameter: Any) -> Sequence[Any]:
    return parameter if isinstance(parameter, tuple) else (parameter,)
