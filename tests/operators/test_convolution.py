"""Convolutions against SciPy's and against circulant matrices."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from leaf_checks import check_leaf, dense

import opalg as oa
from opalg.operators.convolution import CircularConvolution, Convolution, _fast_length
from opalg.operators.fourier_filter import FilterGram

SHAPES = [
    ((6,), (3,)),
    ((5,), (2,)),
    ((3,), (7,)),
    ((4, 5), (3, 2)),
    ((4, 5), (1, 3)),
    ((3, 2), (1, 1)),
]


def kernel_for(shape, dtype):
    return oa.Space(shape, np.result_type(dtype, "float64")).random(seed=1)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("mode", ["same", "full", "valid"])
@pytest.mark.parametrize(("shape", "kernel_shape"), SHAPES)
def test_linear_convolution_is_that_of_scipy(shape, kernel_shape, mode, dtype):
    if mode == "valid" and kernel_shape[0] > shape[0]:
        return
    space, kernel = oa.Space(shape, dtype), kernel_for(kernel_shape, dtype)
    C = Convolution(space, kernel, mode)
    x = space.random(seed=0)
    np.testing.assert_allclose(C(x), scipy.signal.convolve(x, kernel, mode, "direct"), atol=1e-13)
    check_leaf(C)


def test_only_the_full_convolution_has_a_toeplitz_gram():
    C = Convolution(oa.Space((4, 3)), np.ones((2, 3)), "full")
    assert isinstance(C.H @ C, FilterGram)
    gram = dense(Convolution(oa.Space(5, "float64"), [1.0, 2.0, -1.0], "full").gram)
    np.testing.assert_allclose(gram, scipy.linalg.toeplitz([6, 0, -1, 0, 0]), atol=1e-13)
    same = Convolution(oa.Space(5, "float64"), [1.0, 2.0, -1.0])
    assert not isinstance(same.gram, FilterGram)


@pytest.mark.parametrize("origin", range(3))
def test_origin_moves_the_result(origin):
    kernel, x = np.array([1.0, 10.0, 100.0]), np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    for kind in (Convolution, CircularConvolution):
        C = kind(oa.Space(5, "float64"), kernel, origin=origin)
        assert C(x).round(10)[2] == kernel[origin]
        check_leaf(C)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(6,), (5,), (1,)])
def test_circular_convolution_is_circulant(shape, dtype):
    column = oa.Space(shape, dtype).random(seed=2)
    C = CircularConvolution(oa.Space(shape, dtype), column, origin=0)
    x = C.domain.random(seed=0)
    np.testing.assert_allclose(
        C(x), scipy.linalg.circulant(column) @ x, atol=1e-5 if dtype == "float32" else 1e-13
    )
    M = check_leaf(C)
    lower, upper = C.norm_bounds()
    assert upper / lower - 1 < 1e-5
    assert abs(C.norm() / np.linalg.norm(M, 2) - 1) < 1e-6


@pytest.mark.parametrize(
    ("shape", "kernel_shape"), [((4, 5), (3, 2)), ((4, 5), (4, 1)), ((2, 3, 4), (1, 3, 2))]
)
def test_circular_convolution_wraps(shape, kernel_shape):
    kernel = kernel_for(kernel_shape, "float64")
    C = CircularConvolution(oa.Grid(shape, spacing=0.5, dtype="float64"), kernel)
    x = C.domain.random(seed=0)
    expected = np.zeros(shape)
    for index in np.ndindex(kernel_shape):
        shift = [i - (k - 1) // 2 for i, k in zip(index, kernel_shape, strict=True)]
        expected += kernel[index] * np.roll(x, shift, range(len(shape)))
    np.testing.assert_allclose(C(x), expected, atol=1e-13)
    assert isinstance(C.H @ C, FilterGram)
    check_leaf(C)


@pytest.mark.parametrize(
    ("mode", "k", "shape", "origin"),
    [("full", 3, 8, 0.0), ("full", 2, 7, 0.25), ("valid", 4, 3, 0.25)],
)
def test_results_stand_where_they_belong(mode, k, shape, origin):
    """Convolving a ramp with a normalised box gives the ramp at the box's middle."""
    grid = oa.Grid(6, spacing=0.5, dtype="float64")
    C = Convolution(grid, np.ones(k) / k, mode)
    assert C.range.shape == (shape,)
    assert C.range.origin == (origin,)
    ramp = grid.coordinates[0].copy()
    inside = slice(k - 1, 6) if mode == "full" else slice(None)
    # the box sits at index (k - 1) // 2: for even k its middle is half a cell further
    middle = ((k - 1) / 2 - (k - 1) // 2) * 0.5
    np.testing.assert_allclose(C(ramp)[inside], C.range.coordinates[0][inside] - middle, atol=1e-12)


def test_bounds_hold_for_large_kernels():
    C = Convolution(oa.Space((64, 64)), np.ones((9, 9)))
    assert 75 < C.norm_bounds().lower <= C.norm() <= C.norm_bounds().upper <= 81.001


def test_fast_lengths():
    def smooth(n):
        for p in (2, 3, 5):
            while n % p == 0:
                n //= p
        return n == 1

    for n in range(1, 700):
        assert _fast_length(n) == next(m for m in range(n, 2 * n + 1) if smooth(m))


def test_mistakes_are_explained():
    space = oa.Space((4, 5))
    with pytest.raises(oa.errors.ArgumentError, match="with 2 axes"):
        Convolution(space, [1.0, 2.0])
    with pytest.raises(oa.errors.DtypeError, match="complex kernel needs a complex space"):
        Convolution(space, [[1j]])
    with pytest.raises(oa.errors.NonFiniteError, match="1 entries"):
        CircularConvolution(space, [[np.nan]])
    with pytest.raises(oa.errors.ArgumentError, match="must fit into"):
        Convolution(space, np.ones((5, 5)), "valid")
    with pytest.raises(oa.errors.ArgumentError, match="longer than the circle"):
        CircularConvolution(space, np.ones((5, 5)))
    with pytest.raises(oa.errors.ArgumentError, match="origin must be an index"):
        Convolution(space, np.ones((3, 3)), origin=3)
    with pytest.raises(oa.errors.ArgumentError, match="mode must be"):
        Convolution(space, np.ones((3, 3)), mode="circular")
    with pytest.raises(oa.errors.ArgumentError, match="mode 'same' only"):
        Convolution(space, np.ones((3, 3)), mode="full", origin=0)
    import torch

    with pytest.raises(oa.errors.NotSupportedError, match="Detach"):
        Convolution(space, torch.ones(3, 3, requires_grad=True))
