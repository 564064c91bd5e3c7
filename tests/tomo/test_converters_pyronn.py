"""PYRO-NN, by its documented formulas, typed in here.

circular_trajectory_2d gives rays (cos t, sin t), or (cos t, -sin t) if axes are swapped, along which the
projector steps from a source at -sid * ray; pixel i lies at (detector_origin + i spacing) (-ray_y, ray_x).
circular_trajectory_3d multiplies a camera by axes: below, matrix by matrix. PyPI's release needs
pyronn-layers and with it an old TensorFlow, so its formulas are typed in, too.
"""

import numpy as np
import pytest
from converter_balls import CONE, agrees, on_detector, seen, turned

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo import converters

COMMON = {
    "number_of_projections": 4, "angular_range": [0.3, 4.3],
    "source_isocenter_distance": 200.0, "source_detector_distance": 300.0,
}  # fmt: skip
ROW = {**COMMON, "detector_shape": [121], "detector_spacing": [0.8]}
PANEL = {**COMMON, "detector_shape": [101, 121], "detector_spacing": [1.0, 0.8]}
THETA = 0.3 + np.arange(4.0)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("aside", [0.0, 3.0])
def test_pyronn_2d(swap, aside):
    rays = np.stack([np.cos(THETA), (-1 if swap else 1) * np.sin(THETA)], axis=1)
    u = 0.8 * np.stack([-rays[:, 1], rays[:, 0]], axis=1)
    more = {"swap_detector_axis": swap, "detector_origin": [-60 * 0.8 + aside]}
    place = aside / 0.8 * u
    fan = converters.from_pyronn("fan_2d", {**ROW, **more})
    agrees(fan, -200 * rays, 100 * rays + place, [u])
    parallel = converters.from_pyronn("parallel_2d", {**ROW, **more})
    assert parallel.regular
    agrees(parallel, None, place, [u], rays)
    # The rays themselves.
    by_rays = {n: a for n, a in ROW.items() if n != "angular_range"} | more | {"trajectory": rays}
    assert converters.from_pyronn("fan_2d", by_rays).is_close(fan, 1e-9)
    assert converters.from_pyronn("parallel_2d", by_rays).frames.is_close(parallel.frames, 1e-9)


def pyronn_matrices(swap, origin):
    """As circular_trajectory_3d multiplies them."""
    x, y, z = np.eye(3)
    v_dir = x if swap else -x
    camera = np.diag([300 / 0.8, 300 / 1.0, 1.0])
    camera[:2, 2] = -origin[1] / 0.8, -origin[0] / 1.0
    axes, plane, back = np.eye(4), np.eye(4), np.eye(4)
    axes[:3, :3] = [y, v_dir, np.cross(y, v_dir)]
    plane[:3, :3] = [z, np.cross(z, x), -x]
    back[2, 3] = -200.0
    found = []
    for t in THETA:
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(-t), -np.sin(-t)], [np.sin(-t), np.cos(-t)]]
        found.append(camera @ (axes @ back @ turn @ plane.T)[:3])
    return np.array(found)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("aside", [(0.0, 0.0), (4.0, -3.0)])
def test_pyronn_cone(swap, aside):
    origin = np.array([-50.0, -48.0]) + aside
    matrices = pyronn_matrices(swap, origin)
    more = {"swap_detector_axis": swap, "detector_origin": origin}
    ours = converters.from_pyronn("cone_3d", {**PANEL, **more})
    # Where each matrix puts the ball, by itself.
    uvw = matrices @ np.array([12.0, -7.0, 5.0, 1.0])
    np.testing.assert_allclose(seen(ours), (uvw[:, :2] / uvw[:, 2:])[:, ::-1], atol=0.1)
    np.testing.assert_allclose(
        ours.to_matrices() / ours.to_matrices()[:, 2:, 3:],
        matrices / matrices[:, 2:, 3:],
        atol=1e-9,
    )
    given = converters.from_pyronn("cone_3d", {**PANEL, "trajectory": matrices})
    assert given.is_close(ours, 1e-9)


