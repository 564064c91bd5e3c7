"""SART, ordered subsets, Kaczmarz and Cimmino against loops written from their definitions."""

import every_solver
import numpy as np
import pytest
import scipy.sparse

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError
from opalg.solvers.subsets import golden_order, split

A = tomo.XrayTransform(oa.Grid((9, 8), dtype="float64"), tomo.ParallelBeam(angles=12, detector=13))
X_TRUE = tomo.phantoms.disc(radius=3.0).sample(A.domain)
Y = A(X_TRUE)
DENSE = np.stack([A(e.reshape(9, 8)).ravel() for e in np.eye(72)], axis=1)


def inverse(sums):
    return np.where(sums > 1e-14, 1 / np.where(sums > 1e-14, sums, 1), 0)


def dense_ordered(subsets, passes, columns, relaxation=1.0, low=-np.inf):
    """The definition: one SIRT step per interleaved subset of the views."""
    views = DENSE.reshape(12, 13, 72)
    blocks = [views[i::subsets].reshape(-1, 72) for i in range(subsets)]
    data = [Y[i::subsets].ravel() for i in range(subsets)]
    shared = inverse(np.max([block.sum(0) for block in blocks], axis=0))
    x = np.zeros(72)
    for _ in range(passes):
        for i in golden_order(subsets):
            B = blocks[i]
            C = inverse(B.sum(0)) if columns == "own" else shared
            x = x + relaxation * C * (B.T @ (inverse(B.sum(1)) * (data[i] - B @ x)))
            x = np.maximum(x, low)
    return x.reshape(9, 8)


@pytest.mark.parametrize(
    ("solver", "expected"),
    [
        (solvers.SART(A, iterations=2), dense_ordered(12, 2, "own")),
        (solvers.OSSART(A, iterations=3, subsets=5), dense_ordered(5, 3, "own")),
        (solvers.OSSIRT(A, iterations=3, subsets=5), dense_ordered(5, 3, "shared")),
        (
            solvers.OSSIRT(A, iterations=3, subsets=4, relaxation=0.7, minimum=0.01),
            dense_ordered(4, 3, "shared", 0.7, 0.01),
        ),
    ],
    ids=["SART", "OSSART", "OSSIRT", "with bounds"],
)
def test_ordered_subsets_are_their_definition(solver, expected):
    np.testing.assert_allclose(solver(Y), expected, atol=1e-13)


@pytest.mark.parametrize("kind", [solvers.OSSART, solvers.OSSIRT])
def test_one_subset_is_sirt_to_the_bit(kind):
    plain = solvers.SIRT(A, iterations=4).solve(Y)
    found = kind(A, iterations=4, subsets=1).solve(Y)
    assert np.array_equal(found.x, plain.x)
    assert np.array_equal(found.history["residual"], plain.history["residual"])


@pytest.mark.parametrize(
    "solver",
    [
        solvers.SART(A, iterations=20),
        solvers.OSSART(A, iterations=20, subsets=6),
        solvers.OSSIRT(A, iterations=20, subsets=6),
    ],
    ids=str,
)
def test_subsets_are_faster_than_sirt(solver):
    """At the same number of passes; that is what they are for."""
    residual = np.linalg.norm(A(solver(Y)) - Y)
    assert residual < 0.3 * np.linalg.norm(A(solvers.SIRT(A, iterations=20)(Y)) - Y)


def test_residuals_of_a_pass():
    result = solvers.OSSIRT(A, iterations=3, subsets=4).solve(Y)
    assert "residual" not in result.history
    running = result.history["running_residual"]
    assert running.shape == (3,)
    assert (np.diff(running) < 0).all()
    # Rules that need the residual of the iterate apply the operator.
    result = solvers.OSSIRT(A, subsets=4).solve(Y, stop=solvers.Residual(1e-2))
    assert np.linalg.norm(A(result.x) - Y) <= 1e-2 * np.linalg.norm(Y)
    assert result.state.iteration < 100


