"""The web page: it holds all it needs, and a browser shows what it promises."""

import html.parser
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo
from opalg.errors import MissingExtraError

pytest.importorskip("plotly", reason="pages are drawn with Plotly")


# No window, no sandbox (CI runs as root), and nothing that a browser asks the network for by itself.
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=30000",
    "--window-size=1280,2200",
    "--dump-dom",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A function that loads a file in a headless browser and gives the document after its scripts ran."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = os.environ.get("OPALG_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        message = "there is no Chromium (Debian: apt-get install chromium; or set OPALG_BROWSER)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)

    def load(path, fragment=""):
        profile = tmp_path_factory.mktemp("profile")
        address = f"{path.as_uri()}{fragment}"
        done = subprocess.run(
            [program, *SWITCHES, f"--user-data-dir={profile}", address],
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return load


def probe(page, script, tmp_path):
    """A copy of a page with one more script, which leaves its findings as JSON in the title."""
    copy = tmp_path / "probe.html"
    text = page.read_text(encoding="utf-8")
    code = (
        f"<script>document.title = JSON.stringify((function () {{ {script} }})());</script></body>"
    )
    copy.write_text(text.replace("</body>", code), encoding="utf-8")
    return copy


def findings(document):
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", document, re.S)[1]))


@pytest.fixture(scope="module")
def page(module_scan, tmp_path_factory):
    def broken(y):
        raise ValueError("</script><script>alert(1)</script>")

    report = solvers.compare(
        {
            "FBP": tomo.FBP(module_scan.A),
            "SIRT": solvers.SIRT(module_scan.A, iterations=12),
            "CGLS </script> & <b>co</b>": solvers.CGLS(module_scan.A, iterations=5),
            "broken": broken,
        },
        module_scan.y,
        truth=module_scan.truth,
        metrics=["psnr", "rmse"],
    )
    return report.to_html(tmp_path_factory.mktemp("page") / "report.html", title="A <small> study")


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A page of a small volume, whose values tell where they come from."""
    grid = oa.Grid((5, 6, 8))
    A = oa.Identity(grid)
    z, y, x = np.meshgrid(*map(np.arange, grid.shape), indexing="ij")
    truth = (100 * z + 10 * y + x).astype("float32")
    report = solvers.compare(
        {"twice": lambda y: 2 * y, "same": lambda y: y},
        truth,
        truth=truth,
        operator=A,
        metrics=["rmse"],
    )
    return report.to_html(tmp_path_factory.mktemp("page") / "volume.html")


class Resources(html.parser.HTMLParser):
    """Collects what a document would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        names = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}
        self.found += [value for name, value in attributes if name in names]


def test_the_page_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    resources = Resources()
    resources.feed(text)
    assert resources.found == []
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert "url(" not in style
    assert "@import" not in style
    # And the browser is told to refuse whatever a script may try.
    assert "default-src 'none'" in text
    assert 4_000_000 < len(text) < 8_000_000  # Plotly is inside


def test_names_and_errors_cannot_leave_their_place(page):
    text = page.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert "<h1>A &lt;small&gt; study</h1>" in text
    assert "<b>co</b>" not in text


def test_a_browser_shows_everything_and_asks_nobody(page, browser, tmp_path):
    script = """
        const named = (id) => document.getElementById(id);
        const lines = (id) => [...document.querySelectorAll(`#${id} .scatterlayer .trace`)].length;
        return {
            ready: document.documentElement.dataset.ready,
            loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
            rows: [...document.querySelectorAll("#results tbody tr")].map((row) => row.innerText),
            curves: lines("curves"),
            profiles: lines("profiles"),
            canvases: document.querySelectorAll("#panels canvas").length,
            captions: [...document.querySelectorAll("figcaption span:first-child")].map((s) => s.textContent),
            slider: getComputedStyle(named("slice-control")).display,
        };
    """
    found = findings(browser(probe(page, script, tmp_path)))
    assert found["ready"] == "yes"
    assert found["loaded"] == []
    assert len(found["rows"]) == 4
    assert "failed: ValueError: </script><script>alert(1)</script>" in found["rows"][3]
    assert found["curves"] == 3
    assert found["profiles"] == 4
    assert found["canvases"] == 4
    assert found["captions"] == ["truth", "FBP", "SIRT", "CGLS </script> & <b>co</b>"]
    assert found["slider"] == "none"  # one slice: nothing to slide


