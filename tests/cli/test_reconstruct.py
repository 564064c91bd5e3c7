"""``opalg reconstruct``: what it writes, and what it says when something is wrong."""

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo


def test_the_image_is_that_of_python(run, scan_file, tmp_path, body):
    output = tmp_path / "x.npy"
    done = run(
        "reconstruct",
        scan_file,
        "--method",
        "cgls",
        "--iterations",
        9,
        "--output",
        output,
        "--axis",
        21.5,
    )
    assert done.exit_code == 0, done.output
    x = np.load(output)
    scan = tomo.dxchange.read(scan_file, slice(1, 2))  # the middle row
    transmission = tomo.preprocessing.transmission(scan.data, scan.flat, scan.dark)
    y = np.ascontiguousarray(tomo.preprocessing.line_integrals(transmission)[:, 0])
    geometry = tomo.ParallelBeam(scan.angles, detector=48).with_axis_at(21.5)
    A = tomo.XrayTransform(oa.Grid((48, 48)), geometry)
    np.testing.assert_allclose(x, solvers.CGLS(A, iterations=9)(y), atol=1e-6)
    # And it is the body: mirrored or shifted by two pixels it would be off by more than half.
    truth = body.sample(A.domain)
    assert np.linalg.norm(x - truth) < 0.2 * np.linalg.norm(truth)
    assert "9 iterations were done; relative residual 0.0" in done.output
    assert "per pixel" in done.output


def test_the_axis_is_found(run, scan_file, tmp_path):
    done = run("reconstruct", scan_file, "--output", tmp_path / "x.npy")
    assert done.exit_code == 0, done.output
    assert "60 views of 48 columns, row 1, rotation axis at column 21." in done.output
    assert "(found)" in done.output
    found = float(done.output.split("at column ")[1].split()[0])
    assert found == pytest.approx(21.5, abs=0.1)


def test_parameters_reach_the_method(run, scan_file, tmp_path):
    images = []
    for settings in (["relaxation=1.0"], ["relaxation=1.9"], ["relaxation=1.9", "minimum=0.01"]):
        output = tmp_path / "x.npy"
        options = [word for setting in settings for word in ("--set", setting)]
        done = run("reconstruct", scan_file, "-m", "sirt", "-n", 5, "-o", output, "-q", *options)
        assert done.exit_code == 0, done.output
        images.append(np.load(output))
    assert abs(images[0] - images[1]).max() > 1e-3
    assert images[1].min() < 0.01 <= images[2].min()
    done = run("reconstruct", scan_file, "--set", "window=hann", "-o", output)
    assert done.exit_code == 0, done.output


def test_lengths_in_millimetres(run, scan_file, tmp_path):
    for size, name in ((None, "pixels"), (0.5, "mm")):
        options = [] if size is None else ["--pixel-size", size]
        done = run(
            "reconstruct", scan_file, "-o", tmp_path / f"{name}.npy", "--axis", 21.5, *options
        )
        assert ("per mm" in done.output) == (name == "mm")
    pixels, mm = np.load(tmp_path / "pixels.npy"), np.load(tmp_path / "mm.npy")
    np.testing.assert_allclose(mm, 2 * pixels, atol=1e-5)


def test_volumes_and_formats(run, scan_file, tmp_path):
    h5py = pytest.importorskip("h5py")
    tifffile = pytest.importorskip("tifffile")
    images = {}
    for ending in ("npy", "tiff", "h5", "png"):
        output = tmp_path / f"x.{ending}"
        done = run("reconstruct", scan_file, "--rows", "0:3", "--size", 24, "-o", output)
        assert done.exit_code == 0, done.output
        assert f"Written to {output}" in done.output
        assert "rows 0 to 2" in done.output
    images["npy"] = np.load(tmp_path / "x.npy")
    images["tiff"] = tifffile.imread(tmp_path / "x.tiff")
    with h5py.File(tmp_path / "x.h5") as file:
        images["h5"] = file["reconstruction"][:]
        assert "FBP" in file["reconstruction"].attrs["method"]
    assert images["npy"].shape == (3, 24, 24)
    for ending in ("tiff", "h5"):
        np.testing.assert_array_equal(images[ending], images["npy"])
    # The three rows are equal, and equal to a single one.
    single = tmp_path / "single.npy"
    run("reconstruct", scan_file, "--rows", 0, "--size", 24, "-o", single)
    np.testing.assert_allclose(images["npy"][1], np.load(single), atol=2e-4)


def test_pictures_have_y_upwards(run, scan_file, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    for name in ("x.png", "x.npy"):
        run("reconstruct", scan_file, "-o", tmp_path / name)
    picture = image.imread(tmp_path / "x.png")[..., 0]
    x = np.load(tmp_path / "x.npy")
    assert np.corrcoef(picture[::-1].ravel(), x.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "cgsl"], "there is no method 'cgsl' (did you mean 'cgls'?); known are fbp"),
        (["-m", "zzz"], "there is no method 'zzz'; known are fbp"),
        (
            ["-m", "sirt", "--set", "relaxaton=1"],
            "sirt has no parameter 'relaxaton' (did you mean 'relaxation'?); it has iterations",
        ),
        (["-m", "fbp", "-n", 3], "fbp has no parameter 'iterations'"),
        (["-m", "sirt", "--set", "relaxation=5"], "must lie between 0 and 2, got 5"),
        (
            ["-m", "sirt", "--set", "relaxation=fast"],
            "relaxation of sirt must be a number, got 'fast'",
        ),
        (["-m", "sirt", "--set", "relaxation"], "--set takes NAME=VALUE"),
        (["--rows", "5"], "has the detector rows 0 to 2, rows 5 are not among them"),
        (["--rows", "2:1"], "rows 2:1 are not among them"),
        (["--rows", "all"], "rows must be 'middle', a number such as 12 or a range"),
        (["--size", "0"], "the size of the image must be positive, got 0"),
        (["--pixel-size", "-1"], "pitch must be positive"),
        (["-o", "x.jpg"], "use one of .png, .npy"),
        (["-o", "nowhere/x.png"], "there is no folder"),
        (["--iterations", "many"], "'many' is not a valid integer"),
    ],
)
def test_mistakes_are_told(run, scan_file, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    done = run("reconstruct", scan_file, *arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_scans(run, tmp_path):
    done = run("reconstruct", tmp_path / "gone.h5")
    assert (done.exit_code, done.output) == (2, f"Error: there is no file {tmp_path / 'gone.h5'}\n")
    (tmp_path / "text.h5").write_text("hello")
    done = run("reconstruct", tmp_path / "text.h5")
    assert done.exit_code == 2
    assert "is no HDF5 file" in done.output


def test_dead_pixels_are_mentioned(run, scan_file, tmp_path):
    import shutil

    h5py = pytest.importorskip("h5py")
    path = tmp_path / "scan.h5"
    shutil.copy(scan_file, path)
    with h5py.File(path, "r+") as file:
        file["exchange/data_white"][:, 1, 5] = 90
    done = run("reconstruct", path, "-o", tmp_path / "x.npy", "--axis", 21.5)
    assert done.exit_code == 0, done.output
    assert "1 pixels are no brighter in the flat field" in done.output
