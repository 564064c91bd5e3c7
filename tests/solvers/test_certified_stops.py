"""Optimality and duality gap as rules: against closed forms, for every solver that has a certificate."""

import every_solver
import numpy as np
import pytest
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import ArgumentError, NotSupportedError
from opalg.solvers.certificates import gap, optimality

torch = pytest.importorskip("torch")

PRIMAL_DUAL = [solvers.PDHG, solvers.CondatVu, solvers.PD3O, solvers.LinearizedADMM]
SPLITTING = [solvers.ADMM, solvers.SplitBregman]


def certificate(solver, y, iterations):
    return solver.certificate(solver.solve(y, iterations=iterations).state, y)


def lasso():
    """Separable, so that soft thresholding is the solution, in a weighted space."""
    X = oa.Space(4, "float64", weighting=0.5)
    d, y, strength = np.array([1.0, 2.0, 0.5, 3.0]), np.array([3.0, -4.0, 0.2, 6.0]), 0.7
    A = oa.Diagonal(d, X)
    x = np.sign(y) * np.maximum(abs(d * y) - strength, 0) / d**2
    regularizer = strength * fn.L1(X)
    best = float(fn.LeastSquares(X, y)(A(x)) + regularizer(x))
    return A, y, regularizer, x, best


def objective(A, y, regularizer, x):
    return float(fn.LeastSquares(A.range, y)(A(x)) + regularizer(x))


@pytest.mark.parametrize("kind", [solvers.ISTA, solvers.FISTA, solvers.DouglasRachford, *SPLITTING])
@pytest.mark.parametrize("iterations", [1, 4, 20])
def test_the_gap_bounds_the_distance_to_the_minimum(kind, iterations):
    A, y, regularizer, _, best = lasso()
    found = certificate(kind(A, regularizer=regularizer), y, iterations)
    primal, distance = gap(found)
    x = found.x
    np.testing.assert_allclose(primal, objective(A, y, regularizer, x), rtol=1e-12)
    assert primal - best <= distance + 1e-12
    assert primal - distance <= best + 1e-12  # the dual value never exceeds the minimum
    assert distance < 1e3


@pytest.mark.parametrize("kind", [solvers.ISTA, solvers.FISTA, solvers.DouglasRachford, *SPLITTING])
def test_a_run_that_stops_at_the_gap_is_as_near_as_was_asked(kind):
    A, y, regularizer, x, best = lasso()
    for tolerance in (1e-2, 1e-5, 1e-8):
        result = kind(A, regularizer=regularizer, iterations=5000).solve(
            y, stop=solvers.DualityGap(tolerance, every=1)
        )
        assert result.reason.startswith(f"the duality gap fell to {tolerance:g} of the objective")
        value = objective(A, y, regularizer, result.x)
        assert value - best <= tolerance * value
        # Strong convexity turns it into a distance: |x - x*|^2 / 8 in the inner product of the space.
        assert 0.125 * 0.5 * np.sum((result.x - x) ** 2) <= 1.01 * tolerance * value + 1e-14


@pytest.mark.parametrize("kind", [*PRIMAL_DUAL, *SPLITTING])
def test_denoising_by_total_variation(kind):
    """The data term bounds x, and the conjugate of the variation admits a ball."""
    X = oa.Grid(4, spacing=1.0, dtype="float64")
    G = oa.Gradient(X)
    y, expected = np.array([0.0, 3.0, 3.0, 1.0]), np.array([0.5, 2.5, 2.5, 1.5])
    solver = kind(oa.Identity(X), regularizer=0.5 * fn.GroupL1(G.range) @ G, iterations=4000)
    result = solver.solve(y, stop=solvers.DualityGap(1e-7))
    assert "duality gap" in result.reason
    best = 0.5 * np.sum((expected - y) ** 2) + 0.5 * np.abs(np.diff(expected)).sum()
    primal, distance = gap(certificate(solver, y, 3))
    assert primal - distance <= best + 1e-12
    # 1/2 |x - x*|^2 <= gap for a data term of strong convexity 1.
    assert 0.5 * np.sum((result.x - expected) ** 2) <= 1e-7 * best * 1.1


