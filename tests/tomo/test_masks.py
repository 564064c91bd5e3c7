"""Voxels and pixels that are masked are zero both ways, exactly, and do not count."""

import pickle

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import ArgumentError

GRID = oa.Grid((9, 12, 10), dtype="float64")
CONE = tomo.ConeBeam(6, (8, 11), 2.5, sod=40.0, sdd=70.0)
RNG = np.random.default_rng(0)
VOXELS = RNG.random(GRID.shape) < 0.6
PIXELS = RNG.random(CONE.detector_shape) < 0.7
EVERY = RNG.random(CONE.shape) < 0.7


def whole(model="joseph"):
    return tomo.XrayTransform(GRID, CONE, model=model)


@pytest.mark.parametrize("model", ["joseph", "siddon"])
@pytest.mark.parametrize("pixels", [PIXELS, EVERY], ids=["detector", "views and detector"])
def test_is_the_composition_with_diagonals(model, pixels):
    A = tomo.XrayTransform(GRID, CONE, model=model, volume_mask=VOXELS, detector_mask=pixels)
    V = oa.Diagonal(VOXELS.astype(float), GRID)
    D = oa.Diagonal(np.broadcast_to(pixels, CONE.shape).astype(float), A.range)
    B = D @ whole(model) @ V
    x, y = A.domain.random(1), A.range.random(2)
    np.testing.assert_array_equal(A(x), B(x))
    np.testing.assert_array_equal(A.H(y), B.H(y))
    oa.testing.check_operator(A)


def test_masked_values_do_not_count_whatever_they_are():
    A = tomo.XrayTransform(GRID, CONE, volume_mask=VOXELS, detector_mask=PIXELS)
    x, y = A.domain.random(1), A.range.random(2)
    wild_x, wild_y = x.copy(), y.copy()
    wild_x[~VOXELS], wild_y[:, ~PIXELS] = np.nan, np.inf
    np.testing.assert_array_equal(A(wild_x), A(x))
    np.testing.assert_array_equal(A.H(wild_y), A.H(y))
    assert not A(x)[:, ~PIXELS].any()
    assert not A.H(y)[~VOXELS].any()
    assert np.isnan(wild_x).any()  # the caller's array is as it was
    out = np.full(CONE.shape, 7.0)
    np.testing.assert_array_equal(A(x, out=out), A(x))


def test_parts_keep_their_masks():
    for pixels in (PIXELS, EVERY):
        A = tomo.XrayTransform(GRID, CONE, volume_mask=VOXELS, detector_mask=pixels)
        x = A.domain.random(1)
        np.testing.assert_array_equal(A[1::2](x), A(x)[1::2])
        np.testing.assert_allclose(A[::2, 2:7, ::3](x), A(x)[::2, 2:7, ::3], atol=1e-12)
        assert A[..., ::3] == A[:, :, ::3]
        chosen = np.array([True, False, False, True, True, False])
        np.testing.assert_array_equal(A[chosen](x), A(x)[chosen])
        assert A.subsets(2)[1].detector_mask.shape in (PIXELS.shape, (3, *PIXELS.shape))


def test_solvers_leave_masked_voxels_alone():
    A = tomo.XrayTransform(GRID, CONE, volume_mask=VOXELS, detector_mask=PIXELS)
    truth = np.where(VOXELS, 1.0, 0.0)
    y = A(truth)
    for solver in (solvers.SIRT(A, iterations=20), solvers.OSSART(A, iterations=5, subsets=3)):
        x = solver(y)
        assert not x[~VOXELS].any()
        assert np.linalg.norm(A(x) - y) < 0.2 * np.linalg.norm(y)
    assert not solvers.CGLS(A, iterations=5)(y)[~VOXELS].any()
    fdk = tomo.FDK(tomo.XrayTransform(GRID, CONE, volume_mask=VOXELS))(whole()(truth))
    np.testing.assert_array_equal(fdk, np.where(VOXELS, tomo.FDK(whole())(whole()(truth)), 0))


def test_value_and_printing():
    A = tomo.XrayTransform(GRID, CONE, volume_mask=VOXELS, detector_mask=PIXELS)
    assert pickle.loads(pickle.dumps(A)) == A
    assert tomo.XrayTransform(GRID, CONE, volume_mask=VOXELS.copy(), detector_mask=PIXELS) == A
    assert hash(A) != hash(whole())
    assert whole() != A
    assert "volume_mask=<bool array of shape (9, 12, 10)>" in repr(A)
    assert str(A) == "XrayTransform"
    mask = VOXELS.copy()
    B = tomo.XrayTransform(GRID, CONE, volume_mask=mask)
    mask[:] = True
    np.testing.assert_array_equal(B.volume_mask, VOXELS)


def test_tensors():
    torch = pytest.importorskip("torch")
    A = tomo.XrayTransform(
        GRID, CONE, volume_mask=torch.from_numpy(VOXELS), detector_mask=torch.from_numpy(PIXELS)
    )
    x = A.domain.random(1)
    np.testing.assert_array_equal(A(torch.from_numpy(x)).numpy(), A(x))
    batch = torch.rand(2, *GRID.shape, dtype=torch.float64, requires_grad=True)
    A(batch).sum().backward()
    assert not batch.grad[:, ~torch.from_numpy(VOXELS)].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"volume_mask": VOXELS.astype(float)}, r"boolean array.*got float64 of shape"),
        ({"volume_mask": VOXELS[1:]}, r"shape \(9, 12, 10\), got bool of shape \(8, 12, 10\)"),
        ({"detector_mask": VOXELS}, r"shape \(8, 11\) or \(6, 8, 11\), got bool"),
        ({"detector_mask": PIXELS.tolist()}, "got a list"),
    ],
)
def test_errors_say_what_is_wrong(options, words):
    with pytest.raises(ArgumentError, match=words):
        tomo.XrayTransform(GRID, CONE, **options)


def test_a_filter_takes_no_masked_pixels():
    plane = tomo.FanBeam(20, 30, 2.0, sod=40.0, sdd=70.0)
    A = tomo.XrayTransform(oa.Grid((16, 16)), plane, detector_mask=np.arange(30) != 7)
    for build in (
        tomo.FBP,
        lambda A: tomo.FDK(tomo.XrayTransform(GRID, CONE, detector_mask=PIXELS)),
    ):
        with pytest.raises(ArgumentError, match=r"masked pixels.*interpolate"):
            build(A)
