"""Measured data: the rotation axis of three scans, and a tooth against ASTRA's reconstructions."""

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo
from opalg.tomo import preprocessing

pytest.importorskip("h5py")
tifffile = pytest.importorskip("tifffile")


@pytest.fixture(scope="module")
def tooth(shared_data):
    scan = tomo.dxchange.read(shared_data / "tooth" / "tooth.h5")
    fraction = preprocessing.transmission(scan.data, scan.flat, scan.dark)
    return preprocessing.line_integrals(fraction), scan.angles


def test_axis_of_the_tooth(tooth):
    y, angles = tooth
    for sinogram in (y, y[:, 0], y[:, 1]):
        assert tomo.find_rotation_axis(sinogram, angles) == pytest.approx(296.0, abs=0.5)


def test_axis_of_the_vial(shared_data):
    folder = shared_data / "vial"
    data = np.stack([tifffile.imread(path) for path in sorted((folder / "tiffs").iterdir())])
    flat, dark = (tifffile.imread(folder / f"{name}_00001.tiff") for name in ("flat", "dark"))
    fraction = preprocessing.transmission(data, np.maximum(flat, dark + 1), dark)
    y = preprocessing.line_integrals(fraction, minimum=1e-3)
    angles = np.deg2rad(np.loadtxt(folder / "angles.txt")[10:101])
    assert tomo.find_rotation_axis(y, angles) == pytest.approx(85.75, abs=0.5)


@pytest.mark.parametrize("views", [459, 230])  # a full turn with its end, and half a turn
def test_axis_of_the_neutron_scan(shared_data, views):
    counts = tifffile.imread(shared_data / "neutron" / "sinogram_360_neutron_image.tif")
    fraction = preprocessing.transmission(counts, flat=counts[:, :30].mean())
    y = preprocessing.line_integrals(fraction, minimum=1e-3)
    angles = np.linspace(0, 2 * np.pi, 459)
    found = tomo.find_rotation_axis(y[:views], angles[:views])
    assert found == pytest.approx(245.0, abs=0.5)


def test_tooth_against_astra(tooth, shared_data):
    """FBP, SIRT and CGLS of row 0 as ASTRA's `linear` has them.

    Its angles are negated and its row 0 is the largest y: the two mirrorings cancel, so that images
    agree as they are. 320 pixels over the 593 columns around the axis.
    """
    y, angles = tooth
    with np.load(shared_data / "reference" / "tooth_row0_astra_linear.npz") as file:
        expected = dict(file)
    y = np.ascontiguousarray(y[:, 0, :593])
    np.testing.assert_allclose(y, expected["sino_line_integrals"], atol=1e-6)
    geometry = tomo.ParallelBeam(angles, detector=593).with_axis_at(296.0)
    A = tomo.XrayTransform(oa.Grid((320, 320), spacing=593 / 320), geometry)

    def error(x, name):
        return np.linalg.norm(x - expected[name]) / np.linalg.norm(expected[name])

    # The projectors agree to 1e-4 (ASTRA forms positions in float32), and so do linear methods.
    assert error(solvers.SIRT(A, iterations=100)(y), "SIRT_100") < 5e-4
    plain = A.adjoint @ tomo.RampFilter(A.range, pitch=1.0)
    assert error(plain(y), "FBP_1") < 5e-4
    # FBP also evens out the weights of single pixels, which ASTRA does not: 0.3 % was seen.
    assert error(tomo.FBP(A)(y), "FBP_1") < 5e-3
    # In float32 conjugacy is lost after some ten iterations: the same 20 steps of opalg in float32 and in
    # float64 differ by 1.2 %, and those in float64 from ASTRA's by 2.4 %; 1.3 % was seen.
    assert error(solvers.CGLS(A, iterations=20)(y), "CGLS_20") < 2.5e-2
