"""ASD-POCS: the published iteration, few views, batches, resuming, memory, errors."""

import tracemalloc

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.errors import ArgumentError, NotSupportedError


def published(matrix, y, iterations, order, noise):
    """Sidky and Pan 2008, figure 2, with blocks of rows and a smoothed total variation in one dimension."""
    x, beta, stride = np.zeros(matrix.shape[1]), 1.0, None
    D = np.diff(np.eye(x.size), axis=0)
    swept = residual = None
    for k in range(iterations):
        if k:
            start = x.copy()
            for _ in range(20):
                v = D @ x / 1e-6
                g = D.T @ (v / np.maximum(abs(v), 1))
                x = x - stride * g / max(np.linalg.norm(g), 1e-300)
            if np.linalg.norm(x - start) > 0.95 * swept and residual > noise:
                stride *= 0.95
        start = x.copy()
        for i in order:
            rows = matrix[i :: len(order)]
            r = (y[i :: len(order)] - rows @ x) / rows.sum(1)
            x = np.maximum(x + beta * (rows.T @ r) / rows.sum(0), 0)
        swept, residual = np.linalg.norm(x - start), np.linalg.norm(matrix @ x - y)
        beta *= 0.995
        if k == 0:
            stride = 0.2 * swept
        yield x


def small_problem():
    rng = np.random.default_rng(0)
    X = oa.Space(8, "float64")
    matrix = rng.uniform(0.1, 1, (6, 8))
    A = oa.MatrixOperator(matrix, X)
    return A, matrix @ np.repeat([1.0, 3.0], 4)


def test_it_is_the_published_iteration():
    A, y = small_problem()
    solver = solvers.ASDPOCS(A, subsets=3, noise=0.01)
    expected = published(A.matrix, y, 25, solver._order(0), 0.01)
    for state, x in zip(solver.iterate(y), expected, strict=False):
        np.testing.assert_allclose(state.x, x, atol=1e-9)
        np.testing.assert_allclose(state.residual, np.linalg.norm(A(x) - y), atol=1e-8)


def test_few_views_of_a_piecewise_constant_image():
    grid = oa.Grid((32, 32))
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=10, detector=46))
    y_grid, x_grid = np.meshgrid(*grid.coordinates, indexing="ij")
    truth = (np.hypot(x_grid, y_grid) < 12).astype("float32")
    truth += (np.hypot(x_grid - 4, y_grid + 3) < 4) * np.float32(0.5)
    y = A(truth)
    x = solvers.ASDPOCS(A, subsets=10, descent=0.02, iterations=200)(y)
    sart = solvers.OSSART(A, subsets=10, minimum=0.0, iterations=200)(y)
    assert np.linalg.norm(x - truth) < 0.5 * np.linalg.norm(sart - truth)
    tv = fn.TotalVariation(grid)
    assert tv(x) < tv(sart)
    assert (x >= 0).all()


def test_batches_resuming_tensors_and_steps_by_hand():
    torch = pytest.importorskip("torch")
    A, y = small_problem()
    solver = solvers.ASDPOCS(A, subsets=3, iterations=14)
    batch = np.stack([y, 0.01 * y, y[::-1]])
    single = np.stack([solver(sample) for sample in batch])
    np.testing.assert_allclose(solver(batch), single, atol=1e-10)
    with torch.no_grad():
        np.testing.assert_allclose(solver(torch.from_numpy(batch)).numpy(), single, atol=1e-10)
    part = solver.solve(y, iterations=6)
    assert np.array_equal(solver.solve(y, iterations=8, initial=part.state).x, single[0])
    state = solver.initial(y)
    for _ in range(14):
        state = solver.step(state, y)
    assert np.array_equal(state.x, single[0])
    with pytest.raises(NotSupportedError, match="cannot differentiate through ASDPOCS"):
        solver(torch.from_numpy(y).requires_grad_())


def test_no_array_is_allocated_after_the_first_iterations():
    grid = oa.Grid((256, 256))
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(angles=16, detector=370))
    y = np.random.default_rng(0).uniform(0, 1, A.range.shape).astype("float32")
    solver = solvers.ASDPOCS(A, subsets=4, descents=3)
    tracemalloc.start()
    states = solver.iterate(y)
    for _ in range(3):
        next(states)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in range(3):
        next(states)
    used = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    # Two temporary images: where column sums are zero is found anew for each subset, as in OSSART.
    assert used < 2.6 * 4 * grid.size


def test_what_does_not_fit_is_refused():
    A, _ = small_problem()
    for name, value, words in [
        ("descent", 0.0, "descent of ASDPOCS must be a positive"),
        ("reduction", 1.5, r"reduction of ASDPOCS must lie in \(0, 1\]"),
        ("noise", -1.0, "noise of ASDPOCS must be at least 0"),
        ("descents", 2.5, "descents of ASDPOCS must be a whole number"),
        ("relaxation", lambda k: 1.0, "relaxation of ASDPOCS is a number"),
    ]:
        with pytest.raises(ArgumentError, match=words):
            solvers.ASDPOCS(A, **{name: value})
