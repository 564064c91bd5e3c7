"""Objectives taken apart, their values and gradients in weighted spaces, and what the errors say."""

import pickle

import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import ArgumentError, NotSupportedError, SpaceMismatchError
from opalg.solvers.objective import (
    Objective,
    ObjectiveSolver,
    as_functional,
    squared_norm,
    take_apart,
)

GRID = oa.Grid((4, 5), (0.5, 2.0), "float64")
G = oa.Gradient(GRID)
TV = 0.5 * fn.GroupL1(G.range) @ G
ALL = {"smooth": True, "proximable": True, "composed": True}


def test_terms_go_where_they_cost_least():
    f = TV + fn.NonNegative(GRID) + 0.1 * fn.L1(GRID) + fn.Huber(G.range, 0.1) @ G
    parts = take_apart(f, "S", **ALL)
    assert parts.prox == fn.NonNegative(GRID) + 0.1 * fn.L1(GRID)
    assert [as_functional(term) for term in parts.composed] == [TV, fn.Huber(G.range, 0.1) @ G]
    assert parts.smooth == ()
    parts = take_apart(fn.Huber(G.range, 0.1) @ G + fn.L1(GRID), "S", smooth=True, proximable=True)
    assert (len(parts.smooth), parts.prox) == (1, fn.L1(GRID))
    assert take_apart(None, "S") == ((), None, ())


def test_what_has_a_proximal_map_only_has_the_first_claim_on_it():
    """Huber comes first in the expression, but has a gradient too."""
    box, ball = fn.Box(GRID, 0, 1), fn.L2Ball(GRID, 1.0)
    parts = take_apart(fn.Huber(GRID, 1.0) + ball, "S", **ALL)
    assert parts.prox == ball
    assert parts.composed[0].functional == fn.Huber(GRID, 1.0)
    parts = take_apart(box + ball, "S", **ALL)
    assert parts.prox == box
    assert parts.composed == ((1.0, ball, oa.Identity(GRID)),)


def test_refused_terms_are_named_with_solvers_that_take_them():
    cases = [
        (TV, {"proximable": True}, r"GroupL1 @ Gradient, whose .* PDHG or ADMM take it"),
        (fn.L1(GRID), {"smooth": True}, r"L1, which has a proximal map .* FISTA, PDHG"),
        (
            fn.Huber(GRID, 0.1) @ oa.Modulus(GRID),
            {"smooth": True},
            r"no known Lipschitz constant; LBFGS, NonlinearCG",
        ),
        (
            fn.Box(GRID, 0, 1) + fn.L2Ball(GRID, 1.0),
            {"proximable": True},
            r"L2Ball.* beside Box\(0, 1\): their sum has no proximal map by rule; PDHG or ADMM take both",
        ),
        (
            -1.0 * fn.SquaredL2(GRID),
            {"proximable": True},
            r"gradient but no proximal map; GradientDescent",
        ),
        (fn.KullbackLeibler(GRID, 1.0), {"smooth": True}, "map but no Lipschitz constant of"),
        (-1.0 * fn.L1(GRID), ALL, "neither a gradient nor a proximal map, and no solver takes it"),
    ]
    for f, kinds, words in cases:
        with pytest.raises(NotSupportedError, match=r"PDHG cannot handle the term .*?" + words):
            take_apart(f, "PDHG", **kinds)
    assert take_apart(cases[2][0], "LBFGS", smooth=True, lipschitz=False).smooth


WEIGHTED = oa.Space(3, "float64", weighting=np.array([1.0, 2.0, 5.0]))
DATA = oa.Space(4, "float64", weighting=np.array([3.0, 0.5, 1.0, 2.0]))


@pytest.fixture
def matrix():
    return np.random.default_rng(0).uniform(0.1, 1, (4, 3))


def objective(matrix, y):
    A = oa.MatrixOperator(matrix, WEIGHTED, DATA)
    K = oa.MatrixOperator(matrix[:3], WEIGHTED, WEIGHTED)
    regularizer = 0.3 * fn.Huber(WEIGHTED, 0.2) @ K + 0.7 * fn.SquaredL2(WEIGHTED)
    terms = take_apart(regularizer, "S", smooth=True).smooth
    return Objective(A, fn.LeastSquares(DATA, y), terms), fn.LeastSquares(DATA, y) @ A + regularizer