def test_data_of_stacks_and_matrices_are_cut_as_operators_are():
    stack = oa.vstack([A[:3], A[3:4], A[4:]])
    data = oa.Blocks((Y[:3], Y[3:4], Y[4:]))
    matrix = oa.MatrixOperator(DENSE, A.domain, A.range)
    sparse = oa.MatrixOperator(scipy.sparse.csr_array(DENSE), A.domain, A.range)
    x = A.domain.random(0)
    for operator, y, count in (
        (A, Y, 5),
        (stack, data, 3),
        (stack, data, 2),
        (matrix, Y, 7),
        (sparse, Y, 7),
    ):
        batch = (
            oa.Blocks([np.stack([p, 2 * p]) for p in y])
            if operator is stack
            else np.stack([y, 2 * y])
        )
        pieces = split(operator, count, "SART")
        assert len(pieces) == count
        for piece in pieces:
            # The equations of the parts are those of the whole.
            found = piece.operator(X_TRUE)
            for a, b, c in zip(
                parts(found), parts(piece.cut(y)), parts(piece.cut(batch)), strict=True
            ):
                np.testing.assert_allclose(a, b, atol=1e-12)
                np.testing.assert_array_equal(c, [b, 2 * b])
        total = sum(np.linalg.norm(p) ** 2 for piece in pieces for p in parts(piece.operator(x)))
        np.testing.assert_allclose(total, np.linalg.norm(A(x)) ** 2)


def parts(x):
    return x.flatten() if isinstance(x, oa.Blocks) else [x]


def test_what_cannot_be_split():
    with pytest.raises(NotSupportedError, match=r"Gradient in subsets.*oa\.vstack"):
        split(oa.Gradient(A.domain), 2, "OSSART")
    with pytest.raises(ArgumentError, match=r"from 1 to 12 \(the number of views\), got 13"):
        solvers.OSSART(A, subsets=13)(Y)
    with pytest.raises(ArgumentError, match="subsets of OSSIRT must be a whole number"):
        solvers.OSSIRT(A, subsets=2.5)(Y)
    with pytest.raises(ArgumentError, match="use OSSART"):
        solvers.SART(A, subsets=3)


def test_consecutive_subsets_are_far_apart():
    for count in (1, 2, 3, 7, 10, 12, 36, 97):
        order = golden_order(count)
        assert sorted(order) == list(range(count))
        if count >= 7:
            gaps = np.abs(np.diff(order))
            assert np.minimum(gaps, count - gaps).min() >= count / 4


# Kaczmarz


def dense_kaczmarz(matrix, y, rows, relaxation=1.0):
    x = np.zeros(matrix.shape[1], matrix.dtype)
    for i in rows:
        a = matrix[i]
        norm = np.vdot(a, a).real
        if norm:
            x = x + relaxation * (y[i] - a @ x) / norm * a.conj()
    return x