def test_buttons_change_the_curves(page, browser, tmp_path):
    script = """
        const axes = () => document.querySelectorAll("#curves .xtitle, #curves .ytitle");
        const titles = () => [...axes()].map((title) => title.textContent);
        const before = titles();
        document.querySelector("#metric-buttons [data-value=rmse]").click();
        document.querySelector("#against-buttons [data-value=calls]").click();
        const drawn = document.getElementById("curves").data.find((trace) => trace.name === "SIRT");
        return { before, after: titles(), x: [...drawn.x], address: location.hash };
    """
    found = findings(browser(probe(page, script, tmp_path)))
    assert sorted(found["before"]) == ["iteration", "psnr (dB)"]
    assert sorted(found["after"]) == ["calls of A and A.H", "rmse"]
    assert found["x"] == [4 + 2 * i for i in range(12)]
    assert found["address"] == "#metric=rmse&against=calls"


def test_the_sliders_move_slice_and_row(volume, browser, tmp_path):
    script = """
        const slider = document.getElementById("slice"), row = document.getElementById("row");
        const profile = () => [...document.getElementById("profiles").data[0].y];
        const first = profile();
        slider.value = "4";
        slider.dispatchEvent(new Event("input"));
        row.value = "1";
        row.dispatchEvent(new Event("input"));
        const canvas = document.querySelector("#panels canvas");
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return {
            most: slider.max, shown: document.getElementById("slice-value").textContent,
            first, second: profile(), address: location.hash,
            size: [canvas.width, canvas.height], corner: pixels[0], below: pixels[4 * 8 * 5],
        };
    """
    found = findings(browser(probe(volume, script, tmp_path)))
    assert found["most"] == "4"
    assert found["shown"] == "4 of 5"
    # 16 bits over a range of 914.
    np.testing.assert_allclose(found["first"], 230 + np.arange(8), atol=0.01)
    np.testing.assert_allclose(found["second"], 410 + np.arange(8), atol=0.01)
    assert found["address"] == "#slice=4&row=1"
    assert found["size"] == [8, 6]
    # y points upwards: the picture's upper left is the last row, on the scale 0 to 457 of the truth.
    assert found["corner"] == pytest.approx(450 / 457 * 255, abs=1)
    assert found["below"] == pytest.approx(400 / 457 * 255, abs=1)


def test_the_address_chooses_the_view(volume, browser):
    document = browser(volume, "#slice=1&row=3&difference=yes")
    assert 'data-ready="yes"' in document
    assert re.search(r'id="slice-value"[^>]*>1 of 5<', document)
    assert re.search(r'id="row-value"[^>]*>3<', document)
    assert "twice − truth" in document


def test_a_page_without_images_or_truth(scan, browser, tmp_path):
    report = solvers.compare({"broken": lambda y: y[0]}, scan.y, operator=scan.A)
    document = browser(report.to_html(tmp_path / "a.html"))
    assert 'data-ready="yes"' in document
    assert re.search(r'<section id="images" hidden', document)
    report = solvers.compare({"FBP": tomo.FBP(scan.A)}, scan.y, metrics=["residual"])
    document = browser(report.to_html(tmp_path / "b.html"))
    assert 'data-ready="yes"' in document
    assert re.search(r'id="difference-control" style="display: none;?"', document)


def test_large_volumes_are_thinned():
    from opalg.solvers.comparison.page import _MOST_VALUES, _thinning

    for shape, count in [
        ((1, 512, 512), 9),
        ((256, 256, 256), 5),
        ((1, 9000, 9000), 3),
        ((900, 9, 9), 2),
    ]:
        step = _thinning(shape, count)
        sizes = [-(-n // s) for n, s in zip(shape, step, strict=True)]
        assert count * np.prod(sizes) <= _MOST_VALUES
    assert _thinning((1, 512, 512), 9) == (1, 1, 1)


def test_without_plotly_the_extra_is_named(scan, monkeypatch, tmp_path):
    import sys

    report = solvers.compare({"FBP": tomo.FBP(scan.A)}, scan.y)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtraError, match=r"pip install opalg\[report\]"):
        report.to_html(tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
