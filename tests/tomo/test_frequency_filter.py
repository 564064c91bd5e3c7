"""Filters given by their response: the definition, one per row or view, windows of one's own, learning."""

import numpy as np
import pytest
import scipy.fft

import opalg as oa
from opalg import tomo
from opalg.engines import cpu
from opalg.errors import ArgumentError, DtypeError, NonFiniteError


def toeplitz(response, columns):
    """The matrix of the convolution with the even kernel that has this response, padded far enough."""
    length = 2 * (len(response) - 1)
    frequency = np.arange(length)
    full = np.concatenate([response, response[-2:0:-1]])
    shift = np.subtract.outer(np.arange(columns), np.arange(columns))
    waves = np.cos(2 * np.pi * frequency * shift[..., None] / length)
    return (waves * full).sum(axis=-1) / length


@pytest.mark.parametrize("shape", [(7,), (3, 1, 7), (1, 2, 7), (3, 2, 7)])
def test_every_row_is_convolved_with_its_kernel(shape):
    space = oa.Space((3, 2, 6), "float64")
    rng = np.random.default_rng(0)
    response = rng.standard_normal(shape)
    x = rng.standard_normal((4, 3, 2, 6))
    F = tomo.FrequencyFilter(space, response)
    full = np.broadcast_to(response, (3, 2, 7))
    expected = np.empty_like(x)
    for view, row in np.ndindex(3, 2):
        expected[:, view, row] = x[:, view, row] @ toeplitz(full[view, row], 6)
    np.testing.assert_allclose(F(x), expected, atol=1e-13)
    np.testing.assert_array_equal(F.responses, full)
    out = np.empty_like(x)
    assert F(x, out=out) is out
    np.testing.assert_array_equal(out, F(x))
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(F(torch.from_numpy(x)).numpy(), expected, atol=1e-13)


def test_a_ramp_for_every_row_is_the_ramp():
    """The filters of other libraries have two or three axes, one response for each row."""
    A = tomo.XrayTransform(oa.Grid((2, 8, 8)), tomo.ParallelBeam(5, detector=(2, 12)))
    ramp = tomo.RampFilter(A.range, 1.0, "cosine")
    assert ramp.responses.shape == (5, 2, 13)
    y = A.range.random(0)
    same = tomo.FrequencyFilter(A.range, ramp.responses.astype("float32"))
    np.testing.assert_allclose(same(y), ramp(y), rtol=1e-5, atol=1e-6)


def test_windows_of_ones_own():
    space, pitch = oa.Space((1, 20), "float64"), 0.5
    hann = tomo.RampFilter(space, pitch, "hann", 0.7)
    own = tomo.RampFilter(space, pitch, lambda f: np.cos(np.pi * f / 2) ** 2, 0.7)
    np.testing.assert_allclose(own.response, hann.response, atol=1e-14)
    listed = tomo.RampFilter(space, pitch, np.cos(np.pi * np.linspace(0, 1, 2001) / 2) ** 2, 0.7)
    np.testing.assert_allclose(listed.response, hann.response, atol=1e-6)
    assert (own.response[own.frequencies > 0.7 * 0.5 / pitch + 1e-9] == 0).all()
    half = tomo.RampFilter(space, pitch, [0.5, 0.5])
    full = tomo.RampFilter(space, pitch)
    np.testing.assert_allclose(half.response, 0.5 * full.response)
    assert half == tomo.RampFilter(space, pitch, [0.5, 0.5])
    # A window never sees frequencies outside of the band.
    tomo.RampFilter(space, pitch, lambda f: np.sqrt(1 - f), 0.7)
    A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(9, detector=12))
    y = A.range.random(0)
    smooth = tomo.FBP(A, window=lambda f: 1 - f)
    np.testing.assert_allclose(smooth(y), tomo.FBP(A, window=[1.0, 0.0])(y), atol=1e-5)


