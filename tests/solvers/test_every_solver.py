"""What is promised of all solvers, asked of every one that `opalg.solvers` offers."""

import itertools
import pickle
import re
import warnings

import every_solver
import numpy as np
import pytest
from every_solver import CASES, NEEDED, build, data, matrix_operator

import opalg as oa
from opalg import solvers
from opalg.errors import AccuracyWarning, ArgumentError, NonFiniteError

torch = pytest.importorskip("torch")

every = pytest.mark.parametrize("name", sorted(every_solver.public_solvers()))


def test_every_solver_has_a_case():
    missing = set(every_solver.public_solvers()) - set(CASES)
    assert not missing, f"{sorted(missing)} have no case in tests/every_solver.py"
    assert set(CASES) <= set(every_solver.public_solvers())


def words(name):
    """The docstring in one line."""
    return " ".join(getattr(solvers, name).__doc__.split())


@every
def test_the_docstring_tells_what_one_has_to_know(name):
    text = getattr(solvers, name).__doc__
    assert "References\n" in text, "the source of the method"
    assert ">>> " in text.split("Examples\n")[-1], "an example"
    line = words(name)
    assert "Memory beyond the data" in line or "Memory: " in line
    assert re.search(r"Cost per iteration|and cost: as for", line)
    assert re.search(
        r"[Cc]onverge|[Ss]tops nowhere but|[Ee]nds at|fixed point|limit of the iterates"
        r"|the objective (lies|falls)|falls (monotonically|at least)|Steps satisfy|Everything said",
        line,
    ), "when it converges"


@every
def test_every_parameter_is_documented(name):
    kind = getattr(solvers, name)
    section = kind.__doc__.split("Parameters\n")[1].split("\n    Notes\n")[0]
    hidden = {field for field, value in kind._fields.items() if kind.__dict__.get(field, 0) is None}
    missing = [
        field
        for field in kind._fields
        if not re.search(rf"\b{field}\b", section) and field not in hidden
    ]
    assert not missing, f"{name} says nothing of {missing}"


@every
def test_a_value_that_breaks_convergence_is_refused_with_the_bound(name):
    case = CASES[name]
    if case.wrong is None:
        assert case.free, "say why there is none"
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            solver = build(name, matrix_operator(), **case.wrong)
            solver.solve(data(solver), iterations=1)
        except ArgumentError as error:
            message = str(error)
        else:
            told = [w for w in caught if issubclass(w.category, AccuracyWarning)]
            assert told, f"{name}({case.wrong}) neither raises nor warns"
            message = str(told[-1].message)
    assert re.search(case.words, message), message
    assert name in message or "the prior" in message, message


@every
def test_resuming_gives_the_same_bits(name):
    solver = build(name, matrix_operator())
    for y in (data(solver), data(solver, batch=3)):
        whole = solver.solve(y, iterations=11)
        part = solver.solve(y, iterations=4)
        stored = pickle.loads(pickle.dumps(part.state))
        for state in (part.state, stored):
            resumed = solver.solve(y, iterations=7, initial=state)
            assert np.array_equal(resumed.x, whole.x)
            assert resumed.state.iteration == whole.state.iteration


@every
def test_steps_by_hand_give_the_same_bits_and_change_nothing(name):
    solver = build(name, matrix_operator(), iterations=5)
    y = data(solver)
    y.flags.writeable = False
    state, running = solver.initial(y), solver.iterate(y)
    for _ in range(5):
        before = state.x.copy()
        following = solver.step(state, y)
        assert np.array_equal(state.x, before)
        state = following
        assert np.array_equal(state.x, next(running).x)


@every
def test_a_batch_gives_what_its_samples_give_alone(name):
    """Of different sizes, so that samples converge at different times, and one of zeros."""
    solver = build(name, matrix_operator(), iterations=15)
    y = data(solver, batch=4)
    y[1] *= 1e-3
    y[2] = 0
    together = solver(y)
    for i in range(4):
        np.testing.assert_allclose(together[i], solver(y[i]), rtol=1e-7, atol=1e-9)


@every
def test_float32_and_tensors(name):
    for dtype in ("float32", "float64"):
        solver = build(name, matrix_operator(dtype), iterations=4)
        for y in (data(solver, dtype), data(solver, dtype, batch=2)):
            with torch.no_grad():
                x = solver(torch.from_numpy(y))
            expected = solver(y)
            assert x.numpy().dtype == expected.dtype == dtype
            scale = 3000 * np.finfo(dtype).eps * max(1.0, float(abs(expected).max()))
            np.testing.assert_allclose(x, expected, rtol=0, atol=scale)


@every
def test_nan_in_the_operator_is_reported_with_the_iteration(name, monkeypatch):
    solver = build(name, matrix_operator())
    poison = {"on": False}

    for method in ("_apply", "_apply_transpose"):
        healthy = getattr(oa.MatrixOperator, method)

        def poisoned(self, x, out, healthy=healthy):
            value = healthy(self, x, out)
            if poison["on"]:
                value[...] = np.nan
            return value

        monkeypatch.setattr(oa.MatrixOperator, method, poisoned)
    states = solver.iterate(data(solver))
    for _ in range(3):
        next(states)
    poison["on"] = True
    # At the latest in the second step: some know the image of x from the step before.
    with pytest.raises((NonFiniteError, ArgumentError), match=r"iteration [45]\b") as caught:
        list(itertools.islice(states, 2))
    assert name in str(caught.value)


@every
def test_infinite_data_and_starts_are_refused_before_work(name):
    solver = build(name, matrix_operator())
    y = data(solver)
    y[2] = np.inf
    with pytest.raises(NonFiniteError, match="the first at index"):
        solver(y)


@every
def test_zero_data_are_no_trouble(name):
    """Gradients that vanish at the start, norms that are divided by, samples with nothing to do."""
    solver = build(name, matrix_operator(), iterations=5)
    x = solver(np.zeros(solver.domain.shape))
    assert np.isfinite(x).all()
    assert abs(x).max() < 1e-12 or name in {"MAPEM"}


@every
def test_consistent_equations_are_solved(name):
    A = matrix_operator()
    truth = np.linspace(0.5, 2, 7)
    settings = NEEDED[name](A) if name in NEEDED else {}
    operator = A.gram if name == "CG" else A
    solver = getattr(solvers, name)(operator, **settings)
    steps = {"HybridLSQR": 7, "ABGMRES": 7, "BAGMRES": 7}.get(name, 5000)
    result = solver.solve(operator(truth), iterations=steps, stop=solvers.Residual(1e-6))
    np.testing.assert_allclose(result.x, truth, atol=1e-3, err_msg=result.reason)
