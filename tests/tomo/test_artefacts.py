"""Artefacts of the detector, the gantry, the beam and the object, against their definitions."""

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NonFiniteError
from opalg.tomo import noise


def test_drift_moves_every_view_by_its_own_way():
    u = np.arange(60.0)
    views = np.array([0.0, 1.0, -2.5, 3.25])

    def bump(way):
        return np.exp(-(((u - 30.0 - way) / 6.0) ** 2))

    y = np.tile(bump(0.0), (4, 1))
    expected = np.stack([bump(way) for way in views])
    # A cubic spline of a bump of this width is good to 1e-4.
    np.testing.assert_allclose(noise.drift(y, views), expected, atol=2e-4)
    stack = np.broadcast_to(y[:, None], (4, 5, 60)) * np.arange(5.0)[:, None]
    both = noise.drift(stack, np.stack([np.array([0, 1, 0, 0]), views], axis=1))
    np.testing.assert_allclose(both[2, 3], 3 * expected[2], atol=1e-3)
    # One row up; below, the lowest repeats.
    np.testing.assert_allclose(both[1, :, 31], [0, 0, 1, 2, 3], atol=0.2)
    np.testing.assert_allclose(
        noise.drift(np.stack([stack, 2 * stack]), views)[1],
        2 * noise.drift(stack, views),
        atol=1e-12,
    )
    with pytest.raises(ArgumentError, match=r"shape \(4,\), got shape \(3,\)"):
        noise.drift(y, views[:3])
    with pytest.raises(ArgumentError, match=r"shape \(4,\) or \(4, 2\)"):
        noise.drift(stack, np.full(4, np.nan))


def test_drift_is_a_shift_of_the_detector():
    geometry = tomo.ParallelBeam(40, detector=120, pitch=0.8)
    ways = np.linspace(-2, 3, 40)
    phantom = tomo.phantoms.ellipse((30.0, 20.0), 0.02, (5.0, -4.0))
    moved = phantom.project(geometry.shift_detector(u=-0.8 * ways))
    found = noise.drift(phantom.project(geometry), ways)
    # The edge of an ellipse rises as a square root, which no spline follows.
    assert np.abs(found - moved).mean() < 0.002 * moved.max()
    assert np.abs(noise.drift(phantom.project(geometry), -ways) - moved).mean() > 0.01 * moved.max()


def test_jitter_has_the_deviation_asked_for():
    u = np.arange(100.0)
    y = np.tile(np.exp(-(((u - 50) / 8) ** 2)), (3000, 1))
    found = noise.jitter(y, 1.5, seed=0)
    centres = (found * u).sum(axis=1) / found.sum(axis=1) - 50.0
    assert centres.std() == pytest.approx(1.5, rel=0.04)
    assert abs(centres.mean()) < 5 * 1.5 / np.sqrt(3000)
    np.testing.assert_array_equal(found, noise.jitter(y, 1.5, seed=0))
    deep = np.tile(y[:400, None], (1, 100, 1)) * np.exp(-(((u[:, None] - 50) / 8) ** 2))
    heights = noise.jitter(deep, 1.5, seed=0)[:, :, 50]
    centres = (heights * u).sum(axis=1) / heights.sum(axis=1) - 50.0
    assert centres.std() == pytest.approx(1.5, rel=0.15)


@pytest.mark.parametrize("full_turn", [False, True])
@pytest.mark.parametrize("exposure", [0.5, 1.0, 2.0, 3.7])
def test_rotation_blur_is_the_mean_over_the_exposure(exposure, full_turn):
    """Against many narrow views: every view stands for one step."""
    y = np.random.default_rng(0).random((9, 4), dtype="float32")
    fine = 1000
    views = np.repeat(np.arange(9), fine)
    middle = np.arange(9) * fine + fine // 2
    reach = max(exposure, 1e-3) * fine / 2 if exposure > 1 else fine / 2
    places = middle[:, None] + np.arange(-int(reach), int(reach))
    index = places % len(views) if full_turn else np.clip(places, 0, len(views) - 1)
    expected = y[views[index]].mean(axis=1)
    found = noise.rotation_blur(y, exposure, full_turn)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)
    if exposure <= 1:
        np.testing.assert_array_equal(found, y)
    with pytest.raises(ArgumentError, match="longer than the scan"):
        noise.rotation_blur(y, 11.0)