@pytest.mark.parametrize("kind", [*PRIMAL_DUAL, *SPLITTING, solvers.SPDHG])
def test_optimality_of_total_variation_in_weighted_spaces(kind):
    problem = total_variation_problem()
    settings = {"subsets": 5} if kind is solvers.SPDHG else {}
    solver = kind(problem.A, regularizer=problem.regularizer, iterations=20_000, **settings)
    errors = []
    for tolerance in (1e-3, 1e-6):
        result = solver.solve(problem.y, stop=solvers.Optimality(tolerance, every=25))
        assert result.reason.startswith(f"the optimality conditions hold up to {tolerance:g}")
        assert result.state.iteration % 25 == 0
        errors.append(np.linalg.norm(result.x - problem.x) / np.linalg.norm(problem.x))
    assert errors[1] < 2e-5
    assert errors[1] < 0.1 * errors[0]


@pytest.mark.parametrize("kind", [solvers.GradientDescent, solvers.LBFGS, solvers.Nesterov])
def test_optimality_of_smooth_objectives(kind):
    problem = total_variation_problem()
    regularizer = 0.5 * fn.SquaredL2(problem.X)
    solver = kind(problem.A, regularizer=regularizer, iterations=5000)
    x = solver.solve(problem.y, stop=solvers.Optimality(1e-9, every=1)).x
    M, v, w = problem.A.matrix, problem.Y.weighting, problem.X.weighting
    expected = np.linalg.solve(v * M.T @ M + w * np.eye(7), v * M.T @ problem.y)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", [solvers.SAGA, solvers.SVRG])
def test_optimality_of_sums_over_subsets(kind):
    """The data terms of the subsets, and the regularizer, are one objective."""
    M = np.random.default_rng(1).standard_normal((12, 4))
    A, y = oa.MatrixOperator(M), np.random.default_rng(2).standard_normal(12)
    regularizer = 0.3 * fn.L1(A.domain) + 0.2 * fn.SquaredL2(A.domain)
    solver = kind(A, regularizer=regularizer, subsets=3, iterations=20_000)
    x = solver.solve(y, stop=solvers.Optimality(1e-9)).x
    exact = solvers.FISTA(A, regularizer=regularizer, iterations=20_000)
    expected = exact.solve(y, stop=solvers.Optimality(1e-12)).x
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", [solvers.CGLS, solvers.LSQR, solvers.LSMR])
@pytest.mark.parametrize("damp", [0.0, 0.7])
def test_optimality_of_least_squares(kind, damp):
    """Spaces with numbers as weights have the plain minimum; others mean another sum of squares."""
    rng = np.random.default_rng(3)
    X, Y = oa.Space(5, "float64", weighting=0.25), oa.Space(9, "float64", weighting=3.0)
    M, y, start = rng.standard_normal((9, 5)), rng.standard_normal(9), rng.standard_normal(5)
    options = {"damp": damp} if damp and kind is not solvers.CGLS else {}
    damp = options.get("damp", 0.0)
    solver = kind(oa.MatrixOperator(M, X, Y), iterations=50, **options)
    result = solver.solve(y, stop=solvers.Optimality(1e-10, every=1), initial=start)
    assert result.state.iteration <= 6
    normal, right = M.T @ M + damp**2 * np.eye(5), M.T @ y + damp**2 * start
    np.testing.assert_allclose(result.x, np.linalg.solve(normal, right), rtol=1e-8)
    varying = oa.Space(9, "float64", weighting=np.linspace(1, 2, 9))
    with pytest.raises(NotSupportedError, match="plain sum of squares, and the spaces of"):
        kind(oa.MatrixOperator(M, X, varying)).solve(y, stop=solvers.Optimality(1e-4))


def test_the_measure_has_no_units():
    """Data, operator and regulariser in other units: the same numbers."""
    problem = total_variation_problem()
    values = []
    for a, b in ((1.0, 1.0), (1e3, 1e-2), (1e-4, 10.0)):
        # x in units b / a, the objective in units b^2
        solver = solvers.ADMM(
            a * problem.A, regularizer=(a * b) * problem.regularizer, exact=True, penalty=None
        )
        values.append(optimality(certificate(solver, b * problem.y, 7)))
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    assert values[0] > 1e-6


