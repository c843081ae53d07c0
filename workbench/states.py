"""The states of a job: a table and a pure function."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["JobState", "JobTrigger", "advance"]


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @property
    def is_finished(self) -> bool:
        """Return whether nothing can follow: the one definition of finished."""
        return self in _FINISHED


class JobTrigger(StrEnum):
    """What can happen to a job."""

    START = "START"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    COMPLETE = "COMPLETE"
    CANCEL = "CANCEL"
    FAIL = "FAIL"


_FINISHED = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED})

_TABLE: dict[tuple[JobState, JobTrigger], JobState] = {
    (JobState.PENDING, JobTrigger.START): JobState.RUNNING,
    (JobState.PENDING, JobTrigger.CANCEL): JobState.CANCELLED,
    (JobState.PENDING, JobTrigger.FAIL): JobState.FAILED,
    (JobState.RUNNING, JobTrigger.PAUSE): JobState.PAUSED,
    (JobState.RUNNING, JobTrigger.COMPLETE): JobState.COMPLETED,
    (JobState.RUNNING, JobTrigger.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, JobTrigger.FAIL): JobState.FAILED,
    (JobState.PAUSED, JobTrigger.RESUME): JobState.RUNNING,
    (JobState.PAUSED, JobTrigger.CANCEL): JobState.CANCELLED,
    (JobState.PAUSED, JobTrigger.FAIL): JobState.FAILED,
}


def advance(state: JobState, trigger: JobTrigger) -> JobState:
    """
    Return the state that follows `state` when `trigger` happens.

    Raises
    ------
    ValueError
        If `trigger` cannot happen in `state`.

    """
    try:
        return _TABLE[state, trigger]
    except KeyError:
        raise ValueError(f"a {state} job cannot {trigger}") from None
