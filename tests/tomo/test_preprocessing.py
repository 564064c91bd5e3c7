import sys

import numpy as np
import pytest

from opalg import tomo
from opalg.errors import ArgumentError, MissingExtraError, NonFiniteError
from opalg.tomo import preprocessing


def test_transmission_and_logarithm_bring_back_line_integrals():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 3, (5, 3, 4))
    dark, flat = rng.uniform(90, 110, (3, 4)), rng.uniform(900, 1100, (3, 4))
    counts = dark + (flat - dark) * np.exp(-truth)
    shifts = rng.uniform(-5, 5, (2, 3, 4))
    flats = np.stack([flat + shifts[0], flat - shifts[0]])
    darks = np.stack([dark + shifts[1], dark - shifts[1]])
    fraction = preprocessing.transmission(counts, flats, darks)
    assert fraction.dtype == np.float32
    np.testing.assert_allclose(preprocessing.line_integrals(fraction), truth, atol=1e-5)
    np.testing.assert_allclose(preprocessing.transmission(counts, flat, dark), fraction, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (
            lambda: preprocessing.transmission(np.ones((2, 3)), np.array([5.0, 2.0, 5.0]), 2.0),
            ArgumentError,
            r"1 pixels are not brighter in flat than in dark, the first at \(1,\)",
        ),
        (
            lambda: preprocessing.transmission(np.ones((2, 3)), np.ones(4)),
            ArgumentError,
            r"flat must be a number, one image of shape \(3,\)",
        ),
        (lambda: preprocessing.transmission(np.ones(3), 2.0), ArgumentError, r"\(views, u\) or"),
        (
            lambda: preprocessing.line_integrals(np.array([[0.5, 0.0], [-0.1, 1.0]])),
            ArgumentError,
            r"2 values <= 0, which have no logarithm, the first at index \(0, 1\); give minimum=",
        ),
        (
            lambda: preprocessing.line_integrals(np.array([0.5, np.nan]), minimum=1e-3),
            NonFiniteError,
            r"1 values that are NaN or infinite, the first at index \(1,\)",
        ),
        (
            lambda: preprocessing.line_integrals(np.ones(2), minimum=0.0),
            ArgumentError,
            "minimum must be positive",
        ),
        (
            lambda: preprocessing.find_rotation_axis(np.ones((9, 9)), np.arange(9)),
            ArgumentError,
            "constant along the detector",
        ),
        (
            lambda: preprocessing.find_rotation_axis(np.ones((9, 9)), np.arange(8)),
            ArgumentError,
            "9 views need as many angles, got 8",
        ),
        (
            lambda: preprocessing.find_rotation_axis(np.full((9, 9), np.nan), np.arange(9)),
            NonFiniteError,
            "81 values that are NaN",
        ),
    ],
)
def test_errors_say_what_is_wrong(build, error, words):
    with pytest.raises(error, match=words):
        build()


PHANTOM = (
    tomo.phantoms.ellipse((40.0, 25.0), 0.02, (6.0, -9.0), 0.5)
    + tomo.phantoms.rectangle((14.0, 9.0), 0.03, (-12.0, 8.0), 1.0)
    + tomo.phantoms.disc(3.0, -0.02, (20.0, -8.0))
)


HALF_TURN = np.arange(180) * np.pi / 180


@pytest.mark.parametrize(
    ("angles", "axis"),
    [
        (HALF_TURN, 85.3),
        (np.append(HALF_TURN, np.pi) - 1.0, 73.0),
        (2 * HALF_TURN, 111.8),
        (np.sort(np.random.default_rng(0).uniform(0, np.pi, 200)), 80.0),
    ],
    ids=["half turn", "half turn with its end", "full turn", "random"],
)
def test_rotation_axis_of_a_noisy_phantom(angles, axis):
    geometry = tomo.ParallelBeam(angles, detector=170).with_axis_at(axis)
    y = tomo.noise.poisson(PHANTOM.project(geometry), photons=1e4, seed=0)
    assert tomo.find_rotation_axis(y, angles) == pytest.approx(axis, abs=0.1)
    # A background, as of a lamp that faded between flat field and scan, does not move it.
    assert tomo.find_rotation_axis(y + 0.3, angles) == pytest.approx(axis, abs=0.1)


@pytest.mark.parametrize(
    "angles",
    [np.linspace(0, np.pi / 2, 120), np.linspace(0, 2.9, 120), np.zeros(120), np.arange(120) / 120],
)
def test_no_rotation_axis_is_guessed_from_less_than_half_a_turn(angles):
    y = tomo.phantoms.disc(10.0, 1.0, (5.0, 3.0)).project(tomo.ParallelBeam(120, 101))
    with pytest.raises(ArgumentError, match="half a turn or more; the views cover"):
        preprocessing.find_rotation_axis(y, angles)


@pytest.mark.parametrize(
    "angles",
    [np.deg2rad(np.arange(172.0)), np.deg2rad(np.arange(0, 180, 20.0)), np.linspace(0, np.pi, 90)],
)
def test_the_rotation_axis_from_about_half_a_turn(angles):
    geometry = tomo.ParallelBeam(angles, 101).with_axis_at(46.25)
    y = tomo.phantoms.ellipse((30.0, 18.0), 1.0, (5.0, -4.0), 0.4).project(geometry)
    assert preprocessing.find_rotation_axis(y, angles) == pytest.approx(46.25, abs=0.3)


def test_rotation_axis_of_a_stack_uses_all_rows():
    geometry = tomo.ParallelBeam(120, detector=170).with_axis_at(81.4)
    y = PHANTOM.project(geometry)
    stack = np.stack([np.zeros_like(y), y, 0.1 * y], axis=1)
    stack = tomo.noise.gaussian(stack, 0.01, seed=0)
    assert tomo.find_rotation_axis(stack, geometry.angles) == pytest.approx(81.4, abs=0.1)


def test_dxchange_reader(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "scan.h5"
    data = np.arange(24.0).reshape(3, 2, 4)
    with h5py.File(path, "w") as file:
        for name in ("data", "data_white", "data_dark"):
            file[f"exchange/{name}"] = data
        file["exchange/theta"] = [0.0, 45.0, 90.0]
    scan = tomo.dxchange.read(path)
    np.testing.assert_array_equal(scan.data, data)
    np.testing.assert_allclose(scan.angles, [0, np.pi / 4, np.pi / 2])
    assert tomo.dxchange.read(path, rows=slice(1, 2)).flat.shape == (3, 1, 4)
    with h5py.File(path, "a") as file:
        del file["exchange/data_white"]
    with pytest.raises(ArgumentError, match=r"exchange/data_white missing"):
        tomo.dxchange.read(path)
    with pytest.raises(ArgumentError, match="there is no file"):
        tomo.dxchange.read(tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ArgumentError, match="is no HDF5 file"):
        tomo.dxchange.read(tmp_path / "text.h5")


def test_missing_h5py_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install opalg\[examples\]"):
        tomo.dxchange.read("scan.h5")
