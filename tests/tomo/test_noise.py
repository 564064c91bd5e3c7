import numpy as np
import pytest

from opalg import tomo
from opalg.errors import ArgumentError, DtypeError, NonFiniteError
from opalg.tomo import noise

SHAPE = (200, 500)


@pytest.mark.parametrize("level", [0.0, 1.0, 3.0])
def test_poisson_has_the_moments_of_beer_lambert(level):
    photons = 1e5
    y = tomo.noise.poisson(np.full(SHAPE, level), photons=photons, seed=0)
    sigma = np.exp(level / 2) / np.sqrt(photons)
    # Of 100 000 samples: mean to 5 standard errors (and a bias of sigma^2 / 2), deviation to 2 %.
    assert y.mean() == pytest.approx(level, abs=5 * sigma / np.sqrt(y.size) + sigma**2)
    assert y.std() == pytest.approx(sigma, rel=0.02)


def test_counts_are_whole_numbers_of_photons():
    y = tomo.noise.poisson(np.full(SHAPE, 5.0), photons=1000.0, seed=1)
    counts = 1000.0 * np.exp(-y)
    whole = np.where(counts < 0.75, counts * 2, counts)
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-9)
    # Zero counts, of which exp(-6.7) = 0.1 % are expected, are read as half a photon.
    share = np.mean(counts < 0.75)
    assert share == pytest.approx(np.exp(-1000 * np.exp(-5.0)), rel=0.3)
    assert y.max() == pytest.approx(np.log(2000.0))


def test_seed_dtype_and_library():
    y = np.ones((3, 4), "float32")
    noisy = tomo.noise.poisson(y, 1e4, seed=3)
    assert noisy.dtype == np.float32
    np.testing.assert_array_equal(noisy, tomo.noise.poisson(y, 1e4, seed=3))
    assert (noisy != tomo.noise.poisson(y, 1e4, seed=4)).all()
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(noisy, tomo.noise.poisson(y, 1e4, seed=rng))
    assert (y == 1).all()
    torch = pytest.importorskip("torch")
    tensor = tomo.noise.poisson(torch.ones(3, 4), 1e4, seed=3)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), noisy)


def test_photons_may_vary_over_the_detector():
    photons = np.where(np.arange(500) < 250, 1e3, 1e6)
    y = tomo.noise.poisson(np.ones(SHAPE), photons, seed=0)
    assert y[:, :250].std() / y[:, 250:].std() == pytest.approx(np.sqrt(1000), rel=0.03)


def test_gaussian():
    y = tomo.noise.gaussian(np.ones(SHAPE, "float32"), sigma=0.1, seed=0)
    assert y.dtype == np.float32
    assert y.mean() == pytest.approx(1.0, abs=2e-3)
    assert y.std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (
            lambda: tomo.noise.poisson(np.array([np.nan]), 10),
            NonFiniteError,
            "1 values that are NaN",
        ),
        (lambda: tomo.noise.poisson(np.ones(2), 0), ArgumentError, "photons must be positive"),
        (lambda: tomo.noise.poisson(np.full(2, -60.0), 1e5), ArgumentError, "line integrals"),
        (lambda: tomo.noise.gaussian(np.ones(2), -1), ArgumentError, "sigma must be"),
        (lambda: tomo.noise.gaussian(np.ones(3), np.ones(2)), ArgumentError, r"sigma.*\(3,\), got"),
        (lambda: tomo.noise.gaussian(np.ones(3), np.ones((2, 3))), ArgumentError, "broadcast to"),
        (lambda: tomo.noise.poisson(np.ones((2, 3)), np.ones(4)), ArgumentError, "photons must be"),
        (lambda: tomo.noise.poisson(np.ones(3), np.ones((2, 3))), ArgumentError, "broadcast to"),
        (
            lambda: tomo.noise.poisson(np.ones(3, complex), 9.0),
            DtypeError,
            "projections must be real",
        ),
        (
            lambda: tomo.preprocessing.line_integrals(np.ones(3, complex)),
            DtypeError,
            "transmission must be real",
        ),
        (lambda: tomo.noise.tube_spectrum(bins=2.5), ArgumentError, "a number of bins"),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_electronic_noise_adds_its_variance():
    y = np.full(200_000, 2.0)
    mean = 1e4 * np.exp(-2.0)
    found = noise.poisson(y, 1e4, seed=0, electronic=40.0)
    counts = 1e4 * np.exp(-found)
    assert counts.var() == pytest.approx(mean + 40.0**2, rel=0.02)
    np.testing.assert_array_equal(
        noise.poisson(y, 1e4, seed=0, electronic=0.0), noise.poisson(y, 1e4, seed=0)
    )
    with pytest.raises(ArgumentError, match="electronic"):
        noise.poisson(y, 1e4, electronic=-1.0)


