"""Pixels, zingers, rings, binning and full turns, against loops from the definition and simulated scans."""

import math
import sys

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, MissingExtraError, NonFiniteError
from opalg.tomo import preprocessing


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# Rings


def sorted_columns(sinogram, size):
    """Vo's algorithm 3, one sinogram, one row of the sorted one at a time."""
    views, n = sinogram.shape
    order = [np.argsort(sinogram[:, j], kind="stable") for j in range(n)]
    rows = np.stack([sinogram[order[j], j] for j in range(n)], axis=1)
    half, result = size // 2, np.empty_like(sinogram)
    for i in range(views):
        padded = np.concatenate([rows[i, :half][::-1], rows[i], rows[i, n - half :][::-1]])
        for j in range(n):
            result[order[j][i], j] = np.median(padded[j : j + size])
    return result


def test_rings_are_removed_by_sorting(rng):
    y = rng.standard_normal((12, 3, 31))
    for size in (1, 5, 9):
        found = preprocessing.remove_rings(y, size)
        for row in range(3):
            np.testing.assert_allclose(found[:, row], sorted_columns(y[:, row], size), atol=1e-15)
    np.testing.assert_array_equal(preprocessing.remove_rings(y, 1), y)
    flat = preprocessing.remove_rings(y[:, 1].astype("float32"), 5)
    assert flat.dtype == np.float32
    np.testing.assert_allclose(flat, preprocessing.remove_rings(y[:, 1], 5), rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "stripes", "image"), [("sorting", 0.25, 0.5), ("wavelet", 0.6, 0.9)]
)
def test_rings_of_a_simulated_scan_fade(method, stripes, image):
    if method == "wavelet":
        pytest.importorskip("pywt")
        remove = preprocessing.remove_rings_wavelet
    else:
        remove = lambda y: preprocessing.remove_rings(y, 5)  # noqa: E731
    geometry = tomo.ParallelBeam(384, detector=256)
    clean = tomo.phantoms.random_scene(12, 220.0, 0.02, ndim=2, seed=3).project(geometry)
    rings = tomo.noise.rings(clean, 0.1, seed=1, fraction=0.1)
    fbp = tomo.FBP(tomo.XrayTransform(oa.Grid((256, 256)), geometry), window="hann")

    def errors(y):
        """Of the mean over the views, which is what a stripe is, and of the image."""
        return (y - clean).mean(axis=0).std(), np.abs(fbp(y) - fbp(clean)).mean()

    # 0.19 and 0.37 by sorting were seen, 0.50 and 0.81 by wavelets.
    before, after = errors(rings), errors(remove(rings))
    assert after[0] < stripes * before[0]
    assert after[1] < image * before[1]
    # What has no rings loses less than they cost.
    assert errors(remove(clean))[1] < 0.6 * before[1]


def test_wavelets_remove_what_is_constant_along_the_views(rng):
    pytest.importorskip("pywt")
    y = np.zeros((128, 3, 128)) + rng.choice([-1.0, 1.0], 128)  # the finest stripes there are
    found = preprocessing.remove_rings_wavelet(y, 3)
    inside = slice(20, -20)
    # What is left is coarser than eight pixels.
    assert found[inside, :, inside].std() < 0.4
    assert np.abs(np.diff(found[inside, :, inside], axis=-1)).max() < 0.3
    inside = slice(8, -8)
    # What changes fast along the views has no share in the notch.
    waves = np.cos(np.pi * np.arange(64) / 4)[:, None] * np.sin(np.pi * np.arange(64) / 3)
    kept = preprocessing.remove_rings_wavelet(waves, 2, damping=0.3)
    np.testing.assert_allclose(kept[inside], waves[inside], atol=0.05)
    # Rows of the detector are sinograms of their own; odd sizes come back as they went in.
    stack = rng.standard_normal((41, 2, 37))
    both = preprocessing.remove_rings_wavelet(stack, 2)
    np.testing.assert_allclose(
        both[:, 1], preprocessing.remove_rings_wavelet(stack[:, 1], 2), atol=1e-12
    )


def test_without_pywavelets_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(MissingExtraError, match=r"opalg\[wavelets\]"):
        preprocessing.remove_rings_wavelet(np.ones((64, 64)))


# Zingers and pixels


