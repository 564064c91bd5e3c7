"""Smooth minimisers: closed forms, SciPy's minima, the rates of theory, and where line searches get lost."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import ArgumentError, NotSupportedError
from opalg.solvers.line_search import armijo, wolfe

torch = pytest.importorskip("torch")

SOLVERS = {
    "GradientDescent": (solvers.GradientDescent, {}),
    "GradientDescent armijo": (solvers.GradientDescent, {"step_size": "armijo"}),
    "GradientDescent barzilai-borwein": (
        solvers.GradientDescent,
        {"step_size": "barzilai-borwein"},
    ),
    "Nesterov": (solvers.Nesterov, {"restart": True}),
    "NonlinearCG polak-ribiere": (solvers.NonlinearCG, {}),
    "NonlinearCG fletcher-reeves": (solvers.NonlinearCG, {"beta": "fletcher-reeves"}),
    "NonlinearCG hestenes-stiefel": (solvers.NonlinearCG, {"beta": "hestenes-stiefel"}),
    "NonlinearCG dai-yuan": (solvers.NonlinearCG, {"beta": "dai-yuan"}),
    "LBFGS": (solvers.LBFGS, {}),
    "LBFGS of one pair": (solvers.LBFGS, {"memory": 1}),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)
searching = pytest.mark.parametrize(
    "name", [n for n in SOLVERS if n.split()[-1] not in {"GradientDescent", "Nesterov"}]
)
DESCENTS = [name for name in SOLVERS if name != "Nesterov"]


def make(name, A, **settings):
    kind, options = SOLVERS[name]
    return kind(A, **options, **settings)


@pytest.fixture(scope="module")
def problem():
    return total_variation_problem(rows=12)


def ridge(problem, strength=0.5):
    """The regulariser and the solution of its normal equations, with the weights of both spaces."""
    M, v, w = problem.A.matrix, problem.Y.weighting, problem.X.weighting
    H = v * M.T @ M + 2 * strength * w * np.eye(M.shape[1])
    return strength * fn.SquaredL2(problem.X), np.linalg.solve(H, v * M.T @ problem.y)


@every_solver
def test_a_linear_system_in_weighted_spaces(name, problem):
    regularizer, expected = ridge(problem)
    solver = make(name, problem.A, regularizer=regularizer, tolerance=1e-10)
    np.testing.assert_allclose(solver.solve(problem.y, iterations=3000).x, expected, atol=1e-7)


@every_solver
def test_weights_that_vary(name):
    """An array of weights in both spaces: transpose and adjoint differ entry by entry."""
    rng = np.random.default_rng(2)
    w, v = rng.uniform(0.5, 2, 5), rng.uniform(0.2, 3, 9)
    X, Y = oa.Space(5, "float64", weighting=w), oa.Space(9, "float64", weighting=v)
    M = rng.standard_normal((9, 5))
    y = rng.standard_normal(9)
    settings = {"regularizer": 0.5 * fn.SquaredL2(X), "tolerance": 1e-10, "iterations": 2000}
    x = make(name, oa.MatrixOperator(M, X, Y), **settings)(y)
    expected = np.linalg.solve(M.T @ (v[:, None] * M) + np.diag(w), M.T @ (v * y))
    np.testing.assert_allclose(x, expected, atol=1e-7)


@every_solver
def test_smoothed_total_variation_beside_scipy(name, problem):
    regularizer = 0.8 * fn.Huber(problem.G.range, 0.2) @ problem.G
    f = fn.LeastSquares(problem.Y, problem.y) @ problem.A + regularizer

    def value(x):
        return float(f(x))

    def slope(x):
        return problem.X.weighting * f.gradient(x)

    # The second-order method of SciPy, by another road.
    expected = minimize(value, np.zeros(7), jac=slope, method="BFGS", options={"gtol": 1e-10})
    result = make(name, problem.A, regularizer=regularizer, tolerance=1e-9).solve(
        problem.y, iterations=5000
    )
    np.testing.assert_allclose(result.x, expected.x, atol=1e-5)
    assert value(result.x) <= expected.fun * (1 + 1e-10)


@searching
def test_poisson_data_have_no_lipschitz_constant(name):
    """Searches stay inside the domain of the logarithm, where they start."""
    rng = np.random.default_rng(0)
    M = rng.uniform(0.1, 1, (10, 4))
    A = oa.MatrixOperator(M)
    counts = rng.poisson(20 * M @ np.array([1.0, 2.0, 0.5, 1.5])).astype("float64")
    settings = {"fidelity": fn.PoissonLikelihood, "iterations": 3000, "tolerance": 1e-8}
    with pytest.raises(ArgumentError, match="not finite where it starts"):
        make(name, A, **settings)(counts)
    x = make(name, A, **settings).solve(counts, initial=np.ones(4)).x
    # The maximum of the likelihood.
    np.testing.assert_allclose(M.T @ (1 - counts / (M @ x)), 0, atol=1e-4)


# Rates


def hardest(n=59):
    """Nesterov's worst quadratic: a tridiagonal Hessian that lets one coordinate in per iteration."""
    T = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    root = np.linalg.cholesky(T / 4).T  # least squares with |A|^2 <= 1
    A = BoundedMatrix(root)
    b = np.zeros(n)
    b[0] = 0.25
    y = np.linalg.solve(root.T, b)
    return A, y, np.linalg.solve(T / 4, b)


