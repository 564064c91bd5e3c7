"""Gauss-Newton and Levenberg-Marquardt beside SciPy's least squares, at their rates and at their limits."""

import pickle

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.arrays import copy, namespace
from opalg.errors import ArgumentError, NotSupportedError
from opalg.operators.blocks import diagonal_of

torch = pytest.importorskip("torch")

KINDS = [solvers.GaussNewton, solvers.LevenbergMarquardt]
both = pytest.mark.parametrize("kind", KINDS)


class Transmission(oa.Operator):
    """exp(-x), entry by entry."""

    def __init__(self, space):
        super().__init__(space, space)

    def _apply(self, x, out):
        y = namespace(x).exp(-x)
        return y if out is None else copy(y, out)

    def _derivative(self, x):
        return diagonal_of(-self(x), self.range)


class Rosenbrock(oa.Operator):
    """(10 (x1 - x0^2), 1 - x0): a curved valley with its bottom at (1, 1)."""

    def __init__(self):
        super().__init__(oa.Space(2, "float64"), oa.Space(2, "float64"))

    def _apply(self, x, out):
        y = np.stack([10 * (x[..., 1] - x[..., 0] ** 2), 1 - x[..., 0]], axis=-1)
        return y if out is None else copy(y, out)

    def _derivative(self, x):
        return oa.MatrixOperator(np.array([[-20 * x[0], 10.0], [-1.0, 0.0]]))


def beer_lambert(dtype="float64", seed=0):
    """Photons behind a small phantom, in spaces of different weights, and the equations in SciPy's form."""
    rng = np.random.default_rng(seed)
    M = rng.uniform(0, 1, (12, 5))
    X, Y = oa.Grid(5, spacing=0.5, dtype=dtype), oa.Space(12, dtype, weighting=3.0)
    A = Transmission(Y) @ oa.MatrixOperator(M.astype(dtype), X, Y)
    y = (np.exp(-M @ rng.uniform(0, 1, 5)) + 0.01 * rng.standard_normal(12)).astype(dtype)

    def residuals(x):
        # LeastSquares is half the weighted square; 0.05 * SquaredL2 has no half, its weight is 1/2.
        return np.concatenate([np.sqrt(3.0) * (np.exp(-M @ x) - y), np.sqrt(0.05) * x])

    return A, y, 0.05 * fn.SquaredL2(X), residuals


@both
def test_regularised_least_squares_in_weighted_spaces_is_scipys(kind):
    A, y, regularizer, residuals = beer_lambert()
    expected = least_squares(residuals, np.zeros(5), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    result = kind(A, regularizer=regularizer, tolerance=1e-12).solve(y)
    np.testing.assert_allclose(result.x, expected.x, atol=1e-8)  # as far as SciPy gets
    np.testing.assert_allclose(result.history["objective"][-1], expected.cost, rtol=1e-12)
    assert result.reason.startswith("the gradient fell to 1e-12")
    assert result.state.iteration < 12


@both
def test_the_curved_valley(kind):
    start = np.array([-1.2, 1.0])
    result = kind(Rosenbrock(), iterations=200, inner_tolerance=1e-10).solve(
        np.zeros(2), initial=start
    )
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-8)
    assert start.tolist() == [-1.2, 1.0]
    assert np.all(np.diff(result.history["objective"]) <= 0)


@both
@pytest.mark.parametrize("inner_tolerance", [1e-1, 1e-3])
def test_the_error_falls_by_the_inner_tolerance(kind, inner_tolerance):
    """The data are fitted exactly: quadratic convergence, up to how well the linear problems are solved."""
    A, _, _, _ = beer_lambert()
    truth = np.linspace(0.2, 0.8, 5)
    solver = kind(A, inner_tolerance=inner_tolerance, inner_iterations=100, iterations=60)
    gradients = solver.solve(A(truth)).history["gradient"]
    rates = gradients[1:] / gradients[:-1]
    # Where the curvature (and the damping, which shrinks with every step) does not count any more.
    near = (gradients[:-1] < 1e-4 * gradients[0]) & (gradients[1:] > 1e-12 * gradients[0])
    assert near.any()
    assert np.all(rates[near] < 3 * inner_tolerance)


@both
def test_a_linear_operator_takes_one_step_to_the_solution(kind, make_problem):
    problem = make_problem()
    solver = kind(problem.A, inner_tolerance=1e-13, inner_iterations=50, iterations=1)
    if kind is solvers.LevenbergMarquardt:
        solver = solver.replace(damping=1e-13)
    expected = np.linalg.lstsq(problem.matrix, problem.y, rcond=None)[0]
    np.testing.assert_allclose(solver(problem.y), expected, atol=1e-9)


@both
def test_terms_that_are_not_quadratic(kind):
    """Poisson data and a smoothed total variation, by a general method of SciPy."""
    A, y, _, _ = beer_lambert()
    counts = np.round(100 * y)
    G = oa.Gradient(A.domain)
    regularizer = 2.0 * fn.Huber(G.range, 0.1) @ G

    def bright(space, data):
        return fn.PoissonLikelihood(space, data)

    photons = 100.0 * A
    solver = kind(photons, fidelity=bright, regularizer=regularizer, inner_tolerance=1e-4)
    result = solver.solve(counts, iterations=40)
    f = fn.PoissonLikelihood(photons.range, counts)

    def objective(x):
        return float(f(photons(x)) + regularizer(x))

    found = minimize(objective, result.x, method="Nelder-Mead", options={"xatol": 1e-9})
    assert objective(result.x) <= found.fun + 1e-9 * abs(found.fun)
    assert result.history["gradient"][-1] < 1e-6 * result.history["gradient"][0]


