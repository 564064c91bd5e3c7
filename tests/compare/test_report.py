"""What a report prints, exports and draws."""

import json
import re

import numpy as np
import pytest

from opalg import solvers, tomo
from opalg.errors import ArgumentError


@pytest.fixture(scope="module")
def report(module_scan):
    def broken(y):
        raise ValueError("<b>no</b> & never")

    A = module_scan.A
    return solvers.compare(
        {
            "FBP": tomo.FBP(A),
            "SIRT": solvers.SIRT(A, iterations=12),
            "CGLS": solvers.CGLS(A, iterations=5),
            "broken": broken,
        },
        module_scan.y,
        truth=module_scan.truth,
        metrics=["psnr", "rmse"],
    )


def test_the_table_has_a_row_per_method_and_a_star_per_metric(report):
    lines = str(report).splitlines()
    words = re.split(r"\s{2,}", lines[0])
    assert words == [
        "method",
        "psnr (dB)",
        "rmse",
        "iterations",
        "A + A.H calls",
        "seconds",
        "memory",
    ]
    assert [line.split()[0] for line in lines[2:6]] == ["FBP", "SIRT", "CGLS", "broken"]
    assert lines[6] == "broken failed: ValueError: <b>no</b> & never"
    assert str(report).count("*") == 2
    best = max((run for run in report if not run.failed), key=lambda run: run.last("psnr"))
    (starred,) = [line for line in lines if f"{best.last('psnr'):.2f}*" in line]
    assert starred.startswith(best.name)
    assert report.best("psnr") is best
    assert report.best("rmse") is best


def test_columns_stand_below_each_other(report):
    lines = str(report).splitlines()
    ends = {line.rstrip().rfind("B") for line in lines[2:5]}
    assert len(ends) == 1  # "kB" or "MB" end each row


def test_html_table_escapes(report):
    html = report._repr_html_()
    assert "&lt;b&gt;no&lt;/b&gt; &amp; never" in html
    assert "<b>no</b>" not in html


def test_to_pandas(report):
    pytest.importorskip("pandas")
    frame = report.to_pandas()
    assert list(frame.index) == ["FBP", "SIRT", "CGLS", "broken"]
    assert frame.loc["SIRT", "iterations"] == 12
    assert frame.loc["SIRT", "forward"] == 13
    assert frame.loc["CGLS", "psnr"] == report["CGLS"].last("psnr")
    assert frame.loc["broken", "error"] == "ValueError: <b>no</b> & never"
    assert np.isnan(frame.loc["broken", "psnr"])
    curves = report.curves_to_pandas()
    assert curves.groupby("name").size().to_dict() == {"CGLS": 5, "FBP": 1, "SIRT": 12}
    assert {"iteration", "forward", "transpose", "seconds", "psnr", "rmse"} < set(curves.columns)


def test_the_record_says_what_a_repetition_needs(report, tmp_path):
    text = report.to_json(tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    assert record == json.loads(text)
    assert record["seed"] == 0
    assert record["methods"]["SIRT"].startswith("SIRT(XrayTransform(Grid((40, 48), spacing=0.5)")
    assert record["methods"]["SIRT"].endswith("iterations=12)")
    assert "test_report" in record["methods"]["broken"]
    assert {"python", "opalg", "numpy", "scipy"} <= set(record["versions"])
    assert {"system", "processor", "cores", "threads", "instruction set"} == set(record["machine"])
    assert record["data"][0]["shape"] == [36, 64]
    assert record["results"]["broken"]["psnr"] is None  # JSON has no NaN
    assert record["results"]["CGLS"]["psnr"] == report["CGLS"].last("psnr")


def test_records_tell_data_apart(scan):
    method = {"FBP": tomo.FBP(scan.A)}
    hashes = {
        solvers.compare(method, y).record["data"][0]["blake2b"]
        for y in (scan.y, scan.y, 2 * scan.y)
    }
    assert len(hashes) == 2


def test_convergence_plots(report):
    pytest.importorskip("matplotlib")
    figure = report.plot_convergence("rmse")
    left, middle, right = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "iteration",
        "calls of A and A.H",
        "seconds",
    ]
    lines = {line.get_label(): line for line in left.lines}
    np.testing.assert_array_equal(lines["SIRT"].get_xdata(), np.arange(1, 13))
    np.testing.assert_array_equal(lines["SIRT"].get_ydata(), report["SIRT"].curves["rmse"])
    assert "broken" not in lines
    calls = {line.get_label(): line for line in middle.lines}["CGLS"].get_xdata()
    assert calls.tolist() == [3, 5, 7, 9, 11]
    seconds = {line.get_label(): line for line in right.lines}["CGLS"].get_xdata()
    np.testing.assert_array_equal(seconds, report["CGLS"].curves["seconds"])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_image_panels_show_differences(report, scan):
    pytest.importorskip("matplotlib")
    figure = report.plot_images()
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(pictures) == 4 + 3
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["FBP", "SIRT", "CGLS", "truth"]
    np.testing.assert_array_equal(pictures[1].get_array(), report["SIRT"].x)
    np.testing.assert_array_equal(pictures[5].get_array(), report["SIRT"].x - scan.truth)
    assert pictures[5].get_clim()[0] == -pictures[5].get_clim()[1]
    assert {picture.origin for picture in pictures} == {"lower"}


def test_profiles(report, scan):
    pytest.importorskip("matplotlib")
    (axes,) = report.plot_profiles(row=12).axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["truth"].get_ydata(), scan.truth[12])
    np.testing.assert_array_equal(lines["FBP"].get_ydata(), report["FBP"].x[12])
    np.testing.assert_allclose(lines["FBP"].get_xdata(), scan.A.domain.coordinates[1])
    with pytest.raises(ArgumentError, match="rows 0 to 39, got 40"):
        report.plot_profiles(row=40)


def test_nothing_to_draw(scan):
    pytest.importorskip("matplotlib")
    report = solvers.compare({"broken": lambda y: y[0]}, scan.y, operator=scan.A)
    for draw in (report.plot_images, report.plot_profiles):
        with pytest.raises(ArgumentError, match="no run gave an image"):
            draw()
    assert report.plot_convergence() is not None
    with pytest.raises(ArgumentError, match="no run has a value of residual"):
        report.best()


def test_pictures_without_a_truth(scan):
    pytest.importorskip("matplotlib")
    report = solvers.compare({"FBP": tomo.FBP(scan.A)}, scan.y)
    assert len([axes for axes in report.plot_images().axes if axes.images]) == 1
    assert report.truth is None
