"""TIGRE, by the equations of its projector, typed in as they stand there."""

import numpy as np
import pytest
from converter_balls import ANGLES, CONE, UP, agrees, on_detector, seen, turned

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, NotSupportedError
from opalg.tomo import converters

SIMPLE = {
    "DSO": 200.0, "DSD": 300.0, "nDetector": np.array([101, 121]), "dDetector": np.array([1.0, 0.8]),
    "sDetector": np.array([101.0, 96.8]), "offDetector": np.array([2.0, -3.0]), "angles": ANGLES,
}  # fmt: skip
# Every view has its own of everything.
FREE = {
    **SIMPLE,
    "DSO": 200.0 + np.arange(4.0),
    "DSD": 300.0 - np.arange(4.0),
    "offDetector": np.array([[2.0, -3.0], [0.0, 1.0], [4.0, 2.0], [-1.0, 0.5]]),
    "rotDetector": np.array([[0.1, 0.2, -0.1], [0.0, 0.0, 0.3], [0.2, 0, 0], [0, -0.2, 0.1]]),
    "COR": np.array([1.0, -2.0, 0.5, 3.0]),
    "offOrigin": np.array([[1.0, 2, 3], [1.0, 0, 3], [-1.0, 2, 4], [1.0, 2, 3]]),
    "angles": np.stack([ANGLES, [0.2, -0.3, 0.1, 0.0], [0.0, 0.2, -0.5, 0.7]], axis=1),
}


def kernel(p, i, parallel=False):
    """``computeDeltas_Siddon``: source, middle of the detector, its steps; seen from the volume."""
    alpha, theta, psi = p["angles"][i]
    yaw, pitch, roll = p["rotDetector"][i]
    off_v, off_u = p["offDetector"][i]
    c, s = np.cos, np.sin

    def roll_pitch_yaw(x, y, z):
        return (
            c(roll) * c(pitch) * x
            + (c(roll) * s(pitch) * s(yaw) - s(roll) * c(yaw)) * y
            + (c(roll) * s(pitch) * c(yaw) + s(roll) * s(yaw)) * z,
            s(roll) * c(pitch) * x
            + (s(roll) * s(pitch) * s(yaw) + c(roll) * c(yaw)) * y
            + (s(roll) * s(pitch) * c(yaw) - c(roll) * s(yaw)) * z,
            -s(pitch) * x + c(pitch) * s(yaw) * y + c(pitch) * c(yaw) * z,
        )

    def euler(x, y, z):
        a, t, q = alpha, theta, psi
        return (
            (c(a) * c(t) * c(q) - s(a) * s(q)) * x
            + (-c(a) * c(t) * s(q) - s(a) * c(q)) * y
            + c(a) * s(t) * z,
            (s(a) * c(t) * c(q) + c(a) * s(q)) * x
            + (-s(a) * c(t) * s(q) + c(a) * c(q)) * y
            + s(a) * s(t) * z,
            -s(t) * c(q) * x + s(t) * s(q) * y + c(t) * z,
        )

    def placed(x, y, z):
        at = np.array(euler(x, y, z)) - p["offOrigin"][i][::-1]
        return at + p["COR"][i] * np.array([-s(alpha), c(alpha), 0.0])

    def pixel(v, u):
        x, y, z = roll_pitch_yaw(0.0, u * p["dDetector"][1], v * p["dDetector"][0])
        return placed(x - (p["DSD"][i] - p["DSO"][i]), y + off_u, z + off_v)

    def start(v, u):
        if not parallel:
            return placed(p["DSO"][i], 0.0, 0.0)
        x, y, z = roll_pitch_yaw(0.0, u * p["dDetector"][1], v * p["dDetector"][0])
        return placed(x + p["DSO"][i], y, z)

    middle = pixel(0, 0)
    assert np.allclose(pixel(1, 0) - middle, start(1, 0) - start(0, 0)) or not parallel
    return start(0, 0), middle, pixel(1, 0) - middle, pixel(0, 1) - middle


def vectors(p, parallel=False):
    return [np.stack(a) for a in zip(*(kernel(p, i, parallel) for i in range(4)), strict=True)]


def test_regular():
    ours = converters.from_tigre(SIMPLE)
    across = turned(ANGLES, (0, 1, 0))
    centres = turned(ANGLES, (-100, 0, 0)) + 2.0 * UP - 3.0 * across
    assert ours.regular
    agrees(ours, turned(ANGLES, (200, 0, 0)), centres, [UP, 0.8 * across])
    back = converters.to_tigre(ours)
    for name, value in SIMPLE.items():
        np.testing.assert_allclose(back[name], value, atol=1e-12)
    assert converters.from_tigre(back) == ours


