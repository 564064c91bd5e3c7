"""Converters, each by one ball off the centre: where it is seen, in numbers.

Where a package is at hand it says itself where source and detector are. For others the ball's place on their
detector is computed from their documented conventions.
"""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo import converters

# Pixels: the centre of mass of a projected ball is not quite the projection of its centre, and is summed over
# few pixels. A mistaken convention is off by several.
NEAR = 0.1
BALL = np.array([12.0, -7.0, 5.0])
ANGLES = np.array([0.0, 0.4, 1.9, 4.0])
CONE = {"detector": (101, 121), "pitch": (1.0, 0.8), "sod": 200.0, "sdd": 300.0}


def seen(geometry):
    """Row and column at which the ball is seen in every view, by its centre of mass."""
    body = tomo.phantoms.ball(5.0, centre=BALL.tolist())
    if geometry.ndim == 2:
        body = tomo.phantoms.disc(5.0, centre=BALL[:2].tolist())
    y = body.project(geometry, "float64")
    places = []
    for axis in range(1, y.ndim):
        index = np.arange(y.shape[axis]).reshape([-1 if i == axis else 1 for i in range(y.ndim)])
        axes = tuple(range(1, y.ndim))
        places.append((y * index).sum(axis=axes) / y.sum(axis=axes))
    return np.stack(places, axis=-1)


def on_detector(sources, centres, steps, shape, rays=None):
    """The same for a point, from vectors (x, y, z); ``steps`` in the order of the detector's axes."""
    found = []
    for i, centre in enumerate(centres):
        direction = rays[i] if rays is not None else sources[i] - BALL[: len(centre)]
        columns = np.stack([*(step[i] for step in steps), direction], axis=1)
        *place, _ = np.linalg.solve(columns, BALL[: len(centre)] - centre)
        found.append([p + (n - 1) / 2 for p, n in zip(place, shape, strict=True)])
    return np.array(found)


def turned(angles, vector):
    """A vector (x, y, z) turned about z."""
    c, s, (x, y, z) = np.cos(angles), np.sin(angles), vector
    return np.stack([x * c - y * s, x * s + y * c, z + 0 * c], axis=1)


# ASTRA


