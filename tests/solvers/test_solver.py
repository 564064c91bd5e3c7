"""The protocol: declaring a solver, calling, resuming, watching it, and what it says when misused."""

import itertools
import pickle
from typing import ClassVar

import numpy as np
import pytest

import opalg as oa
from opalg import solvers
from opalg.errors import (
    ArgumentError,
    DtypeError,
    NonFiniteError,
    NotSupportedError,
    SpaceMismatchError,
)
from opalg.operators.norms import Bounds


class Landweber(solvers.Solver):
    """As in the documentation: fields, a start and a step, nothing else."""

    step_size: float | None = None
    _hidden: int = 3
    constant: ClassVar[int] = 5

    def initial(self, y):
        return self.start(y)

    def step(self, state, y):
        A = self.operator
        step_size = self.step_size or 1 / A.norm_bounds().upper ** 2
        return state.advance(x=state.x + step_size * A.H(y - A(state.x)))


class Damped(Landweber):
    """Fields are inherited, and a default is replaced without an annotation."""

    damping: float = 0.5
    iterations = 3


ALL = [
    lambda A, **kw: Landweber(A, **kw),
    lambda A, **kw: solvers.Landweber(A, **kw),
    lambda A, **kw: solvers.Landweber(A, step_size=lambda k: 0.02 / (k + 1), **kw),
    lambda A, **kw: solvers.SIRT(A, minimum=0.0, relaxation=1.5, **kw),
    lambda A, **kw: solvers.CGLS(A, **kw),
    lambda A, **kw: solvers.CG(A.gram, **kw),
    lambda A, **kw: solvers.SART(A, relaxation=0.5, **kw),
    lambda A, **kw: solvers.OSSART(A, subsets=3, minimum=0.0, **kw),
    lambda A, **kw: solvers.OSSIRT(A, subsets=4, **kw),
    lambda A, **kw: solvers.Kaczmarz(A, order="random", relaxation=0.5, **kw),
    lambda A, **kw: solvers.Cimmino(A, **kw),
    lambda A, **kw: solvers.LSQR(A, damp=0.3, **kw),
    lambda A, **kw: solvers.LSMR(A, **kw),
    lambda A, **kw: solvers.HybridLSQR(A, parameter=0.3, **kw),
    lambda A, **kw: solvers.ABGMRES(A, **kw),
    lambda A, **kw: solvers.BAGMRES(A, **kw),
]
IDS = ["user's", "Landweber", "scheduled", "SIRT", "CGLS", "CG"]
IDS += ["SART", "OSSART", "OSSIRT", "Kaczmarz", "Cimmino"]
IDS += ["LSQR", "LSMR", "HybridLSQR", "ABGMRES", "BAGMRES"]
every_solver = pytest.mark.parametrize("make", ALL, ids=IDS)


def data_for(solver, problem):
    """The data of the problem, or the right side of its normal equations."""
    return problem.y if solver.domain == problem.A.range else problem.A.H(problem.y)


# Declaring


def test_fields_are_keyword_parameters(problem):
    solver = Damped(problem.A, step_size=0.02)
    assert (solver.step_size, solver.damping, solver.iterations) == (0.02, 0.5, 3)
    assert solver.operator is problem.A
    assert solver.domain == problem.A.range
    assert solver.range == problem.A.domain
    assert Landweber(problem.A).iterations == 100


def test_wrong_parameters_are_named_with_the_right_ones(problem):
    words = r"'relax'; it is Damped\(operator, \*, iterations=3, step_size=None, damping=0\.5\)"
    with pytest.raises(TypeError, match=words):
        Damped(problem.A, relax=1)
    with pytest.raises(TypeError, match="missing a required argument: 'operator'"):
        Damped()
    for hidden in ({"_hidden": 1}, {"constant": 1}):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            Damped(problem.A, **hidden)
    with pytest.raises(ArgumentError, match=r"linear operator first, got ndarray.*MatrixOperator"):
        Landweber(problem.matrix)
    for wrong in (2.5, -1, True, "many"):
        with pytest.raises(ArgumentError, match="iterations of Landweber must be a whole number"):
            Landweber(problem.A, iterations=wrong)


