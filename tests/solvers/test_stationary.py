"""Landweber and SIRT against spectral filter factors, dense formulas and fixed points."""

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import AccuracyWarning, ArgumentError, NonFiniteError
from opalg.operators.norms import Bounds


@pytest.mark.parametrize("iterations", [1, 2, 17])
@pytest.mark.parametrize("complex_values", [False, True])
def test_landweber_has_its_filter_factors(make_problem, iterations, complex_values):
    """x_k = V (1 - (1 - step s^2)^k) / s U.H y, the closed form from the singular values."""
    kind = "complex128" if complex_values else "float64"
    problem = make_problem(kind, complex_values=complex_values)
    step = 1 / problem.A.norm_bounds().upper ** 2
    U, s, Vh = np.linalg.svd(problem.matrix, full_matrices=False)
    factors = (1 - (1 - step * s**2) ** iterations) / s
    expected = Vh.conj().T @ (factors * (U.conj().T @ problem.y))
    x = solvers.Landweber(problem.A, iterations=iterations)(problem.y)
    np.testing.assert_allclose(x, expected, rtol=1e-11)


def test_landweber_converges_to_least_squares_at_its_rate(problem):
    s = np.linalg.svd(problem.matrix, compute_uv=False)
    step = 1 / s[0] ** 2
    exact = np.linalg.lstsq(problem.matrix, problem.y)[0]
    errors = []
    for state in solvers.Landweber(problem.A, step_size=step).iterate(problem.y):
        errors.append(np.linalg.norm(state.x - exact))
        if state.iteration == 600:
            break
    rate = 1 - step * s[-1] ** 2
    assert errors[-1] < errors[0] * rate**599 * (1 + 1e-6) + 1e-13
    # The slowest part alone is left in the end, so the bound is attained.
    assert errors[120] / errors[119] == pytest.approx(rate, rel=1e-2)


def test_landweber_schedule_by_hand(problem):
    steps = [0.02, 0.03, 0.01]
    x = np.zeros(problem.matrix.shape[1])
    for step in steps:
        x = x + step * problem.matrix.T @ (problem.y - problem.matrix @ x)
    for schedule in (steps, np.array(steps), lambda k: steps[k]):
        found = solvers.Landweber(problem.A, step_size=schedule, iterations=3)(problem.y)
        np.testing.assert_allclose(found, x, rtol=1e-13)


def test_landweber_refuses_steps_that_surely_diverge(problem):
    limit = 2 / problem.A.norm_bounds().lower ** 2
    with pytest.raises(ArgumentError, match=r"too long: it must be below 2 / \|A\|\^2 <= "):
        solvers.Landweber(problem.A, step_size=limit)(problem.y)
    with pytest.raises(ArgumentError, match="too long"):
        solvers.Landweber(problem.A, step_size=[1e-3, 2 * limit])(problem.y)
    for wrong in (0.0, -1.0, float("nan"), [0.1, float("inf")]):
        with pytest.raises(ArgumentError, match="must be positive and finite"):
            solvers.Landweber(problem.A, step_size=wrong)(problem.y)


class Unbounded(oa.LinearOperator):
    """A diagonal operator of which only a lower bound of the norm is known."""

    def _apply(self, x, out):
        return np.multiply(x, [-2.0, 1.0], out=out)

    def _apply_transpose(self, y, out):
        return self._apply(y, out)


class Shrunk(Unbounded):
    """One that claims a smaller norm than it has."""

    def _norm_bounds(self):
        return Bounds(0.1, 0.1)


def test_landweber_without_an_upper_bound_warns_or_takes_a_safety_factor():
    X = oa.Space(2, "float64")
    A = Unbounded(X, X)
    assert A.norm_bounds().upper == np.inf
    y = np.array([2.0, 1.0])
    np.testing.assert_allclose(solvers.Landweber(A, iterations=400)(y), [-1, 1], rtol=1e-12)
    with pytest.warns(AccuracyWarning, match=r"may diverge.* lies between 0 and 0\.5"):
        solvers.Landweber(A, step_size=0.3).solve(y)


