"""Small convex problems as CVXPY states and solves them, without any of our code: the same minimisers."""

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers

cp = pytest.importorskip("cvxpy", reason="the independent solver")

N = 5
WEIGHT, DATA_WEIGHT = 0.25, 3.0


def matrix_of(K, parts):
    """The parts of a linear operator on images as matrices."""
    units = np.eye(K.domain.size).reshape(-1, *K.domain.shape)
    images = [K(unit) for unit in units]
    return [np.stack([image[i].ravel() for image in images], axis=1) for i in range(parts)]


@pytest.fixture(scope="module")
def problem():
    """A few noisy projections of a square, in spaces of different weights."""
    rng = np.random.default_rng(0)
    X = oa.Grid((N, N), spacing=0.5, dtype="float64")
    Y = oa.Space(30, "float64", weighting=DATA_WEIGHT)
    assert float(X.weighting) == WEIGHT
    matrix = rng.uniform(0, 1, (30, N * N)) * (rng.uniform(size=(30, N * N)) < 0.3)
    truth = np.zeros((N, N))
    truth[1:4, 2:5] = 1.0
    A = NonNegativeMatrix(matrix, X, Y)
    y = matrix @ truth.ravel() + 0.05 * rng.standard_normal(30)
    return A, matrix, y, oa.Gradient(X)


class NonNegativeMatrix(oa.MatrixOperator):
    """A matrix that says what its entries are."""

    nonnegative = True


def solved(objective, constraints=()):
    """The value of a minimisation, to the accuracy of an interior-point method."""
    task = cp.Problem(cp.Minimize(objective), list(constraints))
    task.solve(solver="CLARABEL", tol_gap_abs=1e-8, tol_gap_rel=1e-8, tol_feas=1e-8)
    assert task.status == "optimal"
    return task.value


def isotropic(x, G):
    D = matrix_of(G, 2)
    return cp.sum(cp.norm(cp.vstack([D[0] @ x, D[1] @ x]), axis=0))


