"""The Fourier transforms against their definition."""

import numpy as np
import pytest
import torch
from leaf_checks import check_leaf

import opalg as oa
from opalg.operators.fourier import FourierTransform, RealFourierTransform


def matrix(n, centred, norm):
    """The transform of n samples, from its definition."""
    k = np.arange(n) - (n // 2 if centred else 0)
    factor = {"ortho": n**-0.5, "backward": 1, "forward": 1 / n}[norm]
    return factor * np.exp(-2j * np.pi * np.outer(k, k) / n)


@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("shape", [(5,), (6,), (3, 4), (1,)])
def test_complex_transform_is_the_sum(shape, centred, norm):
    F = FourierTransform(oa.Space(shape, "complex128"), centred=centred, norm=norm)
    x = F.domain.random(seed=0)
    expected = x
    for axis, n in enumerate(shape):
        expected = np.moveaxis(np.tensordot(matrix(n, centred, norm), expected, (1, axis)), 0, axis)
    np.testing.assert_allclose(F(x), expected, atol=1e-13)
    check_leaf(F)
    np.testing.assert_allclose(F.inverse(F(x)), x, atol=1e-13)


@pytest.mark.parametrize("axes", [(0,), (2, 0), ("y",), -1])
def test_some_axes(axes):
    grid = oa.Grid((2, 3, 4), spacing=0.5, dtype="complex64")
    F = FourierTransform(grid, axes=axes)
    x = grid.random(seed=0)
    expected = x
    for axis in F.axes:
        n = grid.shape[axis]
        expected = np.moveaxis(np.tensordot(matrix(n, True, "ortho"), expected, (1, axis)), 0, axis)
    np.testing.assert_allclose(F(x), expected, atol=1e-5)
    check_leaf(F)


def test_unitary_in_weighted_spaces():
    F = FourierTransform(oa.Grid((4, 6), spacing=0.5, dtype="complex128"))
    assert F.unitary
    assert F.range.axes == ("ky", "kx")
    assert F.adjoint is F.H
    assert isinstance(F.H @ F, oa.Identity)
    assert F.norm_bounds() == (1.0, 1.0)


@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((5,), None), ((6,), None), ((3, 4), None), ((4, 3), (0,)), ((1,), None)]
)
def test_real_transform_is_half_the_complex_one(shape, axes, norm):
    F = RealFourierTransform(oa.Space(shape, "float64"), axes, norm)
    x = F.domain.random(seed=0)
    full = np.fft.fftn(x, axes=axes, norm=norm)
    half = (slice(None),) * F.axes[-1] + (slice(F.range.shape[F.axes[-1]]),)
    np.testing.assert_allclose(F(x), full[half], atol=1e-13)
    check_leaf(F)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 6), (3, 5)])
def test_real_transform_keeps_weighted_norms(shape, dtype):
    F = RealFourierTransform(oa.Grid(shape, spacing=0.5, dtype=dtype))
    x = F.domain.random(seed=0)
    np.testing.assert_allclose(F.range.norm(F(x)), F.domain.norm(x), rtol=1e-6)
    np.testing.assert_allclose(F.adjoint(F(x)), x, atol=1e-5)


def test_torch_records_the_transform_itself():
    F = FourierTransform(oa.Space((4, 4), "complex128"))
    x = torch.rand(3, 4, 4, dtype=torch.complex128, requires_grad=True)
    assert "Apply" not in type(F(x).grad_fn).__name__
    (abs(F(x)) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * x.detach(), atol=1e-12)


def test_mistakes_are_explained():
    with pytest.raises(oa.errors.DtypeError, match="RealFourierTransform"):
        FourierTransform(oa.Space(4))
    with pytest.raises(oa.errors.DtypeError, match=r"oa\.FourierTransform"):
        RealFourierTransform(oa.Space(4, "complex64"))
    with pytest.raises(oa.errors.ArgumentError, match="got axis 'z'"):
        FourierTransform(oa.Grid((4, 4), dtype="complex64"), axes=["z"])
    with pytest.raises(oa.errors.ArgumentError, match="different axes"):
        FourierTransform(oa.Space((4, 4), "complex64"), axes=(0, -2))
    with pytest.raises(oa.errors.ArgumentError, match="norm must be"):
        FourierTransform(oa.Space(4, "complex64"), norm="unit")
    with pytest.raises(oa.errors.NotSupportedError, match=r"F\.adjoint undoes it"):
        _ = RealFourierTransform(oa.Space(4)).inverse