@pytest.mark.parametrize("shape", [(40, 50), (6, 30, 40)])
def test_zingers_are_found_and_nothing_else(shape, rng):
    shadow = np.linspace(300.0, 1000.0, shape[-1])
    counts = shadow + 10 * rng.standard_normal(shape)
    hit = rng.uniform(size=shape) < 0.005
    struck = counts + np.where(hit, rng.uniform(500, 5000, shape), 0.0)
    found = preprocessing.remove_zingers(struck)
    np.testing.assert_array_equal(found[~hit], counts[~hit])
    assert np.abs(found - counts)[hit].max() < 150.0
    np.testing.assert_array_equal(preprocessing.remove_zingers(struck, kind="dark"), struck)
    lines = -np.log(struck / 8000)
    mended = preprocessing.remove_zingers(lines, kind="dark")
    assert np.abs(mended + np.log(counts / 8000))[hit].max() < 0.3
    np.testing.assert_array_equal(
        preprocessing.remove_zingers(struck, threshold=400.0) != struck, hit
    )


def test_counts_become_float32_and_torch_stays():
    counts = np.full((5, 6), 100, np.uint16)
    counts[2, 3] = 60_000
    found = preprocessing.remove_zingers(counts, threshold=50)
    assert found.dtype == np.float32
    assert (found == 100).all()
    torch = pytest.importorskip("torch")
    tensor = preprocessing.remove_rings(torch.ones(4, 5, dtype=torch.float64), 3)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float64


def test_bad_pixels_are_those_that_respond_otherwise(rng):
    flat = 1000 + 30 * rng.standard_normal((3, 20, 30))
    dark = np.full((20, 30), 50.0)
    flat[:, 4, 5], flat[:, 10, 0], dark[19, 29] = 50.0, 2500.0, 5000.0
    flat[1, 7, 7] = np.nan
    bad = preprocessing.bad_pixels(flat, dark)
    assert sorted(map(tuple, np.argwhere(bad))) == [(4, 5), (7, 7), (10, 0), (19, 29)]
    assert not preprocessing.bad_pixels(flat, dark, tolerance=5.0)[10, 0]


def test_bad_pixels_are_bridged_between_good_ones():
    u, v = np.arange(9.0), np.arange(6.0)
    y = np.stack([k + 2 * u + 10 * v[:, None] for k in range(3)])  # linear, so that all is exact
    bad = np.zeros((6, 9), bool)
    bad[1, [3, 4, 7]] = bad[2] = bad[3] = True  # single ones, and two whole rows
    broken = np.where(bad, np.nan, y)
    np.testing.assert_allclose(preprocessing.mend_pixels(broken, bad), y, atol=1e-12)
    edge = np.zeros((6, 9), bool)
    edge[:, 0] = True
    mended = preprocessing.mend_pixels(y, edge)
    np.testing.assert_array_equal(mended[..., 0], y[..., 1])
    np.testing.assert_array_equal(mended[..., 1:], y[..., 1:])
    flat = preprocessing.mend_pixels(y[0], edge)  # images without views, and single rows
    np.testing.assert_array_equal(flat, mended[0])
    np.testing.assert_allclose(
        preprocessing.mend_pixels(np.array([1.0, np.inf, 3.0]), np.array([False, True, False])),
        [1, 2, 3],
    )


# Binning


