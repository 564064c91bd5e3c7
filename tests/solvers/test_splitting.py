"""ADMM, split Bregman and Douglas-Rachford: minimisers, textbook iterations, residuals, errors."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.errors import ArgumentError, NotSupportedError

KINDS = {
    "ADMM": solvers.ADMM,
    "exact": lambda A, **kw: solvers.ADMM(A, exact=True, **kw),
    "relaxed": lambda A, **kw: solvers.ADMM(A, relaxation=1.7, **kw),
    "balanced": lambda A, **kw: solvers.ADMM(A, penalty=100.0, balancing=True, **kw),
    "SplitBregman": solvers.SplitBregman,
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_total_variation_in_weighted_spaces(kind, weighted):
    problem = total_variation_problem(weighted=weighted)
    x = kind(problem.A, regularizer=problem.regularizer, iterations=500)(problem.y)
    # 1e-5: what 500 iterations reach; the minimiser with wrong weights is off by 0.1 and more.
    np.testing.assert_allclose(x, problem.x, atol=1e-5)


@every_kind
def test_weights_that_vary(kind):
    rng = np.random.default_rng(1)
    W, V = rng.uniform(0.5, 2, 4), rng.uniform(0.5, 2, 6)
    X, Y = oa.Space(4, "float64", weighting=W), oa.Space(6, "float64", weighting=V)
    matrix, y = rng.uniform(0, 1, (6, 4)), rng.standard_normal(6)
    K = oa.MatrixOperator(rng.standard_normal((4, 4)), X, X)
    regularizer = 0.7 * fn.SquaredL2(X) @ K + fn.NonNegative(X)
    root = np.concatenate([np.sqrt(V)[:, None] * matrix, np.sqrt(1.4 * W)[:, None] * K.matrix])
    expected = nnls(root, np.concatenate([np.sqrt(V) * y, np.zeros(4)]))[0]
    A = oa.MatrixOperator(matrix, X, Y)
    np.testing.assert_allclose(
        kind(A, regularizer=regularizer, iterations=600)(y), expected, atol=1e-5
    )
    if kind is solvers.ADMM:
        solver = solvers.DouglasRachford(A, regularizer=regularizer, iterations=300)
        np.testing.assert_allclose(solver(y), expected, atol=1e-7)


@every_kind
def test_poisson_data(kind):
    rng = np.random.default_rng(2)
    X, Y = oa.Space(3, "float64", weighting=0.5), oa.Space(8, "float64", weighting=2.0)
    matrix = rng.uniform(0.1, 1, (8, 3))
    counts = rng.poisson(1000 * matrix @ np.array([2.0, 0.0, 1.0])).astype("float64")
    regularizer = 0.3 * fn.L1(X) + fn.NonNegative(X)

    def value(x):
        q = 1000 * matrix @ x
        return (2.0 * np.sum(q - counts * np.log(q)) + 0.5 * 300 * x.sum()) / 1000

    expected = (
        1000
        * minimize(
            value, np.ones(3), bounds=[(0, None)] * 3, options={"ftol": 1e-16, "gtol": 1e-10}
        ).x
    )
    A = oa.MatrixOperator(matrix, X, Y)
    solver = kind(A, fidelity=fn.PoissonLikelihood, regularizer=regularizer, iterations=1500)
    if kind is KINDS["balanced"]:
        solver = solver.replace(penalty=None)
    np.testing.assert_allclose(solver(counts), expected, atol=0.1)  # of 2000


def test_the_block_of_the_documentation():
    grid = oa.Grid((24, 24), spacing=2.0)
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=20, detector=36, pitch=2.0))
    y = 100 * tomo.phantoms.shepp_logan(diameter=40.0).project(A.geometry)
    counts = np.random.default_rng(0).poisson(y).astype("float32")
    G = oa.Gradient(grid)
    regularizer = 0.05 * fn.GroupL1(G.range) @ G + fn.NonNegative(grid)
    settings = {"regularizer": regularizer, "fidelity": fn.PoissonLikelihood}
    x = solvers.ADMM(A, iterations=100, **settings)(counts)
    x = np.maximum(x, 0)
    objective = fn.PoissonLikelihood(A.range, counts) @ A + regularizer
    long = np.maximum(solvers.ADMM(A, iterations=600, **settings)(counts), 0)
    start = float(objective(grid.ones()))
    assert float(objective(x)) - float(objective(long)) <= 0.02 * (start - float(objective(long)))


def test_admm_is_the_textbook_iteration():
    """Boyd et al., section 3.1.1, with over-relaxation (3.19), in dense matrices."""
    problem = total_variation_problem(weighted=False)
    M, K = problem.A.matrix, np.stack([problem.G(e)[0] for e in np.eye(7)], axis=1)
    rho, alpha = 0.7, 1.6
    x, z, u = np.zeros(7), np.zeros(7), np.zeros(7)
    solver = solvers.ADMM(
        problem.A, regularizer=problem.regularizer, penalty=rho, relaxation=alpha, exact=True
    )
    for state, _ in zip(solver.iterate(problem.y), range(20), strict=False):
        x = np.linalg.solve(M.T @ M + rho * K.T @ K, M.T @ problem.y + rho * K.T @ (z - u))
        q = alpha * K @ x + (1 - alpha) * z
        z = np.sign(q + u) * np.maximum(abs(q + u) - problem.strength / rho, 0)
        u = u + q - z
        np.testing.assert_allclose(state.x, x, atol=1e-10)
    inner = solver.replace(exact=False, inner_iterations=30)(problem.y)
    np.testing.assert_allclose(inner, solver(problem.y), atol=1e-7)


def test_douglas_rachford_of_two_proximal_maps():
    """Projections onto two sets: a point in both, the nearest splitting of a closed form."""
    X = oa.Space(3, "float64", weighting=0.5)
    y = np.array([2.0, -1.0, 0.3])
    solver = solvers.DouglasRachford(
        oa.Identity(X),
        fidelity=lambda Y, y: fn.L1(Y).translated(y),
        regularizer=0.5 * fn.SquaredL2(X),
    )
    # min |x - y| + x^2 / 2, entry by entry: y clipped to [-1, 1]
    np.testing.assert_allclose(solver(y), np.clip(y, -1, 1), atol=1e-9)
    lasso = solvers.DouglasRachford(oa.Identity(X), regularizer=0.4 * fn.L1(X), relaxation=1.5)
    np.testing.assert_allclose(lasso(y), np.sign(y) * np.maximum(abs(y) - 0.4, 0), atol=1e-9)


def test_douglas_rachford_with_an_operator(make_problem):
    problem = make_problem()
    expected = nnls(problem.matrix, problem.y)[0]
    for exact in (False, True):
        solver = solvers.DouglasRachford(
            problem.A, regularizer=fn.NonNegative(problem.A.domain), iterations=300, exact=exact
        )
        x = solver(problem.y)
        np.testing.assert_allclose(x, expected, atol=1e-7)
        assert (x >= 0).all()


@every_kind
def test_the_residuals_stop_and_certify(kind):
    problem = total_variation_problem()
    solver = kind(problem.A, regularizer=problem.regularizer, iterations=4000, tolerance=1e-8)
    result = solver.solve(problem.y)
    assert "optimality residual fell to 1e-08" in result.reason
    np.testing.assert_allclose(result.x, problem.x, atol=1e-5)
    early = solver.solve(problem.y, iterations=20)
    assert early.history["optimality"][-1] > 1e-8


def test_douglas_rachford_stops():
    problem = total_variation_problem()
    solver = solvers.DouglasRachford(
        problem.A, regularizer=fn.L1(problem.X), iterations=2000, tolerance=1e-9
    )
    assert "optimality residual fell" in solver.solve(problem.y).reason


def test_balancing_mends_a_bad_penalty():
    problem = total_variation_problem()
    errors = {}
    for balancing in (False, True):
        solver = solvers.ADMM(
            problem.A,
            regularizer=problem.regularizer,
            penalty=1e4,
            balancing=balancing,
            iterations=300,
        )
        errors[balancing] = np.linalg.norm(solver(problem.y) - problem.x)
    assert errors[True] < 0.05 * errors[False]


def test_what_does_not_fit_is_refused():
    problem = total_variation_problem()
    A, regularizer = problem.A, problem.regularizer
    with pytest.raises(ArgumentError, match="relaxation of ADMM must lie between 0 and 2"):
        solvers.ADMM(A, relaxation=2.0)
    with pytest.raises(ArgumentError, match="penalty of ADMM must be a positive"):
        solvers.ADMM(A, penalty=0.0)
    with pytest.raises(
        ArgumentError, match="inner_iterations of SplitBregman must be a positive whole"
    ):
        solvers.SplitBregman(A, inner_iterations=0)
    with pytest.raises(ArgumentError, match="not both: the inverse is for one penalty"):
        solvers.ADMM(A, exact=True, balancing=True)
    with pytest.raises(
        NotSupportedError, match=r"DouglasRachford cannot handle the term .*GroupL1.*ADMM"
    ):
        solvers.DouglasRachford(A, regularizer=regularizer)
    with pytest.raises(
        NotSupportedError, match=r"neither quadratic nor has a proximal map; PDHG and ADMM"
    ):
        solvers.DouglasRachford(A, fidelity=fn.PoissonLikelihood)(abs(problem.y))
    with pytest.raises(NotSupportedError, match="ADMM cannot handle the term"):
        solvers.ADMM(A, regularizer=-1.0 * fn.L1(problem.X))
    large = oa.Grid((80, 80))
    G = oa.Gradient(large)
    solver = solvers.ADMM(
        oa.Identity(large), regularizer=fn.GroupL1(G.range) @ G, exact=True, iterations=1
    )
    with pytest.raises(NotSupportedError, match=r"no exact inverse of .*leave exact=True out"):
        solver(large.ones())
