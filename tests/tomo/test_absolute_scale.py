"""The promise of the analytic methods: a ball of 0.02 / mm comes back as 0.02 / mm, in every geometry."""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import AccuracyWarning

CENTRE = (6.0, -9.0, 2.0)
RADIUS = 24.0
FAN = {"detector": 340, "pitch": 0.7, "sod": 250.0, "sdd": 400.0}
CONE = {"detector": (64, 120), "pitch": 1.75, "sod": 250.0, "sdd": 400.0}
SHORT = np.deg2rad(np.arange(0.0, 216.0, 1.0))  # half a turn plus the fan angle, 34 degrees
TWO_GAPS = np.deg2rad(np.r_[0.0:100.0, 120.0:180.0, 200.0:360.0])
TURN = np.linspace(0, 2 * math.pi, 400, endpoint=False)
# Of 119 (cone: 105) to either side. The ball reaches 35 from the axis, 57 on the detector: by 55 it is seen
# whole from both sides, by 80 only half a turn later, by 100 its middle is seen from one side only.
MOVED = {"angles": 360, "offset": 55.0}
FURTHER = {"angles": 360, "offset": 80.0}
FAR = {"angles": 360, "offset": -100.0}
WOBBLE = 0.5 * np.sin(np.arange(400))
UNEQUAL = np.sort(np.random.default_rng(0).uniform(0, math.pi, 1500))


def turned(geometry):
    """The same scan in another frame, given by vectors."""
    shift = (2.0, -3.0, 1.0)[: geometry.ndim]
    return tomo.translate(*shift) * (tomo.rotate("z", 0.3) * geometry)


def leaning(geometry):
    """Parallel rays on a detector that does not face them: neighbouring rays are nearer than pixels."""
    return geometry.rotate_detector(slant=0.4)


def zoomed(geometry, by=0.25):
    """Pixels whose width differs from view to view, and which run the other way in some."""
    frames = geometry.frames
    zoom = 1 + by * np.sin(np.linspace(0, 2 * math.pi, len(frames)))[:, None]
    zoom[::7] *= -1
    return geometry._of_frames(frames._with(u_steps=frames.u_steps * zoom), geometry.detector_shape)