@every_solver
def test_a_solver_is_an_immutable_value(problem, make):
    solver = make(problem.A, iterations=4)
    with pytest.raises(AttributeError, match="immutable"):
        solver.iterations = 5
    assert solver.replace(iterations=9).iterations == 9
    if not callable(getattr(solver, "step_size", None)):
        assert solver == make(problem.A, iterations=4)
        assert hash(solver) == hash(make(problem.A, iterations=4))
        assert pickle.loads(pickle.dumps(solver)) == solver
    assert solver != solver.replace(iterations=5)


def test_lists_are_frozen(problem):
    schedule = [1.0, 0.5]
    solver = solvers.SIRT(problem.A, iterations=2, relaxation=schedule)
    schedule[0] = 7.0
    assert solver.relaxation == (1.0, 0.5)


def test_printing():
    solver = solvers.SIRT(oa.Identity(oa.Space(3)), iterations=4, minimum=0)
    assert str(solver) == "SIRT(Identity, iterations=4, minimum=0)"
    assert repr(solver) == "SIRT(Identity(Space(3)), iterations=4, minimum=0)"
    assert solver._repr_latex_() == r"$\mathrm{SIRT}\left(I\right)$"
    first, second = solver.tree().splitlines()
    assert first.startswith("SIRT(_, iterations=4, minimum=0)    Space (3,) float32 -> ")
    assert second.startswith("└─ Identity")


# Calling


@every_solver
def test_a_solver_is_called_and_composed_like_an_operator(problem, make):
    solver = make(problem.A, iterations=4)
    y = data_for(solver, problem)
    x = solver(y)
    assert x in solver.range
    out = solver.range.zeros()
    assert solver(y, out=out) is out
    assert np.array_equal(out, x)
    assert np.array_equal((2 * solver)(y), 2 * x)
    assert np.array_equal((problem.A @ solver)(y), problem.A(x))


@every_solver
def test_data_are_not_changed(problem, make):
    solver = make(problem.A, iterations=3)
    y = data_for(solver, problem)
    start = solver.range.ones()
    before = y.copy()
    initial = None if make is ALL[0] else start
    solver.solve(y, initial=initial)
    assert np.array_equal(y, before)
    assert (start == 1).all()
    y.flags.writeable = False
    solver(y)


@every_solver
def test_a_batch_gives_what_its_samples_give_alone(problem, make):
    solver = make(problem.A, iterations=6)
    y = data_for(solver, problem)
    batch = np.stack([y, 1e-3 * y, y[::-1], 0 * y, 5 + y, -y]).reshape(2, 3, *y.shape)
    together = solver.solve(batch)
    assert together.x.shape == (2, 3, 7)
    assert together.history.get("residual", np.ones((6, 2, 3))).shape == (6, 2, 3)
    for index in np.ndindex(2, 3):
        alone = solver(batch[index])
        # Rounding only: a matrix times a matrix sums in another order than times a vector.
        scale = 1e-12 * np.linalg.norm(alone)
        np.testing.assert_allclose(together.x[index], alone, rtol=0, atol=scale)


def test_a_batch_is_bit_for_bit_that_of_samples_where_the_operator_is():
    A = oa.Diagonal(np.linspace(0.5, 2, 9))
    batch = np.random.default_rng(0).standard_normal((4, 9))
    for kind in (solvers.Landweber, solvers.SIRT, solvers.CGLS, solvers.CG):
        solver = kind(A, iterations=5)
        assert np.array_equal(solver(batch), np.stack([solver(y) for y in batch])), kind


@every_solver
def test_float32_stays_float32(make_problem, make):
    problem = make_problem("float32")
    solver = make(problem.A, iterations=5)
    y = data_for(solver, problem)
    assert solver(y).dtype == np.float32
    assert solver(np.stack([y, y])).dtype == np.float32


