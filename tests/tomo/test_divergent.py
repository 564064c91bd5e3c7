"""Fan and cone beams: where sources and pixels are, and what slices and shifts do to them."""

import json
import math
import pickle

import numpy as np
import pytest
from geometries import geometries
from hypothesis import given

from opalg import tomo
from opalg.errors import ArgumentError, NonFiniteError, NotSupportedError

FAN = {"detector": 5, "pitch": 2.0, "sod": 100.0, "sdd": 150.0}
CONE = {"detector": (4, 5), "pitch": (3.0, 2.0), "sod": 100.0, "sdd": 150.0}


def every_kind():
    fan, cone = tomo.FanBeam(6, **FAN), tomo.ConeBeam(6, **CONE)
    parallel = tomo.ParallelBeam(6, detector=(4, 5))
    return [
        fan,
        tomo.FanBeam(6, **FAN, curved=True, offset=1.5),
        tomo.rotate("z", 0.3) * fan,
        cone,
        tomo.ConeBeam([0.1, 0.5, 2.0], **CONE, curved=True, offset=(1.0, -2.0)),
        tomo.rotate("x", 0.3) * tomo.ConeBeam(6, **CONE, curved=True),
        tomo.ConeBeam.helical(1.5, 12.0, 6, **CONE),
        tomo.ParallelBeam(6, detector=5),
        parallel,
        tomo.rotate("x", 0.3) * parallel,
        tomo.translate(x=2.0) * tomo.ParallelBeam(6, detector=5),
    ]


KINDS = pytest.mark.parametrize("geometry", every_kind(), ids=str)


# Positions


@pytest.mark.parametrize("curved", [False, True])
def test_a_view_of_a_fan(curved):
    fan = tomo.FanBeam(np.deg2rad([0, 90]), **FAN, curved=curved)
    np.testing.assert_allclose(fan.source_positions, [[0, -100], [100, 0]], atol=1e-13)
    np.testing.assert_allclose(fan.detector_positions, [[0, 50], [-50, 0]], atol=1e-13)
    np.testing.assert_allclose(fan.u_directions, [[1, 0], [0, 1]], atol=1e-15)
    pixels = fan.frames.pixels((5,))
    if curved:  # equal angles, 4 mm of arc from the middle
        angle = 4.0 / 150.0
        last = (150 * math.sin(angle), -100 + 150 * math.cos(angle))
    else:
        last = (4.0, 50.0)
    np.testing.assert_allclose(pixels[0, -1], last, atol=1e-12)
    # The second view is the first, turned: (x, y) -> (-y, x).
    np.testing.assert_allclose(
        pixels[1], np.stack([-pixels[0, :, 1], pixels[0, :, 0]], -1), atol=1e-12
    )


@pytest.mark.parametrize("curved", [False, True])
def test_a_view_of_a_cone(curved):
    cone = tomo.ConeBeam(np.deg2rad([90]), **CONE, curved=curved, offset=(0.5, 0.0))
    np.testing.assert_allclose(cone.source_positions, [[100, 0, 0]], atol=1e-13)
    np.testing.assert_allclose(cone.detector_positions, [[-50, 0, 0.5]], atol=1e-13)
    np.testing.assert_allclose(cone.v_directions, [[0, 0, 1]], atol=1e-15)
    pixels = cone.frames.pixels((4, 5))[0]
    np.testing.assert_allclose(pixels[:, 2, 2], np.array([-4.5, -1.5, 1.5, 4.5]) + 0.5)
    if curved:  # a cylinder about the line through the source
        np.testing.assert_allclose(np.hypot(pixels[..., 0] - 100, pixels[..., 1]), 150)
    else:
        np.testing.assert_allclose(pixels[..., 0], -50, atol=1e-12)


def test_an_offset_moves_the_pixels_and_not_the_source():
    for curved in (False, True):
        plain = tomo.FanBeam(3, **{**FAN, "detector": 7}, curved=curved)
        moved = tomo.FanBeam(3, **FAN, curved=curved, offset=2.0)
        np.testing.assert_allclose(
            moved.frames.pixels((5,)), plain.frames.pixels((7,))[:, 2:], atol=1e-12
        )
        np.testing.assert_array_equal(moved.source_positions, plain.source_positions)