def test_polychromatic_is_the_logarithm_of_what_passes():
    rng = np.random.default_rng(0)
    lengths = rng.uniform(0, 40, (3, 5, 7))
    s, a = rng.uniform(0, 1, 4), rng.uniform(0, 0.2, (3, 4))
    passed = np.zeros((5, 7))
    for e in range(4):
        passed += s[e] * np.exp(-np.einsum("m,mvu->vu", a[:, e], lengths))
    expected = -np.log(passed / s.sum())
    np.testing.assert_allclose(noise.polychromatic(lengths, s, a), expected, rtol=1e-12)
    one = noise.beam_hardening(lengths[0], s, a[0])
    np.testing.assert_allclose(one, noise.polychromatic(lengths[:1], s, a[:1]))
    # Bins without photons are as good as none, however transparent.
    more = noise.polychromatic(lengths, [*s, 0.0], np.c_[a, [0, 0, 0]])
    np.testing.assert_allclose(more, expected, rtol=1e-12)
    assert np.isfinite(noise.polychromatic([np.full(2, 1e6)], [1.0, 1.0], [[1.0, 2.0]])).all()
    with pytest.raises(ArgumentError, match="all of one shape"):
        noise.polychromatic([np.ones(2), np.ones(3)], s, a[:2])
    with pytest.raises(ArgumentError, match=r"2 materials need .* \(2, energies\)"):
        noise.polychromatic(lengths[:2], s, a)


def test_attenuation_is_that_of_the_tables():
    # NIST: water at 60 keV 0.2059 cm^2/g; iron at 100 keV 0.3717 cm^2/g times 7.874 g/cm^3.
    assert noise.attenuation("water", 60.0) == pytest.approx(0.02059)
    assert noise.attenuation("iron", 100.0) == pytest.approx(0.29267, rel=1e-4)
    energies = np.linspace(20, 150, 60)
    for material in ("water", "bone", "aluminium", "titanium", "iron"):
        assert (np.diff(noise.attenuation(material, energies)) < 0).all()
    with pytest.raises(ArgumentError, match="one of water, bone"):
        noise.attenuation("gold", 60.0)
    with pytest.raises(ArgumentError, match="from 20 to 150 keV"):
        noise.attenuation("water", [60.0, 200.0])


def test_tube_spectrum_is_kramers_law_behind_a_filter():
    energies, bare = noise.tube_spectrum(100.0, filtration=0.0, bins=8)
    assert bare.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(energies, 25 + 10 * np.arange(8))
    np.testing.assert_allclose(bare / bare[0], (100 - energies) / energies * 25 / 75)
    _, filtered = noise.tube_spectrum(100.0, filtration=3.0, bins=8)
    passed = filtered / bare
    lost = np.log(passed[4] / passed[0]) / 3.0
    difference = noise.attenuation("aluminium", 25.0) - noise.attenuation("aluminium", 65.0)
    assert lost == pytest.approx(difference)
    with pytest.raises(ArgumentError, match="a tube has 30 to 150 kV"):
        noise.tube_spectrum(200.0)


def test_metal_is_hard_and_noisy():
    shape = (20_000,)
    body = np.full(shape, 2.0, "float32")
    plain = noise.metal(body, np.zeros(shape), 1e6, seed=0)
    energies, spectrum = noise.tube_spectrum(120.0)
    water = 2.0 / noise.attenuation("water", 70.0)

    def expected(metal):
        factors = noise.attenuation("water", energies) * water
        factors = factors + metal * noise.attenuation("iron", energies)
        return -np.log(spectrum @ np.exp(-factors))

    assert plain.dtype == np.float32
    assert plain.mean() == pytest.approx(expected(0.0), abs=1e-3)
    screw = noise.metal(body, np.full(shape, 10.0), 1e6, seed=0, material="iron")
    assert screw.mean() == pytest.approx(expected(10.0), abs=5e-3)
    # Of one part: the mean count. Poisson: its deviation is that of the logarithm.
    assert screw.std() == pytest.approx(np.exp(expected(10.0) / 2) / 1e3, rel=0.05)
    assert screw.std() > 3 * plain.std()
    np.testing.assert_array_equal(plain, noise.metal(body, np.zeros(shape), 1e6, seed=0))