def in_two_parts(angles, **options):
    first, second = angles[: len(angles) // 3], angles[len(angles) // 3 :]
    return tomo.trajectories.concatenate(
        [tomo.ParallelBeam(part, **options) for part in (first, second)]
    )


PARALLEL = {"detector": 200, "pitch": 0.7}
SCANS = {
    "parallel 2D": tomo.ParallelBeam(270, **PARALLEL),
    "parallel 2D, full turn": tomo.ParallelBeam(TURN, **PARALLEL, offset=5.3),
    # 15 to one side, 125 to the other.
    "parallel 2D, full turn, offset detector": tomo.ParallelBeam(TURN, **PARALLEL, offset=55.0),
    "parallel 2D, odd views, offset detector": tomo.ParallelBeam(
        np.linspace(0, 2 * math.pi, 401, endpoint=False), **PARALLEL, offset=-55.0
    ),
    "parallel 2D, unequal": tomo.ParallelBeam(UNEQUAL, **PARALLEL),
    "parallel 3D": tomo.ParallelBeam(270, detector=(50, 150), pitch=(1.3, 1.0)),
    "parallel 3D, fine": tomo.ParallelBeam(270, detector=(50, 200), pitch=(1.0, 0.7)),
    "parallel 3D, full turn, offset detector": tomo.ParallelBeam(
        TURN[::2], detector=(50, 150), pitch=(1.3, 1.0), offset=55.0
    ),
    "free parallel 2D": turned(tomo.ParallelBeam(270, **PARALLEL)),
    "free parallel 2D, unequal": turned(tomo.ParallelBeam(UNEQUAL, **PARALLEL)),
    "free parallel 2D, mirrored": tomo.reflect("x") * tomo.ParallelBeam(270, **PARALLEL),
    "free parallel 2D, leaning": leaning(tomo.ParallelBeam(270, **PARALLEL)),
    "free parallel 2D, two parts": in_two_parts(TURN[:200], **PARALLEL),
    "free parallel 2D, shifts per view": tomo.ParallelBeam(400, **PARALLEL).shift_detector(WOBBLE),
    "free parallel 2D, pitch per view": zoomed(tomo.ParallelBeam(400, **PARALLEL)),
    "free parallel 3D, pitch per view": zoomed(
        tomo.ParallelBeam(200, detector=(60, 150), pitch=(1.1, 1.0))
    ),
    "free parallel 2D, full turn, offset detector": turned(
        tomo.ParallelBeam(TURN, **PARALLEL, offset=55.0).shift_detector(WOBBLE)
    ),
    "free parallel 3D, tilted axis": tomo.rotate("x", 0.3)
    * tomo.ParallelBeam(180, detector=(60, 150), pitch=(1.3, 1.0)),
    "fan flat": tomo.FanBeam(400, **FAN),
    "fan curved": tomo.FanBeam(400, **FAN, curved=True),
    "fan flat, short scan (Parker)": tomo.FanBeam(SHORT, **FAN),
    "fan curved, short scan (Parker)": tomo.FanBeam(SHORT, **FAN, curved=True),
    "fan flat, two ranges missing, seen from the other side": tomo.FanBeam(TWO_GAPS, **FAN),
    "fan curved, two ranges missing, seen from the other side": turned(
        tomo.FanBeam(TWO_GAPS, **FAN, curved=True)
    ),
    "fan flat, clockwise": tomo.FanBeam(-TURN, **FAN),
    "fan flat, offset detector (Wang)": tomo.FanBeam(**FAN, **MOVED),
    "fan curved, offset detector (Wang)": tomo.FanBeam(**FAN, **MOVED, curved=True),
    "fan flat, offset detector, body beyond": tomo.FanBeam(**FAN, **FURTHER),
    "fan curved, offset detector, body beyond": tomo.FanBeam(**FAN, **FURTHER, curved=True),
    "fan flat, offset detector, far": tomo.FanBeam(**FAN, **FAR),
    "fan curved, offset detector, far": tomo.FanBeam(**FAN, **FAR, curved=True),
    "free fan flat, offset detector": turned(
        tomo.FanBeam(400, **FAN, offset=80.0).shift_detector(WOBBLE)
    ),
    "free fan flat, pitch per view": zoomed(tomo.FanBeam(400, **FAN)),
    "free fan flat, offset detector, pitch per view": zoomed(
        tomo.FanBeam(400, **FAN, offset=80.0), 0.1
    ),
    "free fan curved": turned(tomo.FanBeam(400, **FAN, curved=True)),
    "free fan curved, mirrored": tomo.reflect("x") * tomo.FanBeam(SHORT, **FAN, curved=True),
    "free fan curved, offset detector": turned(
        tomo.FanBeam(400, **FAN, curved=True, offset=80.0).shift_detector(WOBBLE)
    ),
    "cone flat": tomo.ConeBeam(180, **CONE),
    "cone curved": tomo.ConeBeam(180, **CONE, curved=True),
    "cone flat, short scan (Parker)": tomo.ConeBeam(SHORT, **CONE),
    "cone curved, short scan (Parker)": tomo.ConeBeam(SHORT, **CONE, curved=True),
    "cone flat, short scan, offset detector": tomo.ConeBeam(SHORT, **CONE, offset=10.0),
    "cone flat, offset detector, body beyond": tomo.ConeBeam(**CONE, **FURTHER),
    "cone curved, offset detector, body beyond": tomo.ConeBeam(**CONE, **FURTHER, curved=True),
    "free cone curved": turned(tomo.ConeBeam(180, **CONE, curved=True)),
    "free cone flat, pitch per view": zoomed(tomo.ConeBeam(180, **CONE)),
    "free cone flat, short scan, pitch per view": zoomed(tomo.ConeBeam(SHORT, **CONE), 0.1),
    "free cone flat, tilted axis": tomo.rotate((1.0, 1.0, 0.0), 0.05) * tomo.ConeBeam(180, **CONE),
}


@pytest.mark.parametrize("scan", list(SCANS))
def test_a_ball_comes_back_with_its_value(scan):
    check_values(SCANS[scan], CENTRE)


@pytest.mark.parametrize("moved", [0.8, 1.1, 2.5, -6.5, 20.0])
@pytest.mark.parametrize("kind", ["parallel", "fan", "curved fan"])
def test_up_to_the_longer_side_of_a_detector_moved_by_little(kind, moved):
    """The ball ends two columns before that end of the detector, which no column sees half a turn later."""
    if kind == "parallel":
        scan, reach = tomo.ParallelBeam(TURN, **PARALLEL, offset=moved), 70.0 + abs(moved)
    else:
        curved = kind == "curved fan"
        options = {"detector": 200, "pitch": 1.12, "sod": 250.0, "sdd": 400.0}
        scan = tomo.FanBeam(400, **options, offset=1.6 * moved, curved=curved)
        tangent = (112.0 + 1.6 * abs(moved)) / 400
        reach = 250.0 * math.sin(tangent if curved else math.atan(tangent))
    middle = reach - RADIUS - 1.4
    check_values(scan, (0.6 * middle, -0.8 * middle))


@pytest.mark.parametrize("window", ["cosine", "hann"])
@pytest.mark.parametrize("scan", ["parallel 2D", "free parallel 2D", "fan curved"])
def test_with_windows_of_a_part_of_the_band(scan, window):
    """Such as reach zero at its end, or the edge of the ball would ring."""
    check_values(SCANS[scan], CENTRE, window=window, frequency_scaling=0.7)


COARSE = {  # pitches in pixels and slices of 1.1
    "2D, every fifth column": tomo.ParallelBeam(270, **PARALLEL)[:, ::5],  # 3.2
    "2D, 4.1 pixels": tomo.ParallelBeam(360, detector=35, pitch=4.5),
    "3D, 1.3 slices": tomo.ParallelBeam(180, detector=(50, 130), pitch=(1.4, 1.1)),
    "3D, 2.5 slices": tomo.ParallelBeam(180, detector=(30, 130), pitch=(2.75, 1.1)),
    "3D, 4 slices": tomo.ParallelBeam(180, detector=(20, 130), pitch=(4.4, 1.1)),
}


@pytest.mark.parametrize("model", ["joseph", "siddon", "footprint"])
@pytest.mark.parametrize("scan", list(COARSE))
def test_rays_further_apart_than_pixels(scan, model):
    """Whose back projection, by lines that pass pixels by, leaves some of them out in all views."""
    check_values(COARSE[scan], CENTRE, model=model, edge=12.0)


@pytest.mark.parametrize("degrees", [190, 270, 350])
@pytest.mark.parametrize("kind", ["parallel", "fan", "cone"])
def test_a_moved_detector_in_less_than_a_full_turn(kind, degrees):
    """Right where both sides see the ball, and a warning, as beyond nothing could be."""
    least = 190 if kind == "parallel" else 217
    angles = np.deg2rad(np.arange(max(degrees, least)))
    scan = {
        "parallel": lambda: tomo.ParallelBeam(angles, **PARALLEL, offset=25.0),
        "fan": lambda: tomo.FanBeam(angles, **FAN, offset=40.0),
        "cone": lambda: tomo.ConeBeam(angles, **CONE, offset=30.0),
    }[kind]()
    with pytest.warns(AccuracyWarning, match="detector is moved to one side, and in less than"):
        check_values(scan, (3.0, -4.0, 1.0))


def test_a_moved_detector_in_almost_a_full_turn():
    """What the shorter side does not see counts whole where the longer one does: 20 of 360 degrees lack."""
    scan = tomo.ParallelBeam(np.deg2rad(np.arange(340.0)), **PARALLEL, offset=55.0)
    grid = oa.Grid((60, 60), 0.8, origin=CENTRE[1::-1])
    y = tomo.phantoms.disc(RADIUS, 0.02, CENTRE[:2]).project(scan)
    with pytest.warns(AccuracyWarning, match="detector is moved"):
        x = tomo.FBP(tomo.XrayTransform(grid, scan))(y)
    ys, xs = grid.coordinates
    inside = np.hypot(xs - CENTRE[0], ys[:, None] - CENTRE[1]) < RADIUS - 4
    assert abs(x[inside].mean() / 0.02 - 1) < 20 / 360


@pytest.mark.parametrize("degrees", [206, 216])
def test_with_the_weights_of_riess(degrees):
    """Ten degrees fewer than needed, of which the ball lacks none, and as many as are needed."""
    fan = tomo.FanBeam(np.deg2rad(np.arange(degrees)), **FAN)
    check_values(fan, CENTRE, redundancy="riess")


def check_values(geometry, centre, spacing=1.1, model="joseph", edge=4.0, **options):
    centre = centre[: geometry.ndim]
    n = round(2.4 * RADIUS / spacing)
    shape = (n, n) if geometry.ndim == 2 else (9, n, n)
    grid = oa.Grid(shape, spacing, origin=centre[::-1])
    ball = tomo.phantoms.ball if geometry.ndim == 3 else tomo.phantoms.disc
    y = ball(RADIUS, 0.02, centre).project(geometry)
    A = tomo.XrayTransform(grid, geometry, model=model)
    x = (tomo.FDK if isinstance(geometry, tomo.ConeBeam) else tomo.FBP)(A, **options)(y)
    away = [
        coordinates.reshape(-1, *[1] * (grid.ndim - 1 - axis)) - middle
        for axis, (coordinates, middle) in enumerate(
            zip(grid.coordinates, centre[::-1], strict=True)
        )
    ]
    inside = np.sqrt(sum(way**2 for way in away)) < RADIUS - edge
    error = x[inside] / 0.02 - 1
    # Every pixel of the interior to 1 %; their mean is much better, so that no factor can hide.
    assert np.abs(error).max() < 0.01
    assert abs(error.mean()) < 0.002
