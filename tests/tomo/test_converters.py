"""Converters, each by one ball off the centre: where it is seen, in numbers.

ASTRA and ODL are at hand: they say themselves where source and detector are, and project the ball.
"""

import numpy as np
import pytest
from converter_balls import ANGLES, BALL, CONE, NEAR, centres_of_mass, on_detector, seen, turned

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo import converters

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
        assert ours.regular == (given is theirs)

        np.testing.assert_allclose(seen(ours), expected, atol=NEAR)
    grid = oa.Grid((10, 11, 12)[-ours.ndim :], 2.0, origin=1.0)
    back, volume = ours.to_astra(grid)
    assert converters.grid_from_astra(volume) == grid
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
        np.testing.assert_allclose(centres_of_mass(y), expected, atol=NEAR)


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
    with pytest.raises(NotSupportedError, match="sparse_matrix"):
        converters.from_astra({"type": "sparse_matrix"})
    with pytest.raises(NotSupportedError, match="curved detector"):
        tomo.FanBeam(4, 9, 1.0, 10.0, 20.0, curved=True).to_astra(oa.Grid((4, 4)))
    with pytest.raises(ArgumentError, match="needs a 3D Grid"):
        ours.to_astra(oa.Grid((4, 4)))
    with pytest.raises(
        ArgumentError, match="no parameters DetectorTilt; known are DetectorColCount"
    ):
        converters.from_astra({**theirs, "DetectorTilt": 0.1})
    with pytest.raises(ArgumentError, match="needs DistanceOriginDetector"):
        converters.from_astra({n: a for n, a in theirs.items() if n != "DistanceOriginDetector"})
    with pytest.raises(ArgumentError, match="before the source"):
        converters.from_astra({**theirs, "DistanceOriginDetector": -200.0})
    with pytest.raises(ArgumentError, match=r"Vectors must have shape \(views, 12\), got \(4, 6\)"):
        converters.from_astra(
            {
                "type": "cone_vec",
                "DetectorRowCount": 3,
                "DetectorColCount": 3,
                "Vectors": np.ones((4, 6)),
            }
        )
    _, volume = ours.to_astra(oa.Grid((4, 4, 4)))
    with pytest.raises(ArgumentError, match="window of ASTRA's volume needs WindowMinZ"):
        converters.grid_from_astra({**volume, "option": {**volume["option"], "WindowMinZ": None}})


@pytest.mark.parametrize("radius", [300.0, 250.0])
def test_astra_cylinders(radius):
    """Pixels of a "cyl_cone_vec" as its kernels place them: ``c + a cos(t) + b sin(t) + V v``."""
    astra = pytest.importorskip("astra")
    sources, centres = turned(ANGLES, (0, -200, 0)), turned(ANGLES, (-3, 100, 2))
    u, v = turned(ANGLES, (0.8, 0, 0)), np.tile([0, 0, 1.0], (4, 1))
    vectors = np.concatenate([sources, centres, u, v, np.full((4, 1), radius)], axis=1)
    ours = converters.from_astra(astra.create_proj_geom("cyl_cone_vec", 101, 121, vectors))
    a = -np.cross(u, v) * (radius / 0.8)
    b = u * (radius / 0.8)
    t = (np.arange(121) - 60) * 0.8 / radius
    row = (centres - a)[:, None] + a[:, None] * np.cos(t)[:, None] + b[:, None] * np.sin(t)[:, None]
    pixels = row[:, None] + (np.arange(101) - 50)[:, None, None] * v[:, None, None]
    np.testing.assert_allclose(ours.frames.pixels((101, 121)), pixels, atol=1e-9)
    # The ball lies on the ray to the pixel where it is seen.
    for place, source, panel in zip(seen(ours), sources, pixels, strict=True):
        ray = panel[tuple(np.round(place).astype(int))] - source
        miss = np.linalg.norm(np.cross(BALL - source, ray / np.linalg.norm(ray)))
        assert miss < 0.7  # mm; half a diagonal of a pixel
    back, _ = ours.to_astra(oa.Grid((4, 4, 4)))
    assert back["type"] == "cyl_cone_vec"
    np.testing.assert_allclose(back["Vectors"], vectors, atol=1e-9)
    frames = ours.frames
    bulging = tomo.ConeBeam.from_vectors(
        sources, centres, v, u, (101, 121), arc_centre=2 * centres - frames.arc_centres
    )
    with pytest.raises(NotSupportedError, match="bend towards the source"):
        bulging.to_astra(oa.Grid((4, 4, 4)))


