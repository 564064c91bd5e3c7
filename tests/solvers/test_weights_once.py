"""Row and column sums belong to the operator: computed once, whoever asks."""

import pickle
import threading
from collections import Counter

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo
from opalg.engines import cpu
from opalg.errors import ArgumentError
from opalg.operators import column_sums, column_weights, row_sums, row_weights


@pytest.fixture
def calls(monkeypatch):
    """How often views were projected, and projected back: whole sinograms, with fractions for subsets."""
    found = Counter()

    def counted(name, original):
        def call(plan, *arguments):
            found[name] += plan.projection_shape[0]
            original(plan, *arguments)

        monkeypatch.setattr(cpu, name, call)

    counted("project", cpu.project)
    counted("backproject", cpu.backproject)
    return found


VIEWS = 40


def transform():
    return tomo.XrayTransform(oa.Grid((16, 16)), tomo.ParallelBeam(VIEWS, detector=24))


def sinogram(A):
    return A(np.ones(A.domain.shape, "float32"))


RUNS = {  # projections and back projections of a first run and of a second one, in sinograms
    "SIRT": (lambda A: solvers.SIRT(A, iterations=3), (4, 4), (3, 3)),
    "OSSART": (lambda A: solvers.OSSART(A, iterations=3, subsets=5), (4, 4), (3, 3)),
    "OSSIRT": (lambda A: solvers.OSSIRT(A, iterations=3, subsets=5), (4, 4), (3, 3)),
    # One view at a time: the column sums of so many subsets are not kept.
    "SART": (lambda A: solvers.SART(A, iterations=3), (4, 6), (3, 6)),
    "MLEM": (lambda A: solvers.MLEM(A, iterations=3), (4, 4), (4, 3)),
    "OSEM": (lambda A: solvers.OSEM(A, iterations=3, subsets=5), (3, 5), (3, 3)),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_second_solver_computes_no_sums(name, calls):
    make, first, second = RUNS[name]
    A = transform()
    y = sinogram(A)
    for expected in (first, second):
        calls.clear()
        found = make(A)(y)  # a new solver each time
        assert (calls["project"], calls["backproject"]) == tuple(VIEWS * n for n in expected)
    np.testing.assert_array_equal(make(transform())(y), found)


def test_solvers_share_them(calls):
    A = transform()
    y = sinogram(A)
    solvers.SIRT(A, iterations=1)(y)
    solvers.MLEM(A, iterations=1)(y)
    calls.clear()
    regularizer = fn.NonNegative(A.domain)
    solvers.SIRT(A, iterations=1)(y)
    solvers.MLEM(A, iterations=1)(y)
    assert (calls["project"], calls["backproject"]) == (3 * VIEWS, 2 * VIEWS)
    solvers.PDHG(A, regularizer=regularizer, iterations=1, preconditioned=True)(y)
    calls.clear()
    solvers.PDHG(A, regularizer=regularizer, iterations=1, preconditioned=True)(y)
    one_iteration = calls.copy()
    calls.clear()
    solvers.PDHG(A, regularizer=regularizer, iterations=2, preconditioned=True)(y)
    assert calls["project"] - one_iteration["project"] == VIEWS
    assert one_iteration["project"] <= 2 * VIEWS


def test_subsets_are_the_same_objects():
    A = transform()
    for i, (first, again) in enumerate(zip(A.subsets(5), A.subsets(5), strict=True)):
        assert first is again is A[i::5]
    whole, part = row_sums(A), row_sums(A.subsets(5)[2])
    np.testing.assert_array_equal(part, whole[2::5])
    total = sum(column_sums(subset) for subset in A.subsets(5))
    np.testing.assert_allclose(total, column_sums(A), rtol=1e-6)


def test_sums_and_weights_are_those_of_the_matrix():
    matrix = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    A = oa.MatrixOperator(matrix)
    np.testing.assert_array_equal(row_sums(A), matrix.sum(axis=1))
    np.testing.assert_array_equal(column_sums(A), matrix.sum(axis=0))
    np.testing.assert_allclose(row_weights(A), [1 / 3, 0])
    np.testing.assert_allclose(column_weights(A), [1, 1 / 2, 0])
    stack = oa.vstack([A, 2 * A])
    np.testing.assert_array_equal(row_sums(stack)[1], 2 * matrix.sum(axis=1))
    np.testing.assert_allclose(column_weights(stack), [1 / 3, 1 / 6, 0])
    with pytest.raises(ArgumentError, match="a column of MatrixOperator sums to -2"):
        column_weights(oa.MatrixOperator(np.array([[-2.0, 1.0]])))


def test_what_is_kept_cannot_be_changed_and_is_not_pickled():
    A = transform()
    with pytest.raises(ValueError, match="read-only"):
        row_sums(A)[0, 0] = 3.0
    column_weights(A)
    copied = pickle.loads(pickle.dumps(A))
    assert len(pickle.dumps(A)) < 1000
    assert copied == A
    assert "_memory" in A.__dict__
    assert "_memory" not in copied.__dict__


def test_threads_wait_for_the_first(calls):
    A = transform()
    found = []
    threads = [threading.Thread(target=lambda: found.append(row_sums(A))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls["project"] == VIEWS
    assert all(sums is found[0] for sums in found)


def test_every_library_has_its_own():
    torch = pytest.importorskip("torch")
    A = transform()
    tensor = row_sums(A, torch.zeros(1))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), row_sums(A))
    weight = torch.nn.Parameter(torch.ones(3))
    trained = oa.Diagonal(weight, oa.Space(3))
    before = row_sums(trained, torch.zeros(1)).detach().clone()
    with torch.no_grad():
        weight *= 2
    torch.testing.assert_close(row_sums(trained, torch.zeros(1)).detach(), 2 * before)
