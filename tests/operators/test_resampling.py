"""Resampling and separable operators against explicit matrices and SciPy's interpolation."""

import numpy as np
import pytest
import scipy.interpolate
import scipy.sparse
import torch
from leaf_checks import check_leaf, dense

import opalg as oa
from opalg.operators.axiswise import AxisMatrix, Separable
from opalg.operators.resampling import Resampling


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_separable_is_the_kronecker_product(dtype):
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((4, 3)), scipy.sparse.csr_array(rng.standard_normal((2, 5)))
    A = Separable(oa.Space((3, 5), dtype), oa.Space((4, 2), dtype), [first, second])
    M = check_leaf(A)
    expected = np.kron(first, second.toarray())
    if "complex" in dtype:
        expected = np.kron(expected, np.eye(2))
    np.testing.assert_allclose(M, expected, atol=1e-5)
    assert isinstance(A.H @ A, Separable)
    assert A.norm_bounds().upper < 1.0001 * np.linalg.norm(expected, 2)


def test_separable_leaves_other_axes_alone():
    M = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]])
    A = Separable(oa.Space((2, 2, 3), "float64"), oa.Space((2, 3, 3), "float64"), [None, M, None])
    x = A.domain.random(seed=0)
    np.testing.assert_allclose(A(x), np.einsum("ij,ajb->aib", M, x), atol=1e-14)
    check_leaf(A)
    nothing = Separable(oa.Space(3), oa.Space(3), [None])
    x = nothing.domain.random(seed=0)
    assert nothing(x) is not x
    check_leaf(nothing)


@pytest.mark.parametrize("method", ["nearest", "linear"])
@pytest.mark.parametrize("boundary", ["replicate", "zero"])
def test_values_are_those_of_scipy(method, boundary):
    coarse = oa.Grid((4, 5), spacing=(1.0, 0.7), origin=(0.3, 0.0), dtype="float64")
    fine = oa.Grid((9, 7), spacing=(0.41, 0.39), origin=(0.2, 0.1), dtype="float64")
    x = coarse.random(seed=0)
    found = Resampling(coarse, fine, method, boundary)(x)
    # around the grid: one more cell of zeros, or of the outermost values
    padded = np.pad(x, 1, mode="constant" if boundary == "zero" else "edge")
    axes = [
        np.r_[c[0] - h, c, c[-1] + h]
        for c, h in zip(coarse.coordinates, coarse.spacing, strict=True)
    ]
    points = np.stack(np.meshgrid(*fine.coordinates, indexing="ij"), axis=-1)
    expected = scipy.interpolate.interpn(axes, padded, points, method)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(("method", "degree"), [("nearest", 0), ("linear", 1), ("cubic", 2)])
def test_polynomials_are_reproduced(method, degree):
    domain = oa.Grid(12, spacing=0.5, origin=1.0, dtype="float64")
    target = oa.Grid(9, spacing=0.21, origin=1.1, dtype="float64")
    x, t = domain.coordinates[0], target.coordinates[0]
    for power in range(degree + 2):
        error = abs(Resampling(domain, target, method)(x**power) - t**power).max()
        assert (error < 1e-12) == (power <= degree)


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("boundary", ["replicate", "zero"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_exact_transpose(method, boundary, dtype):
    a = oa.Grid((4, 3), spacing=(1.0, 0.7), origin=(0.3, 0.0), dtype=dtype)
    b = oa.Grid((5, 6), spacing=(0.6, 0.4), dtype=dtype)
    check_leaf(Resampling(a, b, method, boundary))
    check_leaf(Resampling(b, a, method, boundary))


def test_points_far_outside():
    near, far = oa.Grid(3, dtype="float64"), oa.Grid(2, origin=1e15, dtype="float64")
    assert Resampling(near, far)(np.arange(3.0)).tolist() == [2.0, 2.0]
    assert Resampling(near, far, boundary="zero")(np.arange(3.0)).tolist() == [0.0, 0.0]


def test_same_grid_is_the_identity():
    grid = oa.Grid((4, 3), spacing=0.1, origin=0.7)
    np.testing.assert_array_equal(dense(Resampling(grid, grid, "cubic")), np.eye(12))


def test_adjoint_of_the_way_back_averages():
    fine, coarse = oa.Grid((8, 8), spacing=0.5), oa.Grid((4, 4), spacing=1.0)
    down = Resampling(coarse, fine).adjoint
    x = fine.random(seed=0)
    np.testing.assert_allclose(down(np.ones((8, 8), "float32")), 1, rtol=1e-6)
    np.testing.assert_allclose(down(x).sum() * 4, x.sum(), rtol=1e-4)


def test_mistakes_are_explained():
    grid = oa.Grid((4, 4))
    with pytest.raises(oa.errors.ArgumentError, match="from a Grid to a Grid"):
        Resampling(grid, oa.Space((4, 4)))
    with pytest.raises(oa.errors.ArgumentError, match="as many axes"):
        Resampling(grid, oa.Grid(4))
    with pytest.raises(oa.errors.ArgumentError, match="method must be"):
        Resampling(grid, grid, "spline")
    with pytest.raises(oa.errors.ArgumentError, match="boundary must be"):
        Resampling(grid, grid, boundary="periodic")
    with pytest.raises(oa.errors.DtypeError, match="one dtype"):
        Resampling(grid, grid.astype("float64"))
    with pytest.raises(oa.errors.SpaceMismatchError, match=r"must have shape \(3, 4\)"):
        Separable(oa.Space(4), oa.Space(3), [np.ones((3, 3))])
    with pytest.raises(oa.errors.ArgumentError, match="one matrix for each axis"):
        Separable(oa.Space(4), oa.Space(3), [])


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_the_way_of_tensors_on_other_devices(dtype):
    """What runs on a GPU, on the CPU."""
    matrix = AxisMatrix(scipy.sparse.random(5, 4, 0.5, random_state=0))
    x = oa.Space((3, 4, 2), dtype).random(seed=0, batch=(2,))
    found = matrix._torch(torch.from_numpy(x), -2)
    np.testing.assert_allclose(found, matrix.apply(x, -2), rtol=1e-6)
    assert matrix._torch(torch.from_numpy(x[:0]), -2).shape == (0, 3, 5, 2)