@pytest.mark.parametrize("batch", [(), (2,)])
def test_value_and_gradient_are_those_of_the_expression(matrix, batch):
    y, x = DATA.random(0, batch=batch), WEIGHTED.random(1, batch=batch)
    found, whole = objective(matrix, y)
    q = found.operator(x)
    functional = solvers.State(x)
    running = solvers.State(x)
    running._own([], batch)
    for state in (functional, running):
        np.testing.assert_allclose(found.value(state, x, q), whole(x), rtol=1e-13)
        g = found.gradient(state, x, q, state.buffer("g", WEIGHTED))
        np.testing.assert_allclose(g, whole.gradient(x), rtol=1e-12)
    # It is the gradient in the weighted inner product, not that of the entries.
    h, t = WEIGHTED.random(2), 1e-6
    slope = (whole(x + t * h) - whole(x - t * h)) / (2 * t)
    np.testing.assert_allclose(slope, WEIGHTED.inner(g, h + 0 * g), rtol=1e-8)
    assert found.convex


def test_the_lipschitz_constant_bounds_the_curvature_in_the_spaces(matrix):
    found, _ = objective(matrix, DATA.ones())
    V, W = np.diag(DATA.weighting), WEIGHTED.weighting
    H = lambda M, w: np.linalg.norm(np.sqrt(w)[:, None] * M / np.sqrt(W), 2) ** 2  # noqa: E731
    expected = H(matrix, np.diag(V)) + 0.3 / 0.2 * H(matrix[:3], W) + 0.7 * 2
    assert expected <= found.lipschitz <= expected * 1.02


def test_an_estimated_norm_gets_a_margin():
    class Mixed(oa.LinearOperator):
        def _apply(self, x, out):
            return np.multiply(x, np.array([3.0, -1.0]), out=out)

        _apply_transpose = _apply

    X = oa.Space(2, "float64", weighting=4.0)
    assert not np.isfinite(Mixed(X, X).norm_bounds().upper)
    assert 9 <= squared_norm(Mixed(X, X)) <= 9 * 1.25
    half = oa.Space(2, "float64", weighting=1.0)
    assert 9 / 4 <= squared_norm(Mixed(X, half)) <= 9 / 4 * 1.25


class Minimal(ObjectiveSolver):
    """The gradient method in four lines."""

    def step(self, state, y):
        found = state.keep("objective", y, self._objective)
        g = found.gradient(state, state.x, self.operator(state.x), state.buffer("g", self.range))
        return state.advance(x=state.x - g / found.lipschitz)

    def _objective(self, y):
        smooth = take_apart(self.regularizer, "Minimal", smooth=True).smooth
        return Objective(self.operator, self.data_term(y), smooth)


def test_a_solver_of_an_objective(matrix):
    A = oa.MatrixOperator(matrix, WEIGHTED, DATA)
    solver = Minimal(A, regularizer=0.1 * fn.SquaredL2(WEIGHTED), iterations=3000)
    y = DATA.random(0)
    V, W = np.diag(DATA.weighting), np.diag(WEIGHTED.weighting)
    expected = np.linalg.solve(matrix.T @ V @ matrix + 0.2 * W, matrix.T @ V @ y)
    np.testing.assert_allclose(solver(y), expected, rtol=1e-10)
    assert pickle.loads(pickle.dumps(solver)) == solver
    state = solver.solve(y, iterations=2).state
    assert state._kept == {}, "what was made for the data is not kept after the run"


def test_the_data_are_not_copied(matrix):
    y = DATA.random(0)
    f = Minimal(oa.MatrixOperator(matrix, WEIGHTED, DATA)).data_term(y)
    assert np.shares_memory(f.data, y)
    assert y.flags.writeable


def test_what_does_not_fit_is_refused(matrix):
    A = oa.MatrixOperator(matrix, WEIGHTED, DATA)
    with pytest.raises(ArgumentError, match="regularizer of Minimal must be a functional"):
        Minimal(A, regularizer=0.1)
    plain = fn.L1(oa.Space(3, "float64"))
    with pytest.raises(SpaceMismatchError, match="different weights"):
        Minimal(A, regularizer=plain)
    with pytest.raises(ArgumentError, match="LeastSquares does, got a functional"):
        Minimal(A, fidelity=fn.LeastSquares(DATA))
    wrong = Minimal(A, fidelity=lambda space, data: fn.L1(WEIGHTED))
    with pytest.raises(ArgumentError, match=r"must make a functional on Space \(4,\)"):
        wrong(DATA.ones())
