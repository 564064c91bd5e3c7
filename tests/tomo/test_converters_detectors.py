"""Detectors on the axis, or inside the object: lines of other packages do not end there."""

import numpy as np
import pytest
from converter_balls import turned

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError
from opalg.tomo import converters

TURN = np.arange(6) * (np.pi / 3)
BODY = tomo.phantoms.disc(6.0, centre=(10.0, 8.0))
BALL, RADIUS = np.array([10.0, 8.0, 3.0]), 6.0
# In every view it is about 13 from the axis, in half of them behind it.
PLACES = (-5.0, 0.0, 5.0)
UP = np.tile([0.0, 0.0, 1.0], (6, 1))
ACROSS = turned(TURN, (1, 0, 0))
SHAPE = (32, 48)


def whole_lines(sources, centres, v, u):
    """Integrals over a ball of the lines from sources through pixels, shape (views, *SHAPE)."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in SHAPE)
    pixels = centres[:, None, None] + columns[:, None] * u[:, None, None]
    pixels = pixels + rows[:, None, None] * v[:, None, None]
    ways = pixels - sources[:, None, None]
    ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
    miss = np.linalg.norm(np.cross(BALL - sources[:, None, None], ways), axis=-1)
    return 2 * np.sqrt(np.maximum(RADIUS**2 - miss**2, 0.0))


def vectors(beyond):
    return turned(TURN, (0, -100, 0)), turned(TURN, (0, beyond, 0)), UP, ACROSS


def of_astra(beyond):
    return converters.from_astra(
        {
            "type": "cone", "DetectorRowCount": 32, "DetectorColCount": 48, "DetectorSpacingX": 1.0,
            "DetectorSpacingY": 1.0, "ProjectionAngles": TURN, "DistanceOriginSource": 100.0,
            "DistanceOriginDetector": beyond,
        }
    )  # fmt: skip


def of_astra_vectors(beyond):
    s, d, v, u = vectors(beyond)
    together = np.concatenate([s, d, u, v], axis=1)
    return converters.from_astra(
        {
            "type": "cone_vec",
            "DetectorRowCount": 32,
            "DetectorColCount": 48,
            "Vectors": together,
        }
    )


def of_tomosipo(beyond):
    s, d, v, u = (a[:, ::-1] for a in vectors(beyond))
    return converters.from_tomosipo(
        {"shape": SHAPE, "src_pos": s, "det_pos": d, "det_v": v, "det_u": u}
    )


LEAP = {"numAngles": 6, "numRows": 32, "numCols": 48, "pixelHeight": 1.0, "pixelWidth": 1.0}


def of_leap(beyond):
    distances = {"phis": np.rad2deg(TURN), "sod": 100.0, "sdd": 100.0 + beyond}
    return converters.from_leap({**LEAP, **distances}, "conebeam")


def of_leap_with_tau(beyond):
    """tau and back by the volume's motion: the general way through the setter's arguments."""
    distances = {"phis": np.rad2deg(TURN), "sod": 100.0, "sdd": 100.0 + beyond, "tau": 2.0}
    moved = converters.from_leap({**LEAP, **distances}, "conebeam")
    return tomo.translate(2 * np.cos(TURN), 2 * np.sin(TURN)) * moved


def of_leap_modular(beyond):
    s, d, v, u = vectors(beyond)
    named = {"sourcePositions": s, "moduleCenters": d, "rowVectors": v, "colVectors": u}
    return converters.from_leap({**LEAP, **named})


def of_tigre(beyond, **more):
    theirs = {"DSO": 100.0, "DSD": 100.0 + beyond, "nDetector": SHAPE, "dDetector": (1.0, 1.0)}
    return converters.from_tigre({**theirs, **more}, TURN - np.pi / 2)


def of_tigre_per_view(beyond):
    return of_tigre(beyond, COR=np.zeros(6), DSO=100.0 + 1e-9 * np.arange(6))


CONES = [
    of_astra, of_astra_vectors, of_tomosipo, of_leap, of_leap_with_tau, of_leap_modular, of_tigre,
    of_tigre_per_view,
]  # fmt: skip


@pytest.mark.parametrize("beyond", PLACES)
@pytest.mark.parametrize("converted", CONES)
def test_a_ball_behind_the_detector(converted, beyond):
    ours = converted(beyond)
    expected = whole_lines(*vectors(beyond))
    assert (expected.max(axis=(1, 2)) > 11.5).all()  # seen in all views
    y = tomo.phantoms.ball(RADIUS, centre=BALL.tolist()).project(ours, "float64")
    # Of a ray that touches the ball an error of 1e-9 in its place gives the root of that.
    np.testing.assert_allclose(y, expected, atol=1e-3)
    lengths = np.linalg.norm(ours.detector_positions - ours.source_positions, axis=1)
    assert (lengths > 2 * 100.0 - 1e-6).all()


@pytest.mark.parametrize("beyond", PLACES)
def test_pyronn(beyond):
    """Rows and columns run the other way; its range turns clockwise."""
    theirs = {
        "detector_shape": SHAPE, "detector_spacing": (1.0, 1.0), "number_of_projections": 6,
        "angular_range": [np.pi / 2, -1.5 * np.pi], "source_isocenter_distance": 100.0,
        "source_detector_distance": 100.0 + beyond, "swap_detector_axis": False,
    }  # fmt: skip
    ours = converters.from_pyronn("cone_3d", theirs)
    y = tomo.phantoms.ball(RADIUS, centre=BALL.tolist()).project(ours, "float64")
    np.testing.assert_allclose(y[:, ::-1, ::-1], whole_lines(*vectors(beyond)), atol=1e-3)
    matrices = {**theirs, "trajectory": ours.to_matrices()}
    assert converters.from_pyronn("cone_3d", matrices).is_close(ours, 1e-6)
    row = {**theirs, "detector_shape": [48], "detector_spacing": [1.0]}
    row["angular_range"] = 2 * np.pi
    fan = BODY.project(converters.from_pyronn("fan_2d", row), "float64")
    assert (fan.max(axis=1) > 11.5).all()


@pytest.mark.parametrize("beyond", PLACES)
def test_astra_itself(beyond):
    """`line_fanflat` of ASTRA's own geometry; sums over a view, whose error is that of its strips."""
    astra = pytest.importorskip("astra")
    grid = oa.Grid((64, 64))
    image = BODY.sample(grid)
    theirs = astra.create_proj_geom("fanflat", 1.0, 64, TURN, 100.0, beyond)
    for given in (theirs, astra.geom_2vec(theirs)):
        projector = astra.create_projector("line_fanflat", given, astra.create_vol_geom(64, 64))
        number, expected = astra.create_sino(image[::-1].copy(), projector)
        astra.data2d.delete(number)
        astra.projector.delete(projector)
        ours = tomo.XrayTransform(grid, converters.from_astra(given), model="siddon")(image)
        np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_odl_itself():
    """`det_radius=0`, projected by ODL; its pixels are lines of ASTRA's, too."""
    odl = pytest.importorskip("odl")
    theirs = pytest.importorskip("odl.applications.tomo")
    views = odl.nonuniform_partition(TURN)
    row = odl.uniform_partition(-32.0, 32.0, 64)
    geometry = theirs.FanBeamGeometry(views, row, src_radius=100.0, det_radius=0.0)
    grid = oa.Grid((64, 64))
    image = BODY.sample(grid)
    space = odl.uniform_discr([-32.0, -32.0], [32.0, 32.0], (64, 64), dtype="float32")
    transform = theirs.RayTransform(space, geometry, impl="astra_cpu")
    expected = np.asarray(transform(space.element(image.T.copy())).asarray())
    ours = tomo.XrayTransform(grid, converters.from_odl(geometry), model="siddon")(image)
    np.testing.assert_allclose(ours.sum(axis=1), expected.sum(axis=1), rtol=0.02)


