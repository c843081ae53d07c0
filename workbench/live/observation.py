"""Where an engine stands, told from its directory alone: its host may be dead, alive or wedged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from workbench.engine_records import DesiredState, EngineStatus, Heartbeat, HostMode, StillOpen
from workbench.errors import ServerError
from workbench.live.engine_directory import EngineDirectory
from workbench.states import EngineState

__all__ = ["find_faults", "find_state", "observe_engine"]

# Heartbeats come twice a second.
_OLD_SECS = 2.0
_BLOCKED_SECS = 2.0
_FROZEN_SECS = 3.0
_LAG_MS = 1_000.0
_RESTART_SECS = 600.0


def observe_engine(
    directory: EngineDirectory, *, now_ns: int | None = None, told: Heartbeat | None = None
) -> EngineStatus:
    """
    Return where an engine stands. What cannot be read is a reason, not an error.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    now_ns : int, optional
        The present, UNIX nanoseconds UTC; default: by the clock.
    told : Heartbeat, optional
        What the host said of itself when it was asked. On a full disk it cannot write it.

    """
    troubles: list[str] = []

    def read[T](load: Callable[[], T | None]) -> T | None:
        try:
            return load()
        except ServerError as e:
            troubles.append(e.message)
            return None

    # The locks first: what a host wrote that died since is no sign of life.
    is_alive = read(lambda: directory.is_held("host")) is True
    is_guarded = read(lambda: directory.is_held("guardian")) is True
    host, heartbeat = read(directory.load_host), read(directory.load_heartbeat)
    holder = directory.find_holder("host") if is_alive else None
    if heartbeat is not None and holder is not None and heartbeat.pid != holder:
        heartbeat = None  # Of the host before: this one has not come to write anything
    if told is not None and host is not None and told.incarnation == host.incarnation:
        written_ns = 0 if heartbeat is None else heartbeat.ts_ns
        if told.ts_ns - written_ns > _OLD_SECS * 1e9:
            troubles.append("it answers, but cannot write its heartbeat: its disk may be full")
        heartbeat = told if told.ts_ns > written_ns else heartbeat
    now = time.time_ns() if now_ns is None else now_ns
    status = EngineStatus(
        name=directory.name,
        state=EngineState.STOPPED,
        environment="" if host is None else host.environment,
        is_alive=is_alive,
        is_guarded=is_guarded,
        guardian_age_secs=(now - directory.find_beat()) / 1e9 if is_guarded else None,
        desired=read(directory.load_desired),
        host=host,
        heartbeat=heartbeat,
        heartbeat_age_secs=None if heartbeat is None else max(now - heartbeat.ts_ns, 0) / 1e9,
        supervision=read(directory.load_supervision),
        latch=read(directory.load_latch),
        outcome=read(directory.load_outcome),
    )
    status = msgspec.structs.replace(status, state=find_state(status))
    if status.latch is None and directory.is_latched:
        troubles.append("an emergency stop holds that cannot be read")
    reasons = troubles + find_faults(status, now)
    return msgspec.structs.replace(status, reasons=reasons, is_green=not reasons)


def find_state(status: EngineStatus) -> EngineState:
    """Return where an engine stands: a host that lives speaks for itself, for a dead one its guardian does."""
    desired, supervision = status.desired, status.supervision
    is_wanted = desired is not None and desired.state is DesiredState.RUNNING
    if status.is_alive:
        if _is_heard(status) and status.heartbeat is not None:
            # Written before the end: it is not over before the lock is free.
            state = status.heartbeat.state
            is_told = (
                status.is_guarded and supervision is not None and supervision.state is EngineState.STOPPING
            )
            is_ending = state.is_down or (is_told and state is not EngineState.LIQUIDATING)
            return EngineState.STOPPING if is_ending else state
        is_closing = status.host is not None and status.host.mode is HostMode.LIQUIDATE
        is_closing = is_closing or (supervision is not None and supervision.state is EngineState.LIQUIDATING)
        return EngineState.LIQUIDATING if is_closing else EngineState.STARTING
    if supervision is None:
        return EngineState.STARTING if is_wanted and status.is_guarded else EngineState.STOPPED
    is_new = desired is not None and desired.request != supervision.request
    if supervision.state.is_down:
        if is_wanted and is_new and status.is_guarded:
            return EngineState.STARTING
        return supervision.state if is_wanted and not is_new else EngineState.STOPPED
    if not status.is_guarded:
        return EngineState.CRASHED if is_wanted else EngineState.STOPPED
    # Dead, and its guardian has not seen it yet.
    return EngineState.CRASHED if supervision.state is EngineState.RUNNING else supervision.state


def find_faults(status: EngineStatus, now_ns: int) -> list[str]:
    """Return why the overall light of an engine is not green, the gravest first; empty if it is."""
    faults = [*_find_emergency(status), *_find_absence(status)]
    if status.is_alive:
        faults += _find_silence(status, now_ns)
        if _is_heard(status):
            faults += _find_limits(status)
        if not status.is_guarded:
            faults.append("no guardian watches it: a crash would not be seen")
    faults += _find_frozen_guardian(status)
    supervision = status.supervision
    if supervision is not None:
        recent = sum(_is_recent(at, now_ns) for at in supervision.restarts)
        if recent and status.is_alive and supervision.last_exit is not None:
            times = "once" if recent == 1 else f"{recent} times"
            faults.append(
                f"it was started again {times} of late: the host before {supervision.last_exit.reason}"
            )
    return faults


def _find_frozen_guardian(status: EngineStatus) -> list[str]:
    age = status.guardian_age_secs
    if age is None or age < _FROZEN_SECS:
        return []
    return [f"its guardian does not answer since {age:.0f} s: the next command, or its host, replaces it"]


def _find_emergency(status: EngineStatus) -> list[str]:
    latch, outcome = status.latch, status.outcome
    if latch is None:
        return []
    faults = [f"an emergency stop by {latch.by} holds since {latch.at}: {latch.reason or 'no reason given'}"]
    if outcome is None or outcome.latch.ts_ns != latch.ts_ns:
        faults.append("it is not known yet what the emergency stop closed")
    elif outcome.settled_ns is None:
        faults.append(
            f"the emergency stop goes on, try {max(outcome.attempts, 1)}; {_count_open(outcome.still_open)}"
        )
    elif outcome.still_open:
        faults.append(f"after the emergency stop {_count_open(outcome.still_open)}")
    return faults


def _count_open(still_open: Sequence[StillOpen]) -> str:
    return "nothing is known to be open" if not still_open else f"{len(still_open)} still open"


def _find_absence(status: EngineStatus) -> list[str]:
    """Return what is to be said of an engine that does not run."""
    state, desired, supervision = status.state, status.desired, status.supervision
    if state is EngineState.RUNNING:
        is_unwanted = desired is not None and desired.state is DesiredState.STOPPED
        return [f"it runs, and {desired.by} wants it to stop"] if desired is not None and is_unwanted else []
    message = "" if supervision is None else supervision.message
    if desired is None:
        return ["it was never started"] if not status.is_alive else [f"it is {state}"]
    if desired.state is DesiredState.STOPPED:
        what = f"{desired.by} stopped it at {desired.at}"
        if state is EngineState.STOPPED:
            return [what]
        return [f"it is {state}; {what}" + (f": {message}" if message else "")]
    if status.is_alive or state in {EngineState.STARTING, EngineState.LIQUIDATING}:
        return [f"it is {state}" + (f": {message}" if message else "")]
    faults = [f"it does not run, and {desired.by} wants it to: {message or 'nothing is known of it'}"]
    if not status.is_guarded and not state.is_down:
        faults.append("no guardian is there to start it again")
    return faults


def _find_silence(status: EngineStatus, now_ns: int) -> list[str]:
    heartbeat, age = status.heartbeat, status.heartbeat_age_secs
    if heartbeat is None or age is None or not _is_heard(status):
        return ["it has not been heard yet"]
    ahead = (heartbeat.ts_ns - now_ns) / 1e9
    if ahead > _OLD_SECS:
        return [f"its last heartbeat is {ahead:.0f} s ahead of this clock: how old it is cannot be told"]
    if age > _OLD_SECS:
        return [f"its last heartbeat is {age:.0f} s old: it hangs, or its disk is full"]
    if heartbeat.loop_ts_ns:
        block = (heartbeat.ts_ns - heartbeat.loop_ts_ns) / 1e9
        if block > _BLOCKED_SECS:
            return [f"its main loop has been blocked for {block:.0f} s: strategies and orders stand still"]
    if heartbeat.lag_ms > _LAG_MS:
        return [f"its main loop is {heartbeat.lag_ms:.0f} ms late"]
    return []


def _find_limits(status: EngineStatus) -> list[str]:
    heartbeat = status.heartbeat
    faults: list[str] = []
    if heartbeat is None:
        return faults
    if heartbeat.breach:
        faults.append(f"a limit was reached: {heartbeat.breach}")
    if heartbeat.trading_state != "ACTIVE" and status.state is EngineState.RUNNING:
        faults.append(f"its trading state is {heartbeat.trading_state or 'not known'}")
    if heartbeat.journal_trouble:
        faults.append(f"its journal cannot be written: {heartbeat.journal_trouble}")
    return faults + heartbeat.problems


def _is_heard(status: EngineStatus) -> bool:
    """Return whether the heartbeat is one of this host, not of the one before."""
    host, heartbeat = status.host, status.heartbeat
    return host is not None and heartbeat is not None and heartbeat.incarnation == host.incarnation


def _is_recent(at: str, now_ns: int) -> bool:
    try:
        return now_ns / 1e9 - datetime.fromisoformat(at).timestamp() < _RESTART_SECS
    except ValueError:
        return False
