"""LSQR, LSMR, hybrid LSQR and AB/BA-GMRES against SciPy and dense linear algebra."""

import warnings

import numpy as np
import pytest
import scipy.sparse.linalg

import opalg as oa
from opalg import solvers
from opalg.errors import (
    AccuracyWarning,
    ArgumentError,
    NotSupportedError,
    SpaceMismatchError,
)
from opalg.solvers.hybrid import _Projected

both = pytest.mark.parametrize("name", ["lsqr", "lsmr"])
complex_or_not = pytest.mark.parametrize("complex_values", [False, True])


def scipys(name, matrix, y, damp, k):
    limit = {"iter_lim": k} if name == "lsqr" else {"maxiter": k}
    method = getattr(scipy.sparse.linalg, name)
    return method(matrix, y, damp=damp, atol=0, btol=0, conlim=0, **limit)[0]


@both
@complex_or_not
@pytest.mark.parametrize("damp", [0.0, 0.7])
def test_iterates_are_scipys(make_problem, name, complex_values, damp):
    kind = "complex128" if complex_values else "float64"
    problem = make_problem(kind, complex_values=complex_values)
    M, y = problem.matrix, problem.y
    for k in (1, 2, 5):
        solver = getattr(solvers, name.upper())(problem.A, damp=damp, iterations=k)
        result = solver.solve(y)
        np.testing.assert_allclose(result.x, scipys(name, M, y, damp, k), rtol=1e-10)
        residual = M @ result.x - y
        gradient = M.conj().T @ residual + damp**2 * result.x
        assert result.state.residual == pytest.approx(np.linalg.norm(residual), rel=1e-12)
        assert result.state.gradient == pytest.approx(np.linalg.norm(gradient), rel=1e-9)


@both
def test_damping_pulls_towards_the_start(problem, name):
    M, start, d = problem.matrix, np.linspace(-1, 1, 7), 0.5
    solver = getattr(solvers, name.upper())(problem.A, damp=d, iterations=8)
    result = solver.solve(problem.y, initial=start)
    right = M.T @ problem.y + d**2 * start
    np.testing.assert_allclose(
        result.x, np.linalg.solve(M.T @ M + d**2 * np.eye(7), right), rtol=1e-9
    )
    residual = np.linalg.norm(M @ result.x - problem.y)
    assert result.state.residual == pytest.approx(residual, rel=1e-9)


@both
def test_ends_at_the_solution_of_smallest_norm(name):
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((6, 3)) @ rng.standard_normal((3, 9))  # rank 3
    A = oa.MatrixOperator(matrix)
    y = rng.standard_normal((2, 6)) * np.array([[1.0], [0.0]])
    for state in getattr(solvers, name.upper())(A).iterate(y):
        if state.iteration == 100:
            break
    np.testing.assert_allclose(state.x, y @ np.linalg.pinv(matrix).T, atol=1e-10)
    result = getattr(solvers, name.upper())(A).solve(y)
    assert "vanished to rounding" in result.reason


@both
def test_large_float32_data_do_not_overflow(make_problem, name):
    """The norm of what is scaled to one stays one; only the data themselves are squared."""
    problem = make_problem("float32")
    solver = getattr(solvers, name.upper())(problem.A, iterations=5)
    large, plain = solver(1e15 * problem.y) / 1e15, solver(problem.y)
    np.testing.assert_allclose(large, plain, atol=1e-4 * np.linalg.norm(plain))


class Unmatched(oa.LinearOperator):
    """A matrix with another one for its back projection."""

    exact_adjoint = False

    def __init__(self, matrix, back):
        super().__init__(oa.Space(matrix.shape[1], "float64"), oa.Space(matrix.shape[0], "float64"))
        self.matrix, self.back = matrix, back

    def _apply(self, x, out):
        return np.matmul(x, self.matrix.T, out=out)

    def _apply_transpose(self, y, out):
        return np.matmul(y, self.back.T, out=out)


@pytest.fixture
def pair(problem):
    rng = np.random.default_rng(5)
    return Unmatched(problem.matrix, problem.matrix.T * rng.uniform(0.8, 1.2, (7, 12)))