def test_rays_run_from_the_source_through_the_pixels():
    for geometry in every_kind():
        points, directions = geometry.rays()
        shape = (*geometry.shape, geometry.ndim)
        pixels = geometry.frames.pixels(geometry.detector_shape)
        assert np.broadcast_shapes(points.shape, directions.shape) == shape
        np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1)
        along = ((pixels - points) * directions).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(points + along * directions, pixels, atol=1e-10)
        if not geometry.frames.parallel:
            assert (along > 0).all()


def test_a_helix_rises():
    helix = tomo.ConeBeam.helical(turns=2, pitch_per_turn=20.0, views_per_turn=8, **CONE)
    assert helix.num_views == 16
    z = helix.source_positions[:, 2]
    np.testing.assert_allclose(np.diff(z), 2.5)
    assert z.sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(helix.detector_positions[:, 2], z)
    # Exactly above each other: the same view one turn later.
    np.testing.assert_array_equal(helix.source_positions[:8, :2], helix.source_positions[8:, :2])
    curved = tomo.ConeBeam.helical(2, 20.0, 8, **CONE, curved=True)
    pixels = curved.frames.pixels((4, 5))
    np.testing.assert_allclose(
        pixels[8] - pixels[0], np.broadcast_to([0, 0, 20.0], (4, 5, 3)), atol=1e-11
    )


# Slices and shifts


@KINDS
def test_slices_keep_pixels_where_they_are(geometry):
    key = (slice(1, None, 2), *[slice(1, 4), slice(0, 5, 2)][-len(geometry.detector_shape) :])
    part = geometry[key]
    whole = geometry.frames.pixels(geometry.detector_shape)
    np.testing.assert_allclose(part.frames.pixels(part.detector_shape), whole[key], atol=1e-11)
    np.testing.assert_allclose(part.frames.origins, geometry.frames.origins[1::2], atol=1e-13)


@KINDS
def test_masks_and_numbers(geometry):
    with pytest.raises(ArgumentError, match=rf"mask for view must have shape \({len(geometry)},\)"):
        geometry[np.ones(len(geometry) + 1, bool)]
    mask = np.arange(geometry.num_views) % 2 == 0
    columns = np.array([False, True, False, True, False])
    whole = geometry.frames.pixels(geometry.detector_shape)
    if geometry.ndim == 3:
        part = geometry[mask, :, columns]
        np.testing.assert_allclose(
            part.frames.pixels(part.detector_shape), whole[mask][:, :, columns], atol=1e-11
        )
        np.testing.assert_allclose(
            geometry[1, 2].frames.pixels((1, 5)), whole[1:2, 2:3], atol=1e-11
        )
    else:
        part = geometry[mask, columns]
        np.testing.assert_allclose(
            part.frames.pixels(part.detector_shape), whole[mask][:, columns], atol=1e-11
        )
    assert geometry[:] == geometry
    with pytest.raises(ArgumentError, match="equally spaced"):
        geometry[(slice(None),) * len(geometry.detector_shape) + ([0, 1, 3],)]


@KINDS
def test_shifts_move_the_detector_along_itself(geometry):
    shift = 1.3 if geometry.ndim == 2 else 0.7
    one = geometry.shift_detector(u=shift)
    each = geometry.shift_detector(u=np.full(geometry.num_views, shift))
    assert one.regular == geometry.regular
    assert not each.regular
    assert each.is_close(one, 1e-10)
    np.testing.assert_array_equal(one.frames.origins, geometry.frames.origins)
    moved = one.frames.pixels(geometry.detector_shape) - geometry.frames.pixels(
        geometry.detector_shape
    )
    assert np.linalg.norm(moved, axis=-1) == pytest.approx(shift, rel=1e-4)


def test_shifts_per_view():
    cone = tomo.ConeBeam(3, **CONE).shift_detector(v=[0.0, 1.0, -2.0])
    np.testing.assert_allclose(cone.detector_positions[:, 2], [0, 1, -2])
    with pytest.raises(ArgumentError, match="one number or 3"):
        cone.shift_detector(u=[1.0, 2.0])
    with pytest.raises(NonFiniteError):
        cone.shift_detector(u=np.nan)


