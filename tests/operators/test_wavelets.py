"""The wavelet transform against PyWavelets and ptwt, and its transpose against the dense matrix."""

import sys

import numpy as np
import pytest
import torch
from leaf_checks import check_leaf, dense

import opalg as oa
from opalg.operators.axiswise import AxisMatrix
from opalg.operators.wavelets import WaveletTransform

pywt = pytest.importorskip("pywt", reason="PyWavelets is the reference here")

MODES = ["periodization", "zero", "constant", "symmetric", "reflect", "periodic"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym5", "coif2", "bior2.2", "rbio3.1", "dmey"])
@pytest.mark.parametrize("n", [2, 7, 16, 37])
def test_one_level_is_that_of_pywavelets(n, wavelet, mode):
    W = WaveletTransform(oa.Space(n, "float64"), wavelet, levels=1, mode=mode)
    x = W.domain.random(seed=0)
    for found, expected in zip(W(x), pywt.dwt(x, wavelet, mode), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-13)
    # the tabulated filters of dmey reconstruct to 1e-3 only
    np.testing.assert_allclose(W.reconstruction(W(x)), x, atol=2e-2 if wavelet == "dmey" else 1e-11)


@pytest.mark.parametrize("mode", MODES)
def test_images_over_several_levels_are_those_of_pywavelets(mode):
    W = WaveletTransform(oa.Grid((24, 25), dtype="float64"), "db2", levels=3, mode=mode)
    x = W.domain.random(seed=0)
    c = W(x)
    expected = pywt.wavedec2(x, "db2", mode, level=3)
    np.testing.assert_allclose(c[0], expected[0], atol=1e-13)
    for found, level in zip(c[1:], expected[1:], strict=True):
        for a, b in zip(found, level, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-13)
    # the coefficients can be handed to PyWavelets as they are
    back = pywt.waverec2([c[0], *map(tuple, c[1:])], "db2", mode)
    np.testing.assert_allclose(back[:24, :25], x, atol=1e-12)
    np.testing.assert_allclose(W.reconstruction(c), x, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "wavelet", "levels"),
    [
        ((7,), "db2", 2),
        ((8,), "bior2.2", 1),
        ((3, 5), "bior1.3", 1),
        ((4, 4), "haar", 2),
        ((2, 3, 4), "db2", 1),
    ],
)
def test_exact_transpose(shape, wavelet, levels, mode):
    W = WaveletTransform(oa.Space(shape, "float64"), wavelet, levels, mode)
    M = check_leaf(W)
    R = check_leaf(W.reconstruction)
    np.testing.assert_allclose(R @ M, np.eye(W.domain.size), atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes_and_axes(dtype):
    W = WaveletTransform(
        oa.Grid((3, 4, 5), spacing=0.5, dtype=dtype), "db2", 1, "symmetric", axes=["x", "z"]
    )
    check_leaf(W)
    x = W.domain.random(seed=0)
    expected = pywt.dwtn(x, "db2", "symmetric", axes=(2, 0))  # letters in the order of the axes
    details = W(x)[1]
    for found, letters in zip([W(x)[0], *details], ["aa", "da", "ad", "dd"], strict=True):
        np.testing.assert_allclose(found, expected[letters], atol=1e-5)


def test_orthonormal_wavelets_are_recognised():
    grid = oa.Grid((16, 8), dtype="float64")
    W = WaveletTransform(grid, "db2", levels=2)
    assert W.unitary
    assert isinstance(W.H @ W, oa.Identity)
    assert W.inverse is W.H
    assert W.norm_bounds() == (1.0, 1.0)
    assert W.adjoint is W.H
    more = WaveletTransform(grid, "db2", levels=2, mode="zero")
    assert not more.unitary
    assert isinstance(more.H @ more, oa.Identity)
    odd = WaveletTransform(oa.Space(7, "float64"), "db2", levels=1)
    assert not odd.unitary
    assert not isinstance(odd.gram, oa.Identity)
    assert not WaveletTransform(grid, "bior2.2", levels=2).unitary


def test_square_biorthogonal_transforms_have_an_inverse():
    W = WaveletTransform(oa.Space(16, "float64"), "bior4.4", levels=1)
    x = W.domain.random(seed=0)
    np.testing.assert_allclose(W.inverse(W(x)), x, atol=1e-12)
    np.testing.assert_allclose(W(W.inverse(W(x)))[1], W(x)[1], atol=1e-12)
    with pytest.raises(oa.errors.NotSupportedError, match=r"W\.reconstruction"):
        _ = WaveletTransform(oa.Space(7), "bior4.4", levels=1).inverse


@pytest.mark.parametrize("mode", ["zero", "constant", "symmetric", "reflect", "periodic"])
def test_tensors_get_the_coefficients_of_ptwt(mode):
    ptwt = pytest.importorskip("ptwt", reason="ptwt is the reference here")
    W = WaveletTransform(oa.Space((16, 24), "float64"), "db2", levels=2, mode=mode)
    x = torch.from_numpy(W.domain.random(seed=0))
    expected = ptwt.wavedec2(x[None], "db2", mode=mode, level=2)
    c = W(x)
    assert torch.allclose(c[0], expected[0][0], atol=1e-12)
    for found, level in zip(c[1:], expected[1:], strict=True):
        for a, b in zip(found, level, strict=True):
            assert torch.allclose(a, b[0], atol=1e-12)


def test_default_levels_are_those_of_pywavelets():
    for n in (1, 2, 7, 8, 64, 100):
        for wavelet in ("haar", "db4"):
            length = pywt.Wavelet(wavelet).dec_len
            W = WaveletTransform(oa.Space(n), wavelet)
            assert W.levels == max(1, pywt.dwt_max_level(n, length))


def test_filters_in_place_of_a_name_need_no_pywavelets(monkeypatch):
    s = 0.5**0.5
    haar = ((s, s), (-s, s), (s, s), (s, -s))
    by_name = WaveletTransform(oa.Space(8, "float64"), "haar", levels=2)
    monkeypatch.setitem(sys.modules, "pywt", None)
    W = WaveletTransform(oa.Space(8, "float64"), haar, levels=2)
    np.testing.assert_allclose(dense(W), dense(by_name), atol=1e-15)
    with pytest.raises(oa.errors.MissingExtraError, match=r"opalg\[wavelets\]"):
        WaveletTransform(oa.Space(8), "haar")


def test_bounds_of_long_axes_are_close():
    """Beyond 512 entries the norm of a level is bounded by powers of its gram matrix."""
    W = WaveletTransform(oa.Space(600, "float64"), "bior4.4", levels=1)
    lower, upper = W.norm_bounds()
    top = np.linalg.norm(W._levels[0].matrices[0].matrix.toarray(), 2)
    assert lower <= top <= upper < 1.05 * top
    assert AxisMatrix(np.zeros((600, 600))).norm_bounds == (0.0, 0.0)


def test_mistakes_are_explained():
    space = oa.Space(8)
    with pytest.raises(oa.errors.ArgumentError, match="Unknown wavelet name"):
        WaveletTransform(space, "daubechies")
    with pytest.raises(oa.errors.ArgumentError, match="four filters"):
        WaveletTransform(space, ((1.0, 1.0),))
    with pytest.raises(oa.errors.ArgumentError, match="mode must be one of"):
        WaveletTransform(space, mode="mirror")
    with pytest.raises(oa.errors.ArgumentError, match="levels must be"):
        WaveletTransform(space, levels=0)
