"""Memory of the solvers of objectives as their docstrings state it; none is allocated by later iterations."""

import gc
import itertools
import re
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import every_solver
import numpy as np
import pytest

import opalg as oa
from opalg import functionals as fn
from opalg import solvers

from .test_memory import CHANGE, GROWING, SINOGRAM, VOLUME, N, Row, Stack
from .test_memory import SOLVERS as STATED_ELSEWHERE

A = Stack()
X = A.domain
G = oa.Gradient(X)  # its range is as large as a volume
TV = 0.1 * fn.GroupL1(G.range) @ G
POSITIVE, SPARSE = fn.NonNegative(X), 0.1 * fn.L1(X)
RANGE, IMAGES = VOLUME, VOLUME


class Halves(Stack):
    """With subsets whose norms are known."""

    def subsets(self, count):
        return tuple(KnownRow(i + 1.0) for i in range(count))


class KnownRow(Row):
    def _norm_bounds(self):
        return oa.operators.norms.Bounds(self.factor, self.factor)


def halved(x):
    return 0.5 * x


class Stated(NamedTuple):
    """What a docstring states beyond the data; ``more`` is stated in words."""

    make: Callable
    volumes: int
    sinograms: int
    more: int = 0
    words: str = ""
    text: str = ""  # the class whose docstring states it
    slack: float = 0.0  # of which the statement may be generous, in volumes


SOLVERS = {
    "GradientDescent": Stated(lambda: solvers.GradientDescent(A), 2, 3),
    "GradientDescent armijo": Stated(
        lambda: solvers.GradientDescent(A, step_size="armijo"),
        2,
        3,
        2 * VOLUME + SINOGRAM,
        "2 volumes and 1 sinogram more with a search",
    ),
    "Nesterov": Stated(lambda: solvers.Nesterov(A), 4, 2),
    "NonlinearCG": Stated(lambda: solvers.NonlinearCG(A), 5, 5),
    "LBFGS": Stated(
        lambda: solvers.LBFGS(A, memory=2),
        5,
        5,
        4 * VOLUME,
        "two volumes for each of the ``memory`` last steps",
    ),
    "GaussNewton": Stated(lambda: solvers.GaussNewton(A), 5, 5),
    "LevenbergMarquardt": Stated(lambda: solvers.LevenbergMarquardt(A), 5, 5, text="GaussNewton"),
    "ISTA": Stated(lambda: solvers.ISTA(A, regularizer=SPARSE), 4, 2),
    "FISTA": Stated(lambda: solvers.FISTA(A, regularizer=SPARSE), 5, 2),
    "FISTA with all": Stated(
        lambda: solvers.FISTA(
            A, regularizer=SPARSE, monotone=True, restart=True, backtracking=True, step_size=0.2
        ),
        5,
        2,
    ),
    "ProjectedGradient": Stated(lambda: solvers.ProjectedGradient(A, regularizer=POSITIVE), 4, 2),
    "PDHG": Stated(
        lambda: solvers.PDHG(A, regularizer=TV + POSITIVE),
        3,
        0,
        VOLUME + 2 * (SINOGRAM + RANGE),
        "(4 with two operators or more) and 2 elements of the ranges of the operators",
    ),
    "CondatVu": Stated(
        lambda: solvers.CondatVu(A, regularizer=TV + POSITIVE),
        4,
        2,
        2 * RANGE,
        "and 2 elements of the ranges of the operators in the regulariser",
        slack=1,
    ),
    "PD3O": Stated(
        lambda: solvers.PD3O(A, regularizer=TV + POSITIVE),
        5,
        2,
        2 * RANGE,
        "and 2 elements of the ranges of the operators in the regulariser",
    ),
    "LinearizedADMM": Stated(
        lambda: solvers.LinearizedADMM(A, regularizer=TV + POSITIVE),
        2,
        0,
        2 * VOLUME + 3 * (SINOGRAM + RANGE),
        "3 elements of the ranges of the operators in the terms",
    ),
    "ADMM": Stated(
        lambda: solvers.ADMM(A, regularizer=TV),
        6,
        1,
        4 * RANGE,
        "and 4 elements of the ranges of the split terms' operators",
    ),
    "SplitBregman": Stated(
        lambda: solvers.SplitBregman(A, regularizer=TV), 6, 1, 4 * RANGE, text="ADMM"
    ),
    "DouglasRachford": Stated(lambda: solvers.DouglasRachford(A, regularizer=SPARSE), 7, 2),
    "SGD": Stated(
        lambda: solvers.SGD(Halves(), subsets=2, regularizer=POSITIVE),
        3,
        0,
        SINOGRAM + 2 * VOLUME,
        "one copy of the data and 2 subsets of a sinogram",
        slack=1,
    ),
    "SAGA": Stated(
        lambda: solvers.SAGA(Halves(), subsets=2, regularizer=POSITIVE),
        4,
        1,
        SINOGRAM + 2 * VOLUME,
        "one copy of the data and 2 subsets of a sinogram",
    ),
    "SVRG": Stated(
        lambda: solvers.SVRG(Halves(), subsets=2, regularizer=POSITIVE, period=4),
        4,
        1,
        SINOGRAM + 2 * VOLUME,
        "one copy of the data and 2 subsets of a sinogram",
    ),
    "SPDHG": Stated(
        lambda: solvers.SPDHG(Halves(), subsets=2, regularizer=POSITIVE),
        5,
        0,
        3 * SINOGRAM,
        "2 elements of the ranges of all operators, one copy of the data",
        slack=1,
    ),
    "ASDPOCS": Stated(
        lambda: solvers.ASDPOCS(Halves(), subsets=2, descents=2),
        5,
        3,
        2 * RANGE + VOLUME,
        "2 elements of the gradient's range and 3 sinograms",
    ),
    "PnPADMM": Stated(
        lambda: solvers.PnPADMM(A, denoiser=halved),
        6,
        1,
        4 * RANGE,
        "and the denoiser's own",
        text="ADMM",
    ),
    "PnPProximalGradient": Stated(
        lambda: solvers.PnPProximalGradient(A, denoiser=halved), 4, 2, VOLUME, "the denoiser's own"
    ),
    "RED": Stated(
        lambda: solvers.RED(A, denoiser=halved, strength=0.1),
        5,
        2,
        VOLUME,
        "the denoiser's own",
        slack=1,
    ),
}
every = pytest.mark.parametrize("name", SOLVERS)


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def data(solver):
    return np.random.default_rng(0).uniform(0, 1, solver.domain.shape).astype("float32")