def test_arcs_move_as_a_whole():
    odl = pytest.importorskip("odl")
    theirs = pytest.importorskip("odl.applications.tomo")
    arc = odl.uniform_partition(-0.3, 0.3, 48)
    views = odl.nonuniform_partition(TURN)
    near = theirs.FanBeamGeometry(views, arc, 100.0, 0.0, det_curvature_radius=100.0)
    expected = tomo.FanBeam(TURN, 48, 0.6 / 48 * 200, sod=100.0, sdd=200.0, curved=True)
    assert converters.from_odl(near).is_close(expected, 1e-9)


def test_scanners_keep_their_detector():
    """One that stands farther from the axis than the square about what it sees is where it was said to be."""
    for sod, sdd, pixels in ((410.66, 553.74, 560), (1000.0, 1536.0, 512), (595.0, 1085.0, 500)):
        fan = tomo.FanBeam(8, pixels, 0.2, sod, sdd)
        views, _ = fan.to_astra(oa.Grid((4, 4)))
        assert converters.from_astra(views).is_close(fan, 1e-9)
    helix = tomo.ConeBeam.helical(20, 50.0, 6, (16, 32), 1.0, 100.0, 150.0)
    assert converters.from_leap(converters.to_leap(helix)).is_close(helix, 1e-9)
    aside = tomo.translate(1e4, 50.0) * helix
    assert converters.from_tomosipo(converters.to_tomosipo(aside)).is_close(aside, 1e-9)


