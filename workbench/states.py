"""The states of jobs and of engines: a table and a pure function for each."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EngineState", "EngineTrigger", "JobState", "JobTrigger", "advance", "advance_engine"]


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


class EngineState(StrEnum):
    """
    Where a live engine stands.

    CRASHED is an engine whose host died and is to be started again; FAILED one that is not: it could not start, or
    died too often. LIQUIDATING is a host without strategies that only closes what an emergency stop wants closed.
    """

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    CRASHED = "CRASHED"
    LIQUIDATING = "LIQUIDATING"
    FAILED = "FAILED"

    @property
    def is_down(self) -> bool:
        """Return whether no host is there, nor will be unless somebody starts one."""
        return self in {EngineState.STOPPED, EngineState.FAILED}


class EngineTrigger(StrEnum):
    """What can happen to an engine."""

    START = "START"
    READY = "READY"
    STOP = "STOP"
    END = "END"
    CRASH = "CRASH"
    RESTART = "RESTART"
    LIQUIDATE = "LIQUIDATE"
    GIVE_UP = "GIVE_UP"


_ENGINE_TABLE: dict[tuple[EngineState, EngineTrigger], EngineState] = {
    (EngineState.STOPPED, EngineTrigger.START): EngineState.STARTING,
    (EngineState.STOPPED, EngineTrigger.LIQUIDATE): EngineState.LIQUIDATING,
    (EngineState.STARTING, EngineTrigger.READY): EngineState.RUNNING,
    (EngineState.STARTING, EngineTrigger.STOP): EngineState.STOPPING,
    (EngineState.STARTING, EngineTrigger.CRASH): EngineState.CRASHED,
    (EngineState.STARTING, EngineTrigger.GIVE_UP): EngineState.FAILED,
    (EngineState.RUNNING, EngineTrigger.STOP): EngineState.STOPPING,
    (EngineState.RUNNING, EngineTrigger.CRASH): EngineState.CRASHED,
    (EngineState.STOPPING, EngineTrigger.END): EngineState.STOPPED,
    (EngineState.CRASHED, EngineTrigger.RESTART): EngineState.STARTING,
    (EngineState.CRASHED, EngineTrigger.LIQUIDATE): EngineState.LIQUIDATING,
    (EngineState.CRASHED, EngineTrigger.GIVE_UP): EngineState.FAILED,
    (EngineState.CRASHED, EngineTrigger.STOP): EngineState.STOPPED,
    (EngineState.LIQUIDATING, EngineTrigger.END): EngineState.STOPPED,
    (EngineState.LIQUIDATING, EngineTrigger.CRASH): EngineState.CRASHED,
    (EngineState.FAILED, EngineTrigger.START): EngineState.STARTING,
    (EngineState.FAILED, EngineTrigger.LIQUIDATE): EngineState.LIQUIDATING,
}


def advance_engine(state: EngineState, trigger: EngineTrigger) -> EngineState:
    """
    Return the state that follows `state` when `trigger` happens.

    Raises
    ------
    ValueError
        If `trigger` cannot happen in `state`.

    """
    try:
        return _ENGINE_TABLE[state, trigger]
    except KeyError:
        raise ValueError(f"an engine that is {state} cannot {trigger}") from None