def astra_points(kind, vectors, shape):
    n = 2 if kind in ("fanflat_vec", "parallel_vec") else 3
    parts = np.split(vectors, vectors.shape[1] // n, axis=1)
    steps = parts[2:][::-1]
    rays = parts[0] if kind.startswith("parallel") else None
    return on_detector(parts[0], parts[1], steps, shape, rays)


ASTRA = [
    ("parallel", (0.8, 121, ANGLES), (121,)),
    ("fanflat", (0.8, 121, ANGLES, 200.0, 100.0), (121,)),
    ("parallel3d", (0.8, 1.0, 101, 121, ANGLES), (101, 121)),
    ("cone", (0.8, 1.0, 101, 121, ANGLES, 200.0, 100.0), (101, 121)),
]


@pytest.mark.parametrize(("kind", "arguments", "shape"), ASTRA, ids=[a[0] for a in ASTRA])
def test_astra(kind, arguments, shape):
    astra = pytest.importorskip("astra")
    theirs = astra.create_proj_geom(kind, *arguments)
    vectors = astra.geom_2vec(theirs)
    expected = astra_points(vectors["type"], vectors["Vectors"], shape)
    for given in (theirs, vectors):
        ours = converters.from_astra(given)
        assert ours.detector_shape == shape

        np.testing.assert_allclose(seen(ours), expected, atol=NEAR)
    grid = oa.Grid((10, 11, 12)[-ours.ndim :], 2.0, origin=1.0)
    back, volume = ours.to_astra(grid)
    np.testing.assert_allclose(
        astra_points(back["type"], back["Vectors"], shape), expected, atol=1e-9
    )
    # What ASTRA makes of its own arguments.
    if ours.ndim == 3:
        assert volume == astra.create_vol_geom(11, 12, 10, -11.0, 13.0, -10.0, 12.0, -9.0, 11.0)
        return
    assert volume == astra.create_vol_geom(11, 12, -11.0, 13.0, -10.0, 12.0)
    # And its own projector, in its own geometry.
    model = "line" if kind == "parallel" else "line_fanflat"
    fine = oa.Grid((200, 200), 0.25)
    image = tomo.phantoms.disc(3.0, centre=BALL[:2].tolist()).sample(fine)
    views, volume = ours.to_astra(fine)
    for geometry in (theirs, views):
        projector = astra.create_projector(model, geometry, volume)
        number, y = astra.create_sino(image[::-1].copy(), projector)
        astra.data2d.delete(number)
        astra.projector.delete(projector)
        centres = (y * np.arange(121)).sum(axis=1) / y.sum(axis=1)
        np.testing.assert_allclose(centres, expected[:, 0], atol=NEAR)


def test_astra_detectors_on_the_axis():
    theirs = {
        "type": "cone", "DetectorRowCount": 101, "DetectorColCount": 121, "DetectorSpacingX": 0.8,
        "DetectorSpacingY": 1.0, "ProjectionAngles": ANGLES, "DistanceOriginSource": 200.0,
        "DistanceOriginDetector": 0.0,
    }  # fmt: skip
    ours = converters.from_astra(theirs)
    steps = [np.tile([0, 0, 1.0], (4, 1)), turned(ANGLES, (0.8, 0, 0))]
    expected = on_detector(turned(ANGLES, (0, -200, 0)), np.zeros((4, 3)), steps, (101, 121))
    np.testing.assert_allclose(seen(ours), expected, atol=NEAR)
    with pytest.raises(NotSupportedError, match="cyl_cone_vec"):
        converters.from_astra({"type": "cyl_cone_vec"})
    with pytest.raises(NotSupportedError, match="curved detector"):
        tomo.ConeBeam(4, **CONE, curved=True).to_astra(oa.Grid((4, 4, 4)))
    with pytest.raises(ArgumentError, match="needs a 3D Grid"):
        ours.to_astra(oa.Grid((4, 4)))


# tomosipo: vectors (z, y, x), at angle 0 as ASTRA


def test_tomosipo():
    # cone(angles, shape, size, src_orig_dist, src_det_dist): source at (0, -sod, 0) of (x, y, z).
    flip = slice(None, None, -1)
    theirs = {
        "shape": (101, 121),
        "src_pos": turned(ANGLES, (0, -200, 0))[:, flip],
        "det_pos": turned(ANGLES, (0, 100, 0))[:, flip],
        "det_v": np.tile([1.0, 0, 0], (4, 1)),
        "det_u": turned(ANGLES, (0.8, 0, 0))[:, flip],
    }
    ours = converters.from_tomosipo(theirs)
    assert ours.is_close(tomo.ConeBeam(ANGLES, **CONE), 1e-9)
    steps = [theirs["det_v"][:, flip], theirs["det_u"][:, flip]]
    expected = on_detector(
        theirs["src_pos"][:, flip], theirs["det_pos"][:, flip], steps, (101, 121)
    )
    np.testing.assert_allclose(seen(ours), expected, atol=NEAR)
    for name, value in converters.to_tomosipo(ours).items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-12)
    tilted = tomo.rotate("x", 0.3) * tomo.ParallelBeam(5, detector=(11, 12))
    assert converters.from_tomosipo(converters.to_tomosipo(tilted)).is_close(tilted, 1e-12)
    assert converters.to_tomosipo(tomo.FanBeam(4, 9, 1.0, 10.0, 20.0))["shape"] == (1, 9)

    class ConeVectorGeometry:  # has the attributes of tomosipo's
        det_shape = theirs["shape"]
        src_pos, det_pos, det_v, det_u = (
            theirs[name] for name in ("src_pos", "det_pos", "det_v", "det_u")
        )

    assert converters.from_tomosipo(ConeVectorGeometry()) == ours


# LEAP: degrees, source at (0, -sod, 0), rows rise with z


def test_leap():
    theirs = {
        "numAngles": 4, "numRows": 101, "numCols": 121, "pixelHeight": 1.0, "pixelWidth": 0.8,
        "centerRow": 48.0, "centerCol": 63.0, "phis": np.rad2deg(ANGLES), "sod": 200.0, "sdd": 300.0,
    }  # fmt: skip
    ours = converters.from_leap(theirs)
    across, up = turned(ANGLES, (1, 0, 0)), np.tile([0, 0, 1.0], (4, 1))
    # The column 63 faces the axis: the middle, column 60, lies 3 columns before it.
    centres = turned(ANGLES, (0, 100, 0)) + (60 - 63) * 0.8 * across + (50 - 48) * 1.0 * up
    expected = on_detector(turned(ANGLES, (0, -200, 0)), centres, [up, 0.8 * across], (101, 121))
    np.testing.assert_allclose(seen(ours), expected, atol=NEAR)
    modular = converters.to_leap(ours)
    np.testing.assert_allclose(modular["moduleCenters_in"], centres, atol=1e-12)
    np.testing.assert_allclose(modular["colVectors_in"], across, atol=1e-12)
    assert converters.from_leap(modular).is_close(ours, 1e-10)
    with pytest.raises(NotSupportedError, match="modular beam is a cone"):
        converters.to_leap(tomo.ParallelBeam(4))


# TIGRE: source at (DSO, 0, 0), u along +y, counter-clockwise