def test_unmatched_pairs(problem, pair):
    for name in ("LSQR", "LSMR", "HybridLSQR"):
        with pytest.warns(AccuracyWarning, match=f"{name} needs the exact adjoint.*ABGMRES"):
            getattr(solvers, name)(pair)
    M, B, y = pair.matrix, pair.back, problem.y
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ab, ba = solvers.ABGMRES(pair, iterations=40), solvers.BAGMRES(pair, iterations=40)
    np.testing.assert_allclose(B @ (M @ ba(y) - y), 0, atol=1e-12)
    # The range of A B is that of A here, so AB-GMRES gives least squares although B is not A.H.
    np.testing.assert_allclose(ab(y), np.linalg.lstsq(M, y)[0], rtol=1e-6)


@complex_or_not
@pytest.mark.parametrize("k", [1, 3, 5])
def test_gmres_is_scipys(make_problem, complex_values, k):
    kind = "complex128" if complex_values else "float64"
    problem = make_problem(kind, complex_values=complex_values)
    M, y = problem.matrix, problem.y
    N = M.conj().T + 0.1 * np.random.default_rng(2).standard_normal((7, 12))
    B = oa.MatrixOperator(N.astype(M.dtype))
    gmres = lambda C, b: scipy.sparse.linalg.gmres(C, b, restart=k, maxiter=1, rtol=0)[0]  # noqa: E731
    found = solvers.ABGMRES(problem.A, back_projector=B, iterations=k).solve(y)
    np.testing.assert_allclose(found.x, N @ gmres(M @ N, y), rtol=1e-10)
    assert found.state.residual == pytest.approx(np.linalg.norm(M @ found.x - y), rel=1e-10)
    found = solvers.BAGMRES(problem.A, back_projector=B, iterations=k).solve(y)
    np.testing.assert_allclose(found.x, gmres(N @ M, N @ y), rtol=1e-10)
    normal = np.linalg.norm(N @ (M @ found.x - y))
    assert found.state.normal_residual == pytest.approx(normal, rel=1e-9)


def test_gmres_with_the_matched_pair_is_lsqr_and_lsmr(problem):
    for k in (1, 4):
        ab, ba = solvers.ABGMRES(problem.A, iterations=k), solvers.BAGMRES(problem.A, iterations=k)
        np.testing.assert_allclose(ab(problem.y), solvers.LSQR(problem.A, iterations=k)(problem.y))
        np.testing.assert_allclose(ba(problem.y), solvers.LSMR(problem.A, iterations=k)(problem.y))


@pytest.mark.parametrize("kind", [solvers.ABGMRES, solvers.BAGMRES])
def test_gmres_stands_still_when_its_space_is_exhausted(problem, kind):
    """Data in the range of A: 7 steps solve; a batch goes on for the slowest sample."""
    exact = np.array([np.ones(7), np.zeros(7), np.eye(7)[2]])
    y = exact @ problem.matrix.T
    for state in kind(problem.A).iterate(y):
        if state.iteration == 15:
            break
    np.testing.assert_allclose(state.x, exact, atol=1e-9)


def test_gmres_says_what_it_needs(problem):
    with pytest.raises(ArgumentError, match="back_projector of ABGMRES must be a linear operator"):
        solvers.ABGMRES(problem.A, back_projector=problem.matrix.T)
    with pytest.raises(SpaceMismatchError, match=r"must lead from Space \(12,\).* to Space \(7,\)"):
        solvers.BAGMRES(problem.A, back_projector=problem.A)


# Hybrid LSQR


@pytest.fixture(params=[0, 1, 2])
def integrated(request):
    """Ill-posed (the data are an integral) and noisy: what regularisation is for."""
    n, rng = 100, np.random.default_rng(request.param)
    matrix, t = np.tril(np.ones((n, n))) / n, np.arange(n) / n
    x = np.sin(6 * t) + (t > 0.5)
    noise = rng.standard_normal(n)
    noise *= 0.05 * np.linalg.norm(matrix @ x) / np.linalg.norm(noise)
    return matrix, x, matrix @ x + noise, float(np.linalg.norm(noise))


def error(found, x):
    return np.linalg.norm(found - x) / np.linalg.norm(x)


def best_tikhonov(matrix, x, y):
    U, s, Vh = np.linalg.svd(matrix)
    found = [Vh.T @ (s / (s**2 + p**2) * (U.T @ y)) for p in np.geomspace(1e-4, 1, 300)]
    return min(error(value, x) for value in found)


