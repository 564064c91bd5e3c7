"""When a run ends, and what it says then."""

import itertools
import pickle
import time

import numpy as np
import pytest

import opalg as oa
from opalg import solvers
from opalg.errors import ArgumentError


class Steepest(solvers.Solver):
    """A solver whose state knows no residual."""

    def step(self, state, y):
        return state.advance(x=state.x + 0.1 * self.operator.H(y - self.operator(state.x)))


def test_max_iterations(problem):
    result = solvers.Landweber(problem.A).solve(problem.y, stop=solvers.MaxIterations(3))
    assert result.state.iteration == 3
    assert result.reason == "3 iterations were done"
    one = solvers.Landweber(problem.A).solve(problem.y, iterations=1)
    assert one.reason == "1 iteration was done"
    none = solvers.Landweber(problem.A).solve(problem.y, iterations=0)
    assert none.x.tolist() == [0] * 7


def test_max_iterations_counts_those_of_the_run(problem):
    solver = solvers.Landweber(problem.A)
    first = solver.solve(problem.y, iterations=4)
    second = solver.solve(problem.y, stop=solvers.MaxIterations(3), initial=first.state)
    assert second.state.iteration == 7
    assert second.history["iteration"].tolist() == [5, 6, 7]


@pytest.mark.parametrize("kind", [solvers.Landweber, Steepest])
def test_residual_is_that_of_the_iterate(problem, kind):
    """Whether the solver knows its residual or the rule computes it."""
    exact = np.linalg.lstsq(problem.matrix, problem.y)[0]
    least = np.linalg.norm(problem.y - problem.matrix @ exact)
    tolerance = 2 * least / np.linalg.norm(problem.y)
    states = []

    def watch(state):
        states.append(state.x.copy())

    result = kind(problem.A).solve(problem.y, stop=solvers.Residual(tolerance), callbacks=[watch])
    residuals = [np.linalg.norm(problem.y - problem.matrix @ x) for x in states]
    assert residuals[-1] <= 2 * least < residuals[-2]
    assert result.reason == (
        f"the residual fell to {tolerance:g} of the data after {len(states)} iterations"
    )


def test_discrepancy(problem):
    noise = np.linalg.norm(problem.y - problem.matrix @ problem.x)
    result = solvers.CGLS(problem.A).solve(problem.y, stop=solvers.Discrepancy(noise, factor=1.5))
    assert result.history["residual"][-1] <= 1.5 * noise < result.history["residual"][-2]
    assert "the residual fell to 1.5 times the noise after" in result.reason


def test_discrepancy_per_sample(problem):
    """Every sample has its own noise; the run ends when the last is satisfied."""
    noise = np.linalg.norm(problem.y - problem.matrix @ problem.x)
    batch = np.stack([problem.y, problem.y])
    rule = solvers.Discrepancy(np.array([20 * noise, 2 * noise]))
    result = solvers.Landweber(problem.A).solve(batch, stop=rule)
    alone = solvers.Landweber(problem.A).solve(problem.y, stop=solvers.Discrepancy(2 * noise))
    assert result.state.iteration == alone.state.iteration
    assert result.history["residual"].shape == (alone.state.iteration, 2)


def test_relative_change(problem):
    iterates = [np.zeros(7)]
    result = solvers.Landweber(problem.A).solve(
        problem.y,
        stop=solvers.RelativeChange(1e-2),
        callbacks=[lambda state: iterates.append(state.x.copy())],
    )
    changes = [np.linalg.norm(b - a) / np.linalg.norm(b) for a, b in itertools.pairwise(iterates)]
    assert changes[-1] <= 1e-2 < min(changes[:-1])
    assert result.reason == f"x changed by less than 0.01 of itself in iteration {len(changes)}"


def test_max_time(problem):
    begin = time.monotonic()
    result = solvers.Landweber(problem.A).solve(problem.y, stop=solvers.MaxTime(0.05))
    assert time.monotonic() - begin >= 0.05
    # It is bounded by itself, so the solver's 100 iterations do not end it.
    assert "the time of 0.05 s was over after" in result.reason