@pytest.mark.parametrize(
    "geometry",
    [
        tomo.ParallelBeam(3, detector=7, pitch=0.5, offset=0.3),
        tomo.ParallelBeam(3, detector=(5, 7), pitch=(0.7, 0.5)),
        tomo.FanBeam(3, 7, 0.5, 20.0, 30.0, curved=True),
        tomo.ConeBeam(3, (5, 7), 0.5, 20.0, 30.0),
        tomo.rotate("x", 0.3) * tomo.ConeBeam(3, (5, 7), 0.5, 20.0, 30.0),
        tomo.scale([[1.0], [1.3], [0.7]]) * tomo.ConeBeam(3, (5, 7), 0.5, 20.0, 30.0),
    ],
    ids=["parallel", "stack", "curved fan", "cone", "tilted cone", "pitch per view"],
)
def test_binned_pixels_are_means_in_the_middle_of_their_blocks(geometry, rng):
    y = rng.standard_normal(geometry.shape)
    v = 2 if geometry.ndim == 3 else 1
    found, coarse = preprocessing.binned(y, geometry, u=3, v=v)
    expected = np.zeros((3, *((2,) if geometry.ndim == 3 else ()), 2))
    for place in np.ndindex(*expected.shape):
        block = (place[0], *(slice(2 * k, 2 * k + 2) for k in place[1:-1]))
        expected[place] = y[(*block, slice(3 * place[-1], 3 * place[-1] + 3))].mean()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert coarse.shape == found.shape
    assert type(coarse) is type(geometry)
    if geometry.frames.arc_centres is not None:  # positions along the arc
        middle = geometry.detector_coordinates[0][:6].reshape(2, 3).mean(axis=1)
        np.testing.assert_allclose(coarse.detector_coordinates[0], middle, atol=1e-12)
        return
    pixels = geometry.frames.pixels(geometry.detector_shape)
    middles = np.zeros((*expected.shape, geometry.ndim))
    for place in np.ndindex(*expected.shape):
        block = (place[0], *(slice(2 * k, 2 * k + 2) for k in place[1:-1]))
        cells = pixels[(*block, slice(3 * place[-1], 3 * place[-1] + 3))]
        middles[place] = cells.reshape(-1, geometry.ndim).mean(axis=0)
    np.testing.assert_allclose(coarse.frames.pixels(coarse.detector_shape), middles, atol=1e-9)


def test_images_are_binned_without_a_geometry():
    counts = np.arange(24, dtype=np.uint16).reshape(4, 6)
    np.testing.assert_array_equal(preprocessing.binned(counts, u=2, v=4), [[9.5, 11.5, 13.5]])
    np.testing.assert_array_equal(preprocessing.binned(counts), counts.reshape(4, 3, 2).mean(-1))
    deep = preprocessing.binned(np.ones((2, 4, 6), "float32"))
    assert deep.shape == (2, 2, 3)
    assert deep.dtype == np.float32


def test_cropping_is_indexing():
    geometry = tomo.ParallelBeam(8, detector=40).with_axis_at(21.0)
    y = tomo.phantoms.disc(6.0, 0.02).project(geometry)
    cut = geometry[:, 10:-5]
    np.testing.assert_allclose(tomo.phantoms.disc(6.0, 0.02).project(cut), y[:, 10:-5], atol=1e-7)


# A full turn


def test_a_full_turn_with_the_axis_aside_becomes_a_wide_half_turn():
    views, n, axis = 180, 70, 11.3
    angles = np.linspace(0, 2 * math.pi, views, endpoint=False)
    phantom = tomo.phantoms.shepp_logan(100.0)
    narrow = tomo.ParallelBeam(angles, detector=n).with_axis_at(axis)
    y = phantom.project(narrow)
    found, half, place = preprocessing.half_turn(y, angles, axis)
    np.testing.assert_allclose(half, angles[:90])
    assert found.dtype == np.float32
    wide = tomo.ParallelBeam(half, detector=found.shape[1]).with_axis_at(place)
    expected = phantom.project(wide)
    # At sharp edges of the mirrored half a spline is off; elsewhere next to nothing.
    assert np.abs(found - expected).mean() < 0.003 * expected.max()
    assert np.abs(found[:, -46:] - expected[:, -46:]).max() < 1e-6  # as measured
    A = tomo.XrayTransform(oa.Grid((110, 110)), wide)
    x = tomo.FBP(A, window="hann")(found)
    truth = tomo.FBP(A, window="hann")(expected)
    assert np.linalg.norm(x - truth) < 0.05 * np.linalg.norm(truth)
    # The other way round, the axis at the other edge: the mirror image.
    mirrored, _, other = preprocessing.half_turn(y[:, ::-1], -angles, n - 1 - axis)
    np.testing.assert_allclose(mirrored[:, ::-1], found, atol=1e-5)
    assert other == pytest.approx(found.shape[1] - 1 - place)


def test_whole_and_half_pixels_are_mirrored_without_interpolation(rng):
    angles = np.linspace(0, 2 * math.pi, 6, endpoint=False)
    y = rng.standard_normal((6, 2, 8))
    for axis in (2.0, 2.5, 3.5):
        found, _, place = preprocessing.half_turn(y, angles, axis)
        # In the part that only the opposite view saw: position s is seen at -s.
        new = round(place - axis)
        alone = np.arange(new)
        np.testing.assert_allclose(
            found[..., alone], y[3:][..., np.round(2 * place - new - alone).astype(int)], atol=1e-12
        )


