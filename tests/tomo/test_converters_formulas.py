"""tomosipo and LEAP, by their documented formulas, typed in here."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from converter_balls import ANGLES, CONE, UP, agrees, turned

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo import converters

FLIP = slice(None, None, -1)
ACROSS = turned(ANGLES, (1, 0, 0))

# tomosipo: vectors (z, y, x). cone(angles, shape, size, src_orig_dist, src_det_dist): at angle 0 the source
# is at (0, -src_orig_dist, 0) of (x, y, z); parallel: ray_dir (0, 1, 0), both turned counter-clockwise.


def test_tomosipo_cone():
    steps = [UP, 0.8 * ACROSS]
    sources, centres = turned(ANGLES, (0, -200, 0)), turned(ANGLES, (0, 100, 0))
    theirs = {
        "shape": (101, 121), "src_pos": sources[:, FLIP], "det_pos": centres[:, FLIP],
        "det_v": steps[0][:, FLIP], "det_u": steps[1][:, FLIP],
    }  # fmt: skip
    ours = converters.from_tomosipo(theirs)
    assert ours.is_close(tomo.ConeBeam(ANGLES, **CONE), 1e-9)
    agrees(ours, sources, centres, steps)
    for name, value in converters.to_tomosipo(ours).items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-12)
    assert converters.to_tomosipo(tomo.FanBeam(4, 9, 1.0, 10.0, 20.0))["shape"] == (1, 9)
    # An object has their names; which kind it is its class says.
    values = {n: a for n, a in theirs.items() if n != "shape"} | {"det_shape": (101, 121)}
    cone = type("ConeVectorGeometry", (), values)()
    assert converters.from_tomosipo(cone) == ours


def test_tomosipo_parallel():
    rays = turned(ANGLES, (0, 1, 0))
    steps = [UP, 0.8 * ACROSS]
    theirs = {
        "shape": (101, 121), "ray_dir": rays[:, FLIP], "det_pos": 3.0 * UP[:, FLIP] + ACROSS[:, FLIP],
        "det_v": steps[0][:, FLIP], "det_u": steps[1][:, FLIP],
    }  # fmt: skip
    for given in (theirs, type("ParallelGeometry", (), theirs | {"det_shape": (101, 121)})()):
        agrees(converters.from_tomosipo(given), None, 3.0 * UP + ACROSS, steps, rays)
    ours = tomo.ParallelBeam(ANGLES, (101, 121), (1.0, 0.8), offset=(3.0, 1.0))
    for name, value in converters.to_tomosipo(ours).items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-12)


def test_tomosipo_refuses():
    theirs = converters.to_tomosipo(tomo.ConeBeam(4, (3, 5), 1.0, 10.0, 20.0))
    with pytest.raises(ArgumentError, match="no parameters size; known are det_pos, det_u"):
        converters.from_tomosipo({**theirs, "size": (1, 1)})
    with pytest.raises(ArgumentError, match="needs det_v"):
        converters.from_tomosipo({n: a for n, a in theirs.items() if n != "det_v"})
    with pytest.raises(ArgumentError, match="either src_pos"):
        converters.from_tomosipo({**theirs, "ray_dir": theirs["src_pos"]})
    with pytest.raises(ArgumentError, match="not a projection geometry"):
        converters.from_tomosipo(tomo.ParallelBeam(4))
    with pytest.raises(NotSupportedError, match="curved detector"):
        converters.to_tomosipo(tomo.FanBeam(4, 5, 1.0, 10.0, 20.0, curved=True))


def test_tomosipo_volume():
    # volume(shape, pos, size): a box of that size about pos, cut into shape cells; (z, y, x).
    expected = oa.Grid((2, 4, 6), (0.5, 0.5, 1.0), origin=(1.0, 2.0, 3.0))
    given = {"shape": (2, 4, 6), "pos": (1, 2, 3), "size": (1, 2, 6)}
    extent = {"shape": (2, 4, 6), "extent": ((0.5, 1.5), (1, 3), (0, 6))}
    volume = SimpleNamespace(shape=(2, 4, 6), pos=np.array([[1.0, 2, 3]]), size=(1.0, 2.0, 6.0))
    for theirs in (given, extent, volume):
        assert converters.grid_from_tomosipo(theirs) == expected
    assert converters.grid_from_tomosipo({"shape": 4}) == oa.Grid((4, 4, 4))
    with pytest.raises(ArgumentError, match="either extent"):
        converters.grid_from_tomosipo({**extent, "pos": 0.0})
    with pytest.raises(NotSupportedError, match="volume_vec"):
        converters.grid_from_tomosipo(type("VolumeVectorGeometry", (), {})())


# LEAP, set_conebeam: rays start at R theta - tau theta_perp + h (phi - middle) z and run along
# -theta + (s / sdd) theta_perp + (t / sdd) z, theta = (cos phi, sin phi), phi = phis - 90 degrees; s and t
# count pixels from centerCol and centerRow. tiltAngle turns the detector about the optical axis:
# u = (-sin phi cos tilt, cos phi cos tilt, sin tilt), v = (sin phi sin tilt, -cos phi sin tilt, cos tilt).

LEAP = {
    "numAngles": 4, "numRows": 101, "numCols": 121, "pixelHeight": 1.0, "pixelWidth": 0.8,
    "centerRow": 48.0, "centerCol": 63.0, "phis": np.rad2deg(ANGLES), "sod": 200.0, "sdd": 300.0,
}  # fmt: skip


def leap_vectors(tau=0.0, helicalPitch=0.0, tiltAngle=0.0, centerRow=48.0, centerCol=63.0):
    phi, tilt = ANGLES - math.pi / 2, np.deg2rad(tiltAngle)
    cos, sin, one = np.cos(phi), np.sin(phi), np.ones(4)
    theta, perp = np.stack([cos, sin, 0 * one], 1), np.stack([-sin, cos, 0 * one], 1)
    u = np.stack([-sin * np.cos(tilt), cos * np.cos(tilt), np.sin(tilt) * one], 1)
    v = np.stack([sin * np.sin(tilt), -cos * np.sin(tilt), np.cos(tilt) * one], 1)
    height = helicalPitch * (phi - (phi[0] + phi[-1]) / 2)
    sources = 200.0 * theta - tau * perp + height[:, None] * UP
    centres = sources - 300.0 * theta + (60 - centerCol) * 0.8 * u + (50 - centerRow) * v
    return sources, centres, [v, 0.8 * u]


@pytest.mark.parametrize(
    "more",
    [
        {}, {"tau": 5.0}, {"helicalPitch": 4.0}, {"tiltAngle": 10.0},
        {"tau": -3.0, "helicalPitch": -2.0, "tiltAngle": -20.0}, {"centerRow": 50.0, "centerCol": 60.0},
    ],
)  # fmt: skip
def test_leap_cone(more):
    ours = converters.from_leap({**LEAP, **more}, "conebeam")
    assert ours.regular == (more.keys() <= {"centerRow", "centerCol"})
    sources, centres, steps = leap_vectors(**more)
    agrees(ours, sources, centres, steps)
    modular = converters.to_leap(ours)
    np.testing.assert_allclose(modular["sourcePositions"], sources, atol=1e-9)
    np.testing.assert_allclose(modular["moduleCenters"], centres, atol=1e-9)
    np.testing.assert_allclose(modular["rowVectors"], steps[0], atol=1e-9)
    np.testing.assert_allclose(modular["colVectors"], steps[1] / 0.8, atol=1e-9)
    assert converters.from_leap(modular).is_close(ours, 1e-9)


def test_leap_modular():
    sources, centres, (v, u) = leap_vectors(tau=2.0, helicalPitch=3.0, tiltAngle=15.0)
    theirs = {n: LEAP[n] for n in ("numAngles", "numRows", "numCols", "pixelHeight", "pixelWidth")}
    vectors = {
        "sourcePositions": sources,
        "moduleCenters": centres,
        "rowVectors": v,
        "colVectors": u / 0.8,
    }
    agrees(converters.from_leap({**theirs, **vectors}), sources, centres, [v, u])
    # The names that they have in the library's C interface.
    older = {f"{name}_in": value for name, value in vectors.items()}
    agrees(converters.from_leap({**theirs, **older}), sources, centres, [v, u])


def test_leap_fan_and_parallel():
    fan = {**LEAP, "numRows": 1, "centerRow": 0.0, "tau": 4.0}
    sources, centres, (_, u) = leap_vectors(tau=4.0)
    ours = converters.from_leap(fan, "fanbeam")
    assert isinstance(ours, tomo.FanBeam)
    middle = centres - (50 - 48.0) * UP
    agrees(ours, sources[:, :2], middle[:, :2], [u[:, :2]])
    parallel = {n: a for n, a in LEAP.items() if n not in ("sod", "sdd")}
    theta = turned(ANGLES, (0, -1, 0))
    ours = converters.from_leap(parallel)
    assert isinstance(ours, tomo.ParallelBeam)
    place = (60 - 63) * 0.8 * ACROSS + (50 - 48) * UP
    agrees(ours, None, place, [UP, 0.8 * ACROSS], rays=-theta)
    back = converters.to_leap(ours)
    for name, value in parallel.items():
        np.testing.assert_allclose(back[name], value, atol=1e-12)
    fan = {n: a for n, a in fan.items() if n != "tau"}
    back = converters.to_leap(converters.from_leap(fan, "fanbeam"))
    for name in set(fan) - {"pixelHeight"}:  # of no consequence to one row
        np.testing.assert_allclose(back[name], fan[name], atol=1e-12)


def leap_columns(p, n, rows, columns):
    """A source of LEAP, and a pixel of its curved detector, a cylinder of radius sdd about the source.

    u = (k - centerCol) atan(pixelWidth / sdd) is an angle, v = (j - centerRow) pixelHeight.
    """
    phi = np.deg2rad(p["phis"]) - math.pi / 2
    height = p["helicalPitch"] * (phi[n] - (phi[0] + phi[-1]) / 2)
    theta = np.array([math.cos(phi[n]), math.sin(phi[n]), 0.0])
    perp = np.array([-math.sin(phi[n]), math.cos(phi[n]), 0.0])
    u = (columns - p["centerCol"]) * math.atan(p["pixelWidth"] / p["sdd"])
    v = (rows - p["centerRow"]) * p["pixelHeight"]
    source = p["sod"] * theta - p.get("tau", 0.0) * perp + [0, 0, height]
    return source, source - p["sdd"] * (math.cos(u) * theta - math.sin(u) * perp) + [0, 0, v]


def test_leap_curved():
    many = {**LEAP, "helicalPitch": 4.0, "tau": 3.0, "detectorType": "CURVED"}
    circle = {**LEAP, "helicalPitch": 0.0, "detectorType": "CURVED"}
    for theirs in (many, circle):
        ours = converters.from_leap(theirs, "conebeam")
        pixels = ours.frames.pixels((101, 121))
        for n, row, column in ((0, 0, 0), (2, 100, 10), (3, 30, 120)):
            source, place = leap_columns(theirs, n, row, column)
            np.testing.assert_allclose(ours.source_positions[n], source, atol=1e-9)
            np.testing.assert_allclose(pixels[n, row, column], place, atol=1e-9)
    # And back, from a circle and from a helix that is given by its vectors.
    helix = tomo.ConeBeam.helical(2, 12.0, 9, **CONE, curved=True).shift_detector(u=3.0, v=-2.0)
    for geometry in (converters.from_leap(circle), helix):
        back = converters.to_leap(geometry)
        assert back["detectorType"] == "CURVED"
        assert converters.from_leap(back).is_close(geometry, 1e-9)
        pixels = geometry.frames.pixels((101, 121))
        for n, row, column in ((0, 0, 0), (2, 100, 10), (3, 30, 120)):
            source, place = leap_columns(back, n, row, column)
            np.testing.assert_allclose(geometry.source_positions[n], source, atol=1e-9)
            np.testing.assert_allclose(pixels[n, row, column], place, atol=1e-9)
    with pytest.raises(NotSupportedError, match="z = 0"):
        converters.to_leap(tomo.translate(z=5.0) * helix)
    with pytest.raises(NotSupportedError, match="about the z axis"):
        converters.to_leap(tomo.rotate("x", 0.2) * helix)
    with pytest.raises(NotSupportedError, match="tiltAngle"):
        converters.from_leap({**circle, "tiltAngle": 5.0})
    with pytest.raises(ArgumentError, match="detectorType must be"):
        converters.from_leap({**circle, "detectorType": "BENT"})


def test_leap_takes_vectors():
    """Parallel beams that turn about z; fans as modular beams of one row, or as fans if they turn rigidly."""
    beam = tomo.ParallelBeam(ANGLES, (101, 121), (1.0, 0.8), offset=(2.0, 3.0))
    trip = converters.from_tomosipo(converters.to_tomosipo(beam))
    for name, value in converters.to_leap(beam).items():
        np.testing.assert_allclose(converters.to_leap(trip)[name], value, atol=1e-9)
    flat = converters.to_leap(tomo.ParallelBeam(ANGLES, 121, 0.8, offset=3.0))
    assert (flat["numRows"], flat["numCols"]) == (1, 121)
    fan = tomo.FanBeam(ANGLES, 121, 0.8, 200.0, 300.0, offset=3.0)
    turned_fan = tomo.rotate("z", 0.1) * fan
    back = converters.from_leap(converters.to_leap(turned_fan), "fanbeam")
    assert back.is_close(turned_fan, 1e-9)
    moved = tomo.translate(x=5.0) * fan
    modular = converters.to_leap(moved)
    assert modular["numRows"] == 1
    for name, expected in (
        ("sourcePositions", moved.source_positions),
        ("moduleCenters", moved.detector_positions),
    ):
        np.testing.assert_allclose(modular[name], np.pad(expected, ((0, 0), (0, 1))))
    np.testing.assert_allclose(
        modular["colVectors"][:, :2] * modular["pixelWidth"], moved.frames.u_steps
    )


def test_leap_refuses():
    with pytest.raises(ArgumentError, match="say kind='conebeam' or kind='fanbeam'"):
        converters.from_leap(LEAP)
    with pytest.raises(ArgumentError, match="no parameters tau; known are centerCol"):
        converters.from_leap({**LEAP, "tau": 1.0, "sod": None, "sdd": None}, "parallelbeam")
    with pytest.raises(ArgumentError, match="no parameters helicalPitch"):
        converters.from_leap({**LEAP, "numRows": 1, "helicalPitch": 1.0}, "fanbeam")
    with pytest.raises(ArgumentError, match="needs sdd"):
        converters.from_leap({**LEAP, "sdd": None}, "conebeam")
    with pytest.raises(ArgumentError, match="numAngles is 5"):
        converters.from_leap({**LEAP, "numAngles": 5}, "conebeam")
    with pytest.raises(NotSupportedError, match="numRows=101"):
        converters.from_leap(LEAP, "fanbeam")
    with pytest.raises(NotSupportedError, match="pitchAngle"):
        converters.from_leap({**LEAP, "pitchAngle": 1.0})
    with pytest.raises(NotSupportedError, match="'coneparallel'"):
        converters.from_leap(LEAP, "coneparallel")
    skewed = tomo.ConeBeam.from_vectors(
        [[0, -9, 0]], [[0, 9, 0]], [[0.2, 0, 1]], [[1, 0, 0]], (3, 3)
    )
    with pytest.raises(NotSupportedError, match="perpendicular"):
        converters.to_leap(skewed)
    with pytest.raises(NotSupportedError, match="fans have flat detectors"):
        converters.to_leap(tomo.FanBeam(4, 5, 1.0, 10.0, 20.0, curved=True))
    with pytest.raises(NotSupportedError, match="about the z axis"):
        converters.to_leap(tomo.rotate("x", 0.3) * tomo.ParallelBeam(4, (3, 5)))


def test_leap_volume():
    # x[i] = voxelWidth (i - (numX - 1) / 2) + offsetX, and so on.
    theirs = {
        "numX": 4, "numY": 5, "numZ": 6, "voxelWidth": 0.5, "voxelHeight": 2.0, "offsetX": 1.0,
        "offsetY": -2.0, "offsetZ": 3.0,
    }  # fmt: skip
    z, y, x = converters.grid_from_leap(theirs).coordinates
    np.testing.assert_allclose(x, 0.5 * (np.arange(4) - 1.5) + 1.0)
    np.testing.assert_allclose(y, 0.5 * (np.arange(5) - 2.0) - 2.0)
    np.testing.assert_allclose(z, 2.0 * (np.arange(6) - 2.5) + 3.0)
    with pytest.raises(ArgumentError, match="no parameters offsetW"):
        converters.grid_from_leap({**theirs, "offsetW": 1.0})