def test_rules_combine_and_count():
    A, y, regularizer, _, _ = lasso()
    solver = solvers.FISTA(A, regularizer=regularizer, iterations=3000)
    tight, loose = solvers.Optimality(1e-8), solvers.DualityGap(1e-2)
    both = solver.solve(y, stop=tight & loose)
    assert " and " in both.reason
    assert both.state.iteration == solver.solve(y, stop=tight).state.iteration
    either = solver.solve(y, stop=tight | loose)
    assert either.state.iteration == solver.solve(y, stop=loose).state.iteration
    assert solver.solve(y, stop=tight | solvers.MaxIterations(5)).reason == "5 iterations were done"
    # A finished state needs no step more.
    again = solver.solve(y, stop=tight, initial=both.state)
    assert again.state.iteration == both.state.iteration
    assert repr(tight | loose) == "Optimality(1e-08) | DualityGap(0.01)"


def test_batches_and_tensors():
    A, y, regularizer, _, _ = lasso()
    solver = solvers.FISTA(A, regularizer=regularizer, restart=True, iterations=3000)
    batch = np.stack([y, 10 * y, 0 * y])
    for rule in (solvers.DualityGap(1e-6), solvers.Optimality(1e-6)):
        alone = [solver.solve(sample, stop=rule).state.iteration for sample in batch]
        together = solver.solve(batch, stop=rule)
        assert together.state.iteration == max(alone)
        tensors = solver.solve(torch.from_numpy(batch), stop=rule)
        assert tensors.state.iteration == together.state.iteration
        recorded = solver.solve(torch.from_numpy(y).requires_grad_(), stop=rule)
        assert recorded.x.requires_grad


@pytest.mark.parametrize("name", sorted(every_solver.public_solvers()))
def test_a_solver_is_certified_or_says_that_it_is_not(name):
    solver = every_solver.build(name, every_solver.matrix_operator(), iterations=20_000)
    y = every_solver.data(solver, batch=2)
    inherits = type(solver).certificate is solvers.Solver.certificate
    if inherits or "denoiser" in type(solver)._fields:
        words = (
            f"{name} has no dual variables .*; Residual, RelativeChange and MaxIterations stop it"
        )
        with pytest.raises(NotSupportedError, match=words):
            solver.solve(y, stop=solvers.Optimality(1e-4))
        return
    # The error of stochastic gradients falls like their step, 1 / iterations.
    tolerance, most = (1e-2, 5000) if name == "SGD" else (1e-4, 2000)
    result = solver.solve(y, stop=solvers.Optimality(tolerance))
    assert result.state.iteration < most
    assert np.all(optimality(solver.certificate(result.state, y)) <= tolerance)


def test_gaps_that_stay_infinite_are_refused_before_work():
    problem = total_variation_problem()
    with pytest.raises(NotSupportedError, match="no term of the objective bounds x itself"):
        solvers.PDHG(problem.A, regularizer=problem.regularizer).solve(
            problem.y, stop=solvers.DualityGap(1e-3)
        )
    with pytest.raises(NotSupportedError, match=r"NonNegative admits one sign .*bound x \(fn.Box"):
        solvers.FISTA(problem.A, regularizer=fn.NonNegative(problem.X)).solve(
            problem.y, stop=solvers.DualityGap(1e-3)
        )
    box = problem.regularizer + fn.Box(problem.X, -3.0, 3.0)
    bounded = solvers.PDHG(problem.A, regularizer=box, iterations=20_000)
    result = bounded.solve(problem.y, stop=solvers.DualityGap(1e-5))
    assert "duality gap" in result.reason
    np.testing.assert_allclose(result.x, problem.x, atol=1e-2)


def test_senseless_numbers_are_refused():
    with pytest.raises(ArgumentError, match="tolerance of DualityGap must be positive"):
        solvers.DualityGap(0.0)
    with pytest.raises(ArgumentError, match="every of Optimality must be a positive whole number"):
        solvers.Optimality(1e-3, every=0)
    with pytest.raises(NotSupportedError, match="asks a solver"):
        solvers.Optimality(1e-3).start(None, None, None)