@pytest.mark.parametrize("kind", ["one", "views"])
def test_a_parameter_receives_gradients(kind):
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(oa.Grid((6, 6), dtype="float64"), tomo.ParallelBeam(4, detector=8))
    start = tomo.RampFilter(A.range, 1.0)
    values = start.response if kind == "one" else start.responses
    response = torch.nn.Parameter(torch.tensor(np.array(values)))
    fbp = tomo.FBP(A, filter=tomo.FrequencyFilter(A.range, response))
    assert fbp.trainable
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.random((2, 4, 8)))

    def loss():
        return (fbp(y) ** 3).sum()

    loss().backward()
    found = response.grad.clone()
    assert (found != 0).any()
    # Central differences, of a cubic right to the square of the step: 1e-8 of what may cancel in the sum.
    for _ in range(3):
        way = torch.from_numpy(rng.standard_normal(response.shape))
        with torch.no_grad():
            response += 1e-4 * way
            above = loss()
            response -= 2e-4 * way
            below = loss()
            response += 1e-4 * way
        slope = float((above - below) / 2e-4)
        parts = found * way
        room = 1e-7 * float(parts.abs().sum())
        assert slope == pytest.approx(float(parts.sum()), rel=1e-6, abs=room)


@pytest.mark.parametrize("beam", ["fan", "cone"])
def test_parameters_are_learned_through_fans_and_cones(beam):
    torch = pytest.importorskip("torch")
    if beam == "fan":
        A = tomo.XrayTransform(oa.Grid((6, 6)), tomo.FanBeam(8, 10, 1.5, 20.0, 30.0))
        method = tomo.FBP
    else:
        A = tomo.XrayTransform(oa.Grid((2, 6, 6)), tomo.ConeBeam(8, (4, 10), 1.5, 20.0, 30.0))
        method = tomo.FDK
    response = torch.nn.Parameter(torch.ones(11))
    x = method(A, filter=tomo.FrequencyFilter(A.range, response))(torch.rand(A.range.shape))
    x.sum().backward()
    assert torch.isfinite(response.grad).all()
    assert (response.grad != 0).any()


def test_a_trained_response_is_followed():
    torch = pytest.importorskip("torch")
    response = torch.nn.Parameter(torch.ones(5))
    F = tomo.FrequencyFilter(oa.Space((2, 4)), response)
    x = torch.rand(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(F(x), x)
        response *= 3.0
        torch.testing.assert_close(F(x), 3 * x)
    with pytest.raises(ArgumentError, match="its gradient would be lost"):
        F(x.numpy())


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (np.ones(4), ArgumentError, r"have 5 frequencies; .* \(3, 5\), got shape \(4,\)"),
        (np.ones((2, 5)), ArgumentError, r"broadcast to \(3, 5\)"),
        (np.ones((1, 3, 5)), ArgumentError, r"broadcast to \(3, 5\)"),
        ([1.0] * 5, ArgumentError, "must be an array, got list"),
        (np.ones(5, "float32"), DtypeError, "dtype float64"),
        (np.ones(5, complex), DtypeError, "dtype float64"),
        (np.array([1.0, np.nan, 1, 1, 1]), NonFiniteError, "1 entries that are NaN"),
    ],
)
def test_errors_say_what_is_wrong(response, error, words):
    with pytest.raises(error, match=words):
        tomo.FrequencyFilter(oa.Space((3, 4), "float64"), response)


def test_as_many_threads_as_the_library_may_use(monkeypatch):
    """Of SciPy, whose default is one and whose -1 all; rows of few entries have one thread."""
    large, small = (tomo.RampFilter(oa.Space((n, 128)), 1.0) for n in (300, 3))
    asked = []

    def counting(function):
        def called(*arguments, workers=None, **options):
            asked.append(workers)
            return function(*arguments, workers=1, **options)

        return called

    for name in ("rfft", "irfft", "rfftn", "irfftn"):
        monkeypatch.setattr(scipy.fft, name, counting(getattr(scipy.fft, name)))
    try:
        for threads in (1, 3):
            cpu.set_num_threads(threads)
            large(large.domain.ones())
            small(small.domain.ones())
    finally:
        cpu.set_num_threads(None)
    assert asked == [1, 1, 1, 1, 3, 3, 1, 1]  # there and back each
