"""FDK along helices: values, weights of turns, what is refused and what is warned of."""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import AccuracyWarning, NotSupportedError
from opalg.testing import check_operator
from opalg.tomo.helical_back_projection import HelicalBackProjection
from opalg.tomo.helix import REACH, helix_of, turn_weights

CENTRE, RADIUS = (12.0, -9.0, 2.0), 16.0
DETECTOR = {"detector": (64, 120), "pitch": 1.75, "sod": 250.0, "sdd": 400.0}
HEIGHT = 64 * 1.75 * 250 / 400  # of the detector, at the axis: 70
GRID = oa.Grid((12, 56, 56), 1.1, origin=(2.0, 0.0, 0.0))


def helix(part, views=90, curved=False, turns=None):
    """Of a rise in a turn that is a part of the detector's height, of as many turns as the grid needs."""
    rise = part * HEIGHT
    needed = 2 * REACH + 16 / abs(rise)
    turns = max(3, math.ceil(needed)) if turns is None else turns
    return tomo.ConeBeam.helical(turns, rise, views, **DETECTOR, curved=curved)


def as_vectors(geometry):
    f = geometry.frames
    return tomo.ConeBeam.from_vectors(
        f.origins, f.centres, f.v_steps, f.u_steps, geometry.detector_shape
    )


def shaken(geometry):
    """As a calibration finds it: the source by a quarter of what is taken, the detector by more."""
    views = len(geometry)
    rng = np.random.default_rng(0)
    f = geometry.frames
    moved = tomo.ConeBeam.from_vectors(
        f.origins + rng.normal(0, 0.1, (views, 3)), f.centres, f.v_steps, f.u_steps, (64, 120)
    )
    return moved.shift_detector(u=rng.normal(0, 1.0, views), v=rng.normal(0, 1.0, views))


def clockwise(geometry):
    """The same heights, the other way round."""
    return tomo.reflect("x") * geometry


AXIS_AT = (-15.0, 8.0, 0.0)
WIDE = tomo.ConeBeam.helical(3, 20.0, 180, (64, 120), 1.75, 250.0, 400.0)
SCANS = {
    **{f"rise of {part:.0%} of the height": helix(part) for part in (0.1, 0.2, 0.4)},
    "sinking": helix(-0.3),
    "clockwise, rising": clockwise(helix(0.3)),
    "clockwise, sinking": clockwise(helix(-0.3)),
    "curved": helix(0.3, curved=True),
    "odd number of views": helix(0.3, views=77),
    "parts of a turn": helix(0.3, turns=3.37),
    "views per turn no integer": helix(0.3, turns=10 / 3)[::3],
    "vectors": as_vectors(helix(0.3)),
    "matrices": tomo.ConeBeam.from_matrices(helix(0.3).to_matrices(), (64, 120), sdd=400.0),
    "axis elsewhere": tomo.translate(*AXIS_AT) * (tomo.rotate("z", 1.0) * helix(0.2)),
    "jitter": shaken(helix(0.2)),
    "moved detector": WIDE.shift_detector(u=60.0),
}


def errors(geometry, grid=GRID, centre=CENTRE, radius=RADIUS, **options):
    y = tomo.phantoms.ball(radius, 0.02, centre).project(geometry)
    x = tomo.FDK(tomo.XrayTransform(grid, geometry), **options)(y)
    z, ys, xs = grid.coordinates
    away = np.hypot(ys[:, None] - centre[1], xs - centre[0])
    inside = np.hypot(away, z[:, None, None] - centre[2]) < radius - 4
    return x[inside] / 0.02 - 1


@pytest.mark.parametrize("scan", list(SCANS))
def test_a_ball_comes_back_with_its_value(scan):
    error = errors(SCANS[scan])
    assert np.abs(error).max() < 0.01
    assert abs(error.mean()) < 0.002


def test_slices_far_from_the_origin():
    """A volume and a body beside the axis, near the end of what is complete."""
    centre = (-20.0, 14.0, 40.0)
    grid = oa.Grid((10, 40, 40), 1.1, origin=(41.0, 15.0, -21.0))
    error = errors(helix(0.3, turns=7), grid, centre)
    assert np.abs(error).max() < 0.01
    assert abs(error.mean()) < 0.002


@pytest.mark.parametrize("views", [64, 90, 77])
def test_turns_share_the_weight(views):
    """At every angle the views of all turns together count once."""
    found = helix_of(helix(0.3, views=views, turns=4))
    heights = found.sector_heights
    for z in np.linspace(-10.0, 10.0, 23):
        by_angle = turn_weights(z - heights, found.pitch).reshape(4, views).sum(axis=0)
        np.testing.assert_allclose(by_angle, 1.0, atol=1e-9)
    # Views of a sector are not far from its middle.
    assert np.abs(heights - found.heights).max() < found.pitch / 32 * 0.51 + 1e-9
    np.testing.assert_allclose(found.view_weights, 2 * math.pi / views)


