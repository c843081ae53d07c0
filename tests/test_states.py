from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.states import JobState, JobTrigger, advance

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
