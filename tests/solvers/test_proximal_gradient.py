"""ISTA, FISTA and projected gradient: minimisers, rates, steps, restarts, and what the errors say."""

import numpy as np
import pytest
from scipy.optimize import nnls
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError

KINDS = {
    "ISTA": solvers.ISTA,
    "FISTA": solvers.FISTA,
    "monotone": lambda A, **kw: solvers.FISTA(A, monotone=True, **kw),
    "restart": lambda A, **kw: solvers.FISTA(A, restart=True, **kw),
    "backtracking": lambda A, **kw: solvers.FISTA(A, backtracking=True, step_size=1.0, **kw),
    "all": lambda A, **kw: solvers.FISTA(
        A, backtracking=True, restart=True, monotone=True, step_size=1.0, **kw
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def lasso_violation(A, y, x, strength):
    """How far x violates the optimality conditions of ``|A x - y|_V^2 / 2 + strength |x|_W``, "
    "entry by entry."""
    g = A.adjoint(A(x) - y)
    return np.where(x != 0, abs(g + strength * np.sign(x)), np.maximum(abs(g) - strength, 0)).max()


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_lasso(kind, weighted):
    problem = total_variation_problem(weighted=weighted)
    strength = 0.5 * abs(problem.A.adjoint(problem.y)).max()
    solver = kind(problem.A, regularizer=strength * fn.L1(problem.X), iterations=2000)
    x = solver(problem.y)
    assert 0 < np.count_nonzero(x) < x.size, "the solution is sparse, and not zero"
    assert lasso_violation(problem.A, problem.y, x, strength) < 1e-6 * strength


@pytest.mark.parametrize("kind", [*KINDS.values(), solvers.ProjectedGradient])
def test_nonnegative_least_squares(make_problem, kind):
    problem = make_problem()
    expected = nnls(problem.matrix, problem.y)[0]
    assert (expected == 0).any()
    solver = kind(problem.A, regularizer=fn.NonNegative(problem.A.domain), iterations=2000)
    np.testing.assert_allclose(solver(problem.y), expected, atol=1e-7)


@every_kind
def test_smooth_and_proximable_terms_together(kind):
    """Elastic net on one side, the same as a smooth and a proximable term on the other."""
    problem = total_variation_problem()
    one = kind(problem.A, regularizer=fn.ElasticNet(problem.X, 0.3, 0.8), iterations=1500)
    G = oa.Identity(problem.X)
    smooth = 0.4 * fn.SquaredL2(problem.X) @ oa.MatrixOperator(np.eye(7), problem.X, problem.X)
    two = kind(problem.A, regularizer=0.3 * fn.L1(problem.X) + smooth, iterations=1500)
    assert G.domain == problem.X
    np.testing.assert_allclose(one(problem.y), two(problem.y), atol=1e-6)


def test_total_variation_by_its_prox():
    problem = total_variation_problem()
    tv = problem.strength * fn.TotalVariation(problem.X, tolerance=1e-6)
    x = solvers.FISTA(problem.A, regularizer=tv, iterations=60, restart=True)(problem.y)
    np.testing.assert_allclose(x, problem.x, atol=1e-4)


def test_poisson_data_by_backtracking():
    rng = np.random.default_rng(0)
    X, Y = oa.Space(3, "float64", weighting=0.5), oa.Space(8, "float64", weighting=2.0)
    matrix = rng.uniform(0.1, 1, (8, 3))
    counts = rng.poisson(20 * matrix @ np.array([2.0, 0.5, 1.0])).astype("float64")
    A = oa.MatrixOperator(matrix, X, Y)
    solver = solvers.FISTA(
        A,
        fidelity=fn.PoissonLikelihood,
        regularizer=fn.NonNegative(X),
        backtracking=True,
        restart=True,
        iterations=1000,
    )
    x = solver.solve(counts, initial=np.ones(3)).x
    # The gradient vanishes where x is positive, and points outward where it is zero.
    g = matrix.T @ (1 - counts / (matrix @ x))
    assert (g >= -1e-6).all()
    np.testing.assert_allclose(np.minimum(g, x), 0, atol=1e-6)


def test_the_block_of_the_documentation():
    grid = oa.Grid((16, 16))
    A = oa.tomo.XrayTransform(grid, oa.tomo.ParallelBeam(angles=12, detector=24))
    y = oa.tomo.phantoms.shepp_logan(diameter=14.0).project(A.geometry)
    regularizer = 0.01 * fn.L1(grid)
    x = solvers.FISTA(A, regularizer=regularizer, iterations=200)(y)
    objective = fn.LeastSquares(A.range, y) @ A + regularizer
    best = solvers.FISTA(A, regularizer=regularizer, iterations=3000, restart=True)(y)
    assert float(objective(x)) <= 1.01 * float(objective(best))


# Rates


def worst_case(n=200):
    """Nesterov's bad quadratic: a chain of second differences (Lectures on convex optimization, 2.1.7)."""
    X = oa.Space(n, "float64")
    T = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    root = np.linalg.cholesky(T).T
    y = np.linalg.solve(root.T, np.eye(n)[0])
    return oa.MatrixOperator(root, X, X), y, np.linalg.solve(T, np.eye(n)[0])


def test_rates_of_convex_objectives():
    A, y, solution = worst_case()
    f, L = fn.LeastSquares(A.range, y) @ A, 4.0
    gaps = {}
    for kind in (solvers.ISTA, solvers.FISTA):
        gap = gaps[kind.__name__] = {}
        kind(A, step_size=1 / L).solve(
            y,
            iterations=80,
            callbacks=[lambda s, gap=gap: gap.__setitem__(s.iteration, float(f(s.x)))],
        )
    square = solution @ solution
    for k in range(1, 81):
        assert gaps["ISTA"][k] <= L * square / (2 * k)
        assert gaps["FISTA"][k] <= 2 * L * square / (k + 1) ** 2
    assert gaps["FISTA"][80] < gaps["ISTA"][80] / 3, "the momentum is at work"


def test_restart_makes_the_rate_linear():
    A, y, solution = worst_case(30)
    errors = {}
    for restart in (False, True):
        x = solvers.FISTA(A, restart=restart, iterations=600)(y)
        errors[restart] = np.linalg.norm(x - solution)
    assert errors[True] < 1e-6 * np.linalg.norm(solution)
    assert errors[True] < 1e-2 * errors[False]


def test_monotone_never_rises():
    problem = total_variation_problem(seed=4)
    regularizer = 0.2 * fn.L1(problem.X)
    objective = fn.LeastSquares(problem.Y, problem.y) @ problem.A + regularizer
    values = {}
    for monotone in (False, True):
        seen = values[monotone] = []
        solvers.FISTA(problem.A, regularizer=regularizer, monotone=monotone).solve(
            problem.y,
            iterations=150,
            callbacks=[lambda s, seen=seen: seen.append(float(objective(s.x)))],
        )
    assert (np.diff(values[True]) <= 1e-12).all()
    assert (np.diff(values[False]) > 1e-12).any(), "the problem makes plain FISTA ripple"


# Steps


def test_steps_that_break_convergence_are_refused_or_warned_of(make_problem):
    problem = make_problem()
    norm2 = np.linalg.norm(problem.matrix, 2) ** 2
    for kind in (solvers.ISTA, solvers.FISTA):
        with pytest.raises(
            ArgumentError, match=rf"of {kind.__name__} is too long.*leave it out for 1 / L"
        ):
            kind(problem.A, step_size=2.1 / norm2, iterations=1)(problem.y)
        with pytest.raises(ArgumentError, match=f"step size of {kind.__name__} must be positive"):
            kind(problem.A, step_size=0.0)
    with pytest.warns(AccuracyWarning, match=r"FISTA may diverge: its step size .* below 1 / L"):
        solvers.FISTA(problem.A, step_size=1.5 / norm2, iterations=1)(problem.y)
    solvers.ISTA(problem.A, step_size=1.5 / norm2, iterations=1)(problem.y)
    solvers.FISTA(problem.A, step_size=0.98 / norm2, iterations=1)(problem.y)


def test_schedules_of_steps(make_problem):
    problem = make_problem()
    step = 0.9 / np.linalg.norm(problem.matrix, 2) ** 2
    one = solvers.FISTA(problem.A, step_size=step, iterations=3)(problem.y)
    for schedule in ([step] * 3, lambda k: step, np.full(3, step)):
        np.testing.assert_array_equal(
            solvers.FISTA(problem.A, step_size=schedule, iterations=3)(problem.y), one
        )
    with pytest.raises(ArgumentError, match="is the first step: a single number"):
        solvers.FISTA(problem.A, step_size=[step] * 3, backtracking=True)


def test_backtracking_finds_a_step_near_the_inverse_of_the_curvature(make_problem):
    problem = make_problem()
    norm2 = np.linalg.norm(problem.matrix, 2) ** 2
    state = solvers.ISTA(problem.A, backtracking=True, step_size=100.0).solve(problem.y).state
    assert 0.5 / norm2 <= state.step_size <= 100


# Stopping and errors


@every_kind
def test_the_optimality_residual_stops(kind):
    problem = total_variation_problem()
    solver = kind(problem.A, regularizer=0.3 * fn.L1(problem.X), iterations=9000, tolerance=1e-9)
    result = solver.solve(problem.y)
    assert "optimality residual fell to 1e-09" in result.reason
    assert lasso_violation(problem.A, problem.y, result.x, 0.3) < 1e-5


def test_terms_and_data_terms_that_are_not_taken_are_named():
    problem = total_variation_problem()
    with pytest.raises(
        NotSupportedError, match=r"FISTA cannot handle the term 0.4 \* GroupL1 @ Gradient.* PDHG"
    ):
        solvers.FISTA(problem.A, regularizer=problem.regularizer)
    solver = solvers.FISTA(problem.A, fidelity=lambda Y, y: fn.L1(Y).translated(y))
    with pytest.raises(
        NotSupportedError, match=r"FISTA cannot handle the data term .* no gradient; PDHG and ADMM"
    ):
        solver(problem.y)
    solver = solvers.ISTA(problem.A, fidelity=fn.PoissonLikelihood)
    with pytest.raises(
        NotSupportedError, match=r"no known Lipschitz constant; ISTA\(\.\.\., backtracking=True\)"
    ):
        solver(abs(problem.y))
    with pytest.raises(ArgumentError, match="ProjectedGradient needs the indicator of a set"):
        solvers.ProjectedGradient(problem.A, regularizer=fn.L1(problem.X))
