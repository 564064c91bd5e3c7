"""Power method, Lanczos and Golub-Kahan beside dense decompositions, and the bounds that they give."""

import tracemalloc

import numpy as np
import pytest

import opalg as oa
from opalg import solvers
from opalg.errors import AccuracyWarning, ArgumentError, NonFiniteError, SpaceMismatchError


def matrix(rng, shape=(30, 20), dtype="float64"):
    M = rng.standard_normal(shape)
    return (M + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else M).astype(dtype)


class Rough(oa.LinearOperator):
    """A stand-in for a fast back projection that does not match."""

    exact_adjoint = False

    def _apply(self, x, out):
        return 2 * x

    def _apply_transpose(self, y, out):
        return 1.9 * y


class Symmetric(oa.MatrixOperator):
    """A matrix that says that it is its own conjugate transpose."""

    self_adjoint = True


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_singular_values_are_those_of_the_dense_decomposition(dtype, shape):
    M = matrix(np.random.default_rng(0), shape, dtype)
    A, eps = oa.MatrixOperator(M), np.finfo(dtype).eps
    s = np.linalg.svd(M.astype(np.result_type(dtype, "float64")), compute_uv=False)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    found = solvers.singular_values(A, count=4, tolerance=tolerance)
    assert np.all(abs(found.values - s[:4]) <= found.errors + 10 * eps * s[0])
    assert np.all(found.errors <= max(tolerance, 1e3 * eps) * s[0])
    for value, error, v in zip(found.values, found.errors, found.vectors, strict=True):
        np.testing.assert_allclose(np.linalg.norm(v), 1, rtol=10 * eps)
        # The vector has the residual that the bound speaks of.
        rest = np.linalg.norm(M.conj().T @ (M @ v) - value**2 * v)
        assert rest <= value * error + 100 * eps * s[0] ** 2
    top = solvers.power_method(A, tolerance=tolerance)
    assert abs(top.values[0] - s[0]) <= top.errors[0] + 10 * eps * s[0]
    assert top.values[0] <= s[0] * (1 + 10 * eps)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_eigenvalues_of_an_indefinite_operator(dtype):
    M = matrix(np.random.default_rng(1), (25, 25), dtype)
    M = M + M.conj().T
    A = Symmetric(M)
    exact = np.linalg.eigvalsh(M)
    found = solvers.lanczos(A, count=3, tolerance=1e-9)
    np.testing.assert_allclose(found.values, exact[::-1][:3], rtol=1e-9)
    for value, error, v in zip(found.values, found.errors, found.vectors, strict=True):
        assert np.linalg.norm(M @ v - value * v) <= error + 1e-12
    lowest = solvers.lanczos(A, count=2, which="smallest")
    np.testing.assert_allclose(lowest.values, exact[:2], rtol=1e-6)


def test_early_values_keep_their_bounds():
    """Stopped long before convergence the bound is no decoration: it holds, and is of the error's size."""
    M = np.diag(np.linspace(1, 2, 60))
    A = Symmetric(M)
    for iterations in (2, 5, 10):
        for find in (solvers.power_method, solvers.lanczos, solvers.singular_values):
            with pytest.warns(AccuracyWarning, match="did not reach the tolerance 1e-12"):
                found = find(A, tolerance=1e-12, iterations=iterations)
            assert found.reason == f"{iterations} iterations were done"
            nearest = np.min(abs(np.diag(M) - found.values[0]))
            assert nearest <= found.errors[0]
            assert found.values[0] <= 2 + 1e-12


def test_the_power_method_falls_at_its_rate():
    ratio = 0.9
    A = oa.Diagonal(np.array([1.0, ratio, 0.1]))
    errors = []
    for iterations in (20, 40):
        with pytest.warns(AccuracyWarning):
            errors.append(solvers.power_method(A, iterations=iterations, tolerance=1e-16).errors[0])
    np.testing.assert_allclose(errors[1] / errors[0], ratio ** (2 * 20), rtol=0.05)


def test_the_projector_and_its_certified_bracket():
    A = oa.tomo.XrayTransform(oa.Grid((24, 24)), oa.tomo.ParallelBeam(angles=30, detector=36))
    lower, upper = A.norm_bounds()
    for find in (solvers.power_method, solvers.singular_values):
        assert lower * (1 - 1e-3) <= find(A, tolerance=1e-3).values[0] <= upper


def test_exhausted_spaces_are_told():
    A = oa.Diagonal(np.array([2.0, 2.0, 1.0, 1.0, 0.0]))
    found = solvers.singular_values(A, count=4)
    np.testing.assert_allclose(found.values[:2], [2, 1], atol=1e-12)  # each once
    assert "exhausted" in found.reason
    found = solvers.lanczos(A, count=5)
    np.testing.assert_allclose(found.values, [2, 1, 0], atol=1e-12)
    zero = oa.Zero(oa.Space(3, "float64"))
    assert solvers.power_method(zero).values.tolist() == [0.0]
    assert solvers.singular_values(zero).values.tolist() == [0.0]


def test_blocks():
    X = oa.Space(4, "float64")
    A = oa.vstack([oa.Diagonal(np.arange(4.0), X), 2 * oa.Identity(X)])
    expected = np.sqrt(np.arange(4.0) ** 2 + 4)[::-1][:2]
    np.testing.assert_allclose(solvers.singular_values(A, count=2).values, expected, rtol=1e-8)
    np.testing.assert_allclose(
        solvers.power_method(A.H, tolerance=1e-6).values, expected[:1], rtol=1e-6
    )


def test_memory_of_the_power_method_is_as_stated():
    A = oa.Diagonal(np.linspace(1, 2, 200_000, dtype="float32"))
    volume = 4 * 200_000
    solvers.power_method(A, tolerance=0.5, iterations=1)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    solvers.power_method(A, tolerance=0.05)
    used = (tracemalloc.get_traced_memory()[1] - before) / volume
    tracemalloc.stop()
    assert used <= 4 + 0.6 + 2  # the random start is drawn in float64


def test_what_makes_no_sense_is_refused():
    A = oa.Diagonal(np.ones(3))
    with pytest.raises(ArgumentError, match="power_method takes a linear operator, got ndarray"):
        solvers.power_method(np.eye(3))
    with pytest.raises(ArgumentError, match="count of lanczos must be a positive whole number"):
        solvers.lanczos(A, count=0)
    with pytest.raises(ArgumentError, match="iterations of singular_values must be"):
        solvers.singular_values(A, iterations=1.5)
    with pytest.raises(ArgumentError, match="which is 'largest' or 'smallest', got 'middle'"):
        solvers.lanczos(A, which="middle")
    with pytest.raises(ArgumentError, match="finite and other than zero"):
        solvers.power_method(A, start=np.zeros(3))
    with pytest.raises(SpaceMismatchError, match=r"use singular_values\(A\)|singular_values"):
        solvers.lanczos(oa.MatrixOperator(np.ones((2, 3))))
    with pytest.warns(AccuracyWarning, match="does not say that it is one"):
        solvers.lanczos(oa.MatrixOperator(np.eye(3)))
    with pytest.warns(AccuracyWarning, match="needs the exact adjoint"):
        solvers.singular_values(Rough(oa.Space(2), oa.Space(2)))
    huge = oa.MatrixOperator(1e200 * np.eye(3))
    with pytest.raises(NonFiniteError, match="gave NaN or infinity in iteration 1"):
        solvers.power_method(huge @ huge)
    one = solvers.power_method(A)
    assert repr(one).startswith("Spectrum(1 ± ")
