"""Differences and shrinkages of the engine against their definitions, written out in NumPy in float64."""

import itertools

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg.engines import differences
from opalg.errors import ArgumentError
from opalg.operators.compiled_differences import CompiledDifferences

BOUNDARIES = ("zero", "replicate", "reflect", "periodic")
SCHEMES = ("forward", "backward", "central")
# Sizes around the lanes of every instruction set, one, and more than a piece of a long row.
SHAPES = [(1,), (17,), (8_301,), (5, 33), (64, 1), (3, 4, 16), (2, 5, 31), (40, 30, 20)]


def neighbours(x, axis, step, boundary):
    """Sample ``i + step`` for every ``i`` along an axis, which may lie one beyond an edge."""
    n = x.shape[axis]
    inner = min(1, n - 1)
    low, high = {
        "zero": (0, 0),
        "replicate": (0, n - 1),
        "reflect": (inner, n - 1 - inner),
        "periodic": (n - 1, 0),
    }[boundary]
    i = np.arange(n) + step
    found = np.take(x, np.where(i < 0, low, np.where(i >= n, high, i)), axis)
    if boundary == "zero":
        np.moveaxis(found, axis, 0)[(i < 0) | (i >= n)] = 0
    return found


def difference(x, axis, scheme, boundary, spacing):
    """The difference quotient from its definition; ``axis`` counts from the back."""
    up, down = {"forward": (1, 0), "backward": (0, -1), "central": (1, -1)}[scheme]
    steps = neighbours(x, axis, up, boundary) - neighbours(x, axis, down, boundary)
    return steps / (spacing * (up - down))


def rounding(x, factor=1.0):
    return 8 * np.finfo(x.dtype).eps * np.abs(x).max() * factor


