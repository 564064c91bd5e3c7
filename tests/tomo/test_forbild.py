"""The FORBILD head against its definitions: the planar one as ODL has it, the list of bodies in 3D."""

import math

import numpy as np
import pytest

import opalg as oa
from opalg import tomo
from opalg.tomo import phantoms


def planar(n, **options):
    """ODL's image of the head, in its centimetres."""
    odl = pytest.importorskip("odl")
    try:
        from odl.core.phantom.transmission import forbild
    except ImportError:
        from odl.phantom.transmission import forbild
    space = odl.uniform_discr([-12.8, -12.8], [12.8, 12.8], [n, n])
    return forbild(space, scale="cm", **options).asarray().T  # x comes first there


@pytest.mark.parametrize("resolution", [False, True])
@pytest.mark.parametrize("ear", [False, True])
def test_the_planar_head_is_that_of_the_publication(resolution, ear):
    n = 433  # no pixel centre lies on an edge
    head = phantoms.forbild_head(ear=ear, resolution=resolution, value=1.0)
    found = head.sample(oa.Grid((n, n), 256 / n, "float64"), supersampling=1)
    expected = planar(n, resolution=resolution, ear=ear)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_planar_projections_are_integrals_of_the_image():
    n, step = 1024, 0.25
    image = planar(n, ear=True)
    for geometry in (
        tomo.ParallelBeam([0.2, 1.0], detector=60, pitch=4.1),
        tomo.FanBeam([0.2, 4.0], 60, 6.0, sod=400.0, sdd=700.0),
    ):
        points, directions = np.broadcast_arrays(*geometry.rays())
        nearest = points - (points * directions).sum(axis=-1, keepdims=True) * directions
        total = np.zeros(nearest.shape[:-1])
        for t in np.arange(-125.0, 125.0, step):
            x, y = np.moveaxis((nearest + t * directions) * (n / 256) + n / 2, -1, 0)
            place = np.floor(y).astype(int), np.floor(x).astype(int)
            total += image[np.clip(place[0], 0, n - 1), np.clip(place[1], 0, n - 1)] * step
        found = phantoms.forbild_head(value=1.0).project(geometry, "float64")
        # Pixels and steps of 1/4 mm: each of some twenty surfaces is off by less than one of them.
        assert np.abs(found - total).max() < 1.8
        assert np.abs(found - total).mean() < 0.5
        assert total.max() > 200


def vector(*degrees_and_signs):
    return np.array(degrees_and_signs, float)


def painted(p):
    """The list of the definition, in cm: what comes later takes the place of what was before."""
    sin, cos = (lambda d: math.sin(math.radians(d))), (lambda d: math.cos(math.radians(d)))
    x, y, z = np.moveaxis(p, -1, 0)
    value = np.zeros(x.shape)

    def paint(inside, density):
        value[inside] = density

    def ellipsoid(centre, half, a_x=(1, 0, 0), a_z=(0, 0, 1)):
        q = p - vector(*centre)
        a_x, a_z = vector(*a_x), vector(*a_z)
        frame = (a_x, np.cross(a_z, a_x), a_z)
        return sum(((q @ a) / h) ** 2 for a, h in zip(frame, half, strict=True)) <= 1

    def elliptic_cylinder(centre, half, length, axis, along):
        """``half`` across ``along`` and along it, both across the axis."""
        q = p - vector(*centre)
        axis, along = vector(*axis), vector(*along)
        across = np.cross(along, axis)
        round_ = ((q @ across) / half[0]) ** 2 + ((q @ along) / half[1]) ** 2 <= 1
        return round_ & (np.abs(q @ axis) <= length / 2)

    paint(ellipsoid((0, 0, 0), (9.6, 12, 12.5)), 1.8)
    paint(ellipsoid((0, 0, 0), (9.0, 11.4, 11.9)), 1.05)
    paint(ellipsoid((0, -3.6, 0), (1.8, 3.6, 3.6)), 1.045)
    paint(ellipsoid((0, 8.4, 0), (1.8, 3.0, 3.0)), 0.0)
    paint(ellipsoid((-4.7, 4.3, 0.872), (2, 2, 2)), 1.06)
    paint(ellipsoid((4.7, 4.3, 0.872), (2, 2, 2)), 1.06)
    paint(ellipsoid((-1.08, -9, 0), (0.4, 0.4, 0.4)), 1.0525)
    paint(ellipsoid((1.08, -9, 0), (0.4, 0.4, 0.4)), 1.0475)
    plate = (0, -cos(30), sin(30)), (0, sin(30), cos(30))
    paint(elliptic_cylinder((0, 3.6, 0), (1.2, 4.0), 0.5 * cos(15), *plate), 1.8)
    septum = (1, 0, 0), (0, -sin(30), cos(30))
    paint(elliptic_cylinder((0, 9.6, 0), (0.525561, 2.0), 0.4, *septum), 1.8)
    left = (cos(15) * cos(120), sin(120), -sin(15) * cos(120)), (sin(15), 0, cos(15))
    half = (1.206483 * cos(15), 0.420276 * cos(15), 3.0)
    paint(ellipsoid((-1.9, 5.4, 0), half, *left), 1.8)
    right = (cos(15) * cos(60), sin(60), sin(15) * cos(60)), (-sin(15), 0, cos(15))
    paint(ellipsoid((1.9, 5.4, 0), (1.2 * cos(15), 0.42 * cos(15), 3.0), *right), 1.8)
    for side, angle in ((-1, 150), (1, 30)):
        along = (cos(angle), sin(angle), 0)
        paint(
            elliptic_cylinder((side * 4.3, 6.8, -1), (0.24, 1.8), 4.0, (0, 0, 1), along),
            1.8,
        )
    paint(ellipsoid((6.393945, -6.393945, 0), (1.2, 0.42, 1.2), (cos(58.1), sin(58.1), 0)), 1.055)
    for height in (-0.2, 0.2):
        radius = 0.5 - 0.3 * (y + 11.9) / 1.5
        inside = (np.hypot(x, z - height) <= radius) & (y >= -11.9) & (y <= -10.4)
        paint(inside, 1.8)
    paint(ellipsoid((9.1, 0, 0), (4.2, 1.8, 1.8)) & (x < 9.1), 1.8)
    row = 0.2 * math.sqrt(3)
    last = {  # x of the last air cell in each row: by distance from the middle along z and y
        (0, 0): 5.6, (0, 1): 5.8, (0, 2): 6.0, (0, 3): 6.6,
        (1, 0): 5.8, (1, 1): 6.0, (1, 2): 6.2, (1, 3): 6.8,
        (2, 0): 6.0, (2, 1): 6.2, (2, 2): 6.4, (2, 3): 7.0,
        (3, 0): 6.6, (3, 1): 6.8, (3, 2): 7.0, (3, 3): 7.6,
    }  # fmt: skip
    ear = (x > 5.3) & (np.maximum(np.abs(y), np.abs(z)) < 1.3)
    near, air = p[ear], np.zeros(int(ear.sum()), bool)
    for k in range(-3, 4):
        for j in range(-3, 4):
            first = 8.8 if (k + j) % 2 == 0 else 8.6
            for place in np.arange(first, last[abs(k), abs(j)] - 0.1, -0.4):
                air |= np.square(near - (place, j * row, k * row)).sum(axis=-1) <= 0.15**2
    value[ear] = np.where(air, 0.0, value[ear])
    return value