@pytest.mark.parametrize(
    ("parameter", "factor"), [("gcv", 1.2), ("discrepancy", 1.1), ("l-curve", 1.2)]
)
def test_hybrid_does_not_fit_the_noise(integrated, parameter, factor):
    """Near the best of Tikhonov's solutions, where LSQR is far off."""
    matrix, x, y, norm = integrated
    A = oa.MatrixOperator(matrix)
    noise = norm if parameter == "discrepancy" else None
    result = solvers.HybridLSQR(A, parameter=parameter, noise=noise, iterations=30).solve(y)
    assert error(result.x, x) < factor * best_tikhonov(matrix, x, y)
    assert error(solvers.LSQR(A, iterations=30)(y), x) > 10 * best_tikhonov(matrix, x, y)
    assert result.history["parameter"].shape == (30,)
    residual = np.linalg.norm(matrix @ result.x - y)
    assert result.state.residual == pytest.approx(residual, rel=1e-8)
    if noise:
        assert residual == pytest.approx(noise, rel=1e-6)


def test_hybrid_with_a_fixed_parameter_is_damped_lsqr(problem):
    for k in (1, 4, 9):
        found = solvers.HybridLSQR(problem.A, parameter=0.7, iterations=k)(problem.y)
        expected = solvers.LSQR(problem.A, damp=0.7, iterations=k)(problem.y)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_gcv_function_and_the_curvature():
    """Against their definitions: the trace of the influence matrix, and finite differences."""
    rng = np.random.default_rng(0)
    B = np.zeros((6, 5))
    B[np.arange(5), np.arange(5)], B[np.arange(1, 6), np.arange(5)] = rng.uniform(1, 2, (2, 5))
    small = _Projected(B, 3.0)
    for p in (0.1, 1.3):
        influence = B @ np.linalg.solve(B.T @ B + p**2 * np.eye(5), B.T)
        c = 3.0 * np.eye(6)[0]
        gcv = np.sum((c - influence @ c) ** 2) / np.trace(np.eye(6) - influence) ** 2
        assert small.gcv(p) == pytest.approx(gcv, rel=1e-10)
        curve = lambda q: np.log([small.residual(q), np.linalg.norm(small.solution(q))])  # noqa: E731
        h = 1e-3 * p
        first = (curve(p + h) - curve(p - h)) / (2 * h)
        second = (curve(p + h) - 2 * curve(p) + curve(p - h)) / h**2
        bend = (first[0] * second[1] - second[0] * first[1]) / np.linalg.norm(first) ** 3
        assert small.curvature(p) == pytest.approx(bend, rel=1e-4)


def test_hybrid_of_a_batch(integrated):
    matrix, _, y, norm = integrated
    solver = solvers.HybridLSQR(oa.MatrixOperator(matrix), iterations=8)
    batch = np.stack([y, 3 * y[::-1], 0 * y])
    result = solver.solve(batch)
    assert result.history["parameter"].shape == (8, 3)
    for found, sample in zip(result.x, batch, strict=True):
        # The minimum of the function is found to the root of rounding.
        np.testing.assert_allclose(found, solver(sample), atol=1e-6)
    several = solvers.HybridLSQR(
        solver.operator, parameter="discrepancy", noise=np.array([norm, 3 * norm]), iterations=20
    ).solve(batch[:2])
    np.testing.assert_allclose(several.state.residual, [norm, 3 * norm], rtol=1e-6)


def test_hybrid_says_what_it_needs(problem):
    for wrong in ("best", -1.0, None):
        with pytest.raises(ArgumentError, match="must be one of 'gcv', 'discrepancy', 'l-curve'"):
            solvers.HybridLSQR(problem.A, parameter=wrong)
    for wrong in ({"parameter": "discrepancy"}, {"noise": 1.0}):
        with pytest.raises(ArgumentError, match=r"takes noise=\.\.\., its norm"):
            solvers.HybridLSQR(problem.A, **wrong)
    with pytest.raises(ArgumentError, match="noise of HybridLSQR must be positive"):
        solvers.HybridLSQR(problem.A, parameter="discrepancy", noise=0.0)


def test_hybrid_refuses_to_be_recorded(problem):
    torch = pytest.importorskip("torch")
    y = torch.from_numpy(problem.y)
    solver = solvers.HybridLSQR(problem.A, iterations=4)
    np.testing.assert_allclose(solver(y).numpy(), solver(problem.y), rtol=1e-6)
    with pytest.raises(NotSupportedError, match="cannot differentiate through HybridLSQR"):
        solver(y.requires_grad_())
