"""Plug-and-play methods: with a proximal map as denoiser they are the classical solvers; with a "
"module they learn."""

import numpy as np
import pytest
from variational_problems import total_variation_problem

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import ArgumentError, NotSupportedError


def shrink(x, sigma):
    """The proximal map of 0.3 |x|_1 with step sigma ** 2."""
    step = 0.3 * sigma**2
    return np.sign(x) * np.maximum(abs(x) - step, 0)


def smooth(x):
    """Linear, symmetric, with eigenvalues in [1/5, 1]."""
    return 0.6 * x + 0.2 * (np.roll(x, 1, axis=-1) + np.roll(x, -1, axis=-1))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_proximal_map_as_denoiser_gives_the_classical_solver(weighted):
    problem = total_variation_problem(weighted=weighted)
    prior = fn.Denoiser(problem.X, shrink, sigma="step")
    expected = solvers.FISTA(
        problem.A, regularizer=0.3 * fn.L1(problem.X), restart=True, iterations=1500
    )(problem.y)
    x = solvers.PnPADMM(problem.A, denoiser=prior, iterations=500)(problem.y)
    np.testing.assert_allclose(x, expected, atol=1e-6)
    x = solvers.PnPProximalGradient(problem.A, denoiser=prior, iterations=3000)(problem.y)
    np.testing.assert_allclose(x, expected, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_red_with_a_linear_denoiser_solves_a_linear_system(weighted):
    """``v A.T (A x - y) + strength w (x - D x) = 0`` with the weights of the spaces."""
    problem = total_variation_problem(weighted=weighted)
    M, D = problem.A.matrix, np.stack([smooth(e) for e in np.eye(7)], axis=1)
    v, w = problem.Y.weighting, problem.X.weighting
    expected = np.linalg.solve(v * M.T @ M + 2.0 * w * (np.eye(7) - D), v * M.T @ problem.y)
    x = solvers.RED(problem.A, denoiser=smooth, strength=2.0, iterations=3000)(problem.y)
    np.testing.assert_allclose(x, expected, atol=1e-7)


def test_constraints_beside_the_denoiser():
    problem = total_variation_problem()
    box = fn.Box(problem.X, -0.5, 0.5)
    x = solvers.RED(problem.A, denoiser=smooth, strength=1.0, regularizer=box)(problem.y)
    assert abs(x).max() <= 0.5
    x = solvers.PnPADMM(problem.A, denoiser=smooth, regularizer=box, iterations=800)(problem.y)
    assert abs(x).max() <= 0.5 + 1e-4


def kinds(problem, denoiser, **settings):
    return [
        solvers.PnPADMM(problem.A, denoiser=denoiser, **settings),
        solvers.PnPProximalGradient(problem.A, denoiser=denoiser, **settings),
        solvers.RED(problem.A, denoiser=denoiser, strength=1.0, **settings),
    ]


def test_batches_resuming_and_steps_by_hand():
    problem = total_variation_problem()
    y = np.stack([problem.y, -2 * problem.y])
    for solver in kinds(problem, smooth, iterations=13):
        single = np.stack([solver(sample) for sample in y])
        np.testing.assert_allclose(solver(y), single, atol=1e-10)
        part = solver.solve(problem.y, iterations=5)
        rest = solver.solve(problem.y, iterations=8, initial=part.state)
        assert np.array_equal(rest.x, single[0])
        state = solver.initial(problem.y)
        for _ in range(13):
            state = solver.step(state, problem.y)
        assert np.array_equal(state.x, single[0])


def test_a_module_is_trained_through_the_iteration():
    torch = pytest.importorskip("torch")
    problem = total_variation_problem()
    module = torch.nn.Conv1d(1, 1, 3, padding=1, bias=False, dtype=torch.float64)
    y = torch.from_numpy(problem.y)
    prior = fn.Denoiser(problem.X, module)
    prior = fn.Denoiser(problem.X, module, arrays="torch") if prior.arrays != "torch" else prior
    for solver in kinds(problem, prior, iterations=4):
        module.zero_grad()
        solver(y).square().sum().backward()
        weight = module.weight.detach().clone()
        gradient = module.weight.grad.clone()
        direction, eps = torch.ones_like(weight), 1e-6
        values = []
        with torch.no_grad():
            for sign in (1, -1):
                module.weight.copy_(weight + sign * eps * direction)
                values.append(float(solver(y).square().sum()))
            module.weight.copy_(weight)
        slope = (values[0] - values[1]) / (2 * eps)
        np.testing.assert_allclose(float(gradient.sum()), slope, rtol=1e-5)


def test_what_does_not_fit_is_refused():
    problem = total_variation_problem()
    for kind in (solvers.PnPADMM, solvers.PnPProximalGradient):
        with pytest.raises(ArgumentError, match=rf"{kind.__name__} needs a denoiser"):
            kind(problem.A, denoiser=3)
        with pytest.raises(TypeError, match="missing a required argument: 'denoiser'"):
            kind(problem.A)
    with pytest.raises(ArgumentError, match="must act on"):
        solvers.RED(problem.A, denoiser=fn.Denoiser(oa.Space(3), smooth), strength=1.0)
    with pytest.raises(ArgumentError, match="strength of RED must be a positive"):
        solvers.RED(problem.A, denoiser=smooth, strength=0.0)
    with pytest.raises(ArgumentError, match="cannot search its steps"):
        solvers.RED(problem.A, denoiser=smooth, strength=1.0, backtracking=True)
    with pytest.raises(NotSupportedError, match="PnPProximalGradient cannot handle the term"):
        solvers.PnPProximalGradient(problem.A, denoiser=smooth, regularizer=fn.L1(problem.X))