# ODL, asked itself


@pytest.fixture(name="odl")
def _odl():
    return pytest.importorskip("odl")


@pytest.fixture(name="theirs")
def _theirs():
    return pytest.importorskip("odl.applications.tomo")


def same_places(ours, theirs, views):
    """Pixels and sources lie where ODL says, and the ball is seen on a ray of theirs."""
    flat = ours.ndim == 2
    axes = [np.asarray(a) for a in theirs.det_partition.coord_vectors]
    pixels = ours.frames.pixels(ours.detector_shape)
    for i, view in enumerate(views):
        for u in (0, 17, 119):
            for v in (0,) if flat else (0, 50, 89):
                at = float(axes[0][u]) if flat else [float(axes[0][u]), float(axes[1][v])]
                pixel = pixels[i, u] if flat else pixels[i, v, u]
                expected = theirs.det_point_position(view, at)
                np.testing.assert_allclose(pixel, expected, atol=1e-9)
        middle = float(axes[0][0]) if flat else [float(a[0]) for a in axes]
        if hasattr(theirs, "src_position"):
            np.testing.assert_allclose(
                ours.source_positions[i], theirs.src_position(view), atol=1e-9
            )
        else:
            direction = -theirs.det_to_src(view, middle)
            np.testing.assert_allclose(ours.ray_directions[i], direction, atol=1e-9)
    for place, origin, row in zip(seen(ours), ours.frames.origins, pixels, strict=True):
        # Where the ray to the pixel next to that place passes the ball, from ODL's points alone.
        pixel = row[tuple(np.round(place).astype(int))]
        ray = origin if ours.frames.parallel else pixel - origin
        ray = ray / np.linalg.norm(ray)
        miss = (BALL[: ours.ndim] - pixel) - ((BALL[: ours.ndim] - pixel) @ ray) * ray
        assert np.linalg.norm(miss) < 1.0


def test_from_odl(odl, theirs):
    views = odl.nonuniform_partition(ANGLES)
    rows = odl.uniform_partition([-40.0, -50.0], [50.0, 40.0], (120, 90))
    row = odl.uniform_partition(-40.0, 50.0, 120)
    arc = odl.uniform_partition(-0.15, 0.2, 120)
    arcs = odl.uniform_partition([-0.15, -50.0], [0.2, 40.0], (120, 90))

    def shifts(angle):
        return np.stack(np.broadcast_arrays(np.sin(angle), 2 * np.cos(angle), angle), axis=-1)

    given = [
        theirs.FanBeamGeometry(views, row, src_radius=200.0, det_radius=100.0),
        theirs.FanBeamGeometry(views, arc, 200.0, 100.0, det_curvature_radius=300.0),
        theirs.FanBeamGeometry(views, arc, 200.0, 100.0, det_curvature_radius=250.0),
        theirs.FanBeamGeometry(views, row, 200.0, 100.0, translation=(3.0, 4.0)),
        theirs.Parallel2dGeometry(views, row),
        theirs.Parallel3dAxisGeometry(views, rows),
        theirs.Parallel3dAxisGeometry(views, rows, axis=(0.1, 0.2, 1.0), translation=(1, 2, 3)),
        theirs.ConeBeamGeometry(views, rows, src_radius=200.0, det_radius=100.0),
        theirs.ConeBeamGeometry(views, rows, 200.0, 100.0, pitch=20.0, offset_along_axis=-3.0),
        theirs.ConeBeamGeometry(views, arcs, 200.0, 100.0, det_curvature_radius=(300.0, None)),
        theirs.ConeBeamGeometry(
            views, rows, 200.0, 100.0, src_shift_func=shifts, det_shift_func=shifts
        ),
    ]
    for geometry in given:
        same_places(converters.from_odl(geometry), geometry, ANGLES)


