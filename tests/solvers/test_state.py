"""The state of an iteration: variables, buffers, copies, and what an interruption leaves behind."""

import pickle

import numpy as np
import pytest

import opalg as oa
from opalg import solvers
from opalg.errors import ArgumentError

X = oa.Space(3, "float64")


def in_place(**variables) -> solvers.State:
    """A state as a running solver makes it."""
    state = solvers.State(**variables)
    state._own([], ())
    return state


def test_functional_state_gives_no_buffers_and_is_never_changed():
    state = solvers.State(x=np.zeros(3), step=2.0)
    assert state.buffer("x", X) is None
    following = state.advance(x=np.ones(3))
    assert (state.iteration, following.iteration) == (0, 1)
    assert state.x.tolist() == [0, 0, 0]
    assert following.x.tolist() == [1, 1, 1]
    assert following.step == 2.0
    assert not following.in_place


def test_buffers_in_place_are_the_variable_or_one_scratch_array():
    state = in_place(x=np.zeros(3))
    assert state.buffer("x", X) is state.x
    scratch = state.buffer("r", X)
    assert scratch in X
    assert state.buffer("r", X) is scratch
    assert state.advance(x=state.x) is state
    assert state.iteration == 1


def test_scratch_takes_library_batch_and_blocks():
    product = X * oa.Space(2, "float64")
    state = solvers.State(x=np.zeros((4, 3)))
    state._own([], (4,))
    assert [part.shape for part in state.buffer("u", product)] == [(4, 3), (4, 2)]


def test_a_variable_that_takes_over_a_scratch_array_leaves_its_own():
    """So old and new iterate can alternate, and a buffer never is the variable by accident."""
    state = in_place(x=np.zeros(3))
    first, second = state.x, state.buffer("new", X)
    state.advance(x=second)
    assert state.x is second
    assert state.buffer("new", X) is first
    state.advance(x=state.buffer("new", X))
    assert state.x is first


def test_variables_that_share_memory_are_separated():
    y = np.arange(3.0)
    read_only = np.broadcast_to(1.0, 3)
    state = solvers.State(x=np.zeros(3), r=y, p=y, w=read_only, gamma=1.0)
    state._own([y], ())
    assert not np.may_share_memory(state.r, y)
    assert not np.may_share_memory(state.r, state.p)
    assert state.w.flags.writeable
    assert state.gamma == 1.0


def test_copy_and_pickle_are_independent_and_carry_no_scratch():
    state = in_place(x=np.zeros(3), residual=2.0).advance(x=np.ones(3))
    state.buffer("r", X)
    for other in (state.copy(), pickle.loads(pickle.dumps(state))):
        assert other.iteration == 1
        assert other.residual == 2.0
        assert np.array_equal(other.x, state.x)
        assert not np.may_share_memory(other.x, state.x)
        assert not other._scratch


def test_value_of_numbers_and_schedules():
    state = solvers.State(x=np.zeros(3))
    assert state.value(0.5) == 0.5
    assert state.value(None) is None
    schedules = [(1.0, 0.5), np.array([1.0, 0.5]), lambda k: 1 / (k + 1)]
    later = state.advance()
    for schedule in schedules:
        assert [state.value(schedule), later.value(schedule)] == [1.0, 0.5]
    with pytest.raises(ArgumentError, match=r"has 2 values, but step 3 needs one more"):
        later.advance().value((1.0, 0.5))
    with pytest.raises(ArgumentError, match=r"gave nan for step 0"):
        state.value(lambda k: float("nan"))


def test_unknown_variable_is_named_with_those_that_exist():
    with pytest.raises(AttributeError, match=r"no variable 'r', only x, residual"):
        _ = solvers.State(x=np.zeros(3), residual=1.0).r


def test_unfinished_state_cannot_be_copied_or_pickled():
    state = in_place(x=np.zeros(3))
    state._unfinished = True
    for use in (state.copy, lambda: pickle.dumps(state)):
        with pytest.raises(ArgumentError, match=r"left in the middle of step 1"):
            use()


def test_repr_shows_no_arrays():
    assert repr(solvers.State(x=np.zeros(1000), r=1.0)) == "State(iteration 0: x, r)"
