"""Products of spaces and their elements."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import opalg as oa
from opalg.errors import ArgumentError, DtypeError, SpaceMismatchError

X = oa.Space((2, 3), "float64", weighting=0.5)
Y = oa.Space(4, "complex64")
P = X * (Y * X)


def test_elements_nest_as_the_space_does() -> None:
    u = P.random(0, batch=(3,))
    assert u in P
    assert [part.shape for part in u.flatten()] == [(3, 2, 3), (3, 4), (3, 2, 3)]
    assert P.batch_shape(u) == (3,)
    assert P.size == 16
    assert P.zeros() not in oa.ProductSpace(X, Y, X)
    assert (X**3).zeros() in oa.ProductSpace(X, X, X)
    assert X * Y != Y * X
    assert (X * Y) * X != X * (Y * X)


def test_same_seed_same_element() -> None:
    torch = pytest.importorskip("torch")
    pairs = zip(P.random(3).flatten(), P.random(3, like=torch.zeros(1)).flatten(), strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b.numpy())


def test_inner_product_is_the_sum() -> None:
    u, v = P.random(1, batch=(2,)), P.random(2, batch=(2,))
    expected = X.inner(u[0], v[0]) + Y.inner(u[1][0], v[1][0]) + X.inner(u[1][1], v[1][1])
    np.testing.assert_allclose(P.inner(u, v), expected, rtol=1e-6)
    np.testing.assert_allclose(P.norm(u) ** 2, P.inner(u, u).real, rtol=1e-6)
    assert P.norm(u).dtype.kind == "f"


def test_errors() -> None:
    with pytest.raises(SpaceMismatchError, match=r"2 parts .* got 3"):
        P.check((1, 2, 3))
    with pytest.raises(SpaceMismatchError, match=r"Blocks of 2 arrays .* got ndarray"):
        P.check(np.zeros(3))
    with pytest.raises(DtypeError, match="part 0 of u must have dtype float64, got float32"):
        (X * X).check((np.zeros((2, 3), "float32"), np.zeros((2, 3))), "u")
    with pytest.raises(SpaceMismatchError, match="same batch axes"):
        (X * X).check((np.zeros((2, 3)), np.zeros((5, 2, 3))))
    with pytest.raises(ArgumentError, match="one or more spaces"):
        oa.ProductSpace()
    with pytest.raises(ArgumentError, match="positive integer"):
        X**0
    assert oa.Blocks((np.zeros((2, 3)), np.zeros((5, 2, 3)))) not in X * X


def test_a_tuple_will_do_where_it_is_checked() -> None:
    u = (np.zeros((2, 3)), np.ones((2, 3)))
    assert isinstance((X * X).check(u), oa.Blocks)
    assert u not in X * X
    assert (X * X).norm(u) == pytest.approx(3**0.5)


def test_values() -> None:
    for space in (P, X**2, oa.ProductSpace(X)):
        assert pickle.loads(pickle.dumps(space)) == space == copy.deepcopy(space)
        assert hash(copy.deepcopy(space)) == hash(space)
        assert eval(repr(space), vars(oa) | {"array": np.array}) == space
    assert str(X**2) == "(Space (2, 3) float64) ** 2"
    assert (X**2).is_power
    assert not P.is_power
    assert P.is_complex
    assert P.is_mixed
    assert not P.complex.is_mixed
    assert P.real.real == P.real
    assert list(X * Y) == [X, Y]


def test_lincomb_in_place() -> None:
    u, v = P.random(1), P.random(2)
    kept = copy.deepcopy(tuple(part.copy() for part in u.flatten()))
    P.lincomb(2.0, u, 3.0, v, out=u)
    for part, before, other in zip(u.flatten(), kept, v.flatten(), strict=True):
        np.testing.assert_allclose(part, 2 * before + 3 * other, rtol=1e-6)


def test_asarray_and_expand() -> None:
    u = (X * Y).asarray(([[1, 2, 3], [4, 5, 6]], [1, 2, 3, 4]))
    assert u in X * Y
    factors = (X * Y).expand(np.array([1.0, 2.0]))
    assert [f.shape for f in factors] == [(2, 1, 1), (2, 1)]
    assert (X * Y).expand(2.0) == 2.0


def test_arithmetic_of_blocks() -> None:
    u = oa.Blocks((np.ones(2), oa.Blocks((np.full(3, 2.0),))))
    for found, expected in (
        (u + u, 2),
        (2 * u, 2),
        (u * 2, 2),
        (u - 0.5 * u, 0.5),
        (u / 2, 0.5),
        (-u, -1),
        (1 - u, None),
        (u + 1, None),
    ):
        if expected is not None:
            np.testing.assert_allclose(found[1][0], 2 * expected)
    v = u
    v += u
    assert v[0] is u[0]  # in place
    assert u[1][0].tolist() == [4.0] * 3
    v *= 0.5
    v -= u / 2
    assert u[0].tolist() == [0.5] * 2
    with pytest.raises(SpaceMismatchError, match="of 2 and of 1 parts cannot be combined"):
        u + oa.Blocks((np.ones(2),))
    with pytest.raises(TypeError, match="norm"):
        assert u == u
    with pytest.raises(TypeError):
        hash(u)