def test_either_stops_with_the_reason_of_the_first(problem):
    rule = solvers.MaxIterations(5) | solvers.Residual(1e-12)
    assert solvers.Landweber(problem.A).solve(problem.y, stop=rule).reason == (
        "5 iterations were done"
    )
    rule = solvers.MaxIterations(500) | solvers.Residual(0.99)
    assert "0.99 of the data" in solvers.Landweber(problem.A).solve(problem.y, stop=rule).reason


def test_both_stop_when_both_hold(problem):
    rule = solvers.MaxIterations(5) & solvers.Residual(0.99)
    result = solvers.Landweber(problem.A).solve(problem.y, stop=rule)
    assert result.reason == (
        "5 iterations were done and the residual fell to 0.99 of the data after 5 iterations"
    )


def test_both_keep_asking_a_rule_that_remembers(problem):
    """RelativeChange compares with the step before, also while the other rule does not hold yet."""
    rule = solvers.RelativeChange(1e-2) & solvers.MaxIterations(2)
    alone = solvers.Landweber(problem.A).solve(problem.y, stop=solvers.RelativeChange(1e-2))
    both = solvers.Landweber(problem.A).solve(problem.y, stop=rule)
    assert both.state.iteration == alone.state.iteration


def test_iterations_of_the_solver_bound_rules_that_may_never_hold(problem):
    solver = solvers.Landweber(problem.A, iterations=7)
    never = solvers.Residual(1e-15)
    assert solver.solve(problem.y, stop=never).state.iteration == 7
    assert solver.solve(problem.y, stop=never, iterations=4).state.iteration == 4
    bounded = never | solvers.MaxIterations(20)
    assert solver.solve(problem.y, stop=bounded).state.iteration == 20
    assert solver.solve(problem.y, stop=bounded, iterations=9).state.iteration == 9
    # `and` is bounded only if both sides are.
    both = never & solvers.MaxIterations(3)
    assert solver.solve(problem.y, stop=both).state.iteration == 7


def test_limits():
    few, many, open_end = solvers.MaxIterations(3), solvers.MaxIterations(9), solvers.Residual(0.1)
    assert (few | many).limit == 3
    assert (few | open_end).limit == 3
    assert (few & many).limit == 9
    assert (few & open_end).limit is None
    assert (solvers.MaxTime(1) | open_end).bounded
    assert not (solvers.MaxTime(1) & open_end).bounded


def test_a_rule_that_holds_at_the_start_ends_the_run_there(problem):
    exact = np.linalg.solve(problem.matrix[:7], problem.y[:7])
    A = oa.MatrixOperator(problem.matrix[:7], oa.Space(7, "float64"), oa.Space(7, "float64"))
    result = solvers.Landweber(A).solve(problem.y[:7], initial=exact, stop=solvers.Residual(1e-6))
    assert result.state.iteration == 0
    assert len(result.history["iteration"]) == 0


def test_rules_are_values():
    def rule():
        return (solvers.MaxIterations(5) | solvers.Residual(1e-3)) & solvers.MaxTime(2)

    assert rule() == rule()
    assert hash(rule()) == hash(rule())
    assert pickle.loads(pickle.dumps(rule())) == rule()
    assert repr(rule()) == "(MaxIterations(5) | Residual(0.001)) & MaxTime(2)"
    assert rule() != solvers.MaxTime(2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: solvers.MaxIterations(2.5), "whole number of steps, got 2.5"),
        (lambda: solvers.MaxIterations(-1), "whole number"),
        (lambda: solvers.Residual(0), "tolerance of Residual must be positive"),
        (lambda: solvers.RelativeChange("a"), "tolerance of RelativeChange"),
        (lambda: solvers.MaxTime(float("nan")), "time of MaxTime"),
        (lambda: solvers.Discrepancy(-1.0), "noise of Discrepancy must be positive"),
        (lambda: solvers.Discrepancy(1.0, factor=0), "factor of Discrepancy"),
    ],
)
def test_senseless_numbers_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


def test_stop_takes_rules_only(problem):
    with pytest.raises(ArgumentError, match=r"stop takes a rule such as solvers\.MaxIterations"):
        solvers.Landweber(problem.A).solve(problem.y, stop=50)