def test_from_odl_euler_angles(odl, theirs):
    views = odl.uniform_partition([0.0, 0.1], [1.0, 0.5], (2, 3))
    rows = odl.uniform_partition([-40.0, -50.0], [50.0, 40.0], (120, 90))
    geometry = theirs.Parallel3dEulerGeometry(views, rows)
    ours = converters.from_odl(geometry)
    assert ours.shape == (6, 90, 120)
    pairs = [(a, b) for a in views.coord_vectors[0] for b in views.coord_vectors[1]]
    same_places(ours, geometry, pairs)


def test_from_odl_refuses(odl, theirs):
    views = odl.nonuniform_partition(ANGLES)
    rows = odl.uniform_partition([-0.1, -0.1], [0.1, 0.1], (4, 3))
    ball = theirs.ConeBeamGeometry(views, rows, 200.0, 100.0, det_curvature_radius=(300.0, 300.0))
    with pytest.raises(NotSupportedError, match="det_curvature_radius makes a SphericalDetector"):
        converters.from_odl(ball)
    uneven = theirs.Parallel2dGeometry(views, odl.nonuniform_partition([0.0, 1.0, 3.0]))
    with pytest.raises(NotSupportedError, match="det_partition must be uniform"):
        converters.from_odl(uneven)
    with pytest.raises(ArgumentError, match="not a tomography geometry of ODL"):
        converters.from_odl({"src_radius": 200.0})
    one = theirs.FanBeamGeometry(views, odl.uniform_partition(-1.0, 1.0, 1), 200.0, 100.0)
    assert converters.from_odl(one).frames.u_steps[0].tolist() == [2.0, 0.0]


WIDE = {"detector": 121, "pitch": 0.8, "offset": 3.0}
TO_ODL = [
    tomo.ParallelBeam(ANGLES, **WIDE),
    tomo.FanBeam(ANGLES, **WIDE, sod=200.0, sdd=300.0),
    tomo.FanBeam(ANGLES, **WIDE, sod=200.0, sdd=300.0, curved=True),
    tomo.ParallelBeam(ANGLES, (101, 121), (1.0, 0.8), offset=(2.0, -3.0)),
    tomo.ConeBeam(ANGLES, **CONE, offset=(2.0, -3.0)),
    tomo.ConeBeam(ANGLES, **CONE, offset=(2.0, -3.0), curved=True),
]


@pytest.mark.parametrize(
    "ours", TO_ODL, ids=["parallel", "fan", "arc", "parallel3d", "cone", "cylinder"]
)
def test_to_odl(odl, theirs, ours):
    geometry = converters.to_odl(ours)
    if not isinstance(ours, tomo.ParallelBeam):  # whose detector may stand anywhere along the rays
        same_places(ours, geometry, ANGLES)
    back = converters.from_odl(geometry)
    np.testing.assert_allclose(seen(back), seen(ours), atol=1e-6)
    assert geometry.det_partition.shape == ours.detector_shape[::-1]
    if ours.ndim == 3 or (isinstance(ours, tomo.FanBeam) and ours.curved):
        return  # its projectors need a GPU, or take flat detectors only
    # Its own projection of the ball. It takes parallel detectors as centred, wherever they are.
    if isinstance(ours, tomo.ParallelBeam):
        ours = ours.shift_detector(u=-3.0)
        geometry = converters.to_odl(ours)
    space = odl.uniform_discr([-25.0, -25.0], [25.0, 25.0], (200, 200), dtype="float32")
    assert converters.grid_from_odl(space) == oa.Grid((200, 200), 0.25)
    image = tomo.phantoms.disc(3.0, centre=BALL[:2].tolist()).sample(oa.Grid((200, 200), 0.25))
    transform = theirs.RayTransform(space, geometry, impl="astra_cpu")
    y = transform(space.element(image.T.copy())).asarray()
    np.testing.assert_allclose(centres_of_mass(np.asarray(y)), seen(ours), atol=NEAR)


