"""Expressions: values, terms, printing, pickling, equality, precision, and words for mistakes."""

import pickle

import numpy as np
import pytest
from functionals.brute import pack

import opalg as oa
from opalg import functionals as fn
from opalg.errors import (
    ArgumentError,
    DtypeError,
    NonFiniteError,
    NotSupportedError,
    SpaceMismatchError,
)

grid = oa.Grid((4, 5), spacing=0.5)
G = oa.Gradient(grid)
X = oa.Space(3, "float64")


def test_pickle_equality_and_print(case, f, rng):
    again = pickle.loads(pickle.dumps(f))
    assert again == f
    assert hash(again) == hash(f)
    assert case.functional == f
    x = f.domain.random(rng)
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(f(x)))
    assert str(f)
    assert repr(f)
    assert f._repr_latex_().count("$") == 2
    assert len(f.tree().splitlines()) >= 1 + len(f._children())
    if f.proximable:
        operator = f.prox(0.5)
        assert pickle.loads(pickle.dumps(operator)) == operator
        assert ".prox(0.5)" in str(operator)


def test_batch_of_values(case, f, rng):
    many = f.domain.random(rng, batch=(2,))
    assert np.asarray(f(many)).shape == (2,)
    assert np.asarray(f(f.domain.random(rng))).shape == ()


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_precision_is_kept(dtype):
    space = oa.Grid((3, 4), spacing=0.3, dtype=dtype)
    real = dtype == "float32"
    x = space.random(seed=0)
    functionals = [
        fn.L1(space),
        fn.L0(space),
        fn.L2(space),
        fn.LInfinity(space),
        fn.Lp(space, 1.5),
        fn.Huber(space, 0.3),
    ]
    functionals += [
        fn.ElasticNet(space, 0.2, 0.3),
        fn.SquaredL2(space),
        fn.LeastSquares(space, x),
        fn.L1Ball(space),
    ]
    functionals += [
        fn.L2Ball(space),
        fn.LInfinityBall(space),
        fn.NuclearNorm(space),
        fn.SpectralBall(space),
    ]
    functionals += [
        fn.LpBall(space, 3.0),
        fn.L2(space).translated(x),
        fn.L1(space).moreau_envelope(0.3),
    ]
    if real:
        positive = abs(x)
        functionals += [
            fn.KullbackLeibler(space, positive),
            fn.Entropy(space),
            fn.LogBarrier(space),
            fn.Box(space, 0, 1),
        ]
        functionals += [
            fn.KullbackLeiblerCrossEntropy(space, 0.5),
            fn.Simplex(space),
            fn.NonNegative(space),
        ]
    for f in functionals:
        for step in (0.3, np.float64(0.3), np.array([0.2, 0.4])):
            batch = np.ndim(step) > 0
            y = f.prox(step)(space.random(seed=1, batch=(2,)) if batch else x)
            assert y.dtype == np.dtype(dtype), f
        assert np.asarray(f(x)).dtype == np.dtype("float32"), f
        # What float32 computes is what float64 computes, rounded.
        wide = space.astype("float64" if real else "complex128")
        twin = _widened(f, wide)
        if twin is not None:
            narrow, exact = f.prox(0.3)(x), twin.prox(0.3)(wide.asarray(x))
            np.testing.assert_allclose(narrow, exact, rtol=2e-4, atol=2e-5)


def _widened(f, space):
    if isinstance(f, (fn.Lp, fn.LpBall)):
        return type(f)(space, f.p)
    if isinstance(f, fn.Huber):
        return fn.Huber(space, f.delta)
    if isinstance(
        f,
        (
            fn.L1,
            fn.L2,
            fn.LInfinity,
            fn.L1Ball,
            fn.L2Ball,
            fn.NuclearNorm,
            fn.Entropy,
            fn.LogBarrier,
            fn.Simplex,
        ),
    ):
        return type(f)(space)
    return None


def test_the_objective_reads_as_written():
    f = 0.05 * fn.GroupL1(G.range) @ G + fn.NonNegative(grid)
    assert str(f) == "0.05 * GroupL1 @ Gradient + NonNegative"
    assert [(t.scale, str(t.functional), t.operator) for t in f.terms()] == [
        (0.05, "GroupL1", G),
        (1.0, "NonNegative", None),
    ]
    assert f._repr_latex_() == r"$0.05 \, \|\cdot\|_{2,1} \circ \nabla + \iota_{\geq 0}$"
    assert f.tree().splitlines()[1].startswith("├─ _ @ _")