@pytest.mark.parametrize("curved", [False, True])
def test_turns_of_the_detector(curved):
    cone = tomo.ConeBeam(4, (5, 6), (2.0, 1.0), sod=100.0, sdd=150.0, curved=curved)
    u, v, n = cone.u_directions, cone.v_directions, cone.frames.normals
    c, s = np.cos(0.3), np.sin(0.3)
    for turn, expected in (
        ({"roll": 0.3}, (c * u + s * v, c * v - s * u, n)),
        ({"tilt": 0.3}, (u, c * v + s * n, c * n - s * v)),
        ({"slant": 0.3}, (c * u + s * n, v, c * n - s * u)),
    ):
        turned = cone.rotate_detector(**turn)
        found = (turned.u_directions, turned.v_directions, turned.frames.normals)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        np.testing.assert_array_equal(turned.source_positions, cone.source_positions)
        np.testing.assert_allclose(turned.detector_positions, cone.detector_positions, atol=1e-12)
        # A rigid motion: pixels keep their distances.
        pixels = [g.frames.pixels((5, 6)).reshape(4, 30, 3) for g in (cone, turned)]
        gaps = [np.linalg.norm(p[:, :, None] - p[:, None], axis=-1) for p in pixels]
        np.testing.assert_allclose(*gaps, atol=1e-9)
    # Every view its own, and back; a roll as by a calibration moves what is seen.
    rolls = np.array([0.0, 0.1, -0.2, 0.3])
    turned = cone.rotate_detector(roll=rolls)
    assert turned[:1].is_close(cone[:1])
    assert turned.rotate_detector(roll=-rolls).is_close(cone, 1e-9)
    fan = tomo.FanBeam(4, 6, 1.0, sod=100.0, sdd=150.0)
    slanted = fan.rotate_detector(slant=0.1)
    np.testing.assert_allclose(slanted.u_directions[0], [np.cos(0.1), np.sin(0.1)], atol=1e-12)
    for wrong, words in (
        (lambda: fan.rotate_detector(roll=0.1), "by its slant only"),
        (lambda: cone.rotate_detector(roll=[0.1, 0.2]), "one angle or 4"),
        (lambda: cone.rotate_detector(tilt=np.nan), "must be finite"),
    ):
        with pytest.raises(ArgumentError, match=words):
            wrong()


def test_a_turned_detector_sees_the_same_rays():
    """A ball near the axis lands where the line from the source meets the turned plane."""
    cone = tomo.ConeBeam(3, (81, 81), 1.0, sod=200.0, sdd=300.0)
    turned = cone.rotate_detector(roll=0.4, tilt=0.2, slant=-0.3)
    centre = np.array([12.0, -7.0, 5.0])
    y = tomo.phantoms.ball(3.0, centre=centre.tolist()).project(turned, "float64")
    rows, columns = np.arange(81)[:, None] - 40, np.arange(81) - 40
    for view, image in enumerate(y):
        seen = [(image * k).sum() / image.sum() for k in (columns, rows)]
        frames = turned.frames
        axes = [frames.u_steps[view], frames.v_steps[view], frames.origins[view] - centre]
        u, v, _ = np.linalg.solve(np.stack(axes, axis=1), centre - frames.centres[view])
        np.testing.assert_allclose(seen, [u, v], atol=0.1)


def test_the_axis_of_a_fan():
    fan = tomo.FanBeam(2, **FAN).with_axis_at(1.0)
    np.testing.assert_allclose(fan.frames.pixels((5,))[0, 1], [0, 50], atol=1e-12)
    with pytest.raises(NotSupportedError, match="shift_detector"):
        (tomo.rotate("z", 0.1) * fan).with_axis_at(1.0)


# Values


@KINDS
def test_value_semantics(geometry):
    assert pickle.loads(pickle.dumps(geometry)) == geometry
    assert hash(pickle.loads(pickle.dumps(geometry))) == hash(geometry)
    assert geometry != geometry.shift_detector(u=0.1)
    assert type(geometry).from_json(geometry.to_json()) == geometry
    assert tomo.Geometry.from_json(geometry.to_json()) == geometry
    with pytest.raises(AttributeError, match="immutable"):
        geometry.pitch = 3.0
    with pytest.raises(ValueError, match="read-only"):
        geometry.frames.centres[0] = 1.0


