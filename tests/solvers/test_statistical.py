"""MLEM, OSEM and MAP-EM against their formulas and the properties that define them."""

import pickle

import numpy as np
import pytest
import scipy.optimize

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError, SpaceMismatchError
from opalg.solvers.subsets import golden_order

A = tomo.XrayTransform(oa.Grid((9, 8), dtype="float64"), tomo.ParallelBeam(angles=12, detector=17))
DENSE = np.stack([A(e.reshape(9, 8)).ravel() for e in np.eye(72)], axis=1)
COUNTS = np.random.default_rng(0).poisson(20 * A(tomo.phantoms.disc(radius=3.0).sample(A.domain)))
COUNTS = COUNTS.astype(float)


def dense_em(matrix, y, passes, subsets=1, background=0.0):
    views = matrix.reshape(12, 17, 72)
    x = np.ones(72)
    with np.errstate(all="ignore"):
        for _ in range(passes):
            for i in golden_order(subsets):
                B = views[i::subsets].reshape(-1, 72)
                q = B @ x + background
                ratio = np.where(q > 0, y[i::subsets].ravel() / q, 0)
                x = x * (B.T @ ratio) / B.sum(0)
    return x.reshape(9, 8)


def likelihood(x, background=0.0):
    q = DENSE @ x.ravel() + background
    y = COUNTS.ravel()
    return np.sum(q - np.where(y > 0, y * np.log(np.where(q > 0, q, 1)), 0))


@pytest.mark.parametrize("background", [0.0, 3.0])
def test_em_is_its_formula(background):
    found = solvers.MLEM(A, iterations=4, background=background).solve(COUNTS)
    np.testing.assert_allclose(found.x, dense_em(DENSE, COUNTS, 4, 1, background), rtol=1e-12)
    residual = np.linalg.norm(A(found.x) + background - COUNTS)
    assert found.state.residual == pytest.approx(residual, rel=1e-12)
    as_array = solvers.MLEM(A, iterations=4, background=A.range.ones() * background)(COUNTS)
    np.testing.assert_allclose(as_array, found.x, rtol=1e-14)
    ordered = solvers.OSEM(A, iterations=2, subsets=5, background=background)(COUNTS)
    np.testing.assert_allclose(ordered, dense_em(DENSE, COUNTS, 2, 5, background), rtol=1e-12)


def test_the_likelihood_grows_and_counts_are_preserved():
    last = np.inf
    for state in solvers.MLEM(A).iterate(COUNTS):
        value = likelihood(state.x)
        assert value < last
        assert A(state.x).sum() == pytest.approx(COUNTS.sum(), rel=1e-12)
        assert (state.x >= 0).all()
        last = value
        if state.iteration == 30:
            break


def test_ends_at_the_maximum_of_the_likelihood():
    """The optimality conditions of Kuhn and Tucker."""
    x = solvers.MLEM(A, iterations=20000, background=1.0)(COUNTS)
    gradient = A.H(1 - COUNTS / (A(x) + 1.0))
    assert (x < 1e-6).any()
    np.testing.assert_allclose((x * gradient), 0, atol=1e-3)
    assert (gradient > -1e-3).all()


def test_ordered_subsets_are_faster():
    assert likelihood(solvers.OSEM(A, iterations=3, subsets=6)(COUNTS)) < likelihood(
        solvers.MLEM(A, iterations=12)(COUNTS)
    )
    one = solvers.OSEM(A, iterations=5, subsets=1)
    assert np.array_equal(one(COUNTS), solvers.MLEM(A, iterations=5)(COUNTS))


def test_what_no_ray_meets():
    matrix = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    M = oa.MatrixOperator(matrix)
    y = np.array([3.0, 7.0])  # the second ray can count nothing
    x = solvers.MLEM(M, iterations=50)(y)
    np.testing.assert_allclose([x[1], x[0] + 2 * x[2]], [0, 3])
    start = np.array([1.0, 5.0, 1.0])
    for solver in (solvers.MLEM(M), solvers.OSEM(M, subsets=2)):
        found = solver.solve(y, iterations=3, initial=start).x
        assert found[1] == 5.0
        assert np.isfinite(found).all()


def test_batch_of_float32_counts():
    B = tomo.XrayTransform(oa.Grid((9, 8)), A.geometry)
    y = COUNTS.astype("float32")
    for kind in (solvers.MLEM, lambda A, **kw: solvers.OSEM(A, subsets=4, **kw)):
        solver = kind(B, iterations=5)
        together = solver(np.stack([y, 0 * y, 2 * y]))
        assert together.dtype == np.float32
        for found, sample in zip(together, (y, 0 * y, 2 * y), strict=True):
            np.testing.assert_allclose(found, solver(sample), rtol=1e-5)


def every_kind():
    prior = 0.01 * fn.Huber(A.domain, 0.1)
    yield solvers.MLEM(A, iterations=4, background=0.5)
    yield solvers.OSEM(A, iterations=4, subsets=4, background=0.5)
    yield solvers.MAPEM(A, iterations=4, background=0.5, regularizer=prior)