def test_all_parameters_per_view():
    sources, centres, v, u = vectors(FREE)
    # The grid lies where the volume of the first view is; seen from there the ball is elsewhere.
    grid = converters.grid_from_tigre({**FREE, "nVoxel": (4, 5, 6), "dVoxel": (1.0, 2.0, 2.0)})
    assert grid.origin == (1.0, 2.0, 3.0)
    place = FREE["offOrigin"][0][::-1]
    agrees(converters.from_tigre(FREE), sources + place, centres + place, [v, u])


NOTHING = {
    "offDetector": np.zeros((4, 2)), "rotDetector": np.zeros((4, 3)), "COR": np.zeros(4),
    "offOrigin": np.zeros((4, 3)), "DSO": np.full(4, 200.0), "DSD": np.full(4, 300.0),
    "angles": np.stack([ANGLES, 0 * ANGLES, 0 * ANGLES], axis=1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("COR", 5.0), ("rotDetector", np.array([0.1, 0.2, 0.3])), ("offDetector", FREE["offDetector"]),
        ("DSO", FREE["DSO"]), ("DSD", FREE["DSD"]), ("angles", FREE["angles"]),
        ("offOrigin", FREE["offOrigin"]),
    ],
)  # fmt: skip
def test_each_parameter_alone(name, one):
    ours = converters.from_tigre({**SIMPLE, **NOTHING, name: one})
    shape = NOTHING[name].shape
    expanded = {**SIMPLE, **NOTHING, name: np.broadcast_to(one, shape)}
    sources, centres, v, u = vectors(expanded)
    place = expanded["offOrigin"][0][::-1]
    agrees(ours, sources + place, centres + place, [v, u])


def test_parallel():
    # Two of the Euler angles are ignored by TIGRE, and refused here.
    p = {**FREE, "mode": "parallel", "angles": NOTHING["angles"]}
    sources, centres, v, u = vectors(p, parallel=True)
    place = p["offOrigin"][0][::-1]
    ours = converters.from_tigre(p)
    agrees(ours, None, centres + place, [v, u], rays=centres - sources)
    with pytest.raises(NotSupportedError, match="angles"):
        converters.from_tigre({**FREE, "mode": "parallel"})
    regular = converters.from_tigre({**SIMPLE, "mode": "parallel", "offDetector": np.zeros(2)})
    across = turned(ANGLES, (0, 1, 0))
    assert isinstance(regular, tomo.ParallelBeam)
    assert regular.regular
    agrees(regular, None, 0 * across, [UP, 0.8 * across], rays=turned(ANGLES, (-1.0, 0, 0)))


def test_to_parallel():
    """TIGRE moves a parallel detector along u by COR, which moves both ends of a ray."""
    beam = tomo.ParallelBeam(ANGLES, (101, 121), (1.0, 0.8), offset=(0.0, -3.0))
    by_vectors = converters.from_tomosipo(converters.to_tomosipo(beam))
    for given in (beam, by_vectors):
        theirs = converters.to_tigre(given)
        filled = {**NOTHING, **theirs, "COR": np.full(4, theirs["COR"])}
        filled["angles"] = np.stack([theirs["angles"], 0 * ANGLES, 0 * ANGLES], axis=1)
        filled |= {"DSO": np.full(4, theirs["DSO"]), "DSD": np.full(4, theirs["DSD"])}
        sources, centres, v, u = vectors(filled, parallel=True)
        agrees(given, None, centres, [v, u], rays=centres - sources)
        assert theirs["DSD"] - theirs["DSO"] > 0.5 * np.hypot(101, 97)
        back = converters.from_tigre(theirs)
        np.testing.assert_allclose(seen(back), seen(beam), atol=1e-9)
    with pytest.raises(NotSupportedError, match="centred along v"):
        converters.to_tigre(tomo.ParallelBeam(4, (3, 5), offset=(1.0, 0.0)))
    with pytest.raises(NotSupportedError, match="turn rigidly about the z axis"):
        converters.to_tigre(tomo.rotate("x", 0.1) * beam)