def test_a_repeated_first_view_and_odd_numbers_of_views():
    phantom = tomo.phantoms.ellipse((20.0, 12.0), 0.02, (4.0, 3.0))
    for views in (90, 91):
        angles = np.linspace(0, 2 * math.pi, views, endpoint=False)
        closed = np.append(angles, 2 * math.pi)
        y = phantom.project(tomo.ParallelBeam(closed, detector=60))
        found = preprocessing.half_turn(y, closed, 29.5)
        again = preprocessing.half_turn(y[:-1], angles, 29.5)
        np.testing.assert_array_equal(found.projections, again.projections)
        assert found.projections.shape == ((views + 1) // 2, 60)
        expected = phantom.project(tomo.ParallelBeam(found.angles, detector=60))
        assert np.abs(found.projections - expected).mean() < 0.01 * expected.max()


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda y: preprocessing.remove_rings(y, 0), ArgumentError, "size must be a positive"),
        (lambda y: preprocessing.remove_zingers(y, size=4), ArgumentError, "size must be odd"),
        (lambda y: preprocessing.remove_zingers(y, kind="hot"), ArgumentError, "kind 'bright'"),
        (lambda y: preprocessing.remove_zingers(y, -1.0), ArgumentError, "threshold must be"),
        (lambda y: preprocessing.remove_rings_wavelet(y, 9), ArgumentError, "at most 2 levels"),
        (lambda y: preprocessing.remove_rings_wavelet(y, 1, 0.0), ArgumentError, "damping"),
        (
            lambda y: preprocessing.remove_rings_wavelet(y, 1, wavelet="db0"),
            ArgumentError,
            "wavelist",
        ),
        (lambda y: preprocessing.bad_pixels(y, size=2), ArgumentError, "size must be odd"),
        (
            lambda y: preprocessing.bad_pixels(y, np.ones(3)),
            ArgumentError,
            "of one shape|one shape",
        ),
        (lambda y: preprocessing.mend_pixels(y, np.ones(40, bool)), ArgumentError, "all pixels"),
        (lambda y: preprocessing.mend_pixels(y, np.zeros(40)), ArgumentError, "array of bool"),
        (lambda y: preprocessing.mend_pixels(y, np.zeros(9, bool)), ArgumentError, "last axes of"),
        (lambda y: preprocessing.binned(y, u=41), ArgumentError, "41 pixels cannot be joined"),
        (lambda y: preprocessing.binned(y, tomo.ParallelBeam(3, 4)), ArgumentError, "do not fit"),
        (
            lambda y: preprocessing.binned(y, tomo.ParallelBeam(36, 40), v=2),
            ArgumentError,
            "along v",
        ),
        (
            lambda y: preprocessing.half_turn(y, np.linspace(0, 3, 36), 9.0),
            ArgumentError,
            "full turn, they cover 17",
        ),
        (
            lambda y: preprocessing.half_turn(y, np.linspace(0, 6.1, 36) ** 2 / 6, 9.0),
            ArgumentError,
            "equal steps",
        ),
        (
            lambda y: preprocessing.half_turn(y, np.linspace(0, 6.2832, 36), 45.0),
            ArgumentError,
            "on the detector",
        ),
        (
            lambda y: preprocessing.half_turn(y, np.linspace(0, 6.2832, 35), 9.0),
            ArgumentError,
            "36 views need",
        ),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build(np.ones((36, 40)))


@pytest.mark.parametrize(
    "apply",
    [
        preprocessing.remove_rings,
        lambda y: preprocessing.remove_rings_wavelet(y, 1),
        preprocessing.remove_zingers,
        preprocessing.binned,
        lambda y: preprocessing.half_turn(y, np.linspace(0, 2 * np.pi, 36), 9.0),
        lambda y: preprocessing.mend_pixels(y, np.arange(40) == 3),
        lambda y: preprocessing.transmission(y, 2.0),
        preprocessing.line_integrals,
        lambda y: preprocessing.find_rotation_axis(y, np.linspace(0, 2 * np.pi, 36)),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_told(apply, value):
    y = np.ones((36, 40))
    y[5, 6] = value
    with pytest.raises(NonFiniteError, match="1 values"):
        apply(y)
