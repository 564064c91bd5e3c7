"""The page "What opalg reads like" is a contract: its blocks run as they stand there, in order."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tour.md"


def blocks():
    """The code of every block under the heading that it stands below."""
    found = []
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M):
        title = section.splitlines()[0].strip("# ")
        for code in re.findall(r"^```{code-cell}\n(.*?)^```", section, flags=re.M | re.S):
            found.append(pytest.param(title, code, id=title))
    return found


BLOCKS = blocks()


@pytest.fixture(scope="module")
def page():
    """One module for all blocks, which can be imported, as a user's script can be."""
    pytest.importorskip("torch", reason="the page shows tensors")
    pytest.importorskip("matplotlib", reason="the page shows pictures").use("Agg")
    module = types.ModuleType("opalg_tour")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.mark.parametrize(("title", "code"), BLOCKS)
def test_block_runs(title, code, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the page writes its report
    exec(compile(code, str(PAGE), "exec"), vars(page))
    # Later blocks use the same names for other things.
    vars(page).setdefault("after", {})[title] = types.SimpleNamespace(**vars(page))
    vars(page).setdefault("files", {})[title] = sorted(path.name for path in tmp_path.iterdir())


# What the comments on the page say. These stand behind the test that runs the blocks and use its names.


def test_every_promised_block_is_there():
    titles = [block.values[0] for block in BLOCKS]
    assert list(dict.fromkeys(titles)) == [
        "What opalg reads like",
        "A first reconstruction",
        "The algebra",
        "Torch, batch",
        "The SIRT loop people write by hand",
        "Variational reconstruction",
        "Comparing",
        "A new operator, a new solver",
        "Geometries",
    ]


def test_first_reconstruction(page):
    page = page.after["A first reconstruction"]
    truth, result = page.truth, page.result
    assert page.geometry.shape == page.phantom.project(page.geometry).shape == (360, 768)
    assert truth.shape == (512, 512)
    assert np.linalg.norm(result.x - truth) < 0.25 * np.linalg.norm(truth)
    assert len(result.history["residual"]) == result.state.iteration
    assert "iterations" in result.reason


def test_algebra(page):
    page = page.after["The algebra"]
    oa, T, K = page.oa, page.T, page.K
    assert T.H is T
    assert hash(T) == hash(T.H)
    assert isinstance(page.p, oa.Blocks)
    assert page.u in K.range[0]
    assert oa.from_scipy(page.S).adjoint is not oa.from_scipy(page.S).H
    lower, upper = T.norm_bounds()
    assert 0 < lower <= T.norm() <= upper < float("inf")


def test_gradient_is_the_formula(page):
    torch, A = page.torch, page.oa.from_scipy(page.S)
    xb = page.xb.detach()
    y = torch.from_numpy(page.tomo.noise.poisson(page.phantom.project(A.geometry), 1e5, seed=0))
    expected = 2 * A.H(A(xb[0]) - y)
    torch.testing.assert_close(
        page.xb.grad[0], expected, rtol=1e-5, atol=1e-5 * expected.abs().max()
    )


def test_sirt_by_hand_is_the_solver(page):
    then = page.after["The SIRT loop people write by hand"]
    x = page.solvers.SIRT(then.A, iterations=150)(then.y.numpy())
    # Two orders of the same float32 sums, 150 times.
    assert np.linalg.norm(x - then.x.numpy()) < 1e-4 * np.linalg.norm(x)


def test_variational_reconstruction(page):
    then = page.after["Variational reconstruction"]
    assert str(then.regularizer) == "0.05 * GroupL1 @ Gradient + NonNegative"
    assert then.x in then.grid
    assert "0.05 * GroupL1 @ Gradient" in then.refusal
    assert "PDHG or ADMM take it" in then.refusal
    np.testing.assert_allclose(
        then.f.gradient(then.p), 1 - then.counts / then.p, rtol=1e-5, atol=1e-6
    )
    tv = then.solvers.PDHG(then.A, regularizer=then.regularizer, iterations=300)(then.y)
    sparse = np.linalg.norm(then.x - then.truth)
    assert np.linalg.norm(tv - then.truth) < 0.8 * sparse
    assert tv.min() >= 0


def test_comparing(page):
    then = page.after["Comparing"]
    assert page.files["Comparing"] == ["report.html"]
    table = then.report.to_pandas()
    assert all(name in str(then.report) for name in ("FBP", "SIRT", "TV"))
    assert len(table) >= 3


def test_new_solver(page):
    diagonal = page.oa.Diagonal(np.array([1.0, 0.5]))
    x = page.Landweber(diagonal, iterations=200)(np.array([1.0, 1.0]))
    np.testing.assert_allclose(x, [1.0, 2.0], rtol=1e-9)


def test_geometries(page):
    cone, x = page.cone, page.x
    assert (page.fan.shape, cone.shape, page.helix.shape) == (
        (720, 560),
        (240, 256, 256),
        (540, 64, 512),
    )
    np.testing.assert_allclose(page.free.source_positions, page.source)
    np.testing.assert_allclose(page.from_scanner.to_matrices(), page.P, atol=1e-9)
    assert cone[:, 64:192, :].detector_shape == (128, 256)
    assert page.tomo.Geometry.from_json(cone.to_json()) == cone
    assert [part.geometry.num_views for part in page.A.subsets(12)] == [20] * 12
    views, volume = cone.to_astra(page.grid3)
    assert (views["type"], views["Vectors"].shape) == ("cone_vec", (240, 12))
    assert volume["GridSliceCount"] == 64
    (axes,) = cone.show().axes
    assert axes.name == "3d"
    # 240 views of 256 x 256 rays, through some 150 planes of the cube where they meet it.
    rays = 240 * 256**2
    assert 4 * 50 * rays < page.A.cost().operations < 4 * 256 * rays
    assert page.A.cost().bytes > 4 * (256**3 + rays)
    assert page.A[::10].range.shape == (24, 256, 256)
    # The ball of 0.02 per mm, in its interior.
    z, y, u = page.volume.coordinates
    inside = (z[:, None, None] - 0.5) ** 2 + (y[:, None] + 1) ** 2 + (u - 2) ** 2 < 12.0**2
    np.testing.assert_allclose(x[inside].mean(), 0.02, rtol=1e-2)
