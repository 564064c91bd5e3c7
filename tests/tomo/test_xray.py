"""The X-ray transform against its definition, an explicit matrix."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opalg as oa
from opalg import tomo
from opalg.errors import ArgumentError, DtypeError, NotSupportedError


@st.composite
def transforms(draw, dtype="float64"):
    """2D and 3D, any angles, spacings, pitches, offsets and origins."""
    ndim = draw(st.sampled_from([2, 2, 3]))
    length = st.floats(0.3, 2.5)
    place = st.floats(-2.0, 2.0)
    shape = [draw(st.integers(1, 7)) for _ in range(ndim)]
    grid = oa.Grid(
        shape,
        [draw(length) for _ in shape],
        dtype,
        origin=[draw(place) for _ in shape],
    )
    special = st.sampled_from([0.0, np.pi / 4, np.pi / 2, np.pi, 3 * np.pi / 4, 2 * np.pi])
    angles = draw(st.lists(special | st.floats(-7.0, 7.0), min_size=1, max_size=5))
    detector = [draw(st.integers(1, 9)) for _ in shape[1:]]
    geometry = tomo.ParallelBeam(
        angles,
        detector,
        [draw(length) for _ in detector],
        [draw(place) for _ in detector],
    )
    return tomo.XrayTransform(grid, geometry)


@given(transforms())
def test_is_the_matrix_of_the_definition(joseph, A):
    x, y = A.domain.random(0), A.range.random(1)
    matrix = joseph(A.domain, A.geometry)
    # Rays that run exactly between two axes may pick either: both are Joseph's method.
    scale = 1e-11 * max(1.0, np.abs(matrix).sum(axis=1).max())
    difference = np.abs(A(x).ravel() - matrix @ x.ravel())
    if not _ambiguous(A):
        assert difference.max() < scale
        assert np.abs(A.H(y).ravel() - matrix.T @ y.ravel()).max() < scale


def _ambiguous(A):
    """Whether a ray climbs one index per index, so that rounding decides which axis is dominant."""
    direction = np.abs(A.geometry.ray_directions[:, :2] / np.array(A.domain.spacing[:-3:-1]))
    return bool(np.any(np.abs(direction[:, 0] - direction[:, 1]) < 1e-9 * direction.max(axis=1)))


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
def test_transpose_is_exact(dtype, bound):
    @given(transforms(dtype))
    def check(A):
        x, y = A.domain.random(2), A.range.random(3)
        forward, back = A(x).astype(float), A.H(y).astype(float)
        left, right = np.vdot(forward, y.astype(float)), np.vdot(x.astype(float), back)
        # Relative to the norms, as two nearly orthogonal vectors have a tiny inner product.
        scale = np.linalg.norm(forward) * np.linalg.norm(y) + 1e-300
        scale = max(scale, np.linalg.norm(x) * np.linalg.norm(back))
        # Positions are float64: their rounding decides whether a ray along the border touches
        # the grid, by 1e-16, one way and not the other.
        touch = 4 * np.finfo(float).eps * np.linalg.norm(x) * np.linalg.norm(y)
        assert abs(left - right) <= bound * scale + touch

    check()


def test_weighted_adjoint():
    grid = oa.Grid((6, 5), (0.5, 0.7), "float64")
    A = tomo.XrayTransform(grid, tomo.ParallelBeam([0.1, 0.5, 0.7, 2.0], detector=8, pitch=0.6))
    x, y = grid.random(0), A.range.random(1)
    assert A.range.inner(A(x), y) == pytest.approx(grid.inner(x, A.adjoint(y)), rel=1e-12)
    assert A.adjoint is not A.H


def test_a_stack_is_its_slices():
    grid = oa.Grid((4, 9, 8), (1.5, 0.5, 0.7), "float64", origin=(0.0, 0.4, -0.3))
    stack = tomo.ParallelBeam(7, detector=(4, 12), pitch=(1.5, 0.6), offset=(0.0, 0.2))
    plane = tomo.ParallelBeam(7, detector=12, pitch=0.6, offset=0.2)
    A = tomo.XrayTransform(grid, stack)
    B = tomo.XrayTransform(oa.Grid((9, 8), (0.5, 0.7), "float64", (0.4, -0.3)), plane)
    x, y = grid.random(0), A.range.random(1)
    np.testing.assert_allclose(A(x), np.stack([B(part) for part in x], axis=1), atol=1e-13)
    np.testing.assert_allclose(
        A.H(y), np.stack([B.H(y[:, v]) for v in range(4)]), rtol=0, atol=1e-13
    )


def test_detector_rows_between_slices_are_interpolated():
    grid = oa.Grid((3, 4, 4), (2.0, 1.0, 1.0), "float64")
    geometry = tomo.ParallelBeam(1, detector=(5, 4), pitch=(1.0, 1.0), offset=(0.0, 0.0))
    x = np.zeros(grid.shape)
    x[1] = 1.0  # at z = 0; slices at z = -2, 0, 2, rows at z = -2, -1, 0, 1, 2
    y = tomo.XrayTransform(grid, geometry)(x)
    np.testing.assert_allclose(y[0], np.array([[0, 0.5, 1, 0.5, 0]]).T * np.full(4, 4.0))


@pytest.mark.parametrize("step", [slice(None, None, 3), slice(2, 9, 2), slice(4, 5)])
def test_subsets_give_the_rows_of_the_whole(step):
    A = tomo.XrayTransform(oa.Grid((16, 16)), tomo.ParallelBeam(10, detector=24))
    x = A.domain.random(0)
    np.testing.assert_array_equal(A[step](x), A(x)[step])
    assert np.shares_memory(A[step].geometry.angles, A.geometry.angles)


def test_interleaved_subsets_sum_to_the_whole():
    A = tomo.XrayTransform(oa.Grid((16, 16), dtype="float64"), tomo.ParallelBeam(10, detector=24))
    y = A.range.random(0)
    total = sum(part.H(y[i::4]) for i, part in enumerate(A.subsets(4)))
    np.testing.assert_allclose(total, A.H(y), atol=1e-12)
    # A subset's weights are those of its coarser steps.
    assert A.subsets(2)[0].range.weighting == pytest.approx(2 * A.range.weighting)
    with pytest.raises(ArgumentError, match="1 to 10 subsets"):
        A.subsets(11)


def test_interleaved_views_are_one_object_and_keep_their_sums():
    grid, stack = oa.Grid((4, 8, 8)), tomo.ParallelBeam(10, detector=(4, 12))
    A = tomo.XrayTransform(grid, stack, detector_mask=np.ones((4, 12), bool))
    assert A[1::4] is A[1::4] is A.subsets(4)[1] is A[1:10:4, ...] is A[1:99:4, :, :]
    assert A[::2] is A.subsets(2)[0]
    part = A[1::4]
    assert part.geometry == stack[1::4]
    assert oa.operators.row_sums(A[1::4]) is oa.operators.row_sums(part)
    assert oa.operators.column_sums(A[1::4]) is oa.operators.column_sums(part)
    # Other views, an end before the last one, a part of the detector.
    for other in (A[2::4], A[1:9:4], A[4::4], A[1::4, 1:], A[[1, 5, 9]], A[9::-4]):
        assert other is not part
    assert A[[1, 5, 9]] == part
    assert A[1::4, 1:].range.shape == (3, 3, 12)
    assert A[4::4].geometry == stack[4::4]


def test_a_part_of_the_detector():
    A = tomo.XrayTransform(oa.Grid((16, 16)), tomo.ParallelBeam(10, detector=24))
    x = A.domain.random(0)
    np.testing.assert_array_equal(A[..., 5:20](x), A[:, 5:20](x))
    np.testing.assert_allclose(A[:, 5:20](x), A(x)[:, 5:20], atol=1e-5)


def test_batch_and_layouts():
    A = tomo.XrayTransform(oa.Grid((5, 6)), tomo.ParallelBeam(4, detector=9))
    x = A.domain.random(0, batch=(2, 3))
    y = A(x)
    assert y.shape == (2, 3, 4, 9)
    np.testing.assert_array_equal(y[1, 2], A(x[1, 2]))
    np.testing.assert_array_equal(A(x.transpose(1, 0, 2, 3)), y.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(A(np.asfortranarray(x)), y)
    x.flags.writeable = False
    np.testing.assert_array_equal(A(x), y)
    strided = np.empty((4, 18), "float32")[:, ::2]
    assert A(x[0, 0], out=strided) is strided
    np.testing.assert_array_equal(strided, y[0, 0])
    assert A(x[:0]).shape == (0, 3, 4, 9)


def test_tensors_are_read_and_written_in_place(monkeypatch):
    torch = pytest.importorskip("torch")
    from opalg.engines import cpu

    A = tomo.XrayTransform(oa.Grid((5, 6)), tomo.ParallelBeam(4, detector=9))
    seen = []

    def project(plan, x, out):
        seen.append((x.ctypes.data, out.ctypes.data))
        cpu_project(plan, x, out)

    cpu_project = cpu.project
    monkeypatch.setattr(cpu, "project", project)
    x = torch.rand(5, 6)
    y = A(x)
    assert seen == [(x.data_ptr(), y.data_ptr())]
    out = torch.empty(4, 9)
    with torch.no_grad():
        A(x, out=out)
    assert seen[1] == (x.data_ptr(), out.data_ptr())
    np.testing.assert_array_equal(y.numpy(), A(x.numpy()))


def test_gradients():
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(oa.Grid((3, 4), dtype="float64"), tomo.ParallelBeam(3, detector=5))
    x = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    y = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(A, x)
    assert torch.autograd.gradgradcheck(A, x)
    assert torch.autograd.gradcheck(tomo.FBP(A), y)
    # Non-contiguous gradients arrive from expand and transposed views.
    A(x).transpose(-1, -2).sum().backward()
    np.testing.assert_allclose(x.grad[0], A.H(np.ones((3, 5))), atol=1e-14)


def test_tensors_on_other_devices_are_refused():
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(oa.Grid((3, 4)), tomo.ParallelBeam(3, detector=5))
    with pytest.raises(NotSupportedError, match="for CPUs and for CUDA devices only"):
        A(torch.empty((3, 4), device="meta"))


def test_cost_counts_samples_inside_the_image(joseph):
    # Rays that pass by the image cost nothing; each sample of the others meets two pixels.
    A = tomo.XrayTransform(oa.Grid((24, 16), (0.5, 0.8)), tomo.ParallelBeam(10, detector=90))
    samples = np.count_nonzero(joseph(A.domain, A.geometry)) / 2
    assert A.cost().operations == pytest.approx(4 * samples, rel=0.1)


def test_value_and_norm():
    A = tomo.XrayTransform(oa.Grid((64, 64)), tomo.ParallelBeam(10, detector=200))
    assert pickle.loads(pickle.dumps(A)) == A
    assert eval(repr(A), {**vars(oa), **vars(tomo), "Grid": oa.Grid}) == A
    lower, upper = A.norm_bounds()
    top = np.linalg.norm(A(np.ones((64, 64), "float32"))) / 64
    assert top <= upper
    assert upper < 1.02 * lower


@pytest.mark.parametrize(
    ("grid", "geometry", "error", "words"),
    [
        (oa.Space((4, 4)), tomo.ParallelBeam(3), ArgumentError, "must be an opalg.Grid"),
        (oa.Grid((4, 4)), 360, ArgumentError, "tomo.ParallelBeam is needed"),
        (oa.Grid((4, 4, 4)), tomo.ParallelBeam(3), ArgumentError, "does not fit the 3D"),
        (oa.Grid((4, 4), 1.0, "complex64"), tomo.ParallelBeam(3), DtypeError, "real images"),
    ],
)
def test_errors_say_what_is_wrong(grid, geometry, error, words):
    with pytest.raises(error, match=words):
        tomo.XrayTransform(grid, geometry)
