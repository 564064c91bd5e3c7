"""Running the command, and a scan for it to read."""

import numpy as np
import pytest

from opalg import tomo

click_testing = pytest.importorskip("click.testing", reason="the command needs click")
h5py = pytest.importorskip("h5py", reason="scans are HDF5 files")

AXIS = 21.5  # not the middle of the detector, which is at 23.5


@pytest.fixture
def run():
    """A function that runs the command in this process; gives its result with exit code and output."""
    from opalg.cli.group import opalg

    def invoke(*arguments):
        return click_testing.CliRunner().invoke(opalg, [str(a) for a in arguments])

    return invoke


@pytest.fixture(scope="session")
def body():
    return tomo.phantoms.ellipse((14.0, 9.0), 0.03, (2.0, 1.0)) + tomo.phantoms.disc(3.0, 0.02)


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory, body):
    """Counts of three equal rows of 48 columns, 60 views over half a turn, in the DXchange layout."""
    geometry = tomo.ParallelBeam(angles=60, detector=48).with_axis_at(AXIS)
    transmission = np.exp(-body.project(geometry))[:, None, :].repeat(3, axis=1)
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    with h5py.File(path, "w") as file:
        file["exchange/data"] = (100 + 40000 * transmission).round().astype("uint16")
        file["exchange/data_white"] = np.full((2, 3, 48), 40100, "uint16")
        file["exchange/data_dark"] = np.full((2, 3, 48), 100, "uint16")
        file["exchange/theta"] = np.rad2deg(geometry.angles)
    return path
