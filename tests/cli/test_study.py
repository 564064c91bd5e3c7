"""``opalg compare``: studies, sweeps, resuming, and the words of errors."""

import json
import re
import time

import numpy as np
import pytest

from opalg import solvers, tomo
from opalg.cli import compare as command
from opalg.cli.study import read_study

STUDY = """\
[data]
phantom = "disc"
radius = 8.0
value = 0.02

[geometry]
views = 24
detector = 36

[grid]
shape = [24, 24]

[noise]
photons = 1e5

[compare]
metrics = ["psnr", "residual"]
best = "psnr"

[methods.fbp]
window = ["ram-lak", "hann"]

[methods.fast]
method = "sirt"
iterations = 8
relaxation = [0.5, 1.0, 1.9]

[methods.cgls]
iterations = 6
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def counted(monkeypatch):
    """The names of the methods that really ran."""
    names, real = [], command.run_method

    def run_method(name, *arguments, **keywords):
        names.append(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(command, "run_method", run_method)
    return names


def test_sweeps_are_unrolled_and_the_best_is_marked(run, study, counted, tmp_path):
    done = run("compare", study, "--json", tmp_path / "results.json")
    assert done.exit_code == 0, done.output
    assert counted == [
        "fbp (window=ram-lak)",
        "fbp (window=hann)",
        "fast (relaxation=0.5)",
        "fast (relaxation=1.0)",
        "fast (relaxation=1.9)",
        "cgls",
    ]
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    for sweep in ("fbp", "fast"):
        psnr = {name: row["psnr"] for name, row in results.items() if name.startswith(sweep)}
        best = max(psnr, key=psnr.get)
        assert f"Best of the sweep {sweep} by psnr: {best}, {psnr[best]:.4g}" in done.output
    assert "Best of the sweep cgls" not in done.output


def test_runs_are_those_of_python(run, study, tmp_path):
    run("compare", study, "-q")
    read = read_study(study)
    body = tomo.phantoms.disc(radius=8.0, value=0.02)
    expected = tomo.noise.poisson(body.project(read.A.geometry), 1e5, seed=0)
    np.testing.assert_array_equal(read.y, expected)
    np.testing.assert_array_equal(read.truth, body.sample(read.A.domain))
    (file,) = (tmp_path / "study.runs").glob("cgls-*.npz")
    with np.load(file) as stored:
        np.testing.assert_array_equal(stored["x"], solvers.CGLS(read.A, iterations=6)(read.y))


def test_finished_runs_are_not_repeated(run, study, counted):
    first = run("compare", study, "-q")
    del counted[:]
    second = run("compare", study, "-q")
    assert counted == []
    assert "cgls: taken from" in second.output

    def table(done):  # with the same seconds and bytes, because nothing ran
        return [
            line for line in done.output.splitlines() if re.match(r"\S+( \(.*\))?\s\s+\d", line)
        ]

    assert len(table(first)) == 6
    assert table(second) == table(first)


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("iterations = 6", "iterations = 7", ["cgls"]),
        ("0.5, 1.0, 1.9", "0.5, 0.7", ["fast (relaxation=0.7)"]),
        ("[methods.cgls]\niterations", "[methods.other]\nmethod = 'cgls'\niterations", []),
        ("photons = 1e5", "photons = 2e5", 6),
        ("views = 24", "views = 25", 6),
        ('metrics = ["psnr", "residual"]', 'metrics = ["psnr"]', 6),
        ('best = "psnr"', 'best = "residual"', []),
        ('best = "psnr"', "seed = 5", 6),
    ],
)
def test_what_changed_is_run_again(run, study, counted, old, new, again):
    assert run("compare", study, "-q").exit_code == 0
    del counted[:]
    assert old in STUDY
    study.write_text(STUDY.replace(old, new))
    assert run("compare", study, "-q").exit_code == 0
    assert (len(counted) if isinstance(again, int) else counted) == again


def test_ctrl_c_keeps_what_is_finished(run, study, monkeypatch, tmp_path):
    real, ran = command.run_method, []

    def run_method(name, *arguments, **keywords):
        if name == "fast (relaxation=1.0)" and "interrupted" not in ran:
            ran.append("interrupted")
            raise KeyboardInterrupt
        ran.append(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(command, "run_method", run_method)
    done = run("compare", study, "-q", "--report", tmp_path / "report.html")
    assert done.exit_code == 130
    assert (
        "Interrupted. fast (relaxation=1.0) was not finished; those before it are kept"
        in done.output
    )
    assert len(list((tmp_path / "study.runs").glob("*.npz"))) == 3
    done = run("compare", study, "-q")
    assert done.exit_code == 0
    assert ran[ran.index("interrupted") + 1 :] == [
        "fast (relaxation=1.0)",
        "fast (relaxation=1.9)",
        "cgls",
    ]


def test_damaged_files_are_run_again(run, study, counted, tmp_path):
    run("compare", study, "-q")
    (file,) = (tmp_path / "study.runs").glob("cgls-*.npz")
    file.write_bytes(file.read_bytes()[:200])
    del counted[:]
    assert run("compare", study, "-q").exit_code == 0
    assert counted == ["cgls"]


def test_a_method_that_does_not_fit_the_data(run, study, counted):
    study.write_text(STUDY + "\n[methods.wrong]\nmethod = 'cg'\n")
    done = run("compare", study, "-q")
    assert done.exit_code == 2
    assert "study.toml, line 31: CG needs an operator from a space to itself" in done.output
    assert counted == []


def test_a_run_that_fails_is_reported_and_repeated(run, study, counted, tmp_path):
    study.write_text(STUDY + "\n[methods.wild]\nmethod = 'landweber'\nstep_size = 1e9\n")
    done = run("compare", study, "-q", "--report", tmp_path / "report.html")
    assert done.exit_code == 1
    assert "wild failed: ArgumentError: the step size 1e+09 of Landweber is too long" in done.output
    assert (tmp_path / "report.html").is_file()
    del counted[:]
    assert run("compare", study, "-q").exit_code == 1
    assert counted == ["wild"]


def test_the_report(run, study, tmp_path):
    pytest.importorskip("plotly")
    done = run(
        "compare", study, "--report", tmp_path / "report.html", "--runs", tmp_path / "elsewhere"
    )
    assert done.exit_code == 0, done.output
    assert f"The report is {tmp_path / 'report.html'}." in done.output
    text = (tmp_path / "report.html").read_text()
    assert "<h1>study</h1>" in text
    assert "fast (relaxation=1.9)" in text
    assert "Best of the sweep fast by psnr" in text
    assert len(list((tmp_path / "elsewhere").glob("*.npz"))) == 6
    assert not (tmp_path / "study.runs").exists()


def test_measured_data(run, scan_file, tmp_path, body):
    path = tmp_path / "measured.toml"
    path.write_text(
        f'[data]\nfile = "{scan_file}"\naxis = 21.5\n\n[methods.fbp]\n[methods.cgls]\niterations = 5\n'
    )
    done = run("compare", path, "-q")
    assert done.exit_code == 0, done.output
    assert "60 views of 48 columns, row 1, rotation axis at column 21.50 (given)" in done.output
    assert "residual" in done.output
    assert "psnr" not in done.output
    A = read_study(path).A
    np.save(tmp_path / "truth.npy", body.sample(A.domain))
    path.write_text(path.read_text().replace("axis = 21.5", 'axis = 21.5\ntruth = "truth.npy"'))
    done = run("compare", path, "-q")
    assert done.exit_code == 0, done.output
    assert "psnr" in done.output


def test_a_fan_beam(run, study):
    fan = STUDY.replace(
        "views = 24\n", 'beam = "fan"\nviews = 24\npitch = 2.0\nsod = 60.0\nsdd = 120.0\n'
    )
    study.write_text(fan.replace('[methods.fbp]\nwindow = ["ram-lak", "hann"]\n', ""))
    assert read_study(study).A.geometry == tomo.FanBeam(24, 36, 2.0, 60.0, 120.0)
    done = run("compare", study, "-q")
    assert done.exit_code == 0, done.output
    study.write_text(fan.replace('"fan"', '"fun"'))
    assert "line 7: there is no beam 'fun' (did you mean 'fan'?)" in run("compare", study).output
    study.write_text(fan.replace("sod = 60.0\n", ""))
    told = run("compare", study).output
    assert "study.toml, line 6: " in told
    assert "'sod'" in told


def test_a_volume(run, tmp_path):
    path = tmp_path / "volume.toml"
    path.write_text(
        '[data]\nphantom = "ball"\nradius = 5.0\n[geometry]\nviews = 12\ndetector = [16, 24]\n'
        "[grid]\nshape = [16, 16, 16]\n[methods.fbp]\n"
    )
    done = run("compare", path, "-q")
    assert done.exit_code == 0, done.output
    assert "ssim" in done.output


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("views = 24", "veiws = 24", "line 7: [geometry] has no 'veiws' (did you mean 'views'?)"),
        ("radius = 8.0", "radus = 8.0", "line 3: [data] has no 'radus' (did you mean 'radius'?)"),
        (
            '"disc"',
            '"disk"',
            "line 2: there is no phantom 'disk' (did you mean 'disc'?); known are",
        ),
        (
            "[noise]",
            "[nosie]",
            "line 13: a study has no 'nosie' (did you mean 'noise'?); it has data,",
        ),
        (
            "relaxation = [",
            "relaxtion = [",
            "line 26: sirt has no parameter 'relaxtion' (did you mean 'relaxation'?)",
        ),
        ('method = "sirt"', 'method = "srit"', "line 24: there is no method 'srit' (did you mean"),
        (
            "[methods.cgls]",
            "[methods.cglls]",
            "line 28: there is no method 'cglls' (did you mean 'cgls'",
        ),
        ("0.5, 1.0, 1.9", "", "line 26: the sweep over 'relaxation' has no values"),
        ("0.5, 1.0, 1.9", "0.5, 2.5", "line 23: the relaxation of SIRT must lie between 0 and 2"),
        ("views = 24", "views = 0", "line 6: "),
        ("radius = 8.0", "", "line 1: disc() missing 1 required positional argument: 'radius'"),
        (
            "photons = 1e5",
            "photons = 1e5\nsigma = 0.1",
            "line 13: [noise] takes either 'photons' or",
        ),
        ("[grid]\nshape = [24, 24]", "", "has no [grid]"),
        ('phantom = "disc"', "", "line 1: [data] needs either 'file' or 'phantom'"),
        (
            'metrics = ["psnr", "residual"]',
            'metrics = ["pnsr"]',
            "no metric 'pnsr' (did you mean 'psnr'",
        ),
        ('best = "psnr"', 'best = "ssim"', "best = 'ssim' is not among the metrics psnr, residual"),
        ("views = 24", "views = = 24", "is no TOML: Invalid value (at line 7, column 9)"),
        ("[methods.cgls]\niterations = 6", "[methods]\ncgls = 3", "line 29: 'cgls' must be"),
    ],
)
def test_mistakes_are_told_with_their_line(run, study, counted, old, new, words):
    assert old in STUDY
    study.write_text(STUDY.replace(old, new))
    done = run("compare", study, "-q")
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert "study.toml" in done.output or "metric" in words
    assert "Traceback" not in done.output
    assert counted == []


def test_files_that_are_not_there(run, study, tmp_path):
    done = run("compare", tmp_path / "gone.toml")
    assert (done.exit_code, done.output) == (
        2,
        f"Error: there is no file {tmp_path / 'gone.toml'}\n",
    )
    study.write_text('[data]\nfile = "gone.h5"\n[methods.fbp]\n')
    done = run("compare", study)
    assert done.exit_code == 2
    assert "study.toml, line 1: there is no file" in done.output
    study.write_text('[data]\nfile = "gone.h5"\n[geometry]\nviews = 3\n[methods.fbp]\n')
    assert "line 3: [geometry] belongs to a phantom" in run("compare", study).output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--report", "report.pdf"], "use one of .html, .htm"),
        (["--report", "nowhere/report.html"], "there is no folder"),
        (["--json", "record.txt"], "use one of .json"),
    ],
)
def test_outputs_are_checked_first(run, study, counted, arguments, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = run("compare", study, *arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert counted == []


def test_seconds_of_stored_runs_are_those_of_the_run(run, study, tmp_path):
    run("compare", study, "-q", "--json", tmp_path / "a.json")
    time.sleep(0.01)
    run("compare", study, "-q", "--json", tmp_path / "b.json")
    first, second = (json.loads((tmp_path / f"{n}.json").read_text()) for n in "ab")
    assert first["results"] == second["results"]