def test_scans_of_many_turns():
    """More than constructors take for radians: angles are those of one turn, heights are not."""
    turns = np.linspace(0, 20 * np.pi, 101)
    many = {**LEAP, "numAngles": 101, "phis": np.rad2deg(turns)}
    spread = converters.from_leap(many)
    np.testing.assert_allclose(spread.ray_directions[:, 0], -np.sin(turns), atol=1e-9)
    many |= {"sod": 100.0, "sdd": 150.0, "helicalPitch": 2.0}
    helix = converters.from_leap(many)
    np.testing.assert_allclose(helix.source_positions[:, 2], 2.0 * (turns - 10 * np.pi), atol=1e-9)
    np.testing.assert_allclose(helix.source_positions[:, 0], 100 * np.sin(turns), atol=1e-9)
    tigre = {"DSO": 100.0, "DSD": 150.0, "nDetector": SHAPE, "dDetector": (1.0, 1.0)}
    circle = converters.from_tigre(tigre, turns)
    np.testing.assert_allclose(circle.source_positions[:, 0], 100 * np.cos(turns), atol=1e-9)
    fan = {
        "type": "fanflat",
        "DetectorCount": 48,
        "DetectorWidth": 1.0,
        "ProjectionAngles": turns,
        "DistanceOriginSource": 100.0,
        "DistanceOriginDetector": 50.0,
    }
    np.testing.assert_allclose(
        converters.from_astra(fan).source_positions[:, 0], 100 * np.sin(turns), atol=1e-9
    )
    with pytest.raises(ArgumentError, match="in degrees"):
        tomo.FanBeam(turns, 48, 1.0, 100.0, 150.0)


@pytest.mark.parametrize("sdd", [0.0, -50.0, float("nan")])
def test_detectors_stand_before_the_source(sdd):
    with pytest.raises(ArgumentError, match="before the source"):
        of_leap(sdd - 100.0)
    with pytest.raises(ArgumentError):
        of_tigre(sdd - 100.0)


def test_what_comes_back_has_the_same_rays():
    near = of_tomosipo(0.0)
    again = converters.from_tomosipo(converters.to_tomosipo(near))
    assert again.is_close(near, 1e-9)
    points, directions = again.rays()
    sources, centres, v, u = vectors(0.0)
    corner = centres - 15.5 * v - 23.5 * u - sources
    np.testing.assert_allclose(points[:, 0, 0], sources)
    np.testing.assert_allclose(
        directions[:, 0, 0], corner / np.linalg.norm(corner, axis=1)[:, None], atol=1e-12
    )