class BoundedMatrix(oa.MatrixOperator):
    """A matrix whose norm is known to be at most one."""

    def _norm_bounds(self):
        return oa.operators.norms.Bounds(float(np.linalg.norm(self.matrix, 2)) * (1 - 1e-12), 1.0)


def test_the_rates_of_convex_objectives():
    A, y, solution = hardest()
    square = float(solution @ solution)
    k = np.arange(1, 31)
    plain = solvers.GradientDescent(A).solve(y, iterations=30).history["objective"]
    assert np.all(plain <= square / (2 * k))  # L = 1, and the minimum is 0
    fast = [
        0.5 * np.sum((A(s.x) - y) ** 2)
        for s, _ in zip(solvers.Nesterov(A).iterate(y), range(30), strict=False)
    ]
    assert np.all(fast <= 2 * square / (k + 1) ** 2)
    # No first-order method does better than 3 L |x|^2 / (32 (k + 1)^2) after k iterations in 2 k + 1
    # dimensions (Nesterov 2004, theorem 2.1.7), conjugate gradients included.
    bound = 3 * square / (32 * 30**2)
    cg = solvers.NonlinearCG(A).solve(y, iterations=29).history["objective"]
    assert bound <= cg[-1] <= fast[28] < 0.5 * plain[28]


def test_linear_rate_of_gradient_descent():
    """|x - x*| falls by 1 - m / L per step for 1 / L, exactly so along the slowest direction."""
    A = BoundedMatrix(np.diag([1.0, 0.5, 0.1]))
    states = solvers.GradientDescent(A).iterate(np.array([0.0, 0.0, 1.0]))
    errors = [abs(next(states).x[2] - 10.0) for _ in range(50)]
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 1 - 0.01, rtol=1e-9)


@pytest.mark.parametrize(
    "beta", ["polak-ribiere", "fletcher-reeves", "hestenes-stiefel", "dai-yuan"]
)
def test_nonlinear_conjugate_gradients_of_a_quadratic_are_those_of_cgls(beta, make_problem):
    problem = make_problem()
    found = solvers.NonlinearCG(problem.A, beta=beta).iterate(problem.y)
    for state, expected, _ in zip(
        found, solvers.CGLS(problem.A).iterate(problem.y), range(6), strict=False
    ):
        np.testing.assert_allclose(state.x, expected.x, atol=1e-8)


def test_lbfgs_converges_superlinearly_where_gradient_descent_crawls():
    rng = np.random.default_rng(0)
    M = rng.standard_normal((8, 8)) @ np.diag(np.geomspace(1, 1e-2, 8))
    A = oa.MatrixOperator(M)
    y = M @ rng.standard_normal(8)
    gradients = solvers.LBFGS(A, memory=20).solve(y, iterations=80).history["gradient"]
    assert gradients[-1] < 1e-12 * gradients[0]  # SciPy's takes as many
    crawling = solvers.GradientDescent(A).solve(y, iterations=80).history["gradient"]
    assert crawling[-1] > 1e-5 * crawling[0]


@pytest.mark.parametrize("name", ["GradientDescent", "GradientDescent armijo", *DESCENTS[3:]])
def test_the_objective_falls_in_every_step(name, problem):
    regularizer = 0.8 * fn.Huber(problem.G.range, 0.05) @ problem.G
    history = make(name, problem.A, regularizer=regularizer).solve(problem.y, iterations=60).history
    falls = np.diff(history["objective"])
    assert np.all(falls <= 1e-14 * history["objective"][0])


