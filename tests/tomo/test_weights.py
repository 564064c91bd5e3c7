"""Cosine and redundancy weights against their definitions."""

import math
import warnings

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError
from opalg.tomo.redundancy import fitting_weights

FAN = {"detector": 61, "pitch": 1.5, "sod": 100.0, "sdd": 150.0}
CONE = {**FAN, "detector": (5, 61)}
HALF_FAN = math.atan(45.0 / 150.0)


def conjugate_sums(scan, weights):
    """Weight of every ray plus that of its conjugate, where both were measured or only the ray."""
    beta, u = scan.angles, scan.detector_coordinates[-1]
    gamma = u / scan.sdd if scan.curved else np.arctan(u / scan.sdd)
    rows = weights.reshape(len(weights), -1) * np.ones((len(beta), 1))
    sums = []
    for i in range(6, len(gamma) - 6):  # further out the overlap may be no wider than a few views
        mirrored = rows[:, len(gamma) - 1 - i]  # at -gamma
        for turn in (math.pi, -math.pi):
            other = beta + turn - 2 * gamma[i]
            inside = (other >= beta[0]) & (other <= beta[-1])
            found = np.interp(other[inside], beta, mirrored)
            sums.append(rows[inside, i] + found)
    return np.concatenate(sums)


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("extra", [0.0, 0.3, 1.5])
def test_parker_weights_share_every_line(curved, extra):
    length = math.pi + 2 * (45.0 / 150.0 if curved else HALF_FAN) + extra
    scan = tomo.FanBeam(np.linspace(0.4, 0.4 + length, 400), **FAN, curved=curved)
    w = tomo.weights.parker(scan)
    assert w.shape == (400, 61)
    assert 0 <= w.min() <= w.max() <= 1
    # Interpolation between views is exact to the square of their distance over the overlap's width.
    np.testing.assert_allclose(conjugate_sums(scan, w), 1.0, atol=5e-3)
    if not extra:  # a line that was measured once has all its weight: in the middle view, say
        np.testing.assert_allclose(w[200], 1.0)


def test_clockwise_scans_have_the_same_weights():
    angles = np.deg2rad(np.arange(0, 230))
    there, back = tomo.FanBeam(angles, **FAN), tomo.FanBeam(angles[::-1], **FAN)
    np.testing.assert_allclose(
        tomo.weights.parker(back), tomo.weights.parker(there)[::-1], atol=1e-12
    )
    turned = tomo.FanBeam(angles + 6.0, **FAN)
    np.testing.assert_allclose(tomo.weights.parker(turned), tomo.weights.parker(there), atol=1e-6)


def test_weights_of_cones_are_those_of_fans_in_every_row():
    angles = np.deg2rad(np.arange(0, 230))
    cone, fan = tomo.ConeBeam(angles, **CONE), tomo.FanBeam(angles, **FAN)
    for function in (tomo.weights.parker, tomo.weights.riess):
        assert function(cone).shape == (230, 1, 61)
        np.testing.assert_array_equal(function(cone)[:, 0], function(fan))
    free = tomo.rotate("z", 0.5) * cone
    np.testing.assert_allclose(tomo.weights.parker(free), tomo.weights.parker(cone), atol=1e-6)


def test_riess_weights():
    long = tomo.FanBeam(np.deg2rad(np.arange(0, 225)), **FAN)
    np.testing.assert_array_equal(tomo.weights.riess(long), tomo.weights.parker(long))
    short = tomo.FanBeam(np.deg2rad(np.arange(0, 191)), **FAN)
    w = tomo.weights.riess(short)
    assert w.shape == (191, 61)
    assert 0 <= w.min() < 0.01
    assert 1.9 < w.max() <= 2.0
    # Rays beside the missing ones count twice: at the start those of falling u, at the end of rising u.
    assert w[0, 0] == pytest.approx(2.0)
    assert w[-1, -1] == pytest.approx(2.0)
    # The angle counted in sum is half a turn in the middle column, as if nothing were missing.
    np.testing.assert_allclose(w[:, 30].sum(), 180.0, rtol=1e-2)
    with pytest.raises(ArgumentError, match=r"need half a turn or more.*90\.0 degrees"):
        tomo.weights.riess(tomo.FanBeam(np.deg2rad(np.arange(0, 91)), **FAN))
    with pytest.raises(ArgumentError, match="degrees are missing"):
        tomo.weights.parker(short)