def test_objects():
    class Geometry:
        def __init__(self):
            self.__dict__ |= SIMPLE | {"accuracy": 0.5, "n_proj": None, "filter": None}

    assert converters.from_tigre(Geometry()) == converters.from_tigre(SIMPLE)
    assert converters.from_tigre(Geometry(), ANGLES[:2]).num_views == 2


def test_vectors_and_back():
    cone = tomo.ConeBeam(ANGLES, **CONE)
    moved = tomo.translate(x=3.0, z=2.0) * (tomo.rotate("x", 0.3) * cone)
    free = moved.rotate_detector(roll=0.1, tilt=0.2, slant=-0.1).shift_detector(u=np.arange(4.0))
    for geometry in (free, tomo.reflect("x") * free, converters.from_tigre(FREE)):
        theirs = converters.to_tigre(geometry)
        filled = {**theirs, "COR": np.zeros(4), "offOrigin": np.zeros((4, 3))}
        sources, centres, v, u = vectors(filled)
        agrees(geometry, sources, centres, [v, u])
        assert converters.from_tigre(theirs).is_close(geometry, 1e-9)
    # What is regular comes back so by way of another package, too.
    trip = converters.from_tomosipo(converters.to_tomosipo(cone))
    expected = on_detector(
        cone.source_positions,
        cone.detector_positions,
        [UP, turned(ANGLES, (0.8, 0, 0))],
        (101, 121),
    )
    np.testing.assert_allclose(
        seen(converters.from_tigre(converters.to_tigre(trip))), expected, atol=0.1
    )


def test_what_is_refused():
    cone = tomo.ConeBeam(ANGLES, **CONE)
    skewed = tomo.ConeBeam.from_vectors(
        [[0, -9, 0]], [[0, 9, 0]], [[0.2, 0, 1]], [[1, 0, 0]], (3, 3)
    )
    refused = [
        (tomo.ParallelBeam(4), "parallel beam in 3D"), (tomo.ConeBeam(4, **CONE, curved=True), "curved"),
        (skewed, "perpendicular"),
        (tomo.trajectories.concatenate([cone, tomo.scale(2.0) * cone]), "one size"),
    ]  # fmt: skip
    for geometry, message in refused:
        with pytest.raises(NotSupportedError, match=message):
            converters.to_tigre(geometry)
    with pytest.raises(ArgumentError, match="no parameters offDetectr; known are COR, DSD"):
        converters.from_tigre({**SIMPLE, "offDetectr": 3.0})
    with pytest.raises(ArgumentError, match="needs DSO"):
        converters.from_tigre({n: a for n, a in SIMPLE.items() if n != "DSO"})
    with pytest.raises(ArgumentError, match="sDetector must be"):
        converters.from_tigre({**SIMPLE, "sDetector": np.array([101.0, 121.0])})
    with pytest.raises(ArgumentError, match=r"rotDetector must broadcast to shape \(4, 3\)"):
        converters.from_tigre({**SIMPLE, "rotDetector": np.zeros(2)})
    with pytest.raises(ArgumentError, match="DSO must broadcast"):
        converters.from_tigre({**SIMPLE, "DSO": "far"})
    with pytest.raises(ArgumentError, match="angles must be numbers"):
        converters.from_tigre(SIMPLE, "all")
    with pytest.raises(ArgumentError, match="angles must have shape"):
        converters.from_tigre(SIMPLE, np.zeros((4, 2)))
    with pytest.raises(NotSupportedError, match="mode 'helical'"):
        converters.from_tigre({**SIMPLE, "mode": "helical"})


def test_grid():
    # Voxel (0, 0, 0) of TIGRE is centred half a voxel inside the corner at offOrigin - sVoxel / 2.
    volume = {
        "nVoxel": (4, 5, 6),
        "sVoxel": (2.0, 5.0, 3.0),
        "offOrigin": np.array([1.0, -2.0, 3.0]),
    }
    grid = converters.grid_from_tigre(volume)
    assert grid == oa.Grid((4, 5, 6), (0.5, 1.0, 0.5), origin=(1.0, -2.0, 3.0))
    assert [c[0] for c in grid.coordinates] == [1 - 1 + 0.25, -2 - 2.5 + 0.5, 3 - 1.5 + 0.25]
    with pytest.raises(ArgumentError, match="sVoxel must be"):
        converters.grid_from_tigre({**volume, "dVoxel": 1.0})
    with pytest.raises(ArgumentError, match="needs dVoxel or sVoxel"):
        converters.grid_from_tigre({"nVoxel": (4, 5, 6)})
