"""Calls are counted where they happen, and counting leaves no trace."""

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo
from opalg.solvers.comparison.counting import CallCounter, projector_of


def counted(A, work):
    with CallCounter(A) as counter:
        work()
    return counter.forward, counter.transpose


def test_calls_in_expressions_are_those_of_the_leaf(scan):
    A, x = scan.A, np.ones(scan.A.domain.shape, "float32")
    assert counted(A, lambda: A(x)) == (1, 0)
    assert counted(A, lambda: A.H(scan.y)) == (0, 1)
    assert counted(A, lambda: A.gram(x)) == (1, 1)
    assert counted(A, lambda: (2 * A.H @ A + oa.Identity(A.domain))(x)) == (1, 1)
    stacked = oa.vstack([A, oa.Gradient(A.domain)])
    assert counted(stacked, lambda: stacked.H(stacked(x))) == (1, 1)
    assert counted(2 * A, lambda: A(x)) == (1, 0)


def test_an_accumulating_call_is_one_call():
    D = oa.Diagonal(np.arange(1.0, 4.0))
    x, out = np.ones(3), np.ones(3)
    # Diagonal accumulates in one pass; an operator without such a pass calls its _apply. Both are one call.
    assert counted(D, lambda: D._accumulate(x, out)) == (1, 0)
    A = oa.MatrixOperator(np.eye(3))
    assert counted(A, lambda: A._accumulate(x, out)) == (1, 0)


def test_subsets_count_as_their_part(scan):
    A, x = scan.A, np.ones(scan.A.domain.shape, "float32")
    parts = A.subsets(5)  # made before the counter: solvers do so when they are built

    def one_pass():
        for part in parts:
            part.H(part(x))

    forward, transpose = counted(A, one_pass)
    assert forward == pytest.approx(1)
    assert transpose == pytest.approx(1)


def test_equal_operators_count_and_others_do_not(scan):
    A = scan.A
    twin = tomo.XrayTransform(A.domain, A.geometry)
    other = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(angles=4, detector=12))
    assert counted(A, lambda: twin.H(scan.y)) == (0, 1)
    assert counted(A, lambda: other(np.ones((8, 8), "float32"))) == (0, 0)
    matrix, another = oa.MatrixOperator(np.eye(3)), oa.MatrixOperator(2 * np.eye(3))
    assert counted(matrix, lambda: another(np.ones(3))) == (0, 0)


def test_backward_of_autograd_is_a_transpose(scan):
    torch = pytest.importorskip("torch")
    x = torch.ones(scan.A.domain.shape, requires_grad=True)
    assert counted(scan.A, lambda: scan.A(x).sum().backward()) == (1, 1)


def test_paused_calls_are_not_counted(scan):
    with CallCounter(scan.A) as counter:
        with counter.paused():
            scan.A.H(scan.y)
        scan.A.H(scan.y)
    assert (counter.forward, counter.transpose) == (0, 1)


def test_counting_leaves_no_trace(scan):
    before = {cls: dict(vars(cls)) for cls in type(scan.A).__mro__}
    expected = scan.A.H(scan.y)

    def work():
        np.testing.assert_array_equal(scan.A.H(scan.y), expected)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        counted(scan.A, work)
    assert {cls: dict(vars(cls)) for cls in type(scan.A).__mro__} == before


def test_counters_nest(scan):
    with CallCounter(scan.A) as outer:
        scan.A.H(scan.y)
        with CallCounter(scan.A) as inner:
            scan.A.H(scan.y)
    assert (outer.transpose, inner.transpose) == (2, 1)


def test_the_projector_is_the_costliest_leaf(scan):
    A = scan.A
    W = oa.Diagonal(np.ones(A.range.shape, "float32"))
    assert projector_of(W @ A) is A
    assert projector_of(tomo.FBP(A)) is A
    assert projector_of(solvers.SIRT(A)) is A
