"""PDHG and its relatives: the right minimisers, rates, steps, and what the errors say."""

import numpy as np
import pytest
from scipy.optimize import minimize
from variational_problems import generalised_lasso, total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError

KINDS = {
    "PDHG": solvers.PDHG,
    "adaptive": lambda A, **kw: solvers.PDHG(A, adaptive=True, **kw),
    "preconditioned": lambda A, **kw: solvers.PDHG(A, preconditioned=True, **kw),
    "CondatVu": solvers.CondatVu,
    "PD3O": solvers.PD3O,
    "LinearizedADMM": solvers.LinearizedADMM,
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


# Minimisers


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_total_variation_in_weighted_spaces(kind, weighted):
    problem = total_variation_problem(weighted=weighted)
    x = kind(problem.A, regularizer=problem.regularizer, iterations=2000)(problem.y)
    # 1e-6: what 4000 iterations reach; the minimiser with wrong weights is off by 0.1 and more.
    np.testing.assert_allclose(x, problem.x, atol=1e-6)


@every_kind
def test_weights_that_vary(kind):
    """The minimiser of a quadratic problem with a constraint, in spaces weighted entry by entry."""
    rng = np.random.default_rng(1)
    W, V = rng.uniform(0.5, 2, 4), rng.uniform(0.5, 2, 6)
    X, Y = oa.Space(4, "float64", weighting=W), oa.Space(6, "float64", weighting=V)
    matrix, y = rng.uniform(0, 1, (6, 4)), rng.standard_normal(6)
    K = oa.MatrixOperator(rng.standard_normal((4, 4)), X, X)
    regularizer = 0.7 * fn.SquaredL2(X) @ K + fn.NonNegative(X)

    def value(x):
        q = matrix @ x - y
        return 0.5 * (V * q) @ q + 0.7 * (W * (K(x))) @ K(x)

    def slope(x):
        return matrix.T @ (V * (matrix @ x - y)) + 1.4 * K.H(W * K(x))

    expected = minimize(
        value, np.ones(4), jac=slope, bounds=[(0, None)] * 4, options={"ftol": 1e-15, "gtol": 1e-12}
    ).x
    x = kind(oa.MatrixOperator(matrix, X, Y), regularizer=regularizer, iterations=1500)(y)
    np.testing.assert_allclose(x, expected, atol=1e-7)


@every_kind
def test_poisson_data(kind):
    """Without a Lipschitz constant the data term is used by its proximal map."""
    rng = np.random.default_rng(2)
    X, Y = oa.Space(3, "float64", weighting=0.5), oa.Space(8, "float64", weighting=2.0)
    matrix = rng.uniform(0.1, 1, (8, 3))
    counts = rng.poisson(10 * matrix @ np.array([2.0, 0.0, 1.0])).astype("float64")
    regularizer = 0.3 * fn.L1(X) + fn.NonNegative(X)

    def value(x):
        q = matrix @ x
        return 2.0 * np.sum(q - counts * np.log(q)) + 0.5 * 0.3 * x.sum()

    expected = minimize(
        value, np.full(3, 5.0), bounds=[(0, None)] * 3, options={"ftol": 1e-15, "gtol": 1e-9}
    ).x
    A = oa.MatrixOperator(matrix, X, Y)
    solver = kind(A, fidelity=fn.PoissonLikelihood, regularizer=regularizer, iterations=2500)
    np.testing.assert_allclose(solver(counts), expected, atol=2e-4)  # L-BFGS-B by differences: 1e-4


@every_kind
def test_complex_spaces(kind):
    """``|x - y|^2 / 2 + c |x|_1`` has its solution in closed form."""
    X = oa.Space(3, "complex128", weighting=0.7)
    y = np.array([3 + 4j, 0.1j, -2.0])
    U = oa.Scaling(X, 2j)
    solver = kind(U, regularizer=0.5 * fn.L1(X), iterations=3000)
    target = y / 2j
    expected = target * np.maximum(1 - 0.125 / abs(target), 0)
    np.testing.assert_allclose(solver(y), expected, atol=1e-7)


def test_no_regularizer_is_least_squares(make_problem):
    problem = make_problem()
    expected = np.linalg.lstsq(problem.matrix, problem.y, rcond=None)[0]
    for kind in KINDS.values():
        np.testing.assert_allclose(kind(problem.A, iterations=2000)(problem.y), expected, atol=1e-6)


def test_the_block_of_the_documentation():
    grid = oa.Grid((24, 24), spacing=2.0)
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=20, detector=36, pitch=2.0))
    phantom = tomo.phantoms.shepp_logan(diameter=40.0)
    y = phantom.project(A.geometry)
    G = oa.Gradient(grid)
    regularizer = 0.05 * fn.GroupL1(G.range) @ G + fn.NonNegative(grid)
    x = solvers.PDHG(A, regularizer=regularizer, iterations=300)(y)
    assert x.dtype == np.float32
    assert (x >= 0).all()
    objective = fn.LeastSquares(A.range, y) @ A + regularizer
    long = solvers.PDHG(A, regularizer=regularizer, iterations=1500)(y)
    assert objective(x) <= 1.02 * objective(long)