def test_divergence_is_reported_with_the_iteration():
    """Of an operator that claims too small a norm: the residual grows |1 - 100 * 4|-fold per step."""
    A = Shrunk(oa.Space(2, "float32"), oa.Space(2, "float32"))
    solver = solvers.Landweber(A)
    with pytest.raises(
        NonFiniteError, match=r"Landweber diverged: the residual is .* iteration 5 and"
    ):
        solver(np.ones(2, "float32"))


def test_landweber_of_the_zero_operator_stays_at_the_start():
    A = oa.Zero(oa.Space(2, "float64"))
    assert solvers.Landweber(A, iterations=3)(np.ones(2)).tolist() == [0, 0]


# SIRT


def dense_sirt(matrix, y, iterations, relaxation=lambda k: 1.0, low=-np.inf, high=np.inf):
    """The definition, in float64."""
    matrix, y = matrix.astype(float), y.astype(float)
    rows, columns = matrix.sum(1), matrix.sum(0)
    R = np.where(rows > 0, 1 / np.where(rows > 0, rows, 1), 0)
    C = np.where(columns > 0, 1 / np.where(columns > 0, columns, 1), 0)
    x = np.zeros(matrix.shape[1])
    for k in range(iterations):
        x = x + relaxation(k) * C * (matrix.T @ (R * (y - matrix @ x)))
        x = np.clip(x, low, high)
    return x


@pytest.mark.parametrize("iterations", [0, 1, 25])
def test_sirt_is_its_definition(make_problem, dtype, iterations):
    problem = make_problem(dtype)
    x = solvers.SIRT(problem.A, iterations=iterations)(problem.y)
    assert x.dtype == dtype
    # 25 steps with sums of 12 terms, each rounded: some dozens of units in the last place.
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(x, dense_sirt(problem.matrix, problem.y, iterations), atol=tolerance)


def test_sirt_with_relaxation_and_bounds(problem):
    schedule = [1.9, 0.5, 1.0, 1.0, 0.1]
    x = solvers.SIRT(problem.A, iterations=5, relaxation=schedule, minimum=0, maximum=0.4)(
        problem.y
    )
    expected = dense_sirt(problem.matrix, problem.y, 5, lambda k: schedule[k], 0, 0.4)
    assert {0.0, 0.4} & set(expected), "the bounds must matter for this test to mean something"
    np.testing.assert_allclose(x, expected, atol=1e-13)


def test_sirt_converges_to_weighted_least_squares(problem):
    weight = 1 / np.sqrt(problem.matrix.sum(1))
    exact = np.linalg.lstsq(weight[:, None] * problem.matrix, weight * problem.y)[0]
    for relaxation in (1.0, 1.9):
        x = solvers.SIRT(problem.A, iterations=3000, relaxation=relaxation)(problem.y)
        np.testing.assert_allclose(x, exact, atol=1e-10)
        # A fixed point stays where it is.
        again = solvers.SIRT(problem.A, relaxation=relaxation).solve(
            problem.y, iterations=3, initial=exact
        )
        np.testing.assert_allclose(again.x, exact, atol=1e-13)


def test_sirt_with_bounds_ends_where_the_optimality_conditions_hold(problem):
    x = solvers.SIRT(problem.A, iterations=3000, minimum=0)(problem.y)
    rows = problem.matrix.sum(1)
    gradient = problem.matrix.T @ ((problem.matrix @ x - problem.y) / rows)
    assert (x == 0).any()
    assert (x > 0).any()
    np.testing.assert_allclose(gradient[x > 0], 0, atol=1e-10)
    assert (gradient[x == 0] >= -1e-10).all()


def test_sirt_leaves_empty_rows_and_columns_alone():
    matrix = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    A = oa.MatrixOperator(matrix, oa.Space(3, "float64"), oa.Space(2, "float64"))
    result = solvers.SIRT(A, iterations=50).solve(
        np.array([3.0, 7.0]), initial=np.array([0.0, 5.0, 0.0])
    )
    assert result.x[1] == 5.0
    np.testing.assert_allclose(matrix @ result.x, [3, 0], rtol=1e-12)


