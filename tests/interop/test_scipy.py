"""Operators as SciPy's linear operators, and back."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, cg, lsqr

import opalg as oa
from opalg.errors import ArgumentError, DtypeError, NotSupportedError, SpaceMismatchError
from opalg.spaces.parts import flat

X = oa.Grid((3, 4), 0.5, "float64")
C = oa.Space(4, "complex128")


def columns(operator: oa.LinearOperator) -> Any:
    """The matrix of an operator, from its values at unit vectors."""
    found = []
    zero = operator.domain.zeros()
    for part in flat(zero):
        entries = part.reshape(-1)
        for i in range(entries.size):
            entries[i] = 1
            found.append(np.concatenate([p.reshape(-1) for p in flat(operator(zero))]))
            entries[i] = 0
    return np.array(found).T


@pytest.mark.parametrize(
    "operator",
    [
        oa.Gradient(X),
        oa.Gradient(X).H,
        oa.Diagonal(np.array([1, 2j, 3, 4 - 1j])),
        oa.block_diagonal([oa.Identity(X), oa.Diagonal(np.arange(4.0))]),
        oa.hstack([oa.Gradient(X).H, 2 * oa.Identity(X)]),
    ],
    ids=str,
)
def test_the_same_matrix(operator: Any) -> None:
    S = operator.to_scipy()
    M = columns(operator)
    assert isinstance(S, LinearOperator)
    assert S.shape == M.shape
    assert S.dtype == M.dtype
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((M.shape[1], 3)), rng.standard_normal((M.shape[0], 3))
    for left, right in ((x, y), (x + 1j * x[::-1], y - 1j * y[::-1])):
        np.testing.assert_allclose(S @ left, M @ left, atol=1e-12)
        np.testing.assert_allclose(S.matvec(left[:, 0]), M @ left[:, 0], atol=1e-12)
        np.testing.assert_allclose(S.matvec(left[:, :1]), M @ left[:, :1], atol=1e-12)
        np.testing.assert_allclose(S.H @ right, M.conj().T @ right, atol=1e-12)
        np.testing.assert_allclose(S.rmatvec(right[:, 0]), M.conj().T @ right[:, 0], atol=1e-12)
    assert oa.from_scipy(S) is operator
    assert oa.from_scipy(S.H) == operator.H
    assert oa.from_scipy(pickle.loads(pickle.dumps(S))) == operator


def test_scipy_solvers_run() -> None:
    A = oa.Gradient(X).gram + oa.Identity(X)
    b = X.random(0)
    x, failed = cg(A.to_scipy(), b.reshape(-1), rtol=1e-12)
    assert failed == 0
    np.testing.assert_allclose(A(x.reshape(X.shape)), b, atol=1e-9)
    found = lsqr(A.to_scipy(), b.reshape(-1), atol=1e-14, btol=1e-14)[0]
    np.testing.assert_allclose(found, x, atol=1e-9)


def test_from_scipy() -> None:
    matrix = np.random.default_rng(0).standard_normal((5, 12))
    S = aslinearoperator(matrix)
    A = oa.from_scipy(S, X)
    x = X.random(0, batch=(2,))
    np.testing.assert_allclose(A(x), x.reshape(2, 12) @ matrix.T)
    np.testing.assert_allclose(A.H(np.ones(5)).reshape(-1), matrix.sum(axis=0))
    assert A.to_scipy() is S
    assert isinstance(oa.from_scipy(scipy.sparse.csr_array(matrix)), oa.MatrixOperator)
    assert isinstance(oa.from_scipy(matrix, X), oa.MatrixOperator)
    product = oa.from_scipy(aslinearoperator(np.eye(24)), X**2, X**2)
    u = (X**2).random(0)
    np.testing.assert_array_equal(product(u)[1], u[1])
    assert oa.from_scipy(oa.Identity(X).to_scipy(), X) == oa.Identity(X)
    assert oa.from_scipy(oa.Identity(X).to_scipy(), oa.Space(12, "float64")).range == oa.Space(
        12, "float64"
    )


def test_errors() -> None:
    with pytest.raises(NotSupportedError, match="linear over the complex numbers"):
        oa.RealPart(C).to_scipy()
    with pytest.raises(SpaceMismatchError, match="5 columns, but Grid"):
        oa.from_scipy(aslinearoperator(np.ones((4, 5))), X)
    with pytest.raises(DtypeError, match="needs complex spaces"):
        oa.from_scipy(aslinearoperator(np.ones((12, 12)) * 1j), X, X)
    with pytest.raises(ArgumentError, match="or a matrix, got int"):
        oa.from_scipy(3)
    without = LinearOperator((3, 3), matvec=lambda v: v, dtype=np.float64)
    with pytest.raises(NotSupportedError, match="rmatvec"):
        oa.from_scipy(without).H(np.ones(3))


def test_an_empty_batch_never_reaches_the_foreign_operator():
    def refuse(columns):
        raise AssertionError("called without columns")

    foreign = LinearOperator((2, 3), matvec=refuse, matmat=refuse, dtype=np.float64)
    assert oa.from_scipy(foreign)(np.empty((0, 3))).shape == (0, 2)