@pytest.mark.parametrize("solver", list(every_kind()), ids=lambda solver: type(solver).__name__)
def test_the_protocol(solver):
    """Resumed, taken by hand and recorded by PyTorch the steps give the same bits."""
    torch = pytest.importorskip("torch")
    whole = solver(COUNTS)
    first = solver.solve(COUNTS, iterations=2)
    again = solver.solve(COUNTS, iterations=2, initial=pickle.loads(pickle.dumps(first.state)))
    assert np.array_equal(again.x, whole)
    state = solver.initial(COUNTS)
    for _ in range(4):
        state = solver.step(state, COUNTS)
    assert np.array_equal(state.x, whole)
    y = torch.from_numpy(COUNTS)
    recorded = solver(y.clone().requires_grad_())
    assert torch.equal(recorded.detach(), solver(y))
    np.testing.assert_allclose(solver(y).numpy(), whole, rtol=1e-12)
    positive = (y + 1.0).requires_grad_()  # where no count is zero there is no kink
    assert torch.autograd.gradcheck(solver.replace(iterations=2), positive)


# MAP-EM


SMALL = oa.Space(5, "float64", weighting=0.5)
DATA = oa.Space(8, "float64", weighting=2.0)
MATRIX = np.random.default_rng(1).uniform(0.1, 1, (8, 5))
POISSON = np.random.default_rng(2).poisson(30, 8).astype(float)


def test_map_em_ends_at_the_minimum_of_the_weighted_objective():
    M = oa.MatrixOperator(MATRIX, SMALL, DATA)
    prior = 0.02 * fn.SquaredL2(SMALL) + 0.05 * fn.Huber(SMALL, 0.5).translated(10.0 * SMALL.ones())
    x = solvers.MAPEM(M, regularizer=prior, background=2.0, iterations=3000)(POISSON)
    f = fn.PoissonLikelihood(DATA, POISSON)
    found = scipy.optimize.minimize(
        lambda x: float(f(M(x) + 2.0) + prior(x)),
        np.full(5, 10.0),
        bounds=[(0, None)] * 5,
        tol=1e-14,
    )
    assert float(f(M(x) + 2.0) + prior(x)) <= found.fun + 1e-9
    np.testing.assert_allclose(x, found.x, atol=1e-3)
    # The optimality conditions, in the inner product of the space.
    gradient = M.adjoint(1 - POISSON / (M(x) + 2.0)) + prior.gradient(x)
    np.testing.assert_allclose(gradient[x > 1e-3], 0, atol=1e-6)


def test_map_em_without_a_prior_of_weight_is_mlem():
    M = oa.MatrixOperator(MATRIX, SMALL, DATA)
    none = solvers.MAPEM(M, regularizer=1e-300 * fn.SquaredL2(SMALL), iterations=5)(POISSON)
    np.testing.assert_allclose(none, solvers.MLEM(M, iterations=5)(POISSON), rtol=1e-12)


def test_a_prior_that_is_too_strong_is_told():
    M = oa.MatrixOperator(MATRIX, SMALL, DATA)
    pull = 5.0 * fn.SquaredL2(SMALL).translated(10.0 * SMALL.ones())
    with pytest.raises(
        ArgumentError, match=r"denominator of MAPEM .* in iteration 1: the prior is too"
    ):
        solvers.MAPEM(M, regularizer=pull)(POISSON)


def test_what_does_not_fit_is_refused():
    for kind in (solvers.MLEM, solvers.OSEM):
        with pytest.raises(ArgumentError, match=r"the data of .* at least 0 .* is -1"):
            kind(A)(COUNTS - 1)
        with pytest.raises(ArgumentError, match=r"the start of .* at least 0"):
            kind(A).solve(COUNTS, initial=-A.domain.ones())
    with pytest.raises(ArgumentError, match="background of MLEM must be at least 0"):
        solvers.MLEM(A, background=-1.0)
    with pytest.raises(SpaceMismatchError, match="background of OSEM"):
        solvers.OSEM(A, background=np.ones(3))
    with pytest.raises(ArgumentError, match="for real spaces"):
        solvers.MLEM(oa.Identity(oa.Space(2, "complex64")))
    negative = oa.MatrixOperator(-MATRIX)
    with pytest.warns(AccuracyWarning, match="does not say"):
        solver = solvers.MLEM(negative)
    with pytest.raises(ArgumentError, match="column sums, must be at least 0"):
        solver(POISSON)
    with pytest.raises(ArgumentError, match="without one use MLEM"):
        solvers.MAPEM(A)
    G = oa.Gradient(A.domain)
    with pytest.raises(NotSupportedError, match=r"MAPEM cannot handle .* PDHG or ADMM take it"):
        solvers.MAPEM(A, regularizer=fn.GroupL1(G.range) @ G)
    with pytest.raises(SpaceMismatchError, match="the space of the unknown"):
        solvers.MAPEM(A, regularizer=fn.SquaredL2(SMALL))