def test_sirt_refuses_what_it_cannot_solve(problem):
    for wrong in (0, 2, -1.0, [1.0, 2.5], float("nan")):
        with pytest.raises(ArgumentError, match="relaxation of SIRT must lie between 0 and 2"):
            solvers.SIRT(problem.A, relaxation=wrong)
    for bounds in ({"minimum": 1, "maximum": 0}, {"minimum": float("nan")}):
        with pytest.raises(ArgumentError, match="minimum must not exceed maximum"):
            solvers.SIRT(problem.A, **bounds)
    with pytest.raises(ArgumentError, match="for real spaces"):
        solvers.SIRT(oa.Identity(oa.Space(2, "complex64")))
    negative = oa.MatrixOperator(-problem.matrix, problem.A.domain, problem.A.range)
    with pytest.warns(AccuracyWarning, match="does not say"):
        solver = solvers.SIRT(negative)
    with pytest.raises(ArgumentError, match=r"a row of .* sums to -"):
        solver(problem.y)


def test_constant_weights_of_the_spaces_do_not_matter(problem):
    m, n = problem.matrix.shape
    heavy = oa.MatrixOperator(
        problem.matrix,
        oa.Space(n, "float64", weighting=7.0),
        oa.Space(m, "float64", weighting=0.01),
    )
    for kind in (solvers.Landweber, solvers.SIRT, solvers.CGLS):
        plain, weighted = kind(problem.A, iterations=5), kind(heavy, iterations=5)
        assert np.array_equal(plain(problem.y), weighted(problem.y))


def test_the_loop_that_people_write_by_hand():
    tomo = oa.tomo
    A = tomo.XrayTransform(oa.Grid((32, 32)), tomo.ParallelBeam(angles=24, detector=48))
    y = A(tomo.phantoms.disc(radius=10.0).sample(A.domain))
    R = 1 / A(A.domain.ones()).clip(min=1e-8)
    C = 1 / A.T(A.range.ones()).clip(min=1e-8)
    x = A.domain.zeros()
    for _ in range(20):
        x += C * A.T(R * (y - A(x)))
    found = solvers.SIRT(A, iterations=20)(y)
    # The same operations in the same order: at most a rounding here and there.
    np.testing.assert_allclose(found, x, atol=1e-6 * abs(x).max())


@pytest.mark.parametrize("step_size", [-1.0, 0.0, float("nan"), (0.1, -0.1)])
def test_steps_of_the_wrong_sign_are_refused_when_the_solver_is_built(step_size):
    with pytest.raises(ArgumentError, match="step size of Landweber must be positive and finite"):
        solvers.Landweber(oa.Identity(oa.Space(2)), step_size=step_size)


def test_what_is_no_number_is_refused_when_the_solver_is_built():
    eye = oa.Identity(oa.Space(2))
    with pytest.raises(ArgumentError, match="or a function of the number of the step is needed"):
        solvers.Landweber(eye, step_size="long")
    with pytest.raises(ArgumentError, match="or a function of the number of the step is needed"):
        solvers.SIRT(eye, relaxation="fast")
    with pytest.raises(ArgumentError, match="minimum and maximum must be numbers"):
        solvers.SIRT(eye, minimum="zero")


@pytest.mark.parametrize("name", ["SIRT", "Landweber", "Kaczmarz", "Cimmino", "OSSIRT", "OSSART"])
def test_constraints_are_operators(name):
    """Onto the simplex: consistent equations determine the point, and every iterate lies on it."""
    rng = np.random.default_rng(0)
    A = oa.MatrixOperator(rng.random((6, 3)))
    options = {"subsets": 3} if name.startswith("OS") else {}
    project = fn.Simplex(A.domain).prox(1.0)
    solver = getattr(solvers, name)(A, constraint=project, iterations=3000, **options)
    x = np.array([0.2, 0.5, 0.3])
    for state in (solver.solve(A(x), iterations=2).state, solver.solve(A(x)).state):
        assert state.x.sum() == pytest.approx(1.0, abs=1e-12)
        assert state.x.min() >= 0
    np.testing.assert_allclose(state.x, x, rtol=0, atol=1e-6)
    with pytest.raises(ArgumentError, match=f"constraint of {name} must be an operator from Space"):
        getattr(solvers, name)(A, constraint=A, **options)
