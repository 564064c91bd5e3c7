"""One small run of every public solver, and a value of its parameters that breaks its convergence.

A new solver without a case fails `test_every_solver_has_a_case`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import opalg as oa
from opalg import functionals as fn
from opalg import solvers
from opalg.errors import ArgumentError

ROWS, COLUMNS = 12, 7


def public_solvers() -> dict[str, type]:
    """All classes of solvers that `opalg.solvers` offers."""
    found = {name: getattr(solvers, name) for name in solvers.__all__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value)
        and issubclass(value, solvers.Solver)
        and value is not solvers.Solver
    }


def matrix_operator(dtype: str = "float64", seed: int = 0) -> Any:
    """Non-negative, of full column rank, between spaces of different weights."""
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0.1, 1, (ROWS, COLUMNS)) * (rng.uniform(size=(ROWS, COLUMNS)) < 0.6)
    matrix[np.arange(COLUMNS), np.arange(COLUMNS)] += 1
    X, Y = oa.Grid(COLUMNS, spacing=0.5, dtype=dtype), oa.Space(ROWS, dtype, weighting=3.0)
    return NonNegativeMatrix(matrix.astype(dtype), X, Y)


class NonNegativeMatrix(oa.MatrixOperator):
    """A matrix that says what its entries are."""

    nonnegative = True


def halved(x: Any) -> Any:
    """A denoiser that is known."""
    return 0.5 * x


def huber(A: Any) -> Any:
    return 0.1 * fn.Huber(A.domain, 0.1)


def variation(A: Any) -> Any:
    G = oa.Gradient(A.domain)
    return 0.1 * fn.GroupL1(G.range) @ G


@dataclass(frozen=True)
class Case:
    """How a solver is built, and what it refuses."""

    settings: Callable[[Any], dict[str, Any]] = field(default=lambda A: {})
    wrong: dict[str, Any] | None = None
    """Parameters that break convergence: they raise or warn, when the solver is built or run."""
    words: str = ""
    """What the message says: the bound."""
    free: str = ""
    """Why no value of a parameter breaks convergence, for the others."""
    operator: Callable[[Any], Any] = field(default=lambda A: A)
    tensors: bool = True
    """Whether PyTorch gives the same numbers to rounding."""


NO_STEP = "it has no step: the best one is computed"
SEARCHED = "it searches its step"

CASES: dict[str, Case] = {
    "Landweber": Case(wrong={"step_size": 10.0}, words=r"below 2 / \|A\|\^2"),
    "SIRT": Case(wrong={"relaxation": 2.5}, words="between 0 and 2"),
    "OSSIRT": Case(lambda A: {"subsets": 3}, {"relaxation": 2.0}, "between 0 and 2"),
    "OSSART": Case(lambda A: {"subsets": 3}, {"relaxation": 2.0}, "between 0 and 2"),
    "SART": Case(wrong={"relaxation": 0.0}, words="between 0 and 2"),
    "Kaczmarz": Case(wrong={"relaxation": 2.0}, words="between 0 and 2"),
    "Cimmino": Case(wrong={"relaxation": 1e3}, words=r"below 2 / \|A\|\^2"),
    "CG": Case(free=NO_STEP, operator=lambda A: A.gram + 0.1 * oa.Identity(A.domain)),
    "CGLS": Case(free=NO_STEP),
    "LSQR": Case(lambda A: {"damp": 0.1}, {"damp": -1.0}, "at least 0"),
    "LSMR": Case(lambda A: {"damp": 0.1}, {"damp": -1.0}, "at least 0"),
    "HybridLSQR": Case(lambda A: {"parameter": 0.5}, {"parameter": -1.0}, "at least 0"),
    "ABGMRES": Case(free=NO_STEP),
    "BAGMRES": Case(free=NO_STEP),
    "GradientDescent": Case(wrong={"step_size": 10.0}, words="below 2 / L"),
    "Nesterov": Case(wrong={"step_size": 10.0}, words="below 1 / L"),
    "NonlinearCG": Case(lambda A: {"regularizer": huber(A)}, free=SEARCHED),
    "LBFGS": Case(lambda A: {"regularizer": huber(A)}, free=SEARCHED),
    "GaussNewton": Case(lambda A: {"regularizer": huber(A)}, free=SEARCHED),
    "LevenbergMarquardt": Case(lambda A: {"regularizer": huber(A)}, {"damping": -1.0}, "positive"),
    "MLEM": Case(free="it has no step"),
    "OSEM": Case(lambda A: {"subsets": 3}, {"subsets": 0}, "from 1 to 12"),
    "MAPEM": Case(
        lambda A: {"regularizer": huber(A)},
        {"regularizer": -1e3 * fn.SquaredL2(matrix_operator().domain)},
        "too strong for one step late",
    ),
    "ISTA": Case(lambda A: {"regularizer": fn.L1(A.domain)}, {"step_size": 10.0}, "below 2 / L"),
    "FISTA": Case(lambda A: {"regularizer": fn.L1(A.domain)}, {"step_size": 10.0}, "below 1 / L"),
    "ProjectedGradient": Case(
        lambda A: {"regularizer": fn.NonNegative(A.domain)}, {"step_size": 10.0}, "below 2 / L"
    ),
    "PDHG": Case(
        lambda A: {"regularizer": variation(A)},
        {"primal_step": 10.0, "dual_step": 10.0},
        "primal step must be at most",
    ),
    "CondatVu": Case(
        lambda A: {"regularizer": variation(A)}, {"primal_step": 10.0}, "primal step must be below"
    ),
    "PD3O": Case(lambda A: {"regularizer": variation(A)}, {"primal_step": 10.0}, "below 2 / L"),
    "LinearizedADMM": Case(
        lambda A: {"regularizer": variation(A)},
        {"primal_step": 10.0, "dual_step": 10.0},
        "primal step must be at most",
    ),
    "ADMM": Case(lambda A: {"regularizer": variation(A)}, {"relaxation": 2.0}, "between 0 and 2"),
    "SplitBregman": Case(lambda A: {"regularizer": variation(A)}, {"penalty": -1.0}, "positive"),
    "DouglasRachford": Case(
        lambda A: {"regularizer": fn.L1(A.domain)}, {"relaxation": 2.0}, "between 0 and 2"
    ),
    "SGD": Case(lambda A: {"subsets": 3}, {"step_size": 1e3}, "at most .* is safe"),
    "SAGA": Case(lambda A: {"subsets": 3}, {"step_size": 1e3}, "at most .* is safe"),
    "SVRG": Case(lambda A: {"subsets": 3}, {"step_size": 1e3}, "at most .* is safe"),
    "SPDHG": Case(lambda A: {"subsets": 3}, {"primal_step": -1.0}, "positive"),
    "ASDPOCS": Case(lambda A: {"subsets": 3}, {"relaxation": 2.0}, "between 0 and 2"),
    "PnPADMM": Case(lambda A: {"denoiser": halved}, {"relaxation": 2.0}, "between 0 and 2"),
    "PnPProximalGradient": Case(lambda A: {"denoiser": halved}, {"step_size": 10.0}, "below 2 / L"),
    "RED": Case(
        lambda A: {"denoiser": halved, "strength": 0.5}, {"step_size": 10.0}, "below 2 / L"
    ),
}


# Consistent equations of full rank have one solution, which every method finds without a regulariser.


def unchanged(x: Any) -> Any:
    """The denoiser that does nothing."""
    return 1.0 * x


NEEDED: dict[str, Callable[[Any], dict[str, Any]]] = {
    "MAPEM": lambda A: {"regularizer": 1e-9 * fn.SquaredL2(A.domain)},
    "ProjectedGradient": lambda A: {"regularizer": fn.NonNegative(A.domain)},
    "HybridLSQR": lambda A: {"parameter": 1e-6},
    "PnPADMM": lambda A: {"denoiser": unchanged},
    "PnPProximalGradient": lambda A: {"denoiser": unchanged},
    "RED": lambda A: {"denoiser": unchanged, "strength": 0.1},
    **{
        name: lambda A: {"subsets": 3}
        for name in ("OSSIRT", "OSSART", "OSEM", "SAGA", "SVRG", "SPDHG")
    },
    # A constant step is enough where all subsets agree.
    "SGD": lambda A: {"subsets": 3, "step_size": lambda k: 0.008},
    # Without the descent of the variation, which is no part of the equations.
    "ASDPOCS": lambda A: {"subsets": 3, "descents": 0},
}


def build(name: str, A: Any, **changes: Any) -> Any:
    """The solver of that name for a matrix."""
    case = CASES[name]
    return getattr(solvers, name)(case.operator(A), **{**case.settings(A), **changes})


def data(solver: Any, dtype: str = "float64", batch: int | None = None) -> Any:
    """Positive, as counts are, and not in the range of the matrix."""
    shape = solver.domain.shape if batch is None else (batch, *solver.domain.shape)
    return (1 + np.random.default_rng(5).uniform(0, 3, shape)).astype(dtype)


__all__ = ["CASES", "NEEDED", "ArgumentError", "build", "data", "matrix_operator", "public_solvers"]