SOME_WAY = tomo.translate(3.0, -2.0, 4.0) * tomo.rotate((1.0, 2.0, -0.5), 0.4)
HELIX = tomo.ConeBeam.helical(2, 30.0, 9, **CONE).shift_detector(u=3.0, v=-2.0)
CYLINDERS = tomo.ConeBeam(ANGLES, **CONE, offset=(2.0, -3.0), curved=True)
AXES = {
    "laminography": tomo.rotate("x", 0.5) * tomo.ParallelBeam(ANGLES, (101, 121), (1.0, 0.8)),
    "parallel": SOME_WAY * tomo.ParallelBeam(ANGLES, (101, 121), (1.0, 0.8), offset=(2.0, 1.0)),
    "tilted": SOME_WAY * tomo.ConeBeam(ANGLES, **CONE, offset=(2.0, -3.0)),
    "upside down": tomo.rotate("x", np.pi) * tomo.ConeBeam(ANGLES, **CONE, offset=(2.0, -3.0)),
    "moved": tomo.translate(1.0, 2.0) * tomo.ConeBeam(ANGLES, **CONE),
    "helix": HELIX,
    "tilted helix": SOME_WAY * HELIX,
    "turned cylinder": tomo.rotate("z", 0.1) * CYLINDERS,
    "cylinder about x": tomo.rotate("y", np.pi / 2) * CYLINDERS,
    "helix of cylinders": tomo.translate(z=2.0 * ANGLES) * CYLINDERS,
}


@pytest.mark.parametrize("name", AXES)
def test_to_odl_about_any_axis(odl, theirs, name):
    """Pixels and sources by ODL's own methods, view by view."""
    ours = AXES[name]
    geometry = converters.to_odl(ours)
    pixels = ours.frames.pixels(ours.detector_shape)
    u, v = (np.asarray(a) for a in geometry.det_partition.coord_vectors)
    for i, angle in enumerate(geometry.motion_partition.points()[:, 0]):
        at = [[0, 0], [100, 0], [20, 90]]
        places = np.array([geometry.det_point_position(angle, [u[n], v[m]]) for m, n in at])
        expected = np.array([pixels[i, m, n] for m, n in at])
        if ours.frames.parallel:  # whose detector may stand anywhere along the rays
            along = ours.ray_directions[i]
            np.testing.assert_allclose(-geometry.det_to_src(angle, [0, 0]), along, atol=1e-9)
            across = np.eye(3) - np.outer(along, along)
            places, expected = places @ across, expected @ across
        else:
            np.testing.assert_allclose(
                geometry.src_position(angle), ours.source_positions[i], atol=1e-6
            )
        np.testing.assert_allclose(places, expected, atol=1e-6)


def test_to_odl_takes_what_is_regular(odl):
    cone = tomo.ConeBeam(ANGLES, **CONE, offset=(2.0, -3.0))
    trip = converters.from_tomosipo(converters.to_tomosipo(cone))
    assert converters.from_odl(converters.to_odl(trip)).is_close(cone, 1e-9)
    refused = [
        (cone.rotate_detector(roll=0.1), "turn rigidly about an axis"),
        (tomo.translate(z=[0.0, 1.0, 5.0, 4.0]) * cone, "rise evenly"),
        (tomo.scale(1 + 0.01 * np.arange(4)[:, None]) * cone, "turn rigidly about an axis"),
        (
            tomo.translate(x=1.0) * tomo.FanBeam(ANGLES, **WIDE, sod=200.0, sdd=300.0),
            "turn rigidly",
        ),
        (cone[::-1], "angles that rise"),
        (tomo.rotate("z", 0.3) * (tomo.rotate("x", 0.7) * CYLINDERS), "not perpendicular"),
    ]
    for geometry, message in refused:
        with pytest.raises(NotSupportedError, match=message):
            converters.to_odl(geometry)


def test_grid_from_odl(odl):
    space = odl.uniform_discr([-1.0, 0.0, 2.0], [1.0, 6.0, 3.0], (4, 6, 2))
    expected = oa.Grid((2, 6, 4), (0.5, 1.0, 0.5), origin=(2.5, 3.0, 0.0))
    assert converters.grid_from_odl(space) == expected
    with pytest.raises(NotSupportedError, match="two or three axes"):
        converters.grid_from_odl(odl.uniform_discr(0.0, 1.0, 4))
    with pytest.raises(ArgumentError, match="not a discretised space"):
        converters.grid_from_odl(odl.rn(4))
