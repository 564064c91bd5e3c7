"""FBP and FDK of fan and cone beams: absolute values, short and offset scans, definition, gradients."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opalg as oa
from opalg import tomo
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError
from opalg.tomo.parallel_scan import scan_of

FAN = {"detector": 300, "pitch": 0.8, "sod": 200.0, "sdd": 350.0}
CONE = {"detector": (60, 150), "pitch": 1.6, "sod": 200.0, "sdd": 350.0}
SCANS = {
    "full": {"angles": 360},
    "full, end repeated": {"angles": np.linspace(0, 2 * np.pi, 361)},
    "unequal": {"angles": np.sort(np.random.default_rng(0).uniform(0, 2 * np.pi, 700))},
    "short": {"angles": np.deg2rad(np.arange(0, 222))},
    "long, clockwise": {"angles": -np.deg2rad(np.arange(0, 260))},
    "offset": {"angles": 360, "offset": 40.0},
    "offset the other way": {"angles": 360, "offset": -40.0},
}
BOTH = pytest.mark.parametrize("curved", [False, True], ids=["flat", "curved"])


def errors(x, grid, centre, radius):
    """Relative errors inside of a ball of 0.02 per mm."""
    distance = sum(
        np.square(np.expand_dims(a, tuple(range(1, grid.ndim - i))) - c)
        for i, (a, c) in enumerate(zip(grid.coordinates, centre[::-1], strict=True))
    )
    return x[np.sqrt(distance) < radius] / 0.02 - 1


@BOTH
@pytest.mark.parametrize("scan", list(SCANS))
def test_fans_bring_back_absolute_values(scan, curved):
    grid = oa.Grid((130, 130), 0.8, origin=(1.0, -2.0))
    fan = tomo.FanBeam(**{**FAN, **SCANS[scan]}, curved=curved)
    y = tomo.phantoms.disc(40.0, 0.02, centre=(3.0, -5.0)).project(fan)
    found = errors(tomo.FBP(tomo.XrayTransform(grid, fan))(y), grid, (3.0, -5.0), 34)
    # Views at random leave streaks; else 0.05 % was seen.
    bound = 2e-2 if scan == "unequal" else 2e-3
    assert np.abs(found).max() < bound
    assert abs(found.mean()) < 5e-4


@BOTH
@pytest.mark.parametrize("scan", ["full", "short", "offset"])
def test_cones_bring_back_absolute_values(scan, curved):
    grid = oa.Grid((20, 80, 80), origin=(0.0, 1.0, -2.0))
    views = SCANS[scan] | ({"angles": 180} if scan != "short" else {})
    cone = tomo.ConeBeam(**CONE, **views, curved=curved)
    centre = (3.0, -5.0, 1.0)
    y = tomo.phantoms.ball(25.0, 0.02, centre).project(cone)
    x = tomo.FDK(tomo.XrayTransform(grid, cone))(y)
    found = errors(x, grid, centre, 21)
    assert np.abs(found).max() < 1e-2
    assert abs(found.mean()) < 2e-3


@pytest.mark.parametrize("pitch", [0.5, 1.3, 3.0])
@pytest.mark.parametrize("spacing", [0.4, 1.1])
@pytest.mark.parametrize("unit", [0.01, 100.0])
def test_every_pitch_spacing_and_unit(pitch, spacing, unit):
    n = round(60 / spacing)
    grid = oa.Grid((n, n), spacing * unit)
    fan = tomo.FanBeam(300, round(200 / pitch), pitch * unit, 200.0 * unit, 350.0 * unit)
    y = tomo.phantoms.disc(25.0 * unit, 0.02).project(
        fan
    )  # 0.02 per unit of length, whatever it is
    found = errors(tomo.FBP(tomo.XrayTransform(grid, fan))(y), grid, (0, 0), 15 * unit)
    assert np.abs(found).max() < 1e-2


def test_vectors_and_matrices_of_a_circle():
    cone = tomo.ConeBeam(120, **CONE)
    grid = oa.Grid((12, 48, 48), 1.5)
    reference = tomo.FDK(tomo.XrayTransform(grid, cone))
    y = tomo.phantoms.ball(20.0, 0.02, (3.0, -5.0, 1.0)).project(cone)
    matrices = tomo.ConeBeam.from_matrices(cone.to_matrices(), CONE["detector"], sdd=350.0)
    far = tomo.ConeBeam.from_matrices(cone.to_matrices(), CONE["detector"])
    for geometry in (matrices, far):
        x = tomo.FDK(tomo.XrayTransform(grid, geometry))(y)
        np.testing.assert_allclose(x, reference(y), atol=1e-6)


@pytest.mark.parametrize("axis", ["x", "z"])
def test_turned_and_moved_circles(axis):
    """A scan and an object that are moved together."""
    T = tomo.translate(2.0, -3.0, 4.0) * tomo.rotate(axis, 0.4)
    cone = T * tomo.ConeBeam(180, **CONE)
    centre = T.points((3.0, -5.0, 1.0))
    grid = oa.Grid((40, 40, 40), 1.0, origin=centre[::-1].tolist())
    y = tomo.phantoms.ball(17.0, 0.02, centre.tolist()).project(cone)
    found = errors(tomo.FDK(tomo.XrayTransform(grid, cone))(y), grid, centre, 13)
    assert np.abs(found).max() < 1e-2
    fan = tomo.translate(2.0, -3.0) * tomo.rotate("z", 1.0) * tomo.FanBeam(240, **FAN)
    plane = oa.Grid((60, 60), 1.0)
    y = tomo.phantoms.disc(25.0, 0.02).project(fan)
    found = errors(tomo.FBP(tomo.XrayTransform(plane, fan))(y), plane, (0, 0), 20)
    assert np.abs(found).max() < 2e-3


@pytest.mark.parametrize("rows", [None, 3])
def test_parallel_vectors_of_an_axis(rows):
    """Recognised whatever the frame; as the regular form, which only is projected back otherwise."""
    detector = 90 if rows is None else (rows, 90)
    scan = tomo.ParallelBeam(90, detector, 1.1, offset=2.3)
    free = scan.shift_detector(u=np.full(90, 0.0))
    grid = oa.Grid((50, 50) if rows is None else (rows, 50, 50))
    body = tomo.phantoms.disc(20.0, 0.02, (2.0, 3.0))
    if rows is not None:
        body = tomo.phantoms.cylinder(20.0, 50.0, 0.02, (2.0, 3.0, 0.0))
    y = body.project(scan)
    x, reference = (tomo.FBP(tomo.XrayTransform(grid, g), "hann")(y) for g in (free, scan))
    ys, xs = grid.coordinates[-2:]
    away = np.hypot(xs - 2.0, ys[:, None] - 3.0)  # at the edge they blur differently
    inside = np.broadcast_to(away < 16, grid.shape)
    np.testing.assert_allclose(x[inside], reference[inside], rtol=0.01)
    assert abs(np.mean(x[inside] - reference[inside])) < 1e-3 * 0.02
    # In any frame, the same to rounding: order of views, axes of the frame, sense of the angles.
    order = np.random.default_rng(0).permutation(90)
    np.testing.assert_allclose(
        tomo.FBP(tomo.XrayTransform(grid, free[order]), "hann")(y[order]), x, atol=1e-6
    )
    quarter = tomo.rotate("z", math.pi / 2) * free
    turned = tomo.FBP(tomo.XrayTransform(grid, quarter), "hann")(y)
    np.testing.assert_allclose(turned, np.rot90(x, -1, axes=(-2, -1)), atol=1e-6)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_moved_detector_is_continued(side):
    """What FBP does is what one may do by hand: weigh, add zeros, and reconstruct from the wide detector."""
    fan = tomo.FanBeam(60, 40, 2.0, 100.0, 150.0, offset=21.0 * side)
    A = tomo.XrayTransform(oa.Grid((16, 16), 2.0), fan)
    fbp = tomo.FBP(A, "hann")
    assert fbp.filter.domain.shape == (60, 61)
    y = A.range.random(0)
    wide = tomo.FanBeam(60, 61, 2.0, 100.0, 150.0)
    full = tomo.FBP(tomo.XrayTransform(A.domain, wide), "hann", redundancy=np.ones(1))
    padded = np.pad(tomo.weights.wang(fan).astype("float32") * y, ((0, 0), (0, 21)[::-side]))
    np.testing.assert_allclose(fbp(y), full(padded), rtol=1e-5, atol=1e-5)
    same = tomo.FBP(A, filter=tomo.RampFilter(fbp.filter.domain, 2.0, "hann"))
    np.testing.assert_array_equal(same(y), fbp(y))
    with pytest.raises(ArgumentError, match=r"\(60, 61\).*FBP\(A\)\.filter\.domain"):
        tomo.FBP(A, filter=tomo.RampFilter(A.range, 2.0))
    # Limits and models go along.
    options = {"model": "siddon", "memory_limit": 60_000}
    limited = tomo.FBP(tomo.XrayTransform(A.domain, fan, **options), "hann")
    np.testing.assert_allclose(limited(y), fbp(y), rtol=1e-4, atol=1e-5)


def test_the_axis_is_found_from_vectors():
    """From half a turn too, over which an offset looks much like a shift."""
    T = tomo.translate(4.0, -7.0, 2.0) * tomo.rotate("x", 0.3)
    angles = np.linspace(0, math.pi, 20, endpoint=False)
    for scan in (
        tomo.ParallelBeam(angles, (4, 30), offset=11.0),
        tomo.ConeBeam(angles, (4, 30), 1.0, 50.0, 80.0, offset=11.0),
        tomo.ConeBeam(angles, (4, 30), 1.0, 50.0, 80.0, curved=True, offset=11.0),
    ):
        found, regular = scan_of(T * scan), scan_of(scan)
        away = found.centre - T.points((0.0, 0.0, 0.0))
        np.testing.assert_allclose(np.cross(away, found.axis), 0, atol=1e-9)
        np.testing.assert_allclose(found.axis, (0, -math.sin(0.3), math.cos(0.3)), atol=1e-12)
        np.testing.assert_allclose(found.u, regular.u, atol=1e-9)
        np.testing.assert_allclose(found.view_weights, regular.view_weights, atol=1e-9)


def test_parallel_views_that_are_missing_are_told():
    grid = oa.Grid((8, 8))
    A = tomo.XrayTransform(grid, tomo.ParallelBeam(np.deg2rad(np.arange(90.0)), 12))
    with pytest.warns(AccuracyWarning, match=r"views lack 91\.0 degrees of half a turn:"):
        warned = tomo.FBP(A)
    y = A.range.random(0)
    quiet = tomo.FBP(A, redundancy=np.ones(1))  # warnings are errors here
    np.testing.assert_allclose(quiet(y), warned(y), rtol=1e-6)
    np.testing.assert_allclose(
        tomo.FBP(A, redundancy=np.full((90, 1), 2.0))(y), 2 * quiet(y), rtol=1e-5, atol=1e-6
    )
    free = tomo.XrayTransform(grid, tomo.rotate("z", 2.0) * A.geometry)
    with pytest.warns(AccuracyWarning, match=r"views lack 91\.0 degrees of half a turn:"):
        tomo.FBP(free)
    for angles in (
        np.deg2rad(np.arange(0.0, 181.0)),
        np.deg2rad(np.arange(179.0)),
        [0.1],
        [0.1, 2.0],
    ):
        tomo.FBP(tomo.XrayTransform(grid, tomo.ParallelBeam(angles, 12)))
    for beside in (
        tomo.ParallelBeam(9, 12, offset=7.0),
        tomo.FanBeam(9, 12, 1.0, 20, 40, offset=7.0),
    ):
        with pytest.warns(AccuracyWarning, match="sees no rays through the rotation axis"):
            tomo.FBP(tomo.XrayTransform(grid, beside))


@pytest.mark.parametrize("redundancy", ["parker", "riess"])
def test_other_weights_are_worse_for_a_short_scan(redundancy):
    """The test above would notice wrong weights."""
    grid, fan = oa.Grid((64, 64)), tomo.FanBeam(**{**FAN, **SCANS["short"]})
    A = tomo.XrayTransform(grid, fan)
    y = tomo.phantoms.disc(25.0, 0.02, (20.0, 0.0)).project(fan)
    right = errors(tomo.FBP(A, redundancy=redundancy)(y), grid, (20.0, 0.0), 10)
    wrong = errors(tomo.FBP(A, redundancy=np.full(1, 0.8))(y), grid, (20.0, 0.0), 10)
    mirrored = tomo.weights.parker(fan)[:, ::-1]
    wrong_side = errors(tomo.FBP(A, redundancy=mirrored)(y), grid, (20.0, 0.0), 10)
    assert np.abs(right).max() < 2e-3
    assert min(np.abs(wrong).max(), np.abs(wrong_side).max()) > 3e-2


def test_a_filter_of_ones_own():
    fan = tomo.FanBeam(60, 40, 2.0, 100.0, 150.0)
    A = tomo.XrayTransform(oa.Grid((16, 16)), fan)
    y = A.range.random(0)
    ramp = tomo.RampFilter(A.range, 2.0, "hann")
    np.testing.assert_array_equal(tomo.FBP(A, filter=ramp)(y), tomo.FBP(A, window="hann")(y))
    smooth = tomo.FBP(A, filter=0.5 * ramp)
    np.testing.assert_allclose(smooth(y), 0.5 * tomo.FBP(A, window="hann")(y), rtol=1e-5, atol=1e-6)


def test_equiangular_filter():
    """The kernel of equation 92 of Kak and Slaney: (n g / sin(n g))^2 times that of the ramp."""
    n, pitch, step = 21, 0.4, 0.05
    F = tomo.RampFilter(oa.Space((1, n), "float64"), pitch, arc_step=step)
    matrix = np.stack([F(row[None])[0] for row in np.eye(n)])
    k = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    kernel = np.where(
        k % 2 == 1, -1 / (np.pi * np.maximum(np.sin(k * step) / step, 1e-9) * pitch) ** 2, 0.0
    )
    kernel[k == 0] = 1 / (4 * pitch**2)
    np.testing.assert_allclose(matrix, pitch * kernel, atol=1e-13)
    with pytest.raises(ArgumentError, match="half a turn"):
        tomo.RampFilter(oa.Space(100), 1.0, arc_step=0.05)


# Voxel-driven back projection


def shadow_matrix(A, weighted):
    """From the definition, in physical coordinates: one view and voxel at a time."""
    geometry, grid = A.geometry, A.domain
    frames, detector = geometry.frames, geometry.detector_shape
    matrix = np.zeros((grid.size, *geometry.shape))
    cells = np.stack(np.meshgrid(*grid.coordinates, indexing="ij")[::-1], axis=-1)
    for number, point in enumerate(cells.reshape(-1, grid.ndim)):
        for view in range(geometry.num_views):
            f = frames.take(slice(view, view + 1))
            source, centre, u_step = f.origins[0], f.centres[0], f.u_steps[0]
            steps = [u_step] if grid.ndim == 2 else [u_step, f.v_steps[0]]
            if f.arc_centres is not None:
                # In the plane across the detector's axis: by the angle and the radius.
                away, radius = point - source, centre - f.arc_centres[0]
                ahead, aside = radius / np.linalg.norm(radius), u_step / np.linalg.norm(u_step)
                flat = np.array([away @ ahead, away @ aside])
                magnification = np.linalg.norm(radius) / np.linalg.norm(flat)
                place = [math.atan2(flat[1], flat[0]) / f.arc_step]
                if grid.ndim == 3:
                    v = steps[1]
                    place.append((source + magnification * away - centre) @ v / (v @ v))
            elif f.parallel:
                place = np.linalg.solve(np.stack([*steps, -source], axis=1), point - centre)[:-1]
                magnification = 1.0
            else:
                columns = np.stack([*steps, source - point], axis=1)
                *place, magnification = np.linalg.solve(columns, source - centre)
            if magnification <= 0:
                continue
            middle = [(n - 1) / 2 for n in detector[::-1]]
            tents = [
                np.maximum(1 - np.abs(np.arange(n) - p - m), 0)
                for n, p, m in zip(detector[::-1], place, middle, strict=True)
            ]
            part = tents[0] if grid.ndim == 2 else np.multiply.outer(tents[1], tents[0])
            matrix[number, view] = part * (magnification**2 if weighted else 1.0)
    return matrix.reshape(grid.size, -1)


KINDS = ("parallel 2D", "parallel 3D", "fan", "cone", "free parallel 3D")


@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.booleans())
def test_voxel_driven_is_its_definition(kind, seed, weighted):
    geometry = tomo.random_geometry(kind, seed)
    grid = oa.Grid((2, 3, 4)[-geometry.ndim :], 2.2, "float64", origin=0.3)
    A = tomo.XrayTransform(grid, geometry)
    B = tomo.VoxelBackProjection(A, weighted)
    matrix = shadow_matrix(A, weighted)
    y, x = B.domain.random(0), grid.random(1)
    scale = 1e-9 * max(1.0, np.abs(matrix).sum(axis=1).max())
    assert np.abs(B(y).ravel() - matrix @ y.ravel()).max() < scale
    assert np.abs(B.H(x).ravel() - matrix.T @ x.ravel()).max() < scale


@pytest.mark.parametrize("kind", ["parallel 2D", "parallel 3D", "fan", "cone", "free cone"])
def test_it_says_that_it_is_not_the_transpose(kind):
    """Which `exact_adjoint` does not: its own transpose is exact."""
    geometry = tomo.random_geometry(kind, seed=5)
    A = tomo.XrayTransform(tomo.random_grid(geometry.ndim, seed=1), geometry)
    B = tomo.VoxelBackProjection(A)
    assert not B.matched
    assert B.exact_adjoint
    y = A.range.random(0)
    assert np.linalg.norm(B(y) - A.H(y)) > 0.1 * np.linalg.norm(A.H(y))


ARC = {"source": [[0, -30, 0]], "detector_centre": [[0, 30, 0]], "v_step": [[0, 0, 1]]}
CURVED = tomo.ConeBeam(3, (4, 5), 2.0, 20.0, 40.0, curved=True)


@pytest.mark.parametrize(
    "geometry",
    [
        tomo.ConeBeam.from_vectors(
            **ARC, u_step=[[1, 0, 0]], detector=(4, 5), arc_centre=[[0, -50, 0]]
        ),
        tomo.FanBeam.from_vectors([[0, -30]], [[0, 30]], [[1, 0]], 5, arc_centre=[[0, -50]]),
        tomo.rotate("x", 0.3) * CURVED,
        CURVED.rotate_detector(slant=0.1),
        CURVED.shift_detector(u=[0.0, 1.0, 2.0]).rotate_detector(tilt=[0.0, 0.0, 0.2]),
    ],
    ids=["axis behind the source", "fan", "tilted", "slanted", "one view"],
)
def test_other_arcs_are_refused_before_anything_runs(geometry):
    A = tomo.XrayTransform(oa.Grid((4, 5, 6)[-geometry.ndim :]), geometry)
    with pytest.raises(
        ArgumentError, match=r"^VoxelBackProjection .* curved .*Beam with .*A\.H of"
    ):
        tomo.VoxelBackProjection(A)
    assert A.H(A.range.ones()).any()  # what the message names


def test_arcs_around_the_source_may_be_given_by_vectors():
    moved = tomo.translate(x=[0.0, 1.0, 2.0]) * (tomo.rotate("z", 0.3) * CURVED)
    moved = moved.shift_detector(u=[0.0, 1.0, 2.0])
    A = tomo.XrayTransform(oa.Grid((4, 5, 6)), moved)
    assert tomo.VoxelBackProjection(A)(A.range.ones()).any()


def test_the_transpose_takes_a_batch():
    A = tomo.XrayTransform(oa.Grid((3, 4, 5), 2.0, "float64"), tomo.ConeBeam(3, (4, 5), 2, 20, 40))
    B = tomo.VoxelBackProjection(A, weighted=True)
    x = A.domain.random(0, batch=(2,))
    np.testing.assert_allclose(B.H(x)[1], B.H(x[1]), atol=1e-13)


def test_gradients_run_through():
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(
        oa.Grid((2, 3, 4), 2.0, "float64"), tomo.ConeBeam(3, (3, 4), 2.5, 20.0, 40.0)
    )
    y = torch.rand(3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(tomo.FDK(A), y)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda A: tomo.FDK(A.geometry), ArgumentError, "takes an XrayTransform"),
        (lambda A: tomo.VoxelBackProjection(3), ArgumentError, "takes an XrayTransform"),
        (lambda A: tomo.FDK(A), NotSupportedError, "see tomo.FBP"),
        (lambda A: tomo.FBP(A, redundancy="half"), ArgumentError, "one of full turn, parker"),
        (lambda A: tomo.FBP(A, redundancy=np.ones(3)), ArgumentError, "broadcast to"),
        (lambda A: tomo.FBP(A, redundancy=np.full(7, np.nan)), ArgumentError, "finite"),
        (lambda A: tomo.FBP(A, redundancy="wang"), ArgumentError, "not a full turn"),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    A = tomo.XrayTransform(oa.Grid((8, 8)), tomo.FanBeam(np.linspace(0, 4, 9), 7, 2.0, 20.0, 40.0))
    with pytest.raises(error, match=words):
        build(A)


def test_fbp_and_fdk_name_each_other():
    cone = tomo.XrayTransform(oa.Grid((2, 8, 8)), tomo.ConeBeam(4, (2, 9), 2.0, 20.0, 40.0))
    with pytest.raises(NotSupportedError, match=r"tomo\.FDK"):
        tomo.FBP(cone)
    helix = tomo.ConeBeam.helical(2, 30.0, 12, (4, 9), 2.0, 20.0, 40.0)
    with pytest.raises(NotSupportedError, match=r"too low for a helix.*CGLS"):
        tomo.FDK(tomo.XrayTransform(oa.Grid((2, 8, 8)), helix))
    aside = tomo.ConeBeam(9, (4, 9), 2.0, 20.0, 40.0, curved=True)
    for cone in (tomo.rotate("x", 0.3) * aside, tomo.rotate((1.0, 0.0, 0.0), 1e-3) * aside):
        with pytest.raises(NotSupportedError, match=r"columns are parallel to z.*CGLS"):
            tomo.FDK(tomo.XrayTransform(oa.Grid((2, 8, 8)), cone))
    parallel = tomo.XrayTransform(oa.Grid((8, 8)), tomo.ParallelBeam(5, 12))
    with pytest.raises(ArgumentError, match="no redundancy weights"):
        tomo.FBP(parallel, redundancy="parker")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda f, s: {"direction": np.add(f.origins, [0, 0, 0.4])},
            "angles between rays and a plane",
        ),
        (
            lambda f, s: {"detector_centre": f.centres + 9 * s * f.v_steps},
            "slices that all views see",
        ),
    ],
    ids=["laminography", "helix"],
)
def test_parallel_rays_about_no_axis_are_refused(change, words):
    f = tomo.ParallelBeam(np.repeat(np.arange(6) / 2, 2), (4, 7)).frames
    signs = 0.3 * np.resize([1.0, -1.0], (12, 1))  # of no effect on the mean
    vectors = {"direction": f.origins, "detector_centre": f.centres, "v_step": f.v_steps}
    vectors = {**vectors, "u_step": f.u_steps, **change(f, signs)}
    free = tomo.ParallelBeam.from_vectors(**vectors, detector=(4, 7))
    with pytest.raises(NotSupportedError, match=rf"(?s)laminography.*{words}.*CGLS"):
        tomo.FBP(tomo.XrayTransform(oa.Grid((4, 8, 8)), free))