def test_metal_leaves_streaks_between_two_pieces():
    grid = oa.Grid((96, 96), 2.0)
    geometry = tomo.ParallelBeam(180, detector=130, pitch=2.0)
    body = tomo.phantoms.disc(80.0, noise.attenuation("water", 70.0))
    pins = tomo.phantoms.disc(5.0, 1.0, (-40.0, 0.0)) + tomo.phantoms.disc(5.0, 1.0, (40.0, 0.0))
    fbp = tomo.FBP(tomo.XrayTransform(grid, geometry), window="hann")
    ratios = []
    for metal in (pins, 0.0 * pins):
        y = noise.metal(body.project(geometry), metal.project(geometry), 1e6, 0, material="iron")
        x = fbp(y)
        ratios.append(x[44:52, 40:56].mean() / x[66:74, 40:56].mean())
    # 0.90 and 0.99 were seen; the beam hardens without metal, too.
    assert ratios[0] < 0.93
    assert ratios[1] > 0.97


@pytest.mark.parametrize("shape", [(3, 80), (3, 20, 80)])
def test_scatter_is_a_convolution_of_its_potential(shape):
    p = np.random.default_rng(0).uniform(0, 4, shape)
    u = np.arange(80)
    kernel = np.exp(-((u[:, None] - u) ** 2) / (2 * 5.0**2))
    kernel /= np.exp(-(np.arange(-40, 41) ** 2) / (2 * 5.0**2)).sum()
    spread = (np.exp(-p) * p) @ kernel
    if len(shape) == 3:
        v = np.arange(20)
        rows = np.exp(-((v[:, None] - v) ** 2) / (2 * 5.0**2))
        rows /= np.exp(-(np.arange(-40, 41) ** 2) / (2 * 5.0**2)).sum()
        spread = np.einsum("wv,avu->awu", rows, spread)
    expected = -np.log(np.exp(-p) + 0.2 * spread)
    found = noise.scatter(p, strength=0.2, width=5.0)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # scipy's kernel ends at 4 deviations
    np.testing.assert_allclose(noise.scatter(p, strength=0.0, width=5.0), p, atol=1e-12)
    assert (found < p).all()


def test_scatter_limits():
    opaque = np.full((1, 50), 2000.0)
    opaque[:, :10] = 0.5
    found = noise.scatter(opaque, strength=0.1, width=3.0)
    assert np.isfinite(found).all()
    assert found.max() < 800
    with pytest.raises(ArgumentError, match="not negative"):
        noise.scatter(np.full((2, 3), -5.0), 0.1, 3.0)


@pytest.mark.parametrize(
    "apply",
    [
        lambda y: noise.drift(y, [0.0, 1.0]),
        lambda y: noise.jitter(y, 0.5),
        lambda y: noise.rotation_blur(y, 2.0),
        lambda y: noise.scatter(y, 0.1, 2.0),
        lambda y: noise.metal(y, y),
        lambda y: noise.polychromatic([y], [1.0], [[1.0]]),
        lambda y: noise.rings(y, 0.1),
    ],
)
def test_what_is_not_finite_is_told_and_libraries_are_kept(apply):
    with pytest.raises(NonFiniteError, match="1 values that are NaN"):
        apply(np.array([[1.0, np.nan, 1.0], [1.0, 1.0, 1.0]]))
    torch = pytest.importorskip("torch")
    found = apply(torch.ones(2, 3))
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: noise.jitter(np.ones((2, 3)), -1.0), "sigma must be finite and at least zero"),
        (lambda: noise.rotation_blur(np.ones((2, 3)), "long"), "exposure must be finite"),
        (lambda: noise.scatter(np.ones((2, 3)), -0.1, 1.0), "strength must be finite"),
        (lambda: noise.scatter(np.ones(3), 0.1, 1.0), "need a view axis"),
    ],
)
def test_errors_say_what_is_wrong(build, words):
    with pytest.raises(ArgumentError, match=words):
        build()
