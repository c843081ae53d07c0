from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.states import EngineState, EngineTrigger, JobState, JobTrigger, advance, advance_engine

S, T = JobState, JobTrigger
_ALLOWED = {
    (S.PENDING, T.START): S.RUNNING,
    (S.PENDING, T.CANCEL): S.CANCELLED,
    (S.PENDING, T.FAIL): S.FAILED,
    (S.PENDING, T.INTERRUPT): S.INTERRUPTED,
    (S.RUNNING, T.PAUSE): S.PAUSED,
    (S.RUNNING, T.COMPLETE): S.COMPLETED,
    (S.RUNNING, T.CANCEL): S.CANCELLED,
    (S.RUNNING, T.FAIL): S.FAILED,
    (S.RUNNING, T.INTERRUPT): S.INTERRUPTED,
    (S.PAUSED, T.INTERRUPT): S.INTERRUPTED,
    (S.PAUSED, T.COMPLETE): S.COMPLETED,
    (S.PAUSED, T.RESUME): S.RUNNING,
    (S.PAUSED, T.CANCEL): S.CANCELLED,
    (S.PAUSED, T.FAIL): S.FAILED,
}


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("trigger", JobTrigger)
def test_advance_every_pair_follows_the_table_or_raises(state: JobState, trigger: JobTrigger) -> None:
    if (state, trigger) in _ALLOWED:
        assert advance(state, trigger) is _ALLOWED[state, trigger]
    else:
        with pytest.raises(ValueError, match=f"a {state} job cannot {trigger}"):
            advance(state, trigger)


def test_is_finished_holds_for_the_four_ends_alone() -> None:
    assert {s for s in JobState if s.is_finished} == {S.COMPLETED, S.CANCELLED, S.FAILED, S.INTERRUPTED}


@given(st.lists(st.sampled_from(JobTrigger)))
def test_advance_any_sequence_never_leaves_a_finished_state(triggers: list[JobTrigger]) -> None:
    state = S.PENDING
    for trigger in triggers:
        try:
            after = advance(state, trigger)
        except ValueError:
            continue
        assert not state.is_finished
        state = after


E, G = EngineState, EngineTrigger
_ENGINE_ALLOWED = {
    (E.STOPPED, G.START): E.STARTING,
    (E.STOPPED, G.LIQUIDATE): E.LIQUIDATING,
    (E.STARTING, G.READY): E.RUNNING,
    (E.STARTING, G.STOP): E.STOPPING,
    (E.STARTING, G.CRASH): E.CRASHED,
    (E.STARTING, G.GIVE_UP): E.FAILED,
    (E.RUNNING, G.STOP): E.STOPPING,
    (E.RUNNING, G.CRASH): E.CRASHED,
    (E.STOPPING, G.END): E.STOPPED,
    (E.CRASHED, G.RESTART): E.STARTING,
    (E.CRASHED, G.LIQUIDATE): E.LIQUIDATING,
    (E.CRASHED, G.GIVE_UP): E.FAILED,
    (E.CRASHED, G.STOP): E.STOPPED,
    (E.LIQUIDATING, G.END): E.STOPPED,
    (E.LIQUIDATING, G.CRASH): E.CRASHED,
    (E.FAILED, G.START): E.STARTING,
    (E.FAILED, G.LIQUIDATE): E.LIQUIDATING,
}


@pytest.mark.parametrize("state", EngineState)
@pytest.mark.parametrize("trigger", EngineTrigger)
def test_advance_engine_every_pair_follows_the_table_or_raises(
    state: EngineState, trigger: EngineTrigger
) -> None:
    if (state, trigger) in _ENGINE_ALLOWED:
        assert advance_engine(state, trigger) is _ENGINE_ALLOWED[state, trigger]
    else:
        with pytest.raises(ValueError, match=f"an engine that is {state} cannot {trigger}"):
            advance_engine(state, trigger)


def test_is_down_holds_for_stopped_and_failed_alone() -> None:
    assert {s for s in EngineState if s.is_down} == {E.STOPPED, E.FAILED}


@given(st.lists(st.sampled_from(EngineTrigger)))
def test_advance_engine_any_sequence_leaves_what_is_down_by_a_start_or_a_liquidation_alone(
    triggers: list[EngineTrigger],
) -> None:
    state = E.STOPPED
    for trigger in triggers:
        try:
            after = advance_engine(state, trigger)
        except ValueError:
            continue
        assert not state.is_down or trigger in {G.START, G.LIQUIDATE}
        # Nothing trades that was not started, and nothing liquidates that was not told to.
        assert after is not E.RUNNING or state is E.STARTING
        assert after is not E.LIQUIDATING or trigger is G.LIQUIDATE
        state = after


def test_advance_engine_every_state_can_come_to_an_end() -> None:
    ends = {E.STOPPED, E.FAILED}
    while more := {s for (s, _), after in _ENGINE_ALLOWED.items() if after in ends} - ends:
        ends |= more
    assert ends == set(EngineState)
