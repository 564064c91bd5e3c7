"""Gradients against difference quotients and PyTorch, and the constants against what they promise."""

import math

import numpy as np
import pytest
from functionals.brute import pack, unpack, weights

import opalg as oa
from opalg import functionals as fn
from opalg.errors import NotSupportedError


def is_smooth(case):
    return case.smooth is not None


def test_smooth_cases_are_those_with_a_gradient(case, f):
    assert f.differentiable == (case.smooth is not None)


def test_gradient_is_the_derivative_in_the_inner_product(case, f, rng):
    for _ in range(3):
        x, h = case.smooth(rng), f.domain.random(rng)
        slope = float((weights(f.domain) * pack(f.domain, f.gradient(x)) * pack(f.domain, h)).sum())
        e = 1e-5
        quotient = (float(f(x + e * h)) - float(f(x - e * h))) / (2 * e)
        # Central differences err by e^2 times the third derivative, and eps / e.
        np.testing.assert_allclose(quotient, slope, rtol=1e-6, atol=1e-6)


test_gradient_is_the_derivative_in_the_inner_product.needs = is_smooth


def test_second_derivative(case, f, rng):
    x, h = case.smooth(rng), f.domain.random(rng)
    try:
        hessian = f.gradient.derivative(x)
    except NotSupportedError:
        assert f.domain.is_complex or case.name in WITHOUT_HESSIAN
        return
    e = 1e-6
    quotient = (f.gradient(x + e * h) - f.gradient(x - e * h)) / (2 * e)
    np.testing.assert_allclose(
        pack(f.domain, hessian(h)), pack(f.domain, quotient), rtol=1e-5, atol=1e-5
    )


test_second_derivative.needs = is_smooth
WITHOUT_HESSIAN = {
    "Composed-unitary",
    "L2",
    "L2-product",
    "Lp-1.3",
    "Lp-3",
    "MoreauEnvelope",
    "MoreauEnvelope-KL",
    "InfimalConvolution",
}


def test_lipschitz_constant_holds_and_is_reached(case, f, rng):
    best = 0.0
    for k in range(300):
        x = case.smooth(rng)
        h = f.domain.random(rng) * 10.0 ** -(k % 4)
        y = x + h
        if not np.isfinite(float(f(y))):
            continue
        rate = float(f.domain.norm(f.gradient(x) - f.gradient(y)) / f.domain.norm(h))
        assert rate <= f.lipschitz * (1 + 1e-6)
        best = max(best, rate)
    if math.isfinite(f.lipschitz) and case.tight:
        # Random pairs come close to the greatest slope in so few dimensions.
        assert best >= 0.75 * f.lipschitz


test_lipschitz_constant_holds_and_is_reached.needs = is_smooth


def test_strong_convexity_holds(case, f, rng):
    m, w = f.strong_convexity, weights(f.domain)
    assert m >= 0
    rows = np.array([pack(f.domain, _inside(case, f, rng)) for _ in range(100)])
    a, b = rows[:50], rows[50:]
    t = rng.uniform(size=50)[:, None]

    def value(v):
        return np.asarray(f(unpack(f.domain, np.ascontiguousarray(v))), float)

    bend = (t * (1 - t))[:, 0] * m / 2 * (w * (a - b) ** 2).sum(axis=-1)
    chord = t[:, 0] * value(a) + (1 - t)[:, 0] * value(b)
    assert (value(t * a + (1 - t) * b) <= chord - bend + 1e-9 * (1 + abs(chord))).all()


test_strong_convexity_holds.needs = lambda case: case.functional.convex


def _inside(case, f, rng):
    sampler = case.members or case.smooth or f.domain.random
    return sampler(rng)


@pytest.mark.parametrize("space", [oa.Grid((6, 5), spacing=0.5), oa.Space((6, 5), weighting=0.3)])
def test_gradient_of_a_composition(space):
    G = oa.Gradient(space)
    f = fn.LeastSquares(G.range) @ G
    assert str(f.gradient) == str(G.adjoint @ fn.LeastSquares(G.range).gradient @ G)
    x = space.random(seed=0)
    np.testing.assert_allclose(f.gradient(x), G.adjoint(G(x)), rtol=1e-5)
    # The constant is the upper end of a certified bracket, which for the gradient is exact.
    np.testing.assert_allclose(f.lipschitz, G.norm() ** 2, rtol=1e-5)


def test_constants_of_simple_functionals():
    space = oa.Space(3, "float64", weighting=0.25)
    f = fn.LeastSquares(space, None, np.array([1.0, 2.0, 4.0]))
    assert (f.lipschitz, f.strong_convexity) == (4.0, 1.0)
    assert (3 * f).lipschitz == 12.0
    assert f.moreau_envelope(1.0).strong_convexity == 0.5
    assert (f + fn.L1(space)).strong_convexity == 1.0
    assert (f + fn.L1(space)).lipschitz == math.inf
    assert (f @ oa.Diagonal(np.array([1.0, 2.0, 3.0]), space)).strong_convexity == 1.0
    assert (-f).strong_convexity == -4.0


def test_not_differentiable_says_what_can_be_done():
    with pytest.raises(NotSupportedError, match=r"moreau_envelope\(step\)"):
        fn.L1(oa.Space(3)).gradient  # noqa: B018
    G = oa.Gradient(oa.Grid((3, 3)))
    with pytest.raises(NotSupportedError, match="not differentiable"):
        (fn.GroupL1(G.range) @ G).gradient  # noqa: B018


def test_a_nonlinear_operator_has_value_and_gradient(rng):
    space = oa.Space(3, "float64", weighting=np.array([1.0, 2.0, 0.5]))
    square = oa.Identity(space) * oa.Identity(space)
    f = fn.LeastSquares(space, np.ones(3)) @ square
    assert not f.convex
    x, h = rng.standard_normal(3), rng.standard_normal(3)
    quotient = (f(x + 1e-5 * h) - f(x - 1e-5 * h)) / 2e-5
    np.testing.assert_allclose(float(space.inner(f.gradient(x), h)), quotient, rtol=1e-6)
    assert f.lipschitz == math.inf
