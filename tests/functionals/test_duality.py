"""Convex conjugates against their definition as a supremum, and Moreau's identity."""

import numpy as np
import pytest
from functionals.brute import pack, unpack, weights

import opalg as oa
from opalg import functionals as fn
from opalg.errors import NotSupportedError


def has_conjugate(case):
    f = case.functional
    if not (f.convex and f.proximable):
        return False
    try:
        f.convex_conjugate(f.domain.zeros())
    except NotSupportedError:
        return False
    return True


def dual_pair(f, rng, step=0.8):
    """A point u and a subgradient p of f there: by the definition of the prox, ``(x - u) / step``."""
    x = f.domain.random(rng) * 2
    u = f.prox(step)(x)
    return u, (x - u) * (1 / step)


def test_conjugate_is_the_supremum(case, f, rng):
    conjugate = f.convex_conjugate
    w = weights(f.domain)
    for _ in range(3):
        u, p = dual_pair(f, rng)
        value = float(conjugate(p))
        line, slope = pack(f.domain, u), pack(f.domain, p)
        # <x, p> - f(x) attains its greatest value at u, and the conjugate says which it is.
        attained = (w * line * slope).sum() - float(f(u))
        np.testing.assert_allclose(value, attained, rtol=1e-7, atol=1e-7)
        others = line + 10.0 ** rng.uniform(-4, 1.5, (500, 1)) * rng.standard_normal(
            (500, line.size)
        )
        with np.errstate(over="ignore"):
            values = (others * w * slope).sum(axis=-1) - f(unpack(f.domain, others))
        assert (values <= value + 1e-7 * (1 + abs(value))).all()


test_conjugate_is_the_supremum.needs = has_conjugate


def test_conjugate_is_infinite_where_the_supremum_is(case, f, rng):
    """On the ray through a large slope a norm grows without bound below the pairing."""
    _, p = dual_pair(f, rng)
    p = p * (50.0 / float(f.domain.norm(p)))
    assert float(f.convex_conjugate(p)) == np.inf
    w = weights(f.domain)
    slope = pack(f.domain, p)
    rays = 1e6 * np.concatenate([np.eye(slope.size) * np.sign(slope), slope[None]])
    values = (rays * w * slope).sum(axis=-1) - f(unpack(f.domain, rays))
    assert values.max() > 1e6


NORMS = ("L1", "L2", "LInfinity", "Lp", "GroupL1", "NuclearNorm", "Huber")
test_conjugate_is_infinite_where_the_supremum_is.needs = lambda case: (
    case.name.split("-")[0] in NORMS
)


@pytest.mark.parametrize("step", [0.4, 3.0])
def test_moreau_identity(case, f, rng, step):
    conjugate = f.convex_conjugate
    x = f.domain.random(rng) * 2
    back = f.prox(step)(x) + step * conjugate.prox(1 / step)(x * (1 / step))
    np.testing.assert_allclose(pack(f.domain, back), pack(f.domain, x), rtol=1e-8, atol=1e-8)


def _dual_prox(case):
    f = case.functional
    if not (f.convex and f.proximable):
        return False
    try:
        return f.convex_conjugate.proximable
    except NotSupportedError:
        return False


test_moreau_identity.needs = _dual_prox


def test_biconjugate_is_the_functional(case, f, rng):
    again = f.convex_conjugate.convex_conjugate
    for _ in range(3):
        u, _ = dual_pair(f, rng)
        np.testing.assert_allclose(float(again(u)), float(f(u)), rtol=1e-7, atol=1e-7)


def _again(case):
    if not has_conjugate(case):
        return False
    try:
        f = case.functional
        f.convex_conjugate.convex_conjugate(f.prox(1.0)(f.domain.zeros()))
    except NotSupportedError:
        return False
    return True


test_biconjugate_is_the_functional.needs = _again


def test_all_convex_classes_have_a_conjugate_value_or_say_why():
    """The cases that the tests above leave out, by name, so that none slips away."""
    from functionals.cases import CASES

    without = {case.name for case in CASES if case.functional.convex and not has_conjugate(case)}
    assert without == WITHOUT_VALUE


# Sums with a box have the infimal convolution of two support functions as conjugate; the quadratic
# form needs the inverse of its matrix; the compositions with
# wide or singular operators, total variation among them, have conjugates that are finite on
# subspaces only.
WITHOUT_VALUE = {
    "QuadraticForm",
    "Sum-box",
    "Composed-gradient",
    "Composed-weighted",
    "Composed-tight",
    "Composed-diagonal-zero",
    "TotalVariation",
    "TotalVariation-anisotropic",
    "TotalVariation-weighted",
    "TotalVariation-complex",
}


def test_conjugate_of_scaled_norm_is_a_ball():
    G = oa.Gradient(oa.Grid((4, 4)))
    dual = (0.05 * fn.GroupL1(G.range)).convex_conjugate
    assert dual == fn.GroupBall(G.range, 0.05)
    assert str(dual) == "GroupBall(0.05)"
    assert (2 * fn.NuclearNorm(oa.Space((3, 3)))).convex_conjugate.radius == 2.0


def test_own_conjugates_can_be_registered():
    class Twice(fn.L1):
        """A class of a user's own inherits the rule of its base."""

    space = oa.Space(3, "float64")
    assert isinstance(Twice(space).convex_conjugate, fn.LInfinityBall)


def test_messages():
    space = oa.Space(3, "float64")
    with pytest.raises(NotSupportedError, match="infimal convolution of the conjugates"):
        (fn.L1(space) + fn.L2(space)).convex_conjugate  # noqa: B018
    with pytest.raises(NotSupportedError, match="factor is negative"):
        (-fn.L1(space)).convex_conjugate  # noqa: B018
    with pytest.raises(NotSupportedError, match="weights are zero"):
        fn.LeastSquares(space, None, np.array([1.0, 0.0, 1.0])).convex_conjugate  # noqa: B018
    M = oa.MatrixOperator(np.ones((3, 2)))
    with pytest.raises(NotSupportedError, match="no known inverse"):
        (fn.L1(space) @ M).convex_conjugate  # noqa: B018
