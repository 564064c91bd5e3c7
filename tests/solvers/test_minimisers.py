"""What every solver of an objective has in common: batches, resuming, tensors, gradients, memory, "
"printing."""

import itertools
import pickle
import re
import tracemalloc

import numpy as np
import pytest
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers

torch = pytest.importorskip("torch")


def tv(problem):
    return {"regularizer": problem.regularizer + fn.Box(problem.X, -1.5, 1.5)}


def l1(problem):
    return {"regularizer": 0.3 * fn.L1(problem.X)}


# name -> (class, options, regulariser)
SOLVERS = {
    "PDHG": (solvers.PDHG, {}, tv),
    "PDHG adaptive": (solvers.PDHG, {"adaptive": True}, tv),
    "PDHG preconditioned": (solvers.PDHG, {"preconditioned": True}, tv),
    "PDHG with tolerance": (solvers.PDHG, {"tolerance": 1e-12}, tv),
    "CondatVu": (solvers.CondatVu, {}, tv),
    "PD3O": (solvers.PD3O, {}, tv),
    "LinearizedADMM": (solvers.LinearizedADMM, {}, tv),
    "ISTA": (solvers.ISTA, {}, l1),
    "FISTA": (solvers.FISTA, {}, l1),
    "FISTA with all": (
        solvers.FISTA,
        {"monotone": True, "restart": True, "backtracking": True, "step_size": 1.0},
        l1,
    ),
    "ADMM": (solvers.ADMM, {"relaxation": 1.5}, tv),
    "ADMM balanced": (solvers.ADMM, {"balancing": True, "penalty": 30.0}, tv),
    "ADMM exact": (solvers.ADMM, {"exact": True}, tv),
    "SplitBregman": (solvers.SplitBregman, {}, tv),
    "DouglasRachford": (solvers.DouglasRachford, {"relaxation": 1.3}, l1),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)


def make(name, problem, **settings):
    kind, options, regularizer = SOLVERS[name]
    return kind(problem.A, **options, **regularizer(problem), **settings)


@pytest.fixture(scope="module")
def problem():
    return total_variation_problem()


@every_solver
def test_a_batch_gives_what_its_samples_give_alone(name, problem):
    solver = make(name, problem, iterations=25)
    batch = np.stack([problem.y, 1e-2 * problem.y, problem.y[::-1], 5 + problem.y])
    batch = batch.reshape(2, 2, -1)
    together = solver(batch)
    for index in np.ndindex(2, 2):
        alone = solver(batch[index])
        # Rounding only, which 25 iterations and decisions on numbers per sample let grow a little.
        np.testing.assert_allclose(together[index], alone, rtol=0, atol=1e-9)


@every_solver
def test_resuming_gives_the_same_bits(name, problem):
    solver = make(name, problem)
    whole = solver.solve(problem.y, iterations=23)
    part = solver.solve(problem.y, iterations=9)
    for state in (part.state, pickle.loads(pickle.dumps(part.state))):
        resumed = solver.solve(problem.y, iterations=14, initial=state)
        assert np.array_equal(resumed.x, whole.x)


@every_solver
def test_steps_taken_by_hand_give_the_same_bits(name, problem):
    solver = make(name, problem, iterations=12)
    state = solver.initial(problem.y)
    first = state.x.copy()
    for k in range(12):
        following = solver.step(state, problem.y)
        assert k or np.array_equal(state.x, first), (
            "a functional step leaves the state before it alone"
        )
        state = following
    assert np.array_equal(state.x, solver(problem.y))


@every_solver
def test_starting_from_the_solution_stays_near(name, problem):
    solver = make(name, problem, iterations=3)
    start = problem.X.ones()
    batch = solver.solve(np.stack([problem.y, 2 * problem.y]), initial=start)
    single = solver.solve(problem.y, initial=start)
    np.testing.assert_allclose(batch.x[0], single.x, atol=1e-10)
    assert (start == 1).all()
    assert not np.allclose(single.x, solver(problem.y), atol=1e-8), "the start has an effect"