def matrices_of_release(turns):
    """As circular_trajectory_3d of PYRO-NN 0.1.0 (PyPI, April 2020) multiplies them, for PANEL."""
    x, y, z = np.eye(3)
    camera = np.diag([300 / 0.8, 300 / 1.0, 1.0])
    camera[:2, 2] = 121 * 0.5, 101 * 0.5
    axes, plane, back = np.eye(4), np.eye(4), np.eye(4)
    axes[:3, :3] = [y, -x, np.cross(y, -x)]
    plane[:3, :3] = [z, np.cross(z, x), -x]
    back[2, 3] = 200.0
    found = []
    for t in turns:
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(-t), -np.sin(-t)], [np.sin(-t), np.cos(-t)]]
        found.append(camera @ (back @ axes @ turn @ plane)[:3])
    return np.array(found)


def test_pyronn_release():
    """0.1.0: the other sense of rotation, of columns, and half a pixel; its objects by their own names."""
    panel = {**PANEL, "angular_range": 4.0}
    matrices = matrices_of_release(np.arange(4.0))
    uvw = matrices @ np.array([12.0, -7.0, 5.0, 1.0])
    expected = (uvw[:, :2] / uvw[:, 2:])[:, ::-1]
    # What the function itself gave, run from the release's file.
    np.testing.assert_allclose(matrices[1, 0], [-348.239909, 151.704370, 0, 12100], atol=1e-6)
    np.testing.assert_allclose(matrices[1, 1], [-27.285266, -42.494285, -300, 10100], atol=1e-6)
    by_range = converters.from_pyronn("cone_3d", panel, release="0.1.0")
    np.testing.assert_allclose(seen(by_range), expected, atol=0.1)
    for name in ("trajectory", "projection_matrices"):
        given = converters.from_pyronn("cone_3d", {**panel, name: matrices})
        np.testing.assert_allclose(seen(given), expected, atol=0.1)
        assert given.is_close(by_range, 1e-9)
    rays = np.stack([np.cos(np.arange(4.0)), np.sin(np.arange(4.0))], axis=1)
    row = {**ROW, "angular_range": 4.0}
    fan = converters.from_pyronn("fan_2d", {**row, "central_ray_vectors": rays})
    assert fan.is_close(converters.from_pyronn("fan_2d", row, "0.1.0"), 1e-9)
    with pytest.raises(
        ArgumentError, match="turns counter-clockwise, its repository clockwise: say release"
    ):
        converters.from_pyronn("cone_3d", panel)
    with pytest.raises(ArgumentError, match="release must be"):
        converters.from_pyronn("cone_3d", panel, "0.2")


def test_pyronn_and_back():
    """To PYRO-NN, whose columns (and rows of a cone) run the other way; by the formulas above."""
    moved = {"angles": 4, "offset": 3.0}
    fan = tomo.FanBeam(**moved, detector=121, pitch=0.8, sod=200.0, sdd=300.0)
    kind, theirs = converters.to_pyronn(fan)
    assert (kind, theirs["swap_detector_axis"]) == ("fan_2d", False)
    start, end = theirs["angular_range"]
    theta = start + np.arange(4) * (end - start) / 4
    rays = turned(theta, (1, 0, 0))[:, :2]
    u = 0.8 * turned(theta, (0, 1, 0))[:, :2]
    place = (theirs["detector_origin"][0] / 0.8 + 60) * u
    expected = on_detector(-200 * rays, 100 * rays + place, [u], (121,))
    np.testing.assert_allclose(seen(fan), 120 - expected, atol=0.1)

    parallel = tomo.ParallelBeam(**moved, detector=121, pitch=0.8)
    for given in (parallel, tomo.rotate("z", 0.2) * parallel):
        kind, theirs = converters.to_pyronn(given)
        assert kind == "parallel_2d"
        ours = converters.from_pyronn(kind, theirs)
        np.testing.assert_allclose(seen(ours), seen(given), atol=1e-9)

    cone = tomo.ConeBeam(THETA[::-1], **CONE, offset=(2.0, 3.0))
    for given in (cone, converters.from_tomosipo(converters.to_tomosipo(cone))):
        kind, theirs = converters.to_pyronn(given)
        assert kind == "cone_3d"
        ours = converters.from_pyronn(kind, theirs)
        np.testing.assert_allclose(ours.source_positions, cone.source_positions, atol=1e-9)
        np.testing.assert_allclose(seen(ours), np.array([100, 120]) - seen(cone), atol=1e-9)