def test_terms_of_nested_expressions():
    A = oa.Diagonal(np.array([1.0, 2.0, 3.0]))
    f = 2 * ((fn.L1(X) + 3 * fn.L2(X)) @ A) + fn.Huber(X, 1.0) / 4
    assert [(t.scale, str(t.functional), t.operator) for t in f.terms()] == [
        (2.0, "L1", A),
        (6.0, "L2", A),
        (0.25, "Huber(1)", None),
    ]
    nested = (fn.L1(X) @ A) @ oa.Scaling(X, 2.0)
    assert [(t.scale, str(t.functional)) for t in nested.terms()] == [(1.0, "L1")]


def test_exact_simplifications():
    f = fn.L1(X)
    assert 1 * f is f
    assert 0 * f == fn.Constant(X)
    assert 2 * (3 * f) == 6 * f
    assert 3 * fn.NonNegative(X) == fn.NonNegative(X)
    assert f @ oa.Identity(X) is f
    assert f @ oa.Scaling(X, -2.0) == 2 * f
    assert fn.L2Ball(X) @ oa.Scaling(X, -2.0) == fn.L2Ball(X, 0.5)
    assert f + 0 == f
    assert f.perturbed() is f
    assert f - 2.0 == f + fn.Constant(X, -2.0)
    shifted = fn.L2(X) @ (oa.Identity(X) - np.ones(3))
    assert shifted == fn.L2(X).translated(np.ones(3))
    pair = fn.SeparableSum(f, fn.L2(X)) @ oa.block_diagonal([2 * oa.Identity(X), oa.Identity(X)])
    assert pair == fn.SeparableSum(2 * f, fn.L2(X))
    assert (1 + 1e-9) * f != f


def test_values_of_expressions(rng):
    x = rng.standard_normal(3)
    shift = rng.standard_normal(3)
    f, g = fn.L1(X), fn.L2(X)
    np.testing.assert_allclose((2 * f + g - 1.5)(x), 2 * abs(x).sum() + np.linalg.norm(x) - 1.5)
    np.testing.assert_allclose(f.translated(shift)(x), abs(x - shift).sum())
    np.testing.assert_allclose(
        f.perturbed(3.0, shift, 1.0)(x), abs(x).sum() + 1.5 * x @ x + x @ shift + 1
    )
    A = oa.MatrixOperator(rng.standard_normal((3, 3)))
    np.testing.assert_allclose((f @ A)(x), abs(A(x)).sum())
    np.testing.assert_allclose((f / 2 - g)(x), abs(x).sum() / 2 - np.linalg.norm(x))


def test_the_inner_product_must_be_the_same():
    with pytest.raises(SpaceMismatchError, match=r"different weights.*fn\.L1\(A\.range\)"):
        fn.L1(oa.Space((4, 5))) @ oa.Identity(grid)
    with pytest.raises(SpaceMismatchError, match="different weights"):
        fn.L1(oa.Space((4, 5))) + fn.L1(grid)
    with pytest.raises(SpaceMismatchError, match="cannot add L1 and L2"):
        fn.L1(grid) + fn.L2(X)
    with pytest.raises(SpaceMismatchError, match=r"cannot compose L1 @ Gradient"):
        fn.L1(grid) @ G


def test_messages():
    with pytest.raises(SpaceMismatchError, match="the argument of L1 must have shape"):
        fn.L1(X)(np.ones(4))
    with pytest.raises(NotSupportedError, match="write f @ A"):
        fn.L1(grid)(G)
    with pytest.raises(NotSupportedError, match=r"write f\(x\)"):
        fn.L1(X) @ np.ones(3)
    with pytest.raises(ArgumentError, match="functionals are real"):
        2j * fn.L1(X)
    with pytest.raises(NonFiniteError, match="finite number"):
        np.inf * fn.L1(X)
    with pytest.raises(ArgumentError, match="at least 0; clip"):
        fn.KullbackLeibler(X, np.array([1.0, -1.0, 0.0]))
    with pytest.raises(NonFiniteError, match="the data holds NaN"):
        fn.LeastSquares(X, np.array([1.0, np.nan, 0.0]))
    with pytest.raises(SpaceMismatchError, match="the data must have shape"):
        fn.LeastSquares(X, np.ones(4))
    with pytest.raises(DtypeError, match=r"needs a real space.*oa\.RealPart"):
        fn.NonNegative(oa.Space(3, "complex64"))
    with pytest.raises(ArgumentError, match="lower must be at most upper"):
        fn.Box(X, 1.0, 0.0)
    with pytest.raises(ArgumentError, match="between 1 and infinity"):
        fn.Lp(X, 1)
    with pytest.raises(NotSupportedError, match="L1 takes entries one by one"):
        fn.GroupL1(grid)
    with pytest.raises(NotSupportedError, match="rows and columns"):
        fn.NuclearNorm(X)
    with pytest.raises(ArgumentError, match="is not 2 \\* Identity"):
        fn.L1(G.range).composed(G, tight=2.0)
    with pytest.raises(ArgumentError, match="self-adjoint in the inner product"):
        fn.QuadraticForm(oa.MatrixOperator(np.array([[1.0, 2.0], [0.0, 1.0]])))
    with pytest.raises(AttributeError, match="immutable"):
        fn.L2Ball(X).radius = 3.0
    with pytest.raises(ArgumentError, match="radius must be a positive"):
        fn.L2Ball(X, 0.0)