def test_barzilai_borwein_rises_now_and_then_and_is_faster_for_it():
    A, y, _ = hardest(40)
    quick = solvers.GradientDescent(A, step_size="barzilai-borwein").solve(y, iterations=200)
    slow = solvers.GradientDescent(A, step_size="armijo").solve(y, iterations=200)
    assert quick.history["gradient"][-1] < 0.1 * slow.history["gradient"][-1]
    assert np.any(np.diff(quick.history["objective"]) > 0)


# Where nothing is to be done, or can be


@every_solver
def test_a_start_at_the_solution_stays_there(name, problem):
    regularizer, expected = ridge(problem)
    solver = make(name, problem.A, regularizer=regularizer)
    x = solver.solve(problem.y, initial=expected, iterations=5).x
    np.testing.assert_allclose(x, expected, atol=1e-12)
    # Zero data from zero: the gradient vanishes exactly.
    result = solver.solve(np.zeros(12), iterations=5)
    assert not result.x.any()
    if name in DESCENTS:
        assert result.state.iteration == 0
        assert "the gradient fell to" in result.reason


@every_solver
def test_an_operator_that_sees_nothing(name):
    """A flat objective: no gradient, no curvature, no step to be found."""
    X = oa.Space(3, "float64")
    A = oa.Zero(X, oa.Space(4, "float64"))
    x = make(name, A).solve(np.ones(4), initial=np.ones(3), iterations=3).x
    assert x.tolist() == [1.0, 1.0, 1.0]


@every_solver
def test_directions_along_which_the_objective_is_flat(name):
    """A sees the sum only; and Huber's function is nearly straight far out."""
    A = oa.MatrixOperator(np.array([[1.0, 1.0]]))
    solver = make(name, A, iterations=400)
    x = solver.solve(np.array([3.0]), initial=np.array([5.0, 0.0])).x
    np.testing.assert_allclose(x, [4.0, -1.0], atol=1e-7)
    far = make(name, A, regularizer=1e-3 * fn.Huber(A.domain, 1e-3), iterations=400)
    x = far.solve(np.array([0.0]), initial=np.array([1e4, -1e4 + 1])).x
    assert np.isfinite(x).all()
    assert abs(x.sum()) < 0.1


@every_solver
def test_samples_that_arrive_at_different_times(name, problem):
    regularizer = 0.8 * fn.Huber(problem.G.range, 0.05) @ problem.G
    solver = make(name, problem.A, regularizer=regularizer, iterations=200)
    batch = np.stack([problem.y, 1e-5 * problem.y, 0 * problem.y, 1e3 * problem.y, problem.y[::-1]])
    together = solver.solve(batch)
    for i, sample in enumerate(batch):
        alone = solver.solve(sample)
        scale = 1e-6 * max(1e-5, float(abs(alone.x).max()))
        np.testing.assert_allclose(together.x[i], alone.x, rtol=0, atol=scale)
    assert not together.x[2].any()


@every_solver
def test_float32_ends_near_what_float32_can_tell(name):
    problem = total_variation_problem(rows=12, dtype="float32")
    regularizer, expected = ridge(problem)
    result = make(name, problem.A, regularizer=regularizer).solve(problem.y, iterations=1500)
    # A step is judged by values, whose rounding hides errors of the order of its square root.
    atol = 5e-4 if "armijo" in name else 3e-5
    np.testing.assert_allclose(result.x, expected, atol=atol)
    if name in DESCENTS:
        assert result.state.iteration < 1500, "it ends by itself"
        assert "gradient fell" in result.reason or "no step lowers" in result.reason


@every_solver
def test_resuming_and_tensors(name, problem):
    regularizer = 0.8 * fn.Huber(problem.G.range, 0.05) @ problem.G
    solver = make(name, problem.A, regularizer=regularizer)
    for y in (problem.y, np.stack([problem.y, 0.1 * problem.y])):
        whole = solver.solve(y, iterations=13)
        part = solver.solve(y, iterations=6)
        for state in (part.state, pickle.loads(pickle.dumps(part.state))):
            assert np.array_equal(solver.solve(y, iterations=7, initial=state).x, whole.x)
        with torch.no_grad():
            x = solver.solve(torch.from_numpy(y), iterations=8).x
        np.testing.assert_allclose(x, solver.solve(y, iterations=8).x, atol=1e-9)


def test_a_fixed_step_can_be_recorded_and_a_search_cannot(problem):
    y = torch.from_numpy(problem.y).requires_grad_()
    fixed = solvers.GradientDescent(problem.A, iterations=4)
    assert torch.equal(fixed(y).detach(), fixed(y.detach()))
    assert torch.autograd.gradcheck(fixed, y)
    with pytest.raises(NotSupportedError, match="cannot differentiate through GradientDescent"):
        solvers.GradientDescent(problem.A, step_size="armijo", iterations=4)(y)


