"""CG and CGLS against dense solutions, Krylov spaces written out, and SciPy's LSQR."""

import numpy as np
import pytest
import scipy.sparse.linalg

import opalg as oa
from opalg import solvers
from opalg.errors import AccuracyWarning, ArgumentError, SpaceMismatchError


def normal_operator(problem, shift=0.1):
    return problem.A.H @ problem.A + shift * oa.Identity(problem.A.domain)


def krylov_basis(matrix, start, dimension):
    """An orthonormal basis of span(b, M b, M^2 b, ...), by Arnoldi with repeated orthogonalisation."""
    basis = (start / np.linalg.norm(start))[:, None]
    while basis.shape[1] < dimension:
        v = matrix @ basis[:, -1]
        for _ in range(2):
            v = v - basis @ (basis.conj().T @ v)
        basis = np.column_stack([basis, v / np.linalg.norm(v)])
    return basis


@pytest.mark.parametrize("complex_values", [False, True])
def test_cg_minimises_the_energy_of_the_error_over_krylov_spaces(make_problem, complex_values):
    kind = "complex128" if complex_values else "float64"
    problem = make_problem(kind, complex_values=complex_values)
    T = normal_operator(problem)
    dense = problem.matrix.conj().T @ problem.matrix + 0.1 * np.eye(7)
    b = problem.matrix.conj().T @ problem.y
    for k in (1, 2, 4):
        K = krylov_basis(dense, b, k)
        expected = K @ np.linalg.solve(K.conj().T @ dense @ K, K.conj().T @ b)
        found = solvers.CG(T, iterations=k)(b)
        np.testing.assert_allclose(found, expected, atol=1e-11 * np.linalg.norm(expected))


def test_cg_solves_in_as_many_steps_as_there_are_unknowns(make_problem, dtype):
    problem = make_problem(dtype)
    T = normal_operator(problem)
    b = problem.A.H(problem.y)
    result = solvers.CG(T).solve(b)
    dense = problem.matrix.astype(float).T @ problem.matrix.astype(float) + 0.1 * np.eye(7)
    exact = np.linalg.solve(dense, b.astype(float))
    # The error is that of the data times the condition number of the normal equations.
    tolerance = 10 * np.finfo(dtype).eps * np.linalg.cond(dense)
    np.testing.assert_allclose(result.x, exact, atol=tolerance * np.linalg.norm(exact))
    assert result.reason.startswith("the residual vanished to rounding after")
    assert 7 <= result.state.iteration < 20


def test_cg_converges_at_least_as_fast_as_the_bound(problem):
    T = normal_operator(problem)
    dense = problem.matrix.T @ problem.matrix + 0.1 * np.eye(7)
    b = problem.matrix.T @ problem.y
    exact = np.linalg.solve(dense, b)
    root = np.sqrt(np.linalg.cond(dense))
    energy = np.sqrt(exact @ dense @ exact)
    for state in solvers.CG(T).iterate(b):
        e = state.x - exact
        bound = 2 * ((root - 1) / (root + 1)) ** state.iteration * energy
        assert np.sqrt(e @ dense @ e) <= bound
        if state.iteration == 6:
            break


def test_cg_detects_operators_that_are_not_positive():
    indefinite = oa.Diagonal(np.array([1.0, -1.0, 2.0]))
    with pytest.raises(
        ArgumentError, match=r"needs a positive operator, but <p, A\(p\)> = -4 in iteration 1"
    ):
        solvers.CG(indefinite)(np.array([0.0, 2.0, 0.0]))
    singular = oa.Diagonal(np.array([1.0, 0.0]))
    with pytest.raises(ArgumentError, match="= 0 in iteration 1"):
        solvers.CG(singular)(np.array([0.0, 1.0]))


def test_cg_says_what_it_needs(problem):
    with pytest.raises(SpaceMismatchError, match=r"from a space to itself.*use CGLS"):
        solvers.CG(problem.A)
    shift = oa.MatrixOperator(
        np.array([[2.0, 1.0], [0.0, 2.0]]), oa.Space(2, "float64"), oa.Space(2, "float64")
    )
    with pytest.warns(AccuracyWarning, match="needs a self-adjoint operator"):
        solvers.CG(shift)