# Rates


def denoising(size=64):
    X = oa.Space(size, "float64")
    G = oa.Gradient(X)
    y = np.sign(np.sin(np.arange(size) / 5)) + 0.3 * X.random(0)
    regularizer = 0.5 * fn.GroupL1(G.range) @ G
    D = np.stack([G(e)[0] for e in np.eye(size)], axis=1)
    return X, y, regularizer, generalised_lasso(np.eye(size), y, D, 0.5, 1.0, 1.0)


def test_acceleration_reaches_the_rate_of_strongly_convex_problems():
    """Chambolle and Pock 2011, theorem 2: ``k^2 |x_k - x|^2`` stays bounded."""
    X, y, regularizer, expected = denoising()
    solver = solvers.PDHG(oa.Identity(X), regularizer=regularizer)
    errors = {}
    solver.solve(
        y,
        iterations=800,
        callbacks=[lambda s: errors.__setitem__(s.iteration, np.linalg.norm(s.x - expected))],
    )
    start = np.linalg.norm(y - expected)
    for k, error in errors.items():
        # (N tau_1 gamma)^2 |x - x_N|^2 <= |x|^2 + tau_1^2 |K|^2 |p|^2 asymptotically; 4 covers the constant.
        assert k * error <= 4 * (np.linalg.norm(expected) + 2 * 0.5 * np.sqrt(64)), k
    assert errors[800] < 5e-3 * start


def test_the_ergodic_rate_of_the_general_method():
    """The objective falls like 1 / k at least, for average points (theorem 1)."""
    problem = total_variation_problem()
    objective = fn.LeastSquares(problem.Y, problem.y) @ problem.A + problem.regularizer
    best, total, gaps = float(objective(problem.x)), 0, {}
    for state, k in zip(
        solvers.PDHG(problem.A, regularizer=problem.regularizer).iterate(problem.y),
        range(1, 401),
        strict=False,
    ):
        total = total + state.x
        gaps[k] = float(objective(total / k)) - best
    assert all(gap >= -1e-9 for gap in gaps.values())
    assert gaps[400] <= 10 / 400 * max(gaps[1], 1.0)
    assert max(k * gap for k, gap in gaps.items() if k > 50) <= 3 * max(
        k * gap for k, gap in gaps.items() if k <= 50
    )


def test_linearised_admm_is_the_textbook_iteration():
    """In the letters of Parikh and Boyd, section 4.4.2."""
    problem = total_variation_problem(weighted=False)
    K = problem.G
    mu, lam = 0.2, 1.0  # lam: the penalty is 1 / lam; mu <= lam / |K|^2
    f = fn.LeastSquares(problem.X, problem.X.random(3))
    g = problem.strength * fn.GroupL1(K.range)
    x, z, u = problem.X.zeros(), K.range.zeros(), K.range.zeros()
    solver = solvers.LinearizedADMM(
        oa.Identity(problem.X),
        regularizer=problem.regularizer,
        primal_step=mu,
        dual_step=1 / lam,
    )
    for state, _ in zip(solver.iterate(f.data), range(20), strict=False):
        x = f.prox(mu)(x - (mu / lam) * K.H(K(x) - z + u))
        z = g.prox(lam)(K(x) + u)
        u = u + K(x) - z
        np.testing.assert_allclose(state.x, x, atol=1e-12)


# Steps


def test_steps_that_break_convergence_are_refused_or_warned_of():
    problem = total_variation_problem()
    A, y, regularizer = problem.A, problem.y, problem.regularizer

    def run(kind=solvers.PDHG, **steps):
        return kind(A, regularizer=regularizer, iterations=2, **steps)(y)

    for kind in (solvers.PDHG, solvers.CondatVu, solvers.PD3O, solvers.LinearizedADMM):
        with pytest.raises(
            ArgumentError, match=rf"of {kind.__name__} is too long.*leave the steps out"
        ):
            run(kind, primal_step=10.0, dual_step=10.0)
    with pytest.raises(ArgumentError, match=r"primal_step 10 .*below"):
        run(solvers.CondatVu, primal_step=10.0)
    with pytest.raises(ArgumentError, match="below 2 / L"):
        run(solvers.PD3O, primal_step=10.0)
    norm = sum(
        fn_norm for fn_norm in [np.linalg.norm(A.matrix, 2) ** 2 * 3.0 / 0.5, problem.G.norm() ** 2]
    )
    with pytest.warns(
        AccuracyWarning, match=r"PDHG may diverge with primal_step .* holds for primal_step up to"
    ):
        run(primal_step=1.1 / norm, dual_step=1.0)
    run(primal_step=0.9 / norm, dual_step=1.0)
    for name in ("primal_step", "dual_step", "tolerance"):
        with pytest.raises(ArgumentError, match=f"{name} of PDHG must be a positive"):
            run(**{name: -1.0})


