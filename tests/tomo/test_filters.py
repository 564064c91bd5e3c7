"""The ramp filter against closed forms."""

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError

AT_NYQUIST = {"ram-lak": 1.0, "shepp-logan": 2 / np.pi, "cosine": 0.0, "hamming": 0.08, "hann": 0.0}
AT_HALF = {
    "ram-lak": 1.0,
    "shepp-logan": 2 * np.sqrt(2) / np.pi,
    "cosine": np.sqrt(0.5),
    "hamming": 0.54,
    "hann": 0.5,
}


@pytest.mark.parametrize("n", [33, 64, 361, 724])  # padded to 66, 128, and to 3^6 and twice that
def test_is_convolution_with_the_band_limited_ramp(n):
    """From end to end of a row: in particular nothing wraps around."""
    pitch = 0.4
    F = tomo.RampFilter(oa.Space((1, n), "float64"), pitch)
    matrix = F(np.eye(n)[:, None])[:, 0]
    k = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    kernel = np.where(k % 2 == 1, -1 / (np.pi * np.maximum(k, 1) * pitch) ** 2, 0.0)
    kernel[k == 0] = 1 / (4 * pitch**2)
    np.testing.assert_allclose(matrix, pitch * kernel, atol=1e-13)


@pytest.mark.parametrize("window", list(AT_NYQUIST))
def test_frequency_response(window):
    pitch = 0.5
    F = tomo.RampFilter(oa.Space((1, 512), "float64"), pitch, window)
    assert F.frequencies[-1] == pytest.approx(1 / (2 * pitch))
    # |f| times the window. The kernel is cut at the padded length, which leaves 4 / (pi^2 L) at most.
    rest = 4 / (np.pi**2 * 1024) / pitch
    assert 0 < F.response[0] < rest
    assert F.response[-1] == pytest.approx(AT_NYQUIST[window] / (2 * pitch), abs=rest)
    middle = len(F.frequencies) // 2
    assert F.response[middle] == pytest.approx(AT_HALF[window] / (4 * pitch), abs=2 * rest)


@pytest.mark.parametrize("window", list(AT_NYQUIST))
def test_frequency_scaling_compresses_the_window(window):
    full = tomo.RampFilter(oa.Space(512, "float64"), 1.0, window)
    half = tomo.RampFilter(oa.Space(512, "float64"), 1.0, window, frequency_scaling=0.5)
    f = full.frequencies
    assert (half.response[f > 0.25 + 1e-9] == 0).all()
    ramp = tomo.RampFilter(oa.Space(512, "float64"), 1.0).response
    ratio = full.response[::2] / ramp[::2]
    np.testing.assert_allclose((half.response / ramp)[: len(ratio)], ratio, atol=1e-12)


def test_numpy_and_torch_agree_and_torch_differentiates():
    torch = pytest.importorskip("torch")
    F = tomo.RampFilter(oa.Space((3, 11), "float64"), 0.7, "cosine")
    x = torch.rand(2, 3, 11, dtype=torch.float64, requires_grad=True)
    np.testing.assert_allclose(F(x).detach().numpy(), F(x.detach().numpy()), atol=1e-14)
    assert torch.autograd.gradcheck(F, x)
    assert torch.autograd.gradgradcheck(F, x)


def test_many_rows_are_filtered_in_pieces(monkeypatch):
    from opalg.tomo import frequency_filter

    F = tomo.RampFilter(oa.Space((7, 5)), 1.0)
    x = F.domain.random(0, batch=(3,))
    whole = F(x)
    monkeypatch.setattr(frequency_filter, "_CHUNK", 40)
    np.testing.assert_array_equal(F(x), whole)


def test_norm_bound():
    F = tomo.RampFilter(oa.Space(64, "float64"), 0.5, "shepp-logan")
    matrix = np.stack([F(row) for row in np.eye(64)])
    assert F.norm_bounds().lower <= np.linalg.norm(matrix, 2) <= F.norm_bounds().upper


def test_fbp_is_the_weighted_adjoint_after_the_ramp():
    # Away from single pixels' weights: FBP = A.adjoint @ F up to the normalisation per pixel.
    A = tomo.XrayTransform(oa.Grid((32, 32), 0.5), tomo.ParallelBeam(180, detector=200, pitch=0.25))
    y = tomo.phantoms.disc(6.0, 0.02).project(A.geometry)
    plain = (A.adjoint @ tomo.RampFilter(A.range, 0.25))(y)
    np.testing.assert_allclose(tomo.FBP(A)(y), plain, atol=0.02 * 0.02)


def test_fbp_shows_its_parts():
    A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam([0.1, 1.0, 2.5], detector=12))
    text = tomo.FBP(A, "hann").tree()
    for part in ("FBP", "Diagonal", "XrayTransform", "RampFilter"):
        assert part in text
    assert tomo.FBP(A, "hann") == tomo.FBP(A, window="hann")
    assert tomo.FBP(A, "hann") != tomo.FBP(A)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"window": "hanning"}, "one of ram-lak, shepp-logan"),
        ({"frequency_scaling": 0.0}, r"\(0, 1\]"),
        ({"pitch": -1.0}, "pitch must be positive"),
        ({"window": lambda f: f[:3]}, "one factor for each of"),
        ({"window": [1.0]}, "a name, a function or an array"),
        ({"window": lambda f: np.where(f > 0.5, np.nan, 1.0)}, "NaN or infinite at some frequency"),
    ],
)
def test_errors_say_what_is_wrong(arguments, words):
    with pytest.raises((ArgumentError, NonFiniteError), match=words):
        tomo.RampFilter(oa.Space(8), **{"pitch": 1.0, **arguments})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.abs, "must be a LinearOperator"),
        (np.ones(13), "must be a LinearOperator"),
        (tomo.RampFilter(oa.Space((2, 6)), 1.0), "must lead from and to"),
        (oa.Gradient(oa.Space((2, 5))), "must lead from and to"),
    ],
)
@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_filters_that_are_none_are_refused(beam, given, words):
    fan = tomo.FanBeam(2, 5, 1.0, 10.0, 20.0)
    geometry = fan if beam == "fan" else tomo.ParallelBeam(2, 5)
    with pytest.raises(ArgumentError, match=words):
        tomo.FBP(tomo.XrayTransform(oa.Grid((4, 4)), geometry), filter=given)


def test_fbp_refuses_what_it_cannot_invert():
    class Other(tomo.ParallelBeam.__mro__[1]):  # another kind of geometry
        pass

    A = tomo.XrayTransform(oa.Grid((4, 4)), tomo.ParallelBeam(2, detector=5))
    A.__dict__["geometry"] = object.__new__(Other)
    with pytest.raises(NotSupportedError, match="FBP is for ParallelBeam"):
        tomo.FBP(A)
    with pytest.raises(ArgumentError, match="takes an XrayTransform"):
        tomo.FBP(oa.Identity(oa.Grid((4, 4))))
