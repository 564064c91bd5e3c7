"""Divergence in finite numbers: what is told of it, and what is not taken for it."""

import numpy as np
import pytest
from every_solver import CASES, build, data, matrix_operator

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import NonFiniteError
from opalg.operators.norms import Bounds
from opalg.solvers.growth import Growth


class Shrunk(oa.MatrixOperator):
    """A matrix that claims a smaller norm than it has, and with it a longer step."""

    def _norm_bounds(self):
        return Bounds(0.5, 0.5)


class Turned(oa.MatrixOperator):
    """A matrix whose transpose has the wrong sign, so that all steps go uphill."""

    def _apply_transpose(self, y, out):
        return np.negative(super()._apply_transpose(y, out), out=out)


def plain(kind):
    return kind(matrix_operator().matrix)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    ["Landweber", "GradientDescent", "Nesterov", "FISTA", "PDHG", "CondatVu", "LinearizedADMM"],
)
def test_a_wrong_norm_is_told_of_while_numbers_are_finite(name, dtype):
    A = Shrunk(matrix_operator(dtype).matrix)
    solver = getattr(solvers, name)(A, iterations=60)
    with pytest.raises(NonFiniteError, match=rf"{name} diverged: .* after iteration \d+ and grows"):
        solver(data(solver, dtype))


@pytest.mark.parametrize("name", ["Landweber", "FISTA", "PDHG", "DouglasRachford", "CondatVu"])
def test_a_wrong_adjoint_is_told_of(name):
    solver = getattr(solvers, name)(plain(Turned), iterations=60)
    with pytest.raises(NonFiniteError, match=rf"{name} diverged: .* its adjoint wrong"):
        solver(data(solver))


def test_one_sample_of_a_batch_is_enough():
    """The others have nothing to do."""
    solver = solvers.Landweber(plain(Shrunk), iterations=60)
    y = np.stack([np.zeros(12), data(solver), np.zeros(12)])
    with pytest.raises(NonFiniteError, match="and grows"):
        solver(y)


def test_with_other_numbers_at_hand_the_norm_is_looked_at_now_and_then():
    solver = solvers.PnPADMM(matrix_operator(), denoiser=lambda x: 3 * x, tolerance=1e-9)
    with pytest.raises(NonFiniteError, match=r"the norm of x is .* and grows without end"):
        solver.solve(data(solver), iterations=300)


def test_the_monitor_neither_changes_the_state_nor_is_stored_with_it():
    solver = build("FISTA", matrix_operator())
    state = solver.solve(data(solver), iterations=20).state
    assert set(state._variables) == {"x", "step_size", "v", "t"}
    assert not state._kept


@pytest.mark.parametrize("span", [2, 4, 16, 128])
def test_a_factor_per_span_is_seen_wherever_it_begins(span):
    rate = 1.01e4 ** (1 / span)
    for quiet in (0, 1, 77):
        growth = Growth()
        sizes = [1.0] * quiet + [rate**k for k in range(4 * span + 1)]
        told = [k for k, size in enumerate(sizes) if growth.seen(size)]
        assert told
        assert told[0] <= quiet + 4 * span


def test_what_converging_methods_do_is_no_divergence():
    jump = [1e-17] * 13 + [1.0] * 300  # from rounding noise to values
    momentum = [1e-12 * (k + 1) ** 2 for k in range(3000)]
    vanished = [1.0, 1e-15, 1e-15, 1e-15, 1e-10, 1e-10, 1e-5, 1e-5, 1.0, 1.0]  # and back
    balanced = [2.0 ** min(k // 5, 30) for k in range(400)]  # an adapted step, doubled now and then
    falling = [10.0**-k for k in range(300)]
    for sizes in (jump, momentum, falling, [0.0] * 50 + [1.0] * 50, balanced, vanished):
        growth = Growth()
        assert not any(growth.seen(size) for size in sizes)


def test_long_ways_from_tiny_steps_are_no_divergence():
    A = matrix_operator()
    for name in ("Landweber", "GradientDescent", "FISTA", "SGD"):
        solver = build(name, A, step_size=1e-14)
        solver.solve(data(solver), iterations=400)
    wrong = solvers.ADMM(A, regularizer=fn.L1(A.domain), penalty=1e10, balancing=True)
    wrong.solve(data(wrong), iterations=300)


def test_noise_amplified_by_a_hilbert_matrix_is_no_divergence():
    """Krylov methods pick up one singular value after the other, and x grows as these fall."""
    n = 16
    H = 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1)
    y = H.sum(1) + 1e-3 * np.random.default_rng(0).standard_normal(n)
    A = oa.MatrixOperator(H)
    for name in ("CGLS", "LSQR", "LSMR", "ABGMRES", "BAGMRES"):
        getattr(solvers, name)(A, iterations=40)(y)
    solvers.CG(A.gram, iterations=40)(A.H(y))


def test_every_case_was_thought_of():
    """Which measure a solver has: a new kind of record is to be put on the list, or its norm is taken."""
    known = {"residual", "running_residual", "normal_residual", "objective", "gradient"}
    known |= {"optimality", "damping", "parameter"}
    assert {record for name in CASES for record in getattr(solvers, name).records} <= known
