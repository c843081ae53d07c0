"""The states of a job: a table and a pure function."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["JobState", "JobTrigger", "advance"]


class JobState(StrEnum):
    """
    Where a job stands.

    INTERRUPTED is the end of a job that failed by no fault of its own: its server, its process or its machine
    was killed. It can be queued again as it was.
    """

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"

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
    INTERRUPT = "INTERRUPT"


_FINISHED = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED, JobState.INTERRUPTED})

_TABLE: dict[tuple[JobState, JobTrigger], JobState] = {
    (JobState.PENDING, JobTrigger.START): JobState.RUNNING,
    (JobState.PENDING, JobTrigger.CANCEL): JobState.CANCELLED,
    (JobState.PENDING, JobTrigger.FAIL): JobState.FAILED,
    (JobState.PENDING, JobTrigger.INTERRUPT): JobState.INTERRUPTED,
    (JobState.RUNNING, JobTrigger.PAUSE): JobState.PAUSED,
    (JobState.RUNNING, JobTrigger.COMPLETE): JobState.COMPLETED,
    (JobState.RUNNING, JobTrigger.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, JobTrigger.FAIL): JobState.FAILED,
    (JobState.RUNNING, JobTrigger.INTERRUPT): JobState.INTERRUPTED,
    (JobState.PAUSED, JobTrigger.RESUME): JobState.RUNNING,
    (JobState.PAUSED, JobTrigger.CANCEL): JobState.CANCELLED,
    (JobState.PAUSED, JobTrigger.COMPLETE): JobState.COMPLETED,
    (JobState.PAUSED, JobTrigger.FAIL): JobState.FAILED,
    (JobState.PAUSED, JobTrigger.INTERRUPT): JobState.INTERRUPTED,
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
