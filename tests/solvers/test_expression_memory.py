"""No array is allocated by an iteration where the operators are expressions: sums, products, stacks."""

import itertools
import threading
import tracemalloc

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.operators import workspace

SHAPE = (400, 500)
X = oa.Space(SHAPE)
VOLUME = 4 * X.size
# Pieces of linear combinations, masks, small objects.
CHANGE = 0.3 * VOLUME


class Varying(oa.LinearOperator):
    """x -> d x for a varying d, in the memory that it is given."""

    self_adjoint = True
    nonnegative = True

    def __init__(self, low, high):
        super().__init__(X, X)
        self._weight = np.linspace(low, high, X.size, dtype="float32").reshape(SHAPE)

    def _apply(self, x, out):
        return np.multiply(x, self._weight, out=out)

    def _norm_bounds(self):
        return oa.operators.norms.Bounds(1, 1 + 1e-6)


D, E = Varying(0.5, 1.0), Varying(0.9, 1.0)
EXPRESSION = (D @ E @ D + 0.5 * E @ D) @ E  # two intermediate results at a time, and a sum's
G = oa.Gradient(X)
TV = 0.1 * fn.GroupL1(G.range) @ (G @ E)
STACK = 0.1 * fn.SeparableSum(fn.GroupL1(G.range), fn.L1(X)) @ oa.vstack([G @ D, E @ E])

SOLVERS = {
    "SIRT": lambda: solvers.SIRT(EXPRESSION),
    "CGLS": lambda: solvers.CGLS(EXPRESSION),
    "LSQR": lambda: solvers.LSQR(EXPRESSION),
    "CG": lambda: solvers.CG((D @ E).gram + E),
    "FISTA": lambda: solvers.FISTA(EXPRESSION, regularizer=0.1 * fn.L1(X)),
    "PDHG": lambda: solvers.PDHG(EXPRESSION, regularizer=TV),
    "PDHG, stack": lambda: solvers.PDHG(EXPRESSION, regularizer=STACK),
    "CondatVu": lambda: solvers.CondatVu(EXPRESSION, regularizer=TV + fn.NonNegative(X)),
    "PD3O": lambda: solvers.PD3O(EXPRESSION, regularizer=STACK),
    "LinearizedADMM": lambda: solvers.LinearizedADMM(EXPRESSION, regularizer=TV),
    "ADMM": lambda: solvers.ADMM(EXPRESSION, regularizer=TV),
    "Nesterov": lambda: solvers.Nesterov(EXPRESSION, regularizer=fn.Huber(X, 0.1) @ (D @ E)),
}


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.fixture(scope="module")
def y():
    return np.random.default_rng(0).uniform(0, 1, SHAPE).astype("float32")


@pytest.mark.parametrize("name", SOLVERS)
def test_no_array_is_allocated_after_the_first_iterations(name, y, traced):
    states = SOLVERS[name]().iterate(y)
    next(states), next(states)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in itertools.islice(states, 3):
        pass
    assert tracemalloc.get_traced_memory()[1] - before < CHANGE


@pytest.mark.parametrize("name", ["CGLS", "PDHG, stack"])
def test_results_are_those_without_lent_memory(name, y, monkeypatch):
    solver = SOLVERS[name]()
    found = solver.solve(y, iterations=4).x
    monkeypatch.setattr(workspace, "take", lambda *arguments: None)
    assert np.array_equal(solver.solve(y, iterations=4).x, found)


def test_total_variation_denoising_takes_the_memory_that_it_states(y, traced):
    """3 volumes and an element of the range of the gradient: the fused dual step needs no second one."""
    solver = solvers.PDHG(oa.Identity(X), regularizer=0.1 * fn.GroupL1(G.range) @ G)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    solver.solve(y, iterations=4)
    used = tracemalloc.get_traced_memory()[1] - before
    assert 4 * VOLUME < used < 5 * VOLUME + CHANGE


def test_memory_is_lent_to_one_thread_and_one_run_at_a_time():
    x = np.ones(SHAPE, "float32")
    with workspace.Workspace():
        mine = workspace.take(X, x, ())
        workspace.give_back(X, mine, ())
        assert workspace.take(X, x, ()) is mine
        second = workspace.take(X, x, ())
        assert not np.shares_memory(second, mine)
        assert workspace.take(X, x, (2,)).shape == (2, *SHAPE)
        with workspace.Workspace():  # a solver within a solver
            assert workspace.take(X, x, ()) is not mine
        seen = []
        thread = threading.Thread(target=lambda: seen.append(workspace.take(X, x, ())))
        thread.start(), thread.join()
        assert seen == [None]
    assert workspace.take(X, x, ()) is None


def test_what_is_applied_outside_of_steps_keeps_nothing(y, traced):
    state = next(solvers.CGLS(EXPRESSION).iterate(y))
    results = [EXPRESSION(y), EXPRESSION(y)]
    assert not np.shares_memory(*results)
    assert not np.shares_memory(results[0], state.x)


def test_an_error_in_a_step_leaves_no_memory_lent(y):
    class Broken(solvers.Solver):
        def step(self, state, y):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(Broken(EXPRESSION).iterate(y))
    assert workspace.take(X, y, ()) is None


def test_calls_from_many_threads_agree(y):
    solver = solvers.CGLS(EXPRESSION, iterations=3)
    results = [None] * 4

    def run(k):
        results[k] = solver(y * (k % 2 + 1))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(results[1], results[3])