@pytest.mark.parametrize("shape", [(12, 7), (5, 9), (6, 6)])
def test_cgls_gives_the_iterates_of_lsqr(make_problem, shape):
    """The two are equal in exact arithmetic (Paige and Saunders 1982)."""
    problem = make_problem("float64", *shape) if shape[0] >= shape[1] else None
    rng = np.random.default_rng(3)
    matrix = problem.matrix if problem else rng.uniform(size=shape)
    A = oa.MatrixOperator(
        matrix, oa.Space(matrix.shape[1], "float64"), oa.Space(matrix.shape[0], "float64")
    )
    y = rng.standard_normal(matrix.shape[0])
    for k in (1, 2, 4):
        expected = scipy.sparse.linalg.lsqr(matrix, y, atol=0, btol=0, conlim=0, iter_lim=k)[0]
        np.testing.assert_allclose(solvers.CGLS(A, iterations=k)(y), expected, rtol=1e-9)


@pytest.mark.parametrize("complex_values", [False, True])
def test_cgls_minimises_the_residual_over_krylov_spaces(make_problem, complex_values):
    kind = "complex128" if complex_values else "float64"
    problem = make_problem(kind, complex_values=complex_values)
    M = problem.matrix
    for k in (1, 3, 5):
        K = krylov_basis(M.conj().T @ M, M.conj().T @ problem.y, k)
        expected = K @ np.linalg.lstsq(M @ K, problem.y)[0]
        found = solvers.CGLS(problem.A, iterations=k).solve(problem.y)
        np.testing.assert_allclose(found.x, expected, atol=1e-11 * np.linalg.norm(expected))
        np.testing.assert_allclose(
            found.history["residual"][-1], np.linalg.norm(problem.y - M @ expected), rtol=1e-10
        )


def test_cgls_ends_at_the_solution_of_smallest_norm():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((6, 3)) @ rng.standard_normal((3, 9))  # rank 3
    A = oa.MatrixOperator(matrix, oa.Space(9, "float64"), oa.Space(6, "float64"))
    y = rng.standard_normal(6)
    result = solvers.CGLS(A, iterations=40).solve(y)
    np.testing.assert_allclose(result.x, np.linalg.pinv(matrix) @ y, rtol=1e-9)
    assert np.isfinite(result.x).all()


def test_cgls_solves_tikhonovs_problem_as_a_stack(problem):
    X, d = problem.A.domain, 0.5
    stack = oa.vstack([problem.A, d * oa.Identity(X)])
    x = solvers.CGLS(stack, iterations=10)(oa.Blocks((problem.y, X.zeros())))
    M = problem.matrix
    expected = np.linalg.solve(M.T @ M + d**2 * np.eye(7), M.T @ problem.y)
    np.testing.assert_allclose(x, expected, rtol=1e-10)


def test_cgls_with_blocks_on_both_sides(problem):
    both = oa.block_diagonal([problem.A, 2 * problem.A])
    data = oa.Blocks((problem.y, problem.y))
    u, v = solvers.CGLS(both, iterations=60)(data)
    exact = np.linalg.lstsq(problem.matrix, problem.y)[0]
    np.testing.assert_allclose(u, exact, rtol=1e-9)
    np.testing.assert_allclose(v, exact / 2, rtol=1e-9)


@pytest.mark.parametrize("kind", [solvers.CG, solvers.CGLS])
def test_zero_data_need_no_step(kind):
    result = kind(oa.Diagonal(np.array([1.0, 2.0]))).solve(np.zeros(2))
    assert result.x.tolist() == [0, 0]
    assert result.state.iteration == 0
    assert "vanished to rounding after 0 iterations" in result.reason


@pytest.mark.parametrize("kind", [solvers.CG, solvers.CGLS])
def test_iterating_on_after_convergence_changes_nothing(kind):
    states = kind(oa.Diagonal(np.array([1.0, 2.0, 4.0]))).iterate(np.ones(3))
    for state in states:
        if state.iteration == 5:
            at_five = state.x.copy()
        if state.iteration == 300:
            break
    assert np.array_equal(state.x, at_five)