@both
def test_a_derivative_without_full_rank(kind):
    """x0 + x1 squared: a line of solutions. Both end on it, the damped method without any condition."""
    M = oa.MatrixOperator(np.array([[1.0, 1.0]]))
    line = oa.Identity(M.range) * oa.Identity(M.range)
    x = kind(line @ M, iterations=50).solve(np.array([4.0]), initial=np.array([1.0, 0.5])).x
    np.testing.assert_allclose(x.sum(), 2.0, atol=1e-7)
    np.testing.assert_allclose(x[0] - x[1], 0.5, atol=1e-12)  # nothing moves along the null space


@both
def test_a_batch_gives_what_its_samples_give_alone(kind):
    """Samples that arrive early stand still, one of zero data never moves, all keep their own decisions."""
    A, y, regularizer, _ = beer_lambert()
    dark = A(np.zeros(5))  # explained by x = 0 exactly: the gradient at the start is zero
    batch = np.stack([y, dark, 0.3 * y, 1.5 * y])
    solver = kind(A, regularizer=regularizer, iterations=8)
    together = solver.solve(batch)
    for i, data in enumerate(batch):
        np.testing.assert_allclose(together.x[i], solver(data), atol=1e-12)
    assert not together.x[1].any()
    assert together.history["objective"].shape == (together.state.iteration, 4)


@both
def test_resuming_and_steps_by_hand_give_the_same_bits(kind):
    A, y, regularizer, _ = beer_lambert()
    solver = kind(A, regularizer=regularizer, inner_tolerance=0.5)
    whole = solver.solve(y, iterations=7)
    part = solver.solve(y, iterations=3)
    for state in (part.state, pickle.loads(pickle.dumps(part.state))):
        assert np.array_equal(solver.solve(y, iterations=4, initial=state).x, whole.x)
    state = solver.initial(y)
    for _ in range(7):
        before = state.x.copy()
        following = solver.step(state, y)
        assert np.array_equal(state.x, before)
        state = following
    assert np.array_equal(state.x, whole.x)


@both
def test_tensors_give_the_numbers_of_numpy(kind):
    for dtype in ("float32", "float64"):
        A, y, regularizer, _ = beer_lambert(dtype)
        solver = kind(A, regularizer=regularizer, iterations=4)
        for data in (y, np.stack([y, 0.5 * y])):
            x = solver(torch.from_numpy(data))
            assert x.dtype == getattr(torch, dtype)
            np.testing.assert_allclose(x, solver(data), atol=2000 * np.finfo(dtype).eps)


@both
def test_float32_ends_by_itself(kind):
    A, y, regularizer, residuals = beer_lambert("float32")
    expected = least_squares(residuals, np.zeros(5))
    result = kind(A, regularizer=regularizer).solve(y, iterations=500)
    np.testing.assert_allclose(result.x, expected.x, atol=1e-3)
    assert result.state.iteration < 100, result.reason


def test_damping_grows_where_a_step_is_refused():
    solver = solvers.LevenbergMarquardt(Rosenbrock(), damping=1e-9, iterations=40)
    history = solver.solve(np.zeros(2), initial=np.array([-1.2, 1.0])).history
    refused = np.diff(history["objective"], prepend=np.inf) == 0
    assert refused.any()
    grown = np.diff(history["damping"]) > 0
    assert grown[refused[1:]].all()


@both
def test_what_does_not_fit_is_refused(kind):
    A, y, _, _ = beer_lambert()
    with pytest.raises(
        ArgumentError, match=f"{kind.__name__} takes an operator first, got ndarray"
    ):
        kind(np.eye(2))
    with pytest.raises(ArgumentError, match=r"inner_iterations of .* positive whole number, got 0"):
        kind(A, inner_iterations=0)
    with pytest.raises(ArgumentError, match=r"inner_tolerance of .* must be below 1, got 2"):
        kind(A, inner_tolerance=2.0)
    with pytest.raises(NotSupportedError, match="cannot handle the term L1"):
        kind(A, regularizer=fn.L1(A.domain))
    with pytest.raises(NotSupportedError, match="must be convex, so that the linearised problem"):
        kind(A, regularizer=-1.0 * fn.SquaredL2(A.domain))
    with pytest.raises(NotSupportedError, match="which has no gradient; PDHG and ADMM take it"):
        kind(A, fidelity=lambda space, data: fn.L1(space).translated(data))(y)

    class Forward(oa.Operator):
        def _apply(self, x, out):
            return x**2

    with pytest.raises(NotSupportedError, match="has no derivative"):
        kind(Forward(A.domain, A.domain))(np.ones(5))
    with pytest.raises(NotSupportedError, match="PyTorch cannot differentiate"):
        kind(A)(torch.from_numpy(y).requires_grad_())
    with pytest.raises(ArgumentError, match="GaussNewton and LevenbergMarquardt take operators"):
        solvers.SIRT(A)
    if kind is solvers.LevenbergMarquardt:
        with pytest.raises(ArgumentError, match="damping of LevenbergMarquardt must be a positive"):
            kind(A, damping=-1.0)