def test_representations_rebuild():
    names = {**vars(tomo), "array": np.array, "float64": np.float64}
    fan = tomo.FanBeam(2, **FAN)
    assert repr(fan) == "FanBeam(angles=2, detector=5, pitch=2.0, sod=100.0, sdd=150.0)"
    for geometry in (
        fan,
        tomo.ConeBeam([0.0, 1.0], **CONE, curved=True, offset=0.5),
        tomo.rotate("z", 0.3) * fan,
        tomo.rotate("x", 0.3) * tomo.ConeBeam(2, **CONE),
        tomo.rotate("x", 0.3) * tomo.ParallelBeam(2, detector=(4, 5)),
        tomo.rotate("z", 0.3) * tomo.ParallelBeam(2, detector=5),
    ):
        assert eval(repr(geometry), names) == geometry
    assert str(tomo.rotate("z", 0.3) * fan) == "FanBeam with 2 views of 5 pixels, given by vectors"


def test_regular_geometries_equal_their_vectors():
    cone = tomo.ConeBeam(3, **CONE)
    frames = cone.frames
    free = tomo.ConeBeam.from_vectors(
        cone.source_positions, cone.detector_positions, frames.v_steps, frames.u_steps, (4, 5)
    )
    assert free == cone
    assert not free.regular
    assert cone.is_close(tomo.translate(x=1e-9) * cone)
    assert not cone.is_close(tomo.translate(x=1e-7) * cone)


@pytest.mark.parametrize("curved", [False, True])
def test_vectors_of_a_curved_detector(curved):
    cone = tomo.ConeBeam(3, **CONE, curved=curved, offset=(2.0, 1.0))
    f = cone.frames
    free = tomo.ConeBeam.from_vectors(
        f.origins, f.centres, f.v_steps, f.u_steps, (4, 5), arc_centre=f.arc_centres
    )
    assert free.is_close(cone)
    assert free.curved == curved


def test_json_of_something_else():
    for text in ("", "{}", '{"format": "opalg geometry 1", "type": "FanBeam"}'):
        with pytest.raises(ArgumentError, match="is no geometry"):
            tomo.Geometry.from_json(text)
    with pytest.raises(ArgumentError, match="'FanBeam', expected one of"):
        tomo.ConeBeam.from_json(tomo.FanBeam(2, **FAN).to_json())


def changed(geometry, part, name, value):
    data = json.loads(geometry.to_json())
    (data[part] if part else data)[name] = value
    return json.dumps(data)