def test_weights_of_moved_and_turned_scans_are_those_of_regular_ones():
    for curved in (False, True):
        for scan in (
            tomo.FanBeam(np.deg2rad(np.arange(0, 230)), **FAN, curved=curved, offset=3.0),
            tomo.ConeBeam(np.deg2rad(np.arange(0, 230)), **CONE, curved=curved, offset=-3.0),
        ):
            free = tomo.translate(*(4.0, -7.0, 2.0)[: scan.ndim]) * (tomo.rotate("z", 0.5) * scan)
            for function in (tomo.weights.parker, tomo.weights.riess, tomo.weights.cosine):
                np.testing.assert_allclose(function(free), function(scan), atol=1e-6)


def test_wang_weights_of_parallel_rays_and_of_shifts_per_view():
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    scan = tomo.ParallelBeam(turn, 61, 1.5, offset=20.0)
    w, u = tomo.weights.wang(scan), scan.detector_coordinates[0]
    assert w.shape == (1, 61)
    np.testing.assert_allclose(w[0] + np.interp(-u, u, w[0], left=0.0, right=0.0), 1, atol=2e-3)
    free = tomo.translate(3.0, 5.0) * (tomo.rotate("z", 0.7) * scan)
    np.testing.assert_allclose(tomo.weights.wang(free), w, atol=1e-9)
    with pytest.raises(ArgumentError, match="not a full turn"):
        tomo.weights.wang(tomo.ParallelBeam(36, 61, 1.5, offset=20.0))
    fan = tomo.FanBeam(36, **FAN, offset=20.0)
    shifts = np.where(np.arange(36) % 2, 1.5, 0.0)  # one pixel, so that rows are shifted alike
    shifted = tomo.weights.wang(fan.shift_detector(u=shifts))
    assert shifted.shape == (36, 61)
    # The overlap is what all views have in common, and that of the views that were not shifted is smaller.
    short = tomo.weights.wang(tomo.FanBeam(36, **FAN, offset=21.5))[0]
    np.testing.assert_allclose(shifted[1], short, atol=1e-9)
    np.testing.assert_allclose(shifted[0, 1:], short[:-1], atol=1e-9)


@pytest.mark.parametrize("offset", [-20.0, 20.0])
@pytest.mark.parametrize("curved", [False, True])
def test_wang_weights(offset, curved):
    scan = tomo.FanBeam(36, **FAN, offset=offset, curved=curved)
    w = tomo.weights.wang(scan)[0]
    u = scan.detector_coordinates[0]
    # Columns mirrored about the axis share; others have all or, on the far side, are not there.
    np.testing.assert_allclose(w + np.interp(-u, u, w, left=0.0, right=0.0), 1.0, atol=2e-3)
    np.testing.assert_allclose(w[np.abs(u) > 25.1], 1.0)
    assert (np.diff(w) * np.sign(offset) >= 0).all()
    with pytest.raises(ArgumentError, match="not a full turn"):
        tomo.weights.wang(tomo.FanBeam(np.deg2rad(np.arange(230)), **FAN))
    with pytest.raises(ArgumentError, match="must see the rotation axis"):
        tomo.weights.wang(tomo.FanBeam(36, **FAN, offset=80.0))


