"""Pictures of scans: every line is where the geometry says, on paper and in SVG."""

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError
from opalg.tomo.svg import Svg

NAME = "{http://www.w3.org/2000/svg}"
CONE = tomo.ConeBeam(8, (5, 6), 4.0, sod=100.0, sdd=160.0)
FAN = tomo.FanBeam(4, 6, 4.0, sod=100.0, sdd=160.0)


def groups(text):
    """Of every group its opacity, polylines as arrays of points, and dots."""
    found = []
    for group in ElementTree.fromstring(text).iter(f"{NAME}g"):
        lines = [
            np.array([point.split(",") for point in line.get("points").split()], float)
            for line in group.iter(f"{NAME}polyline")
        ]
        dots = [[float(dot.get(k)) for k in ("cx", "cy")] for dot in group.iter(f"{NAME}circle")]
        found.append((float(group.get("opacity")), lines, np.array(dots).reshape(-1, 2)))
    return found


def affine(points, places):
    """The least-squares affine map from points in space to places on paper, and what it leaves over."""
    columns = np.c_[points, np.ones(len(points))]
    found, *_ = np.linalg.lstsq(columns, places, rcond=None)
    return found, np.abs(columns @ found - places).max()


def test_a_fan_on_paper():
    grid = oa.Grid((10, 20), 2.0, origin=(0.0, 6.0))
    (_, box, sources), first, *others = groups(FAN.to_svg(grid))
    assert len(box) == 4
    found, rest = affine(FAN.source_positions, sources)
    assert rest < 0.01  # two decimals are written
    scale = found[0, 0]
    np.testing.assert_allclose(found[:2], [[scale, 0], [0, -scale]], atol=1e-3)  # y is upwards
    middle = np.concatenate(box).mean(axis=0)
    np.testing.assert_allclose(middle, np.array([6.0, 0.0, 1.0]) @ found, atol=0.02)
    opacity, (detector, *rays), pixel = first
    assert (opacity, len(rays)) == (1.0, 2)
    # The outline passes through the centres of the outer pixels; the dot is pixel 0.
    ends = np.array([[-10.0, 60.0], [10.0, 60.0]])
    np.testing.assert_allclose(detector, np.c_[ends, [1, 1]] @ found, atol=0.02)
    np.testing.assert_allclose(pixel, detector[:1], atol=0.02)
    np.testing.assert_allclose(rays[0], [sources[0], detector[0]], atol=0.02)
    assert all(opacity < 1 and len(lines) == 1 for opacity, lines, _ in others)


@pytest.mark.parametrize(("azimuth", "elevation"), [(-1.2, 0.5), (0.3, -0.4), (0.0, 0.0)])
def test_a_cone_from_far_away(azimuth, elevation):
    (_, box, sources), (_, (detector, *rays), _), *_ = groups(
        CONE.to_svg(oa.Grid((8, 9, 10)), azimuth=azimuth, elevation=elevation)
    )
    assert (len(box), len(rays)) == (12, 4)
    corners = CONE.frames.pixels((5, 6))[0][[0, 0, -1, -1], [0, -1, -1, 0]]
    points = np.concatenate([CONE.source_positions, corners])
    found, rest = affine(points, np.concatenate([sources, detector[:4]]))
    assert rest < 0.02
    # What the eye looks along has no extent; lengths across are kept, in one scale.
    toward = [
        math.cos(azimuth) * math.cos(elevation),
        math.sin(azimuth) * math.cos(elevation),
        math.sin(elevation),
    ]
    np.testing.assert_allclose(toward @ found[:3], 0, atol=2e-3)
    scale = np.linalg.norm(found[:3, 0])
    np.testing.assert_allclose(found[:3].T @ found[:3], scale**2 * np.eye(2), atol=0.02)
    # From above z points upwards, seen against the axis x to the right of the eye is y.
    assert found[2, 1] < 0 or elevation == 0.0


def test_views_that_take_turns():
    text = CONE.to_svg(views=4, seconds=2.0)
    animations = re.findall(r'<animate attributeName="opacity" values="([\d;]+)".*?dur="2s"', text)
    assert animations == ["1;0;0;0", "0;1;0;0", "0;0;1;0", "0;0;0;1"]
    assert "animate" not in CONE.to_svg(views=4)


@pytest.mark.parametrize(
    "geometry",
    [
        tomo.ParallelBeam(5, 7),
        tomo.ParallelBeam(5, (7, 8)),
        tomo.FanBeam(5, 7, 1.0, 10.0, 20.0, curved=True),
        tomo.ConeBeam(5, (6, 7), 1.0, 10.0, 20.0, curved=True),
        tomo.ConeBeam.helical(2, 5.0, 8, (4, 5), 1.0, 20.0, 30.0),
        tomo.trajectories.sphere(9, (4, 5), 1.0, 20.0, 30.0),
        tomo.rotate("x", 0.4) * tomo.ParallelBeam(5, (7, 8)),
        tomo.FanBeam(1, 1, 1.0, 10.0, 20.0),
    ],
    ids=str,
)
def test_every_geometry_is_drawn_within_the_frame(geometry):
    text = geometry.to_svg(size=300)
    assert isinstance(text, Svg)
    assert text._repr_svg_() == str(text)
    assert str(geometry) in text
    for _, lines, dots in groups(text):
        for points in (*lines, dots):
            assert ((points >= 0) & (points <= 300)).all()
    if geometry.frames.arc_centres is not None:
        assert len(groups(text)[1][1][0]) > 5  # an arc has many points


def test_a_picture_of_matplotlib_shows_the_same():
    pytest.importorskip("matplotlib").use("Agg")
    figure = CONE.show(oa.Grid((8, 9, 10)), views=3)
    (axes,) = figure.axes
    assert axes.name == "3d"
    lines = [np.stack(line.get_data_3d(), axis=1) for line in axes.lines]
    assert any(line.shape == (8, 3) and np.allclose(line, CONE.source_positions) for line in lines)
    boxes = [line for line in lines if len(line) == 2 and np.abs(line).max() <= 5]
    assert len(boxes) == 12
    assert sum(len(line) == 5 for line in lines) == 3  # outlines of detectors
    assert FAN.show().axes[0].name == "rectilinear"


def test_needs_no_other_package():
    code = (
        "import sys; from opalg import tomo; tomo.ConeBeam(3, (4, 5), 1.0, 10.0, 20.0).to_svg();"
        "print('matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"views": 0}, "views must be a positive number"),
        ({"grid": oa.Grid((4, 4))}, "2D grid does not fit a 3D geometry"),
        ({"azimuth": float("nan")}, "finite angles"),
        ({"seconds": -1.0}, "seconds that are not negative"),
    ],
)
def test_errors_say_what_is_wrong(options, words):
    with pytest.raises(ArgumentError, match=words):
        CONE.to_svg(**options)