@every
def test_peak_memory_is_as_stated(name, traced):
    row = SOLVERS[name]
    solver = row.make()
    y = data(solver)
    stated = row.volumes * VOLUME + row.sinograms * SINOGRAM + row.more
    # What the first run of all imports and remembers, and garbage of other tests, is not meant.
    row.make().solve(y, iterations=1)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    solver.solve(y, iterations=12)
    used = tracemalloc.get_traced_memory()[1] - before
    assert used <= stated + CHANGE, f"{used / VOLUME:.2f} volumes instead of {stated / VOLUME:g}"
    # The statement is not generous, either.
    assert used > stated - (0.2 + row.slack) * VOLUME, f"{used / VOLUME:.2f}, {stated / VOLUME:g}"


@every
def test_the_docstring_states_that_memory(name):
    row = SOLVERS[name]
    own = " ".join(getattr(solvers, name.split()[0]).__doc__.split())
    if row.text:
        assert f"Memory beyond the data and cost: as for `{row.text}`" in own
        own = " ".join(getattr(solvers, row.text).__doc__.split()) + own
    stated = re.search(r"Memory beyond the data: (\d) volumes(.*?)Cost per iteration", own)
    assert stated is not None
    assert int(stated[1]) == row.volumes
    found = re.search(r"(\d) sinogram", stated[2])
    assert (int(found[1]) if found else 0) == row.sinograms
    assert row.words in own


OWN_ARRAYS = {"PnPADMM", "PnPProximalGradient", "RED"}  # the denoiser's result


@every
@pytest.mark.parametrize("batch", [(), (2,)])
def test_no_array_is_allocated_after_the_first_iterations(name, batch, traced):
    solver = SOLVERS[name].make()
    y = np.stack([data(solver)] * 2) if batch else data(solver)
    states = solver.iterate(y)
    for _ in range(10):  # the first look at the optimality, all subsets, all pairs of changes
        next(states)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in itertools.islice(states, 4):
        pass
    allowed = (2 if batch else 1) * VOLUME if name in OWN_ARRAYS else 0
    assert tracemalloc.get_traced_memory()[1] - before < allowed + CHANGE


def test_no_solver_is_forgotten():
    asserted = {name.split()[0] for name in SOLVERS} | set(STATED_ELSEWHERE) | set(GROWING)
    missing = set(every_solver.public_solvers()) - asserted
    assert not missing, f"the memory of {sorted(missing)} is asserted nowhere"
    assert N > 100_000