REGULAR = tomo.ConeBeam(3, **CONE)
FREE = tomo.rotate("x", 0.1) * REGULAR
ARC = tomo.rotate("x", 0.1) * tomo.ConeBeam(3, **CONE, curved=True)
BAD_JSON = {
    "extra argument": changed(REGULAR, "arguments", "tilt", 1.0),
    "arguments that contradict": changed(REGULAR, "arguments", "sod", 1e6),
    "no detector": changed(REGULAR, "arguments", "detector", None),
    "angles of words": changed(REGULAR, "arguments", "angles", ["a", "b"]),
    "unknown class": changed(REGULAR, None, "type", "Beam"),
    "no class": changed(REGULAR, None, "type", ["ConeBeam"]),
    "missing argument": REGULAR.to_json().replace('"sod"', '"radius"'),
    "NaN": changed(FREE, "vectors", "origins", [[float("nan"), 0.0, 0.0]] * 3),
    "fewer views": changed(FREE, "vectors", "origins", FREE.frames.origins[:2].tolist()),
    "one view": changed(FREE, "vectors", "u_steps", FREE.frames.u_steps[:1].tolist()),
    "huge": changed(FREE, "vectors", "u_steps", [[10**400, 0, 0]] * 3),
    "a fan of a cone": changed(FREE, None, "type", "FanBeam"),
    "a parallel beam of a cone": changed(FREE, None, "type", "ParallelBeam"),
    "parallel cone": changed(FREE, None, "parallel", True),
    "nearly parallel cone": changed(FREE, None, "parallel", 0),
    "row": changed(FREE, None, "detector", [4]),
    "zero pixels": changed(FREE, None, "detector", [4, 0]),
    "vectors unknown": changed(FREE, "vectors", "normals", [[0.0, 1.0, 0.0]] * 3),
    "flat with an arc": changed(FREE, None, "arc_step", 0.1),
    "another arc": changed(ARC, None, "arc_step", 0.1),
    "arc of words": changed(ARC, None, "arc_step", "wide"),
    "detector in line": changed(FREE, "vectors", "u_steps", FREE.frames.v_steps.tolist()),
    "a list": "[]",
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_json_is_checked_as_arguments_are(name):
    with pytest.raises(ArgumentError, match="is no geometry"):
        tomo.Geometry.from_json(BAD_JSON[name])


def test_spaces_and_weights():
    fan = tomo.FanBeam(10, **FAN)
    assert fan.space().weighting == pytest.approx(2 * np.pi / 10 * 2.0)
    assert (tomo.rotate("z", 1.0) * fan).space().weighting == pytest.approx(2 * np.pi / 10 * 2.0)
    # A full turn whose end is measured twice.
    ends = tomo.FanBeam(np.linspace(0, 2 * np.pi, 11), **FAN).view_weights
    np.testing.assert_allclose(ends, np.deg2rad([18, *[36] * 9, 18]))
    assert fan.space().axes == ("view", "u")


def test_vectors_have_no_distances():
    free = tomo.rotate("z", 0.1) * tomo.FanBeam(2, **FAN)
    with pytest.raises(NotSupportedError, match="source_positions"):
        free.sod  # noqa: B018
    np.testing.assert_allclose(free.angles, [0.1, np.pi + 0.1])


@given(geometries())
def test_any_geometry_keeps_its_promises(geometry):
    assert type(geometry).from_json(geometry.to_json()) == geometry
    T = tomo.rotate("z", 0.4) * tomo.translate(x=3.0, y=-1.0)
    assert (T.inverse * (T * geometry)).is_close(geometry, 1e-9)
    directions = geometry.rays()[1]
    turned = (T * geometry).rays()
    lift = np.zeros((*directions.shape[:-1], 3))
    lift[..., : geometry.ndim] = directions
    expected = (lift @ T.matrices[:3, :3].T)[..., : geometry.ndim]
    np.testing.assert_allclose(turned[1], expected, atol=1e-12)
    assert geometry[::1] == geometry


# Errors


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: tomo.FanBeam(9, 5, 1.0, 100.0, 90.0), ArgumentError, "virtual detector"),
        (lambda: tomo.FanBeam(9, 5, 1.0, -1.0, 90.0), ArgumentError, "sod must be a positive"),
        (lambda: tomo.FanBeam(9, 5, 1.0, 10.0, np.inf), ArgumentError, "sdd must be a positive"),
        (lambda: tomo.FanBeam(9, (4, 5), 1.0, 10.0, 20.0), ArgumentError, "see tomo.ConeBeam"),
        (lambda: tomo.ConeBeam(9, 5, 1.0, 10.0, 20.0), ArgumentError, "see tomo.FanBeam"),
        (lambda: tomo.FanBeam(9, 70, 1.0, 10.0, 20.0, True), ArgumentError, "half a turn"),
        (lambda: tomo.FanBeam(np.arange(360), **FAN), ArgumentError, "in degrees"),
        (lambda: tomo.ConeBeam.helical(0, 1.0, 5, **CONE), ArgumentError, "number of turns"),
        (
            lambda: tomo.FanBeam.from_vectors([[0, 0]], [[4, 0]], [[1, 0]], 5),
            ArgumentError,
            "the source lies in its plane",
        ),
        (
            lambda: tomo.ConeBeam.from_vectors(
                [[0, -9, 0]], [[0, 9, 0]], [[1, 0, 0]], [[1, 0, 0]], (2, 2)
            ),
            ArgumentError,
            "parallel to each other",
        ),
        (
            lambda: tomo.ConeBeam.from_vectors(
                np.ones((3, 2)), [[0, 9, 0]], [[0, 0, 1]], [[1, 0, 0]], (2, 2)
            ),
            ArgumentError,
            r"source must hold one vector \(x, y, z\) per view",
        ),
        (
            lambda: tomo.FanBeam.from_vectors(np.ones((3, 2)), np.zeros((2, 2)), [[1, 0]], 5),
            ArgumentError,
            "detector_centre has 2 views where others have 3",
        ),
        (
            lambda: tomo.FanBeam.from_vectors([[0, np.nan]], [[0, 9]], [[1, 0]], 5),
            NonFiniteError,
            "source must be finite",
        ),
        (
            lambda: tomo.FanBeam.from_vectors(
                [[0, -9]], [[0, 9]], [[1, 0]], 5, arc_centre=[[3, -9]]
            ),
            ArgumentError,
            "u_step is a tangent",
        ),
        (
            lambda: tomo.ParallelBeam.from_vectors(
                [[0, 1, 0]], [[0, 0, 0]], None, [[1, 0, 0]], (2, 2)
            ),
            ArgumentError,
            "v_step belongs",
        ),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()