@every_solver
def test_tensors_give_the_numbers_of_numpy(name):
    for dtype in ("float32", "float64"):
        problem = total_variation_problem(dtype=dtype)
        solver = make(name, problem, iterations=12)
        for y in (problem.y, np.stack([problem.y, -2 * problem.y])):
            x = solver(torch.from_numpy(y))
            assert x.numpy().dtype == solver(y).dtype == dtype
            scale = 500 * np.finfo(dtype).eps * max(1, float(abs(solver(y)).max()))
            np.testing.assert_allclose(x.numpy(), solver(y), rtol=0, atol=scale)


@every_solver
def test_unrolled_is_the_solver_bit_for_bit_and_differentiable(name, problem):
    solver = make(name, problem, iterations=6)
    for y in (torch.from_numpy(problem.y), torch.from_numpy(np.stack([problem.y] * 2))):
        with torch.no_grad():
            plain = solver(y)
        recorded = solver(y.clone().requires_grad_())
        assert recorded.requires_grad
        assert torch.equal(recorded.detach(), plain)
    y = torch.from_numpy(problem.y).requires_grad_()
    # Steps found by decisions are constants for autograd, so that differences do not see them either.
    assert torch.autograd.gradcheck(solver, y, eps=1e-7, atol=1e-5)


@every_solver
def test_a_solver_is_an_immutable_value(name, problem):
    solver = make(name, problem, iterations=4)
    assert solver == make(name, problem, iterations=4)
    assert pickle.loads(pickle.dumps(solver)) == solver
    assert type(solver).__name__ in repr(solver)
    y = problem.y.copy()
    y.flags.writeable = False
    assert solver(y) in problem.X


# Memory

N = 200_000
VOLUME = 4 * N


class Halves(oa.LinearOperator):
    """x -> d x for a varying d, in the memory that it is given."""

    self_adjoint = True

    def __init__(self):
        super().__init__(oa.Space(N), oa.Space(N))
        self._weight = np.linspace(0.5, 1, N, dtype="float32")

    def _apply(self, x, out):
        return np.multiply(x, self._weight, out=out)

    def _norm_bounds(self):
        return oa.operators.norms.Bounds(1, 1 + 1e-6)


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def large(name):
    A = Halves()
    G = oa.Gradient(A.domain)
    kind, options, regularizer = SOLVERS[name]
    if regularizer is tv:
        return kind(
            A, regularizer=0.1 * fn.GroupL1(G.range) @ G + fn.NonNegative(A.domain), **options
        )
    return kind(A, regularizer=0.1 * fn.L1(A.domain), **options)


# "FISTA with all" asks for values of functionals, and "exact" for a product with a matrix: both make
# temporary arrays.
@pytest.mark.parametrize("name", [n for n in SOLVERS if n not in {"ADMM exact", "FISTA with all"}])
def test_no_array_is_allocated_after_the_first_iteration(name, traced):
    solver = large(name)
    y = np.random.default_rng(0).uniform(0, 1, N).astype("float32")
    states = solver.iterate(y)
    for _ in range(10):  # the first look at the optimality is in the tenth
        next(states)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in itertools.islice(states, 11):
        pass
    assert tracemalloc.get_traced_memory()[1] - before < 0.5 * VOLUME


# Volumes beyond the data as the docstrings state them, for an operator on one space and a gradient in
# one dimension.
STATED = {
    "PDHG": 4 + 2 * 2,
    "CondatVu": 4 + 2 + 2 * 1,
    "PD3O": 5 + 2 + 2 * 1,
    "LinearizedADMM": 3 + 1 + 3 * 2,
    "ISTA": 4 + 2,
    "FISTA": 5 + 2,
}


@pytest.mark.parametrize("name", STATED)
def test_peak_memory_is_as_stated(name, traced):
    solver = large(name)
    y = np.random.default_rng(0).uniform(0, 1, N).astype("float32")
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    solver.solve(y, iterations=4)
    used = (tracemalloc.get_traced_memory()[1] - before) / VOLUME
    assert STATED[name] - 1.5 < used <= STATED[name] + 0.6
    assert re.search(r"Memory beyond the data: \d volumes", type(solver).__doc__)