def test_nan_never_passes_for_a_member(case, f):
    x = f.domain.zeros() + np.nan
    value = float(f(x))
    assert np.isnan(value) or value == np.inf


def _sees_values(case):
    return case.name not in {
        "Constant",
        "Composed-diagonal-zero",
        "PSDCone",
        "NuclearNorm",
        "NuclearNorm-complex",
        "SpectralBall",
    }


test_nan_never_passes_for_a_member.needs = _sees_values


def test_step_of_a_batch_and_of_entries_are_told_apart():
    f = fn.L1(oa.Space(2, "float64"))
    x = np.full((2, 2), 3.0)
    steps = np.array([1.0, 2.0])
    np.testing.assert_array_equal(f.prox(steps)(x), [[2.0, 1.0], [2.0, 1.0]])
    np.testing.assert_array_equal(f.prox(steps[:, None])(x), [[2.0, 2.0], [1.0, 1.0]])
    with pytest.raises(ArgumentError, match=r"must have shape \(2,\)"):
        f.prox(np.ones(5))(x)


def test_functionals_work_in_strict_array_libraries():
    xp = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    space = oa.Space((3, 4), "float64", weighting=0.5)
    values = space.random(seed=0)
    positive = abs(values)
    for f in (
        fn.L1(space),
        fn.L2(space),
        fn.LInfinity(space),
        fn.L1Ball(space),
        fn.L0(space),
        fn.Lp(space, 3.0),
        fn.Huber(space, 0.3),
        fn.LeastSquares(space, positive),
        fn.KullbackLeibler(space, positive),
        fn.KullbackLeiblerCrossEntropy(space, positive),
        fn.Entropy(space),
        fn.LogBarrier(space),
        fn.Box(space, 0, 1),
        fn.Simplex(space),
        fn.NuclearNorm(space),
        fn.SpectralBall(space),
        fn.L1(space).moreau_envelope(0.5),
        fn.L2(space).translated(positive),
        fn.L1(space).perturbed(0.5, positive),
    ):
        for step in (0.5, abs(space.random(seed=1)) + 0.1 if f.separable else 0.5):
            there = f.prox(step)(xp.asarray(values))
            np.testing.assert_allclose(np.asarray(there), f.prox(step)(values), rtol=1e-10)
        np.testing.assert_allclose(
            float(f(xp.asarray(positive))), float(f(positive)), rtol=1e-10, atol=1e-30
        )
        assert pack(space, np.asarray(there)).shape == (12,)


def test_the_part_of_a_product_is_a_co_isometry():
    """So f of one part has a prox: that of f there, and nothing elsewhere."""
    X = oa.Space(3, "float64", weighting=0.5)
    f = fn.L1(X) @ oa.Component(X * X, 1)
    x = f.domain.random(0)
    found = f.prox(0.3)(x)
    np.testing.assert_array_equal(found[0], x[0])
    np.testing.assert_allclose(found[1], fn.L1(X).prox(0.3)(x[1]), rtol=1e-14)


@pytest.mark.parametrize(
    ("form", "least"),
    [
        (lambda X: fn.QuadraticForm(oa.Diagonal(np.array([1.0, 4.0, 2.0]), X)), 1.0),
        (lambda X: fn.QuadraticForm(2 * oa.Identity(X)), 2.0),
        (lambda X: fn.QuadraticForm(oa.Identity(X)), 1.0),
    ],
)
def test_strong_convexity_of_forms(form, least):
    assert form(oa.Space(3, "float64", weighting=0.5)).strong_convexity == least


def test_infimal_convolution_with_a_smooth_part_has_its_gradient():
    """The gradient of f is the multiplier of the split; against differences of the value."""
    X = oa.Space(3, "float64", weighting=0.5)
    f = fn.InfimalConvolution(fn.L1(X), fn.Huber(X, 0.5))
    assert f.differentiable
    x = np.array([1.0, 2.0, -0.3])
    g, h = f.gradient(x), 1e-5
    for i in range(3):
        e = h * np.eye(3)[i]
        slope = (float(f(x + e)) - float(f(x - e))) / (2 * h)
        # the value is good to eps ** 0.75 = 2e-12, over 2e-5
        assert 0.5 * g[i] == pytest.approx(slope, abs=1e-6)