def test_cosine_weights_are_cosines_of_the_central_ray():
    for curved in (False, True):
        cone = tomo.ConeBeam([0.3], **CONE, curved=curved, offset=(2.0, -3.0))
        directions = cone.rays()[1]
        ahead = np.array([-math.sin(0.3), math.cos(0.3), 0.0])
        np.testing.assert_allclose(tomo.weights.cosine(cone), directions @ ahead, atol=1e-14)
        fan = tomo.FanBeam([0.3], **FAN, curved=curved)
        np.testing.assert_allclose(tomo.weights.cosine(fan), fan.rays()[1] @ ahead[:2], atol=1e-14)
    np.testing.assert_allclose(
        tomo.weights.cosine(tomo.rotate("x", 0.4) * tomo.ConeBeam(7, **CONE)),
        tomo.weights.cosine(tomo.ConeBeam(7, **CONE)),
        atol=1e-12,
    )


def test_the_weights_that_fit_a_scan_are_chosen():
    def choice(scan):
        return tomo.FBP(tomo.XrayTransform(oa.Grid((8, 8)), scan))

    def named(scan, name):
        return tomo.FBP(tomo.XrayTransform(oa.Grid((8, 8)), scan), redundancy=name)

    y = tomo.FanBeam(40, **FAN).space().random(0)
    for scan, name in (
        (tomo.FanBeam(40, **FAN), "full turn"),
        (tomo.FanBeam(40, **FAN, offset=25.0), "wang"),
        (tomo.FanBeam(np.linspace(0, 4.0, 40), **FAN), "parker"),
    ):
        np.testing.assert_array_equal(choice(scan)(y), named(scan, name)(y))
    # Moved by little: one half in the middle, and every line has its weight.
    moved = tomo.FanBeam(40, **FAN, offset=0.8)
    w, missing = fitting_weights(moved)
    u = moved.detector_coordinates[0]
    assert not missing
    np.testing.assert_allclose(w[0] + np.interp(-u, u, w[0], left=0.0, right=0.0), 1.0, atol=2e-2)
    assert (w[0, 10:-11] == 0.5).all()
    assert w[0, 0] < 0.02
    assert w[0, -1] == 1.0
    equal, _ = fitting_weights(tomo.FanBeam(40, **FAN, offset=0.4))
    assert (equal == 0.5).all()
    short = tomo.FanBeam(np.linspace(0, 3.3, 40), **FAN)
    with pytest.warns(AccuracyWarning, match=r"views lack 2\d\.\d degrees"):
        found = choice(short)
    np.testing.assert_array_equal(found(y), named(short, "riess")(y))
    with pytest.warns(AccuracyWarning):
        limited = choice(tomo.FanBeam(np.linspace(0, 1.5, 40), **FAN))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ones = named(tomo.FanBeam(np.linspace(0, 1.5, 40), **FAN), np.ones(1))
    np.testing.assert_array_equal(limited(y), ones(y))


def shared_by_conjugates(scan, weights):
    """For every ray its weight plus that of its conjugate, interpolated, and whether that was measured."""
    beta, step = scan.angles, np.deg2rad(1.0)
    gamma = np.arctan(scan.detector_coordinates[0] / scan.sdd)
    sums, twice = weights.copy(), np.zeros(scan.shape, bool)
    for i, mirrored in enumerate(weights.T[::-1]):  # at -gamma
        other = beta + math.pi - 2 * gamma[i]
        after = np.mod(other[:, None] - beta, 2 * math.pi)
        before, share = after.argmin(axis=1), after.min(axis=1) / step
        twice[:, i] = share + np.mod(-after, 2 * math.pi).min(axis=1) / step < 1.01
        found = (1 - share) * mirrored[before] + share * mirrored[(before + 1) % len(beta)]
        sums[twice[:, i], i] += found[twice[:, i]]
    return sums, twice