def test_words(problem):
    with pytest.raises(ArgumentError, match="step_size of GradientDescent is a number, a schedule"):
        solvers.GradientDescent(problem.A, step_size="wolfe")
    with pytest.raises(ArgumentError, match="beta of NonlinearCG must be one of 'polak-ribiere'"):
        solvers.NonlinearCG(problem.A, beta="polak")
    with pytest.raises(ArgumentError, match="memory of LBFGS must be a positive whole number"):
        solvers.LBFGS(problem.A, memory=0)
    with pytest.raises(NotSupportedError, match=r"cannot handle the term L1.* FISTA, PDHG or ADMM"):
        solvers.LBFGS(problem.A, regularizer=fn.L1(problem.X))
    with pytest.raises(NotSupportedError, match="no known Lipschitz"):
        solvers.GradientDescent(oa.Identity(problem.X), fidelity=fn.PoissonLikelihood).solve(
            np.ones(7), initial=np.ones(7)
        )
    with pytest.raises(ArgumentError, match="step size 10 of GradientDescent is too long"):
        solvers.GradientDescent(problem.A, step_size=10.0)(problem.y)
    long = solvers.GradientDescent(problem.A, step_size=lambda k: 10.0)
    with pytest.raises(
        ArgumentError, match="step size 10 of GradientDescent in iteration 1 is too"
    ):
        long.solve(problem.y, iterations=2000)


# The searches alone


FUNCTIONS = [
    (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1)),
    (lambda t: (t - 1e-6) ** 2, lambda t: 2 * (t - 1e-6)),
    (lambda t: (t - 1e5) ** 2, lambda t: 2 * (t - 1e5)),
    (lambda t: np.hypot(t - 3, 0.01), lambda t: (t - 3) / np.hypot(t - 3, 0.01)),
    (lambda t: t**4 / 4 - t, lambda t: t**3 - 1),
    (  # falls up to a wall
        lambda t: np.where(t < 2, -t - 0.1 * np.log(np.maximum(2 - t, 1e-300)), np.inf),
        lambda t: np.where(t < 2, -1 + 0.1 / np.maximum(2 - t, 1e-300), np.nan),
    ),
]


@pytest.mark.parametrize("curvature", [0.1, 0.9])
@pytest.mark.parametrize("secant", [False, True])
def test_wolfe_finds_steps_with_both_conditions_for_many_functions_at_once(curvature, secant):
    def evaluate(t):
        pairs = [
            (f(np.float64(s)), g(np.float64(s))) for (f, g), s in zip(FUNCTIONS, t, strict=True)
        ]
        return np.array([float(p[0]) for p in pairs]), np.array([float(p[1]) for p in pairs])

    zero = np.zeros(len(FUNCTIONS))
    value, slope = evaluate(zero)
    with np.errstate(all="ignore"):
        step = wolfe(evaluate, value, slope, zero + 1, zero, curvature, secant)
        at, end = evaluate(step)
    assert np.all(step > 0)
    assert np.all(at <= value + 1e-4 * step * slope)
    assert np.all(abs(end) <= curvature * abs(slope))


def test_searches_give_zero_where_there_is_nothing_to_gain():
    flat = np.array([0.0, 0.0])
    for slope in (np.zeros(2), np.array([0.0, 1.0])):
        assert not wolfe(lambda t: (0 * t, 0 * t), flat, slope, flat + 1, flat, 0.1).any()
        assert not armijo(lambda t: 0 * t, flat, slope, flat + 1, flat).any()
    # A slope that promises what never comes.
    assert not armijo(lambda t: 1 + 0 * t, flat, flat - 1, flat + 1, flat).any()
    rising = wolfe(lambda t: (t, 1 + 0 * t), flat, flat - 1, flat + 1, flat, 0.1)
    assert not rising.any()
    # Not a number is never lower.
    assert not armijo(lambda t: np.nan * t, flat, flat - 1, flat + 1, flat).any()


def test_armijo_decides_sample_by_sample():
    scale = np.array([1.0, 100.0, 1e-3])  # minima at 1 / scale
    step = armijo(
        lambda t: 0.5 * scale * t**2 - t, np.zeros(3), -np.ones(3), np.full(3, 8.0), np.zeros(3)
    )
    assert np.all(0.5 * scale * step**2 - step <= -1e-4 * step)
    assert step[2] == 8.0
    assert step[1] <= 0.02