SOLVERS = {
    "PDHG": (solvers.PDHG, {"iterations": 2500}),
    "CondatVu": (solvers.CondatVu, {"iterations": 2500}),
    "PD3O": (solvers.PD3O, {"iterations": 2500}),
    "LinearizedADMM": (solvers.LinearizedADMM, {"iterations": 2500}),
    "SPDHG": (solvers.SPDHG, {"iterations": 9000, "subsets": 3}),
    "ADMM": (solvers.ADMM, {"iterations": 500, "exact": True}),
    "SplitBregman": (solvers.SplitBregman, {"iterations": 800}),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_isotropic_total_variation_with_a_constraint(problem, name):
    A, matrix, y, G = problem
    kind, settings = SOLVERS[name]
    x = cp.Variable(N * N)
    least = solved(
        DATA_WEIGHT * 0.5 * cp.sum_squares(matrix @ x - y) + WEIGHT * 0.8 * isotropic(x, G),
        [x >= 0],
    )
    regularizer = 0.8 * fn.GroupL1(G.range) @ G + fn.NonNegative(G.domain)
    found = kind(A, regularizer=regularizer, **settings)(y)
    np.testing.assert_allclose(found.ravel(), x.value, atol=2e-4)
    own = fn.LeastSquares(A.range, y)(A(found)) + 0.8 * fn.GroupL1(G.range)(G(found))
    np.testing.assert_allclose(own, least, rtol=1e-6)


@pytest.mark.parametrize("kind", [solvers.PDHG, solvers.ADMM, solvers.LinearizedADMM])
def test_poisson_data_with_total_variation(problem, kind):
    A, matrix, y, G = problem
    counts = np.round(20 * np.maximum(y, 0.1))
    x = cp.Variable(N * N)
    q = matrix @ x
    solved(
        DATA_WEIGHT * cp.sum(q - cp.multiply(counts, cp.log(q))) + WEIGHT * 2.0 * isotropic(x, G),
        [x >= 0],
    )
    regularizer = 2.0 * fn.GroupL1(G.range) @ G + fn.NonNegative(G.domain)
    solver = kind(A, fidelity=fn.PoissonLikelihood, regularizer=regularizer)
    found = solver(counts) if kind is solvers.ADMM else solver.replace(iterations=4000)(counts)
    atol = 5e-2 if kind is solvers.ADMM else 5e-3
    np.testing.assert_allclose(found.ravel(), x.value, atol=atol * x.value.max())


def test_robust_data_with_sparsity(problem):
    """Huber in the data, an L1 norm and a box: nothing that has a closed form together."""
    A, matrix, y, _ = problem
    spoiled = y.copy()
    spoiled[::7] += 4.0
    x = cp.Variable(N * N)
    # CVXPY's Huber function is twice M / 2 times ours.
    data = cp.sum(cp.huber(matrix @ x - spoiled, 0.2)) / 2 / 0.2
    solved(DATA_WEIGHT * data + WEIGHT * 1.5 * cp.norm1(x), [x >= 0, x <= 0.9])
    regularizer = 1.5 * fn.L1(A.domain) + fn.Box(A.domain, 0, 0.9)

    def robust(space, data):
        return fn.Huber(space, 0.2).translated(data)

    for kind in (solvers.PDHG, solvers.FISTA):
        solver = kind(A, fidelity=robust, regularizer=regularizer, iterations=3000)
        np.testing.assert_allclose(solver(spoiled).ravel(), x.value, atol=2e-4)


CONSTRAINTS = {
    "Simplex": (
        lambda X: fn.Simplex(X, 2.0),
        lambda x: [x >= 0, WEIGHT * cp.sum(x) == 2.0],
    ),
    "HalfSpace": (
        lambda X: fn.HalfSpace(X, X.ones(), 1.5),
        lambda x: [WEIGHT * cp.sum(x) <= 1.5],
    ),
    "AffineSet": (
        lambda X: fn.AffineSet(
            oa.MatrixOperator(np.ones((1, X.size)), X, oa.Space(1, "float64")), np.array([7.0])
        ),
        lambda x: [cp.sum(x) == 7.0],
    ),
    "L1Ball": (lambda X: fn.L1Ball(X, 1.7), lambda x: [WEIGHT * cp.norm1(x) <= 1.7]),
    "L2Ball": (lambda X: fn.L2Ball(X, 1.1), lambda x: [WEIGHT**0.5 * cp.norm2(x) <= 1.1]),
    "LInfinityBall": (
        lambda X: fn.LInfinityBall(X, 0.6),
        lambda x: [cp.norm_inf(x) <= 0.6],
    ),
    "Box": (lambda X: fn.Box(X, 0.1, 0.8), lambda x: [x >= 0.1, x <= 0.8]),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_least_squares_in_a_convex_set(problem, name):
    A, matrix, y, _ = problem
    make, constraints = CONSTRAINTS[name]
    x = cp.Variable(N * N)
    ridge = 0.05
    solved(
        DATA_WEIGHT * 0.5 * cp.sum_squares(matrix @ x - y) + WEIGHT * ridge * cp.sum_squares(x),
        constraints(x),
    )
    regularizer = make(A.domain) + ridge * fn.SquaredL2(A.domain)
    for kind, settings in (
        (solvers.ProjectedGradient, {"iterations": 6000}),
        (solvers.FISTA, {"restart": True, "iterations": 800}),
        (solvers.DouglasRachford, {"exact": True, "iterations": 800}),
    ):
        if kind is solvers.ProjectedGradient and name == "Simplex":
            continue  # FISTA takes the same step
        found = kind(A, regularizer=regularizer, **settings)(y)
        np.testing.assert_allclose(found.ravel(), x.value, atol=2e-4, err_msg=kind.__name__)


def test_a_matrix_of_low_rank(problem):
    A, matrix, y, _ = problem
    x = cp.Variable((N, N))
    # Row by row, as NumPy lays images out. The nuclear norm of a weighted space is weighted once.
    solved(
        DATA_WEIGHT * 0.5 * cp.sum_squares(matrix @ cp.vec(x, order="C") - y)
        + 2.0 * WEIGHT * cp.normNuc(x)
    )
    for kind in (solvers.FISTA, solvers.ADMM, solvers.PDHG):
        solver = kind(A, regularizer=2.0 * fn.NuclearNorm(A.domain), iterations=800)
        np.testing.assert_allclose(solver(y), x.value, atol=3e-4, err_msg=kind.__name__)


def test_the_positive_semidefinite_cone():
    rng = np.random.default_rng(1)
    X = oa.Space((4, 4), "float64")
    matrix = rng.standard_normal((20, 16))
    root = rng.standard_normal((4, 2))
    y = matrix @ (root @ root.T - 0.3 * np.eye(4)).ravel()
    x = cp.Variable((4, 4), PSD=True)
    solved(0.5 * cp.sum_squares(matrix @ cp.vec(x, order="C") - y))
    A = oa.MatrixOperator(matrix, X, oa.Space(20, "float64"))
    found = solvers.FISTA(A, regularizer=fn.PSDCone(X), restart=True, iterations=3000)(y)
    np.testing.assert_allclose(found, x.value, atol=1e-4)


def test_generalised_variation_of_a_ramp():
    """The prox is a problem in two variables, the image and its slope."""
    X = oa.Space(12, "float64")
    t = np.arange(12.0)
    y = np.where(t < 6, t, 12 - t) + 0.2 * np.random.default_rng(3).standard_normal(12)
    f = fn.TotalGeneralizedVariation(X, tolerance=1e-6)
    alphas = f.alpha1, f.alpha0
    D = matrix_of(oa.Gradient(X), 1)[0]
    slopes = oa.SymmetrisedGradient(X)
    E = np.stack([slopes(oa.Blocks((unit,))).flatten()[0] for unit in np.eye(12)], axis=1)
    x, w = cp.Variable(12), cp.Variable(12)
    solved(
        0.5 * cp.sum_squares(x - y) + alphas[0] * cp.norm1(D @ x - w) + alphas[1] * cp.norm1(E @ w)
    )
    np.testing.assert_allclose(f.prox(1.0)(y), x.value, atol=2e-3)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda X: fn.Entropy(X), lambda x: -cp.sum(cp.entr(x))),
        (lambda X: fn.LogBarrier(X), lambda x: -cp.sum(cp.log(x))),
        (lambda X: fn.ElasticNet(X, 0.7, 1.3), None),
        (lambda X: fn.LInfinity(X), lambda x: cp.norm_inf(x)),
        (lambda X: fn.L2(X), lambda x: cp.norm2(x)),
        (lambda X: fn.Lp(X, 3), lambda x: cp.pnorm(x, 3)),
        (lambda X: fn.InfimalConvolution(fn.L1(X), fn.SquaredL2(X)), "infimal"),
    ],
    ids=["Entropy", "LogBarrier", "ElasticNet", "LInfinity", "L2", "Lp", "InfimalConvolution"],
)
def test_proximal_maps(make, value):
    X = oa.Space(5, "float64")
    y, step = np.array([2.0, -0.3, 0.6, 1.4, 0.1]), 0.7
    x, u = cp.Variable(5), cp.Variable(5)
    near = cp.sum_squares(x - y) / (2 * step)
    f = make(X)
    if value == "infimal":
        solved(cp.norm1(u) + cp.sum_squares(x - u) + near)
    elif value is None:
        solved(0.7 * cp.norm1(x) + 1.3 / 2 * cp.sum_squares(x) + near)
    else:
        solved(value(x) + near)
    if not f.proximable:
        pytest.fail(f"{f} has no proximal map")
    np.testing.assert_allclose(f.prox(step)(y), x.value, atol=1e-5)