def test_what_is_no_circle_goes_to_pyronn_by_its_trajectory():
    """Matrices, in the order of our rows and columns, where each puts the ball; rays in 2D."""
    cone = tomo.ConeBeam(THETA, **CONE, offset=(2.0, 3.0))
    for given in (
        tomo.rotate("x", 0.1) * cone,
        cone.shift_detector(u=np.arange(4.0)),
        tomo.ConeBeam.helical(1, 8.0, 4, **CONE),
        tomo.ConeBeam([0.0, 1.0, 1.5], **CONE),
    ):
        kind, theirs = converters.to_pyronn(given)
        assert kind == "cone_3d"
        uvw = theirs["trajectory"] @ np.array([12.0, -7.0, 5.0, 1.0])
        np.testing.assert_allclose((uvw[:, :2] / uvw[:, 2:])[:, ::-1], seen(given), atol=0.1)
        assert converters.from_pyronn(kind, theirs).is_close(given, 1e-9)
    uneven = {"angles": [0.0, 1.0, 1.5, 4.0], "detector": 121, "pitch": 0.8, "offset": 3.0}
    fan = tomo.FanBeam(**uneven, sod=200.0, sdd=300.0)
    for ours in (fan, tomo.ParallelBeam(**uneven)):
        kind, theirs = converters.to_pyronn(ours)
        rays = theirs["trajectory"]
        u = 0.8 * np.stack([-rays[:, 1], rays[:, 0]], axis=1)
        place = (theirs["detector_origin"][0] / 0.8 + 60) * u
        way = None if ours is fan else rays
        expected = on_detector(-200 * rays, 100 * rays + place, [u], (121,), way)
        columns = 120 - expected if ours is fan else expected
        np.testing.assert_allclose(seen(ours), columns, atol=0.1)


def test_pyronn_refuses():
    with pytest.raises(NotSupportedError, match="parallel_2d, fan_2d or cone_3d"):
        converters.from_pyronn("parallel_3d", PANEL)
    with pytest.raises(ArgumentError, match="no parameters longtitude; known are angular_range"):
        converters.from_pyronn("cone_3d", {**PANEL, "longtitude": 0.3})
    with pytest.raises(ArgumentError, match="needs source_detector_distance"):
        converters.from_pyronn("fan_2d", {**ROW, "source_detector_distance": None})
    with pytest.raises(ArgumentError, match="needs angular_range, or trajectory"):
        converters.from_pyronn("fan_2d", {**ROW, "angular_range": None})
    with pytest.raises(ArgumentError, match="number_of_projections is 4"):
        converters.from_pyronn("parallel_2d", {**ROW, "trajectory": [[1, 0], [0, 1]]})
    fan = tomo.FanBeam(4, 5, 1.0, 10.0, 20.0)
    refused = [
        (tomo.ParallelBeam(4, (3, 5)), "parallel beams in 3D"),
        (tomo.FanBeam(4, 5, 1.0, 10.0, 20.0, curved=True), "curved"),
        (tomo.ConeBeam(4, (3, 5), 1.0, 10.0, 20.0, curved=True), "curved"),
        (fan.shift_detector(u=np.arange(4.0)), "turn rigidly about the z axis"),
    ]
    for geometry, message in refused:
        with pytest.raises(NotSupportedError, match=message):
            converters.to_pyronn(geometry)


def test_pyronn_volume():
    # Voxel i lies at volume_origin + i spacing; by default the middle is the origin.
    theirs = {
        **PANEL,
        "volume_shape": np.array([4, 5, 6]),
        "volume_spacing": np.array([2.0, 1, 0.5]),
    }
    assert converters.grid_from_pyronn(theirs) == oa.Grid((4, 5, 6), (2.0, 1.0, 0.5))
    grid = converters.grid_from_pyronn({**theirs, "volume_origin": np.array([1.0, 2.0, 3.0])})
    assert [c[0] for c in grid.coordinates] == [1.0, 2.0, 3.0]
    with pytest.raises(ArgumentError, match="volume_shape must be"):
        converters.grid_from_pyronn({"volume_shape": 4, "volume_spacing": 1.0})
