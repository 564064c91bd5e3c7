"""Total variation and its second-order relative against linear programs and exact solutions."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.optimize import linprog

import opalg as oa
from opalg import functionals as fn
from opalg.errors import AccuracyWarning, ArgumentError, NotSupportedError

grid = oa.Grid((12, 9), spacing=0.5, dtype="float64")


def test_total_variation_is_the_composition():
    G = oa.Gradient(grid)
    x = grid.random(seed=0, batch=(2,))
    np.testing.assert_allclose(fn.TotalVariation(grid)(x), (fn.GroupL1(G.range) @ G)(x))
    np.testing.assert_allclose(fn.TotalVariation(grid, isotropic=False)(x), (fn.L1(G.range) @ G)(x))


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tolerance_is_kept(isotropic, dtype):
    space = grid.astype(dtype)
    x = space.random(seed=1)
    exact = fn.TotalVariation(grid, isotropic, tolerance=1e-7).prox(0.3)(grid.asarray(x))
    for tolerance in (0.1, 1e-2, 1e-3):
        u = fn.TotalVariation(space, isotropic, tolerance).prox(0.3)(x)
        assert u.dtype == x.dtype
        assert np.linalg.norm(u - exact) <= 1.01 * tolerance * np.linalg.norm(x)


def test_denoised_step_is_known():
    """Two plateaus move towards each other by step / (length of the plateau), the edge stays."""
    space = oa.Space(8, "float64")
    x = np.repeat([0.0, 2.0], 4)
    u = fn.TotalVariation(space, tolerance=1e-8).prox(1.0)(x)
    np.testing.assert_allclose(u, np.repeat([0.25, 1.75], 4), atol=1e-7)


def test_warm_start_saves_iterations():
    x = grid.random(seed=2)
    applications = []

    class Counting(oa.LinearOperator):
        def __init__(self, inner):
            super().__init__(inner.domain, inner.range)
            self.inner = inner

        def _apply(self, x, out):
            applications.append(1)
            return self.inner._apply(x, out)

        def _apply_transpose(self, y, out):
            return self.inner._apply_transpose(y, out)

        def _norm_bounds(self):
            return self.inner.norm_bounds()

    def count(warm):
        f = fn.TotalVariation(grid, tolerance=1e-4, warm_start=warm)
        f.__dict__["_gradient_of"] = Counting(f._gradient_of)
        prox = f.prox(0.3)
        prox(x)
        applications.clear()
        again = prox(x + 1e-4)
        return len(applications), again

    (cold, first), (warm, second) = count(False), count(True)
    assert warm < cold / 3
    np.testing.assert_allclose(first, second, atol=2e-4 * np.linalg.norm(x))


def test_a_single_pixel_has_no_variation():
    space = oa.Space((1, 1), "float32")
    f = fn.TotalVariation(space)
    x = np.full((1, 1), 3.0, "float32")
    assert float(f(x)) == 0.0
    np.testing.assert_array_equal(f.prox(2.0)(x), x)


def test_warm_start_does_not_touch_what_it_keeps():
    f = fn.TotalVariation(grid, tolerance=1e-4, warm_start=True)
    x = grid.random(seed=3)
    first = f.prox(0.3)(x).copy()
    for _ in range(3):
        last = f.prox(0.3)(x)
    np.testing.assert_allclose(first, last, atol=1e-3)
    assert pickle.loads(pickle.dumps(f)) == f


def test_iterations_are_limited_or_a_warning_says_that_they_do_not_suffice(monkeypatch):
    from opalg.functionals import tv

    x = grid.random(seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fn.TotalVariation(grid, tolerance=1e-9, iterations=5).prox(1.0)(x)
    monkeypatch.setattr(tv, "_LIMIT", 20)
    with pytest.warns(AccuracyWarning, match="did not reach its tolerance 1e-09"):
        fn.TotalVariation(grid, tolerance=1e-9).prox(1.0)(x)
    with pytest.raises(ArgumentError, match="positive integer or None"):
        fn.TotalVariation(grid, iterations=0)


# Second order

LINE = oa.Space(7, "float64", weighting=0.5)


def program(x, alpha1, alpha0):
    """The value in one dimension by linear programming: minimise sums of slack variables over v, s, t."""
    n = x.size
    D = np.eye(n, k=1) - np.eye(n)
    D[-1] = 0.0
    E = np.eye(n) - np.eye(n, k=-1)
    E[0] = 0.0
    zero, one = np.zeros((n, n)), np.eye(n)
    # v + s >= Dx, v - s <= Dx, t >= |E v|
    upper = np.block([[-one, -one, zero], [one, -one, zero], [E, zero, -one], [-E, zero, -one]])
    bound = np.concatenate([-D @ x, D @ x, np.zeros(2 * n)])
    cost = 0.5 * np.concatenate([np.zeros(n), alpha1 * np.ones(n), alpha0 * np.ones(n)])
    limits = [(None, None)] * n + [(0, None)] * (2 * n)
    return linprog(cost, A_ub=upper, b_ub=bound, bounds=limits).fun


def test_generalised_variation_is_the_value_of_its_linear_program():
    f = fn.TotalGeneralizedVariation(LINE, 0.7, 0.4, tolerance=1e-7)
    for seed in range(4):
        x = LINE.random(seed)
        np.testing.assert_allclose(float(f(x)), program(x, 0.7, 0.4), rtol=1e-6)


def test_prox_of_generalised_variation_minimises():
    f = fn.TotalGeneralizedVariation(LINE, 0.7, 0.4, tolerance=1e-5)
    x, step = 2 * LINE.random(seed=5), 0.6
    u = f.prox(step)(x)

    def objective(v):
        return program(v, 0.7, 0.4) + 0.5 * ((v - x) ** 2).sum() / (2 * step)

    reached, rng = objective(u), np.random.default_rng(0)
    for scale in (1.0, 0.1, 1e-2, 1e-3):
        for _ in range(30):
            # The tolerance is a distance: 1e-5 |x|; values follow its square.
            assert objective(u + scale * rng.standard_normal(7)) >= reached - 1e-8


def test_generalised_variation_in_two_dimensions():
    y, x = np.meshgrid(*grid.coordinates, indexing="ij")
    ramp = 2 * x - y
    f = fn.TotalGeneralizedVariation(grid, 1.0, 0.7, tolerance=1e-3)
    noisy = ramp + grid.random(seed=6)
    G = oa.Gradient(grid)
    values = [float(f.lifted((noisy, v))) for v in (G.range.zeros(), G(noisy), G(ramp))]
    assert float(f(noisy)) <= min(values) * (1 + 1e-3)
    np.testing.assert_allclose(values[0], fn.TotalVariation(grid)(noisy))
    batch = np.stack([noisy, ramp])
    np.testing.assert_allclose(f(batch), [f(noisy), f(ramp)], rtol=2e-3)
    together = f.prox(np.array([0.1, 0.3]))(batch)
    np.testing.assert_allclose(together[1], f.prox(0.3)(ramp), atol=2e-3 * np.linalg.norm(ramp))


def test_generalised_variation_is_a_functional_like_others():
    f = fn.TotalGeneralizedVariation(grid, 1.0, 2.0)
    assert pickle.loads(pickle.dumps(f)) == f
    assert str(3 * f) == "3 * TotalGeneralizedVariation(1, 2)"
    assert [str(term.operator) for term in f.lifted.terms()] == [
        "hstack([Gradient, -Identity])",
        "SymmetrisedGradient @ Component",
    ]
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = torch.zeros(grid.shape, dtype=torch.float64, requires_grad=True)
    with pytest.raises(NotSupportedError, match=r"differentiate f\.lifted"):
        f(x)
    np.testing.assert_allclose(float(f(x.detach())), 0.0, atol=1e-12)
