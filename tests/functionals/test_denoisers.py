"""Any denoiser as a proximal map."""

import pickle

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg.errors import ArgumentError, NotSupportedError

grid = oa.Grid((8, 6))


def smooth(x):
    return (np.roll(x, 1, axis=-1) + x + np.roll(x, -1, axis=-1)) / np.float32(3)


def spread(x, sigma):
    return x * (1 - sigma)


def smaller(x):
    return x[1:]


def one_image(x, sigma=None):
    """Like the functions of scikit-image: one NumPy image at a time, in double precision."""
    assert type(x) is np.ndarray
    assert x.shape == grid.shape
    return np.asarray(x * (0.5 if sigma is None else sigma), "float64")


def test_a_function_of_arrays():
    f = fn.Denoiser(grid, smooth)
    x = grid.random(seed=0, batch=(2,))
    np.testing.assert_array_equal(f.prox(0.3)(x), smooth(x))
    assert pickle.loads(pickle.dumps(f)) == f
    assert str(f.prox(0.3)) == "Denoiser(smooth).prox(0.3)"
    with pytest.raises(NotSupportedError, match="only its prox can be used"):
        f(x)
    assert not f.convex
    assert not f.differentiable


def test_the_noise_level_is_the_root_of_the_step():
    x = grid.ones(batch=(2,))
    f = fn.Denoiser(grid, spread, sigma="step")
    np.testing.assert_allclose(f.prox(0.25)(x), 0.5)
    np.testing.assert_allclose(f.prox(np.array([0.25, 0.01]))(x)[:, 0, 0], [0.5, 0.9], rtol=1e-6)
    np.testing.assert_allclose((4 * f).prox(0.01)(x), 0.8, rtol=1e-6)
    np.testing.assert_allclose(fn.Denoiser(grid, spread, sigma=0.3).prox(5.0)(x), 0.7, rtol=1e-6)


def test_one_image_at_a_time():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    f = fn.Denoiser(grid, one_image, sigma="step", arrays="numpy")
    x = grid.random(seed=1, batch=(2, 3))
    steps = np.linspace(0.1, 0.6, 6).reshape(2, 3)
    expected = x * np.sqrt(steps)[:, :, None, None]
    np.testing.assert_allclose(f.prox(steps)(x), expected, rtol=1e-5)
    there = f.prox(steps)(torch.from_numpy(x))
    assert there.dtype == torch.float32
    np.testing.assert_allclose(there.numpy(), expected, rtol=1e-5)
    with pytest.raises(TypeError, match="no derivative"):
        f.prox(0.3)(torch.from_numpy(x).requires_grad_()).sum().backward()


def test_scikit_image():
    restoration = pytest.importorskip("skimage.restoration", reason="scikit-image is not installed")
    x = grid.random(seed=2)
    f = fn.Denoiser(grid, restoration.denoise_tv_chambolle, sigma=0.1, arrays="numpy")
    np.testing.assert_allclose(f.prox(1.0)(x), restoration.denoise_tv_chambolle(x, 0.1), rtol=1e-5)


def test_a_module():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = torch.nn.Conv2d(1, 1, 3, padding=1)
    f = fn.Denoiser(grid, net)
    x = grid.random(seed=3, batch=(2,))
    with torch.no_grad():
        expected = net(torch.from_numpy(x)[:, None])[:, 0].numpy()
    np.testing.assert_allclose(f.prox(1.0)(x), expected, rtol=1e-5)
    out = np.empty_like(x)
    f.prox(1.0)(x, out=out)
    np.testing.assert_array_equal(out, f.prox(1.0)(x))
    t = torch.from_numpy(x).requires_grad_()
    f.prox(1.0)(t).sum().backward()
    assert t.grad is not None
    assert net.weight.grad is not None
    assert f.prox(1.0)(grid.ones()).shape == grid.shape


def test_words():
    with pytest.raises(ArgumentError, match="must be callable"):
        fn.Denoiser(grid, 3)
    with pytest.raises(ArgumentError, match=r"smaller must return .* \(8, 6\), got \(7, 6\)"):
        fn.Denoiser(grid, smaller).prox(1.0)(grid.ones())
    with pytest.raises(ArgumentError, match="any, numpy or torch"):
        fn.Denoiser(grid, smooth, arrays="cupy")
    same = fn.Denoiser(grid, lambda x: x).prox(1.0)
    x = grid.ones()
    assert not np.shares_memory(same(x), x)