def test_the_head_in_3d_is_painted_in_the_order_of_its_definition():
    head = phantoms.forbild_head_3d(diameter=24.0, value=1.0)
    grids = (
        # Odd steps and origins keep points off the edges. The head, its frontal bones, its ear, its back.
        oa.Grid((61, 61, 61), 0.4131, "float64", origin=(0.0123, 0.0217, 0.0311)),
        oa.Grid((61, 51, 81), 0.1131, "float64", origin=(-0.4, 6.9, 0.0173)),
        oa.Grid((37, 41, 49), 0.1011, "float64", origin=(0.0123, 0.0217, 7.0)),
        oa.Grid((31, 41, 31), 0.0511, "float64", origin=(0.0123, -11.2, 0.0217)),
    )
    for grid in grids:
        points = np.stack(np.meshgrid(*grid.coordinates, indexing="ij")[::-1], axis=-1)
        found = head.sample(grid, supersampling=1)
        np.testing.assert_allclose(found, painted(points), atol=1e-12)


def test_the_middle_of_the_head_is_the_planar_head():
    grid = oa.Grid((1, 400, 400), 0.64, "float64")
    deep = phantoms.forbild_head_3d().sample(grid, supersampling=1)[0]
    flat = phantoms.forbild_head().sample(oa.Grid((400, 400), 0.64, "float64"), supersampling=1)
    # In the plane straight lines stand for the sections of cylinders and of the cones.
    assert np.mean(np.abs(deep - flat) > 1e-9) < 1e-4


def test_cone_beam_projections_are_integrals_of_the_definition():
    cone = tomo.ConeBeam([0.4, 1.7], (7, 13), (3.7, 2.9), sod=40.0, sdd=60.0)
    points, directions = np.broadcast_arrays(*cone.rays())
    nearest = points - (points * directions).sum(axis=-1, keepdims=True) * directions
    step = 0.02
    total = np.zeros(nearest.shape[:-1])
    for t in np.array_split(np.arange(-13.0, 13.0, step), 20):
        total += (
            painted(nearest[..., None, :] + t[:, None] * directions[..., None, :]).sum(-1) * step
        )
    found = phantoms.forbild_head_3d(diameter=24.0, value=1.0).project(cone, "float64")
    assert total.max() > 25
    # Half a step of 1.8 at each surface, of which an ear has some ten; seldom all the same way.
    assert np.abs(found - total).max() < 0.1
    assert np.abs(found - total).mean() < 0.02


def test_the_resolution_pattern():
    without = phantoms.forbild_head_3d(diameter=24.0, value=1.0, ear=False)
    dots = phantoms.forbild_head_3d(diameter=24.0, value=1.0, ear=False, resolution=True)
    added = dots.shapes[len(without.shapes) :]
    assert len(added) == 144
    assert all(shape.value == pytest.approx(0.75) for shape in added)
    widths = {round(2 * float(shape.axes[0, 0]), 6) for shape in added}
    heights = {round(2 * float(shape.axes[2, 2]), 6) for shape in added}
    assert widths == {0.0357, 0.0312, 0.0278, 0.025}
    assert heights == {0.4, 0.2, 0.1, 0.05}
    # Element 32 of the definition: third column, second row; its last dots along y and z.
    centres = [shape.centre.round(6).tolist() for shape in added]
    assert [-6.84, round(-1 + 0.48 + 8 * 0.0278, 6), 0.0] in centres
    assert [-6.84, -0.52, 1.6] in centres
