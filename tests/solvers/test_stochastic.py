"""SGD, SAGA, SVRG and SPDHG: the minimisers of the whole objective, rates, reproducibility, errors."""

import numpy as np
import pytest
from scipy.optimize import nnls
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.errors import ArgumentError, NotSupportedError

REDUCED = [solvers.SAGA, solvers.SVRG]
ALL = [solvers.SGD, *REDUCED, solvers.SPDHG]


@pytest.mark.parametrize("kind", [*REDUCED, solvers.SPDHG])
def test_nonnegative_least_squares(make_problem, kind):
    problem = make_problem()
    expected = nnls(problem.matrix, problem.y)[0]
    solver = kind(
        problem.A, regularizer=fn.NonNegative(problem.A.domain), subsets=4, iterations=4000
    )
    np.testing.assert_allclose(solver(problem.y), expected, atol=1e-6)


@pytest.mark.parametrize("kind", REDUCED)
def test_a_smooth_regularizer_in_weighted_spaces(kind):
    """Quadratic, so that the minimiser is that of a linear system with both weights."""
    problem = total_variation_problem(rows=12)
    K = problem.G
    solver = kind(
        problem.A, regularizer=0.2 * fn.SquaredL2(K.range) @ K, subsets=3, iterations=4000
    )
    M, D = problem.A.matrix, np.stack([K(e)[0] for e in np.eye(7)], axis=1)
    v, w = problem.Y.weighting, problem.X.weighting
    expected = np.linalg.solve(v * M.T @ M + 0.4 * w * D.T @ D, v * M.T @ problem.y)
    np.testing.assert_allclose(solver(problem.y), expected, atol=1e-6)


def test_spdhg_with_total_variation_in_weighted_spaces():
    problem = total_variation_problem()
    solver = solvers.SPDHG(problem.A, regularizer=problem.regularizer, subsets=5, iterations=12_000)
    np.testing.assert_allclose(solver(problem.y), problem.x, atol=1e-4)


def test_weights_of_subsets_of_views():
    """A sinogram space has a weight per angle step, which is that of the subset's in a subset."""
    grid = oa.Grid((8, 8), dtype="float64")
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=12, detector=14))
    y = A(grid.random(0)) + 0.5 * A.range.random(1)
    regularizer = 5.0 * fn.SquaredL2(grid)
    whole = solvers.FISTA(A, regularizer=regularizer, restart=True, iterations=600)(y)
    for kind in REDUCED:
        x = kind(A, regularizer=regularizer, subsets=4, iterations=3000)(y)
        np.testing.assert_allclose(x, whole, atol=1e-6)
    x = solvers.SPDHG(A, regularizer=regularizer, subsets=4, iterations=4000)(y)
    np.testing.assert_allclose(x, whole, atol=1e-4)


def test_sgd_converges_with_shrinking_steps(make_problem):
    problem = make_problem()
    expected = np.linalg.lstsq(problem.matrix, problem.y, rcond=None)[0]
    errors = [
        np.linalg.norm(solvers.SGD(problem.A, subsets=4, iterations=n)(problem.y) - expected)
        for n in (100, 1000, 20_000)
    ]
    assert errors[2] < 0.6 * errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("kind", REDUCED)
def test_variance_reduction_converges_linearly(make_problem, kind):
    """With a constant step, for a strongly convex objective; SGD stays at a level."""
    problem = make_problem()
    expected = np.linalg.lstsq(problem.matrix, problem.y, rcond=None)[0]
    error = lambda solver, n: np.linalg.norm(  # noqa: E731
        solver.solve(problem.y, iterations=n).x - expected
    )
    solver = kind(problem.A, subsets=4)
    early, late = error(solver, 2000), error(solver, 4000)
    assert late < 0.2 * early
    step = solver._prepare(problem.y).step
    level = error(solvers.SGD(problem.A, subsets=4, step_size=step), 4000)
    assert late < 0.1 * level


@pytest.mark.parametrize("kind", ALL)
def test_runs_are_reproducible_and_resume(make_problem, kind):
    problem = make_problem()
    solver = kind(problem.A, subsets=4)
    whole = solver.solve(problem.y, iterations=21)
    part = solver.solve(problem.y, iterations=9)
    assert np.array_equal(solver.solve(problem.y, iterations=12, initial=part.state).x, whole.x)
    other = kind(problem.A, subsets=4, seed=1).solve(problem.y, iterations=21)
    assert not np.allclose(other.x, whole.x)


@pytest.mark.parametrize("kind", ALL)
def test_batches_tensors_and_gradients(make_problem, kind):
    torch = pytest.importorskip("torch")
    problem = make_problem()
    solver = kind(problem.A, regularizer=fn.L1(problem.A.domain), subsets=4, iterations=11)
    y = np.stack([problem.y, -2 * problem.y])
    single = np.stack([solver(sample) for sample in y])
    np.testing.assert_allclose(solver(y), single, atol=1e-12)
    np.testing.assert_allclose(solver(torch.from_numpy(y)).numpy(), single, atol=1e-12)
    state = solver.initial(problem.y)
    for _ in range(11):
        state = solver.step(state, problem.y)
    assert np.array_equal(state.x, single[0])
    t = torch.from_numpy(problem.y).requires_grad_()
    assert torch.equal(solver(t).detach(), solver(t.detach()))
    assert torch.autograd.gradcheck(solver, t)


@pytest.mark.parametrize("kind", ALL)
def test_no_array_is_allocated_after_the_first_iterations(kind):
    import tracemalloc

    rng = np.random.default_rng(0)
    grid = oa.Grid((256, 256))
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=64, detector=370))
    y = rng.uniform(0, 1, A.range.shape).astype("float32")
    tracemalloc.start()
    states = kind(A, regularizer=fn.NonNegative(grid), subsets=4).iterate(y)
    for _ in range(16):
        next(states)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in range(16):
        next(states)
    used = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert used < 0.5 * 4 * grid.size


def test_what_does_not_fit_is_refused(make_problem):
    problem = make_problem()
    with pytest.raises(NotSupportedError, match=r"SAGA cannot handle the data term .*SPDHG"):
        solvers.SAGA(problem.A, fidelity=fn.PoissonLikelihood, subsets=2)(abs(problem.y))
    with pytest.raises(ArgumentError, match="subsets of SGD must be a whole number from 1 to 12"):
        solvers.SGD(problem.A, subsets=13)
    with pytest.raises(ArgumentError, match="seed of SVRG must be a whole number"):
        solvers.SVRG(problem.A, subsets=2, seed=-1)
    with pytest.raises(ArgumentError, match="step size 1000 of SAGA is too long"):
        solvers.SAGA(problem.A, subsets=2, step_size=1000.0)(problem.y)
    with pytest.raises(NotSupportedError, match="no method subsets"):
        solvers.SPDHG(oa.Identity(problem.A.domain), subsets=2)
    weighted = oa.Space(12, "float64", weighting=np.linspace(1, 2, 12))
    A = oa.MatrixOperator(problem.matrix, problem.A.domain, weighted)
    with pytest.raises(NotSupportedError, match="constant weighting; put weights"):
        solvers.SAGA(A, subsets=2)