def test_tigre():
    theirs = {
        "DSO": 200.0, "DSD": 300.0, "nDetector": np.array([101, 121]), "dDetector": np.array([1.0, 0.8]),
        "offDetector": np.array([2.0, -3.0]), "angles": ANGLES,
    }  # fmt: skip
    ours = converters.from_tigre(theirs)
    across, up = turned(ANGLES, (0, 1, 0)), np.tile([0, 0, 1.0], (4, 1))
    centres = turned(ANGLES, (-100, 0, 0)) + 2.0 * up - 3.0 * across
    expected = on_detector(turned(ANGLES, (200, 0, 0)), centres, [up, 0.8 * across], (101, 121))
    np.testing.assert_allclose(seen(ours), expected, atol=NEAR)
    back = converters.to_tigre(ours)
    for name, value in theirs.items():
        np.testing.assert_allclose(back[name], value, atol=1e-12)
    with pytest.raises(NotSupportedError, match="regular cone beam"):
        converters.to_tigre(tomo.rotate("x", 0.1) * ours)


# ODL, asked itself


def test_odl():
    odl = pytest.importorskip("odl")
    tomography = pytest.importorskip("odl.applications.tomo")
    views = odl.nonuniform_partition(ANGLES)
    rows = odl.uniform_partition([-40.0, -50.0], [50.0, 40.0], (120, 90))
    row = odl.uniform_partition(-40.0, 50.0, 120)
    given = [
        tomography.FanBeamGeometry(views, row, src_radius=200.0, det_radius=100.0),
        tomography.Parallel2dGeometry(views, row),
        tomography.Parallel3dAxisGeometry(views, rows),
        tomography.ConeBeamGeometry(views, rows, src_radius=200.0, det_radius=100.0),
        tomography.ConeBeamGeometry(views, rows, 200.0, 100.0, pitch=20.0),
    ]
    for theirs in given:
        ours = converters.from_odl(theirs)
        flat = ours.ndim == 2
        # A point of their detector that the ball's ray meets, by asking where each of them is.
        for i, angle in enumerate(ANGLES):
            place = seen(ours)[i]
            partition = theirs.det_partition
            first = [a[0] for a in partition.coord_vectors]
            at = np.array(first) + place[::-1] * partition.cell_sides
            point = theirs.det_point_position(angle, float(at[0]) if flat else at)
            ball = BALL[: ours.ndim]
            if hasattr(theirs, "src_position"):
                ray = point - theirs.src_position(angle)
            else:
                ray = theirs.det_to_src(angle, float(at[0]) if flat else at)
            ray = ray / np.linalg.norm(ray)
            miss = (ball - point) - ((ball - point) @ ray) * ray
            assert np.linalg.norm(miss) < NEAR, theirs


# PYRO-NN


def test_pyronn():
    common = {"detector_spacing": [1.0, 0.8], "number_of_projections": 4, "angular_range": 4.0}
    common |= {"source_isocenter_distance": 200.0, "source_detector_distance": 300.0}
    theta = np.arange(4.0)
    # 2D: source at (-SID, 0) at angle 0, u along +y, counter-clockwise.
    u = turned(theta, (0, 0.8, 0))[:, :2]
    source, centre = turned(theta, (-200, 0, 0))[:, :2], turned(theta, (100, 0, 0))[:, :2]
    fan = converters.from_pyronn(
        "fan_2d", {**common, "detector_shape": [121], "detector_spacing": [0.8]}
    )
    np.testing.assert_allclose(seen(fan), on_detector(source, centre, [u], (121,)), atol=NEAR)
    rays = turned(theta, (1, 0, 0))[:, :2]
    parallel = converters.from_pyronn(
        "parallel_2d", {**common, "detector_shape": [121], "detector_spacing": [0.8]}
    )
    expected = on_detector(None, np.zeros((4, 2)), [u], (121,), rays)
    np.testing.assert_allclose(seen(parallel), expected, atol=NEAR)
    # Cone: source at (SID, 0, 0), then at (0, -SID, 0): clockwise; u along -y, v along -z.
    cone = converters.from_pyronn("cone_3d", {**common, "detector_shape": [101, 121]})
    steps = [np.tile([0, 0, -1.0], (4, 1)), turned(-theta, (0, -0.8, 0))]
    expected = on_detector(
        turned(-theta, (200, 0, 0)), turned(-theta, (-100, 0, 0)), steps, (101, 121)
    )
    np.testing.assert_allclose(seen(cone), expected, atol=NEAR)
    quarter = converters.from_pyronn(
        "cone_3d", {**common, "detector_shape": [3, 3], "angular_range": 2 * math.pi}
    )
    np.testing.assert_allclose(quarter.source_positions[:2], [[200, 0, 0], [0, -200, 0]], atol=1e-9)
    with pytest.raises(ArgumentError, match="parallel_2d, fan_2d or cone_3d"):
        converters.from_pyronn("cone", {**common, "detector_shape": [3, 3]})
