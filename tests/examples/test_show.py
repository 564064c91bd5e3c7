"""Pictures: y upwards, physical axes, and no trace in Matplotlib's state."""

import subprocess
import sys

import numpy as np
import pytest

import opalg as oa
from opalg.errors import ArgumentError, MissingExtraError

pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg


def test_row_zero_is_lowest_and_axes_are_physical():
    grid = oa.Grid((4, 6), (2.0, 0.5), origin=(1.0, 0.0))
    image = np.zeros(grid.shape)
    image[0, 5] = 1.0
    figure = oa.show(image, grid=grid)
    (picture,) = figure.axes[0].images
    assert picture.origin == "lower"
    assert picture.get_extent() == [-1.5, 1.5, -3.0, 5.0]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("x", "y")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., 0].astype(float)
    # The bright pixel is drawn to the lower right of the axes.
    left, bottom, width, height = figure.axes[0].get_window_extent().bounds
    x, y = left + 5.5 / 6 * width, bottom + 0.5 / 4 * height
    assert drawn[int(drawn.shape[0] - y), int(x)] == 255
    assert drawn[int(drawn.shape[0] - (bottom + 3.5 / 4 * height)), int(x)] == 0


def test_titles_scales_and_volumes():
    truth = np.linspace(0, 2, 64).reshape(8, 8)
    figure = oa.show(10 * truth, truth, titles=["x", "truth"], limits="shared")
    clims = [axes.images[0].get_clim() for axes in figure.axes[:2]]
    assert clims == [(0.0, 2.0)] * 2
    assert len(figure.axes) == 3  # two images and one colour bar for both
    own = oa.show(10 * truth, truth)
    assert [axes.images[0].get_clim() for axes in own.axes[:2]] == [(0.0, 20.0), (0.0, 2.0)]
    volume = np.zeros((5, 8, 8))
    volume[2] = truth
    (picture,) = oa.show(volume).axes[0].images
    np.testing.assert_array_equal(picture.get_array(), truth)
    many = oa.show(*[truth] * 5, columns=3)
    assert sum(bool(axes.images) for axes in many.axes) == 5


def test_tensors():
    torch = pytest.importorskip("torch")
    x = torch.rand(8, 8, requires_grad=True)
    (picture,) = oa.show(x).axes[0].images
    np.testing.assert_array_equal(picture.get_array(), x.detach().numpy())


def test_pyplot_is_not_touched():
    code = (
        "import sys, numpy as np, opalg as oa; oa.show(np.eye(4))._repr_png_(); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_notebooks_display_it():
    assert oa.show(np.eye(4))._repr_png_().startswith(b"\x89PNG")


def test_missing_matplotlib_is_named(monkeypatch):
    from opalg.plotting import images

    images._figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install opalg\[examples\]"):
        oa.show(np.eye(3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: oa.show(), "one or more images"),
        (lambda: oa.show(np.eye(3), titles=["a", "b"]), "a list of 1 texts"),
        (lambda: oa.show(np.ones(3)), "must have two axes"),
        (lambda: oa.show(np.eye(3) * 1j), "is complex"),
        (lambda: oa.show(np.eye(3), grid=oa.Grid((4, 4))), r"image 0 has shape \(3, 3\)"),
        (lambda: oa.show(np.eye(3), limits="all"), "two numbers or 'shared'"),
    ],
)
def test_errors_say_what_is_wrong(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()
