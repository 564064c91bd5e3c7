"""Operators in PyLops, and PyLops' operators here."""

import sys

import numpy as np
import pytest

import opalg as oa
from opalg.interop import from_pylops, to_pylops
from opalg.interop import pylops as module
from opalg.testing import check_operator

pylops = pytest.importorskip("pylops", reason="PyLops is the other side")

GRID = oa.Grid((4, 6), spacing=0.5, dtype="float64")
IDENTITY = {"pickling": "operators of PyLops compare by identity, so a copy is never equal"}


@pytest.mark.parametrize(
    "operator",
    [
        oa.Laplacian(GRID),
        oa.Gradient(GRID),
        oa.FourierTransform(GRID.complex),
        oa.Resampling(GRID, oa.Grid((3, 3), dtype="float64")),
    ],
    ids=str,
)
def test_operators_pass_the_dot_test_of_pylops(operator):
    L = to_pylops(operator)
    assert L.shape == (operator.range.size, operator.domain.size)
    assert pylops.utils.dottest(L, complexflag=3 if operator.domain.is_complex else 0)
    x = operator.domain.random(0)
    expected = operator(x)
    flat = np.concatenate(
        [part.ravel() for part in (expected if isinstance(expected, tuple) else [expected])]
    )
    np.testing.assert_allclose(L @ x.ravel(), flat)
    assert from_pylops(L) is operator


def test_solvers_and_algebra_of_pylops():
    A = to_pylops(oa.Identity(GRID) - oa.Laplacian(GRID))
    x = GRID.random(0)
    found = pylops.optimization.basic.cgls(A, (A @ x).ravel(), np.zeros(24), niter=200, tol=0)[0]
    np.testing.assert_allclose(found.reshape(4, 6), x, atol=1e-8)
    both = pylops.VStack([A, 2 * pylops.Identity(24)])
    assert both.shape == (48, 24)
    assert pylops.utils.dottest(both)


@pytest.mark.parametrize(
    "operator",
    [
        pylops.FirstDerivative((4, 3), axis=0, kind="centered"),
        pylops.Laplacian((4, 5), axes=(0, 1)),
        pylops.MatrixMult(np.arange(6.0).reshape(2, 3) + 1j, dtype="complex128"),
        pylops.Identity(4, dtype="float32"),
        pylops.FirstDerivative((4, 3)).H @ pylops.FirstDerivative((4, 3)),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_operators_of_pylops_pass_the_conformance_suite(operator):
    A = from_pylops(operator)
    assert A.exact_adjoint
    assert A.domain.shape == tuple(operator.dims)
    x = A.domain.random(0)
    np.testing.assert_allclose(A(x).ravel(), operator @ x.ravel(), atol=1e-12)
    check_operator(A, expected_failures=IDENTITY)
    assert to_pylops(A) is operator


def test_other_spaces_may_be_meant():
    D = pylops.FirstDerivative((4, 6), axis=0)
    A = from_pylops(D, domain=GRID)
    assert A.domain is GRID
    assert A.adjoint is not A.H
    assert (A @ oa.Identity(GRID)).domain is GRID
    with pytest.raises(oa.errors.SpaceMismatchError, match="24 columns"):
        from_pylops(D, domain=oa.Space(5, "float64"))


def test_what_pylops_cannot_show_is_refused():
    with pytest.raises(oa.errors.NotSupportedError, match="real numbers only"):
        from_pylops(pylops.Real(4, dtype="complex128"))
    with pytest.raises(oa.errors.NotSupportedError, match="not"):
        to_pylops(oa.RealPart(oa.Space(3, "complex64")))


def test_wrong_adjoints_are_found():
    class Wrong(pylops.LinearOperator):
        def _matvec(self, x):
            return 2 * x

        def _rmatvec(self, x):
            return x

    assert not from_pylops(Wrong(dtype="float64", dims=(3,), dimsd=(3,))).exact_adjoint


def test_missing_package_is_named(monkeypatch):
    module._view.cache_clear()
    monkeypatch.setitem(sys.modules, "pylops", None)
    with pytest.raises(oa.errors.MissingExtraError, match=r"opalg\[peers\]"):
        to_pylops(oa.Identity(GRID))