def test_one_given_step_gives_the_other():
    problem = total_variation_problem()
    for kind in (solvers.PDHG, solvers.CondatVu, solvers.PD3O, solvers.LinearizedADMM):
        for steps in ({"primal_step": 0.01}, {"dual_step": 0.5}):
            x = kind(problem.A, regularizer=problem.regularizer, iterations=3000, **steps)(
                problem.y
            )
            np.testing.assert_allclose(x, problem.x, atol=1e-5)


def test_variants_that_exclude_each_other():
    A = oa.Identity(oa.Space(3))
    with pytest.raises(ArgumentError, match="adaptive or preconditioned steps, not both"):
        solvers.PDHG(A, adaptive=True, preconditioned=True)
    with pytest.raises(ArgumentError, match="leave primal_step and dual_step out"):
        solvers.PDHG(A, preconditioned=True, dual_step=1.0)


def test_the_preconditioner_satisfies_its_condition():
    """``|S^(1/2) K T^(1/2)| <= 1`` in the spaces (Pock and Chambolle 2011, lemma 2)."""
    rng = np.random.default_rng(0)
    X = oa.Space(5, "float64", weighting=rng.uniform(0.5, 2, 5))
    Y = oa.Space(6, "float64", weighting=rng.uniform(0.5, 2, 6))
    matrix = rng.uniform(0, 1, (6, 5)) * (rng.uniform(size=(6, 5)) < 0.5)
    matrix[2] = 0  # a ray that misses everything
    A = oa.MatrixOperator(matrix, X, Y)
    solver = solvers.PDHG(A, regularizer=0.1 * fn.L2(X) @ oa.Identity(X), preconditioned=True)
    problem = solver._prepare(Y.zeros())
    total = 0
    root = np.sqrt(problem.tau.value / X.weighting)
    for split, sigma in zip(problem.splits, problem.sigmas, strict=True):
        K = np.stack([split.K(e) for e in np.eye(5)], axis=1)
        S = sigma.value if hasattr(sigma, "value") else sigma
        K = np.sqrt(S * split.K.range.weighting)[:, None] * K * root
        total = total + K.T @ K
    assert np.linalg.norm(total, 2) <= 1 + 1e-12


def test_the_preconditioner_needs_a_sum_over_entries():
    A = oa.MatrixOperator(np.ones((3, 2)))
    with pytest.raises(NotSupportedError, match="takes one step for all entries"):
        solvers.PDHG(A, fidelity=lambda Y, y: fn.L2(Y).translated(y), preconditioned=True)(
            np.ones(3)
        )


# Stopping


@every_kind
def test_the_optimality_residual_stops_and_certifies(kind):
    problem = total_variation_problem()
    solver = kind(problem.A, regularizer=problem.regularizer, iterations=6000, tolerance=1e-8)
    result = solver.solve(problem.y)
    assert "optimality residual fell to 1e-08" in result.reason
    assert result.state.iteration % 10 == 0
    np.testing.assert_allclose(result.x, problem.x, atol=1e-6)
    assert result.history["optimality"][-1] <= 1e-8
    # Not satisfied where the iteration has not converged.
    early = kind(problem.A, regularizer=problem.regularizer, iterations=20, tolerance=1e-8)
    assert early.solve(problem.y).history["optimality"][-1] > 1e-6


# Errors


def test_terms_that_are_not_taken_are_named():
    X = oa.Grid((4, 4))
    with pytest.raises(NotSupportedError, match=r"PDHG cannot handle the term -1 \* L1|-L1"):
        solvers.PDHG(oa.Identity(X), regularizer=-1.0 * fn.L1(X))
    bare = fn.BregmanDistance(fn.SquaredL2(X), X.ones()) @ oa.Modulus(X)
    with pytest.raises(NotSupportedError, match="PDHG cannot handle the term"):
        solvers.PDHG(oa.Identity(X), regularizer=bare)