@pytest.mark.parametrize(
    "degrees", [np.r_[0.0:100, 120.0:180, 200.0:360], np.r_[0.0:40, 60.0:100, 110.0:340, 350.0:360]]
)
def test_several_missing_ranges_that_are_seen_from_the_other_side(degrees):
    scan = tomo.FanBeam(np.deg2rad(degrees), **FAN)
    w, missing = fitting_weights(scan)
    assert not missing
    sums, twice = shared_by_conjugates(scan, w)
    np.testing.assert_array_equal(w[~twice], 1.0)
    # Interpolation between views a degree apart, over the ten in which weights fade.
    np.testing.assert_allclose(sums[twice], 1.0, atol=2e-2)


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        # Of 360 degrees, at some fan angle all that both gaps share.
        (tomo.FanBeam(np.deg2rad(np.r_[0.0:90, 180.0:270]), **FAN), r"of which 180\.0 degrees are"),
        (tomo.FanBeam(np.deg2rad(np.r_[0.0:100, 130.0:271]), **FAN), r"of which 60\.0 degrees are"),
        (tomo.FanBeam(np.deg2rad(np.r_[0.0:110, 118.0:222]), **FAN), r"of which 16\.0 degrees are"),
        (tomo.ParallelBeam(np.deg2rad(np.r_[0.0:60, 90.0:150]), 61), r"lack 62\.0 degrees of half"),
    ],
)
def test_several_missing_ranges_that_nobody_saw(scan, words):
    A = tomo.XrayTransform(oa.Grid((8, 8)), scan)
    with pytest.warns(AccuracyWarning, match=words):
        tomo.FBP(A)


def test_ranges_that_nobody_saw_are_left_to_their_neighbours():
    """The weights are those of the scan as if they were there, not of a full turn."""
    degrees = np.r_[0.0:271.0]
    there = (degrees < 100) | (degrees >= 130)
    scan = tomo.FanBeam(np.deg2rad(degrees), **FAN)
    found, _ = fitting_weights(scan[there])
    np.testing.assert_allclose(found, tomo.weights.parker(scan)[there], atol=1e-12)


@pytest.mark.parametrize("step", [1.0, 0.1])
def test_gaps_between_views_in_groups_are_no_missing_ranges(step):
    rng = np.random.default_rng(0)
    groups = np.arange(0.0, 180.0, step)[:, None] + 1e-3 * rng.uniform(size=5)
    for angles in (groups.ravel(), rng.uniform(0, 180, 300), np.r_[0.0:90.0, 90.0:180.0:step]):
        scan = tomo.ParallelBeam(np.deg2rad(angles), 61)
        assert not fitting_weights(scan)[1]


@pytest.mark.parametrize(("offset", "quiet"), [(3.0, True), (5.0, False)])
def test_ordinary_misalignment_is_no_moved_detector(offset, quiet):
    """Sides of 42.5 and 48.5 differ by less than a tenth of the whole."""
    for scan in (
        tomo.ParallelBeam(60, 61, 1.5, offset=offset),
        tomo.FanBeam(np.deg2rad(np.arange(0.0, 230)), **FAN, offset=offset),
    ):
        assert (fitting_weights(scan)[1] == "") == quiet


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (
            lambda: tomo.weights.parker(tomo.ParallelBeam(4)),
            NotSupportedError,
            "FanBeam and ConeBeam",
        ),
        (
            lambda: tomo.weights.cosine(tomo.ConeBeam.helical(1, 20.0, 12, **CONE)),
            NotSupportedError,
            "heights of the source",
        ),
        (
            lambda: tomo.weights.cosine(
                tomo.translate(x=[0.0, 30.0, 0.0, 5.0]) * tomo.FanBeam(4, **FAN)
            ),
            NotSupportedError,
            "sources on a circle",
        ),
        (
            lambda: tomo.weights.cosine(
                tomo.FanBeam(9, **FAN, curved=True).rotate_detector(slant=0.1)
            ),
            NotSupportedError,
            "from the source to the arc's centre",
        ),
        (
            lambda: tomo.weights.cosine(
                tomo.rotate("z", 0.1) * tomo.FanBeam(2, **FAN, curved=True)
            ),
            NotSupportedError,
            "no circle can be told",
        ),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()