def test_rings_are_one_error_per_pixel():
    y = np.random.default_rng(0).random((2, 5, 300, 200), dtype="float32")
    error = noise.rings(y, 0.1, seed=1) - y
    assert error.dtype == np.float32
    np.testing.assert_allclose(error, np.broadcast_to(error[0, 0], error.shape), atol=1e-6)
    assert error[0, 0].std() == pytest.approx(0.1, rel=0.02)
    flat = noise.rings(np.zeros((7, 50)), 0.1, seed=1)
    assert (flat == flat[0]).all()
    with pytest.raises(ArgumentError, match="view axis"):
        noise.rings(np.zeros(4), 0.1)


def test_beam_hardening_is_the_logarithm_of_what_passes():
    p = np.linspace(0, 60, 13)
    s, a = np.array([1.0, 3.0, 2.0]), np.array([2.0, 1.0, 0.4])
    expected = -np.log((s[:, None] * np.exp(-a[:, None] * p)).sum(axis=0) / s.sum())
    np.testing.assert_allclose(noise.beam_hardening(p, s, a), expected, rtol=1e-12)
    np.testing.assert_allclose(noise.beam_hardening(p, [5.0], [1.0]), p)
    assert np.isfinite(noise.beam_hardening(np.array([1e4]), s, a)).all()
    for wrong in (([1.0], [1.0, 2.0]), ([-1.0], [1.0]), ([0.0], [1.0]), ([np.nan], [1.0])):
        with pytest.raises(ArgumentError, match="spectrum and attenuation"):
            noise.beam_hardening(p, *wrong)


def test_noise_of_high_frequencies():
    """Its power is that of a normal noise less its Gaussian blur, at all frequencies of the detector."""
    sigma, width = 0.3, 1.5
    y = np.full((400, 32, 64), 2.0)
    added = noise.high_frequency(y, sigma, seed=0, width=width) - y
    power = (np.abs(np.fft.rfft2(added)) ** 2).mean(axis=0) / (32 * 64)
    f2 = np.fft.fftfreq(32)[:, None] ** 2 + np.fft.rfftfreq(64) ** 2
    expected = sigma**2 * (1 - np.exp(-2 * np.pi**2 * width**2 * f2)) ** 2
    # The mean of 400 squares scatters by 5 %, and the blur reflects at the edges, which adds a little.
    np.testing.assert_allclose(power[1:, 1:-1], expected[1:, 1:-1], rtol=0.3, atol=0.02 * sigma**2)
    assert power[0, 0] < 1e-3 * sigma**2
    single = y.astype("float32")[:, 0]
    same = [noise.high_frequency(single, sigma, seed=1) for _ in range(2)]
    assert same[0].dtype == np.float32
    np.testing.assert_array_equal(*same)
    for options in ({"sigma": -1.0}, {"sigma": 1.0, "width": -1.0}):
        with pytest.raises(ArgumentError, match="at least zero"):
            noise.high_frequency(y, **options)
    with pytest.raises(NonFiniteError):
        noise.high_frequency(np.full((2, 3), np.nan), 1.0)
