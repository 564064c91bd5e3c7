"""Measured fan and cone beams: the discs of the Helsinki challenge, and a walnut."""

import numpy as np
import pytest
import scipy.io

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

PIXEL = 0.1483223  # mm, of the organisers' images


def disc(shared_data, name):
    """The fan, its projections, and the organisers' reconstruction in 1 / mm; row 0 lowest."""
    folder = shared_data / "htc2022"
    options = {"squeeze_me": True, "struct_as_record": False}
    data = scipy.io.loadmat(folder / f"htc2022_{name}_full.mat", **options)["CtDataFull"]
    found = scipy.io.loadmat(folder / f"htc2022_{name}_full_recon_fbp.mat", **options)
    (reference,) = (value for key, value in found.items() if not key.startswith("__"))
    scan = data.parameters
    fan = tomo.FanBeam(
        np.deg2rad(scan.angles.astype(float)),
        detector=int(scan.numDetectorsPost),
        pitch=float(scan.pixelSizePost),
        sod=float(scan.distanceSourceOrigin),
        sdd=float(scan.distanceSourceDetector),
    )
    return fan, data.sinogram.astype("float32"), reference[::-1] / PIXEL


@pytest.mark.parametrize("name", ["ta", "tc"])
def test_discs_as_their_organisers_reconstruct_them(shared_data, name):
    fan, y, reference = disc(shared_data, name)
    assert fan.shape == y.shape == (721, 560)
    A = tomo.XrayTransform(oa.Grid((512, 512), PIXEL), fan)

    def error(x):
        return np.linalg.norm(x - reference) / np.linalg.norm(reference)

    # 0.4 % was seen; they interpolate on a graphics card and weight the view that is there twice fully.
    assert error(tomo.FBP(A)(y)) < 0.01
    # A quarter of a pixel or the wrong sense would be noticed.
    shifted = tomo.XrayTransform(A.domain, fan.shift_detector(u=0.05))
    assert error(tomo.FBP(shifted)(y)) > 0.02
    assert error(tomo.FBP(A)(np.ascontiguousarray(y[::-1]))) > 0.1


def test_limited_angles(shared_data):
    """90 degrees, the first 181 views: every solver is nearer than FBP, the nearer the more it knows."""
    fan, y, reference = disc(shared_data, "ta")
    part, y = fan[:181], np.ascontiguousarray(y[:181])
    assert np.rad2deg(np.ptp(part.angles)) == pytest.approx(90)
    A = tomo.XrayTransform(oa.Grid((256, 256), 2 * PIXEL), part)
    ys, xs = A.domain.coordinates
    inside = np.hypot(xs, ys[:, None]) < 36.0  # the disc has a diameter of 70 mm
    M = tomo.XrayTransform(A.domain, part, volume_mask=inside)
    coarse = reference.reshape(256, 2, 256, 2).mean(axis=(1, 3))

    def error(method):
        x = method(y)
        return np.linalg.norm(x - coarse) / np.linalg.norm(coarse)

    total_variation = 0.01 * fn.GroupL1(oa.Gradient(A.domain).range) @ oa.Gradient(A.domain)
    regularizer = total_variation + fn.NonNegative(A.domain)
    fbp = error(tomo.FBP(A, window="hann", redundancy=np.ones(1)))
    cgls = error(solvers.CGLS(A, iterations=10))
    positive = error(solvers.OSSART(A, iterations=8, minimum=0.0))
    bounded = error(solvers.OSSART(M, iterations=8, minimum=0.0))
    variational = error(solvers.PDHG(M, regularizer=regularizer, iterations=60))
    # 0.59, 0.365, 0.343, 0.276 and 0.272 were seen.
    assert bounded < 0.29 < positive < 0.36 < cgls < 0.38 < 0.5 < fbp
    assert variational < 0.29


@pytest.fixture(scope="module")
def walnut(shared_data):
    """Projections with u as opalg counts it, and the transform.

    At the stored angle *a* u runs along (cos a, sin a) and the source is at (-sin a, cos a): the scan at
    *a* + pi with u the other way.
    """
    with np.load(shared_data / "walnut_binned" / "walnut_binned.npz") as file:
        data = dict(file)
    cone = tomo.ConeBeam(
        data["angles"].astype(float) + np.pi,
        detector=(128, 128),
        pitch=float(data["pixel_mm"]),
        sod=float(data["source_axis_distance_mm"]),
        sdd=float(data["source_detector_distance_mm"]),
    )
    y = np.ascontiguousarray(data["projections"][:, :, ::-1].astype("float32"))
    return y, tomo.XrayTransform(oa.Grid((128, 128, 128), 0.3), cone)


def kernel_value(x):
    """The most frequent value between air and shell."""
    counts, edges = np.histogram(x, bins=60, range=(0.033, 0.055))
    smooth = np.convolve(counts, np.ones(5), "same")
    return float(edges[np.argmax(smooth[2:-2]) + 2])


def test_walnut(walnut):
    y, A = walnut
    fdk = tomo.FDK(A, window="hann")(y)
    assert kernel_value(fdk) == pytest.approx(0.044, rel=0.05)
    cgls = solvers.CGLS(A).solve(y, iterations=12)
    assert kernel_value(cgls.x) == pytest.approx(0.044, rel=0.05)

    def misfit(x, y):
        return np.linalg.norm(A(x) - y) / np.linalg.norm(y)

    # The mirror image of a walnut does not fit its projections.
    mirrored = np.ascontiguousarray(y[:, :, ::-1])
    wrong = solvers.CGLS(A, iterations=12)(mirrored)
    assert misfit(cgls.x, y) < 0.03
    assert misfit(wrong, mirrored) > 1.5 * misfit(cgls.x, y)
    assert np.corrcoef(fdk.ravel(), cgls.x.ravel())[0, 1] > 0.97


def test_walnut_by_vectors(walnut):
    """What the data's description says, as it stands: u along (cos a, sin a), no column exchanged."""
    y, A = walnut
    cone = A.geometry
    a = cone.angles - np.pi
    zero, one = np.zeros_like(a), np.ones_like(a)
    towards = np.stack([-np.sin(a), np.cos(a), zero], axis=1)
    pitch = cone.pitch[0]
    free = tomo.ConeBeam.from_vectors(
        source=cone.sod * towards,
        detector_centre=(cone.sod - cone.sdd) * towards,
        v_step=pitch * np.stack([zero, zero, one], axis=1),
        u_step=pitch * np.stack([np.cos(a), np.sin(a), zero], axis=1),
        detector=cone.detector_shape,
    )
    x = tomo.FDK(tomo.XrayTransform(A.domain, free), window="hann")(y[:, :, ::-1].copy())
    reference = tomo.FDK(A, window="hann")(y)
    assert np.linalg.norm(x - reference) < 1e-4 * np.linalg.norm(reference)