@pytest.mark.parametrize("complex_values", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_kaczmarz_is_its_definition(make_problem, complex_values, sparse):
    problem = make_problem(
        "complex128" if complex_values else "float64", complex_values=complex_values
    )
    matrix = problem.matrix.copy()
    matrix[3] = 0
    held = scipy.sparse.csr_array(matrix) if sparse else matrix
    solver = solvers.Kaczmarz(oa.MatrixOperator(held), iterations=3, relaxation=0.8)
    expected = dense_kaczmarz(matrix, problem.y, list(range(12)) * 3, 0.8)
    np.testing.assert_allclose(solver(problem.y), expected, rtol=1e-12)


def test_kaczmarz_ends_at_the_solution_nearest_to_the_start():
    rng = np.random.default_rng(0)
    matrix, start = rng.standard_normal((3, 5)), rng.standard_normal(5)
    y = matrix @ rng.standard_normal(5)
    for order in ("sequential", "random"):
        solver = solvers.Kaczmarz(oa.MatrixOperator(matrix), order=order)
        x = solver.solve(y, iterations=400, initial=start).x
        np.testing.assert_allclose(
            x, start + np.linalg.pinv(matrix) @ (y - matrix @ start), atol=1e-10
        )


def test_random_kaczmarz_falls_at_its_rate():
    """Strohmer and Vershynin (2009), Theorem 2, for the mean over seeds."""
    rng = np.random.default_rng(0)
    matrix, exact = rng.standard_normal((30, 6)), rng.standard_normal(6)
    s = np.linalg.svd(matrix, compute_uv=False)
    rate = 1 - s[-1] ** 2 / (s**2).sum()
    errors = []
    for seed in range(40):
        solver = solvers.Kaczmarz(
            oa.MatrixOperator(matrix), iterations=1, order="random", seed=seed
        )
        errors.append(np.linalg.norm(solver(matrix @ exact) - exact) ** 2)
    assert np.mean(errors) <= rate**30 * np.linalg.norm(exact) ** 2
    assert len(set(errors)) == 40


def test_kaczmarz_refuses(problem):
    with pytest.raises(NotSupportedError, match="use SART"):
        solvers.Kaczmarz(A)
    for wrong in ({"relaxation": 2.0}, {"order": "any"}):
        with pytest.raises(ArgumentError, match=f"{next(iter(wrong))} of Kaczmarz"):
            solvers.Kaczmarz(problem.A, **wrong)


# Cimmino


@pytest.mark.parametrize("relaxation", [1.0, 2.0])
def test_cimmino_is_the_mean_of_projections(problem, relaxation):
    M, x = problem.matrix, np.zeros(7)
    for _ in range(3):
        moves = [(b - a @ x) / (a @ a) * a for a, b in zip(M, problem.y, strict=True)]
        x = x + relaxation * np.mean(moves, axis=0)
    found = solvers.Cimmino(problem.A, iterations=3, relaxation=relaxation)(problem.y)
    np.testing.assert_allclose(found, x, rtol=1e-12)


def test_cimmino_converges_to_weighted_least_squares(problem):
    weight = 1 / np.linalg.norm(problem.matrix, axis=1)
    exact = np.linalg.lstsq(weight[:, None] * problem.matrix, weight * problem.y)[0]
    found = solvers.Cimmino(problem.A, iterations=2000)(problem.y)
    np.testing.assert_allclose(found, exact, atol=1e-9)
    # Of a projector the norms of the rows must be given.
    norms = (DENSE**2).sum(1).reshape(12, 13)
    given = solvers.Cimmino(A, iterations=3, row_norms=norms)(Y)
    known = solvers.Cimmino(oa.MatrixOperator(DENSE, A.domain, A.range), iterations=3)(Y)
    np.testing.assert_allclose(
        given, known, rtol=1e-2
    )  # the norms of the two differ within their brackets
    stack = oa.vstack([problem.A, problem.A])
    twice = solvers.Cimmino(stack, iterations=3)((problem.y, problem.y))
    np.testing.assert_allclose(
        twice, solvers.Cimmino(problem.A, iterations=3)(problem.y), rtol=1e-9
    )


def test_cimmino_checks_its_relaxation(problem):
    weight = 1 / np.linalg.norm(problem.matrix, axis=1) / np.sqrt(12)
    limit = 2 / np.linalg.norm(weight[:, None] * problem.matrix, 2) ** 2
    solvers.Cimmino(problem.A, relaxation=0.99 * limit, iterations=1)(problem.y)
    with pytest.raises(ArgumentError, match=r"relaxation .* of Cimmino is too long"):
        solvers.Cimmino(problem.A, relaxation=1.01 * limit)(problem.y)
    with pytest.raises(NotSupportedError, match="row_norms="):
        solvers.Cimmino(A)
    with pytest.raises(ArgumentError, match="relaxation in place of a step size"):
        solvers.Cimmino(problem.A, step_size=0.1)


def test_projected_landweber_ends_where_the_optimality_conditions_hold(problem):
    x = solvers.Landweber(problem.A, iterations=5000, minimum=0)(problem.y)
    gradient = problem.matrix.T @ (problem.matrix @ x - problem.y)
    assert (x == 0).any()
    np.testing.assert_allclose(gradient[x > 0], 0, atol=1e-9)
    assert (gradient[x == 0] >= -1e-9).all()
    with pytest.raises(ArgumentError, match="minimum must not exceed maximum"):
        solvers.Landweber(problem.A, minimum=1, maximum=0)
    with pytest.raises(ArgumentError, match="for real spaces"):
        solvers.Landweber(oa.Identity(oa.Space(2, "complex64")), minimum=0)


def test_sart_by_single_rows_needs_more_than_a_relaxation_below_2():
    """Column sums of single dense rows are the rows: all updates are along (1, ..., 1).

    So the residual does not vanish, and may grow, where shared weights or projections solve the equations.
    """
    dense = oa.MatrixOperator(abs(np.random.default_rng(0).standard_normal((8, 4))))
    truth = np.array([1.0, 2.0, 0.5, 1.0])
    y = dense(truth)
    shared = [solvers.OSSIRT(dense, subsets=8, relaxation=factor) for factor in (1.0, 1.9)]
    for solver in (*shared, solvers.Kaczmarz(dense)):
        np.testing.assert_allclose(solver.solve(y, iterations=100).x, truth, rtol=1e-13)
    x = solvers.SART(dense).solve(y, iterations=200).x
    assert np.ptp(x) < 1e-12  # it began at zero
    assert np.linalg.norm(dense(x) - y) > 0.1 * np.linalg.norm(y)
    some = every_solver.matrix_operator()  # with zeros, so that x can go elsewhere, and away
    y = some(np.ones(7))
    with pytest.raises(NonFiniteError, match=r"SART diverged: the running_residual .* grows"):
        solvers.SART(some, relaxation=1.98).solve(y, iterations=200)
    found = solvers.OSSIRT(some, subsets=12, relaxation=1.9).solve(y, iterations=200)
    np.testing.assert_allclose(found.x, np.ones(7), rtol=1e-13)