@pytest.fixture(autouse=True)
def compiled_only(monkeypatch):
    """The engine does the work, or the test fails: no array operations in its place."""
    run = CompiledDifferences._run

    def checked(self, sources, targets, *arguments):
        assert run(self, sources, targets, *arguments)
        return True

    monkeypatch.setattr(CompiledDifferences, "_run", checked)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradient_and_its_transpose(shape, scheme, boundary):
    spacing = tuple(0.5 + 0.3 * k for k in range(len(shape)))
    for dtype, batch in (("float32", ()), ("float64", (2, 3)), ("complex64", (2,))):
        if shape == (8_301,) and batch:
            continue
        X = oa.Grid(shape, spacing=spacing, dtype=dtype)
        G = oa.Gradient(X, scheme, boundary)
        x = X.random(0, batch=batch)
        y = G.range.random(1, batch=batch)
        wide = x.astype(np.result_type(x, "float64"))
        for k, part in enumerate(G(x)):
            expected = difference(wide, k - len(shape), scheme, boundary, spacing[k])
            assert np.abs(part - expected).max() <= rounding(x, 4)
            assert np.array_equal(G.partials[k](x), part)
        # The transpose is fixed by <G x, y> = <x, G.H y>, for x = each of a few unit vectors.
        z = G.H(y)
        for i in {0, 1 % X.size, X.size // 2, X.size // 3, X.size - 1}:
            unit = np.zeros(shape)
            unit.flat[i] = 1
            image = [
                difference(unit, k - len(shape), scheme, boundary, spacing[k])
                for k in range(len(shape))
            ]
            axes = tuple(range(len(batch), z.ndim))
            expected = sum(np.sum(a * b, axis=axes) for a, b in zip(image, y, strict=True))
            found = np.sum(z * unit, axis=axes)
            assert np.abs(found - expected).max() <= 64 * rounding(y[0], 4 * len(shape))


@pytest.mark.parametrize("shape", [(1,), (2,), (33,), (4, 17), (3, 4, 18)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_laplacian(shape, boundary):
    X = oa.Space(shape, "float64")
    x = X.random(0)
    expected = sum(
        neighbours(x, k, 1, boundary) - 2 * x + neighbours(x, k, -1, boundary)
        for k in range(len(shape))
    )
    L = oa.Laplacian(X, boundary)
    np.testing.assert_allclose(L(x), expected, atol=1e-13)
    dense = np.stack([L(e.reshape(shape)).ravel() for e in np.eye(X.size)])
    np.testing.assert_allclose(L.H(x).ravel(), dense @ x.ravel(), atol=1e-12)


def test_differences_of_equal_samples_are_exactly_zero():
    X = oa.Grid((7, 40), spacing=0.1)
    x = np.full(X.shape, np.float32(0.1))
    assert not any(part.any() for part in oa.Gradient(X)(x))
    assert not oa.Laplacian(X)(x).any()


@pytest.mark.parametrize("spacing", [1.0, 0.3])
def test_results_are_those_of_array_operations_to_the_bit(monkeypatch, spacing):
    X = oa.Grid((9, 50), spacing=spacing)
    G = oa.Gradient(X)
    x, y = X.random(0), G.range.random(1)
    found = [*G(x), G.H(y), oa.Laplacian(X)(x)]
    monkeypatch.setattr(CompiledDifferences, "_run", lambda *arguments: False)
    for a, b in zip(found, [*G(x), G.H(y), oa.Laplacian(X)(x)], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())
    for a, b in zip(found[:2], G(x), strict=True):
        assert np.array_equal(a, b)


def test_bits_do_not_depend_on_the_number_of_threads():
    X = oa.Space((50, 60, 70))
    G = oa.Gradient(X)
    x, y = X.random(0), G.range.random(1)
    once = None
    for threads in (1, 2, 3, 7):
        out, z, p = G.range.empty(), X.empty(), G.range.empty()
        G._compiled._differences.sum([x], out, threads=threads)
        G._compiled_reverse._differences.sum(y, [z], [x], 0.5, 2.0, threads=threads)
        G._compiled._differences.shrink(x, y, 0.3, 0.5, "into_ball", p, threads=threads)
        once = once or [*out, z, *p]
        for a, b in zip(once, [*out, z, *p], strict=True):
            assert np.array_equal(a, b)


# Shrinking


def shrunk(vectors, radius, how):
    """Of an array [part, ...], from the definition."""
    length = np.sqrt((vectors**2).sum(0))
    with np.errstate(all="ignore"):
        if how == "into_ball":
            return np.where(length > radius, vectors * (radius / length), vectors)
        if how == "by_length":
            return np.where(length > radius, vectors * (1 - radius / length), 0)
    if how == "into_box":
        return np.clip(vectors, -radius, radius)
    return np.sign(vectors) * np.maximum(np.abs(vectors) - radius, 0)


@pytest.mark.parametrize("how", ["into_ball", "into_box", "by_length", "by_entry"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vectors_are_shrunk(how, dtype):
    for parts, shape in itertools.product(range(1, 9), [(1,), (37,)]):
        batch = 2
        rng = np.random.default_rng(parts)
        fields = rng.standard_normal((parts, batch, *shape)).astype(dtype)
        radii = np.array([0.7, 1.5])
        flat = differences.Differences((1, 1, *shape), ())
        for radius in (0.9, radii):
            out = np.empty_like(fields)
            flat.shrink(None, list(fields), 0.0, radius, how, list(out))
            expected = shrunk(fields.astype("float64"), np.reshape(radius, (-1, 1)), how)
            np.testing.assert_allclose(out, expected, atol=rounding(fields))
            in_place = fields.copy()
            flat.shrink(None, list(in_place), 0.0, radius, how, list(in_place))
            assert np.array_equal(in_place, out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_dual_steps_of_total_variation(shape, boundary):
    for (how, ball), scheme in itertools.product(
        [("into_ball", fn.GroupBall), ("into_box", fn.LInfinityBall)], SCHEMES
    ):
        X = oa.Grid(shape, spacing=tuple(0.5 + 0.3 * k for k in range(len(shape))))
        G = oa.Gradient(X, scheme, boundary)
        f = ball(G.range, 0.8)
        batch = () if shape == (8_301,) else (2,)
        x, p = X.random(0, batch=batch), G.range.random(1, batch=batch)
        for step in (0.3, np.array([0.3, 0.1])) if batch else (0.3,):
            out = oa.spaces.Blocks(part.copy() for part in p)
            assert f._ascend(G, x, out, step, out)
            sigma = np.reshape(step, (-1,) + (1,) * len(shape)) if batch else step
            moved = np.stack(p).astype("float64") + sigma * np.stack(G(x.astype("float32")))
            expected = shrunk(moved, 0.8, how)
            np.testing.assert_allclose(np.stack(out), expected, atol=rounding(moved.astype("f4")))


def test_nan_stays_nan():
    for how in ("into_ball", "into_box", "by_length", "by_entry"):
        x = np.ones((2, 40), "float32")
        x[0, 3] = x[0, 38] = np.nan
        differences.Differences((1, 1, 40), ()).shrink(None, list(x), 0.0, 0.5, how, list(x))
        assert np.isnan(x[0, [3, 38]]).all()
        assert np.isfinite(np.delete(x, [3, 38], axis=1)).all()


def test_functionals_use_it():
    X = oa.Space((6, 50))
    x = (X**2).random(0)
    stacked = np.stack(x).astype("float64")
    for f, how, radius in (
        (fn.GroupL1(X**2), "by_length", 0.4),
        (fn.GroupBall(X**2, 0.4), "into_ball", 0.4),
    ):
        np.testing.assert_allclose(
            np.stack(f.prox(0.4)(x)), shrunk(stacked, radius, how), atol=1e-6
        )


def test_empty_batches():
    G = oa.Gradient(oa.Space((4, 5)))
    assert [part.shape for part in G(np.empty((0, 4, 5), "float32"))] == [(0, 4, 5)] * 2


# What the engine leaves to array operations, and what it refuses


def test_what_it_takes():
    x = np.zeros((4, 6), "float32")
    closed = x.copy()
    closed.flags.writeable = False
    assert differences.takes([closed], [x])
    assert not differences.takes([x], [closed])
    assert not differences.takes([x[:, ::2]], [x[:, ::2].copy()])
    assert not differences.takes([x.astype(">f4")], [x])
    assert not differences.takes([x.astype("float64")], [x])
    assert not differences.takes([x[None]], [x])
    assert not differences.takes([x.tolist()], [x])
    assert not differences.takes([x.astype("float16")], [x.astype("float16")])
    wave = x.astype("complex64")
    assert differences.takes([wave], [wave.copy()])
    assert not differences.takes([wave], [wave.copy()], complex=False)
    assert not differences.takes([x] * 9, [x] * 9, fit=True)


def test_wrong_rules_are_refused():
    """The compiled part checks once more: a wrong index would be a crash."""
    x, out = np.zeros(4), np.zeros(4)
    for rule in (
        differences.AxisRule(4, 0, 1.0, ((1, 0),), ()),  # reaches beyond the end
        differences.AxisRule(5, 0, 1.0, ((0, 0),), ()),  # another size
        differences.AxisRule(4, 4, 1.0, (), (((9, 0),),) * 4),
        differences.AxisRule(4, 0, 1.0, ((0, 0),) * 13, ()),
        differences.AxisRule(4, 3, 1.0, (), ()),
    ):
        wrong = differences.Differences((1, 1, 4), [differences.DifferenceTerm(rule, 2, 0, 0)])
        with pytest.raises(ValueError, match="difference"):
            wrong.sum([x], [out])
    with pytest.raises(ArgumentError, match="number of threads must be at least 1"):
        differences.Differences((1, 1, 4), ()).sum([x], [out], threads=0)
    with pytest.raises(ValueError, match="sizes of the fields"):
        differences.Differences((1, 1, 4), ()).sum([x], [np.zeros(4), np.zeros(5)])


def test_it_runs_on_the_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    G = oa.Gradient(oa.Space((5, 40)))
    x, y = G.domain.random(0), G.range.random(1)
    for a, b in zip(G(torch.from_numpy(x)), G(x), strict=True):
        assert np.array_equal(a.numpy(), b)
    found = G.H(oa.spaces.Blocks(map(torch.from_numpy, y)))
    assert np.array_equal(found.numpy(), G.H(y))