def test_blocks(problem):
    """Product spaces on both sides, with a batch."""
    G = oa.PartialDerivative(oa.Grid((5, 6), dtype="float64"), axis=0)
    A = oa.vstack([oa.Identity(G.domain), G])
    K = oa.block_diagonal([A, 2 * oa.Identity(oa.Space(3, "float64"))])
    x = K.domain.random(0, batch=(2,))
    y = K(x)
    for solver in (solvers.CGLS(K, iterations=60), solvers.Landweber(K, iterations=600)):
        found = solver(y)
        assert isinstance(found, oa.Blocks)
        for a, b in zip(found.flatten(), x.flatten(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-8)
    S = oa.block_diagonal([oa.Identity(G.domain), 2 * oa.Identity(oa.Space(3, "float64"))])
    found = solvers.SIRT(S, iterations=2, minimum=-1.0)(S(x))
    np.testing.assert_allclose(found[1], np.clip(x[1], -1, None), atol=1e-12)


# Iterating and resuming


@every_solver
def test_resuming_gives_the_same_bits(problem, make):
    solver = make(problem.A)
    y = data_for(solver, problem)
    whole = solver.solve(y, iterations=6)
    part = solver.solve(y, iterations=2)
    kept = part.x.copy()
    for state in (part.state, pickle.loads(pickle.dumps(part.state))):
        resumed = solver.solve(y, iterations=4, initial=state)
        assert np.array_equal(resumed.x, whole.x)
        assert resumed.state.iteration == 6
        assert resumed.history["iteration"].tolist() == [3, 4, 5, 6]
    assert np.array_equal(part.x, kept), "the state that a run starts from is not changed"
    assert part.state.iteration == 2


@every_solver
def test_iterate_gives_the_states_of_solve(problem, make):
    solver = make(problem.A)
    y = data_for(solver, problem)
    seen = []
    solver.solve(y, iterations=4, callbacks=[lambda state: seen.append(state.x.copy())])
    states = itertools.islice(solver.iterate(y), 4)
    for state, x in zip(states, seen, strict=True):
        assert np.array_equal(state.x, x)
    resumed = next(solver.iterate(y, initial=state))
    assert resumed.iteration == 5


@every_solver
def test_steps_taken_by_hand_give_the_same_bits(problem, make):
    """Functional states (new arrays) and states in place (the same memory) run one text."""
    solver = make(problem.A, iterations=5)
    y = data_for(solver, problem)
    state = solver.initial(y)
    states = [state]
    for _ in range(5):
        states.append(solver.step(states[-1], y))
    assert np.array_equal(states[-1].x, solver(y))
    assert (states[0].x == 0).all(), "a functional step leaves the state before it alone"


@pytest.mark.parametrize("make", ALL[1:], ids=IDS[1:])
def test_starting_from_an_array(problem, make):
    solver = make(problem.A, iterations=3)
    y = data_for(solver, problem)
    zero = solver.solve(y, initial=solver.range.zeros())
    np.testing.assert_allclose(zero.x, solver(y), rtol=1e-13)
    start = np.linspace(0, 1, 7)
    found = solver.solve(y, initial=start)
    # Linear methods: starting at x0 is solving for the rest.
    if not isinstance(solver, solvers.SIRT):
        rest = solver(y - solver.operator(start))
        np.testing.assert_allclose(found.x, start + rest, rtol=1e-11)
    batch = solver.solve(np.stack([y, 2 * y]), initial=start)
    np.testing.assert_allclose(batch.x[0], found.x, rtol=1e-12)


def test_a_start_in_parts_is_not_changed(problem):
    both = oa.block_diagonal([problem.A, problem.A])
    start = (np.ones(7), np.ones(7))  # a plain tuple will do for Blocks
    solvers.CGLS(both, iterations=2).solve((problem.y, problem.y), initial=start)
    assert all((part == 1).all() for part in start)


def test_a_solver_without_a_second_parameter_cannot_start_elsewhere(problem):
    with pytest.raises(NotSupportedError, match="cannot start from an array"):
        Landweber(problem.A).solve(problem.y, initial=np.zeros(7))


# Watching


def test_history_and_result(problem):
    result = solvers.CGLS(problem.A).solve(problem.y, iterations=5)
    assert result.history["iteration"].tolist() == [1, 2, 3, 4, 5]
    assert (np.diff(result.history["seconds"]) >= 0).all()
    assert (np.diff(result.history["residual"]) <= 0).all()
    np.testing.assert_allclose(
        result.history["residual"][-1], np.linalg.norm(problem.y - problem.matrix @ result.x)
    )
    assert result.state.x is result.x
    assert repr(result) == "Result(iteration 5: 5 iterations were done)"
    assert "residual" not in Landweber(problem.A).solve(problem.y, iterations=2).history


@pytest.mark.parametrize("make", ALL[1:], ids=IDS[1:])
def test_the_residual_is_that_of_the_iterate(problem, make):
    solver = make(problem.A)
    y = data_for(solver, problem)
    if "residual" not in next(solver.iterate(y)):
        return
    for state in itertools.islice(solver.iterate(y), 5):
        expected = np.linalg.norm(y - solver.operator(state.x))
        np.testing.assert_allclose(state.residual, expected, atol=1e-12)


def test_callbacks_see_every_state_and_may_stop(problem):
    seen = []

    def watch(state):
        seen.append(state.iteration)
        if state.iteration == 3:
            raise StopIteration("it looks good")

    result = solvers.SIRT(problem.A).solve(problem.y, callbacks=[watch, watch])
    assert seen == [1, 1, 2, 2, 3, 3]
    assert result.reason == "it looks good"
    assert result.state.iteration == 3

    def stop(state):
        raise StopIteration

    result = solvers.SIRT(problem.A).solve(problem.y, callbacks=[stop])
    assert result.reason == "a callback stopped the run in iteration 1"


@pytest.mark.parametrize("callbacks", [3, [3], print, [None]])
def test_callbacks_are_checked_before_work(problem, callbacks):
    with pytest.raises(ArgumentError, match="list of functions of the state"):
        solvers.SIRT(problem.A).solve(problem.y, callbacks=callbacks)


def test_what_a_callback_returns_does_not_matter(problem):
    result = solvers.SIRT(problem.A, iterations=3).solve(problem.y, callbacks=[lambda state: True])
    assert result.state.iteration == 3


def test_progress_bar(problem, capsys):
    stop = solvers.MaxIterations(5) | solvers.Residual(1e-9)
    solvers.CGLS(problem.A).solve(problem.y, stop=stop, progress=True)
    shown = capsys.readouterr().err
    assert "CGLS" in shown
    assert "5/5" in shown
    assert "residual=" in shown
    Landweber(problem.A).solve(problem.y, iterations=2, progress=True)
    assert "residual=" not in capsys.readouterr().err


class Interrupted(oa.LinearOperator):
    """The identity, whose third application is interrupted as by Ctrl-C."""

    def __init__(self):
        super().__init__(oa.Space(2, "float64"), oa.Space(2, "float64"))
        self.calls = []

    def _norm_bounds(self):
        return Bounds(1.0, 1.0)  # known without an application

    def _apply(self, x, out):
        self.calls.append(1)
        if len(self.calls) == 3:
            raise KeyboardInterrupt
        return np.multiply(x, 1.0, out=out)

    def _apply_transpose(self, y, out):
        return np.multiply(y, 1.0, out=out)


def test_an_interrupted_state_is_not_taken_for_a_whole_one():
    solver = solvers.Landweber(Interrupted(), step_size=lambda k: 0.5)
    y, kept = np.ones(2), []
    states = solver.iterate(y)
    state = next(states)
    next(states)
    kept = state.copy()
    with pytest.raises(KeyboardInterrupt):
        next(states)
    with pytest.raises(ArgumentError, match="left in the middle of step 3"):
        solver.solve(y, initial=state)
    resumed = solver.solve(y, iterations=1, initial=kept)
    whole = solvers.Landweber(oa.Identity(oa.Space(2, "float64")), step_size=0.5, iterations=3)(y)
    assert np.array_equal(resumed.x, whole)


def test_ctrl_c_reaches_the_caller_and_closes_the_bar(problem, monkeypatch):
    closed = []
    close = solvers.ProgressBar.close
    monkeypatch.setattr(
        solvers.ProgressBar, "close", lambda bar: (close(bar), closed.append(bar._bar.disable))
    )

    def interrupt(state):
        raise KeyboardInterrupt

    solver = solvers.SIRT(problem.A)
    with pytest.raises(KeyboardInterrupt):
        solver.solve(problem.y, callbacks=[interrupt], progress=True)
    assert closed == [True]


# What is wrong is said


def test_data_are_checked_before_work(problem):
    solver = solvers.CGLS(problem.A)
    broken = problem.y.copy()
    broken[[3, 5]] = np.nan, np.inf
    words = (
        r"the data of CGLS\(MatrixOperator\) must be finite, but 2 of 12 .*first at index \(3,\)"
    )
    with pytest.raises(NonFiniteError, match=words):
        solver(broken)
    with pytest.raises(NonFiniteError, match=r"1 of 24 entries .* index \(1, 0\)"):
        solver(np.stack([problem.y, np.where(np.arange(12) == 0, -np.inf, problem.y)]))
    both = solvers.CGLS(oa.vstack([problem.A, problem.A]))
    with pytest.raises(NonFiniteError, match="part 1 of the data"):
        both(oa.Blocks((problem.y, broken)))
    with pytest.raises(SpaceMismatchError, match="must have shape"):
        solver(problem.y[:5])
    with pytest.raises(DtypeError, match="must have dtype float64, got float32"):
        solver(problem.y.astype("float32"))


def test_large_float32_data_are_no_infinity():
    """The square of 1e30 overflows in float32; the data are fine."""
    y = np.array([1e30, -2e30], "float32")
    result = solvers.Landweber(oa.Identity(oa.Space(2)), step_size=0.5).solve(y, iterations=30)
    np.testing.assert_allclose(result.x, y, rtol=1e-6)
    assert np.isfinite(result.history["residual"]).all()


def test_the_start_is_checked(problem):
    solver = solvers.SIRT(problem.A)
    with pytest.raises(SpaceMismatchError, match="the start of SIRT"):
        solver.solve(problem.y, initial=np.zeros(3))
    with pytest.raises(NonFiniteError, match=r"the start of SIRT.* first at index \(6,\)"):
        solver.solve(problem.y, initial=np.array([0.0] * 6 + [np.nan]))
    with pytest.raises(ArgumentError, match=r"has batch axes \(3,\), the data have \(2,\)"):
        solver.solve(np.stack([problem.y] * 2), initial=np.zeros((3, 7)))
    state = solver.solve(problem.y, iterations=1).state
    with pytest.raises(ArgumentError, match=r"the state to resume from has batch axes \(\)"):
        solver.solve(np.stack([problem.y] * 2), initial=state)


class Forgetful(solvers.Solver):
    """Does not go on from its state."""

    def step(self, state, y):
        return self.start(y)


def test_a_step_that_does_not_advance_is_refused(problem):
    with pytest.raises(ArgumentError, match=r"must end with return state\.advance"):
        Forgetful(problem.A)(problem.y)
    with pytest.raises(NotImplementedError, match="does not define step"):
        solvers.Solver(problem.A)(problem.y)


class Exploding(solvers.Solver):
    """Knows no residual, and diverges."""

    def step(self, state, y):
        return state.advance(x=state.x * 1e100 + 1)


def test_divergence_without_a_residual_is_seen_in_x(problem):
    with pytest.raises(NonFiniteError, match=r"the norm of x is inf after iteration 3"):
        Exploding(problem.A)(problem.y)