@pytest.mark.parametrize("batch", [False, True])
def test_rounding_noise_does_not_drift_where_the_operator_sees_nothing(batch):
    """Without the freeze, 300 steps along noise in the null space add up to an error of order 1."""
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((6, 3)) @ rng.standard_normal((3, 9))
    A = oa.MatrixOperator(matrix, oa.Space(9, "float64"), oa.Space(6, "float64"))
    y = rng.standard_normal(6)
    exact = np.linalg.pinv(matrix) @ y
    states = solvers.CGLS(A).iterate(np.stack([y, 0 * y, 3 * y]) if batch else y)
    for state in states:
        if state.iteration == 300:
            break
    expected = np.stack([exact, 0 * exact, 3 * exact]) if batch else exact
    np.testing.assert_allclose(state.x, expected, atol=1e-11)


class Unmatched(oa.LinearOperator):
    """Something whose back projection is a guess."""

    exact_adjoint = False

    def __init__(self):
        super().__init__(oa.Space(2, "float64"), oa.Space(2, "float64"))

    def _apply(self, x, out):
        return np.multiply(x, 2, out=out)

    def _apply_transpose(self, y, out):
        return np.multiply(y, 1.9, out=out)


def test_krylov_solvers_warn_of_unmatched_adjoints():
    with pytest.warns(AccuracyWarning, match="CGLS needs the exact adjoint"):
        solvers.CGLS(Unmatched())
    with pytest.warns(AccuracyWarning, match="CG needs a self-adjoint operator"):
        solvers.CG(Unmatched().gram)


def preconditioned_system():
    """A badly scaled matrix, and its diagonal."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(1, 1e3, 20)
    core = np.eye(20) + 0.03 * (lambda R: R + R.T)(rng.standard_normal((20, 20)))
    matrix = scale[:, None] * core * scale
    return SelfAdjoint(matrix), oa.Diagonal(1 / np.diag(matrix)), rng.standard_normal(20)


class SelfAdjoint(oa.MatrixOperator):
    """A matrix that says that it is."""

    self_adjoint = True


def test_a_preconditioner_is_scipys():
    from scipy.sparse.linalg import cg

    A, P, y = preconditioned_system()
    states = solvers.CG(A, preconditioner=P).iterate(y)
    expected = []
    cg(
        A.matrix,
        y,
        M=np.diag(1 / np.diag(A.matrix)),
        rtol=1e-30,
        maxiter=6,
        callback=lambda x: expected.append(x.copy()),
    )
    for state, x in zip(states, expected, strict=False):
        np.testing.assert_allclose(state.x, x, rtol=1e-6, atol=1e-12)


def test_a_preconditioner_saves_iterations():
    A, P, y = preconditioned_system()
    plain = solvers.CG(A).solve(y, stop=solvers.Residual(1e-8), iterations=2000)
    quick = solvers.CG(A, preconditioner=P).solve(y, stop=solvers.Residual(1e-8), iterations=2000)
    assert quick.state.iteration < 0.3 * plain.state.iteration
    np.testing.assert_allclose(quick.x, np.linalg.solve(A.matrix, y), rtol=1e-5)
    # A batch with a sample that needs nothing, and the same bits after resuming.
    batch = np.stack([y, 0 * y, 1e3 * y])
    together = solvers.CG(A, preconditioner=P, iterations=12)(batch)
    for i in range(3):
        alone = solvers.CG(A, preconditioner=P, iterations=12)(batch[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-9)


def test_least_squares_are_preconditioned_by_composition(make_problem):
    problem = make_problem()
    scale = np.geomspace(1, 1e4, 7)
    A = oa.MatrixOperator(problem.matrix * scale)
    P = oa.Diagonal(1 / scale)
    expected = np.linalg.lstsq(problem.matrix, problem.y, rcond=None)[0] / scale
    x = (P @ solvers.CGLS(A @ P, iterations=8))(problem.y)
    np.testing.assert_allclose(x, expected, rtol=1e-8)


def test_preconditioners_that_are_none():
    A, _, y = preconditioned_system()
    with pytest.raises(ArgumentError, match="preconditioner of CG must be a linear operator"):
        solvers.CG(A, preconditioner=np.eye(20))
    with pytest.raises(SpaceMismatchError, match="preconditioner of CG must map"):
        solvers.CG(A, preconditioner=oa.Identity(oa.Space(3, "float64")))
    negative = solvers.CG(A, preconditioner=-1 * oa.Identity(A.domain))
    with pytest.raises(ArgumentError, match=r"preconditioner of CG must be positive.*iteration 1"):
        negative(y)
