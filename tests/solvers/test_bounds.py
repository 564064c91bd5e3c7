"""Each solver's bound of its step: values above it are refused or warned about, those below converge."""

import re
import warnings

import numpy as np
import pytest
from every_solver import CASES, NEEDED, data, matrix_operator

from opalg import functionals as fn
from opalg import solvers
from opalg.errors import AccuracyWarning, ArgumentError

STEPS = ("step_size", "relaxation", "primal_step")
FREE = {"SPDHG"}  # any primal step: the dual ones are made to suit it
BOUNDED = {
    name: next(iter(case.wrong))
    for name, case in CASES.items()
    if case.wrong and next(iter(case.wrong)) in STEPS and name not in FREE
}
NUMBERS = {
    "ADMM",
    "DouglasRachford",
    "PnPADMM",
    "ASDPOCS",
    "PDHG",
    "CondatVu",
    "PD3O",
    "LinearizedADMM",
}
SCHEDULED = sorted(set(BOUNDED) - NUMBERS)


def make(name, A, **changes):
    """The solver of that name for consistent equations, and other parameters."""
    settings = NEEDED[name](A) if name in NEEDED else {}
    return getattr(solvers, name)(A, **{**settings, **changes})


def told(name, A, y, **changes):
    """What is said of a parameter: the error, the last warning, or None."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            make(name, A, **changes).solve(y, iterations=5)
        except ArgumentError as error:
            return str(error)
    messages = [str(w.message) for w in caught if issubclass(w.category, AccuracyWarning)]
    return messages[-1] if messages else None


def bound(name, A, y):
    """The number in the message about a value that is wrong."""
    message = told(name, A, y, **CASES[name].wrong)
    found = re.search(
        r"between 0 and ([.\d]+)|<= ([-.e\d]+);|at most ([-.e\d]+)|L = ([-.e\d]+)|must be below ([-.e\d]+),",
        message,
    )
    assert found, message
    return float(next(group for group in found.groups() if group).rstrip("."))


@pytest.mark.parametrize("name", sorted(BOUNDED))
def test_just_above_the_bound_is_told_of_and_just_below_converges(name):
    A, truth = matrix_operator(), np.linspace(0.5, 2, 7)
    y, parameter = A(truth), BOUNDED[name]
    others = {key: value for key, value in CASES[name].wrong.items() if key != parameter}
    limit = bound(name, A, y)
    message = told(name, A, y, **others, **{parameter: 1.001 * limit})
    assert message
    assert name in message
    assert f"{limit:g}" in message, message
    if name == "SART":
        return  # see test_sart_by_single_rows_needs_more_than_a_relaxation_below_2
    solver = make(name, A, **others, **{parameter: 0.99 * limit})  # a warning would be an error
    result = solver.solve(y, iterations=6000, stop=solvers.Residual(1e-2))
    assert "residual" in result.reason.lower(), result.reason


@pytest.mark.parametrize("name", SCHEDULED)
def test_values_of_a_function_are_held_to_the_same_bound(name):
    """With the iteration in which the function gives them."""
    A = matrix_operator()
    y, parameter = A(np.linspace(0.5, 2, 7)), BOUNDED[name]
    limit = bound(name, A, y)
    good = 0.5 * limit
    assert told(name, A, y, **{parameter: lambda k: good}) is None
    for wrong in (1.001 * limit, 1e3 * limit, -good, 0.0):
        message = told(name, A, y, **{parameter: lambda k, w=wrong: w if k == 2 else good})
        assert message, f"{wrong} neither raises nor warns"
        assert re.search(rf"{name}.*in iteration 3\b|in iteration 3\b.*{name}", message), message
        if wrong > 0:
            assert re.search(CASES[name].words, message), message


@pytest.mark.parametrize("name", SCHEDULED)
def test_values_of_a_sequence_are_held_to_the_same_bound(name):
    A = matrix_operator()
    y, parameter = A(np.linspace(0.5, 2, 7)), BOUNDED[name]
    limit = bound(name, A, y)
    for kind in (list, np.array):
        good = kind([0.5 * limit] * 5)
        assert told(name, A, y, **{parameter: good}) is None
        for wrong in (1.001 * limit, -limit):
            assert told(name, A, y, **{parameter: kind([0.5 * limit] * 4 + [wrong])})


def test_a_function_between_the_bounds_warns_once_per_run():
    A = matrix_operator()
    y = A(np.ones(7))
    limit = bound("FISTA", A, y)
    solver = solvers.FISTA(A, step_size=lambda k: 1.5 * limit)
    for _ in range(2):
        with pytest.warns(AccuracyWarning, match=r"may diverge: .* in iteration 1 ") as caught:
            solver.solve(y, iterations=9)
        assert len(caught) == 1


def test_samples_and_tensors_are_held_to_the_bound_too():
    torch = pytest.importorskip("torch")
    A = matrix_operator()
    y = torch.from_numpy(data(solvers.Landweber(A)))
    for value in (torch.tensor(10.0, dtype=torch.float64), np.float64(10.0)):
        solver = solvers.Landweber(A, step_size=lambda k, value=value: value)
        with pytest.raises(ArgumentError, match=r"step size 10 of Landweber in iteration 1"):
            solver(y)
    with pytest.raises(ArgumentError, match="a number, one number per step, or a function"):
        solvers.Landweber(A, step_size=lambda k: "long")(y)


@pytest.mark.parametrize("kind", [solvers.SGD, solvers.SAGA, solvers.SVRG])
def test_steps_that_diverge_in_the_mean_are_refused_and_longer_than_known_ones_warn(kind):
    """Between the two, no proof decides; with a constraint none says that it diverges."""
    A = matrix_operator()
    y = data(solvers.SIRT(A))
    safe = kind(A, subsets=3)._prepare(y).step
    # The curvature of the objective in its own space: weight 3 of the data, 0.5 of the unknown.
    mean = 2 / (3 / 0.5 * np.linalg.norm(A.matrix, 2) ** 2)
    assert safe < mean
    with pytest.raises(ArgumentError, match="the mean of the iterates diverges, and at most"):
        kind(A, subsets=3, step_size=1.001 * mean).solve(y, iterations=1)
    for longer in (1.001 * safe, 0.999 * mean):
        with pytest.warns(AccuracyWarning, match="longer than those that are known to converge"):
            kind(A, subsets=3, step_size=longer).solve(y, iterations=1)
    with pytest.warns(AccuracyWarning, match="longer than those"):
        kind(A, subsets=3, regularizer=fn.NonNegative(A.domain), step_size=2 * mean).solve(
            y, iterations=1
        )
    for wrong in (-1.0, [-1.0] * 5, np.full(5, -1.0), float("nan")):
        with pytest.raises(ArgumentError, match="must be positive and finite, got"):
            kind(A, subsets=3, step_size=wrong)