def test_back_projection_is_its_definition():
    geometry = as_vectors(tomo.ConeBeam.helical(3, 3.0, 7, (5, 6), 2.0, 20.0, 40.0))
    A = tomo.XrayTransform(oa.Grid((4, 5, 6), 1.1, "float64"), geometry)
    found = helix_of(geometry)
    B = HelicalBackProjection(A, found.sector_heights, found.pitch)
    y, expected = A.range.random(0), np.zeros((4, 5, 6))
    whole = tomo.VoxelBackProjection(A, weighted=True)
    for view, height in enumerate(found.sector_heights):
        only = np.zeros_like(y)
        only[view] = y[view]
        distances = A.domain.coordinates[0] - height
        expected += turn_weights(distances, 3.0)[:, None, None] * whole(only)
    np.testing.assert_allclose(B(y), expected, atol=1e-12)
    check_operator(B)
    limited = tomo.XrayTransform(A.domain, geometry, memory_limit=B.cost().bytes * 4 // 5)
    C = HelicalBackProjection(limited, found.sector_heights, found.pitch)
    assert C.cost().bytes < B.cost().bytes
    np.testing.assert_allclose(C(y), expected, atol=1e-12)
    np.testing.assert_allclose(C.H(expected), B.H(expected), atol=1e-12)


def test_a_filter_and_weights_of_ones_own():
    A = tomo.XrayTransform(GRID, helix(0.3))
    fdk, y = tomo.FDK(A), A.range.random(0)
    same = tomo.FDK(A, filter=tomo.RampFilter(A.range, 1.75), redundancy=np.full(120, 0.5))
    np.testing.assert_allclose(same(y), fdk(y), rtol=0, atol=1e-6 * np.abs(fdk(y)).max())


def test_what_is_no_helix():
    circle = tomo.ConeBeam(40, **DETECTOR)
    saddle = tomo.trajectories.saddle(40, 30.0, (64, 120), 1.75, 250.0, 400.0)
    order = np.random.default_rng(0).permutation(270)
    for other in (
        circle,
        as_vectors(circle),
        tomo.rotate("x", 0.3) * circle,
        saddle,
        helix(0.3)[order],
        tomo.rotate("x", 0.3) * helix(0.3),
        tomo.FanBeam(9, 9, 1.0, 20.0, 40.0),
    ):
        assert helix_of(other) is None
    found = helix_of(clockwise(helix(-0.3)))
    assert found.pitch == pytest.approx(21.0)
    assert found.sod == pytest.approx(250.0)


def test_too_low_a_detector_is_refused_with_numbers():
    """The largest rise that is named works, a little more does not."""
    wide = oa.Grid((2, 64, 64), 1.1)
    A = tomo.XrayTransform(wide, helix(0.9))
    words = r"rises by 63 in a turn.*needs \d+\.?\d* and has 110\.\d.*a rise of (\d+\.\d+)\. .*CGLS"
    with pytest.raises(NotSupportedError, match=words) as caught:
        tomo.FDK(A)
    largest = float(str(caught.value).split("rise of ")[1].split(". ")[0])
    tomo.FDK(tomo.XrayTransform(wide, helix(0.999 * largest / HEIGHT)))
    with pytest.raises(NotSupportedError, match="too low"):
        tomo.FDK(tomo.XrayTransform(wide, helix(1.001 * largest / HEIGHT)))
    beside = helix(0.3).shift_detector(v=60.0)  # sees nothing at the height of the source
    with pytest.raises(NotSupportedError, match=r"has 0, which is enough for a rise of 0\."):
        tomo.FDK(tomo.XrayTransform(wide, beside))


def test_slices_of_less_than_a_turn_are_told():
    scan = helix(0.3, turns=3)  # sources from -31.5 to 31.5
    tall = oa.Grid((60, 16, 16), 1.1)
    with pytest.warns(AccuracyWarning, match=r"from z = (-1\d\.\d+) to 1\d\.\d+ only") as caught:
        fdk = tomo.FDK(tomo.XrayTransform(tall, scan))
    words = str(caught[0].message).split()
    low, high = (float(words[i]) for i in (words.index("=") + 1, words.index("only,") - 1))
    assert caught[0].filename == __file__
    x = fdk(tomo.phantoms.cylinder(8.0, 200.0, 0.02).project(scan))
    values = x[:, 6:10, 6:10].mean(axis=(1, 2)) / 0.02
    (z, *_) = tall.coordinates
    complete = (z > low) & (z < high)
    assert np.abs(values[complete] - 1).max() < 0.01
    assert values[z < low - 6].max() < 0.95
    assert values[z > high + 6].max() < 0.95
    inside = oa.Grid((int((high - low) / 1.1), 16, 16), 1.1, origin=((high + low) / 2, 0, 0))
    tomo.FDK(tomo.XrayTransform(inside, scan))  # warnings are errors here
    with pytest.raises(NotSupportedError, match=r"needs 1\.28 turns or more .* got 1\.1"):
        tomo.FDK(tomo.XrayTransform(inside, helix(0.3, turns=1.2)))


def test_angles_that_are_left_out_are_told():
    """Of slices that need them only: those within reach of the sources that are missing."""
    whole = helix(0.3, turns=6)  # 90 views in a turn of 21 mm, from -63 mm on
    scan = tomo.trajectories.concatenate([whole[:270], whole[300:]])
    rise = 0.3 * HEIGHT
    low, high = -63.0 + 269.5 / 90 * rise - REACH * rise, -63.0 + 300.5 / 90 * rise + REACH * rise
    words = rf"leave out 124\.0 degrees at once.*from z = {low:.4g} to {high:.4g} "
    with pytest.warns(AccuracyWarning, match=words) as caught:
        tomo.FDK(tomo.XrayTransform(GRID, scan))
    assert caught[0].filename == __file__
    above = oa.Grid((4, 16, 16), 1.1, origin=(high + 4.0, 0, 0))
    tomo.FDK(tomo.XrayTransform(above, scan))  # warnings are errors here


def test_a_detector_that_does_not_stand_along_the_axis_is_refused():
    with pytest.raises(NotSupportedError, match="directions of columns"):
        tomo.FDK(tomo.XrayTransform(GRID, helix(0.3).rotate_detector(roll=0.1)))
